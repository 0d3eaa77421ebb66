//! Pieces of the base that a side removed, renamed or replaced.

use super::{BASE, Container, OURS, Structure, THEIRS};
use crate::merge::pieces::Key;
use crate::merge::{SAME_LINES, imports};
use std::collections::HashMap;

impl Structure<'_, '_> {
    /// A piece that one side removed or replaced, and the other one has.
    pub(super) fn gone(
        &mut self,
        container: &mut Container,
        place: usize,
        remover: usize,
        run: &[usize],
        other: usize,
    ) {
        let keeper = OURS + THEIRS - remover;
        let (base, kept) = (self.text_of(container, BASE, place), self.text_of(container, keeper, other));
        if base == kept {
            run.iter().for_each(|index| self.put(container, remover, *index, 0));
            return;
        }
        let renamed = run.iter().position(|index| self.is_renamed(container, place, remover, *index));
        if let Some(at) = renamed {
            let text = self.renamed(container, (keeper, other), (remover, run[at]));
            for (number, index) in run.iter().enumerate() {
                if number == at {
                    let lead = self.versions[remover].text(&container.piece(remover, *index).lead);
                    container.text.push_str(&lead);
                    container.text.push_str(&text);
                } else {
                    self.put(container, remover, *index, 0);
                }
            }
            return;
        }
        if let [one] = run {
            let (new, known) = (container.piece(remover, *one), container.piece(keeper, other));
            // A declaration that became one of a group, or the other way round.
            if new.names.iter().any(|name| known.names.contains(name)) {
                let (ours, theirs) = if remover == OURS { (*one, other) } else { (other, *one) };
                return self.replaced(container, place, &[ours], &[theirs]);
            }
        }
        let replaced: String = run.iter().map(|index| self.text_of(container, remover, *index)).collect();
        let replaced = Some(replaced).filter(|text| !text.is_empty());
        let (reason, sides) = match (remover, &replaced) {
            (OURS, None) => ("our side removed what their side changed", [None, Some(kept)]),
            (_, None) => ("their side removed what our side changed", [Some(kept), None]),
            (OURS, Some(_)) => (SAME_LINES, [replaced, Some(kept)]),
            (_, Some(_)) => (SAME_LINES, [Some(kept), replaced]),
        };
        self.conflict(container, place, reason, sides);
    }

    /// Whether a new piece is a definition of the base under another name.
    fn is_renamed(&self, container: &Container, place: usize, side: usize, index: usize) -> bool {
        let named = |side: usize, index: usize| -> Option<(String, &str)> {
            let (version, piece) = (self.versions[side], container.piece(side, index));
            let symbol = &version.outline.symbols[piece.symbol?];
            Some((replace_word(&version.text(&piece.rows), &symbol.name, "\0"), &symbol.name))
        };
        match (named(BASE, place), named(side, index)) {
            (Some((base, old)), Some((new, name))) => base == new && old != name,
            _ => false,
        }
    }

    /// The text of one side's definition under the name that the other side gave it.
    fn renamed(&self, container: &Container, from: (usize, usize), to: (usize, usize)) -> String {
        let name = |(side, index): (usize, usize)| {
            let symbol = container.piece(side, index).symbol?;
            Some(self.versions[side].outline.symbols[symbol].name.as_str())
        };
        let text = self.text_of(container, from.0, from.1);
        match (name(from), name(to)) {
            (Some(old), Some(new)) => replace_word(&text, old, new),
            _ => text,
        }
    }

    /// A piece that both sides removed or replaced.
    pub(super) fn both_gone(
        &mut self,
        container: &mut Container,
        place: usize,
        ours: &[usize],
        theirs: &[usize],
        added: &HashMap<usize, usize>,
    ) {
        if ours.is_empty() || theirs.is_empty() {
            let texts = |side: usize, run: &[usize]| -> String {
                run.iter().map(|index| self.text_of(container, side, *index)).collect()
            };
            let is_text = matches!(container.piece(BASE, place).key, Key::Text(..));
            let changed = |side: usize, run: &[usize]| Some(texts(side, run)).filter(|text| !text.is_empty());
            let (our_text, their_text) = (changed(OURS, ours), changed(THEIRS, theirs));
            // One side changed a statement that the other one removed.
            if is_text && (our_text.is_some() || their_text.is_some()) {
                let reason = if our_text.is_some() {
                    "their side removed what our side changed"
                } else {
                    "our side removed what their side changed"
                };
                return self.conflict(container, place, reason, [our_text, their_text]);
            }
            return self.insert(container, ours, theirs, place, added);
        }
        let texts = |side: usize, run: &[usize]| -> String {
            run.iter().map(|index| self.text_of(container, side, *index)).collect()
        };
        let (our_text, their_text) = (texts(OURS, ours), texts(THEIRS, theirs));
        let imports = |side: usize, run: &[usize]| {
            run.iter().all(|index| matches!(container.piece(side, *index).key, Key::Import(..)))
        };
        let is_import = matches!(container.piece(BASE, place).key, Key::Import(..));
        if let ([our], [_], true) = (ours, theirs, is_import) {
            let base = self.text_of(container, BASE, place);
            if let Some(joined) = imports::join(&base, &our_text, &their_text) {
                container.joined.insert(*our, joined);
                return self.put(container, OURS, *our, 0);
            }
        }
        if our_text == their_text || imports(OURS, ours) && imports(THEIRS, theirs) {
            return self.insert(container, ours, theirs, place, added);
        }
        self.replaced(container, place, ours, theirs);
    }

    /// Different pieces in the place of one of the base.
    fn replaced(&mut self, container: &mut Container, place: usize, ours: &[usize], theirs: &[usize]) {
        let rows = |side: usize, run: &[usize]| {
            let first = container.piece(side, run[0]).rows.start;
            first..container.piece(side, run[run.len() - 1]).rows.end
        };
        let rows = [container.piece(BASE, place).rows.clone(), rows(OURS, ours), rows(THEIRS, theirs)];
        let lead = self.versions[OURS].text(&container.piece(OURS, ours[0]).lead);
        let known = self.clashes.len();
        let mut text = self.three_way(&rows);
        if let ([our], [their], true) = (ours, theirs, self.clashes.len() > known) {
            let conflicts = self.clashes.split_off(known);
            let inner = self.inner(container, [place, *our, *their]);
            if inner.is_none() {
                self.clashes.truncate(known);
                self.clashes.extend(conflicts);
            }
            text = inner.unwrap_or(text);
        }
        container.text.push_str(&lead);
        container.text.push_str(&text);
    }
}

/// A text with each occurrence of a name as a whole word replaced.
fn replace_word(text: &str, old: &str, new: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(old) {
        let (before, after) = (&rest[..at], &rest[at + old.len()..]);
        let whole = !before.chars().next_back().or_else(|| out.chars().next_back()).is_some_and(is_word)
            && !after.chars().next().is_some_and(is_word);
        out.push_str(before);
        out.push_str(if whole { new } else { old });
        rest = after;
    }
    out + rest
}
