//! Why a file or symbol is among the hits, in words for people and models.

use super::Ranking;
use crate::lexical::field;
use std::ops::Range;

/// Most words named as a reason.
const WORDS_SHOWN: usize = 5;
/// Share of the best rank from which it is named as a reason.
const RANK_SHOWN: f64 = 0.2;
/// Share of the most similar past commit from which another is named as a reason.
const SIMILAR_SHOWN: f64 = 0.5;
/// Share of the most frequent changes from which changes are named as a reason.
const RECENT_SHOWN: f64 = 0.5;
/// Nearness from which it is named as a reason.
const MEANING_SHOWN: f64 = 0.5;

impl Ranking<'_> {
    pub(super) fn why_symbol(&self, symbol: usize) -> Vec<String> {
        let entry = &self.index.symbols[symbol];
        let mention = self.mentions.symbols.get(&(symbol as u32));
        let mut reasons = mention.map_or_else(Vec::new, |mention| mention.reasons.clone());
        if let Some(unit) = entry.own_unit {
            reasons.extend(self.why_terms(unit..unit + 1));
            if self.unit_rank[unit as usize] >= RANK_SHOWN {
                reasons.push("close to what fits, by references".to_owned());
            }
        }
        if self.meaning.symbols.get(&(symbol as u32)).is_some_and(|share| *share >= MEANING_SHOWN) {
            reasons.push("near in meaning".to_owned());
        }
        if reasons.is_empty() {
            reasons.push("near what fits".to_owned());
        }
        reasons
    }

    pub(super) fn why_file(&self, file: usize) -> Vec<String> {
        let entry = &self.index.files[file];
        let mention = self.mentions.files.get(&(file as u32));
        let mut reasons = mention.map_or_else(Vec::new, |mention| mention.reasons.clone());
        reasons.extend(self.why_terms(entry.units.clone()));
        if self.file_rank[file] >= RANK_SHOWN {
            reasons.push("close to what fits, by references".to_owned());
        }
        if self.meaning.files.get(&(file as u32)).is_some_and(|share| *share >= MEANING_SHOWN) {
            reasons.push("near in meaning".to_owned());
        }
        if self.lexical.history[file] >= SIMILAR_SHOWN {
            reasons.push("a similar past commit changed it".to_owned());
        }
        if self.index.history.recent()[file] >= RECENT_SHOWN {
            reasons.push("changed often of late".to_owned());
        }
        if reasons.is_empty() {
            reasons.push("near what fits".to_owned());
        }
        reasons
    }

    /// The rarest terms of the query that these units hold.
    fn why_terms(&self, units: Range<u32>) -> Option<String> {
        let mut held: Vec<(f64, &str)> = Vec::new();
        for (term, weight) in &self.query.terms {
            let postings = self.index.lexical.postings(term);
            let from = postings.partition_point(|posting| posting.unit < units.start);
            let own = postings[from..].iter().take_while(|posting| posting.unit < units.end);
            if own.into_iter().any(|posting| posting.count > 0 || posting.fields != field::TEXT) {
                held.push((weight / (postings.len() as f64 + 1.0).ln_1p(), term));
            }
        }
        held.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let mut shown: Vec<&str> = Vec::new();
        for (_, term) in held {
            let written = self.query.written.get(term).map_or(term, String::as_str);
            if shown.len() < WORDS_SHOWN && !shown.contains(&written) {
                shown.push(written);
            }
        }
        (!shown.is_empty()).then(|| format!("words {}", shown.join(", ")))
    }
}
