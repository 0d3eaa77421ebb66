//! Ranking files and symbols for an issue-like text.

mod reasons;

use crate::index::{Index, IndexedSymbol};
use crate::kind::FileKind;
use crate::mentions::Mentions;
use crate::query::Query;
use crate::scoring::{Lexical, Weights, to_one};
use crate::vectors::{Meaning, Near};
use serde::Serialize;
use toryo_code::SymbolKind;
use toryo_domain::RepoPath;

/// How a query is answered.
#[derive(Debug, Clone)]
pub struct RetrieveOptions {
    /// Most files and most symbols given back.
    pub k: usize,
    /// How the signals are weighed.
    pub weights: Weights,
    /// The chunks nearest to the query by meaning, where somebody embedded them.
    pub near: Vec<Near>,
}

impl Default for RetrieveOptions {
    fn default() -> Self {
        Self { k: 20, weights: Weights::default(), near: Vec::new() }
    }
}

/// The answer to a query.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Hits {
    /// Files, best first.
    pub files: Vec<FileHit>,
    /// Symbols, best first.
    pub symbols: Vec<SymbolHit>,
}

/// A file that fits a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileHit {
    /// Which.
    pub path: RepoPath,
    /// What it is for.
    pub kind: FileKind,
    /// The folder of its workspace, the part of the repository with a manifest of its own; empty for the root.
    pub workspace: Box<str>,
    /// How well it fits; comparable within one answer only.
    pub score: f64,
    /// Why.
    pub reasons: Vec<String>,
}

/// A symbol that fits a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SymbolHit {
    /// Its file.
    pub path: RepoPath,
    /// Dotted path within the file.
    pub symbol: String,
    /// First line, from 1.
    pub first_line: u32,
    /// Last line, inclusive.
    pub last_line: u32,
    /// How well it fits; comparable within one answer only.
    pub score: f64,
    /// Why.
    pub reasons: Vec<String>,
}

/// Everything a query gave, before it is cut to an answer.
struct Ranking<'a> {
    index: &'a Index,
    weights: &'a Weights,
    query: Query,
    mentions: Mentions,
    lexical: Lexical,
    unit_rank: Vec<f64>,
    file_rank: Vec<f64>,
    meaning: Meaning,
}

impl Index {
    /// Files and symbols that fit a text such as an issue, best first; ties by path and line. A text without a
    /// word that occurs gives no hits. Tests, prose, generated and copied files are kept, with less weight.
    #[must_use]
    pub fn retrieve(&self, query: &str, options: &RetrieveOptions) -> Hits {
        let ranking = Ranking::new(self, query, options);
        let files = ranking.files();
        let mut hits = Hits::default();
        for (symbol, score) in best(ranking.symbols(&files), options.k) {
            let entry = &self.symbols[symbol];
            hits.symbols.push(SymbolHit {
                path: self.path_of(entry).clone(),
                symbol: entry.path.to_string(),
                first_line: entry.first_line,
                last_line: entry.last_line,
                score,
                reasons: ranking.why_symbol(symbol),
            });
        }
        for (file, score) in best(files, options.k) {
            let entry = &self.files[file];
            let reasons = ranking.why_file(file);
            let workspace = self.workspaces.all().get(self.workspaces.of_file(file as u32) as usize);
            let workspace = workspace.map_or_else(Box::default, |workspace| workspace.folder.clone());
            hits.files.push(FileHit {
                path: entry.path.clone(),
                kind: entry.kind,
                workspace,
                score,
                reasons,
            });
        }
        hits
    }
}

impl<'a> Ranking<'a> {
    fn new(index: &'a Index, query: &str, options: &'a RetrieveOptions) -> Self {
        let weights = &options.weights;
        let query = Query::parse(query);
        let mentions = Mentions::find(index, &query);
        let lexical = Lexical::score(index, &query, weights);
        let mut ranking = Self {
            index,
            weights,
            query,
            mentions,
            lexical,
            unit_rank: vec![0.0; index.units.len()],
            file_rank: vec![0.0; index.files.len()],
            meaning: Meaning::of(index, &options.near),
        };
        ranking.spread();
        ranking
    }

    /// Lets rank flow from the best units, tests among them (they lead to what they test), and from mentions.
    fn spread(&mut self) {
        let units = self.lexical.units.iter().copied().enumerate().filter(|(_, score)| *score > 0.0);
        let mut seeds: Vec<(u32, f64)> = best(units.collect(), self.weights.seeds)
            .into_iter()
            .map(|(unit, score)| (unit as u32, score))
            .collect();
        let mentioned = self.mentions.symbols.iter();
        seeds.extend(
            mentioned.map(|(symbol, mention)| (self.index.symbols[*symbol as usize].unit, mention.score)),
        );
        seeds.sort_by_key(|(unit, _)| *unit);
        let mut ranks: Vec<(u32, f64)> = self.index.references.rank(&seeds).into_iter().collect();
        ranks.sort_unstable_by_key(|(unit, _)| *unit);
        for (unit, rank) in ranks {
            self.unit_rank[unit as usize] = rank;
            self.file_rank[self.index.units[unit as usize].file as usize] += rank;
        }
        to_one(&mut self.unit_rank);
        to_one(&mut self.file_rank);
    }

    fn files(&self) -> Vec<(usize, f64)> {
        let units = self.index.units.iter().zip(&self.lexical.units);
        let best_unit = self.best_by_file(units.map(|(unit, score)| (unit.file, *score)));
        let outer = self.index.symbols.iter().zip(&self.lexical.outer);
        let best_class = self.best_by_file(outer.map(|(symbol, score)| (symbol.file, *score)));
        let score = |(at, best): (usize, f64)| {
            let mention = self.mentions.files.get(&(at as u32)).map_or(0.0, |mention| mention.score);
            let sum = self.lexical.files[at]
                + self.weights.symbol_in_file * best
                + self.weights.file_mention * mention
                + self.weights.file_rank * self.file_rank[at]
                + self.weights.class_in_file * best_class[at]
                + self.weights.history * self.lexical.history[at]
                + self.weights.recent * self.index.history.recent()[at]
                + self.weights.file_meaning * self.meaning.files.get(&(at as u32)).unwrap_or(&0.0);
            (at, sum * weight_of(self.index.files[at].kind))
        };
        best_unit.into_iter().enumerate().map(score).collect()
    }

    fn best_by_file(&self, scores: impl Iterator<Item = (u32, f64)>) -> Vec<f64> {
        let mut best = vec![0.0_f64; self.index.files.len()];
        for (file, score) in scores {
            let best = &mut best[file as usize];
            *best = best.max(score);
        }
        best
    }

    /// `files` are the scores of all files, in the index' order.
    fn symbols(&self, files: &[(usize, f64)]) -> Vec<(usize, f64)> {
        let top = files.iter().map(|(_, score)| *score).fold(f64::MIN_POSITIVE, f64::max);
        let lengths = &self.index.lexical.lengths;
        let size_of = |length: u32| f64::from(length).ln_1p();
        let longest = lengths.iter().copied().max().map_or(0.0, size_of).max(f64::MIN_POSITIVE);
        let score = |(at, symbol): (usize, &IndexedSymbol)| {
            let unit = symbol.unit as usize;
            let mention = self.mentions.symbols.get(&(at as u32)).map_or(0.0, |mention| mention.score);
            let own = symbol
                .own_unit
                .map_or(0.0, |_| self.lexical.units[unit] + self.weights.rank * self.unit_rank[unit])
                + self.weights.mention * mention
                + self.weights.meaning * self.meaning.symbols.get(&(at as u32)).unwrap_or(&0.0);
            if own <= 0.0 {
                return (at, 0.0);
            }
            let outer = self.index.units[unit].outer.map_or(0.0, |outer| self.lexical.outer[outer as usize]);
            let around = self.weights.class_in_symbol * outer
                + self.weights.path_in_symbol * self.lexical.paths[symbol.file as usize]
                + self.weights.size * size_of(lengths[unit]) / longest
                + self.weights.file_in_symbol * files[symbol.file as usize].1 / top;
            let kind = match symbol.kind {
                SymbolKind::Class | SymbolKind::Module | SymbolKind::Variable => self.weights.class,
                SymbolKind::Function | SymbolKind::Method => 1.0,
            };
            (at, (own + around) * kind * weight_of(self.index.files[symbol.file as usize].kind))
        };
        let mut scores: Vec<(usize, f64)> = self.index.symbols.iter().enumerate().map(score).collect();
        self.lift_first_of_equals(&mut scores);
        scores
    }

    /// A getter and its setter are one name to people: the first of equals stands where the best of them stands.
    fn lift_first_of_equals(&self, scores: &mut [(usize, f64)]) {
        for at in 0..scores.len() {
            let symbol = &self.index.symbols[at];
            let Some(plain) = symbol.path.strip_suffix(']').and_then(|path| path.rsplit_once('[')) else {
                continue;
            };
            let before = self.index.files[symbol.file as usize].symbols.start as usize..at;
            let first = before.rev().find(|other| *self.index.symbols[*other].path == *plain.0);
            if let Some(first) = first {
                scores[first].1 = scores[first].1.max(scores[at].1);
            }
        }
    }
}

/// The `k` best with a score above 0, best first; of equals the lower number, which is the lower path.
fn best(mut scores: Vec<(usize, f64)>, k: usize) -> Vec<(usize, f64)> {
    scores.retain(|(_, score)| *score > 0.0);
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores.truncate(k);
    scores
}

/// What a file counts by its kind in a ranking of code to change.
const fn weight_of(kind: FileKind) -> f64 {
    match kind {
        FileKind::Code => 1.0,
        FileKind::Example | FileKind::Generated | FileKind::Vendored | FileKind::Test => 0.3,
        FileKind::Documentation | FileKind::Other => 0.15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{SHOP, files, index, index_with};
    use crate::{BuildOptions, Index};
    use proptest::prelude::*;

    fn first(index: &Index, query: &str) -> (String, String) {
        let hits = index.retrieve(query, &RetrieveOptions::default());
        let file = hits.files.first().map(|hit| hit.path.to_string()).unwrap_or_default();
        (file, hits.symbols.first().map(|hit| hit.symbol.clone()).unwrap_or_default())
    }

    #[test]
    fn prose_a_name_a_frame_and_an_error_text_lead_to_the_place() {
        let index = index(SHOP);
        let place = ("src/shop/prices.py".to_owned(), "Cart.apply_discount".to_owned());
        for query in [
            "Discounts are applied to the cart twice",
            "`apply_discount` is wrong",
            "Traceback:\n  File \"/home/me/shop/prices.py\", line 19, in apply_discount\n",
            "it says ValueError: a discount may not exceed the price",
        ] {
            assert_eq!(first(&index, query), place, "{query}");
        }
        let rounded = first(&index, "amounts of half a cent are rounded downwards");
        assert_eq!(rounded, ("src/shop/money.py".to_owned(), "round_half_up".to_owned()));
    }

    #[test]
    fn each_hit_says_why() {
        let hits = index(SHOP).retrieve("apply_discount lowers the price", &RetrieveOptions::default());
        let files = hits.files.iter().map(|hit| format!("{}: {}", hit.path, hit.reasons.join("; ")));
        let symbols = hits.symbols.iter().map(|hit| format!("{}: {}", hit.symbol, hit.reasons.join("; ")));
        insta::assert_snapshot!(files.chain(symbols).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn each_file_names_its_workspace() {
        let text = "//- package.json\n{}\n//- packages/core/package.json\n{}\n//- packages/core/cart.js\nfunction cart() {}\n//- cart.js\nx\n";
        let hits = index(text).retrieve("cart", &RetrieveOptions::default());
        let mut found: Vec<_> = hits.files.iter().map(|hit| (hit.path.as_str(), &*hit.workspace)).collect();
        found.sort_unstable();
        assert_eq!(found, [("cart.js", ""), ("packages/core/cart.js", "packages/core")]);
    }

    #[test]
    fn a_getter_stands_where_its_setter_stands() {
        let hits = index(SHOP).retrieve("size setter value", &RetrieveOptions::default());
        let symbols: Vec<&str> = hits.symbols.iter().map(|hit| hit.symbol.as_str()).take(2).collect();
        assert_eq!(symbols, ["Cart.size", "Cart.size[2]"]);
    }

    #[test]
    fn past_commits_help_where_the_code_has_other_words() {
        let text = "//- a.py\ndef f(): pass\n//- b.py\ndef g(): pass\n";
        assert_eq!(index(text).retrieve("invoices", &RetrieveOptions::default()), Hits::default());
        let with_history = index_with(text, &[("fix invoices", "b.py")]);
        assert_eq!(first(&with_history, "wrong invoices").0, "b.py");
    }

    proptest! {
        #[test]
        fn any_query_has_one_answer(query in "\\PC{0,120}") {
            let index = index(SHOP);
            let hits = index.retrieve(&query, &RetrieveOptions::default());
            prop_assert!(hits.files.windows(2).all(|pair| pair[0].score >= pair[1].score));
            prop_assert_eq!(hits, index.retrieve(&query, &RetrieveOptions::default()));
        }

        #[test]
        fn any_bytes_are_indexed(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[ -~\n]{0,300}") {
            let given = [("a.py", bytes.clone()), ("b/c.py", text.into_bytes()), ("d.rs", bytes)];
            let given = given.into_iter().map(|(path, bytes)| (path.parse().expect("a path"), bytes));
            let index = Index::build(given, &BuildOptions::default());
            prop_assert_eq!(index.files().len() + index.skipped().len(), 3);
            let hits = index.retrieve("def class a b c", &RetrieveOptions::default());
            prop_assert!(hits.files.len() <= 3);
        }

        #[test]
        fn the_order_of_the_files_does_not_matter(seed in 0_usize..5) {
            let mut given: Vec<_> = files(SHOP).into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
            given.rotate_left(seed);
            let turned = Index::build(given.into_iter(), &BuildOptions::default());
            let query = "discount of a cart's total";
            let options = RetrieveOptions::default();
            prop_assert_eq!(turned.retrieve(query, &options), index(SHOP).retrieve(query, &options));
        }
    }
}
