//! The guardrails' configuration, how a repository tightens it, and its compiled form.

use super::{ProposedChange, Verdict};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};
use toryo_domain::{RepoPath, Severity};

/// What no agent changes: Git's own files, credentials and keys, what others wrote (vendored), what decides about
/// agents and pipelines (requirements R57, R109, R112).
///
/// * `.toryo`: holds what test runs report; a file there could pass for a report.
/// * `CODEOWNERS`, in the places where forges look for it: says who has to review (R56); a change of it could choose
///   its own reviewer.
/// * `.gitmodules`, `.gitattributes`: decide which code and which filters a checkout brings in.
/// * Pipelines, hooks, images, compose files and Terraform: run with the rights of others; infrastructure needs a
///   person (R112).
const DENIED: [&str; 53] = [
    ".git/**",
    ".gitmodules",
    "**/.gitattributes",
    ".toryo.toml",
    ".toryo/**",
    "CODEOWNERS",
    "docs/CODEOWNERS",
    ".github/CODEOWNERS",
    ".gitlab/CODEOWNERS",
    ".github/workflows/**",
    ".github/actions/**",
    ".gitlab-ci.yml",
    ".circleci/**",
    "Jenkinsfile",
    "azure-pipelines.yml",
    ".pre-commit-config.yaml",
    "**/Dockerfile*",
    "**/docker-compose*.{yml,yaml}",
    "**/compose.{yml,yaml}",
    "**/*.tf",
    "**/.env*",
    "**/.env*/**",
    "**/.ssh/**",
    "**/.gnupg/**",
    "**/.aws/**",
    "**/.kube/**",
    "**/.netrc",
    "**/.npmrc",
    "**/.pypirc",
    "**/.htpasswd",
    "**/.git-credentials",
    "**/.docker/config.json",
    "**/*.pem",
    "**/*.key",
    "**/*.p12",
    "**/*.pfx",
    "**/*.jks",
    "**/*.keystore",
    "**/*.ppk",
    "**/*.kdbx",
    "**/id_{rsa,dsa,ecdsa,ed25519}*",
    "**/credentials",
    "**/credentials.json",
    "**/secrets.{yml,yaml,json,toml}",
    "**/service-account*.json",
    "**/vendor/**",
    "**/third_party/**",
    "**/node_modules/**",
    "**/bower_components/**",
    "**/site-packages/**",
    "**/.venv/**",
    "**/venv/**",
    "**/__pycache__/**",
];

/// The operator's guardrails: section `guardrails`.
///
/// Patterns are globs over the whole path: `*` stays within one folder, `**` crosses folders, upper and lower case
/// count as equal. A path has to match one of `allow` and none of `deny`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guardrails {
    /// Most changed files of a run (R108: 20).
    pub max_files: u32,
    /// Most added and removed lines of a run (R108: 1,000).
    pub max_changed_lines: u32,
    /// Most new files of a run (R108: 10).
    pub max_new_files: u32,
    /// Largest file after the change, in bytes (R108: 200 KiB).
    pub max_file_bytes: u64,
    /// Largest share of a file's lines that may go in a change that keeps the file, in percent (R109: no full
    /// replacement). 100 switches the rule off.
    pub max_rewrite_percent: u8,
    /// Files with fewer lines may be replaced as a whole.
    pub rewrite_min_lines: u32,
    /// Weight of a dangerous construct in a new line (R110).
    pub constructs: Severity,
    /// Paths that may be changed.
    pub allow: Vec<String>,
    /// Paths that are never changed. Setting it replaces the default list.
    pub deny: Vec<String>,
    /// Further lists that a path has to match as well: those of repositories.
    #[serde(skip)]
    pub narrowed: Vec<Vec<String>>,
}

impl Default for Guardrails {
    fn default() -> Self {
        Self {
            max_files: 20,
            max_changed_lines: 1_000,
            max_new_files: 10,
            max_file_bytes: 200 * 1024,
            max_rewrite_percent: 90,
            rewrite_min_lines: 30,
            constructs: Severity::Warning,
            allow: vec!["**".to_owned()],
            deny: DENIED.map(str::to_owned).to_vec(),
            narrowed: Vec::new(),
        }
    }
}

/// What a repository's own settings may say about guardrails. It tightens and never loosens: a limit above the
/// operator's has no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepoRules {
    /// Most changed files of a run.
    pub max_files: Option<u32>,
    /// Most added and removed lines of a run.
    pub max_changed_lines: Option<u32>,
    /// Most new files of a run.
    pub max_new_files: Option<u32>,
    /// Largest file after the change, in bytes.
    pub max_file_bytes: Option<u64>,
    /// The only paths that may be changed, out of those that the operator allows.
    pub allow: Option<Vec<String>>,
    /// Further paths that are never changed.
    pub deny: Vec<String>,
}

/// A pattern that is no glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a path pattern: {reason}")]
pub struct BadGuardrails {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Guardrails {
    /// These guardrails, tightened by what a repository asks for.
    #[must_use]
    pub fn tightened_by(&self, rules: &RepoRules) -> Self {
        let lower = |ours: u32, theirs: Option<u32>| theirs.map_or(ours, |theirs| ours.min(theirs));
        let mut tight = self.clone();
        tight.max_files = lower(self.max_files, rules.max_files);
        tight.max_changed_lines = lower(self.max_changed_lines, rules.max_changed_lines);
        tight.max_new_files = lower(self.max_new_files, rules.max_new_files);
        tight.max_file_bytes =
            rules.max_file_bytes.map_or(self.max_file_bytes, |theirs| theirs.min(self.max_file_bytes));
        tight.narrowed.extend(rules.allow.clone());
        tight.deny.extend(rules.deny.iter().cloned());
        tight
    }

    /// Compiles the patterns.
    ///
    /// # Errors
    /// The first pattern that is no glob.
    pub fn compile(&self) -> Result<Ruleset, BadGuardrails> {
        let allow = std::iter::once(&self.allow)
            .chain(&self.narrowed)
            .map(|list| set(list))
            .collect::<Result<_, _>>()?;
        Ok(Ruleset { allow, deny: set(&self.deny)?, rules: self.clone() })
    }

    /// Compiles and judges once. Whoever judges several changes keeps the [`Ruleset`].
    ///
    /// # Errors
    /// The first pattern that is no glob.
    pub fn judge(&self, changes: &[ProposedChange<'_>]) -> Result<Verdict, BadGuardrails> {
        Ok(self.compile()?.judge(changes))
    }
}

/// Compiled guardrails.
#[derive(Debug, Clone)]
pub struct Ruleset {
    /// A path has to match each of them.
    allow: Vec<GlobSet>,
    deny: GlobSet,
    rules: Guardrails,
}

impl Ruleset {
    /// Whether Toryo may change this path at all.
    #[must_use]
    pub fn may_change(&self, path: &RepoPath) -> bool {
        self.is_allowed(path) && self.denied_by(path).is_none()
    }

    pub(super) const fn rules(&self) -> &Guardrails {
        &self.rules
    }

    pub(super) fn is_allowed(&self, path: &RepoPath) -> bool {
        self.allow.iter().all(|set| set.is_match(path.as_str()))
    }

    /// The first pattern that forbids the path.
    pub(super) fn denied_by(&self, path: &RepoPath) -> Option<&str> {
        let index = self.deny.matches(path.as_str()).into_iter().min()?;
        self.rules.deny.get(index).map(String::as_str)
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, BadGuardrails> {
    let bad = |pattern: &str, error: globset::Error| BadGuardrails {
        pattern: pattern.chars().take(200).collect(),
        reason: error.kind().to_string(),
    };
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).case_insensitive(true).build();
        builder.add(glob.map_err(|error| bad(pattern, error))?);
    }
    builder.build().map_err(|error| bad("(all patterns together)", error))
}
