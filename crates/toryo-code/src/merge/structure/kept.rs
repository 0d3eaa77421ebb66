//! Pieces that both sides have: their texts, or what they hold, are merged.

use super::{BASE, Container, OURS, Structure, THEIRS};
use crate::merge::imports;
use crate::merge::pieces::{Parts, is_ordered, rows_of, seams};
use std::ops::Range;

impl Structure<'_, '_> {
    /// The blank lines above a piece of the base that stays, as the side has them that changed them.
    fn lead(&self, container: &Container, place: usize, our: usize, their: usize) -> String {
        let at = [place, our, their];
        let [base, ours, theirs] =
            [0, 1, 2].map(|side| self.versions[side].text(&container.piece(side, at[side]).lead));
        if ours == base { theirs } else { ours }
    }

    /// A piece that both sides have.
    pub(super) fn kept(&mut self, container: &mut Container, place: usize, our: usize, their: usize) {
        let lead = self.lead(container, place, our, their);
        container.text.push_str(&lead);
        let at = [place, our, their];
        let texts = [0, 1, 2].map(|side| self.text_of(container, side, at[side]));
        let symbols = [0, 1, 2].map(|side| container.piece(side, at[side]).symbol);
        let rows = [0, 1, 2].map(|side| container.piece(side, at[side]).rows.clone());
        let [base, ours, theirs] = &texts;
        let text = if ours == theirs || theirs == base {
            ours.clone()
        } else if ours == base {
            theirs.clone()
        } else if let [Some(b), Some(o), Some(t)] = symbols {
            self.definition([b, o, t], &rows)
        } else if let Some(joined) = imports::join(base, ours, theirs) {
            joined
        } else {
            self.three_way(&rows)
        };
        container.text.push_str(&text);
    }

    /// A definition that both sides changed; its piece may have more lines above and below.
    fn definition(&mut self, at: [usize; 3], rows: &[Range<usize>; 3]) -> String {
        let symbol = |side: usize| &self.versions[side].outline.symbols[at[side]];
        let holds_others = |side: usize| {
            let symbols = &self.versions[side].outline.symbols;
            symbols.iter().any(|other| other.parent == Some(at[side]))
        };
        let own = [0, 1, 2].map(|side| rows_of(symbol(side)));
        let ordered = is_ordered(symbol(BASE));
        let splits = !ordered || (0..3).all(holds_others);
        let above = [0, 1, 2].map(|side| rows[side].start..own[side].start.max(rows[side].start));
        let below = [0, 1, 2].map(|side| own[side].end.min(rows[side].end)..rows[side].end);
        let above = self.three_way(&above);
        let known = self.clashes.len();
        let inner = splits.then(|| self.members(at, ordered)).flatten();
        let inner = inner.unwrap_or_else(|| {
            self.clashes.truncate(known);
            let seams = [0, 1, 2].map(|side| seams(self.versions[side], at[side]));
            let part = |from: usize, to: usize| {
                let edge = |side: usize, number: usize| match number {
                    0 => own[side].start,
                    3 => own[side].end,
                    seam => seams[side][seam - 1],
                };
                [0, 1, 2].map(|side| edge(side, from)..edge(side, to))
            };
            // A body on the header's line has no part of its own.
            let has_body = |side: usize| seams[side][1] < own[side].end;
            if (0..3).all(has_body) || !(0..3).any(has_body) {
                self.three_way(&part(0, 1)) + &self.three_way(&part(1, 2)) + &self.three_way(&part(2, 3))
            } else {
                self.three_way(&part(0, 1)) + &self.three_way(&part(1, 3))
            }
        });
        above + &inner + &self.three_way(&below)
    }

    /// Merges what a statement holds, such as the declarations of a group or the lines of a block.
    pub(super) fn inner(&mut self, container: &Container, at: [usize; 3]) -> Option<String> {
        let within = |side: usize| {
            self.versions[side].parts_within(container.piece(side, at[side]), container.at[side])
        };
        let parts = [within(BASE)?, within(OURS)?, within(THEIRS)?];
        let defines = |parts: &Parts| parts.pieces.iter().all(|piece| piece.symbol.is_some());
        let ordered = !parts.iter().all(defines);
        self.container(container.at, parts, ordered)
    }
}
