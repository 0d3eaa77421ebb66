//! What past commits say about files: which commits speak of the same things, and what was changed of late.

use crate::index::Index;
use crate::past::PastCommit;
use crate::scoring::to_one;
use crate::terms::{terms_of, words};
use std::collections::BTreeMap;

/// Most commits of the history that are read.
const MOST_COMMITS: usize = 5_000;
/// Commits that touch more files than this say little about any of them.
const SWEEPING: usize = 12;
/// How many of the newest commits count as recent.
const RECENT: usize = 50;

/// The commits before the indexed one, as far as they say something about its files.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Terms of subjects -> commits, ascending. Sorted, because sums of floats depend on their order.
    terms: BTreeMap<Box<str>, Vec<u32>>,
    commits: Vec<Past>,
    /// By file: how often it was changed of late, as a logarithm; from 0 to 1.
    recent: Vec<f64>,
}

/// A commit of the past.
#[derive(Debug)]
struct Past {
    files: Box<[u32]>,
    /// How many files it touched, those that are no more included.
    touched: f64,
    /// Length of its subject as a vector of rarities.
    length: f64,
}

impl History {
    /// Reads these commits, newest first.
    pub(crate) fn of(index: &Index, commits: &[PastCommit]) -> Self {
        let mut history = Self { recent: vec![0.0; index.files.len()], ..Self::default() };
        for PastCommit { subject, paths } in commits.iter().take(MOST_COMMITS) {
            let files: Box<[u32]> = paths.iter().filter_map(|path| index.number(path)).collect();
            if paths.len() > SWEEPING || files.is_empty() {
                continue;
            }
            let commit = history.commits.len() as u32;
            for (_, word) in words(subject) {
                terms_of(word, |term| {
                    let commits = history.terms.entry(term.into()).or_default();
                    if commits.last() != Some(&commit) {
                        commits.push(commit);
                    }
                });
            }
            if history.commits.len() < RECENT {
                files.iter().for_each(|file| history.recent[*file as usize] += 1.0);
            }
            history.commits.push(Past { files, touched: paths.len() as f64, length: 0.0 });
        }
        history.measure();
        history
    }

    fn measure(&mut self) {
        for commits in self.terms.values() {
            let rarity = rarity(self.commits.len(), commits.len());
            for commit in commits {
                self.commits[*commit as usize].length += rarity * rarity;
            }
        }
        self.commits.iter_mut().for_each(|commit| commit.length = commit.length.sqrt());
        self.recent.iter_mut().for_each(|changes| *changes = changes.ln_1p());
        to_one(&mut self.recent);
    }

    /// By file: how much the most similar commit that changed it is like these weighted terms; 1 at the best.
    pub(crate) fn similar(&self, terms: &BTreeMap<String, f64>) -> Vec<f64> {
        let mut alike = vec![0.0; self.commits.len()];
        for (term, weight) in terms {
            let Some(commits) = self.terms.get(term.as_str()) else { continue };
            let rarity = rarity(self.commits.len(), commits.len());
            commits.iter().for_each(|commit| alike[*commit as usize] += weight * rarity * rarity);
        }
        let mut files = vec![0.0_f64; self.recent.len()];
        for (commit, alike) in self.commits.iter().zip(alike).filter(|(_, alike)| *alike > 0.0) {
            let score = alike / commit.length / commit.touched.sqrt();
            commit.files.iter().for_each(|file| files[*file as usize] = files[*file as usize].max(score));
        }
        to_one(&mut files);
        files
    }

    /// By file, from 0 to 1: how often it was changed of late.
    pub(crate) fn recent(&self) -> &[f64] {
        &self.recent
    }
}

/// How rare a term is that so many of all commits hold.
fn rarity(commits: usize, holders: usize) -> f64 {
    let (all, holders) = (commits as f64, holders as f64);
    (1.0 + (all - holders + 0.5) / (holders + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use crate::fixture::index_with;
    use std::collections::BTreeMap;

    const FILES: &str = "//- a.py\nx = 1\n//- b.py\nx = 1\n//- c.py\nx = 1\n";

    fn similar(history: &[(&str, &str)], words: &[&str]) -> Vec<f64> {
        let terms: BTreeMap<String, f64> = words.iter().map(|word| ((*word).to_owned(), 1.0)).collect();
        index_with(FILES, history).history.similar(&terms)
    }

    #[test]
    fn the_most_similar_commit_decides() {
        let history =
            [("parse header", "a.py"), ("header of a long and winding road", "b.py"), ("road", "c.py")];
        let files = similar(&history, &["pars", "header"]);
        assert_eq!(files[0], 1.0);
        assert!(files[0] > files[1] && files[1] > files[2], "{files:?}");
        assert_eq!(files[2], 0.0);
        assert_eq!(similar(&history, &["absent"]), [0.0; 3]);
        assert_eq!(similar(&[], &["header"]), [0.0; 3]);
    }

    #[test]
    fn what_was_changed_of_late_is_counted() {
        let old = ("x", "c.py");
        let history: Vec<_> =
            [("x", "b.py"), ("x", "a.py"), ("x", "b.py")].into_iter().chain([old; 60]).collect();
        let index = index_with(FILES, &history);
        let recent = index.history.recent();
        assert!(recent[2] > recent[1] && recent[1] > recent[0] && recent[0] > 0.0, "{recent:?}");
    }
}
