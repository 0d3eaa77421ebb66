//! Plans: the subtasks of a run and how they depend on each other.

use crate::{RepoPath, text_enum};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

text_enum! {
    /// What kind of work a subtask is; it decides whether a failing test is written first.
    pub enum SubtaskKind {
        /// Behaviour that is wrong today: a test reproduces it first.
        BugFix = "bug_fix",
        /// Behaviour that does not exist yet: a test describes it first.
        Feature = "feature",
        /// Structure changes, behaviour does not: the existing tests are the proof.
        Refactoring = "refactoring",
        /// Words only.
        Documentation = "documentation",
        /// The tests themselves are the work.
        Tests = "tests",
    }
}

impl SubtaskKind {
    /// Whether the Tester writes a test that fails before the change.
    #[must_use]
    pub const fn needs_failing_test(self) -> bool {
        matches!(self, Self::BugFix | Self::Feature)
    }
}

/// One piece of work, small enough for one Coder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subtask {
    /// A name of lower-case letters, digits and hyphens, unique in its plan.
    pub id: String,
    /// What kind of work it is.
    pub kind: SubtaskKind,
    /// One line for people.
    pub title: String,
    /// What to do, and where its border lies.
    pub description: String,
    /// Existing files that will change.
    pub target_files: Vec<RepoPath>,
    /// Files that will be new.
    pub new_files: Vec<RepoPath>,
    /// Symbols that will change, dotted.
    pub target_symbols: Vec<String>,
    /// What has to hold when it is done.
    pub acceptance_criteria: Vec<String>,
    /// Subtasks that must be done before.
    pub depends_on: Vec<String>,
}

/// The subtasks of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Why it is cut this way, in a few sentences.
    pub summary: String,
    /// The work.
    pub subtasks: Vec<Subtask>,
}

/// The subtask id under which the join of all subtasks is repaired; no plan may use it.
pub const MERGED: &str = "merged";

/// Most subtasks a plan may have; more is a sign of a task that should be split by a person.
pub const MOST_SUBTASKS: usize = 12;

/// Whether a text may name a subtask: 1 to 40 of `a-z`, `0-9` and `-`, not starting with `-`.
#[must_use]
pub fn is_subtask_id(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// What is wrong with a plan; worded so that a model can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanDefect {
    /// No subtask at all.
    #[error("the plan has no subtask")]
    Empty,
    /// Over [`MOST_SUBTASKS`].
    #[error("the plan has {0} subtasks; at most {MOST_SUBTASKS} are allowed, so join small ones")]
    TooMany(usize),
    /// Not a valid id.
    #[error("subtask id `{0}` is not 1 to 40 of a-z, 0-9 and -, or is the reserved `{MERGED}`")]
    BadId(String),
    /// Two subtasks of one id.
    #[error("two subtasks have the id `{0}`")]
    DuplicateId(String),
    /// A dependency that names no subtask.
    #[error("subtask `{subtask}` depends on `{missing}`, which is not in the plan")]
    UnknownDependency {
        /// Which subtask.
        subtask: String,
        /// What it names.
        missing: String,
    },
    /// Subtasks that wait for each other.
    #[error("these subtasks wait for each other: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
}

impl Plan {
    /// The subtask of this id.
    #[must_use]
    pub fn subtask(&self, id: &str) -> Option<&Subtask> {
        self.subtasks.iter().find(|subtask| subtask.id == id)
    }

    /// Subtask ids so that each comes after all it depends on; among equals in the plan's order.
    ///
    /// # Errors
    /// Every defect of the plan, or the one cycle found.
    pub fn order(&self) -> Result<Vec<&str>, Vec<PlanDefect>> {
        let defects = self.local_defects();
        if !defects.is_empty() {
            return Err(defects);
        }
        let mut done = BTreeSet::new();
        let mut order = Vec::with_capacity(self.subtasks.len());
        while order.len() < self.subtasks.len() {
            let next = self.subtasks.iter().find(|subtask| {
                !done.contains(subtask.id.as_str())
                    && subtask.depends_on.iter().all(|needed| done.contains(needed.as_str()))
            });
            match next {
                Some(subtask) => {
                    done.insert(subtask.id.as_str());
                    order.push(subtask.id.as_str());
                }
                None => return Err(vec![PlanDefect::Cycle(self.cycle_outside(&done))]),
            }
        }
        Ok(order)
    }

    /// The subtasks that `id` depends on, directly or not, in the plan's [`order`](Self::order).
    /// Empty where the plan has a defect.
    #[must_use]
    pub fn ancestors(&self, id: &str) -> Vec<&str> {
        let mut wanted: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![id];
        while let Some(current) = open.pop() {
            for needed in self.subtask(current).iter().flat_map(|subtask| &subtask.depends_on) {
                if wanted.insert(needed) {
                    open.push(needed);
                }
            }
        }
        self.order().unwrap_or_default().into_iter().filter(|other| wanted.contains(other)).collect()
    }

    fn local_defects(&self) -> Vec<PlanDefect> {
        let mut defects = Vec::new();
        if self.subtasks.is_empty() {
            defects.push(PlanDefect::Empty);
        }
        if self.subtasks.len() > MOST_SUBTASKS {
            defects.push(PlanDefect::TooMany(self.subtasks.len()));
        }
        let mut seen = BTreeMap::new();
        for subtask in &self.subtasks {
            if !is_subtask_id(&subtask.id) || subtask.id == MERGED {
                defects.push(PlanDefect::BadId(subtask.id.clone()));
            }
            if seen.insert(subtask.id.as_str(), ()).is_some() {
                defects.push(PlanDefect::DuplicateId(subtask.id.clone()));
            }
        }
        for subtask in &self.subtasks {
            for missing in subtask.depends_on.iter().filter(|needed| !seen.contains_key(needed.as_str())) {
                defects.push(PlanDefect::UnknownDependency {
                    subtask: subtask.id.clone(),
                    missing: missing.clone(),
                });
            }
        }
        defects
    }

    /// Follows unmet dependencies until a subtask comes up twice.
    fn cycle_outside(&self, done: &BTreeSet<&str>) -> Vec<String> {
        let mut path: Vec<&str> = Vec::new();
        let mut current = self.subtasks.iter().find(|subtask| !done.contains(subtask.id.as_str()));
        while let Some(subtask) = current {
            if let Some(start) = path.iter().position(|id| *id == subtask.id) {
                path.push(&subtask.id);
                return path[start..].iter().map(|id| (*id).to_owned()).collect();
            }
            path.push(&subtask.id);
            current = subtask
                .depends_on
                .iter()
                .find(|needed| !done.contains(needed.as_str()))
                .and_then(|needed| self.subtask(needed));
        }
        path.into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(edges: &[(&str, &[&str])]) -> Plan {
        let subtasks = edges
            .iter()
            .map(|(id, needs)| Subtask {
                id: (*id).to_owned(),
                kind: SubtaskKind::BugFix,
                title: String::new(),
                description: String::new(),
                target_files: vec![],
                new_files: vec![],
                target_symbols: vec![],
                acceptance_criteria: vec![],
                depends_on: needs.iter().map(|n| (*n).to_owned()).collect(),
            })
            .collect();
        Plan { summary: String::new(), subtasks }
    }

    #[test]
    fn each_subtask_follows_what_it_depends_on() {
        let plan = plan(&[("c", &["a", "b"]), ("b", &["a"]), ("a", &[])]);
        assert_eq!(plan.order(), Ok(vec!["a", "b", "c"]));
        assert_eq!(plan.ancestors("c"), vec!["a", "b"]);
        assert_eq!(plan.ancestors("a"), Vec::<&str>::new());
    }

    #[test]
    fn a_cycle_is_named() {
        let plan = plan(&[("x", &[]), ("a", &["b", "x"]), ("b", &["c"]), ("c", &["a"])]);
        let cycle = vec!["a", "b", "c", "a"].into_iter().map(str::to_owned).collect();
        assert_eq!(plan.order(), Err(vec![PlanDefect::Cycle(cycle)]));
    }

    #[test]
    fn every_defect_is_named_at_once() {
        let plan = plan(&[("A", &[]), ("b", &["nowhere"]), ("b", &[]), ("merged", &[])]);
        assert_eq!(
            plan.order(),
            Err(vec![
                PlanDefect::BadId("A".into()),
                PlanDefect::DuplicateId("b".into()),
                PlanDefect::BadId("merged".into()),
                PlanDefect::UnknownDependency { subtask: "b".into(), missing: "nowhere".into() },
            ])
        );
    }

    proptest! {
        #[test]
        fn an_order_respects_every_edge(edges in proptest::collection::vec((0_usize..8, 0_usize..8), 0..20)) {
            let names = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];
            let mut needs: Vec<Vec<&str>> = vec![vec![]; 8];
            for (from, to) in edges {
                needs[from].push(names[to]);
            }
            let listed: Vec<(&str, &[&str])> = names.iter().zip(&needs).map(|(n, d)| (*n, d.as_slice())).collect();
            let plan = plan(&listed);
            match plan.order() {
                Ok(order) => {
                    for subtask in &plan.subtasks {
                        let at = order.iter().position(|id| *id == subtask.id);
                        for needed in &subtask.depends_on {
                            prop_assert!(order.iter().position(|id| id == needed) < at);
                        }
                    }
                }
                Err(defects) => prop_assert!(matches!(defects.as_slice(), [PlanDefect::Cycle(path)] if path.first() == path.last())),
            }
        }
    }
}
