//! Whether work goes round in circles: a pure function over what was done and what came of it.
//!
//! A run that repeats itself costs money and leads nowhere, but one repetition is no circle: a model may well mend with the
//! second try what it did not with the first. So four rules, each with its own patience, and two answers: first another
//! course, then a person.
//!
//! Invariants (each a property test below): a history without a bad round is never a circle; what was read as a circle
//! stays one whatever happened before it; a stop is always preceded by a change of course.

use std::fmt;
use toryo_domain::output::{CriticOutput, MergeOutput, TestOutput};
use toryo_domain::plan::MERGED;
use toryo_domain::{ChangeSet, Digest, Output, Severity, StepKey, StepKind};

/// One round of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// What was done: the tree that came of it.
    pub action: Digest,
    /// The failure, normalised; `None` where the round was good.
    pub failure: Option<String>,
}

/// A way of going round in circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Circle {
    /// The same action with the same result four times.
    SameResult,
    /// The same action with the same failure three times.
    SameError,
    /// Two states in turn over six rounds.
    Alternation,
    /// The same failure after two repairs, whatever they did.
    SameFailure,
}

impl Circle {
    /// Its stable name, as events carry it.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::SameResult => "loop.same_result",
            Self::SameError => "loop.same_error",
            Self::Alternation => "loop.alternation",
            Self::SameFailure => "loop.same_failure",
        }
    }
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameResult => "the same change had the same result four times",
            Self::SameError => "the same change failed in the same way three times",
            Self::Alternation => "the work went back and forth between two states six times",
            Self::SameFailure => "two repairs left the same failure",
        })
    }
}

/// How to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// As before.
    Keep,
    /// Another way: the circle closed with this many rounds.
    Change {
        /// What was seen.
        circle: Circle,
        /// After how many rounds; the next one is the first on the new course.
        after: usize,
    },
    /// The new course ended in a circle as well: a person decides.
    Stop(Circle),
}

/// The circle that the last rounds of a history close.
#[must_use]
pub fn circle(history: &[Round]) -> Option<Circle> {
    let last = |n: usize| history.len().checked_sub(n).map(|start| &history[start..]);
    let equal = |rounds: &[Round]| rounds.windows(2).all(|pair| pair[0] == pair[1]);
    // Where the newest round is good there is nothing to mend.
    history.last()?.failure.as_ref()?;
    if last(4).is_some_and(equal) {
        return Some(Circle::SameResult);
    }
    if last(3).is_some_and(equal) {
        return Some(Circle::SameError);
    }
    if last(6)
        .is_some_and(|rounds| rounds.windows(3).all(|three| three[0] == three[2] && three[0] != three[1]))
    {
        return Some(Circle::Alternation);
    }
    // The first of them is the failure to mend, the other two are what repairs left.
    let same = |rounds: &[Round]| rounds.windows(2).all(|pair| pair[0].failure == pair[1].failure);
    last(3).is_some_and(same).then_some(Circle::SameFailure)
}

/// How to go on after this history.
#[must_use]
pub fn course(history: &[Round]) -> Course {
    let closed = (1..=history.len()).find_map(|end| Some((circle(&history[..end])?, end)));
    match closed {
        None => Course::Keep,
        Some((circle, after)) if after == history.len() => Course::Change { circle, after },
        Some((first, after)) => match circle(history) {
            Some(second) => Course::Stop(second),
            None => Course::Change { circle: first, after },
        },
    }
}

/// The rounds of a subtask, or of the join where it is [`MERGED`], as outputs tell them.
pub fn history<'a>(subtask: &str, output: impl Fn(&StepKey) -> Option<&'a Output>) -> Vec<Round> {
    let round =
        |round| if subtask == MERGED { of_join(round, &output) } else { of_subtask(subtask, round, &output) };
    (1..).map_while(round).collect()
}

fn of_subtask<'a>(
    subtask: &str,
    round: u32,
    output: &impl Fn(&StepKey) -> Option<&'a Output>,
) -> Option<Round> {
    let key = |kind| StepKey::of_subtask(kind, subtask, round);
    let Some(Output::Code(code)) = output(&key(StepKind::Code)) else { return None };
    let Some(Output::Test(test)) = output(&key(StepKind::Test)) else { return None };
    let failure = tests(test).or_else(|| match output(&key(StepKind::Critic)) {
        Some(Output::Critic(critic)) => review(critic),
        _ => None,
    });
    Some(Round { action: tree(&code.changes), failure })
}

fn of_join<'a>(round: u32, output: &impl Fn(&StepKey) -> Option<&'a Output>) -> Option<Round> {
    let Some(Output::Merge(merge)) = output(&StepKey::of_run(StepKind::Merge).in_round(round)) else {
        return None;
    };
    let critic = StepKey::of_subtask(StepKind::Critic, MERGED, round);
    let failure = join(merge).or_else(|| match output(&critic) {
        Some(Output::Critic(critic)) => review(critic),
        _ => None,
    });
    Some(Round { action: tree(&merge.changes), failure })
}

fn tree(changes: &ChangeSet) -> Digest {
    // A map of plain values always reads as JSON.
    Digest::of(serde_json::to_vec(changes).unwrap_or_default())
}

fn tests(test: &TestOutput) -> Option<String> {
    (!test.passed).then(|| normalised(&format!("{}\n{}", test.summary.failing.join("\n"), test.digest)))
}

/// What a review blocks for, without its words: a model finds new ones each time.
fn review(critic: &CriticOutput) -> Option<String> {
    if critic.approved {
        return None;
    }
    let blocking = critic.findings.iter().filter(|finding| finding.severity == Severity::Blocking);
    let mut places: Vec<String> = blocking
        .map(|finding| {
            format!("{} {}", finding.rule, finding.path.as_ref().map(ToString::to_string).unwrap_or_default())
        })
        .collect();
    places.sort();
    places.dedup();
    Some(format!("review: {}", places.join("; ")))
}

fn join(merge: &MergeOutput) -> Option<String> {
    if !merge.conflicts.is_empty() {
        let places = merge.conflicts.iter().map(|conflict| format!("{} {}", conflict.subtask, conflict.path));
        return Some(format!("conflicts: {}", places.collect::<Vec<_>>().join("; ")));
    }
    merge.test.as_ref().and_then(tests)
}

/// A failure's text without what changes from run to run though the failure is the same: numbers, addresses, spaces, case.
#[must_use]
pub fn normalised(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let mut plain = String::with_capacity(word.len());
        let mut rest = word.chars().peekable();
        while let Some(character) = rest.next() {
            if character.is_ascii_digit() {
                // A number, with what makes it hexadecimal or a fraction.
                while rest.next_if(|c| c.is_ascii_hexdigit() || matches!(c, 'x' | '.' | '_')).is_some() {}
                plain.push('#');
            } else {
                plain.extend(character.to_lowercase());
            }
        }
        words.push(plain);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
