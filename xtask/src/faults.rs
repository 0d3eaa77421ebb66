//! `cargo xtask test faults`: the fault suite alone. It starts servers of its own, because it kills them.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    child::{self, Signals},
    workspace,
};

/// The filter that means the suite and nothing else.
pub(crate) const NAME: &str = "faults";

/// Builds and runs it, in its short form or its long one.
pub(crate) async fn run(long: bool, signals: &mut Signals) -> Result<ExitCode> {
    let mut command = workspace::cargo(&["test", "--workspace", "--test", NAME, "--"]);
    command.args(long.then_some("--long"));
    child::run(command, signals).await?.succeeded("the fault suite")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_has_no_fail_points() {
        let tree = |edges| {
            let format = ["--prefix", "none", "--format", "{p} {f}"];
            let arguments = [&["tree", "-p", "toryo", "--edges", edges][..], &format].concat();
            workspace::output_of(workspace::cargo(&arguments)).unwrap()
        };
        let has_them = |tree: String| {
            tree.lines().any(|line| line.starts_with("toryo-engine ") && line.contains("fail-points"))
        };
        assert!(!has_them(tree("normal,build")));
        assert!(has_them(tree("normal,build,dev")), "the suite itself could not do without them");
    }
}
