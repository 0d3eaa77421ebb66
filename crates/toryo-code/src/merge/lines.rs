//! Merge of lines: changes of two sides that do not touch each other are both taken.

use crate::diff::{Hunk, hunks_by, split_lines};
use imara_diff::Algorithm;
use std::ops::Range;

/// A stretch of the base that one or both sides changed, and what each side has in its place.
pub(super) struct Region<'a> {
    pub(super) base: Range<usize>,
    pub(super) ours: Option<Vec<&'a [u8]>>,
    pub(super) theirs: Option<Vec<&'a [u8]>>,
}

/// What became of a merge of lines.
pub(super) struct Merged<'a> {
    /// The text, without what conflicts.
    pub(super) text: Vec<u8>,
    /// The stretches that both sides changed differently, in order.
    pub(super) clashes: Vec<Region<'a>>,
}

/// Merges texts whose lines all end. Where changes touch each other by the lines that `git merge` pairs, those of
/// `git merge-file` may be apart.
pub(super) fn merge<'a>(base: &[u8], ours: &'a [u8], theirs: &'a [u8]) -> Merged<'a> {
    let merged = merge_by(Algorithm::Histogram, base, ours, theirs);
    if merged.clashes.is_empty() {
        return merged;
    }
    let other = merge_by(Algorithm::Myers, base, ours, theirs);
    if other.clashes.is_empty() { other } else { merged }
}

fn merge_by<'a>(algorithm: Algorithm, base: &[u8], ours: &'a [u8], theirs: &'a [u8]) -> Merged<'a> {
    let base_lines = split_lines(base);
    let mut merged = Merged { text: Vec::with_capacity(ours.len().max(theirs.len())), clashes: Vec::new() };
    let mut at = 0;
    for region in regions(algorithm, base, ours, theirs) {
        base_lines[at..region.base.start].iter().for_each(|line| merged.text.extend_from_slice(line));
        at = region.base.end;
        match (&region.ours, &region.theirs) {
            (Some(side), None) | (None, Some(side)) => merged.text.extend_from_slice(&side.concat()),
            (Some(ours), Some(theirs)) if ours == theirs => merged.text.extend_from_slice(&ours.concat()),
            _ => merged.clashes.push(region),
        }
    }
    base_lines[at..].iter().for_each(|line| merged.text.extend_from_slice(line));
    merged
}

/// The stretches of the base that a side changed; changes that touch each other are one stretch.
fn regions<'a>(algorithm: Algorithm, base: &[u8], ours: &'a [u8], theirs: &'a [u8]) -> Vec<Region<'a>> {
    let (our_hunks, their_hunks) = (hunks_by(algorithm, base, ours), hunks_by(algorithm, base, theirs));
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
fn side<'a>(hunks: &[Hunk], base: Range<usize>, lines: &[&'a [u8]]) -> Option<Vec<&'a [u8]>> {
    let (first, last) = (hunks.first()?, hunks.last()?);
    let start = first.after.start - (first.before.start - base.start);
    let end = last.after.end + (base.end - last.before.end);
    Some(lines[start..end].to_vec())
}
