//! New pieces: what one side adds stands, what both add at one place stands one after the other.

use super::side::Side;
use super::{BASE, Container, OURS, Structure, THEIRS};
use crate::merge::pieces::Key;
use crate::merge::{SAME_LINES, imports};
use crate::outline::SymbolKind;
use std::collections::HashMap;

impl Structure<'_, '_> {
    /// Which new pieces of theirs our side has as well, each with ours.
    pub(super) fn added_by_both(
        &self,
        container: &Container,
        ours: &Side,
        theirs: &Side,
    ) -> HashMap<usize, usize> {
        let by_key: HashMap<&Key, usize> =
            ours.all_new().map(|index| (&container.piece(OURS, index).key, index)).collect();
        let same = |their: usize| {
            let key = &container.piece(THEIRS, their).key;
            let told = matches!(key, Key::Symbol(..) | Key::Import(..));
            Some((their, *by_key.get(key).filter(|_| told)?))
        };
        theirs.all_new().filter_map(same).collect()
    }

    /// Adds new pieces of both sides at one place.
    pub(super) fn insert(
        &mut self,
        container: &mut Container,
        ours: &[usize],
        theirs: &[usize],
        place: usize,
        added: &HashMap<usize, usize>,
    ) {
        let texts = |side: usize, run: &[usize]| -> Vec<String> {
            run.iter().map(|index| self.text_of(container, side, *index)).collect()
        };
        let (our_texts, their_texts) = (texts(OURS, ours), texts(THEIRS, theirs));
        if our_texts == their_texts {
            ours.iter().for_each(|index| self.put(container, OURS, *index, 0));
            return;
        }
        let mut fresh = Vec::new();
        for (index, text) in theirs.iter().zip(&their_texts) {
            let Some(our) = added.get(index) else {
                fresh.push(*index);
                continue;
            };
            let our_text = self.text_of(container, OURS, *our);
            if our_text != *text && !container.joined.contains_key(our) {
                let reason = "both sides added a definition of one name";
                self.conflict(container, place, reason, [Some(our_text), Some(text.clone())]);
            }
        }
        let is_definition = |side: usize, index: &usize| {
            let piece = container.piece(side, *index);
            let symbol = piece.symbol.map(|at| self.versions[side].outline.symbols[at].kind);
            symbol.is_some_and(|kind| kind != SymbolKind::Variable) || matches!(piece.key, Key::Import(..))
        };
        let unordered = ours.iter().all(|index| is_definition(OURS, index))
            && fresh.iter().all(|index| is_definition(THEIRS, index));
        if container.ordered && !ours.is_empty() && !fresh.is_empty() && !unordered {
            let join = |texts: &[String]| Some(texts.concat());
            self.conflict(container, place, SAME_LINES, [join(&our_texts), join(&their_texts)]);
            return;
        }
        let all = ours.iter().map(|index| (OURS, *index)).chain(fresh.iter().map(|index| (THEIRS, *index)));
        let mut all: Vec<(usize, usize)> = all.collect();
        let imports =
            all.iter().all(|(side, index)| matches!(container.piece(*side, *index).key, Key::Import(..)));
        if imports && !ours.is_empty() && !fresh.is_empty() {
            self.sort_imports(container, place, &mut all);
        }
        // What their side put between its neighbours stays as far from ours as it was from them.
        let gap = self.gap_at(container, place, ours, theirs);
        for (number, (side, index)) in all.iter().enumerate() {
            let changes_side = number > 0 && all[number - 1].0 != *side && !imports;
            self.put(container, *side, *index, if changes_side { gap } else { 0 });
        }
    }

    /// The new imports of ours that theirs has as well, with the names of both.
    pub(super) fn joined_imports(
        &self,
        container: &Container,
        added: &HashMap<usize, usize>,
    ) -> HashMap<usize, String> {
        let joined = |(their, our): (&usize, &usize)| {
            let is_import = matches!(container.piece(OURS, *our).key, Key::Import(..));
            let ours = self.text_of(container, OURS, *our);
            let theirs = self.text_of(container, THEIRS, *their);
            let both = imports::join(&imports::without_names(&ours), &ours, &theirs);
            Some((*our, both.filter(|_| is_import)?))
        };
        added.iter().filter_map(joined).collect()
    }

    /// Puts new imports in order, where their neighbours are in order.
    fn sort_imports(&self, container: &Container, place: usize, all: &mut [(usize, usize)]) {
        let text =
            |(side, index): &(usize, usize)| self.text_of(container, *side, *index).trim().to_lowercase();
        let base = &container.parts[BASE].pieces;
        let is_import = |at: usize| base.get(at).is_some_and(|piece| matches!(piece.key, Key::Import(..)));
        let above = place.checked_sub(1).filter(|at| is_import(*at)).map(|at| text(&(BASE, at)));
        let below = Some(place).filter(|at| is_import(*at)).map(|at| text(&(BASE, at)));
        let fits = |one: &(usize, usize)| {
            let own = text(one);
            above.as_ref().is_none_or(|above| *above <= own)
                && below.as_ref().is_none_or(|below| own <= *below)
        };
        let is_code = |one: &(usize, usize)| container.piece(one.0, one.1).lead.is_empty();
        if all.iter().all(fits) && all.iter().all(is_code) {
            all.sort_by_key(text);
        }
    }

    /// The blank lines between new pieces of two sides: as many as there are between them and their neighbours.
    fn gap_at(&self, container: &Container, place: usize, ours: &[usize], theirs: &[usize]) -> usize {
        let lead = |side: usize, index: Option<usize>| {
            index
                .and_then(|index| container.parts[side].pieces.get(index))
                .map_or(0, |piece| piece.lead.len())
        };
        let above =
            |side: usize, run: &[usize]| if place == 0 { 0 } else { lead(side, run.first().copied()) };
        let below = |side: usize, run: &[usize]| lead(side, run.last().map(|last| last + 1));
        above(OURS, ours).max(above(THEIRS, theirs)).max(if place == 0 {
            below(OURS, ours).max(below(THEIRS, theirs))
        } else {
            0
        })
    }

    /// Writes a piece of one side, with the blank lines above it or more.
    pub(super) fn put(&self, container: &mut Container, side: usize, index: usize, least: usize) {
        let piece = container.piece(side, index);
        let lead = self.versions[side].text(&piece.lead);
        let joined = container.joined.get(&index).filter(|_| side == OURS).cloned();
        let text = joined.unwrap_or_else(|| self.versions[side].text(&piece.rows));
        let line_break = if text.ends_with("\r\n") { "\r\n" } else { "\n" };
        let missing = least.saturating_sub(piece.lead.len());
        container.text.push_str(&lead);
        container.text.push_str(&line_break.repeat(missing));
        container.text.push_str(&text);
    }
}
