//! Which files and symbols go into a pack, in which order, until the budget is used.

use super::source::{Part, Source, place};
use super::{ContextPack, FILES_RANGE, Omitted, PackRequest, PackedFile, Section, cost};
use super::{render_header, render_omitted, render_skeleton};
use crate::index::{Index, IndexedSymbol, is_tail};
use crate::kind::FileKind;
use crate::retrieve::{Hits, RetrieveOptions};
use toryo_domain::RepoPath;

/// Symbols that are looked at, from the ranking.
const SYMBOLS_CONSIDERED: usize = 40;
/// Symbols that count as what is to change where the plan names none.
const ASSUMED_TARGETS: usize = 3;
/// Most callers, and most callees, of one symbol.
const NEIGHBOURS: usize = 3;
/// Most test files.
const TEST_FILES: usize = 2;
/// Most tests shown of one file.
const TESTS_SHOWN: usize = 3;
/// Most files opened for neighbours alone.
const NEIGHBOUR_FILES: usize = 2;
/// Most symbols of the ranking whose bodies are shown, and the share of the best score from which they are.
const SUGGESTIONS: usize = 15;
const SUGGESTED_FROM: f64 = 0.4;
/// Shares of the budget, in percent: up to which bodies are added before outlines, outlines before tests, and
/// tests; the rest takes the list of what was left out.
const BODIES: usize = 65;
const OUTLINES: usize = 80;
const TESTS: usize = 95;
/// Percent of the budget that the outline of one file may take: of a file with sections, of another.
const ONE_OUTLINE: (usize, usize) = (12, 5);
/// Fewest lines worth showing of a symbol that does not fit.
const FEWEST_LINES: u32 = 8;

struct Packing<'a> {
    budget: usize,
    used: usize,
    sources: Vec<Source>,
    files: Vec<PackedFile>,
    omitted: Vec<Omitted>,
    read: &'a dyn Fn(&RepoPath) -> Option<String>,
    max_files: usize,
}

/// A symbol that the plan names or the ranking suggests, and its file.
struct Target {
    path: RepoPath,
    symbol: String,
    why: String,
    /// The plan names it.
    named: bool,
}

pub(super) fn pack(
    index: &Index,
    request: &PackRequest,
    read: &dyn Fn(&RepoPath) -> Option<String>,
) -> ContextPack {
    let (fewest, most) = FILES_RANGE;
    let mut packing = Packing {
        budget: request.budget_tokens,
        used: 0,
        sources: Vec::new(),
        files: Vec::new(),
        omitted: Vec::new(),
        read,
        max_files: request.max_files.clamp(fewest, most).max(request.files.len()),
    };
    let hits =
        index.retrieve(&request.query, &RetrieveOptions { k: SYMBOLS_CONSIDERED, ..Default::default() });
    let targets = packing.targets(index, request, &hits);
    for path in &request.files {
        packing.open(path, "named by the plan", BODIES);
    }
    for target in targets.iter().filter(|target| target.named) {
        packing.open(&target.path, "holds a symbol named by the plan", BODIES);
    }
    packing.add_named(&targets, &request.files);
    packing.add_neighbours(index, &targets);
    packing.open_suggested(&hits);
    packing.add_suggested(&targets);
    packing.add_outlines();
    packing.add_tests(index, &targets, &request.files);
    packing.finish()
}

impl Packing<'_> {
    /// Symbols to show the bodies of, best first.
    fn targets(&mut self, index: &Index, request: &PackRequest, hits: &Hits) -> Vec<Target> {
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

    fn file(&self, path: &RepoPath) -> Option<usize> {
        self.files.iter().position(|file| file.path == *path)
    }

    /// Makes room for a file; `None` where it cannot be read, or no room is left.
    fn open(&mut self, path: &RepoPath, why: &str, percent: usize) -> Option<usize> {
        if let Some(at) = self.file(path) {
            return Some(at);
        }
        if self.files.len() >= self.max_files {
            self.omit(Some(path), None, &format!("{why}, but the pack holds its most files"));
            return None;
        }
        let Some(text) = (self.read)(path) else {
            self.omit(Some(path), None, &format!("{why}, but cannot be read"));
            return None;
        };
        let source = Source::new(path, text);
        let header = cost(&render_header(path, source.lines));
        if !self.fits(header, percent) {
            self.omit(Some(path), None, &format!("{why}, but does not fit in the budget"));
            return None;
        }
        self.used += header;
        let file = PackedFile {
            path: path.clone(),
            lines: source.lines,
            sections: Vec::new(),
            skeleton: String::new(),
        };
        self.files.push(file);
        self.sources.push(source);
        Some(self.files.len() - 1)
    }

    fn fits(&self, tokens: usize, percent: usize) -> bool {
        self.used + tokens <= self.budget / 100 * percent + self.budget % 100 * percent / 100
    }

    fn omit(&mut self, path: Option<&RepoPath>, symbol: Option<&str>, why: &str) {
        let one = Omitted { path: path.cloned(), symbol: symbol.map(str::to_owned), why: why.to_owned() };
        let same = |other: &Omitted| other.path == one.path && other.symbol == one.symbol;
        if !self.omitted.iter().any(same) {
            self.omitted.push(one);
        }
    }

    fn open_suggested(&mut self, hits: &Hits) {
        let suggested = |kind| !matches!(kind, FileKind::Test | FileKind::Documentation);
        for hit in hits.files.iter().filter(|hit| suggested(hit.kind)).take(2 * self.max_files) {
            if self.files.len() + TEST_FILES < self.max_files {
                self.open(&hit.path, "fits the query", BODIES);
            } else if self.file(&hit.path).is_none() {
                self.omit(Some(&hit.path), None, "fits the query less than the files shown");
            }
        }
    }

    fn add_named(&mut self, targets: &[Target], plan_files: &[RepoPath]) {
        for target in targets.iter().filter(|target| target.named) {
            if let Some(at) = self.file(&target.path) {
                self.add_or_whole(at, Part::Symbol(target.symbol.clone()), &target.why, true);
            }
        }
        for at in plan_files.iter().filter_map(|path| self.file(path)).collect::<Vec<_>>() {
            self.add_or_whole(at, Part::Head, "named by the plan", false);
        }
    }

    fn add_suggested(&mut self, targets: &[Target]) {
        for target in targets.iter().filter(|target| !target.named) {
            if let Some(at) = self.file(&target.path) {
                self.add_or_whole(at, Part::Header(target.symbol.clone()), &target.why, false);
            }
        }
        for at in 0..self.files.len() {
            if self.files[at].sections.is_empty() && self.sources[at].is_small() {
                self.add(at, &Part::Whole, "small file", BODIES, false);
            }
        }
    }

    /// Of a small file the whole rather than the part.
    fn add_or_whole(&mut self, at: usize, part: Part, why: &str, shorten: bool) {
        let part = if self.sources[at].is_small() { Part::Whole } else { part };
        self.add(at, &part, why, BODIES, shorten);
    }

    /// Adds a part if it fits below this percentage of the budget. What the plan names is shortened rather than
    /// left out.
    fn add(&mut self, at: usize, part: &Part, why: &str, percent: usize, shorten: bool) -> bool {
        let Some(section) = self.sources[at].section(part, why) else { return false };
        if self.try_place(at, &section, percent) {
            return true;
        }
        let lines = section.last_line + 1 - section.first_line;
        let mut shorter = if shorten { lines / 2 } else { 0 };
        while shorter >= FEWEST_LINES {
            let cut = self.sources[at].shortened(&section, shorter);
            if cut.is_some_and(|cut| self.try_place(at, &cut, percent)) {
                return true;
            }
            shorter /= 2;
        }
        let covered = self.files[at]
            .sections
            .iter()
            .any(|one| one.first_line <= section.first_line && section.last_line <= one.last_line);
        if !covered {
            let path = self.files[at].path.clone();
            self.omit(Some(&path), section.symbol.as_deref(), &format!("{why}; does not fit in the budget"));
        }
        covered
    }

    fn try_place(&mut self, at: usize, section: &Section, percent: usize) -> bool {
        let Some(placed) = place(&self.files[at].sections, section) else { return false };
        let price = |sections: &[Section]| sections.iter().map(|one| cost(&one.render())).sum::<usize>();
        let (before, after) = (price(&self.files[at].sections), price(&placed));
        if after > before && !self.fits(after - before, percent) {
            return false;
        }
        self.used = self.used + after - before;
        self.files[at].sections = placed;
        true
    }

    fn add_outlines(&mut self) {
        for at in 0..self.files.len() {
            self.add_outline(at, OUTLINES);
        }
    }

    /// As many lines of the outline as fit; the others are counted.
    fn add_outline(&mut self, at: usize, percent: usize) {
        let lines = self.sources[at].skeleton_lines(&self.files[at].sections);
        let (with_sections, bare) = ONE_OUTLINE;
        let share = if self.files[at].sections.is_empty() { bare } else { with_sections };
        let most = self.budget / 100 * share;
        let mut skeleton = String::new();
        let mut shown = 0;
        for line in &lines {
            let next = format!("{skeleton}{line}");
            let price = cost(&render_skeleton(&next));
            if price > most || !self.fits(price, percent) {
                break;
            }
            skeleton = next;
            shown += 1;
        }
        if shown < lines.len() {
            let path = self.files[at].path.clone();
            let missing = lines.len() - shown;
            self.omit(
                Some(&path),
                Some("outline"),
                &format!("{missing} further signatures do not fit in the budget"),
            );
        }
        self.used += cost(&render_skeleton(&skeleton));
        self.files[at].skeleton = skeleton;
    }

    /// What the targets use, and what uses them.
    fn add_neighbours(&mut self, index: &Index, targets: &[Target]) {
        let most_files = self.files.len() + NEIGHBOUR_FILES;
        for target in changing(targets) {
            let Some(symbol) = index.symbol(&target.path, &target.symbol) else { continue };
            let used = index.callees(symbol).take(NEIGHBOURS).map(|one| (one, "used by"));
            let users = index.callers(symbol).filter(|one| !is_test(index, one)).take(NEIGHBOURS);
            for (neighbour, how) in used.chain(users.map(|one| (one, "uses"))) {
                let why = format!("{how} {}", target.symbol);
                let path = index.path_of(neighbour);
                if self.file(path).is_none() && self.files.len() >= most_files {
                    self.omit(Some(path), Some(&neighbour.path), &format!("{why}; its file is not shown"));
                } else if let Some(at) = self.open(path, &why, BODIES) {
                    self.add(at, &Part::Header(neighbour.path.to_string()), &why, BODIES, false);
                }
            }
        }
    }

    fn add_tests(&mut self, index: &Index, targets: &[Target], plan_files: &[RepoPath]) {
        let mut code: Vec<&RepoPath> =
            changing(targets).map(|target| &target.path).chain(plan_files).collect();
        code.dedup();
        let mut opened = 0;
        for path in code {
            for link in index.tests_for(path) {
                if self.file(&link.path).is_some() {
                    continue;
                }
                let why = format!("tests {path}: {}", link.reasons.join(", "));
                if opened == TEST_FILES {
                    self.omit(Some(&link.path), None, &why);
                } else if let Some(at) = self.open(&link.path, &why, TESTS) {
                    opened += 1;
                    self.add_tests_of(index, at, targets);
                }
            }
        }
    }

    /// The tests of a file that use the targets, the file's outline where there is none.
    fn add_tests_of(&mut self, index: &Index, at: usize, targets: &[Target]) {
        let path = self.files[at].path.clone();
        let mut shown = 0;
        for target in changing(targets) {
            let Some(symbol) = index.symbol(&target.path, &target.symbol) else { continue };
            for test in index.callers(symbol).filter(|one| *index.path_of(one) == path) {
                if shown < TESTS_SHOWN && test.name.to_lowercase().contains("test") {
                    let why = format!("tests {}", target.symbol);
                    let part = Part::Symbol(test.path.to_string());
                    shown += usize::from(self.add(at, &part, &why, TESTS, false));
                }
            }
        }
        self.add_outline(at, TESTS);
    }

    /// A file of which nothing fits is left out.
    fn drop_empty_files(&mut self) {
        for at in (0..self.files.len()).rev() {
            if self.files[at].sections.is_empty() && self.files[at].skeleton.is_empty() {
                let file = self.files.remove(at);
                self.sources.remove(at);
                self.used -= cost(&render_header(&file.path, file.lines));
                self.omitted.retain(|one| one.path.as_ref() != Some(&file.path));
                self.omit(Some(&file.path), None, "nothing of it fits in the budget");
            }
        }
    }

    fn finish(mut self) -> ContextPack {
        self.drop_empty_files();
        // Neighbours and tests may have been shown after they were left out for room.
        let files = &self.files;
        self.omitted.retain(|one| !is_shown(files, one));
        let mut shown = self.omitted.len();
        while shown > 0 && !self.fits(cost(&render_omitted(&self.omitted, shown)), 100) {
            shown = shown.saturating_sub(1 + shown / 8);
        }
        if !self.fits(cost(&render_omitted(&self.omitted, shown)), 100) {
            // Not even the count fits; only a budget of a few tokens ends here.
            self.omitted.clear();
        }
        let mut pack = ContextPack {
            files: self.files,
            omitted: self.omitted,
            tokens_estimated: 0,
            omitted_shown: shown,
        };
        pack.tokens_estimated = cost(&pack.render());
        pack
    }
}

fn is_shown(files: &[PackedFile], omitted: &Omitted) -> bool {
    let Some(file) = files.iter().find(|file| Some(&file.path) == omitted.path.as_ref()) else {
        return false;
    };
    let Some(symbol) = omitted.symbol.as_deref() else { return false };
    file.sections.iter().any(|section| section.symbol.as_deref().is_some_and(|shown| is_tail(shown, symbol)))
}

/// What is to change: what the plan names, else the best of the ranking.
fn changing(targets: &[Target]) -> impl Iterator<Item = &Target> {
    let named = targets.iter().filter(|target| target.named).count();
    targets.iter().take(if named > 0 { named } else { ASSUMED_TARGETS })
}

fn is_test(index: &Index, symbol: &IndexedSymbol) -> bool {
    index.file(index.path_of(symbol)).is_some_and(|file| file.kind == FileKind::Test)
}
