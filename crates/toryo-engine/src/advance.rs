//! What happens next: a pure function over a run's graph.
//!
//! [`advance`] does not look at what has just happened. It compares the steps that should exist, given all
//! outputs and what people decided, with those that do, and says what is missing. So it does not matter in which
//! order outcomes arrive, a repeated call changes nothing, and "resume" is: change what was decided, call again.
//!
//! Where a limit was hit ([`Control::stopping`]) the walk is another one: nothing new begins, and when nothing runs any
//! more the best state so far becomes a draft. A superseded step counts as one that does not exist.

use crate::loops::{self, Circle, Course};
use std::collections::BTreeMap;
use toryo_blackboard::runs::{Control, Run};
use toryo_blackboard::{NewStep, StepRow};
use toryo_domain::plan::MERGED;
use toryo_domain::{Approval, Gate, Limit, Output, Plan, StepKey, StepKind, StepStatus, Stopping, Subtask};

/// What a person or the operator allows a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Where a person wants to approve.
    pub approval: Approval,
    /// Repairs and revisions of one subtask.
    pub repair_loops: u32,
    /// What people decided so far.
    pub control: Control,
}

impl From<&Run> for Rules {
    fn from(run: &Run) -> Self {
        Self { approval: run.approval, repair_loops: run.limits.repair_loops, control: run.control.clone() }
    }
}

impl Rules {
    fn rounds(&self) -> u32 {
        1 + self.repair_loops + self.control.extra_repairs
    }
}

/// What is missing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Advance {
    /// Steps to append.
    pub append: Vec<NewStep>,
    /// Pending steps, old or just appended, whose time has come.
    pub unblock: Vec<StepKey>,
    /// Where the run turns, if it does.
    pub turn: Option<Turn>,
    /// Subtasks whose work went round in circles and takes another course with the steps appended here.
    pub changed_course: Vec<ChangedCourse>,
}

/// A subtask, or the join, takes another course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedCourse {
    /// Which one.
    pub subtask: String,
    /// Why.
    pub circle: Circle,
}

/// A turn of the run as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Blocking questions are open.
    AskInput,
    /// A person has to approve.
    AskApproval(Gate),
    /// A limit is reached.
    HitGuardrail(Stopping),
    /// The pull request stands.
    Succeed,
}

/// The graph of a run as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: BTreeMap<StepKey, Node>,
}

#[derive(Debug, Clone)]
struct Node {
    status: StepStatus,
    depends_on: Vec<StepKey>,
    output: Option<Output>,
}

impl Graph {
    /// From the rows of a run.
    #[must_use]
    pub fn new(steps: &[StepRow]) -> Self {
        let node = |row: &StepRow| Node {
            status: row.status,
            depends_on: row.depends_on.clone(),
            output: row.output.clone(),
        };
        let counts = steps.iter().filter(|row| row.status != StepStatus::Cancelled);
        Self { nodes: counts.map(|row| (row.key.clone(), node(row))).collect() }
    }

    /// Whether there is a change that a draft could show.
    #[must_use]
    pub fn has_change(&self) -> bool {
        self.nodes.values().any(|node| match &node.output {
            Some(Output::Code(code)) => !code.changes.is_empty(),
            Some(Output::Merge(merge)) => !merge.changes.is_empty(),
            Some(_) | None => false,
        })
    }

    /// The output of a step that succeeded.
    fn output(&self, key: &StepKey) -> Option<&Output> {
        self.nodes.get(key).filter(|node| node.status == StepStatus::Succeeded)?.output.as_ref()
    }

    fn latest_round(&self, kind: StepKind, subtask: Option<&str>) -> u32 {
        let same = |key: &&StepKey| key.kind == kind && key.subtask.as_deref() == subtask;
        self.nodes.keys().filter(same).map(|key| key.round).max().unwrap_or(1)
    }

    /// Whether a step is running or can still be claimed without anybody's help.
    fn is_moving(&self) -> bool {
        self.nodes.values().any(|node| match node.status {
            StepStatus::Ready | StepStatus::Running => true,
            StepStatus::Pending => node.depends_on.iter().all(|key| {
                self.nodes.get(key).is_some_and(|needed| {
                    !matches!(needed.status, StepStatus::Failed | StepStatus::Cancelled)
                })
            }),
            StepStatus::Succeeded | StepStatus::Failed | StepStatus::Cancelled => false,
        })
    }

    fn is_running(&self) -> bool {
        self.nodes.values().any(|node| node.status == StepStatus::Running)
    }

    /// Pending steps that wait for nothing any more.
    fn unblocked(&self) -> Vec<StepKey> {
        let succeeded =
            |key: &StepKey| self.nodes.get(key).is_some_and(|needed| needed.status == StepStatus::Succeeded);
        self.nodes
            .iter()
            .filter(|(_, node)| node.status == StepStatus::Pending && node.depends_on.iter().all(succeeded))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

/// Says what is missing in the graph under these rules.
#[must_use]
pub fn advance(graph: &Graph, rules: &Rules) -> Advance {
    if let Some(stopping) = &rules.control.stopping {
        return wind_up(graph, rules, stopping);
    }
    let mut walk =
        Walk { graph: graph.clone(), rules, append: vec![], stuck: vec![], changed_course: vec![] };
    let turn = walk.run();
    let unblock = walk.graph.unblocked();
    let turn = match turn {
        // What cannot go on waits until everything else has come to its end.
        None if !walk.stuck.is_empty() && !walk.graph.is_moving() => {
            Some(Turn::HitGuardrail(Stopping { limit: Limit::Loops, reason: walk.stuck.join("; ") }))
        }
        turn => turn,
    };
    Advance { append: walk.append, unblock, turn, changed_course: walk.changed_course }
}

/// The key of the draft that the limit hit last asks for.
#[must_use]
pub fn draft_key(control: &Control) -> StepKey {
    StepKey::of_run(StepKind::Draft).in_round(control.drafts)
}

/// What is missing in a run that stops at a limit: a draft of what it has, once nothing else runs.
fn wind_up(graph: &Graph, rules: &Rules, stopping: &Stopping) -> Advance {
    let key = draft_key(&rules.control);
    let stop = || Some(Turn::HitGuardrail(stopping.clone()));
    match graph.nodes.get(&key).map(|node| node.status) {
        Some(StepStatus::Succeeded | StepStatus::Failed) => Advance { turn: stop(), ..Advance::default() },
        Some(StepStatus::Pending) => Advance { unblock: vec![key], ..Advance::default() },
        Some(StepStatus::Ready | StepStatus::Running | StepStatus::Cancelled) => Advance::default(),
        None if graph.is_running() => Advance::default(),
        None if !graph.has_change() => Advance { turn: stop(), ..Advance::default() },
        None => Advance {
            append: vec![NewStep { key: key.clone(), depends_on: vec![] }],
            unblock: vec![key],
            ..Advance::default()
        },
    }
}

/// One walk along the path that a run takes, appending what is missing on the way.
struct Walk<'a> {
    graph: Graph,
    rules: &'a Rules,
    append: Vec<NewStep>,
    stuck: Vec<String>,
    changed_course: Vec<ChangedCourse>,
}

impl Walk<'_> {
    fn ensure(&mut self, key: StepKey, depends_on: Vec<StepKey>) {
        if !self.graph.nodes.contains_key(&key) {
            let node = Node { status: StepStatus::Pending, depends_on: depends_on.clone(), output: None };
            self.graph.nodes.insert(key.clone(), node);
            self.append.push(NewStep { key, depends_on });
        }
    }

    fn run(&mut self) -> Option<Turn> {
        let control = &self.rules.control;
        let spec = StepKey::of_run(StepKind::Spec).in_round(control.spec_rounds);
        match self.graph.output(&spec) {
            Some(Output::Spec(output)) if output.is_blocked() => return Some(Turn::AskInput),
            Some(_) => {}
            None => {
                self.ensure(spec, vec![]);
                return None;
            }
        }
        let plan_key = StepKey::of_run(StepKind::Plan).in_round(control.plan_rounds);
        let Some(Output::Plan(output)) = self.graph.output(&plan_key) else {
            self.ensure(plan_key, vec![spec]);
            return None;
        };
        if self.rules.approval.gates_plan() && control.approved_plan != Some(control.plan_rounds) {
            return Some(Turn::AskApproval(Gate::Plan));
        }
        let plan = output.plan.clone();
        let reviews = self.subtasks(&plan, &plan_key)?;
        self.merged(reviews)
    }

    /// Walks all subtasks; the last review of each where all are done.
    fn subtasks(&mut self, plan: &Plan, plan_key: &StepKey) -> Option<Vec<StepKey>> {
        let mut done: BTreeMap<String, StepKey> = BTreeMap::new();
        let order: Vec<String> = plan.order().unwrap_or_default().into_iter().map(str::to_owned).collect();
        for id in &order {
            let Some(subtask) = plan.subtask(id) else { continue };
            let needed: Option<Vec<StepKey>> =
                subtask.depends_on.iter().map(|needed| done.get(needed).cloned()).collect();
            let Some(mut start) = needed else { continue };
            start.insert(0, plan_key.clone());
            if let Some(review) = self.subtask(subtask, start) {
                done.insert(id.clone(), review);
            }
        }
        (done.len() == order.len() && !order.is_empty()).then(|| done.into_values().collect())
    }

    /// Walks one subtask; its last review where it is done.
    fn subtask(&mut self, subtask: &Subtask, start: Vec<StepKey>) -> Option<StepKey> {
        let key = |kind, round| StepKey::of_subtask(kind, &subtask.id, round);
        let mut before = key(StepKind::Retrieve, 1);
        self.ensure(before.clone(), start);
        if subtask.kind.needs_failing_test() {
            self.ensure(key(StepKind::Reproduce, 1), vec![before]);
            before = key(StepKind::Reproduce, 1);
        }
        self.ensure(key(StepKind::Code, 1), vec![before]);
        self.ensure(key(StepKind::Test, 1), vec![key(StepKind::Code, 1)]);

        let round = self.graph.latest_round(StepKind::Test, Some(&subtask.id));
        let test = key(StepKind::Test, round);
        match self.graph.output(&test) {
            Some(Output::Test(output)) if output.passed => {}
            Some(_) => {
                self.repair(&subtask.id, round, test, "its tests fail");
                return None;
            }
            None => return None,
        }
        let critic = key(StepKind::Critic, round);
        match self.graph.output(&critic) {
            Some(Output::Critic(output)) if output.approved => Some(critic),
            Some(_) => {
                self.repair(&subtask.id, round, critic, "the review blocks it");
                None
            }
            None => {
                self.ensure(critic, vec![test]);
                None
            }
        }
    }

    /// Another round of code and test, while the limit allows it.
    fn repair(&mut self, subtask: &str, round: u32, cause: StepKey, why: &str) {
        if round >= self.rules.rounds() {
            self.stuck.push(format!("subtask `{subtask}` is not done after {} repairs: {why}", round - 1));
            return;
        }
        let mut before = cause;
        match self.course(subtask) {
            Course::Keep => {}
            Course::Change { circle, after } => {
                if after == round as usize {
                    // Whoever went round in circles looks at the code afresh.
                    let retrieve = StepKey::of_subtask(StepKind::Retrieve, subtask, round + 1);
                    self.change_course(subtask, circle, &retrieve);
                    self.ensure(retrieve.clone(), vec![before]);
                    before = retrieve;
                }
            }
            Course::Stop(circle) => {
                self.stuck.push(format!("subtask `{subtask}` goes round in circles: {circle}; {why}"));
                return;
            }
        }
        let code = StepKey::of_subtask(StepKind::Code, subtask, round + 1);
        self.ensure(code.clone(), vec![before]);
        self.ensure(StepKey::of_subtask(StepKind::Test, subtask, round + 1), vec![code]);
    }

    /// How the work on a subtask goes on. Whoever resumes a run that stopped in a circle wants it tried again, so what
    /// was granted on top of the limit is not cut short.
    fn course(&self, subtask: &str) -> Course {
        let course = loops::course(&loops::history(subtask, |key| self.graph.output(key)));
        match course {
            Course::Stop(_) if self.rules.control.extra_repairs > 0 => Course::Keep,
            course => course,
        }
    }

    /// Notes a new course, once: with the first step of it.
    fn change_course(&mut self, subtask: &str, circle: Circle, first: &StepKey) {
        if !self.graph.nodes.contains_key(first) {
            self.changed_course.push(ChangedCourse { subtask: subtask.to_owned(), circle });
        }
    }

    /// Walks the join of all subtasks to the pull request.
    fn merged(&mut self, reviews: Vec<StepKey>) -> Option<Turn> {
        let control = &self.rules.control;
        self.ensure(StepKey::of_run(StepKind::Merge), reviews);
        let round = self.graph.latest_round(StepKind::Merge, None);
        let merge = StepKey::of_run(StepKind::Merge).in_round(round);
        let Some(Output::Merge(output)) = self.graph.output(&merge) else { return None };
        if !output.is_sound() || round < control.merge_rounds {
            self.mend_join(round, merge, "it is not sound");
            return None;
        }
        // The reviews before the first join do not know what was mended on the joined tree since.
        let mut checked = merge;
        if round > 1 {
            let critic = StepKey::of_subtask(StepKind::Critic, MERGED, round);
            match self.graph.output(&critic) {
                Some(Output::Critic(output)) if output.approved => checked = critic,
                Some(_) => {
                    self.mend_join(round, critic, "its review blocks it");
                    return None;
                }
                None => {
                    self.ensure(critic, vec![checked]);
                    return None;
                }
            }
        }
        if self.rules.approval.gates_pull_request() && control.approved_merge != Some(round) {
            return Some(Turn::AskApproval(Gate::PullRequest));
        }
        let integrate = StepKey::of_run(StepKind::Integrate);
        if self.graph.output(&integrate).is_some() {
            return Some(Turn::Succeed);
        }
        self.ensure(integrate, vec![checked]);
        None
    }

    /// Another round of code on the joined tree and of the join, while the limit or a person allows it.
    fn mend_join(&mut self, round: u32, cause: StepKey, why: &str) {
        if round >= self.rules.rounds().max(self.rules.control.merge_rounds) {
            self.stuck.push(format!("the joined change is not done after {} repairs: {why}", round - 1));
            return;
        }
        let code = StepKey::of_subtask(StepKind::Code, MERGED, round);
        match self.course(MERGED) {
            Course::Keep => {}
            Course::Change { circle, after } => {
                if after == round as usize {
                    self.change_course(MERGED, circle, &code);
                }
            }
            // A person who asked for another round gets it.
            Course::Stop(_) if round < self.rules.control.merge_rounds => {}
            Course::Stop(circle) => {
                self.stuck.push(format!("the joined change goes round in circles: {circle}; {why}"));
                return;
            }
        }
        self.ensure(code.clone(), vec![cause]);
        self.ensure(StepKey::of_run(StepKind::Merge).in_round(round + 1), vec![code]);
    }
}

#[cfg(test)]
mod tests;
