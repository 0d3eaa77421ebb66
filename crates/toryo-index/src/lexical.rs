//! The inverted index: which units of code hold which terms, in which role.
//!
//! A *unit* is a symbol without its inner symbols, or what remains of a file outside all symbols. Postings are
//! kept by unit; counts by file are sums of them, made when a query asks.

use crate::dictionary::Dictionary;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    dictionary: Arc<Dictionary>,
    /// Where the postings of each number of the dictionary start, with the end of the last behind.
    starts: Vec<u32>,
    postings: Vec<Posting>,
    /// Terms in the text of each unit, repetitions counted.
    pub(crate) lengths: Vec<u32>,
}

impl Lexical {
    /// Where a term stands, by ascending unit.
    pub(crate) fn postings(&self, term: &str) -> &[Posting] {
        self.dictionary.get(term).map_or(&[], |id| self.run(id))
    }

    fn run(&self, id: u32) -> &[Posting] {
        match self.starts.get(id as usize..id as usize + 2) {
            Some([start, end]) => &self.postings[*start as usize..*end as usize],
            _ => &[],
        }
    }

    /// How many distinct terms there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.windows(2).filter(|pair| pair[0] < pair[1]).count()
    }

    /// Bytes of memory that it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.starts.capacity() * 4
            + self.lengths.capacity() * 4
            + self.postings.capacity() * size_of::<Posting>()
    }

    /// Every term with its postings, by term: equal for equal indexes, however they were made.
    #[cfg(test)]
    pub(crate) fn all(&self) -> std::collections::BTreeMap<String, Vec<Posting>> {
        let terms = self.dictionary.all();
        let runs = terms.into_iter().map(|(term, id)| (term, self.run(id).to_vec()));
        runs.filter(|(_, run)| !run.is_empty()).collect()
    }
}

/// Lays postings out by term in two rounds over the same runs: count all, then add all in the same order. Runs of
/// one term must come by ascending unit.
#[derive(Debug)]
pub(crate) struct Layout {
    lexical: Lexical,
    /// Where the next posting of each term goes; while counting, how many there are.
    next: Vec<u32>,
}

impl Layout {
    pub(crate) fn new(dictionary: Arc<Dictionary>) -> Self {
        let next = vec![0; dictionary.len()];
        Self { lexical: Lexical { dictionary, ..Lexical::default() }, next }
    }

    /// First round: a term will get this many postings.
    pub(crate) fn count(&mut self, term: u32, postings: usize) {
        self.next[term as usize] += postings as u32;
    }

    /// Between the rounds.
    pub(crate) fn start(&mut self, lengths: Vec<u32>) {
        let mut at = 0;
        self.lexical.starts = Vec::with_capacity(self.next.len() + 1);
        for next in &mut self.next {
            self.lexical.starts.push(at);
            at += std::mem::replace(next, at);
        }
        self.lexical.starts.push(at);
        self.lexical.postings = vec![Posting::default(); at as usize];
        self.lexical.lengths = lengths;
    }

    /// Second round: these postings of a term, with units counted from `base`.
    pub(crate) fn add(&mut self, term: u32, base: u32, run: &[Posting]) {
        let from = self.next[term as usize] as usize;
        self.next[term as usize] += run.len() as u32;
        for (place, posting) in self.lexical.postings[from..from + run.len()].iter_mut().zip(run) {
            *place = Posting { unit: posting.unit + base, ..*posting };
        }
    }

    /// The finished index.
    pub(crate) fn finish(self) -> Lexical {
        self.lexical
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postings_stand_by_term_and_unit() {
        let dictionary = Arc::new(Dictionary::default());
        let ids = dictionary.numbers(["pars", "header"].into_iter());
        let mut layout = Layout::new(Arc::clone(&dictionary));
        layout.count(ids[1], 1);
        layout.count(ids[0], 1);
        layout.count(ids[0], 1);
        layout.start(vec![3, 2]);
        let one = Posting { unit: 0, count: 2, fields: field::NAME };
        layout.add(ids[1], 0, &[one]);
        layout.add(ids[0], 0, &[one]);
        layout.add(ids[0], 1, &[one]);
        let lexical = layout.finish();
        assert_eq!(lexical.postings("pars"), [one, Posting { unit: 1, ..one }]);
        assert_eq!(lexical.postings("header"), [one]);
        assert_eq!(lexical.postings("absent"), []);
        assert_eq!((lexical.len(), lexical.lengths.len()), (2, 2));
    }
}
