//! `cargo xtask services`: the servers of the tests, for running single tests by hand.

use std::process::ExitCode;

use anyhow::Result;

use crate::{bed::TestBed, child::Signals, test};

/// Stays until a signal arrives.
pub(crate) async fn run(signals: &mut Signals) -> Result<ExitCode> {
    test::build(signals).await?;
    let bed = TestBed::start(signals).await?;
    for (name, value) in bed.variables() {
        println!("export {name}='{}'", value.display());
    }
    eprintln!("running; Ctrl-C stops them");
    signals.next().await;
    bed.stop().await?;
    Ok(ExitCode::SUCCESS)
}
