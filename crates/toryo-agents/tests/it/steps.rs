//! Single steps with scripted models and a sandbox that runs nothing.

use crate::harness::{Stage, junit, plan_of, recorded, script};
use serde_json::{Value, json};
use std::sync::Arc;
use toryo_domain::TestOutcome::{Error, Failed, Passed};
use toryo_domain::output::{CodeOutput, CriticOutput, ReproduceOutput, TestOutput, Weight};
use toryo_domain::{EventType, FailureClass, FileState, Output, RepoPath, Severity, StepKey};
use toryo_sandbox::fake::FakeSandbox;

pub const PROOF: &str = "tests.test_spans::test_both_days_are_counted";
pub const INVOICE: &str = "tests.test_invoice::test_an_invoice_counts_both_days";

/// A stage after spec, plan and retrieval of the sample's first subtask.
pub async fn planned(replies: Vec<(&str, Value)>, sandbox: &FakeSandbox) -> Stage {
    let plan = recorded("plan", 1);
    planned_as(plan, replies, sandbox).await
}

pub async fn planned_as(plan: Value, replies: Vec<(&str, Value)>, sandbox: &FakeSandbox) -> Stage {
    let id = plan["subtasks"][0]["id"].as_str().unwrap().to_owned();
    let retrieve = format!("retrieve:{id}");
    let mut all = vec![
        ("spec", recorded("spec", 1)),
        ("plan", plan),
        (retrieve.as_str(), recorded("retrieve:count-last-day", 1)),
    ];
    all.extend(replies);
    let mut stage = Stage::new(script(all), Arc::new(sandbox.clone()));
    for step in ["spec", "plan", &retrieve] {
        stage.run(step).await.unwrap();
    }
    stage
}

fn code(output: Output) -> CodeOutput {
    let Output::Code(output) = output else { panic!("{output:?}") };
    output
}

pub fn reproduce(output: Output) -> ReproduceOutput {
    let Output::Reproduce(output) = output else { panic!("{output:?}") };
    output
}

pub fn test(output: Output) -> TestOutput {
    let Output::Test(output) = output else { panic!("{output:?}") };
    output
}

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

async fn content(stage: &Stage, output: &CodeOutput, file: &str) -> String {
    match &output.changes.files[&path(file)] {
        FileState::Present { digest, .. } => stage.text(digest).await,
        FileState::Deleted => panic!("{file} was removed"),
    }
}

/// The last prompt that a model saw.
async fn last_prompt(stage: &Stage) -> String {
    let calls = stage.events(EventType::ModelCall);
    let prompt = calls.last().unwrap()["prompt"].as_str().unwrap().parse().unwrap();
    stage.text(&prompt).await
}

#[tokio::test]
async fn a_blocking_question_stops_once_and_never_after_an_answer() {
    let mut asks = recorded("spec", 1);
    asks["questions"] = json!([{ "text": "Which rule?", "weight": "blocking", "assumption": "" }]);
    let replies = vec![("spec", asks.clone()), ("spec#2", asks)];
    let mut stage = Stage::new(script(replies), Arc::new(FakeSandbox::new()));
    let Output::Spec(first) = stage.run("spec").await.unwrap() else { panic!("no spec") };
    assert!(first.is_blocked());
    stage.say("Both days count.");
    let Output::Spec(second) = stage.run("spec#2").await.unwrap() else { panic!("no spec") };
    assert!(!second.is_blocked());
    assert_eq!((second.questions[0].weight, second.base_commit), (Weight::Major, first.base_commit));
    assert!(!second.questions[0].assumption.is_empty());
}

#[tokio::test]
async fn what_people_write_before_a_question_answers_none() {
    let mut asks = recorded("spec", 1);
    asks["questions"] = json!([{ "text": "Which rule?", "weight": "blocking", "assumption": "" }]);
    let mut stage = Stage::new(script(vec![("spec", asks)]), Arc::new(FakeSandbox::new()));
    stage.say("Please hurry.");
    let Output::Spec(spec) = stage.run("spec").await.unwrap() else { panic!("no spec") };
    assert!(spec.is_blocked());
    let prompt = last_prompt(&stage).await;
    assert!(prompt.contains("Please hurry."), "{prompt}");
}

#[tokio::test]
async fn a_specification_without_a_criterion_does_not_pass() {
    let mut bare = recorded("spec", 1);
    bare["acceptance_criteria"] = json!([]);
    let mut asks = bare.clone();
    asks["questions"] = json!([{ "text": "Which rule?", "weight": "blocking", "assumption": "" }]);
    // In the first round a question may stand for criteria, in the second one none may.
    let replies = vec![("spec", asks.clone()), ("spec#2", asks.clone()), ("spec#2", asks)];
    let mut stage = Stage::new(script(replies), Arc::new(FakeSandbox::new()));
    stage.run("spec").await.unwrap();
    stage.say("Both days count.");
    let failure = stage.run("spec#2").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::InvalidOutput);
    assert!(failure.text.contains("no acceptance criterion"), "{}", failure.text);

    let replies = vec![("spec", bare.clone()), ("spec", bare)];
    let mut stage = Stage::new(script(replies), Arc::new(FakeSandbox::new()));
    assert_eq!(stage.run("spec").await.unwrap_err().class, FailureClass::InvalidOutput);
}

#[tokio::test]
async fn the_pack_is_kept_without_secrets() {
    let replies = vec![
        ("spec", recorded("spec", 1)),
        ("plan", recorded("plan", 1)),
        ("retrieve:count-last-day", recorded("retrieve:count-last-day", 1)),
    ];
    let mut stage = Stage::new(script(replies), Arc::new(FakeSandbox::new()));
    stage.commit_line("src/hirelog/spans.py", "PASSPHRASE = \"hunter2-of-the-operator\"\n");
    for step in ["spec", "plan"] {
        stage.run(step).await.unwrap();
    }
    let Output::Retrieve(output) = stage.run("retrieve:count-last-day").await.unwrap() else {
        panic!("no pack")
    };
    let pack = stage.text(&output.pack).await;
    assert!(pack.contains("[masked:") && !pack.contains("hunter2"), "{pack}");
}

#[tokio::test]
async fn the_pack_holds_what_the_subtask_needs_and_says_what_it_leaves_out() {
    let stage = planned(vec![], &FakeSandbox::new()).await;
    let Some(Output::Retrieve(output)) =
        stage.outputs.get(&"retrieve:count-last-day".parse::<StepKey>().unwrap())
    else {
        panic!("no pack")
    };
    assert_eq!(output.files[0].as_str(), "src/hirelog/spans.py");
    assert!(output.related_tests.contains(&path("tests/test_spans.py")), "{:?}", output.related_tests);
    assert!((2..=10).contains(&output.files.len()) && output.tokens <= 10_000, "{output:?}");
    assert!(stage.text(&output.pack).await.contains("return max(1, (self.last - self.first).days)"));
}

#[tokio::test]
async fn tests_that_fail_for_the_right_reason_become_the_proof() {
    let sandbox = FakeSandbox::new();
    sandbox.reply(junit(&[(PROOF, Failed, "assert 2 == 3"), (INVOICE, Failed, "assert '3 days'")]));
    let step = "reproduce:count-last-day";
    let mut stage = planned(vec![(step, recorded(step, 1))], &sandbox).await;
    let output = reproduce(stage.run(step).await.unwrap());
    assert!(output.failed_before);
    assert_eq!(output.must_pass, [PROOF, INVOICE]);
    assert_eq!(output.changes.files.len(), 2);
    let job = &sandbox.jobs()[0];
    let argv = job.commands[0].argv.join(" ");
    assert!(argv.ends_with("tests/test_invoice.py tests/test_spans.py"), "only the new tests run: {argv}");
    assert!(
        job.files
            .iter()
            .any(|file| String::from_utf8_lossy(&file.content).contains("test_both_days_are_counted"))
    );
    assert_eq!(stage.events(EventType::TestReport)[0]["failed"], 2);
}

#[tokio::test]
async fn tests_that_prove_nothing_go_back_and_in_the_end_it_is_said() {
    let step = "reproduce:count-last-day";
    let reply = || (step, recorded(step, 1));
    let sandbox = FakeSandbox::new();
    sandbox.reply(junit(&[(PROOF, Passed, ""), (INVOICE, Passed, "")]));
    sandbox.reply(junit(&[(PROOF, Failed, "NameError: name &apos;x&apos;"), (INVOICE, Failed, "assert")]));
    sandbox.reply(junit(&[("::tests.test_spans", Error, "collection failure")]));
    let mut stage = planned(vec![reply(), reply(), reply()], &sandbox).await;
    let output = reproduce(stage.run(step).await.unwrap());
    assert!(!output.failed_before);
    assert_eq!(output.must_pass, Vec::<String>::new());
    assert!(output.note.contains("was not run"), "{}", output.note);
    // The first try passed and harms nobody; the broken ones are gone.
    assert_eq!(output.changes.files.len(), 2);
    let said: Vec<String> =
        stage.events(EventType::ModelCall).iter().map(|call| call["prompt"].to_string()).collect();
    assert_eq!(said.len(), 6, "spec, plan, retrieve and three tries");
    assert_eq!(sandbox.unused(), 0);
}

#[tokio::test]
async fn the_tester_does_not_edit_code() {
    let step = "reproduce:count-last-day";
    let mut cheat = recorded(step, 1);
    cheat["edits"][0]["file_path"] = json!("src/hirelog/spans.py");
    cheat["edits"][0]["locator"] = json!({ "symbol": "parse_day", "position": "after" });
    let sandbox = FakeSandbox::new();
    sandbox.reply(junit(&[(PROOF, Failed, "assert"), (INVOICE, Failed, "assert")]));
    let mut stage = planned(vec![(step, cheat), (step, recorded(step, 1))], &sandbox).await;
    assert!(reproduce(stage.run(step).await.unwrap()).failed_before);
    let rejected = stage.events(EventType::EditRejected);
    assert!(rejected[0]["refusals"][0]["reason"].as_str().unwrap().contains("no test file"), "{rejected:?}");
}

#[tokio::test]
async fn a_refused_edit_goes_back_with_candidates_and_the_corrected_one_is_applied() {
    let (one, two) = (recorded("code:count-last-day", 1), recorded("code:count-last-day", 2));
    let sandbox = FakeSandbox::new();
    let mut stage = planned(vec![("code:count-last-day", one), ("code:count-last-day", two)], &sandbox).await;
    let output = code(stage.run("code:count-last-day").await.unwrap());
    let rejected = stage.events(EventType::EditRejected);
    assert!(rejected[0]["refusals"][0]["candidates"].to_string().contains("Span.__len__"), "{rejected:?}");
    assert_eq!(stage.events(EventType::EditProposed).len(), 2);
    let applied = stage.events(EventType::EditApplied);
    assert_eq!(applied[0]["files"], json!([{ "path": "src/hirelog/spans.py", "added": 1, "removed": 1 }]));
    let text = content(&stage, &output, "src/hirelog/spans.py").await;
    assert!(
        text.contains("        return (self.last - self.first).days + 1\n\n    def __contains__"),
        "{text}"
    );
    insta::assert_snapshot!("coder_diff", stage.text(&output.diff).await);
}

#[tokio::test]
async fn the_mark_of_a_masked_secret_is_never_written_back() {
    let step = "code:count-last-day";
    let edit = |edit_type: &str, patch: Value| {
        json!({ "summary": "s", "edits": [{ "file_path": "src/hirelog/spans.py", "edit_type": edit_type,
            "locator": { "symbol": "parse_month" }, "patch": patch, "rationale_summary": "r" }] })
    };
    let body = "password = \"[masked:known]\"\nreturn text\n";
    let replies = vec![
        (
            step,
            edit("replace", json!(format!("def parse_month(text):\n    {}", body.replace('\n', "\n    ")))),
        ),
        (step, edit("ast_patch", json!([{ "op": "replace_body", "text": body }]))),
        (step, recorded(step, 2)),
    ];
    let mut stage = planned(replies, &FakeSandbox::new()).await;
    let output = code(stage.run(step).await.unwrap());
    assert!(!content(&stage, &output, "src/hirelog/spans.py").await.contains("[masked:"));
    let rejected = stage.events(EventType::EditRejected);
    assert_eq!(rejected.len(), 2, "{rejected:?}");
    let reason = rejected[1]["refusals"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("line_range"), "{reason}");
}

#[tokio::test]
async fn an_edit_set_is_applied_whole_or_not_at_all() {
    let mut half = recorded("code:count-last-day", 2);
    let bad = recorded("code:count-last-day", 1)["edits"][0].clone();
    half["edits"].as_array_mut().unwrap().push(bad);
    let replies = vec![
        ("code:count-last-day", half.clone()),
        ("code:count-last-day", half.clone()),
        ("code:count-last-day", half),
    ];
    let mut stage = planned(replies, &FakeSandbox::new()).await;
    let failure = stage.run("code:count-last-day").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::InvalidOutput);
    assert!(failure.text.contains("no definition is called `Span.days`"), "{}", failure.text);
    assert_eq!(stage.events(EventType::EditApplied), Vec::<Value>::new());
    assert_eq!(stage.events(EventType::EditRejected)[0]["refusals"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_proof_is_not_the_coders_to_change() {
    let reproduced = "reproduce:count-last-day";
    let cheat = json!({ "summary": "skip", "edits": [{ "file_path": "tests/test_spans.py", "edit_type": "delete",
        "locator": { "symbol": "test_both_days_are_counted" }, "patch": "", "rationale_summary": "it fails" }] });
    let sandbox = FakeSandbox::new();
    sandbox.reply(junit(&[(PROOF, Failed, "assert"), (INVOICE, Failed, "assert")]));
    let replies = vec![
        (reproduced, recorded(reproduced, 1)),
        ("code:count-last-day", cheat),
        ("code:count-last-day", recorded("code:count-last-day", 2)),
    ];
    let mut stage = planned(replies, &sandbox).await;
    stage.run(reproduced).await.unwrap();
    let output = code(stage.run("code:count-last-day").await.unwrap());
    let rejected = stage.events(EventType::EditRejected);
    assert!(
        rejected[0]["refusals"][0]["reason"].as_str().unwrap().contains("proves the subtask"),
        "{rejected:?}"
    );
    assert!(content(&stage, &output, "tests/test_spans.py").await.contains("test_both_days_are_counted"));
}

fn whole_file(path: &str, edit_type: &str, patch: &str) -> Value {
    json!({ "summary": "s", "edits": [{ "file_path": path, "edit_type": edit_type,
        "locator": { "whole_file": true }, "patch": patch, "rationale_summary": "r" }] })
}

#[tokio::test]
async fn what_decides_how_tests_run_is_not_the_coders_to_change_and_no_test_goes_away() {
    let step = "code:count-last-day";
    let replies = vec![
        (step, whole_file("conftest.py", "insert", "collect_ignore = [\"tests\"]\n")),
        (step, whole_file("tests/test_money.py", "delete", "")),
        (step, recorded(step, 2)),
    ];
    let mut stage = planned(replies, &FakeSandbox::new()).await;
    let output = code(stage.run(step).await.unwrap());
    assert_eq!(output.changes.files.len(), 1);
    let rejected = stage.events(EventType::EditRejected);
    let reason = |at: usize| rejected[at]["refusals"][0]["reason"].as_str().unwrap();
    assert!(reason(0).contains("decides how tests run"), "{rejected:?}");
    assert!(reason(1).contains("not removed"), "{rejected:?}");
    assert_eq!(rejected[1]["refusals"][0]["file_path"], "tests/test_money.py");
}

#[tokio::test]
async fn what_the_subtask_names_is_the_coders_also_where_it_serves_tests() {
    let plan = plan_of(
        json!({ "id": "tidy", "kind": "refactoring", "title": "Tidy", "description": "Tidy the tests.",
        "target_files": ["tests/test_money.py"], "new_files": ["conftest.py"], "target_symbols": [],
        "acceptance_criteria": ["tidy"], "depends_on": [] }),
    );
    let mut both = whole_file("conftest.py", "insert", "import pytest\n");
    let removal = whole_file("tests/test_money.py", "delete", "")["edits"][0].clone();
    both["edits"].as_array_mut().unwrap().push(removal);
    let mut stage = planned_as(plan, vec![("code:tidy", both)], &FakeSandbox::new()).await;
    let output = code(stage.run("code:tidy").await.unwrap());
    assert_eq!(output.changes.files[&path("tests/test_money.py")], FileState::Deleted);
    assert_eq!(stage.events(EventType::EditRejected), Vec::<Value>::new());
}

#[tokio::test]
async fn what_the_guardrails_refuse_goes_back_once_and_then_to_a_person() {
    let forbidden = json!({ "summary": "ci", "edits": [{ "file_path": ".github/workflows/ci.yml", "edit_type": "insert",
        "locator": { "whole_file": true }, "patch": "on: push\n", "rationale_summary": "r" }] });
    let step = "code:count-last-day";
    let mut stage = planned(vec![(step, forbidden.clone()), (step, forbidden)], &FakeSandbox::new()).await;
    let failure = stage.run(step).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Policy);
    assert!(failure.text.contains(".github/workflows"), "{}", failure.text);
    let decisions = stage.events(EventType::PolicyDecision);
    assert!(decisions.len() == 2 && decisions.iter().all(|decision| decision["decision"] == "refuse"));
}

/// A stage whose first subtask is coded with a proof.
pub async fn coded(replies: Vec<(&str, Value)>, sandbox: &FakeSandbox) -> Stage {
    sandbox.reply(junit(&[(PROOF, Failed, "assert 2 == 3"), (INVOICE, Failed, "assert")]));
    let mut all = vec![
        ("reproduce:count-last-day", recorded("reproduce:count-last-day", 1)),
        ("code:count-last-day", recorded("code:count-last-day", 2)),
    ];
    all.extend(replies);
    let mut stage = planned(all, sandbox).await;
    stage.run("reproduce:count-last-day").await.unwrap();
    stage.run("code:count-last-day").await.unwrap();
    stage
}

#[tokio::test]
async fn a_test_run_is_good_where_only_old_failures_are_left() {
    let sandbox = FakeSandbox::new();
    let mut stage = coded(vec![], &sandbox).await;
    let old = ("tests.test_cli::test_old", Failed, "assert");
    sandbox.reply(junit(&[(PROOF, Passed, ""), (INVOICE, Passed, ""), old]));
    // Without the change it failed as well.
    sandbox.reply(junit(&[old]));
    let output = test(stage.run("test:count-last-day").await.unwrap());
    assert!(output.passed);
    assert_eq!((output.summary.passed, output.summary.failed), (2, 1));
    assert!(
        output.digest.contains("tests.test_cli::test_old: fails as it did without the change"),
        "{}",
        output.digest
    );
    assert_eq!(sandbox.unused(), 0);
}

#[tokio::test]
async fn a_failing_run_is_analysed_and_the_next_round_sees_it() {
    let sandbox = FakeSandbox::new();
    let analysis = recorded("test:block-return-day", 1);
    let again = json!({ "summary": "again", "edits": [{ "file_path": "src/hirelog/spans.py", "edit_type": "replace",
        "locator": { "symbol": "parse_month" }, "patch": "def parse_month(text):\n    \"\"\"Year and month.\"\"\"\n    day = parse_day(f\"{text.strip()}-01\")\n    return day.year, day.month\n",
        "rationale_summary": "r" }] });
    let replies = vec![("test:count-last-day", analysis), ("code:count-last-day#2", again)];
    let mut stage = coded(replies, &sandbox).await;
    sandbox.reply(junit(&[(PROOF, Failed, "assert 4 == 3"), (INVOICE, Passed, "")]));
    let output = test(stage.run("test:count-last-day").await.unwrap());
    assert!(!output.passed);
    assert!(output.digest.contains("assert 4 == 3"), "{}", output.digest);
    assert_eq!(output.analysis.unwrap().suspects.len(), 2);

    let second = code(stage.run("code:count-last-day#2").await.unwrap());
    let calls = stage.events(EventType::ModelCall);
    let prompt = calls.last().unwrap()["prompt"].as_str().unwrap().parse().unwrap();
    let prompt = stage.text(&prompt).await;
    for shown in [
        "assert 4 == 3",
        "the rule is symmetric",
        "+        return (self.last - self.first).days + 1",
        "| def parse_month(text):",
    ] {
        assert!(prompt.contains(shown), "{shown} is missing in:\n{prompt}");
    }
    // The second round builds on the first.
    assert!(content(&stage, &second, "src/hirelog/spans.py").await.contains("days + 1"));
}

#[tokio::test]
async fn a_suite_that_ends_without_a_report_fails_and_says_how() {
    let sandbox = FakeSandbox::new();
    let replies = vec![("test:count-last-day", recorded("test:block-return-day", 1))];
    let mut stage = coded(replies, &sandbox).await;
    let mut killed = junit(&[]);
    killed.collected.clear();
    killed.outputs[0].exit = toryo_sandbox::Exit::TimedOut;
    killed.outputs[0].text = "File \"tests/test_cli.py\", line 9 in test_hangs".into();
    sandbox.reply(killed);
    // Without the change it ends well.
    sandbox.reply(junit(&[("tests.test_cli::test_old", Passed, "")]));
    let output = test(stage.run("test:count-last-day").await.unwrap());
    assert!(!output.passed);
    assert!(output.summary.failing.contains(&"toryo::test-command".to_owned()), "{:?}", output.summary);
    assert!(output.digest.contains("killed at its time limit"), "{}", output.digest);
}

#[tokio::test]
async fn the_critic_sees_patch_and_tests_apart_and_a_blocking_finding_stops() {
    let sandbox = FakeSandbox::new();
    let mut review = recorded("critic:count-last-day", 1);
    review["findings"][0]["severity"] = json!("blocking");
    let mut stage = coded(vec![("critic:count-last-day", review)], &sandbox).await;
    sandbox.reply(junit(&[(PROOF, Passed, ""), (INVOICE, Passed, "")]));
    stage.run("test:count-last-day").await.unwrap();
    let Output::Critic(CriticOutput { approved, findings, .. }) =
        stage.run("critic:count-last-day").await.unwrap()
    else {
        panic!("no review")
    };
    assert!(!approved);
    assert_eq!(findings[0].severity, Severity::Blocking);
    assert_eq!(stage.events(EventType::ReviewFinding).len(), findings.len());
    let calls = stage.events(EventType::ModelCall);
    let prompt = calls.last().unwrap()["prompt"].as_str().unwrap().parse().unwrap();
    let prompt = stage.text(&prompt).await;
    let (patch, tests) = prompt.split_once("# Its tests").unwrap();
    assert!(patch.contains("days + 1") && !patch.contains("test_both_days_are_counted"));
    assert!(tests.contains("+def test_both_days_are_counted"));
}

#[tokio::test]
async fn a_change_too_long_for_one_review_is_said_to_be_reviewed_in_part() {
    let plan = plan_of(
        json!({ "id": "say-it", "kind": "documentation", "title": "Say it", "description": "Say it at length.",
        "target_files": ["docs/changes.md"], "new_files": ["docs/long.md"], "target_symbols": [],
        "acceptance_criteria": ["it is said"], "depends_on": [] }),
    );
    let long = format!("{}\n", "a b c d e f g h i j k l m n o p q r s t u v w x y z").repeat(500);
    let review = json!({ "patch_verdict": "good", "test_verdict": "none", "findings": [],
        "criteria": [{ "criterion": "it is said", "met": true, "evidence": "e" }] });
    let replies =
        vec![("code:say-it", whole_file("docs/long.md", "insert", &long)), ("critic:say-it", review)];
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = planned_as(plan, replies, &sandbox).await;
    stage.run("code:say-it").await.unwrap();
    stage.run("test:say-it").await.unwrap();
    let Output::Critic(output) = stage.run("critic:say-it").await.unwrap() else { panic!("no review") };
    assert!(output.approved);
    let partial: Vec<_> = output.findings.iter().filter(|finding| finding.rule == "review.partial").collect();
    assert_eq!((partial.len(), partial[0].severity), (1, Severity::Warning), "{:?}", output.findings);
    assert!(partial[0].text.starts_with("Only partly reviewed: the diff"), "{}", partial[0].text);
}

#[tokio::test]
async fn a_criterion_that_stays_unmet_blocks() {
    let mut review = recorded("critic:count-last-day", 1);
    review["findings"] = json!([]);
    review["criteria"][0]["met"] = json!(false);
    let sandbox = FakeSandbox::new();
    let step = "critic:count-last-day";
    let mut stage = coded(vec![(step, review.clone()), (step, review)], &sandbox).await;
    sandbox.reply(junit(&[(PROOF, Passed, ""), (INVOICE, Passed, "")]));
    stage.run("test:count-last-day").await.unwrap();
    let Output::Critic(output) = stage.run(step).await.unwrap() else { panic!("no review") };
    assert!(!output.approved);
    assert_eq!(output.findings[0].severity, Severity::Blocking);
}

#[tokio::test]
async fn a_documentation_subtask_goes_without_a_proof() {
    let plan = plan_of(
        json!({ "id": "say-it", "kind": "documentation", "title": "Say it", "description": "Say it in the changes.",
        "target_files": ["docs/changes.md"], "new_files": [], "target_symbols": [], "acceptance_criteria": ["it is said"], "depends_on": [] }),
    );
    let edit = json!({ "summary": "said", "edits": [{ "file_path": "docs/changes.md", "edit_type": "insert",
        "locator": { "line_range": [1, 1], "expect": "# Changes", "position": "after" }, "patch": "\nBoth days count.\n", "rationale_summary": "r" }] });
    let sandbox = FakeSandbox::new();
    let mut stage = planned_as(plan, vec![("code:say-it", edit)], &sandbox).await;
    let output = code(stage.run("code:say-it").await.unwrap());
    assert!(content(&stage, &output, "docs/changes.md").await.starts_with("# Changes\n\nBoth days count.\n"));
    sandbox.reply(junit(&[("tests.test_cli::test_x", Passed, "")]));
    assert!(test(stage.run("test:say-it").await.unwrap()).passed);
}

/// Two subtasks on `src/hirelog/money.py`; the second one depends on the first where that is said.
pub fn two_on_money(depends_on: &[&str]) -> Value {
    let subtask = |id: &str, depends_on: &[&str]| {
        json!({ "id": id, "kind": "refactoring", "title": id, "description": id, "target_files": ["src/hirelog/money.py"],
            "new_files": [], "target_symbols": [], "acceptance_criteria": ["it works"], "depends_on": depends_on })
    };
    json!({ "summary": "two", "subtasks": [subtask("one", &[]), subtask("two", depends_on)] })
}

/// Replaces the line `sign = …` of `format_amount`.
pub fn sign_edit(expect: &str, line: &str) -> Value {
    json!({ "summary": line, "edits": [{ "file_path": "src/hirelog/money.py", "edit_type": "replace",
        "locator": { "line_range": [21, 21], "expect": expect }, "patch": line, "rationale_summary": "r" }] })
}

pub const SIGN: &str = "    sign = \"-\" if cents < 0 else \"\"";

pub fn passing() -> toryo_sandbox::JobReport {
    junit(&[("tests.test_money::test_x", Passed, "")])
}

#[tokio::test]
async fn a_subtask_starts_from_what_it_depends_on() {
    let mark = "    sign = \"−\" if cents < 0 else \"\"\n";
    let retrieve = || recorded("retrieve:count-last-day", 1);
    let replies = vec![
        ("code:one", sign_edit(SIGN, mark)),
        ("retrieve:two", retrieve()),
        ("code:two", sign_edit(mark.trim_end(), "    sign = \"minus \" if cents < 0 else \"\"\n")),
    ];
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = planned_as(two_on_money(&["one"]), replies, &sandbox).await;
    for step in ["code:one", "retrieve:two", "code:two"] {
        stage.run(step).await.unwrap();
    }
    let Output::Merge(merge) = stage.run("merge").await.unwrap() else { panic!("no join") };
    assert!(merge.is_sound(), "{merge:?}");
    assert!(stage.text(&merge.diff).await.contains("+    sign = \"minus \" if cents"));
    assert_eq!(merge.reproduced, Vec::<String>::new());
}

#[tokio::test]
async fn subtasks_that_disagree_are_joined_by_the_coder() {
    let (one, two) =
        ("    sign = \"−\" if cents < 0 else \"\"\n", "    sign = \"minus \" if cents < 0 else \"\"\n");
    let both = "    sign = \"minus −\" if cents < 0 else \"\"\n";
    let retrieve = || recorded("retrieve:count-last-day", 1);
    let replies = vec![
        ("code:one", sign_edit(SIGN, one)),
        ("retrieve:two", retrieve()),
        ("code:two", sign_edit(SIGN, two)),
        ("code:merged", sign_edit(one.trim_end(), both)),
    ];
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = planned_as(two_on_money(&[]), replies, &sandbox).await;
    for step in ["code:one", "retrieve:two", "code:two"] {
        stage.run(step).await.unwrap();
    }
    let Output::Merge(first) = stage.run("merge").await.unwrap() else { panic!("no join") };
    assert!(!first.is_sound() && first.test.is_none());
    assert_eq!((first.conflicts.len(), first.conflicts[0].subtask.as_str()), (1, "two"));
    stage.say("Keep both signs.");
    stage.run("code:merged").await.unwrap();
    let calls = stage.events(EventType::ModelCall);
    let prompt = calls.last().unwrap()["prompt"].as_str().unwrap().parse().unwrap();
    let prompt = stage.text(&prompt).await;
    assert!(
        prompt.contains("not taken over:")
            && prompt.contains("minus ")
            && prompt.contains("Keep both signs.")
    );
    let Output::Merge(second) = stage.run("merge#2").await.unwrap() else { panic!("no join") };
    assert!(second.is_sound(), "{second:?}");
    assert!(stage.text(&second.diff).await.contains("+    sign = \"minus −\" if cents"));
}

/// What the Tester leaves: this change of the tests.
fn proof(changes: &CodeOutput) -> Output {
    Output::Reproduce(ReproduceOutput {
        changes: changes.changes.clone(),
        must_pass: vec![],
        failed_before: true,
        log: None,
        note: "As expected.".into(),
    })
}

#[tokio::test]
async fn the_critic_reviews_the_joined_tree_by_the_criteria_of_the_specification() {
    let other = json!({ "summary": "other", "edits": [{ "file_path": "src/hirelog/money.py", "edit_type": "ast_patch",
        "locator": { "symbol": "percentage" }, "patch": [{ "op": "set_docstring", "text": "Some per cent." }], "rationale_summary": "r" }] });
    let criteria = recorded("spec", 1)["acceptance_criteria"].as_array().unwrap().clone();
    let judged: Vec<Value> = criteria
        .iter()
        .map(|criterion| json!({ "criterion": criterion, "met": true, "evidence": "e" }))
        .collect();
    let finding =
        json!({ "severity": "warning", "rule": "design", "path": null, "line": null, "text": "look twice" });
    let review =
        json!({ "patch_verdict": "good", "test_verdict": "good", "criteria": judged, "findings": [finding] });
    let mut fewer = review.clone();
    fewer["criteria"] = json!([judged[0]]);
    let replies = vec![
        ("code:one", sign_edit(SIGN, "    sign = \"−\" if cents < 0 else \"\"\n")),
        ("retrieve:two", recorded("retrieve:count-last-day", 1)),
        ("code:two", other),
        ("critic:merged", fewer),
        ("critic:merged", review),
        ("integrate", recorded("integrate", 1)),
    ];
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = planned_as(two_on_money(&[]), replies, &sandbox).await;
    for step in ["code:one", "retrieve:two", "code:two", "merge"] {
        stage.run(step).await.unwrap();
    }
    let Output::Critic(output) = stage.run("critic:merged").await.unwrap() else { panic!("no review") };
    assert!(output.approved, "{output:?}");
    assert!(criteria.len() > 1, "a review of one criterion is too short");
    let prompt = last_prompt(&stage).await;
    for shown in [
        "+    sign = \"−\"",
        "Some per cent.",
        criteria[1].as_str().unwrap(),
        "1 passed",
        "your review judges 1",
    ] {
        assert!(prompt.contains(shown), "{shown} is missing in:\n{prompt}");
    }
    stage.run("integrate").await.unwrap();
    let prompt = last_prompt(&stage).await;
    assert!(prompt.contains("look twice"), "{prompt}");
}

#[tokio::test]
async fn the_join_is_repaired_without_touching_any_subtasks_proof() {
    let one = "    sign = \"−\" if cents < 0 else \"\"\n";
    let two = "    sign = \"minus \" if cents < 0 else \"\"\n";
    let test = json!({ "summary": "t", "edits": [{ "file_path": "tests/test_money.py", "edit_type": "insert",
        "locator": { "line_range": [1, 1], "expect": "import pytest", "position": "before" }, "patch": "# proof\n", "rationale_summary": "r" }] });
    let replies = vec![
        ("code:one", test.clone()),
        ("code:one#2", sign_edit(SIGN, one)),
        ("retrieve:two", recorded("retrieve:count-last-day", 1)),
        ("code:two", sign_edit(SIGN, two)),
        ("code:merged", test),
        ("code:merged", sign_edit(one.trim_end(), two)),
    ];
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = planned_as(two_on_money(&[]), replies, &sandbox).await;
    let tests = code(stage.run("code:one").await.unwrap());
    stage.outputs.remove(&"code:one".parse::<StepKey>().unwrap());
    stage.outputs.insert("reproduce:one".parse().unwrap(), proof(&tests));
    for step in ["code:one#2", "retrieve:two", "code:two", "merge", "code:merged"] {
        stage.run(step).await.unwrap();
    }
    let rejected = stage.events(EventType::EditRejected);
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    let reason = rejected[0]["refusals"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("proves the subtask"), "{reason}");
}

#[tokio::test]
async fn side_by_side_changes_of_one_file_are_both_kept() {
    let other = json!({ "summary": "other", "edits": [{ "file_path": "src/hirelog/money.py", "edit_type": "ast_patch",
        "locator": { "symbol": "percentage" }, "patch": [{ "op": "set_docstring", "text": "Some per cent." }], "rationale_summary": "r" }] });
    let replies = vec![
        ("code:one", sign_edit(SIGN, "    sign = \"−\" if cents < 0 else \"\"\n")),
        ("retrieve:two", recorded("retrieve:count-last-day", 1)),
        ("code:two", other),
    ];
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = planned_as(two_on_money(&[]), replies, &sandbox).await;
    for step in ["code:one", "retrieve:two", "code:two"] {
        stage.run(step).await.unwrap();
    }
    let Output::Merge(merge) = stage.run("merge").await.unwrap() else { panic!("no join") };
    let diff = stage.text(&merge.diff).await;
    assert!(
        merge.is_sound()
            && diff.contains("+    sign = \"−\"")
            && diff.contains("+    \"\"\"Some per cent.\"\"\""),
        "{diff}"
    );
}
