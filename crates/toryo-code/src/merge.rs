//! Three-way merge: by lines, and for languages with a definition also by entity.
//!
//! Conflicts are values. No merged text ever holds conflict markers.

mod entity;

use crate::diff::{Hunk, hunks, is_binary, split_lines};
use crate::language;
use std::fmt;
use std::ops::Range;
use toryo_domain::{FailureClass, RepoPath};

/// Places where two sides changed the same in different ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The file.
    pub path: RepoPath,
    /// Every such place, in order; never empty.
    pub places: Vec<Clash>,
}

/// One place of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// The line of the base where it starts, from 1.
    pub line: u32,
    /// What is at odds, in few words.
    pub reason: &'static str,
    /// Our text of the place; `None` if we deleted the file.
    pub ours: Option<String>,
    /// Their text of the place; `None` if they deleted the file.
    pub theirs: Option<String>,
}

impl std::error::Error for Conflict {}

impl Conflict {
    /// A conflict is the plan's or the model's to resolve: it is asked again.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        FailureClass::InvalidOutput
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "two changes of {} conflict", self.path)?;
        for clash in &self.places {
            write!(f, "; at line {}: {}", clash.line, clash.reason)?;
        }
        Ok(())
    }
}

/// Merges two changes of a file. `None` is a file that is not there.
///
/// # Errors
/// Every place where both sides changed the same lines differently and the language's structure does not say
/// how both can stand.
pub fn merge(
    path: &RepoPath,
    base: Option<&[u8]>,
    ours: Option<&[u8]>,
    theirs: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, Conflict> {
    if ours == theirs || theirs == base {
        return Ok(ours.map(<[u8]>::to_vec));
    }
    if ours == base {
        return Ok(theirs.map(<[u8]>::to_vec));
    }
    let whole = |reason| {
        let text = |side: Option<&[u8]>| side.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Conflict {
            path: path.clone(),
            places: vec![Clash { line: 1, reason, ours: text(ours), theirs: text(theirs) }],
        }
    };
    match (base, ours, theirs) {
        (Some(base), Some(ours), Some(theirs)) => {
            if [base, ours, theirs].into_iter().any(is_binary) {
                return Err(whole("both sides changed a binary file"));
            }
            merge_texts(path, base, ours, theirs).map(Some)
        }
        (None, ..) => Err(whole("both sides created the file differently")),
        (Some(_), None, _) => Err(whole("our side deleted the file that their side changed")),
        (Some(_), _, None) => Err(whole("their side deleted the file that our side changed")),
    }
}

/// A stretch of the base that one or both sides changed, and what each side has in its place.
struct Region<'a> {
    base: Range<usize>,
    ours: Option<Side<'a>>,
    theirs: Option<Side<'a>>,
}

/// One side's hunks in a region and its lines for the whole region.
struct Side<'a> {
    hunks: Vec<Hunk>,
    lines: Vec<&'a [u8]>,
}

fn merge_texts(path: &RepoPath, base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Vec<u8>, Conflict> {
    // A missing final newline is a property of the file, not of its last line.
    let ends = |text: &[u8]| text.is_empty() || text.ends_with(b"\n");
    let end = if ends(ours) == ends(base) { ends(theirs) } else { ends(ours) };
    let [base, ours, theirs] = [base, ours, theirs].map(|text| {
        let mut text = text.to_vec();
        if !ends(&text) {
            text.push(b'\n');
        }
        text
    });
    let regions = regions(&base, &ours, &theirs);
    let base_lines = split_lines(&base);
    let entities =
        language::of(path).and_then(|language| entity::Entities::of(language, [&base, &ours, &theirs]));
    let mut merged: Vec<u8> = Vec::with_capacity(ours.len().max(theirs.len()));
    let mut clashes = Vec::new();
    let mut at = 0;
    for region in &regions {
        base_lines[at..region.base.start].iter().for_each(|line| merged.extend_from_slice(line));
        at = region.base.end;
        let joined = match (&region.ours, &region.theirs) {
            (Some(side), None) | (None, Some(side)) => Some(side.lines.concat()),
            (Some(ours), Some(theirs)) if ours.lines == theirs.lines => Some(ours.lines.concat()),
            _ => entities.as_ref().and_then(|entities| entities.join(region, &base_lines)),
        };
        match joined {
            Some(text) => merged.extend_from_slice(&text),
            None => clashes.push(clash(region)),
        }
    }
    base_lines[at..].iter().for_each(|line| merged.extend_from_slice(line));
    if clashes.is_empty() {
        clashes.extend(entities.and_then(|entities| entities.fault(&merged)));
    }
    if !clashes.is_empty() {
        return Err(Conflict { path: path.clone(), places: clashes });
    }
    if !end && merged.ends_with(b"\n") {
        merged.pop();
        if merged.ends_with(b"\r") {
            merged.pop();
        }
    }
    Ok(merged)
}

fn clash(region: &Region<'_>) -> Clash {
    let text = |side: &Option<Side<'_>>| {
        side.as_ref().map(|side| String::from_utf8_lossy(&side.lines.concat()).into_owned())
    };
    Clash {
        line: u32::try_from(region.base.start + 1).unwrap_or(u32::MAX),
        reason: "both sides changed the same lines",
        ours: text(&region.ours),
        theirs: text(&region.theirs),
    }
}

/// The stretches of the base that a side changed; changes that touch each other are one stretch.
fn regions<'a>(base: &[u8], ours: &'a [u8], theirs: &'a [u8]) -> Vec<Region<'a>> {
    let (our_hunks, their_hunks) = (hunks(base, ours), hunks(base, theirs));
    let (our_lines, their_lines) = (split_lines(ours), split_lines(theirs));
    let (mut our_rest, mut their_rest) = (our_hunks.as_slice(), their_hunks.as_slice());
    let mut regions = Vec::new();
    loop {
        let start = match (our_rest.first(), their_rest.first()) {
            (Some(ours), Some(theirs)) => ours.before.start.min(theirs.before.start),
            (Some(one), None) | (None, Some(one)) => one.before.start,
            (None, None) => return regions,
        };
        let (mut end, mut our_count, mut their_count) = (start, 0, 0);
        loop {
            let touching = |rest: &[Hunk], count: usize| {
                rest.get(count).filter(|hunk| hunk.before.start <= end).map(|hunk| hunk.before.end)
            };
            if let Some(reaches) = touching(our_rest, our_count) {
                (end, our_count) = (end.max(reaches), our_count + 1);
            } else if let Some(reaches) = touching(their_rest, their_count) {
                (end, their_count) = (end.max(reaches), their_count + 1);
            } else {
                break;
            }
        }
        let ours = side(&our_rest[..our_count], start..end, &our_lines);
        let theirs = side(&their_rest[..their_count], start..end, &their_lines);
        our_rest = &our_rest[our_count..];
        their_rest = &their_rest[their_count..];
        regions.push(Region { base: start..end, ours, theirs });
    }
}

/// What a side has in place of a stretch of the base, if it changed something there.
fn side<'a>(hunks: &[Hunk], base: Range<usize>, lines: &[&'a [u8]]) -> Option<Side<'a>> {
    let (first, last) = (hunks.first()?, hunks.last()?);
    let start = first.after.start - (first.before.start - base.start);
    let end = last.after.end + (base.end - last.before.end);
    Some(Side { hunks: hunks.to_vec(), lines: lines[start..end].to_vec() })
}

#[cfg(test)]
mod tests {
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
}
