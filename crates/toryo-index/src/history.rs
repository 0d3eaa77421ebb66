//! What past commits say about files: the words of their subjects.

use crate::index::Index;
use crate::past::PastCommit;
use crate::terms::{terms_of, words};
use std::collections::HashMap;

/// Most commits of the history that are read.
const MOST_COMMITS: usize = 5_000;
/// Commits that touch more files than this say little about any of them.
const SWEEPING: usize = 12;

/// Terms of subjects -> files they touched, ascending, each with its share of the commits.
pub(crate) type History = HashMap<Box<str>, Vec<(u32, f32)>>;

/// Reads subjects of commits by file.
pub(crate) fn history(index: &Index, commits: &[PastCommit]) -> History {
    let mut terms: HashMap<Box<str>, HashMap<u32, f32>> = HashMap::new();
    for commit in commits.iter().take(MOST_COMMITS).filter(|commit| commit.paths.len() <= SWEEPING) {
        let files: Vec<u32> = commit.paths.iter().filter_map(|path| index.number(path)).collect();
        for (_, word) in words(&commit.subject).filter(|_| !files.is_empty()) {
            terms_of(word, |term| {
                let by_file = terms.entry(term.into()).or_default();
                for file in &files {
                    *by_file.entry(*file).or_default() += 1.0 / files.len() as f32;
                }
            });
        }
    }
    let sorted = |by_file: HashMap<u32, f32>| {
        let mut list: Vec<(u32, f32)> = by_file.into_iter().collect();
        list.sort_unstable_by_key(|(file, _)| *file);
        list
    };
    terms.into_iter().map(|(term, by_file)| (term, sorted(by_file))).collect()
}
