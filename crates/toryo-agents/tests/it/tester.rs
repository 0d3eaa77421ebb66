//! What the Tester believes and what not, with a sandbox that runs nothing.

use crate::harness::{Stage, junit, recorded};
use crate::steps::{INVOICE, PROOF, SIGN, passing, planned_as, reproduce, sign_edit, test, two_on_money};
use serde_json::{Value, json};
use toryo_blackboard::BlobStore;
use toryo_domain::TestOutcome::{Failed, Passed, Skipped};
use toryo_domain::output::MergeOutput;
use toryo_domain::{EventType, FailureClass, FileState, Output};
use toryo_sandbox::Exit;
use toryo_sandbox::fake::FakeSandbox;

const MINUS: &str = "    sign = \"−\" if cents < 0 else \"\"\n";

/// A plan of one subtask, without a proof, on `src/hirelog/money.py`.
fn one_on_money() -> Value {
    let mut plan = two_on_money(&[]);
    plan["subtasks"].as_array_mut().unwrap().truncate(1);
    plan
}

/// A stage whose only subtask is coded.
async fn one_coded(replies: Vec<(&str, Value)>, sandbox: &FakeSandbox) -> Stage {
    let mut all = vec![("code:one", sign_edit(SIGN, MINUS))];
    all.extend(replies);
    let mut stage = planned_as(one_on_money(), all, sandbox).await;
    stage.run("code:one").await.unwrap();
    stage
}

fn merge(output: Output) -> MergeOutput {
    let Output::Merge(output) = output else { panic!("{output:?}") };
    output
}

#[tokio::test]
async fn coverage_below_the_repositorys_own_limit_fails_no_join() {
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = one_coded(vec![], &sandbox).await;
    assert!(merge(stage.run("merge").await.unwrap()).is_sound());
    let argv = &sandbox.jobs()[0].commands[0].argv;
    assert!(argv.contains(&"--cov-fail-under=0".to_owned()), "{argv:?}");
}

/// Puts a file into the tree behind the back of Coder and guardrails.
async fn plant(stage: &mut Stage, path: &str, text: &'static str) {
    let digest = stage.blobs.put(text.into()).await.unwrap();
    let Some(Output::Code(code)) = stage.outputs.get_mut(&"code:one".parse().unwrap()) else { panic!() };
    code.changes.files.insert(path.parse().unwrap(), FileState::Present { digest, executable: false });
}

#[tokio::test]
async fn a_report_that_lies_in_the_tree_is_not_believed() {
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = one_coded(vec![], &sandbox).await;
    for path in [".toryo/junit.xml", ".toryo/coverage.xml", "out/junit.xml"] {
        plant(&mut stage, path, "<testsuites/>").await;
    }
    stage.run("test:one").await.unwrap();
    let files = &sandbox.jobs()[0].files;
    let reports: Vec<&str> =
        files.iter().map(|file| file.path.as_str()).filter(|path| path.ends_with(".xml")).collect();
    assert_eq!(reports, ["out/junit.xml"], "other files stay");
}

#[tokio::test]
async fn a_change_does_not_choose_what_is_installed() {
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = one_coded(vec![], &sandbox).await;
    stage.run("test:one").await.unwrap();
    for path in ["setup.py", "pyproject.toml", "requirements-evil.txt"] {
        plant(&mut stage, path, "evil").await;
    }
    stage.run("test:one").await.unwrap();
    let prepared = sandbox.preparations();
    let (before, after) = (&prepared.first().unwrap().files, &prepared.last().unwrap().files);
    assert_eq!(before, after);
    assert!(before.iter().any(|file| file.path.as_str() == "pyproject.toml" && &*file.content != b"evil"));
    assert!(sandbox.jobs().last().unwrap().files.iter().any(|file| &*file.content == b"evil"));
}

fn analysis() -> Value {
    recorded("test:block-return-day", 1)
}

#[tokio::test]
async fn a_run_without_tests_is_bad_where_tests_passed_before() {
    let sandbox = FakeSandbox::new();
    let mut stage = one_coded(vec![("test:one", analysis())], &sandbox).await;
    let mut none = junit(&[]);
    none.outputs[0].exit = Exit::Code(5);
    sandbox.reply(none);
    sandbox.reply(passing());
    let output = test(stage.run("test:one").await.unwrap());
    assert!(!output.passed);
    assert_eq!(output.summary.failing, ["tests.test_money::test_x", "toryo::test-command"]);
    assert!(output.digest.starts_with("No test passed"), "{}", output.digest);
    assert_eq!(stage.events(EventType::TestReport)[0]["failing"], json!(output.summary.failing));
}

#[tokio::test]
async fn where_there_are_no_tests_at_all_it_is_said() {
    let sandbox = FakeSandbox::answering(|_| {
        let mut none = junit(&[]);
        none.outputs[0].exit = Exit::Code(5);
        Ok(none)
    });
    let mut stage = one_coded(vec![], &sandbox).await;
    let output = test(stage.run("test:one").await.unwrap());
    assert!(output.passed);
    assert!(output.digest.contains("NO TEST PASSES"), "{}", output.digest);
    let output = merge(stage.run("merge").await.unwrap()).test.unwrap();
    assert!(output.digest.contains("NO TEST PASSES"), "{}", output.digest);
}

#[tokio::test]
async fn where_a_command_names_no_tests_it_is_said() {
    let sandbox = FakeSandbox::answering(|_| {
        let mut silent = junit(&[]);
        silent.collected.clear();
        Ok(silent)
    });
    let mut stage = one_coded(vec![], &sandbox).await;
    let output = test(stage.run("test:one").await.unwrap());
    assert!(output.passed && output.digest.contains("NO TEST IS REPORTED"), "{}", output.digest);
}

#[tokio::test]
async fn a_test_that_is_skipped_or_gone_is_a_new_failure() {
    let sandbox = FakeSandbox::new();
    let mut stage = one_coded(vec![("test:one", analysis()), ("merge", analysis())], &sandbox).await;
    let ids = ["tests.test_money::test_x", "tests.test_money::test_y", "tests.test_money::test_z"];
    let now = || junit(&[(ids[0], Passed, ""), (ids[1], Skipped, "")]);
    sandbox.reply(now());
    sandbox.reply(junit(&[(ids[0], Passed, ""), (ids[1], Passed, ""), (ids[2], Passed, "")]));
    let output = test(stage.run("test:one").await.unwrap());
    assert!(!output.passed);
    assert_eq!(output.summary.failing, ids[1..]);
    assert!(
        output.digest.contains("missing or skipped now:\n- tests.test_money::test_y"),
        "{}",
        output.digest
    );
    // The join is measured against the same tree; its report is still known.
    sandbox.reply(now());
    let output = merge(stage.run("merge").await.unwrap());
    assert!(!output.is_sound());
    assert_eq!(sandbox.unused(), 0);
}

#[tokio::test]
async fn a_subtask_does_not_start_where_those_before_it_disagree() {
    let mut plan = two_on_money(&[]);
    let mut third = two_on_money(&["one", "two"])["subtasks"][1].clone();
    third["id"] = json!("three");
    third["depends_on"] = json!(["one", "two"]);
    plan["subtasks"].as_array_mut().unwrap().push(third);
    let replies = vec![
        ("code:one", sign_edit(SIGN, MINUS)),
        ("retrieve:two", recorded("retrieve:count-last-day", 1)),
        ("code:two", sign_edit(SIGN, "    sign = \"minus \" if cents < 0 else \"\"\n")),
    ];
    let mut stage = planned_as(plan, replies, &FakeSandbox::new()).await;
    for step in ["code:one", "retrieve:two", "code:two"] {
        stage.run(step).await.unwrap();
    }
    for step in ["retrieve:three", "reproduce:three", "code:three"] {
        let failure = stage.run(step).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Policy, "{step}");
        assert!(failure.text.contains("`two` on src/hirelog/money.py"), "{step}: {}", failure.text);
    }
}

#[tokio::test]
async fn the_joined_change_has_to_keep_to_the_guardrails_as_well() {
    let add = |file: &str| {
        let lines: String = (0..600).map(|number| format!("N{number} = {number}\n")).collect();
        json!({ "summary": "add", "edits": [{ "file_path": file, "edit_type": "insert",
            "locator": { "whole_file": true }, "patch": lines, "rationale_summary": "r" }] })
    };
    let replies = vec![
        ("code:one", add("src/hirelog/one.py")),
        ("retrieve:two", recorded("retrieve:count-last-day", 1)),
        ("code:two", add("src/hirelog/two.py")),
    ];
    let sandbox = FakeSandbox::answering(|_| Ok(passing()));
    let mut stage = planned_as(two_on_money(&[]), replies, &sandbox).await;
    for step in ["code:one", "retrieve:two", "code:two"] {
        stage.run(step).await.unwrap();
    }
    let failure = stage.run("merge").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Policy);
    assert!(failure.text.contains("changed lines"), "{}", failure.text);
    assert_eq!(stage.events(EventType::PolicyDecision).last().unwrap()["decision"], "refuse");
    assert!(stage.recorder.artifacts().iter().any(|artifact| artifact.name == "run.diff"));
    assert_eq!(sandbox.jobs().len(), 0, "nothing is run");
}

/// A stage whose first subtask of the sample is coded and proved; the plan has no other.
async fn one_proved(sandbox: &FakeSandbox) -> Stage {
    let mut plan = recorded("plan", 1);
    plan["subtasks"].as_array_mut().unwrap().truncate(1);
    let steps = ["reproduce:count-last-day", "code:count-last-day"];
    let replies = vec![(steps[0], recorded(steps[0], 1)), (steps[1], recorded(steps[1], 2))];
    let mut stage = planned_as(plan, replies, sandbox).await;
    sandbox.reply(junit(&[(PROOF, Failed, "assert 2 == 3"), (INVOICE, Failed, "assert")]));
    for step in steps {
        stage.run(step).await.unwrap();
    }
    stage
}

#[tokio::test]
async fn a_join_without_its_proof_is_not_sound() {
    let sandbox = FakeSandbox::new();
    let mut stage = one_proved(&sandbox).await;
    let both = || junit(&[(PROOF, Passed, ""), (INVOICE, Passed, "")]);
    sandbox.reply(both());
    // Without the change, looked at once.
    sandbox.reply(junit(&[]));
    sandbox.reply(junit(&[(PROOF, Passed, ""), (INVOICE, Failed, "assert")]));
    let output = merge(stage.run("merge").await.unwrap());
    let test = output.test.as_ref().unwrap();
    assert!(!output.is_sound() && !test.passed);
    assert!(test.digest.contains(PROOF) && !test.digest.contains(INVOICE), "{}", test.digest);
    assert_eq!(output.reproduced, [INVOICE]);
    // Both fail on the base commit: the proof.
    sandbox.reply(both());
    sandbox.reply(junit(&[(PROOF, Failed, "assert"), (INVOICE, Failed, "assert")]));
    let output = merge(stage.run("merge").await.unwrap());
    assert!(output.is_sound());
    assert_eq!((output.reproduced.len(), sandbox.unused()), (2, 0));
}

#[tokio::test]
async fn names_of_tests_and_notes_are_masked_and_short() {
    const SECRET: &str = "hunter2-of-the-operator";
    let step = "reproduce:count-last-day";
    let mut reply = recorded(step, 1);
    reply["summary"] = json!(format!("Tests that know {SECRET}."));
    let sandbox = FakeSandbox::new();
    let long = format!("tests.test_x::test_y[{}]", "p".repeat(900));
    let leak = format!("tests.test_x::test_z[{SECRET}]");
    sandbox.reply(junit(&[
        (PROOF, Failed, "assert 2 == 3"),
        (INVOICE, Failed, "assert"),
        (&long, Failed, "assert"),
        (&leak, Failed, "assert"),
    ]));
    let mut stage = planned_as(recorded("plan", 1), vec![(step, reply)], &sandbox).await;
    let output = reproduce(stage.run(step).await.unwrap());
    assert!(output.note.starts_with("Tests that know ") && !output.note.contains(SECRET), "{}", output.note);
    let event = &stage.events(EventType::TestReport)[0];
    let failing: Vec<&str> = event["failing"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(failing.len(), 4);
    assert!(failing.iter().all(|id| id.chars().count() <= 300 && !id.contains(SECRET)), "{failing:?}");
    let report = event["report"].as_str().unwrap().parse().unwrap();
    assert!(!stage.text(&report).await.contains(SECRET));
}

#[tokio::test]
async fn a_failing_run_asks_the_same_when_it_is_run_again() {
    let sandbox = FakeSandbox::new();
    let mut stage = one_coded(vec![("test:one", analysis())], &sandbox).await;
    let run = |time: &str, address: &str| {
        let failure = format!("assert &lt;A object at {address}&gt; == 3");
        let mut report = junit(&[("tests.test_money::test_x", Failed, &failure)]);
        report.outputs[0].text = format!("1 failed in {time}");
        report
    };
    let silent = |time: &str| {
        let mut report = run(time, "0x1");
        report.collected.clear();
        report
    };
    let mut digests = Vec::new();
    for (report, baseline) in [
        (run("0.53s", "0x7f3c2a1b4d30"), Some(passing())),
        (run("61.20s (0:01:01)", "0x7f3c2a1b0000"), None),
        (silent("0.53s"), None),
        (silent("0.54s"), None),
    ] {
        sandbox.reply(report);
        baseline.into_iter().for_each(|report| sandbox.reply(report));
        digests.push(test(stage.run("test:one").await.unwrap()).digest);
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[2], digests[3]);
    let calls = stage.events(EventType::ModelCall);
    assert_eq!(calls[calls.len() - 3]["journalled"], true);
    assert_eq!(calls[calls.len() - 1]["journalled"], true);
}
