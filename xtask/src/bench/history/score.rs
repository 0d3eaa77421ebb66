//! How well a ranking finds what was changed.

use std::collections::HashSet;

/// Sums of the measures over tasks. Recall at `k` is the share of what was changed among the first `k`; the
/// reciprocal rank is 1 at the first place, 1/2 at the second, 0 where nothing is found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Score {
    pub(super) tasks: usize,
    recall_5: f64,
    recall_10: f64,
    reciprocal: f64,
}

impl Score {
    /// Adds one ranking. A task that asks for nothing of this kind does not count; what stands twice counts once.
    pub(super) fn add<'a>(&mut self, asked: &'a [String], ranking: impl Iterator<Item = &'a str>) {
        if asked.is_empty() {
            return;
        }
        let asked: HashSet<&str> = asked.iter().map(String::as_str).collect();
        let mut seen = HashSet::new();
        let hits: Vec<bool> =
            ranking.filter(|place| seen.insert(*place)).map(|place| asked.contains(place)).collect();
        let recall = |k: usize| hits.iter().take(k).filter(|hit| **hit).count() as f64 / asked.len() as f64;
        self.tasks += 1;
        self.recall_5 += recall(5);
        self.recall_10 += recall(10);
        self.reciprocal += hits.iter().position(|hit| *hit).map_or(0.0, |place| 1.0 / (place + 1) as f64);
    }

    /// Adds the sums of others.
    pub(super) fn join(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.recall_5 += other.recall_5;
        self.recall_10 += other.recall_10;
        self.reciprocal += other.reciprocal;
    }

    /// Mean recall among the first 5 and the first 10, and mean reciprocal rank.
    pub(super) fn means(&self) -> [f64; 3] {
        [self.recall_5, self.recall_10, self.reciprocal].map(|sum| sum / self.tasks.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_once_and_only_what_was_asked() {
        let asked = ["b".to_owned(), "c".to_owned()];
        let mut score = Score::default();
        score.add(&asked, ["a", "a", "b", "x", "y", "z", "c"].into_iter());
        assert_eq!(score.means(), [0.5, 1.0, 0.5]);
        score.add(&[], ["a"].into_iter());
        score.add(&asked, std::iter::empty());
        assert_eq!((score.tasks, score.means()), (2, [0.25, 0.5, 0.25]));
        let mut both = Score::default();
        both.join(&score);
        assert_eq!(both, score);
    }
}
