//! Lexical scores: how well units, classes, files and their history fit the terms of a query (BM25).

use crate::index::Index;
use crate::lexical::{Posting, field};
use crate::query::Query;

/// How the signals of a ranking are weighed. Each signal is 1 at its best, so weights can be compared.
///
/// `k1` to `file_rank` and `class` were chosen by hand on 120 bug-fix commits of four public Python projects. The
/// others (`history`, `recent`, `class_in_file`, `path_in_symbol`, `size`, and what a kind of file counts) were
/// learned beside them: forward selection among some thirty signals on those and on 510 commits of 17 further
/// projects, each project and both kinds of query (messages, and messages without any name of code) counting alike;
/// what did not help projects that were left out is not here. Around the defaults the figures are flat: twelve single
/// changes of a weight, most by half or double, moved the mean over the 17 projects by at most 0.004.
/// `docs/benchmarks.md` has the figures.
#[derive(Debug, Clone)]
pub struct Weights {
    /// BM25: how soon repetition stops to count, for symbols.
    pub k1: f64,
    /// BM25: how much long symbols are held back (0 to 1).
    pub b: f64,
    /// BM25: the same for files and classes.
    pub file_k1: f64,
    /// BM25: the same for files and classes.
    pub file_b: f64,
    /// Occurrences that a term in a symbol's own name is worth.
    pub name: f64,
    /// Occurrences that a term in an outer symbol's name is worth.
    pub parent: f64,
    /// Occurrences that a term in the path is worth to a symbol.
    pub path: f64,
    /// What a term in the path adds to a file, where the text alone gives up to `file_k1 + 1`. Files say their
    /// own name often, so more occurrences would make no difference.
    pub file_path: f64,
    /// What the best symbol of a file adds to it.
    pub symbol_in_file: f64,
    /// What the file adds to its symbols.
    pub file_in_symbol: f64,
    /// What the outermost class adds to its methods.
    pub class_in_symbol: f64,
    /// What a mention adds to a symbol.
    pub mention: f64,
    /// What a mention adds to a file.
    pub file_mention: f64,
    /// What being referred to, from what fits, adds to a symbol.
    pub rank: f64,
    /// The same for a file.
    pub file_rank: f64,
    /// What the past commit that is most like the query adds to the files it changed.
    pub history: f64,
    /// What having been changed of late adds to a file.
    pub recent: f64,
    /// What the class that fits best adds to its file.
    pub class_in_file: f64,
    /// What words of the path add to a symbol, beside those in its text.
    pub path_in_symbol: f64,
    /// What its length adds to a symbol that fits: the more there is, the more often it is changed.
    pub size: f64,
    /// What nearness in meaning adds to a symbol, where vectors are at hand.
    pub meaning: f64,
    /// The same for a file.
    pub file_meaning: f64,
    /// What a class or variable itself counts beside a function, where it is not mentioned.
    pub class: f64,
    /// From how many of the best units ranks spread.
    pub seeds: usize,
}

impl Weights {
    /// BM25 over the words of files and of symbols with their names, and nothing else: what a ranking must beat.
    #[must_use]
    pub const fn bm25() -> Self {
        Self {
            k1: 1.2,
            b: 0.75,
            file_k1: 1.2,
            file_b: 0.75,
            name: 1.0,
            parent: 0.0,
            path: 0.0,
            file_path: 0.0,
            symbol_in_file: 0.0,
            file_in_symbol: 0.0,
            class_in_symbol: 0.0,
            mention: 0.0,
            file_mention: 0.0,
            rank: 0.0,
            file_rank: 0.0,
            history: 0.0,
            recent: 0.0,
            class_in_file: 0.0,
            path_in_symbol: 0.0,
            size: 0.0,
            meaning: 0.0,
            file_meaning: 0.0,
            class: 1.0,
            seeds: 0,
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            k1: 1.2,
            b: 0.6,
            file_k1: 1.2,
            file_b: 0.6,
            name: 4.0,
            parent: 1.5,
            path: 0.5,
            file_path: 2.0,
            symbol_in_file: 0.5,
            file_in_symbol: 0.5,
            class_in_symbol: 0.3,
            mention: 0.5,
            file_mention: 0.2,
            rank: 0.5,
            file_rank: 0.3,
            history: 0.4,
            recent: 0.25,
            class_in_file: 0.15,
            path_in_symbol: 0.3,
            size: 1.4,
            meaning: 0.4,
            file_meaning: 0.15,
            class: 0.3,
            seeds: 20,
        }
    }
}

/// Scores by number, each list with 1 at its best.
#[derive(Debug)]
pub(crate) struct Lexical {
    pub(crate) units: Vec<f64>,
    pub(crate) files: Vec<f64>,
    pub(crate) history: Vec<f64>,
    /// By file: words of its path.
    pub(crate) paths: Vec<f64>,
    /// By symbol, for symbols that are not inside another.
    pub(crate) outer: Vec<f64>,
}

/// A BM25 field: document count, lengths and their mean.
struct Collection {
    lengths: Vec<f64>,
    mean: f64,
    count: f64,
    k1: f64,
    b: f64,
}

impl Collection {
    fn new(lengths: Vec<f64>, k1: f64, b: f64) -> Self {
        let count = lengths.iter().filter(|length| **length > 0.0).count().max(1) as f64;
        let mean = (lengths.iter().sum::<f64>() / count).max(1.0);
        Self { lengths, mean, count, k1, b }
    }

    /// How rare a term is that `holders` documents hold.
    fn rarity(&self, holders: usize) -> f64 {
        let holders = holders as f64;
        (1.0 + ((self.count - holders).max(0.0) + 0.5) / (holders + 0.5)).ln()
    }

    fn saturated(&self, document: u32, count: f64) -> f64 {
        let norm = self.k1 * (1.0 - self.b + self.b * self.lengths[document as usize] / self.mean);
        count * (self.k1 + 1.0) / (count + norm)
    }
}

impl Lexical {
    pub(crate) fn score(index: &Index, query: &Query, weights: &Weights) -> Self {
        let (units, files, outer) = collections(index, weights);
        let mut scores = Self {
            units: vec![0.0; index.units.len()],
            files: vec![0.0; index.files.len()],
            history: index.history.similar(&query.terms),
            paths: vec![0.0; index.files.len()],
            outer: vec![0.0; index.symbols.len()],
        };
        for (term, weight) in &query.terms {
            let postings = index.lexical.postings(term);
            // A word of a path is in every unit of its file, which does not make it common.
            let holders =
                postings.iter().filter(|posting| posting.count > 0 || posting.fields & field::NAME != 0);
            let rarity = weight * units.rarity(holders.count());
            for posting in postings {
                let count = count_in_unit(posting, weights);
                scores.units[posting.unit as usize] += rarity * units.saturated(posting.unit, count);
            }
            // Units are ascending, so those of one file, and within it of one outer symbol, stand together.
            let by_file = sums(postings, |posting| Some(index.units[posting.unit as usize].file));
            let rarity = weight * files.rarity(by_file.len());
            for (file, count, fields) in by_file {
                let in_path = if fields & field::PATH == 0 { 0.0 } else { weights.file_path };
                if fields & field::PATH != 0 {
                    scores.paths[file as usize] += rarity;
                }
                scores.files[file as usize] += rarity * (files.saturated(file, count) + in_path);
            }
            for (symbol, count, fields) in sums(postings, |posting| index.units[posting.unit as usize].outer)
            {
                let count = count + if fields & field::NAME == 0 { 0.0 } else { weights.name };
                scores.outer[symbol as usize] += rarity * outer.saturated(symbol, count);
            }
        }
        for list in [&mut scores.units, &mut scores.files, &mut scores.paths, &mut scores.outer] {
            to_one(list);
        }
        scores
    }
}

fn collections(index: &Index, weights: &Weights) -> (Collection, Collection, Collection) {
    let lengths: Vec<f64> = index.lexical.lengths.iter().map(|length| f64::from(*length)).collect();
    let mut by_file = vec![0.0; index.files.len()];
    let mut by_outer = vec![0.0; index.symbols.len()];
    for (unit, length) in index.units.iter().zip(&lengths) {
        by_file[unit.file as usize] += length;
        if let Some(outer) = unit.outer {
            by_outer[outer as usize] += length;
        }
    }
    (
        Collection::new(lengths, weights.k1, weights.b),
        Collection::new(by_file, weights.file_k1, weights.file_b),
        Collection::new(by_outer, weights.file_k1, weights.file_b),
    )
}

/// Adds up postings that belong together and stand together.
fn sums(postings: &[Posting], of: impl Fn(&Posting) -> Option<u32>) -> Vec<(u32, f64, u8)> {
    let mut sums: Vec<(u32, f64, u8)> = Vec::new();
    for posting in postings {
        let Some(whole) = of(posting) else { continue };
        match sums.last_mut() {
            Some(last) if last.0 == whole => {
                last.1 += f64::from(posting.count);
                last.2 |= posting.fields;
            }
            _ => sums.push((whole, f64::from(posting.count), posting.fields)),
        }
    }
    sums
}

fn count_in_unit(posting: &Posting, weights: &Weights) -> f64 {
    let roles = [(field::NAME, weights.name), (field::PARENT, weights.parent), (field::PATH, weights.path)];
    let from_roles =
        roles.iter().filter(|(bit, _)| posting.fields & bit != 0).map(|(_, weight)| weight).sum::<f64>();
    f64::from(posting.count) + from_roles
}

/// Divides by the greatest, so that lists can be added.
pub(crate) fn to_one(list: &mut [f64]) {
    let top = list.iter().copied().fold(0.0, f64::max);
    if top > 0.0 {
        list.iter_mut().for_each(|score| *score /= top);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::index;
    use crate::{RetrieveOptions, Weights};

    #[test]
    fn a_word_of_the_path_counts_for_the_file() {
        let index = index("//- a/cookies.py\nx = 1\n//- a/forms.py\nx = 1\n//- a/other.py\nx = 1\n");
        let hits = index.retrieve("cookie x", &RetrieveOptions::default());
        assert_eq!(hits.files[0].path.as_str(), "a/cookies.py");
        let none = RetrieveOptions {
            weights: Weights { file_path: 0.0, ..Weights::default() },
            ..Default::default()
        };
        // Scores are relative to the best, so the lead of the file named so shows in the others.
        assert!(hits.files[1].score < index.retrieve("cookie x", &none).files[1].score);
    }
}
