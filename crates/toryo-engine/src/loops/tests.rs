//! Histories in letters: the first of a round is what was done, the second what failed (`-` for nothing).

use super::*;
use proptest::prelude::*;

fn rounds(text: &str) -> Vec<Round> {
    let round = |word: &str| Round {
        action: Digest::of(&word[..1]),
        failure: (&word[1..] != "-").then(|| word[1..].to_owned()),
    };
    text.split_whitespace().map(round).collect()
}

#[test]
fn each_rule_has_its_patience() {
    let seen = |text: &str| circle(&rounds(text)).map(Circle::rule);
    assert_eq!(seen("ax"), None);
    assert_eq!(seen("ax ax"), None, "once more is no circle");
    assert_eq!(seen("ax ax ax"), Some("loop.same_error"));
    assert_eq!(seen("ax ax ax ax"), Some("loop.same_result"));
    assert_eq!(seen("ax bx cx"), Some("loop.same_failure"));
    assert_eq!(seen("ax bx cy"), None, "the failure has changed: that is progress");
    assert_eq!(seen("ax by ax by ax"), None);
    assert_eq!(seen("ax by ax by ax by"), Some("loop.alternation"));
    assert_eq!(seen("ax by cz dx ey fz"), None);
    assert_eq!(seen("a- a- a- a-"), None, "what is good is not mended");
}

#[test]
fn a_circle_changes_the_course_and_a_second_one_stops_the_work() {
    let said = |text: &str| course(&rounds(text));
    assert_eq!(said("ax bx"), Course::Keep);
    assert_eq!(said("ax bx cx"), Course::Change { circle: Circle::SameFailure, after: 3 });
    assert_eq!(said("ax bx cx dx"), Course::Stop(Circle::SameFailure));
    assert_eq!(
        said("ax bx cx dy"),
        Course::Change { circle: Circle::SameFailure, after: 3 },
        "the new course helps"
    );
    assert_eq!(said("ax bx cx dy ey fy"), Course::Stop(Circle::SameFailure));
}

#[test]
fn a_failure_is_the_same_whatever_its_numbers() {
    let one = "FAILED tests/test_a.py::test_x - assert 3 == 4\n  at 0x7f12ab34 in 0.12s";
    let two = "FAILED tests/test_a.py::test_x -  assert 5 == 12\nat 0x55e0ffff in 1.3s";
    assert_eq!(normalised(one), normalised(two));
    assert_ne!(normalised(one), normalised("FAILED tests/test_a.py::test_y - assert 3 == 4"));
}

fn any_history(longest: usize) -> impl Strategy<Value = Vec<Round>> {
    let round = ("[ab]", proptest::option::weighted(0.8, "[xy]"))
        .prop_map(|(action, failure)| Round { action: Digest::of(action), failure });
    proptest::collection::vec(round, 0..longest)
}

proptest! {
    #[test]
    fn good_work_is_no_circle(mut history in any_history(12)) {
        for round in &mut history {
            round.failure = None;
        }
        prop_assert_eq!(course(&history), Course::Keep);
    }

    #[test]
    fn what_lies_before_a_circle_does_not_matter(before in any_history(6), history in any_history(10)) {
        if let Some(seen) = circle(&history) {
            let longer = [before, history].concat();
            // A longer history may show a stricter rule, never none.
            prop_assert!(circle(&longer).is_some(), "{seen:?}");
        }
    }

    #[test]
    fn nobody_is_stopped_before_the_course_was_changed(history in any_history(14)) {
        if matches!(course(&history), Course::Stop(_)) {
            let changed = (1..history.len()).any(|end| matches!(course(&history[..end]), Course::Change { .. }));
            prop_assert!(changed);
        }
    }

    #[test]
    fn work_that_always_fails_alike_is_stopped_within_four_rounds(actions in proptest::collection::vec("[a-f]", 4..12)) {
        let history: Vec<Round> =
            actions.iter().map(|a| Round { action: Digest::of(a), failure: Some("x".into()) }).collect();
        prop_assert!(matches!(course(&history), Course::Stop(_)));
    }

    #[test]
    fn normalising_twice_changes_nothing(text in "\\PC{0,80}") {
        let once = normalised(&text);
        prop_assert_eq!(normalised(&once), once);
    }
}
