//! Merge by entity: modules and classes are merged piece by piece, so that what two sides add at one place, or
//! change in different definitions, does not conflict.
//!
//! Both sides are compared with the base: each of its pieces is kept, changed or gone, and new pieces stand
//! before one of them or in the place of one. A function's statements are merged as lines: their order means
//! something.

use super::imports;
use super::lines;
use super::pieces::{Key, Parts, Piece, Version, is_ordered, rows_of, seams, tell_apart};
use super::{Clash, SAME_LINES};
use crate::outline::SymbolKind;
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

/// What a side did to each piece of the base.
struct Side {
    /// What became of each.
    fates: Vec<Fate>,
    /// New pieces before each, and after the last.
    added: Vec<Vec<usize>>,
}

enum Fate {
    /// It is this piece now.
    Kept(usize),
    /// It is gone, and these pieces stand in its place.
    Gone(Vec<usize>),
}

impl Side {
    /// Compares the pieces. `None` if those that both have stand in another order.
    fn of(base: &Parts, side: &Parts) -> Option<Self> {
        let places: HashMap<&Key, usize> =
            base.pieces.iter().enumerate().map(|(at, piece)| (&piece.key, at)).collect();
        let count = base.pieces.len();
        let mut fates: Vec<Fate> = (0..count).map(|_| Fate::Gone(Vec::new())).collect();
        let mut added: Vec<Vec<usize>> = vec![Vec::new(); count + 1];
        let (mut next, mut run) = (0, Vec::new());
        for (index, piece) in side.pieces.iter().enumerate() {
            let Some(place) = places.get(&piece.key).copied() else {
                run.push(index);
                continue;
            };
            if place < next {
                return None;
            }
            Self::settle(std::mem::take(&mut run), next..place, base, side, &mut fates, &mut added);
            fates[place] = Fate::Kept(index);
            next = place + 1;
        }
        Self::settle(run, next..count, base, side, &mut fates, &mut added);
        Some(Self { fates, added })
    }

    /// New pieces between two that stay: in the place of what is gone there if it is of their kind, or beside it.
    fn settle(
        run: Vec<usize>,
        gone: Range<usize>,
        base: &Parts,
        side: &Parts,
        fates: &mut [Fate],
        added: &mut [Vec<usize>],
    ) {
        let same_kind =
            |at: &usize| run.iter().any(|new| side.pieces[*new].is_like(&base.pieces[*at]));
        match gone.clone().find(same_kind) {
            Some(at) => fates[at] = Fate::Gone(run),
            None => added[gone.end] = run,
        }
    }

    /// The pieces that the base does not have.
    fn all_new(&self) -> impl Iterator<Item = usize> {
        let replacing = self.fates.iter().filter_map(|fate| match fate {
            Fate::Kept(_) => None,
            Fate::Gone(run) => Some(run),
        });
        replacing.chain(&self.added).flatten().copied()
    }
}

impl Piece {
    /// Whether one may stand in the place of the other: both are of one kind, or define the same.
    fn is_like(&self, other: &Self) -> bool {
        let kind = std::mem::discriminant(&self.key) == std::mem::discriminant(&other.key);
        kind || self.names.iter().any(|name| other.names.contains(name))
    }
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

    /// Which new pieces of theirs our side has as well, each with ours.
    fn added_by_both(&self, container: &Container, ours: &Side, theirs: &Side) -> HashMap<usize, usize> {
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
    fn insert(
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
    fn joined_imports(&self, container: &Container, added: &HashMap<usize, usize>) -> HashMap<usize, String> {
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
    fn put(&self, container: &mut Container, side: usize, index: usize, least: usize) {
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

    /// The blank lines above a piece of the base that stays, as the side has them that changed them.
    fn lead(&self, container: &Container, place: usize, our: usize, their: usize) -> String {
        let at = [place, our, their];
        let [base, ours, theirs] =
            [0, 1, 2].map(|side| self.versions[side].text(&container.piece(side, at[side]).lead));
        if ours == base { theirs } else { ours }
    }

    /// A piece that both sides have.
    fn kept(&mut self, container: &mut Container, place: usize, our: usize, their: usize) {
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

    /// A piece that one side removed or replaced, and the other one has.
    fn gone(&mut self, container: &mut Container, place: usize, remover: usize, run: &[usize], other: usize) {
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
    fn both_gone(
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

    /// Merges what a statement holds, such as the declarations of a group or the lines of a block.
    fn inner(&mut self, container: &Container, at: [usize; 3]) -> Option<String> {
        let within = |side: usize| {
            self.versions[side].parts_within(container.piece(side, at[side]), container.at[side])
        };
        let parts = [within(BASE)?, within(OURS)?, within(THEIRS)?];
        let defines = |parts: &Parts| parts.pieces.iter().all(|piece| piece.symbol.is_some());
        let ordered = !parts.iter().all(defines);
        self.container(container.at, parts, ordered)
    }

    /// Notes statements next to each other that different sides changed: their order may mean something.
    fn touching(&mut self, container: &Container, ours: &Side, theirs: &Side) {
        let is_text = |at: usize| matches!(container.piece(BASE, at).key, Key::Text(..));
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
