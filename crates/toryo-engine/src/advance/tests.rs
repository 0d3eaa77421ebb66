//! Runs are played through the pure function alone: a table of what each step would leave, no database.

use super::*;
use proptest::prelude::*;
use std::fmt::Write as _;
use toryo_domain::SubtaskKind;
use toryo_domain::output::{Question, Weight};
use toryo_testkit::samples;

fn rules() -> Rules {
    Rules { approval: Approval::None, repair_loops: 2, control: Control::default() }
}

fn subtask(id: &str, depends_on: &[&str]) -> Subtask {
    samples::subtask(id, SubtaskKind::BugFix, depends_on)
}

/// What a step leaves; `bad` names the steps that go wrong.
fn leave(key: &StepKey, subtasks: &[Subtask], bad: &[String]) -> Output {
    let mut output = samples::good(key, subtasks);
    if bad.contains(&key.to_string()) {
        let question =
            Question { text: "which?".into(), weight: Weight::Blocking, assumption: String::new() };
        match &mut output {
            Output::Spec(spec) => spec.questions = vec![question],
            Output::Test(test) => test.passed = false,
            Output::Critic(critic) => critic.approved = false,
            Output::Merge(merge) => merge.test = Some(samples::tested(false)),
            Output::Plan(_)
            | Output::Retrieve(_)
            | Output::Reproduce(_)
            | Output::Code(_)
            | Output::Integrate(_)
            | Output::Draft(_) => {}
        }
    }
    output
}

impl Graph {
    fn apply(&mut self, advance: &Advance) {
        for step in &advance.append {
            let node =
                Node { status: StepStatus::Pending, depends_on: step.depends_on.clone(), output: None };
            self.nodes.insert(step.key.clone(), node);
        }
        for key in &advance.unblock {
            self.nodes.get_mut(key).unwrap().status = StepStatus::Ready;
        }
    }

    fn ready(&self) -> Vec<StepKey> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.status == StepStatus::Ready)
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn finish(&mut self, key: &StepKey, output: Output) {
        let node = self.nodes.get_mut(key).unwrap();
        node.status = StepStatus::Succeeded;
        node.output = Some(output);
    }
}

/// Plays a run until it turns; `pick` chooses which ready step ends next.
fn play(
    graph: &mut Graph,
    rules: &Rules,
    subtasks: &[Subtask],
    bad: &[String],
    mut pick: impl FnMut(usize) -> usize,
) -> (Turn, Vec<String>) {
    let mut order = vec![];
    for _ in 0..500 {
        let next = advance(graph, rules);
        graph.apply(&next);
        if let Some(turn) = next.turn {
            return (turn, order);
        }
        let ready = graph.ready();
        assert!(!ready.is_empty(), "the run stands still after {order:?}");
        let key = ready[pick(ready.len()) % ready.len()].clone();
        let output = leave(&key, subtasks, bad);
        graph.finish(&key, output);
        order.push(key.to_string());
    }
    panic!("the run does not end: {order:?}");
}

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn the_default_graph_with_a_repair_and_a_revision() {
    let subtasks = [subtask("a", &[]), subtask("b", &["a"])];
    let mut graph = Graph::default();
    let bad = names(&["test:a", "critic:a#2"]);
    let (turn, _) = play(&mut graph, &rules(), &subtasks, &bad, |_| 0);
    assert_eq!(turn, Turn::Succeed);
    let mut picture = String::new();
    for (key, node) in &graph.nodes {
        let needs: Vec<String> = node.depends_on.iter().map(ToString::to_string).collect();
        let _ = writeln!(picture, "{key} <- {}", needs.join(", "));
    }
    insta::assert_snapshot!(picture);
}

#[test]
fn a_refactoring_needs_no_failing_test() {
    let mut only = subtask("a", &[]);
    only.kind = SubtaskKind::Refactoring;
    let mut graph = Graph::default();
    play(&mut graph, &rules(), &[only], &[], |_| 0);
    assert!(!graph.nodes.keys().any(|key| key.kind == StepKind::Reproduce));
}

#[test]
fn open_questions_stop_the_run_until_a_person_answers() {
    let subtasks = [subtask("a", &[])];
    let mut graph = Graph::default();
    let bad = names(&["spec"]);
    assert_eq!(play(&mut graph, &rules(), &subtasks, &bad, |_| 0).0, Turn::AskInput);
    let answered = Rules { control: Control { spec_rounds: 2, ..Control::default() }, ..rules() };
    let (turn, order) = play(&mut graph, &answered, &subtasks, &bad, |_| 0);
    assert_eq!((turn, order[0].as_str()), (Turn::Succeed, "spec#2"));
}

#[test]
fn gates_wait_for_approval_and_a_rejection_asks_for_another_round() {
    let subtasks = [subtask("a", &[])];
    let mut graph = Graph::default();
    let mut rules = Rules { approval: Approval::All, ..rules() };
    assert_eq!(play(&mut graph, &rules, &subtasks, &[], |_| 0).0, Turn::AskApproval(Gate::Plan));
    rules.control.plan_rounds = 2;
    let (turn, order) = play(&mut graph, &rules, &subtasks, &[], |_| 0);
    assert_eq!((turn, order), (Turn::AskApproval(Gate::Plan), names(&["plan#2"])));
    rules.control.approved_plan = Some(2);
    assert_eq!(play(&mut graph, &rules, &subtasks, &[], |_| 0).0, Turn::AskApproval(Gate::PullRequest));
    rules.control.merge_rounds = 2;
    let (turn, order) = play(&mut graph, &rules, &subtasks, &[], |_| 0);
    assert_eq!(
        (turn, order),
        (Turn::AskApproval(Gate::PullRequest), names(&["code:merged", "merge#2", "critic:merged#2"]))
    );
    rules.control.approved_merge = Some(2);
    assert_eq!(play(&mut graph, &rules, &subtasks, &[], |_| 0).0, Turn::Succeed);
}

#[test]
fn repairs_end_at_the_limit_after_the_other_subtasks_came_to_their_end() {
    let subtasks = [subtask("a", &[]), subtask("b", &[])];
    let bad = names(&["test:a", "test:a#2", "test:a#3"]);
    let mut graph = Graph::default();
    let (turn, order) = play(&mut graph, &rules(), &subtasks, &bad, |_| 0);
    let reason = "subtask `a` is not done after 2 repairs: its tests fail";
    assert_eq!(turn, Turn::HitGuardrail(Stopping { limit: Limit::Loops, reason: reason.into() }));
    assert!(order.contains(&"critic:b".to_owned()), "{order:?}");
    let more = Rules { control: Control { extra_repairs: 1, ..Control::default() }, ..rules() };
    assert_eq!(play(&mut graph, &more, &subtasks, &bad, |_| 0).0, Turn::Succeed);
}

#[test]
fn a_join_that_fails_is_repaired_on_the_joined_tree() {
    let subtasks = [subtask("a", &[]), subtask("b", &[])];
    let mut graph = Graph::default();
    let (turn, order) = play(&mut graph, &rules(), &subtasks, &names(&["merge"]), |_| 0);
    assert_eq!(turn, Turn::Succeed);
    let end: Vec<&str> = order.iter().skip_while(|key| *key != "merge").map(String::as_str).collect();
    assert_eq!(end, ["merge", "code:merged", "merge#2", "critic:merged#2", "integrate"]);
}

#[test]
fn a_mended_join_is_reviewed_and_mended_again() {
    let subtasks = [subtask("a", &[])];
    let bad = names(&["merge", "critic:merged#2"]);
    let mut graph = Graph::default();
    let (turn, order) = play(&mut graph, &rules(), &subtasks, &bad, |_| 0);
    assert_eq!(turn, Turn::Succeed);
    let end: Vec<&str> = order.iter().skip_while(|key| *key != "merge").map(String::as_str).collect();
    let wanted =
        ["merge", "code:merged", "merge#2", "critic:merged#2", "code:merged#2", "merge#3", "critic:merged#3"];
    assert_eq!(end[..7], wanted);
    assert_eq!(end[7..], ["integrate"]);
}

#[test]
fn a_circle_looks_at_the_code_afresh_and_then_stops_for_a_person() {
    let subtasks = [subtask("a", &[])];
    let bad: Vec<String> = (1..=9).map(|n| StepKey::of_subtask(StepKind::Test, "a", n).to_string()).collect();
    let patient = Rules { repair_loops: 9, ..rules() };
    let mut graph = Graph::default();
    let (turn, order) = play(&mut graph, &patient, &subtasks, &bad, |_| 0);
    let end: Vec<&str> = order.iter().skip_while(|key| *key != "code:a#2").map(String::as_str).collect();
    assert_eq!(end, ["code:a#2", "test:a#2", "code:a#3", "test:a#3", "retrieve:a#4", "code:a#4", "test:a#4"]);
    let Turn::HitGuardrail(stopping) = turn else { panic!("{turn:?}") };
    assert_eq!(stopping.limit, Limit::Loops);
    assert!(stopping.reason.starts_with("subtask `a` goes round in circles: "), "{}", stopping.reason);
    // Whoever lets it go on all the same gets the rounds that were granted.
    let more = Rules { control: Control { extra_repairs: 1, ..Control::default() }, ..patient };
    assert!(!advance(&graph, &more).append.is_empty());
}

#[test]
fn a_new_course_is_said_once() {
    let subtasks = [subtask("a", &[])];
    let bad = names(&["test:a", "test:a#2", "test:a#3"]);
    let patient = Rules { repair_loops: 9, ..rules() };
    let mut graph = Graph::default();
    let mut said = 0;
    for _ in 0..60 {
        let next = advance(&graph, &patient);
        said += next.changed_course.len();
        graph.apply(&next);
        let Some(key) = graph.ready().first().cloned() else { break };
        let output = leave(&key, &subtasks, &bad);
        graph.finish(&key, output);
    }
    assert_eq!(said, 1);
}

/// A run of two subtasks whose first one has a change, with one step of the second one running.
fn half_done() -> Graph {
    let subtasks = [subtask("a", &[]), subtask("b", &[])];
    let mut graph = Graph::default();
    loop {
        let next = advance(&graph, &rules());
        graph.apply(&next);
        let ready = graph.ready();
        let Some(key) = ready.iter().find(|key| key.subtask.as_deref() != Some("b")) else { break };
        let mut output = leave(key, &subtasks, &[]);
        if let Output::Code(code) = &mut output {
            code.changes.files.insert("a.py".parse().unwrap(), toryo_domain::FileState::Deleted);
        }
        graph.finish(key, output);
    }
    let key = graph.ready()[0].clone();
    graph.nodes.get_mut(&key).unwrap().status = StepStatus::Running;
    graph
}

#[test]
fn at_a_limit_what_runs_ends_then_a_draft_is_made_then_a_person_is_called() {
    let stopping = Stopping { limit: Limit::Time, reason: "no time".into() };
    let control = Control { stopping: Some(stopping.clone()), drafts: 2, ..Control::default() };
    let stopped = Rules { control, ..rules() };
    let mut graph = half_done();
    assert_eq!(advance(&graph, &stopped), Advance::default(), "what runs is waited for");
    let running = graph.nodes.values_mut().find(|node| node.status == StepStatus::Running).unwrap();
    running.status = StepStatus::Failed;
    let next = advance(&graph, &stopped);
    let draft: StepKey = "draft#2".parse().unwrap();
    assert_eq!((next.unblock.as_slice(), next.turn.as_ref()), (&[draft.clone()][..], None));
    graph.apply(&next);
    assert_eq!(advance(&graph, &stopped), Advance::default(), "the draft is under way");
    let output = leave(&draft, &[], &[]);
    graph.finish(&draft, output);
    assert_eq!(advance(&graph, &stopped).turn, Some(Turn::HitGuardrail(stopping.clone())));
    // Without a change there is nothing to show.
    let nothing = Graph::default();
    assert_eq!(advance(&nothing, &stopped).turn, Some(Turn::HitGuardrail(stopping)));
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(
        edges in proptest::collection::vec((0_usize..4, 0_usize..4), 0..5),
        bad in proptest::collection::vec(0_usize..6, 0..4),
        picks in proptest::collection::vec(0_usize..8, 1..40),
    ) {
        let ids = ["s0", "s1", "s2", "s3"];
        let needs = |to: usize| -> Vec<&str> {
            // Edges point backwards only, so that there is no cycle.
            edges.iter().filter(|(from, target)| *target == to && from < &to).map(|(from, _)| ids[*from]).collect()
        };
        let subtasks: Vec<Subtask> = (0..4).map(|n| subtask(ids[n], &needs(n))).collect();
        let troubles = ["test:s0", "critic:s1", "test:s2", "test:s2#2", "merge", "critic:s3"];
        let bad: Vec<String> = bad.iter().map(|n| troubles[*n].to_owned()).collect();

        let mut first = Graph::default();
        let (turn, mut order) = play(&mut first, &rules(), &subtasks, &bad, |_| 0);
        let mut second = Graph::default();
        let mut n = 0;
        let (other_turn, mut other_order) = play(&mut second, &rules(), &subtasks, &bad, |_| {
            n += 1;
            picks[n % picks.len()]
        });
        order.sort();
        other_order.sort();
        prop_assert_eq!(turn, other_turn);
        prop_assert_eq!(order, other_order);
    }

    #[test]
    fn a_repeated_call_changes_nothing(stops in 0_usize..12) {
        let subtasks = [subtask("a", &[]), subtask("b", &["a"])];
        let mut graph = Graph::default();
        for _ in 0..stops {
            let next = advance(&graph, &rules());
            graph.apply(&next);
            let Some(key) = graph.ready().first().cloned() else { break };
            let output = leave(&key, &subtasks, &[]);
            graph.finish(&key, output);
        }
        let next = advance(&graph, &rules());
        graph.apply(&next);
        let again = advance(&graph, &rules());
        prop_assert_eq!(&again.append, &vec![]);
        prop_assert_eq!(&again.unblock, &vec![]);
        prop_assert_eq!(again.turn, next.turn);
    }
}
