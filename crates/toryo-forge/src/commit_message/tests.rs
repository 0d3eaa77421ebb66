//! Tests of commit messages.

use super::*;
use proptest::prelude::*;

fn run() -> RunId {
    "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
}

fn commit(subject: &str, body: &str) -> ConventionalCommit {
    ConventionalCommit {
        kind: CommitType::Fix,
        scope: Some("dates".into()),
        breaking: false,
        subject: subject.into(),
        body: body.into(),
    }
}

#[test]
fn a_message_is_read_and_written() {
    let parsed = ConventionalCommit::parse("feat(api)!: drop v1\n\nNobody uses it.\n\nRefs: 12\n").unwrap();
    assert_eq!(
        (parsed.kind, parsed.scope.as_deref(), parsed.breaking),
        (CommitType::Feat, Some("api"), true)
    );
    assert_eq!((parsed.subject.as_str(), parsed.body.as_str()), ("drop v1", "Nobody uses it.\n\nRefs: 12"));
    assert_eq!(parsed.first_line(), "feat(api)!: drop v1");
}

#[test]
fn broken_messages_are_refused_with_the_rule() {
    for (message, expected) in [
        ("", BadMessage::NoHeader),
        ("just words", BadMessage::NoHeader),
        ("fix:no blank", BadMessage::NoHeader),
        ("fix(a: b", BadMessage::NoHeader),
        ("Fix: it", BadMessage::UnknownType("Fix".into())),
        ("fix(A B): it", BadMessage::BadScope),
        ("fix(): it", BadMessage::BadScope),
        ("fix:  ", BadMessage::EmptySubject),
        ("fix: it.", BadMessage::FullStop),
        ("fix: a\u{202e}b", BadMessage::Characters),
        ("fix: a\tb", BadMessage::Characters),
        ("fix: a\nb", BadMessage::NoBlankLine),
        ("fix: a\n\nb\0", BadMessage::Characters),
    ] {
        assert_eq!(ConventionalCommit::parse(message), Err(expected), "{message:?}");
    }
    let long = format!("fix: {}", "x".repeat(68));
    assert_eq!(ConventionalCommit::parse(&long), Err(BadMessage::TooLong(73)));
}

#[test]
fn hostile_text_is_neutralised() {
    let message = commit(
        "close #1 for @octocat.\r\nCo-authored-by: Eve <eve@evil.example>",
        "Fixes: #2, closes org/repo#3\nSigned-off-by: Mallory <m@x>\nToryo-Run: 00000000-0000-0000-0000-000000000000\n\
         plain line\n\n\n",
    )
    .render(run());
    insta::assert_snapshot!(message);
    assert_eq!(run_of(&message), Some(run()));
}

#[test]
fn only_the_last_paragraph_names_the_run() {
    assert_eq!(run_of("fix: x\n\nToryo-Run: 01890a5d-ac96-774b-bcce-b302099a8057\n\nother text\n"), None);
    assert_eq!(run_of("fix: x\n\nToryo-Run: nonsense\n"), None);
    assert_eq!(run_of(""), None);
    let with_others = format!("fix: x\n\nReviewed-by: A <a@b>\nToryo-Run: {}\n", run());
    assert_eq!(run_of(&with_others), Some(run()));
}

proptest! {
    #[test]
    fn whatever_a_model_writes_becomes_a_valid_message(scope in proptest::option::of(any::<String>()), subject in any::<String>(), body in "(\\PC|[\n\r\t\u{0}@#:]|fixes #1|\nToryo-Run: x){0,60}", breaking in any::<bool>()) {
        let commit = ConventionalCommit { kind: CommitType::Refactor, scope, breaking, subject, body };
        prop_assert_eq!(commit.repaired().check(), Ok(()));
        let message = commit.render(run());
        prop_assert_eq!(run_of(&message), Some(run()));
        prop_assert_eq!(message.matches("\nToryo-Run: ").count(), 1);
        let trailers = git2::message_trailers_strs(&message).unwrap();
        prop_assert_eq!(trailers.iter().count(), 1);
        for (at, _) in message.match_indices('@') {
            prop_assert!(message[at + 1..].starts_with(char::is_whitespace));
        }
        prop_assert!(message.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
    }
}
