//! Tasks from a repository's own history: a bug-fix commit says what was wrong and shows where it was put right.
//!
//! Each task is a text (the message, without what points at the change), the parent commit, and the files and
//! functions that the commit changed. Nothing that came after the parent may be indexed.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use toryo_code::{Symbol, SymbolKind, outline};
use toryo_domain::RepoPath;

use super::{
    message,
    repository::{Commit, Repository},
};

/// More files or functions than this are a rework, not a fix.
const MOST_FILES: usize = 6;
/// See [`MOST_FILES`].
const MOST_FUNCTIONS: usize = 15;
/// A text of fewer words asks for nothing.
const FEWEST_WORDS: usize = 4;
/// Lines of a changelog that are added to a message.
const MOST_NOTES: usize = 8;
/// Languages whose functions are known.
const SOURCE: &[&str] = &["py", "js", "mjs", "cjs", "jsx", "ts", "tsx", "rs", "go", "java"];

/// Folders beside the product.
const ASIDE: &[&str] = &[
    "test",
    "tests",
    "testing",
    "testsuite",
    "testdata",
    "docs",
    "doc",
    "example",
    "examples",
    "benchmarks",
    "vendor",
];

/// A text and what it should lead to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Task {
    /// Name and start of the commit's id.
    pub(super) task_id: String,
    /// Name of the repository.
    pub(super) repo: String,
    /// The commit to index.
    pub(super) parent: String,
    /// The message with what the commit adds to the changelog; names of the changed functions and files are hidden.
    pub(super) query: String,
    /// The same in the words of somebody who knows no name of the code; empty where too few remain.
    #[serde(default)]
    pub(super) query_words: String,
    /// Changed files that are no tests.
    pub(super) gold_files: Vec<String>,
    /// Changed functions, `path::Class.method`.
    pub(super) gold_functions: Vec<String>,
}

/// At most `wanted` tasks out of the newest commits. Which ones is decided by the commits' ids, which are as good
/// as random and the same every time.
pub(super) fn tasks(repository: &Repository, name: &str, newest: usize, wanted: usize) -> Result<Vec<Task>> {
    let mut commits = repository.commits(newest)?;
    commits.retain(|commit| message::is_bug_fix(commit.message.lines().next().unwrap_or_default()));
    commits.sort_by(|a, b| a.id.cmp(&b.id));
    let mut tasks = Vec::new();
    for commit in &commits {
        if tasks.len() == wanted {
            break;
        }
        tasks.extend(task(repository, name, commit)?);
    }
    Ok(tasks)
}

fn task(repository: &Repository, name: &str, commit: &Commit) -> Result<Option<Task>> {
    let changes = repository.changes(commit)?;
    let sources: Vec<&RepoPath> =
        changes.iter().filter(|(path, known)| *known && is_source(path)).map(|(path, _)| path).collect();
    if sources.is_empty() || sources.len() > MOST_FILES {
        return Ok(None);
    }
    let mut functions = Vec::new();
    let mut outlined = false;
    for path in &sources {
        let (before, after) = (repository.file(&commit.parent, path), repository.file(&commit.id, path));
        outlined |= !outline(path, &before).symbols.is_empty();
        functions.extend(
            changed_functions(path, &before, &after).into_iter().map(|name| format!("{path}::{name}")),
        );
    }
    let mut text = commit.message.clone();
    for (path, known) in changes.iter().filter(|(path, _)| is_changelog(path)) {
        let before = if *known { repository.file(&commit.parent, path) } else { String::new() };
        text.push_str(&added_notes(&before, &repository.file(&commit.id, path)));
    }
    let text = message::cleaned(&text);
    let hidden: Vec<&str> = sources
        .iter()
        .flat_map(|path| [path.as_str(), path.file_name()])
        .chain(functions.iter().filter_map(|name| name.rsplit(['.', ':']).next()))
        .collect();
    let query = message::hiding(&text, &hidden);
    if (functions.is_empty() && outlined)
        || functions.len() > MOST_FUNCTIONS
        || message::words(&query) < FEWEST_WORDS
    {
        return Ok(None);
    }
    Ok(Some(Task {
        task_id: format!("{name}-{}", &commit.id[..10]),
        repo: name.to_owned(),
        parent: commit.parent.clone(),
        query,
        query_words: users_words(&text),
        gold_files: sources.into_iter().map(ToString::to_string).collect(),
        gold_functions: functions,
    }))
}

/// The text without the names of code; empty where that asks for nothing.
pub(super) fn users_words(text: &str) -> String {
    let words = message::in_users_words(text);
    if message::words(&words) < FEWEST_WORDS { String::new() } else { words }
}

/// Code of the product: no tests, prose or examples.
fn is_source(path: &RepoPath) -> bool {
    let (folders, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
    path.extension().is_some_and(|extension| SOURCE.contains(&extension))
        && !is_test_name(name)
        && !folders.split('/').any(|folder| ASIDE.contains(&folder) || folder.starts_with('.'))
}

/// Whether a path is left out of rankings: tasks ask for the code to change, not for its tests.
pub(super) fn is_test(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    is_test_name(name) && !name.starts_with("setup.")
        || folders.split('/').any(|folder| ["tests", "test", "testing"].contains(&folder))
}

/// Whether a file is a test by its name.
fn is_test_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    stem.starts_with("test_")
        || ["_test", "Test"].iter().any(|end| stem.ends_with(end))
        || ["conftest", "tests", "setup"].contains(&stem)
        || [".test.", ".spec."].iter().any(|part| name.contains(part))
}

fn is_changelog(path: &RepoPath) -> bool {
    let lower = path.as_str().to_lowercase();
    let prose =
        lower.ends_with(".md") || lower.ends_with(".rst") || lower.ends_with(".txt") || !lower.contains('.');
    let named = ["change", "news", "history", "whatsnew", "release", "unreleased"]
        .iter()
        .any(|name| lower.contains(name));
    named && (prose || ["bugfix", "misc", "feature", "improvement"].iter().any(|kind| lower.contains(kind)))
}

/// Lines that a changelog gained.
fn added_notes(before: &str, after: &str) -> String {
    let known: HashSet<&str> = before.lines().map(str::trim).collect();
    let added = after.lines().filter(|line| !known.contains(line.trim())).take(MOST_NOTES);
    added.map(|line| format!("\n{}", line.trim())).collect()
}

/// Functions of the text before that the text after has otherwise or not at all; what is inside an inner function
/// belongs to that one alone.
fn changed_functions(path: &RepoPath, before: &str, after: &str) -> Vec<String> {
    let after = own_texts(path, after);
    let mut changed: Vec<String> = own_texts(path, before)
        .into_iter()
        .filter(|(name, text)| after.get(name) != Some(text))
        .map(|(name, _)| name)
        .collect();
    changed.sort();
    changed
}

fn own_texts(path: &RepoPath, text: &str) -> HashMap<String, String> {
    let symbols = outline(path, text).symbols;
    let is_function = |symbol: &Symbol| matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method);
    let mut owner: Vec<Option<usize>> = vec![None; text.lines().count() + 2];
    for (number, symbol) in symbols.iter().enumerate().filter(|(_, symbol)| is_function(symbol)) {
        let last = (symbol.last_line as usize).min(owner.len() - 1);
        owner[symbol.first_line as usize..=last].fill(Some(number));
    }
    let mut texts: HashMap<String, String> = HashMap::new();
    for (line, number) in text.lines().zip(owner.into_iter().skip(1)) {
        if let Some(number) = number {
            let own = texts.entry(symbols[number].path.clone()).or_default();
            own.push_str(line.trim_end());
            own.push('\n');
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        text.parse().expect("a path")
    }

    #[test]
    fn changed_functions_are_found_innermost() {
        let before = "class A:\n    def f(self):\n        def g():\n            return 1\n        return g\n    def h(self):\n        return 2\n";
        let after = before.replace("return 1", "return 3");
        assert_eq!(changed_functions(&path("a.py"), before, &after), ["A.f.g"]);
        let gone = before.replace("    def h(self):\n        return 2\n", "");
        assert_eq!(changed_functions(&path("a.py"), before, &gone), ["A.h"]);
        assert_eq!(changed_functions(&path("a.py"), before, before), Vec::<String>::new());
    }

    #[test]
    fn tests_prose_and_copies_are_no_source() {
        for (name, source) in [
            ("src/a.py", true),
            ("tests/a.py", false),
            ("a_test.go", false),
            ("docs/conf.py", false),
            ("README.md", false),
        ] {
            assert_eq!(is_source(&path(name)), source, "{name}");
        }
        assert!(is_changelog(&path("CHANGES.rst")) && is_changelog(&path("changelog/12.bugfix.rst")));
        assert!(!is_changelog(&path("src/changes.py")));
    }

    #[test]
    fn notes_are_what_a_changelog_gained() {
        assert_eq!(added_notes("old\n", "new\nold\n"), "\nnew");
    }
}
