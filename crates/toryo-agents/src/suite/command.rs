//! The command that runs a repository's tests.

use super::Selection;
use crate::repository::RepositorySettings;
use crate::tools::Tools;
use std::time::Duration;
use toryo_domain::RepoPath;
use toryo_engine::Failure;
use toryo_sandbox::{Command, WorkspaceFile};

/// Where pytest is told to leave its reports; in no repository and in no diff.
const JUNIT: &str = ".toryo/junit.xml";
/// See [`JUNIT`].
pub(super) const COVERAGE: &str = ".toryo/coverage.xml";

/// A command with what it leaves.
pub(super) struct TestCommand {
    pub(super) command: Command,
    /// Where its JUnit XML is.
    pub(super) junit: RepoPath,
    /// What to bring back.
    pub(super) collect: Vec<RepoPath>,
}

impl TestCommand {
    /// The repository's own test command, or pytest.
    pub(super) fn of(
        settings: &RepositorySettings,
        tools: &Tools,
        files: &[WorkspaceFile],
        selection: &Selection,
        coverage: bool,
    ) -> Result<Self, Failure> {
        let fixed = |path: &str| path.parse::<RepoPath>().map_err(|error| Failure::bug(error.to_string()));
        let junit = settings.sandbox.junit.clone().map_or_else(|| fixed(JUNIT), Ok)?;
        let collect = vec![junit.clone(), fixed(COVERAGE)?];
        let mut options = vec![
            "-p".to_owned(),
            "no:cacheprovider".to_owned(),
            // A hanging test names itself before the command is killed.
            "-o".to_owned(),
            "faulthandler_timeout=60".to_owned(),
            format!("--junitxml={JUNIT}"),
        ];
        if coverage {
            let source = if has_src(files) { "src" } else { "." };
            // Coverage is measured, not judged: the limit of the repository's own settings is no failing test.
            let none = "--cov-fail-under=0".to_owned();
            options.extend([format!("--cov={source}"), format!("--cov-report=xml:{COVERAGE}"), none]);
        }
        let command = match &settings.sandbox.test {
            Some(shell) => Command::new(["sh", "-c", shell]).env("PYTEST_ADDOPTS", options.join(" ")),
            None => {
                let mut argv = vec!["python3".to_owned(), "-m".into(), "pytest".into(), "-q".into()];
                argv.extend(options);
                if let Selection::Files(paths) = selection {
                    argv.extend(paths.iter().map(ToString::to_string));
                }
                Command::new(argv)
            }
        };
        let allowed = tools.config.test_timeout();
        let wanted = settings.sandbox.test_seconds.map_or(allowed, Duration::from_secs);
        let path = toryo_sandbox::python::python_path(files.iter().map(|file| &file.path));
        let command = command
            .env("PYTHONPATH", path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONHASHSEED", "0")
            .env("PY_COLORS", "0")
            .env("COLUMNS", "120")
            .env("CI", "1")
            .timeout(wanted.min(allowed));
        Ok(Self { command, junit, collect })
    }
}

fn has_src(files: &[WorkspaceFile]) -> bool {
    files.iter().any(|file| file.path.as_str().starts_with("src/") && file.path.extension() == Some("py"))
}
