//! Tests of the guardrails.

use super::*;
use proptest::prelude::*;

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

fn judged(guardrails: &Guardrails, files: &[(&str, Option<&str>, Option<&str>)]) -> Vec<String> {
    let paths: Vec<_> = files.iter().map(|(name, ..)| path(name)).collect();
    let changes: Vec<_> = files
        .iter()
        .zip(&paths)
        .map(|((_, before, after), path)| ProposedChange {
            path,
            before: before.map(str::as_bytes),
            after: after.map(str::as_bytes),
            added: after.map_or(0, |text| text.lines().count() as u32),
            removed: before.map_or(0, |text| text.lines().count() as u32),
        })
        .collect();
    let verdict = guardrails.judge(&changes).unwrap();
    let blocked = verdict.findings.iter().any(|finding| finding.severity == Severity::Blocking);
    assert_eq!(verdict.decision == Decision::Refuse, blocked);
    let line = |finding: &Finding| finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    verdict
        .findings
        .iter()
        .map(|finding| format!("{} {}{}", finding.severity, finding.rule, line(finding)))
        .collect()
}

fn new_file(name: &str, content: &str) -> Vec<String> {
    judged(&Guardrails::default(), &[(name, None, Some(content))])
}

#[test]
fn ordinary_changes_are_allowed() {
    let old = "a = 1\nb = 2\n";
    let files = [
        ("src/pkg/a.py", Some(old), Some("a = 1\nb = 3\n")),
        ("tests/test_a.py", None, Some("def test_a():\n    assert True\n")),
        ("docs/old.md", Some(old), None),
        ("Cargo.lock", Some(old), Some("a = 1\n")),
        (".github/ISSUE_TEMPLATE.md", Some(old), Some("a = 1\n")),
        ("src/codeowners.py", Some(old), Some("a = 1\n")),
        ("src/environment.py", Some(old), Some("a = 1\n")),
        ("src/vendor.py", Some(old), Some("a = 1\n")),
    ];
    assert_eq!(judged(&Guardrails::default(), &files), [""; 0]);
}

#[test]
fn denied_paths_are_refused_in_any_case_and_also_for_deletion() {
    for name in [
        ".github/workflows/ci.yml",
        ".env",
        "deploy/.ENV.production",
        "home/.ssh/config",
        "certs/server.PEM",
        "id_ed25519",
        "a/node_modules/x/index.js",
        "vendor/lib/a.go",
        ".toryo.toml",
        ".aws/credentials",
        ".toryo/junit.xml",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        ".github/CODEOWNERS",
        ".gitmodules",
        ".gitattributes",
        "src/.gitattributes",
        ".circleci/config.yml",
        "Jenkinsfile",
        "azure-pipelines.yml",
        ".pre-commit-config.yaml",
        "Dockerfile",
        "deploy/Dockerfile.web",
        "docker-compose.yml",
        "docker-compose.override.yml",
        "infra/main.tf",
    ] {
        assert_eq!(new_file(name, "x\n"), ["blocking guardrail.denied_path"], "{name}");
        let deleted = judged(&Guardrails::default(), &[(name, Some("x\n"), None)]);
        assert_eq!(deleted, ["blocking guardrail.denied_path"], "{name}");
    }
}

#[test]
fn limits_hold_at_their_value_and_not_above() {
    let lines = |count: usize| "x\n".repeat(count);
    let several = |count: usize, before: Option<&'static str>| {
        let names: Vec<_> = (0..count).map(|index| format!("src/{index}.txt")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), before, Some("y\n"))).collect();
        judged(&Guardrails::default(), &files)
    };
    assert_eq!(several(20, Some("x\n")), [""; 0]);
    assert_eq!(several(21, Some("x\n")), ["blocking guardrail.files"]);
    assert_eq!(several(10, None), [""; 0]);
    assert_eq!(several(11, None), ["blocking guardrail.new_files"]);
    assert_eq!(new_file("a.txt", &lines(1_000)), [""; 0]);
    assert_eq!(new_file("a.txt", &lines(1_001)), ["blocking guardrail.changed_lines"]);
    let limit = "x".repeat(200 * 1024);
    assert_eq!(new_file("a.txt", &limit), [""; 0]);
    assert_eq!(new_file("a.txt", &format!("{limit}x")), ["blocking guardrail.file_size"]);
}

#[test]
fn a_file_that_was_too_large_may_shrink() {
    let (large, larger) = ("x".repeat(300 * 1024), "x".repeat(301 * 1024));
    assert_eq!(judged(&Guardrails::default(), &[("a.txt", Some(&larger), Some(&large))]), [""; 0]);
    let grown = judged(&Guardrails::default(), &[("a.txt", Some(&large), Some(&larger))]);
    assert_eq!(grown, ["blocking guardrail.file_size"]);
}

#[test]
fn binary_content_is_refused() {
    assert_eq!(new_file("logo.png", "\u{89}PNG\0"), ["blocking guardrail.binary"]);
    let path = path("a.bin");
    let change =
        ProposedChange { path: &path, before: None, after: Some(&[0xff, 0xfe]), added: 1, removed: 0 };
    assert_eq!(Guardrails::default().judge(&[change]).unwrap().decision, Decision::Refuse);
}

#[test]
fn a_full_replacement_is_refused_for_files_of_some_length() {
    let numbered =
        |word: &str, count: usize| (0..count).map(|at| format!("{word} line {at}\n")).collect::<String>();
    let (old, new) = (numbered("old", 40), numbered("new", 40));
    let judge = |old: &str, new: &str| judged(&Guardrails::default(), &[("a.py", Some(old), Some(new))]);
    assert_eq!(judge(&old, &new), ["blocking guardrail.rewrite"]);
    assert_eq!(judge(&old, &format!("{}{}", numbered("old", 6), numbered("new", 40))), [""; 0]);
    assert_eq!(judge(&numbered("old", 20), &new), [""; 0]);
}

#[test]
fn dangerous_constructs_and_secrets_count_in_new_lines_only() {
    let key = format!("{}{}", "AKIA", "Z7Q3MPLW5XKD2RVN");
    let old = format!("import os\nos.system('ls')\nkey = '{key}'\n");
    let moved = format!("key = '{key}'\n\nimport os\n    os.system('ls')\n");
    assert_eq!(judged(&Guardrails::default(), &[("a.py", Some(&old), Some(&moved))]), [""; 0]);
    let new = format!("x = 1\nos.system('ls')\nkey = '{key}'\npassword = 'hunter2'\n");
    let found = new_file("a.py", &new);
    assert_eq!(
        found,
        ["blocking secret.aws_key:3", "warning secret.assigned_secret:4", "warning construct.os_system:2"]
    );
}

#[test]
fn findings_do_not_quote_the_secret() {
    let key = format!("{}{}", "AKIA", "Z7Q3MPLW5XKD2RVN");
    let (path, content) = (path("a.py"), format!("key = '{key}'\n"));
    let change =
        ProposedChange { path: &path, before: None, after: Some(content.as_bytes()), added: 1, removed: 0 };
    let verdict = Guardrails::default().judge(&[change]).unwrap();
    assert!(!format!("{verdict:?}").contains(&key));
}

#[test]
fn a_bad_pattern_is_named() {
    let guardrails = Guardrails { deny: vec!["a[".into()], ..Guardrails::default() };
    assert_eq!(guardrails.compile().unwrap_err().pattern, "a[");
}

#[test]
fn the_defaults_are_those_of_the_requirements() {
    insta::assert_json_snapshot!(Guardrails::default());
}

fn rules() -> impl Strategy<Value = RepoRules> {
    let globs = || {
        proptest::collection::vec(
            proptest::sample::select(vec!["**", "src/**", "*.py", "**/*.py", "docs/*", ""]),
            0..3,
        )
        .prop_map(|globs| globs.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let limit = || proptest::option::of(0_u32..40);
    (limit(), limit(), limit(), proptest::option::of(0_u64..64), proptest::option::of(globs()), globs())
        .prop_map(|(max_files, max_changed_lines, max_new_files, max_file_bytes, allow, deny)| RepoRules {
            max_files,
            max_changed_lines,
            max_new_files,
            max_file_bytes,
            allow,
            deny,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_repository_only_tightens(
        first in rules(),
        second in rules(),
        files in proptest::collection::btree_map(proptest::sample::select(vec!["a.py", "src/b.py", "docs/c.md", ".env", "x/y/z.py"]), (proptest::option::of("[a-c\n]{0,20}"), proptest::option::of("[a-c\n]{0,80}")), 0..5),
    ) {
        let operator = Guardrails { max_files: 3, max_changed_lines: 20, max_new_files: 2, max_file_bytes: 40, ..Guardrails::default() };
        let files: Vec<_> = files.iter().map(|(name, (before, after))| (*name, before.as_deref(), after.as_deref())).collect();
        let once = operator.tightened_by(&first);
        let twice = once.tightened_by(&second);
        let refused = |guardrails: &Guardrails| judged(guardrails, &files).iter().any(|finding| finding.starts_with("blocking"));
        prop_assert!(!refused(&operator) || refused(&once));
        prop_assert!(!refused(&once) || refused(&twice));
        for (name, ..) in &files {
            let (operator, once, twice) = (operator.compile().unwrap(), once.compile().unwrap(), twice.compile().unwrap());
            prop_assert!(operator.may_change(&path(name)) || !once.may_change(&path(name)));
            prop_assert!(once.may_change(&path(name)) || !twice.may_change(&path(name)));
        }
    }
}
