//! Merges of lines.

mod entities;

use super::*;
use proptest::prelude::*;

fn merged(base: &str, ours: &str, theirs: &str) -> Result<String, Conflict> {
    let path = "a.txt".parse().expect("a path");
    let merged = merge(&path, Some(base.as_bytes()), Some(ours.as_bytes()), Some(theirs.as_bytes()))?;
    Ok(String::from_utf8(merged.expect("a file")).expect("UTF-8"))
}

#[test]
fn changes_of_different_lines_are_merged_and_of_the_same_reported() {
    assert_eq!(merged("1\n2\n3\n4\n", "a\n2\n3\n4\n", "1\n2\n3\nd\n").as_deref(), Ok("a\n2\n3\nd\n"));
    assert_eq!(merged("1\n2\n3\n", "1\n2\n3", "0\n2\n3\n").as_deref(), Ok("0\n2\n3"));
    assert_eq!(merged("1\n2", "1\n2\n3\n", "0\n2").as_deref(), Ok("0\n2\n3\n"));
    let conflict = merged("1\n2\n3\n", "1\na\n3\n", "1\nb\n3\n").expect_err("a conflict");
    let clash = Clash {
        line: 2,
        reason: "both sides changed the same lines",
        ours: Some("a\n".into()),
        theirs: Some("b\n".into()),
    };
    assert_eq!(conflict.places, [clash]);
}

#[test]
fn what_only_one_way_to_pair_lines_makes_a_conflict_is_merged_the_other_way() {
    let (base, ours) = ("c\nb\nb\nb\nc\nb\n", "b\nc\nb\nb\nb\nc\nb\nb\n");
    let both = merged(base, ours, "c\nb\nb\na\nb\nb\nc\nb\n");
    assert_eq!(both.as_deref(), Ok("b\nc\nb\nb\na\nb\nb\nc\nb\nb\n"));
}

#[test]
fn a_file_that_one_side_deletes_and_the_other_changes_is_a_conflict() {
    let path: RepoPath = "a.txt".parse().expect("a path");
    assert_eq!(merge(&path, Some(b"1"), None, Some(b"1")), Ok(None));
    assert_eq!(merge(&path, None, None, Some(b"1")), Ok(Some(b"1".to_vec())));
    assert!(merge(&path, Some(b"1"), None, Some(b"2")).is_err());
    assert!(merge(&path, None, Some(b"1"), Some(b"2")).is_err());
    assert!(merge(&path, Some(b"\0"), Some(b"\x001"), Some(b"\x002")).is_err());
}

proptest! {
    #[test]
    fn a_merge_is_symmetric_and_keeps_a_lone_change(
        base in "([ab]\n){0,12}", ours in "([abc]\n){0,12}", theirs in "([abd]\n){0,12}"
    ) {
        prop_assert_eq!(merged(&base, &ours, &base).ok(), Some(ours.clone()));
        prop_assert_eq!(merged(&base, &ours, &ours).ok(), Some(ours.clone()));
        let forth = merged(&base, &ours, &theirs).ok();
        prop_assert_eq!(&forth, &merged(&base, &theirs, &ours).ok());
        // An independent implementation that accepts touching changes may merge more, never differently.
        if let (Some(forth), Ok(other)) = (forth, diffy::merge(&base, &ours, &theirs)) {
            prop_assert_eq!(forth.matches('c').count(), other.matches('c').count());
        }
    }
}
