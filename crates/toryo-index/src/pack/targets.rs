//! What a pack is about: the symbols that the plan names, and those that the ranking suggests.

use super::PackRequest;
use super::select::Packing;
use super::source::Source;
use crate::index::Index;
use crate::kind::FileKind;
use crate::retrieve::Hits;
use toryo_domain::RepoPath;

/// Symbols that count as what is to change where the plan names none.
const ASSUMED_TARGETS: usize = 3;
/// Most symbols of the ranking whose bodies are shown, and the share of the best score from which they are.
const SUGGESTIONS: usize = 15;
const SUGGESTED_FROM: f64 = 0.4;

/// A symbol that the plan names or the ranking suggests, and its file.
pub(super) struct Target {
    pub(super) path: RepoPath,
    pub(super) symbol: String,
    pub(super) why: String,
    /// The plan names it.
    pub(super) named: bool,
}

/// What is to change: what the plan names, else the best of the ranking.
pub(super) fn changing(targets: &[Target]) -> impl Iterator<Item = &Target> {
    let named = targets.iter().filter(|target| target.named).count();
    targets.iter().take(if named > 0 { named } else { ASSUMED_TARGETS })
}

impl Packing<'_> {
    /// Symbols to show the bodies of, best first.
    pub(super) fn targets(&mut self, index: &Index, request: &PackRequest, hits: &Hits) -> Vec<Target> {
        let mut targets = Vec::new();
        for named in &request.symbols {
            let before = targets.len();
            let (path, dotted) = named.split_once("::").map_or((None, named.as_str()), |(p, d)| (Some(p), d));
            let in_path = |found: &RepoPath| path.is_none_or(|path| path == found.as_str());
            let found = self.definitions(index, request, dotted);
            for (path, symbol) in found.into_iter().filter(|(path, _)| in_path(path)) {
                targets.push(Target { path, symbol, why: "named by the plan".to_owned(), named: true });
            }
            if targets.len() == before {
                self.omit(None, Some(named), "named by the plan, but no such symbol was found");
            }
        }
        let best = hits.symbols.first().map_or(0.0, |hit| hit.score);
        for hit in hits.symbols.iter().take(SUGGESTIONS).filter(|hit| hit.score >= best * SUGGESTED_FROM) {
            let known = |target: &Target| target.path == hit.path && target.symbol == hit.symbol;
            if !targets.iter().any(known) {
                let why = hit.reasons.first().cloned().unwrap_or_default();
                targets.push(Target {
                    path: hit.path.clone(),
                    symbol: hit.symbol.clone(),
                    why,
                    named: false,
                });
            }
        }
        targets
    }

    /// Where a named symbol is: in the plan's files as they are now, else anywhere in the index.
    fn definitions(&self, index: &Index, request: &PackRequest, dotted: &str) -> Vec<(RepoPath, String)> {
        let mut found: Vec<(RepoPath, String)> = Vec::new();
        for path in &request.files {
            let symbol = (self.read)(path)
                .and_then(|text| Source::new(path, text).find(dotted).map(|symbol| symbol.path.clone()));
            found.extend(symbol.map(|symbol| (path.clone(), symbol)));
        }
        if found.is_empty() {
            // A plan may write `module.Class.method`.
            let tails =
                std::iter::successors(Some(dotted), |rest| rest.split_once('.').map(|(_, tail)| tail));
            let defined = tails.map(|tail| index.definitions(tail)).find(|defined| !defined.is_empty());
            let by_kind = |path: &RepoPath| index.file(path).map(|file| file.kind != FileKind::Code);
            let mut defined = defined.unwrap_or_default();
            defined.sort_by_key(|(path, _)| by_kind(path));
            found.extend(
                defined.into_iter().take(3).map(|(path, symbol)| (path.clone(), symbol.path.to_string())),
            );
        }
        found
    }
}
