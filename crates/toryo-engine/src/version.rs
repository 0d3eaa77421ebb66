//! Which runs this process understands. In a rolling upgrade old and new workers share one database: a run that has a
//! step of a kind which old ones do not know is marked, and they leave it to the new ones.

use toryo_domain::StepKind;

/// The newest graph this engine understands. Raise it with every kind of step, output or signal that an older engine
/// could not read.
pub const VERSION: i16 = 2;

/// Kinds of step that came after the first version, and with which.
const LATER: &[(StepKind, i16)] = &[(StepKind::Draft, 2)];

/// The version that a run with a step of this kind needs.
#[must_use]
pub fn needed(kind: StepKind) -> i16 {
    LATER.iter().find(|(later, _)| *later == kind).map_or(1, |(_, version)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_engine_understands_every_kind_of_step() {
        assert!(StepKind::ALL.iter().all(|kind| needed(*kind) <= VERSION));
    }
}
