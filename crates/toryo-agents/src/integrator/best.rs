//! Which state of an unfinished run is its best: the joined subtasks that are accepted, else the one that came furthest.

use std::collections::BTreeSet;
use toryo_domain::output::{MergeOutput, TestOutput};
use toryo_domain::{Output, Plan, StepKey, StepKind, Subtask};
use toryo_engine::Outputs;

/// How far a subtask came, furthest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    /// Nothing was edited.
    Untouched,
    /// Edited; its tests fail or were not run.
    Edited,
    /// Its tests pass; the review blocks it or has not ended.
    Passing,
    /// Its tests pass and the review accepts it.
    Done,
}

/// The best state.
#[derive(Debug, PartialEq)]
pub(super) enum Best<'a> {
    /// A join whose tests all pass.
    Join(&'a MergeOutput),
    /// These accepted subtasks, in the plan's order, to be joined.
    Accepted(Vec<&'a str>),
    /// The state of this subtask alone.
    Furthest(&'a str),
    /// There is no change at all.
    Nothing,
}

/// How far a subtask came.
pub(super) fn progress(outputs: &Outputs, subtask: &str) -> Progress {
    let Some(round) = latest_round(outputs, subtask) else { return Progress::Untouched };
    let key = |kind| StepKey::of_subtask(kind, subtask, round);
    let passes = matches!(outputs.get(&key(StepKind::Test)), Some(Output::Test(test)) if test.passed);
    match outputs.get(&key(StepKind::Critic)) {
        Some(Output::Critic(critic)) if passes && critic.approved => Progress::Done,
        _ if passes => Progress::Passing,
        _ => Progress::Edited,
    }
}

fn latest_round(outputs: &Outputs, subtask: &str) -> Option<u32> {
    let code = |key: &&StepKey| key.kind == StepKind::Code && key.subtask.as_deref() == Some(subtask);
    outputs.iter().map(|(key, _)| key).filter(code).map(|key| key.round).max()
}

/// The test run on a subtask's latest edits.
pub(super) fn latest_test<'a>(outputs: &'a Outputs, subtask: &str) -> Option<&'a TestOutput> {
    let round = latest_round(outputs, subtask)?;
    match outputs.get(&StepKey::of_subtask(StepKind::Test, subtask, round))? {
        Output::Test(test) => Some(test),
        _ => None,
    }
}

/// The best state of a run.
pub(super) fn best<'a>(plan: &'a Plan, outputs: &'a Outputs) -> Best<'a> {
    if let Some(join) = sound_join(outputs) {
        return Best::Join(join);
    }
    let order = plan.order().unwrap_or_default();
    let mut accepted: BTreeSet<&str> = BTreeSet::new();
    for id in &order {
        let stands = plan.ancestors(id).iter().all(|needed| accepted.contains(needed));
        if stands && progress(outputs, id) == Progress::Done {
            accepted.insert(id);
        }
    }
    if !accepted.is_empty() {
        return Best::Accepted(order.into_iter().filter(|id| accepted.contains(id)).collect());
    }
    let subtasks = order.iter().filter_map(|id| plan.subtask(id));
    match subtasks.max_by_key(|subtask| standing(outputs, subtask)) {
        Some(subtask) if progress(outputs, &subtask.id) > Progress::Untouched => Best::Furthest(&subtask.id),
        Some(_) | None => Best::Nothing,
    }
}

fn sound_join(outputs: &Outputs) -> Option<&MergeOutput> {
    let joins = outputs.iter().filter_map(|(key, output)| match output {
        Output::Merge(merge) if merge.is_sound() => Some((key.round, merge)),
        _ => None,
    });
    joins.max_by_key(|(round, _)| *round).map(|(_, merge)| merge)
}

/// Progress first, then fewer failing tests.
fn standing(outputs: &Outputs, subtask: &Subtask) -> (Progress, std::cmp::Reverse<u32>) {
    let failing = latest_test(outputs, &subtask.id).map_or(u32::MAX, |test| test.summary.failed);
    (progress(outputs, &subtask.id), std::cmp::Reverse(failing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use toryo_domain::output::{CodeOutput, CriticOutput, TestSummary};
    use toryo_domain::{ChangeSet, Digest, SubtaskKind};

    fn plan(edges: &[(&str, &[&str])]) -> Plan {
        let subtask = |(id, needs): &(&str, &[&str])| Subtask {
            id: (*id).to_owned(),
            kind: SubtaskKind::BugFix,
            title: String::new(),
            description: String::new(),
            target_files: vec![],
            new_files: vec![],
            target_symbols: vec![],
            acceptance_criteria: vec![],
            depends_on: needs.iter().map(|needed| (*needed).to_owned()).collect(),
        };
        Plan { summary: String::new(), subtasks: edges.iter().map(subtask).collect() }
    }

    /// `code:a`, `test:a+`, `test:a-3` (three fail), `critic:a+`, `merge+`.
    fn outputs(words: &str) -> Outputs {
        words.split_whitespace().map(output).collect()
    }

    fn output(word: &str) -> (StepKey, Output) {
        let (key, mark) = word.split_at(word.find(['+', '-']).unwrap_or(word.len()));
        let key: StepKey = key.parse().unwrap();
        let failed = mark.trim_start_matches(['+', '-']).parse().unwrap_or_default();
        let test = TestOutput {
            passed: mark.starts_with('+'),
            summary: TestSummary { failed, ..TestSummary::default() },
            analysis: None,
            digest: String::new(),
        };
        let output = match key.kind {
            StepKind::Code => Output::Code(CodeOutput {
                changes: ChangeSet::default(),
                summary: String::new(),
                diff: Digest::of(""),
                edits: 1,
            }),
            StepKind::Test => Output::Test(test),
            StepKind::Critic => Output::Critic(CriticOutput {
                approved: test.passed,
                patch_verdict: String::new(),
                test_verdict: String::new(),
                findings: vec![],
            }),
            _ => Output::Merge(MergeOutput {
                changes: ChangeSet::default(),
                conflicts: vec![],
                test: Some(test),
                reproduced: vec![],
                diff: Digest::of(word),
            }),
        };
        (key, output)
    }

    #[test]
    fn accepted_subtasks_go_before_the_furthest_and_a_sound_join_before_both() {
        let plan = plan(&[("a", &[]), ("b", &["a"]), ("c", &[])]);
        let seen = |words: &str| {
            let outputs = outputs(words);
            match best(&plan, &outputs) {
                Best::Join(merge) => format!("join {}", merge.test.is_some()),
                Best::Accepted(ids) => ids.join(" "),
                Best::Furthest(id) => format!("only {id}"),
                Best::Nothing => "nothing".to_owned(),
            }
        };
        assert_eq!(seen(""), "nothing");
        assert_eq!(seen("code:c"), "only c");
        assert_eq!(seen("code:a test:a-3 code:c test:c-1"), "only c", "fewer tests fail");
        assert_eq!(seen("code:a test:a+ critic:a- code:c test:c-1"), "only a", "its tests pass");
        let done = "code:a test:a+ critic:a+ code:b test:b+ critic:b+";
        assert_eq!(seen(&format!("{done} code:c test:c-1")), "a b");
        assert_eq!(
            seen("code:a test:a-1 code:b test:b+ critic:b+"),
            "only b",
            "it stands on what is not accepted"
        );
        assert_eq!(
            seen(&format!("{done} code:a#2 test:a#2-1")),
            "only b",
            "a revision under way is not accepted"
        );
        assert_eq!(seen(&format!("{done} merge-1")), "a b");
        assert_eq!(seen(&format!("{done} merge+ merge#2-1")), "join true");
    }
}
