//! Texts that several prompts show.

use crate::tree::Tree;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use toryo_domain::output::{FailureAnalysis, SpecOutput, TestSummary};
use toryo_domain::plan::MERGED;
use toryo_domain::{Finding, Plan, RepoPath, Subtask};
use toryo_engine::{Failure, HumanMessage, StepContext};

/// Most paths of one folder that a list of files names.
const MOST_IN_FOLDER: usize = 40;

/// The specification as a prompt shows it.
pub(crate) fn spec(spec: &SpecOutput) -> String {
    let mut text = format!("{}\n\n{}\n", spec.title, spec.summary);
    list(&mut text, "Acceptance criteria", &spec.acceptance_criteria);
    list(&mut text, "In scope", &spec.in_scope);
    list(&mut text, "Out of scope", &spec.out_of_scope);
    list(&mut text, "Constraints", &spec.constraints);
    let assumed: Vec<String> = spec
        .questions
        .iter()
        .map(|question| format!("{} Assumed: {}", question.text, question.assumption))
        .collect();
    list(&mut text, "Open questions", &assumed);
    text
}

/// A subtask as a prompt shows it.
pub(crate) fn subtask(subtask: &Subtask) -> String {
    let mut text =
        format!("{} ({}): {}\n\n{}\n", subtask.id, subtask.kind, subtask.title, subtask.description);
    list(&mut text, "Acceptance criteria", &subtask.acceptance_criteria);
    let paths = |paths: &[RepoPath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    list(&mut text, "Files to change", &paths(&subtask.target_files));
    list(&mut text, "New files", &paths(&subtask.new_files));
    list(&mut text, "Symbols to change", &subtask.target_symbols);
    text
}

/// A plan in a few lines.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut text = format!("{}\n", plan.summary);
    for subtask in &plan.subtasks {
        let _ = writeln!(text, "* {} ({}): {}", subtask.id, subtask.kind, subtask.title);
    }
    text
}

fn list(text: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = write!(text, "\n{title}:\n");
    for item in items {
        let _ = writeln!(text, "* {item}");
    }
}

/// What people wrote; nothing where nobody did.
pub(crate) fn messages(messages: &[HumanMessage]) -> Option<String> {
    let text = |message: &HumanMessage| format!("{}: {}", message.author, message.body);
    let all: Vec<String> = messages.iter().map(text).collect();
    (!all.is_empty()).then(|| all.join("\n\n"))
}

/// All paths, folder by folder; of a large folder the first ones and the number of the others.
pub(crate) fn files(paths: &[RepoPath]) -> String {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in paths {
        let (folder, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        folders.entry(folder).or_default().push(name);
    }
    let mut text = String::new();
    for (folder, names) in folders {
        let shown: Vec<&str> = names.iter().take(MOST_IN_FOLDER).copied().collect();
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        for name in &shown {
            let _ = writeln!(text, "{prefix}{name}");
        }
        if names.len() > shown.len() {
            let _ = writeln!(text, "{prefix}... and {} more", names.len() - shown.len());
        }
    }
    text
}

/// The repository's notes for agents; nothing where there are none.
pub(crate) async fn guidance(tree: &Tree) -> Result<Option<String>, Failure> {
    first_of(tree, &["AGENTS.md", ".github/AGENTS.md", "CONTRIBUTING.md"]).await
}

/// The repository's introduction.
pub(crate) async fn readme(tree: &Tree) -> Result<Option<String>, Failure> {
    first_of(tree, &["README.md", "README.rst", "README.txt", "README", "readme.md"]).await
}

async fn first_of(tree: &Tree, names: &[&str]) -> Result<Option<String>, Failure> {
    for name in names {
        if let Ok(path) = name.parse::<RepoPath>()
            && let Some(text) = tree.read_text(&path).await?
        {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// A file with line numbers, as edits by lines need it.
pub(crate) fn numbered(path: &RepoPath, text: &str) -> String {
    let mut shown = format!("=== {path} ({} lines)\n", text.lines().count());
    for (at, line) in text.lines().enumerate() {
        let _ = writeln!(shown, "{:>5} | {line}", at + 1);
    }
    shown
}

/// Files of a tree with line numbers; those that are no text are left out.
pub(crate) async fn numbered_files(tree: &Tree, paths: &[RepoPath]) -> Result<String, Failure> {
    let mut shown = String::new();
    for path in paths {
        match tree.read_text(path).await? {
            Some(text) => shown.push_str(&numbered(path, &text)),
            None if tree.has(path) => {}
            None => {
                let _ = writeln!(shown, "=== {path} (removed)");
            }
        }
    }
    Ok(shown)
}

/// Counts in a line.
pub(crate) fn summary(summary: &TestSummary) -> String {
    let mut text =
        format!("{} passed, {} failed, {} skipped", summary.passed, summary.failed, summary.skipped);
    if let Some(coverage) = summary.coverage {
        let _ = write!(text, ", {:.1} % of lines covered", coverage * 100.0);
    }
    text
}

/// An analysis as the Coder reads it.
pub(crate) fn analysis(analysis: &FailureAnalysis) -> String {
    format!(
        "Cause: {}\nAt fault: {}\nLook at: {}\nNext step: {}\n",
        analysis.root_cause,
        analysis.at_fault,
        analysis.suspects.join(", "),
        analysis.next_step
    )
}

/// A finding in a line.
pub(crate) fn finding(finding: &Finding) -> String {
    let place = match (&finding.path, finding.line) {
        (Some(path), Some(line)) => format!("{path}:{line}: "),
        (Some(path), None) => format!("{path}: "),
        (None, _) => String::new(),
    };
    format!("[{}] {}: {place}{}", finding.severity, finding.rule, finding.text)
}

/// The subtask of the step; the join's repair counts as one that covers the whole goal.
pub(crate) fn subtask_of(ctx: &StepContext) -> Result<Subtask, Failure> {
    let id = ctx
        .step_key
        .subtask
        .as_deref()
        .ok_or_else(|| Failure::bug(format!("step `{}` belongs to no subtask", ctx.step_key)))?;
    subtask_named(ctx, id)
}

/// The subtask of this id, or what stands for the join.
pub(crate) fn subtask_named(ctx: &StepContext, id: &str) -> Result<Subtask, Failure> {
    let plan = crate::states::plan(ctx)?;
    if id != MERGED {
        let found = plan.subtask(id).cloned();
        return found.ok_or_else(|| Failure::bug(format!("the plan has no subtask `{id}`")));
    }
    let all = |list: fn(&Subtask) -> &Vec<RepoPath>| {
        let mut paths: Vec<RepoPath> = plan.subtasks.iter().flat_map(list).cloned().collect();
        paths.sort();
        paths.dedup();
        paths
    };
    Ok(Subtask {
        id: MERGED.to_owned(),
        kind: toryo_domain::SubtaskKind::BugFix,
        title: "Join the changes of all subtasks".to_owned(),
        description: "The subtasks below were done side by side. Joined, they conflict, fail tests, a review blocks them, or a \
                      person asked for a correction. Make them work together; keep what each one achieves."
            .to_owned(),
        target_files: all(|subtask| &subtask.target_files),
        new_files: all(|subtask| &subtask.new_files),
        target_symbols: plan.subtasks.iter().flat_map(|subtask| subtask.target_symbols.clone()).collect(),
        acceptance_criteria: ctx.outputs.spec().map(|spec| spec.acceptance_criteria.clone()).unwrap_or_default(),
        depends_on: vec![],
    })
}

/// Whether a path holds tests rather than code, by the usual names of Python projects.
pub(crate) fn is_test_path(path: &RepoPath) -> bool {
    let name = path.file_name();
    let folders = path.as_str().strip_suffix(name).unwrap_or_default();
    let in_folder = folders.split('/').any(|part| matches!(part, "tests" | "test" | "testing"));
    let named = name.starts_with("test_")
        || name.ends_with("_test.py")
        || name == "conftest.py"
        || name == "tests.py";
    in_folder || (named && name.ends_with(".py"))
}

/// Whether a file decides which tests run and how, so that a change of it could let anything pass. Case does not count, as some
/// file systems do not either.
pub(crate) fn is_test_infrastructure(path: &RepoPath) -> bool {
    let name = path.file_name().to_ascii_lowercase();
    let named = ["conftest.py", "pytest.ini", "tox.ini", "sitecustomize.py", "usercustomize.py"];
    named.contains(&name.as_str())
        || name.ends_with(".pth")
        || path.as_str().to_ascii_lowercase().starts_with(".toryo/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_how_tests_run_is_told_by_its_name() {
        for path in
            ["conftest.py", "a/tests/conftest.py", "Tox.ini", "src/sitecustomize.py", "a.pth", ".toryo/x"]
        {
            assert!(is_test_infrastructure(&path.parse().unwrap()), "{path}");
        }
        for path in ["tests/test_a.py", "src/conftest_helper.py", "src/.toryo/x", "pth.py"] {
            assert!(!is_test_infrastructure(&path.parse().unwrap()), "{path}");
        }
    }

    #[test]
    fn test_files_are_told_by_their_names() {
        for test in ["tests/a.py", "pkg/tests/data/x.json", "test_a.py", "src/a_test.py", "conftest.py"] {
            assert!(is_test_path(&test.parse().unwrap()), "{test}");
        }
        for code in ["src/testing.py", "src/contest.py", "attest/a.py", "src/test_data.json", "latest.py"] {
            assert!(!is_test_path(&code.parse().unwrap()), "{code}");
        }
    }

    #[test]
    fn large_folders_are_cut() {
        let paths: Vec<RepoPath> = (10..60).map(|n| format!("data/{n}.csv").parse().unwrap()).collect();
        let text = files(&paths);
        assert!(text.ends_with("data/... and 10 more\n"), "{text}");
    }
}
