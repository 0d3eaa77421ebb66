//! Merge by entity: modules and classes are merged piece by piece, so that what two sides add at one place, or
//! change in different definitions, does not conflict.
//!
//! Both sides are compared with the base: each of its pieces is kept, changed or gone, and new pieces stand
//! before one of them or in the place of one. A function's statements are merged as lines: their order means
//! something.

mod added;
mod gone;
mod kept;
mod side;

use super::lines;
use super::pieces::{Key, Parts, Piece, Version, seams, tell_apart};
use super::{Clash, SAME_LINES};
use side::{Fate, Side};
use std::collections::HashMap;
use std::ops::Range;

/// Merges three versions of a file: the text, and what conflicts. `None` where a side has changed the order of
/// definitions.
pub(super) fn merge(versions: [&Version<'_>; 3]) -> Option<(String, Vec<Clash>)> {
    let mut structure = Structure { versions, clashes: Vec::new() };
    let [base, ours, theirs] = versions;
    let parts = [base.parts(None)?, ours.parts(None)?, theirs.parts(None)?];
    let text = structure.container([None; 3], parts, false)?;
    Some((text, structure.clashes))
}

/// Which version.
const BASE: usize = 0;
const OURS: usize = 1;
const THEIRS: usize = 2;

struct Structure<'v, 't> {
    versions: [&'v Version<'t>; 3],
    clashes: Vec<Clash>,
}

/// One container while it is merged.
struct Container {
    /// The definition that holds the pieces, in each version.
    at: [Option<usize>; 3],
    parts: [Parts; 3],
    /// Whether new statements of both sides cannot stand in any order.
    ordered: bool,
    /// New imports of ours that are those of both sides.
    joined: HashMap<usize, String>,
    text: String,
}

impl Container {
    fn piece(&self, side: usize, index: usize) -> &Piece {
        &self.parts[side].pieces[index]
    }
}

impl Structure<'_, '_> {
    /// Merges a definition that holds others. `None` if it cannot be split.
    fn members(&mut self, at: [usize; 3], ordered: bool) -> Option<String> {
        let [base, ours, theirs] = self.versions;
        let at = at.map(Some);
        let parts = [base.parts(at[0])?, ours.parts(at[1])?, theirs.parts(at[2])?];
        self.container(at, parts, ordered)
    }

    /// Merges the pieces of a module, of a definition, or of a statement in one. `None` where a side has changed
    /// their order.
    fn container(&mut self, at: [Option<usize>; 3], mut parts: [Parts; 3], ordered: bool) -> Option<String> {
        tell_apart(self.versions, &mut parts);
        let ours = Side::of(&parts[BASE], &parts[OURS])?;
        let theirs = Side::of(&parts[BASE], &parts[THEIRS])?;
        let mut container = Container { at, parts, ordered, joined: HashMap::new(), text: String::new() };
        container.text = self.head(&container);
        let added = self.added_by_both(&container, &ours, &theirs);
        container.joined = self.joined_imports(&container, &added);
        for place in 0..ours.added.len() {
            self.insert(&mut container, &ours.added[place], &theirs.added[place], place, &added);
            let (Some(our_fate), Some(their_fate)) = (ours.fates.get(place), theirs.fates.get(place)) else {
                break;
            };
            match (our_fate, their_fate) {
                (Fate::Kept(our), Fate::Kept(their)) => self.kept(&mut container, place, *our, *their),
                (Fate::Gone(run), Fate::Kept(their)) => self.gone(&mut container, place, OURS, run, *their),
                (Fate::Kept(our), Fate::Gone(run)) => self.gone(&mut container, place, THEIRS, run, *our),
                (Fate::Gone(our), Fate::Gone(their)) => {
                    self.both_gone(&mut container, place, our, their, &added)
                }
            }
        }
        self.touching(&container, &ours, &theirs);
        let feet = [0, 1, 2].map(|side| container.parts[side].foot.clone());
        let foot = self.three_way(&feet);
        Some(container.text + &foot)
    }

    /// What stands before the first piece: what decorates a definition apart from its header.
    fn head(&mut self, container: &Container) -> String {
        let heads = [0, 1, 2].map(|side| container.parts[side].head.clone());
        let seams = [0, 1, 2].map(|side| {
            container.at[side].map_or(heads[side].start, |index| seams(self.versions[side], index)[0])
        });
        let clear = (0..3).all(|side| heads[side].start <= seams[side] && seams[side] <= heads[side].end);
        if !clear {
            return self.three_way(&heads);
        }
        let above = self.three_way(&[0, 1, 2].map(|side| heads[side].start..seams[side]));
        above + &self.three_way(&[0, 1, 2].map(|side| seams[side]..heads[side].end))
    }

    /// Merges lines; where that fails, our text, and what conflicts is noted.
    fn three_way(&mut self, rows: &[Range<usize>; 3]) -> String {
        let [base, ours, theirs] = [0, 1, 2].map(|side| self.versions[side].text(&rows[side]));
        if ours == theirs || theirs == base {
            return ours;
        }
        if ours == base {
            return theirs;
        }
        let merged = lines::merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
        self.clashes.extend(merged.clashes.iter().map(|region| super::clash(region, rows[BASE].start)));
        if merged.clashes.is_empty() { String::from_utf8_lossy(&merged.text).into_owned() } else { ours }
    }

    fn text_of(&self, container: &Container, side: usize, index: usize) -> String {
        self.versions[side].text(&container.piece(side, index).rows)
    }

    /// Notes that both sides changed a piece of the base, or that one removed what the other changed.
    fn conflict(
        &mut self,
        container: &Container,
        place: usize,
        reason: &'static str,
        sides: [Option<String>; 2],
    ) {
        let line = container.parts[BASE]
            .pieces
            .get(place)
            .map_or(container.parts[BASE].foot.start, |piece| piece.rows.start);
        let [ours, theirs] = sides;
        self.clashes.push(Clash { line: u32::try_from(line + 1).unwrap_or(u32::MAX), reason, ours, theirs });
    }

    /// Notes statements next to each other that different sides changed: their order may mean something.
    fn touching(&mut self, container: &Container, ours: &Side, theirs: &Side) {
        // One that defines several names, such as `a, b = 1, 2`, is a definition as one of a single name is.
        let is_text = |at: usize| {
            let piece = container.piece(BASE, at);
            matches!(piece.key, Key::Text(..)) && piece.names.is_empty()
        };
        let changed = |side: &Side, at: usize| matches!(side.fates[at], Fate::Gone(_));
        for at in 1..container.parts[BASE].pieces.len() {
            let near = container.piece(BASE, at).lead.is_empty() && is_text(at - 1) && is_text(at);
            let apart = |one: &Side, other: &Side| {
                changed(one, at - 1) && !changed(one, at) && changed(other, at) && !changed(other, at - 1)
            };
            if near && (apart(ours, theirs) || apart(theirs, ours)) {
                let text = |side: usize, fates: &Side| -> Option<String> {
                    let indices = [at - 1, at].into_iter().flat_map(|at| match &fates.fates[at] {
                        Fate::Kept(index) => vec![*index],
                        Fate::Gone(run) => run.clone(),
                    });
                    Some(indices.map(|index| self.text_of(container, side, index)).collect())
                };
                let sides = [text(OURS, ours), text(THEIRS, theirs)];
                self.conflict(container, at - 1, SAME_LINES, sides);
            }
        }
    }
}
