//! What a repository says about itself in `.toryo.toml`: how to set it up and test it.

use crate::tree::{File, Tree};
use serde::Deserialize;
use toryo_domain::{FailureClass, RepoPath};
use toryo_engine::Failure;
use toryo_sandbox::WorkspaceFile;

/// The file's name.
const FILE: &str = ".toryo.toml";

/// The part of `.toryo.toml` that agents obey. Sections for others are not looked at here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RepositorySettings {
    /// Commands in the sandbox.
    #[serde(default)]
    pub sandbox: SandboxSettings,
    /// What a change may do; it can tighten what the operator allows, never loosen it.
    #[serde(default)]
    pub guardrails: toryo_policy::RepoRules,
}

/// The section `[sandbox]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxSettings {
    /// Shell commands that install what the tests need; with network. Default: what the requirement files ask for.
    pub setup: Vec<String>,
    /// The shell command that runs the tests. Default: pytest.
    pub test: Option<String>,
    /// Where that command leaves its JUnit XML. Default `.toryo/junit.xml`, where pytest is told to put it.
    pub junit: Option<RepoPath>,
    /// Most seconds for the tests; more than the operator allows has no effect.
    pub test_seconds: Option<u64>,
}

impl RepositorySettings {
    /// Reads them from a tree. They count as they are in the commit the run started from: a change must not choose how it
    /// is tested.
    ///
    /// # Errors
    /// The file is there and wrong.
    pub async fn of(tree: &Tree) -> Result<Self, Failure> {
        let path = FILE.parse().map_err(|_| Failure::bug("a fixed path is wrong"))?;
        match tree.base().read_text(&path).await? {
            Some(text) => Self::parse(&text),
            None => Ok(Self::default()),
        }
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            Failure::new(FailureClass::Input, format!("the repository's {FILE} is wrong: {error}"))
        })
    }
}

/// The files that say what has to be installed, as they are in the commit the run started from: installing is the one
/// thing that has network, and a change must not choose what is fetched and built there.
///
/// # Errors
/// The object database cannot be read.
pub async fn requirement_files(tree: &Tree) -> Result<Vec<WorkspaceFile>, Failure> {
    let base = tree.base();
    let mut files = Vec::new();
    for path in base.paths().into_iter().filter(toryo_sandbox::python::is_requirement_file) {
        if let Some(File { bytes: content, executable }) = base.read(&path).await? {
            files.push(WorkspaceFile { path, content, executable });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sections_are_left_to_others_and_mistakes_are_named() {
        let text = "label = \"toryo\"\n[limits]\nusd = 1\n[sandbox]\ntest = \"make check\"\njunit = \"out/junit.xml\"\n";
        let settings = RepositorySettings::parse(text).unwrap();
        assert_eq!(settings.sandbox.test.as_deref(), Some("make check"));
        let error = RepositorySettings::parse("[sandbox]\ntests = \"x\"\n").unwrap_err();
        assert_eq!(error.class, FailureClass::Input);
        assert!(error.text.contains("unknown field `tests`"), "{}", error.text);
        assert!(RepositorySettings::parse("[sandbox]\njunit = \"../up.xml\"\n").is_err());
    }
}
