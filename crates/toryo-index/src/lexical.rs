//! The inverted index: which units of code hold which terms, in which role.
//!
//! A *unit* is a symbol without its inner symbols, or what remains of a file outside all symbols. Postings are
//! kept by unit; counts by file are sums of them, made when a query asks.

use crate::terms::{LONGEST_WORD, terms_of};
use std::collections::HashMap;

/// Where a term stands in a unit. The values are bits of [`Posting::fields`].
pub(crate) mod field {
    /// In the text.
    pub(crate) const TEXT: u8 = 0;
    /// In the symbol's own name.
    pub(crate) const NAME: u8 = 1;
    /// In the name of an enclosing symbol.
    pub(crate) const PARENT: u8 = 2;
    /// In the file's path.
    pub(crate) const PATH: u8 = 4;
}

/// One term in one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Posting {
    /// Which unit.
    pub(crate) unit: u32,
    /// How often in the text; 65,535 stands for more.
    pub(crate) count: u16,
    /// Bits of [`field`].
    pub(crate) fields: u8,
}

/// The inverted index of all units.
#[derive(Debug, Default)]
pub(crate) struct Lexical {
    terms: HashMap<Box<str>, u32>,
    postings: Vec<Vec<Posting>>,
    /// Terms in the text of each unit, repetitions counted.
    pub(crate) lengths: Vec<u32>,
}

impl Lexical {
    /// Where a term stands, by ascending unit.
    pub(crate) fn postings(&self, term: &str) -> &[Posting] {
        self.terms.get(term).map_or(&[], |id| &self.postings[*id as usize])
    }

    /// How many distinct terms there are.
    pub(crate) fn len(&self) -> usize {
        self.terms.len()
    }
}

/// Fills a [`Lexical`]. Words repeat far more often than they are new, so each is cut into terms once.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    lexical: Lexical,
    words: HashMap<Box<str>, u32>,
    /// Terms of each word.
    cut: Vec<Box<[u32]>>,
    /// What was seen since the last [`finish_file`](Self::finish_file): unit, term, field.
    seen: Vec<(u32, u32, u8)>,
}

impl Builder {
    /// The number of a word, the same for the same spelling; `None` for what is no word.
    pub(crate) fn word(&mut self, word: &str) -> Option<u32> {
        if word.len() > LONGEST_WORD {
            return None;
        }
        if let Some(id) = self.words.get(word) {
            return Some(*id);
        }
        let lexical = &mut self.lexical;
        let mut cut = Vec::new();
        terms_of(word, |term| {
            let next = lexical.postings.len() as u32;
            let id = *lexical.terms.entry(term.into()).or_insert(next);
            if id == next {
                lexical.postings.push(Vec::new());
            }
            cut.push(id);
        });
        let id = self.cut.len() as u32;
        self.cut.push(cut.into());
        self.words.insert(word.into(), id);
        Some(id)
    }

    /// The number of a word that was seen before.
    pub(crate) fn known(&self, word: &str) -> Option<u32> {
        self.words.get(word).copied()
    }

    /// Notes one occurrence of a word. Units must not go below those of a finished file.
    pub(crate) fn add(&mut self, unit: u32, word: u32, field: u8) {
        self.seen.extend(self.cut[word as usize].iter().map(|term| (unit, *term, field)));
    }

    /// Moves what was seen into the index; `units` is the number of units so far.
    pub(crate) fn finish_file(&mut self, units: usize) {
        self.lexical.lengths.resize(units, 0);
        self.seen.sort_unstable();
        for run in self.seen.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (unit, term, _) = run[0];
            let count = run.iter().filter(|(_, _, field)| *field == field::TEXT).count();
            let fields = run.iter().fold(0, |bits, (_, _, field)| bits | field);
            self.lexical.lengths[unit as usize] += count as u32;
            let count = u16::try_from(count).unwrap_or(u16::MAX);
            self.lexical.postings[term as usize].push(Posting { unit, count, fields });
        }
        self.seen.clear();
    }

    /// The finished index.
    pub(crate) fn finish(mut self) -> Lexical {
        for postings in &mut self.lexical.postings {
            postings.shrink_to_fit();
        }
        self.lexical
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_roles_are_kept_by_unit() {
        let mut builder = Builder::default();
        let parse = builder.word("parse_header").expect("a word");
        builder.add(0, parse, field::TEXT);
        builder.add(0, parse, field::TEXT);
        builder.add(1, parse, field::NAME);
        builder.finish_file(2);
        let index = builder.finish();
        let both =
            [Posting { unit: 0, count: 2, fields: 0 }, Posting { unit: 1, count: 0, fields: field::NAME }];
        assert_eq!(index.postings("pars"), both);
        assert_eq!(index.postings("parse_header"), both);
        assert_eq!(index.postings("absent"), []);
        assert_eq!(index.lengths, [6, 0]);
    }
}
