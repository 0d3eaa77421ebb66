//! The whole recorded run: the engine's own `advance` decides, agents work on real Git in real Docker.

use crate::harness::Stage;
use std::sync::Arc;
use std::time::Duration;
use toryo_agents::sample;
use toryo_blackboard::StepRow;
use toryo_blackboard::runs::Control;
use toryo_domain::{Approval, EventType, Output, Role, StepId, StepKey, StepStatus};
use toryo_engine::advance::{Graph, Rules, Turn, advance};
use toryo_forge::Mirror;
use toryo_models::journal::memory::MemoryJournal;
use toryo_models::provider::replay::Replay;
use toryo_models::{Config, Gateway, Providers};
use toryo_sandbox::Sandbox;
use toryo_sandbox::docker::DockerSandbox;

/// A run goes through about twenty steps; more is a loop.
const MOST_STEPS: usize = 60;

fn row(stage: &Stage, key: StepKey, depends_on: Vec<StepKey>) -> StepRow {
    StepRow {
        id: StepId::generate(),
        run_id: stage.run_id,
        role: key.kind.role(),
        key,
        status: StepStatus::Pending,
        depends_on,
        attempts: 0,
        epoch: 0,
        output: None,
        failure: None,
        ready_at: None,
        created_at: stage.task.created_at,
        started_at: None,
        finished_at: None,
    }
}

/// Executes steps as the engine would, one after the other; their keys in order.
async fn play(stage: &mut Stage) -> Vec<String> {
    let rules = Rules { approval: Approval::None, repair_loops: 5, control: Control::default() };
    let mut rows: Vec<StepRow> = Vec::new();
    let mut order = Vec::new();
    while order.len() < MOST_STEPS {
        let next = advance(&Graph::new(&rows), &rules);
        match next.turn {
            Some(Turn::Succeed) => return order,
            Some(turn) => panic!("the run stops: {turn:?} after {order:?}"),
            None => {}
        }
        rows.extend(next.append.into_iter().map(|step| row(stage, step.key, step.depends_on)));
        assert!(!next.unblock.is_empty(), "nothing can go on after {order:?}");
        for key in next.unblock {
            let output = stage.run(&key.to_string()).await;
            let output = output.unwrap_or_else(|failure| panic!("{key} failed: {failure:?}"));
            order.push(key.to_string());
            let row = rows.iter_mut().find(|row| row.key == key).unwrap();
            (row.status, row.output) = (StepStatus::Succeeded, Some(output));
        }
    }
    panic!("the run does not end: {order:?}");
}

fn replaying(sandbox: Arc<dyn Sandbox>) -> Stage {
    let replay = Replay::from_json(sample::RECORDING).unwrap();
    let providers = Providers::new().with("openai", Arc::new(replay));
    let gateway = Gateway::new(&Config::default(), providers, Arc::new(MemoryJournal::new())).unwrap();
    Stage::with_gateway(gateway, sandbox)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_run_makes_a_tested_pull_request() {
    let config = toryo_sandbox::Config::default();
    let sandbox = DockerSandbox::new(config, |name| std::env::var(name).ok()).unwrap();
    let check = sandbox.check().await.expect("this test needs a Docker engine");
    assert!(check.image.is_some(), "this test needs the sandbox image: `toryo sandbox build` makes it");
    let mut stage = replaying(Arc::new(sandbox));
    let order = play(&mut stage).await;
    insta::assert_snapshot!("order_of_steps", order.join("\n"));

    // One first attempt failed and was repaired, one edit was refused and corrected, one finding did not block.
    let Output::Test(failed) = &stage.outputs[&"test:block-return-day".parse().unwrap()] else { panic!() };
    assert!(!failed.passed);
    assert_eq!(
        failed.summary.failing,
        ["tests.test_availability::test_a_span_that_ends_on_the_first_day_overlaps"]
    );
    assert_eq!(stage.events(EventType::EditRejected).len(), 1);
    assert_eq!(stage.events(EventType::ReviewFinding).len(), 1);
    for key in ["reproduce:count-last-day", "reproduce:block-return-day"] {
        let Output::Reproduce(output) = &stage.outputs[&key.parse().unwrap()] else { panic!() };
        assert!(output.failed_before, "{}", output.note);
    }
    let Output::Merge(merge) = &stage.outputs[&"merge".parse().unwrap()] else { panic!() };
    assert!(merge.is_sound());
    assert_eq!(merge.reproduced.len(), 4, "every new test failed on the base commit");
    let coverage = merge.test.as_ref().unwrap().summary.coverage.unwrap();
    assert!((0.5..=1.0).contains(&coverage), "{coverage}");
    insta::assert_snapshot!("the_change", stage.text(&merge.diff).await);

    let (request, _) = stage.pulls.all().pop().expect("a pull request");
    assert_eq!(request.head_branch, "toryo/b302099a8057-count-the-last-day-of-a-hire");
    let body = request.body.replace(&format!("{:.1}", coverage * 100.0), "[coverage]");
    insta::assert_snapshot!("pull_request", format!("{}\n\n{body}", request.title));
    let log = Mirror::at(stage.repository().join(".git")).log(&request.head_commit, 2).await.unwrap();
    assert_eq!(log[0].subject, "fix(spans): count the last day of a hire");
    assert_eq!(log[1].commit, stage.commit);

    // The last step again, as after a crash: the same commit, the same pull request, nothing paid.
    let before = stage.outputs[&"integrate".parse().unwrap()].clone();
    assert_eq!(stage.execute(&"integrate".parse().unwrap()).await.unwrap(), before);
    assert_eq!(stage.pulls.all().len(), 1);
    let calls = stage.events(EventType::ModelCall);
    assert_eq!(calls.last().unwrap()["journalled"], true);
    assert!(calls.iter().all(|call| call["recorded"] == true));
    assert_eq!(stage.events(EventType::PullRequestOpened).len(), 1);
    assert_eq!(stage.events(EventType::PullRequestUpdated).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_test_command_ends_within_a_second_of_a_cancel() {
    let config = toryo_sandbox::Config::default();
    let sandbox = DockerSandbox::new(config, |name| std::env::var(name).ok()).unwrap();
    let stage = replaying(Arc::new(sandbox));
    let mut stage = stage;
    for step in ["spec", "plan", "retrieve:count-last-day"] {
        stage.run(step).await.unwrap();
    }
    let cancel = stage.cancel.clone();
    let recorder = stage.recorder.clone();
    let watch = async move {
        // The sandbox says what it runs before it runs it.
        let is_running =
            || recorder.events().iter().any(|event| event.data.to_string().contains("running python3"));
        while !is_running() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel();
        tokio::time::Instant::now()
    };
    let key: StepKey = "reproduce:count-last-day".parse().unwrap();
    assert_eq!(key.kind.role(), Role::Tester);
    let (result, cancelled_at) = tokio::join!(stage.execute(&key), watch);
    assert_eq!(result.unwrap_err().class, toryo_domain::FailureClass::Cancelled);
    assert!(cancelled_at.elapsed() < Duration::from_secs(2), "{:?}", cancelled_at.elapsed());
}
