//! Where quoted lines stand in a file: in ordered passes, each a little more tolerant, never by likeness.
//!
//! A pass compares lines by a key, so that equal keys are equal lines, and the search is linear (Knuth, Morris
//! and Pratt). What a pass finds at one place is taken; at several, a line number that came with the quotation
//! decides between them, but only where the texts agree to the letter or up to white space at line ends.

mod look_alikes;
mod shift;

use crate::text::without_break;
use look_alikes::folded_outside;
pub(super) use shift::Shift;
use shift::indented;
use std::borrow::Cow;
use std::collections::HashMap;

/// The most lines that a search for indentation compares, over all places: some milliseconds.
const MOST_COMPARED: usize = 2_000_000;

/// The most places that are told apart.
const MOST_PLACES: usize = 100;

/// What indents.
const INDENTS: [char; 2] = [' ', '\t'];

/// How lines are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Exact,
    LineEnds,
    Indentation,
    LookAlikes,
    LookAlikesIndented,
}

const PASSES: [Pass; 5] =
    [Pass::Exact, Pass::LineEnds, Pass::Indentation, Pass::LookAlikes, Pass::LookAlikesIndented];

impl Pass {
    /// What has to be equal.
    fn key(self, line: &str) -> Cow<'_, str> {
        let line = without_break(line);
        match self {
            Self::Exact => Cow::Borrowed(line),
            Self::LineEnds => Cow::Borrowed(line.trim_end()),
            Self::Indentation => Cow::Borrowed(line.trim_start_matches(INDENTS).trim_end()),
            Self::LookAlikes => folded_outside(line),
            Self::LookAlikesIndented => match folded_outside(line) {
                Cow::Borrowed(line) => Cow::Borrowed(line.trim_start_matches(INDENTS)),
                Cow::Owned(line) => Cow::Owned(line.trim_start_matches(INDENTS).to_owned()),
            },
        }
    }

    /// Whether indentation may differ, by the same for all lines.
    fn shifts(self) -> bool {
        matches!(self, Self::Indentation | Self::LookAlikesIndented)
    }
}

/// What became of a search.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The lines stand here (0-based), up to this shift of indentation.
    At(usize, Shift),
    /// They stand at several places (0-based).
    Several(Vec<usize>),
    /// They stand nowhere; where most of them from the first on do, this one (0-based, of the quotation) is the
    /// first that differs from this line of the file (0-based).
    Nowhere {
        /// The line of the quotation.
        quoted: usize,
        /// The line of the file that it differs from; one past the last at the file's end.
        line: usize,
    },
}

/// Finds the one place at or below `from` where quoted lines stand. `hint` is a line number, 0-based, that came
/// with them.
pub(super) fn find(quoted: &[&str], lines: &[&str], from: usize, hint: Option<usize>) -> Found {
    for pass in PASSES {
        let matches = Matches::of(pass, quoted, lines, from);
        let places = if pass.shifts() {
            shifted(quoted, lines, &matches.places)
        } else {
            Some(plain(&matches.places))
        };
        match places.as_deref() {
            Some([]) => {}
            Some([(at, shift)]) => return Found::At(*at, shift.clone()),
            Some(several) => {
                let hinted = several
                    .iter()
                    .find(|(at, _)| Some(*at) == hint && !pass.shifts() && pass != Pass::LookAlikes);
                return match hinted {
                    Some((at, shift)) => Found::At(*at, shift.clone()),
                    None => Found::Several(several.iter().map(|(at, _)| *at).take(MOST_PLACES).collect()),
                };
            }
            None => return Found::Several(matches.places.into_iter().take(MOST_PLACES).collect()),
        }
    }
    difference(quoted, lines, from, hint.unwrap_or(from))
}

/// Whether a quoted line is this line of the file, in any pass.
pub(super) fn same(quoted: &str, found: &str) -> bool {
    quoted.trim() == found.trim() || folded_outside(quoted).trim() == folded_outside(found).trim()
}

fn plain(places: &[usize]) -> Vec<(usize, Shift)> {
    places.iter().map(|at| (*at, Shift::default())).collect()
}

/// The places where one shift fits all lines. `None` if there is too much to compare.
fn shifted(quoted: &[&str], lines: &[&str], places: &[usize]) -> Option<Vec<(usize, Shift)>> {
    let mut compared = 0;
    let mut found = Vec::new();
    for at in places {
        let pairs = || quoted.iter().zip(&lines[*at..]).filter(|(quoted, _)| !quoted.trim().is_empty());
        let Some(first) = pairs().next() else { continue };
        let mut shifts = Shift::between(first.0, first.1);
        let fits = |shift: &Shift| {
            pairs().all(|(quoted, line)| {
                compared += 1;
                indentation_is(shift.apply(quoted), line)
            })
        };
        found.extend(shifts.find(fits).map(|shift| (*at, shift)));
        if compared > MOST_COMPARED {
            return None;
        }
    }
    Some(found)
}

/// Whether a shifted line is indented as a line of the file.
fn indentation_is(shifted: Option<Cow<'_, str>>, line: &str) -> bool {
    shifted.is_some_and(|shifted| indented(&shifted).0 == indented(line).0)
}

/// What differs first at the best anchored place: where most quoted lines stand, from the first on, the nearest
/// to the hint of equals. In the most tolerant pass.
fn difference(quoted: &[&str], lines: &[&str], from: usize, hint: usize) -> Found {
    let matches = Matches::of(Pass::LookAlikesIndented, quoted, lines, from);
    let blank = quoted.iter().take_while(|line| line.trim().is_empty()).count();
    if matches.longest > blank {
        let starts = matches.anchors.iter().map(|end| end + 1 - matches.longest);
        if let Some(start) = starts.min_by_key(|start| start.abs_diff(hint)) {
            let shift = Shift::between(quoted[blank], lines[start + blank]).next().unwrap_or_default();
            // The texts may agree further than the indentation does.
            let agrees = |at: &usize| {
                let (quoted, line) = (quoted[*at], lines[start + at]);
                quoted.trim().is_empty() || indentation_is(shift.apply(quoted), line)
            };
            let agreeing = (0..matches.longest).take_while(agrees).count();
            return Found::Nowhere {
                quoted: agreeing.min(quoted.len() - 1),
                line: start + agreeing.min(quoted.len() - 1),
            };
        }
    }
    let hint = hint.min(lines.len());
    let differs =
        (0..quoted.len()).find(|at| lines.get(hint + at).is_none_or(|line| !same(quoted[*at], line)));
    let differs = differs.unwrap_or(0);
    Found::Nowhere { quoted: differs, line: (hint + differs).min(lines.len()) }
}

/// Where lines with equal keys stand.
struct Matches {
    /// Where all of them do, in order.
    places: Vec<usize>,
    /// How many from the first on stand together anywhere.
    longest: usize,
    /// The last line of each run of that many.
    anchors: Vec<usize>,
}

impl Matches {
    fn of(pass: Pass, quoted: &[&str], lines: &[&str], from: usize) -> Self {
        let mut ids: HashMap<Cow<'_, str>, u32> = HashMap::new();
        let mut next = 1;
        let wanted: Vec<u32> = quoted
            .iter()
            .map(|line| {
                *ids.entry(pass.key(line)).or_insert_with(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        let borders = borders(&wanted);
        let mut found = Self { places: Vec::new(), longest: 0, anchors: Vec::new() };
        let mut length = 0;
        for (at, line) in lines.iter().enumerate().skip(from) {
            let id = ids.get(&pass.key(line)).copied().unwrap_or(0);
            while length > 0 && (length == wanted.len() || wanted[length] != id) {
                length = borders[length - 1];
            }
            if wanted.first().is_some_and(|_| wanted[length] == id) {
                length += 1;
            }
            if length == wanted.len() {
                found.places.push(at + 1 - length);
            }
            if length > found.longest {
                found.longest = length;
                found.anchors.clear();
            }
            if length > 0 && length == found.longest {
                found.anchors.push(at);
            }
        }
        found
    }
}

/// For each beginning of a sequence, the length of the longest shorter one that it ends with.
fn borders(sequence: &[u32]) -> Vec<usize> {
    let mut borders = vec![0; sequence.len()];
    let mut length: usize = 0;
    for at in 1..sequence.len() {
        while length > 0 && sequence[at] != sequence[length] {
            length = borders[length - 1];
        }
        if sequence[at] == sequence[length] {
            length += 1;
        }
        borders[at] = length;
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::shift::{Depth, Restyle};
    use super::*;
    use proptest::prelude::*;

    fn search(quoted: &str, text: &str, hint: usize) -> Found {
        let quoted: Vec<&str> = quoted.lines().collect();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        find(&quoted, &lines, 0, Some(hint))
    }

    fn more(white: &str) -> Shift {
        Shift { style: None, depth: Depth::More(white.into()) }
    }

    fn styled(style: Restyle) -> Shift {
        Shift { style: Some(style), depth: Depth::Same }
    }

    #[test]
    fn passes_are_tried_in_order() {
        assert_eq!(search("b", "a\nb\nb \n", 0), Found::At(1, Shift::default()));
        assert_eq!(search("b ", "a\nb\n  b\n", 0), Found::At(1, Shift::default()));
        assert_eq!(search("b\n c", "a\n  b\n   c\n", 0), Found::At(1, more("  ")));
        assert_eq!(
            search("    b\n     c", "a\n  b\n   c\n", 0),
            Found::At(1, Shift { style: None, depth: Depth::Less("  ".into()) })
        );
        assert_eq!(search("x = “a” — b", "x = \"a\" - b\n", 0), Found::At(0, Shift::default()));
        assert_eq!(search("x =\u{a0}'ａ'…", "  x = 'a'...\n", 0), Found::At(0, more("  ")));
        assert_eq!(search("if a:\n    b", "if a:\n\tb\n", 0), Found::At(0, styled(Restyle::Tabs(4))));
        assert_eq!(search("  if a:\n    b", "\tif a:\n\t\tb\n", 0), Found::At(0, styled(Restyle::Tabs(2))));
        let both = Shift { style: Some(Restyle::Tabs(4)), depth: Depth::More("\t".into()) };
        assert_eq!(search("if a:\n    b", "\tif a:\n\t\tb\n", 0), Found::At(0, both));
        assert_eq!(search("\tif a:\n\t\tb", "  if a:\n    b\n", 0), Found::At(0, styled(Restyle::Spaces(2))));
    }

    #[test]
    fn several_places_are_told_and_a_hint_decides_only_where_the_text_agrees() {
        assert_eq!(search("b", "b\na\nb\n", 1), Found::Several(vec![0, 2]));
        assert_eq!(search("b", "b\na\nb\n", 2), Found::At(2, Shift::default()));
        assert_eq!(search("b ", "b\na\nb\n", 2), Found::At(2, Shift::default()));
        assert_eq!(search("b", " b\na\n b\n", 2), Found::Several(vec![0, 2]));
        assert_eq!(search("’", "'\na\n'\n", 2), Found::Several(vec![0, 2]));
    }

    #[test]
    fn a_shift_is_the_same_for_all_lines() {
        assert_eq!(search("b\nc", "  b\n    c\n", 0), Found::Nowhere { quoted: 1, line: 1 });
        assert_eq!(search("b\n\n  c", "  b\n\n    c\n", 0), Found::At(0, more("  ")));
    }

    #[test]
    fn the_first_difference_is_that_of_the_best_anchored_place() {
        let text = "def f():\n    a\n    b\n\ndef g():\n    a\n    b\n    c\n";
        assert_eq!(search("def g():\n    a\n    b\n    x\n", text, 0), Found::Nowhere { quoted: 3, line: 7 });
        assert_eq!(search("    b\n    y", text, 7), Found::Nowhere { quoted: 1, line: 7 });
        assert_eq!(search("    b\n    y", text, 0), Found::Nowhere { quoted: 1, line: 3 });
        assert_eq!(search("    c\n    y", text, 0), Found::Nowhere { quoted: 1, line: 8 });
        assert_eq!(search("z", text, 2), Found::Nowhere { quoted: 0, line: 2 });
        assert_eq!(search("z", "", 2), Found::Nowhere { quoted: 0, line: 0 });
    }

    proptest! {
        #[test]
        fn a_search_finds_what_comparing_everywhere_finds(text in "([ab]\n){0,24}", quoted in "([ab]\n){1,5}", hint in 0_usize..24) {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let wanted: Vec<&str> = quoted.lines().collect();
            let fits = |at: &usize| wanted.iter().enumerate().all(|(index, line)| lines.get(at + index).is_some_and(|found| found.trim() == *line));
            let places: Vec<usize> = (0..lines.len()).filter(fits).collect();
            match find(&wanted, &lines, 0, Some(hint)) {
                Found::At(at, shift) => prop_assert!(shift == Shift::default() && (places == [at] || at == hint && places.contains(&at))),
                Found::Several(found) => prop_assert!(found == places && found.len() > 1 && !places.contains(&hint)),
                Found::Nowhere { quoted, line } => {
                    prop_assert!(places.is_empty() && quoted < wanted.len());
                    prop_assert!(lines.get(line).is_none_or(|found| found.trim() != wanted[quoted]));
                }
            }
        }
    }
}
