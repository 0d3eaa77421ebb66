//! Which files and symbols go into a pack, in which order, until the budget is used.

use super::around::TEST_FILES;
use super::source::{Part, Source, place};
use super::targets::Target;
use super::{ContextPack, FILES_RANGE, Omitted, PackRequest, PackedFile, Section, cost};
use super::{render_header, render_omitted, render_skeleton};
use crate::index::{Index, is_tail};
use crate::kind::FileKind;
use crate::retrieve::{Hits, RetrieveOptions};
use toryo_domain::RepoPath;

/// Symbols that are looked at, from the ranking.
const SYMBOLS_CONSIDERED: usize = 40;
/// Shares of the budget, in percent: up to which bodies are added before outlines, outlines before tests, tests,
/// and code to take the style from; the rest takes the list of what was left out.
pub(super) const BODIES: usize = 65;
const OUTLINES: usize = 80;
pub(super) const TESTS: usize = 95;
pub(super) const STYLE: usize = 97;
/// Percent of the budget that the outline of one file may take: of a file with sections, of another.
const ONE_OUTLINE: (usize, usize) = (12, 5);
/// Fewest lines worth showing of a symbol that does not fit.
const FEWEST_LINES: u32 = 8;

/// A pack in the making.
pub(super) struct Packing<'a> {
    budget: usize,
    used: usize,
    sources: Vec<Source>,
    pub(super) files: Vec<PackedFile>,
    omitted: Vec<Omitted>,
    pub(super) read: &'a dyn Fn(&RepoPath) -> Option<String>,
    pub(super) max_files: usize,
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
    let asked =
        RetrieveOptions { k: SYMBOLS_CONSIDERED, near: request.near.clone(), ..RetrieveOptions::default() };
    let hits = index.retrieve(&request.query, &asked);
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
    packing.add_style(index, &targets, &request.files);
    packing.finish()
}

impl Packing<'_> {
    pub(super) fn file(&self, path: &RepoPath) -> Option<usize> {
        self.files.iter().position(|file| file.path == *path)
    }

    /// Makes room for a file; `None` where it cannot be read, or no room is left.
    pub(super) fn open(&mut self, path: &RepoPath, why: &str, percent: usize) -> Option<usize> {
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

    pub(super) fn omit(&mut self, path: Option<&RepoPath>, symbol: Option<&str>, why: &str) {
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
    pub(super) fn add(&mut self, at: usize, part: &Part, why: &str, percent: usize, shorten: bool) -> bool {
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
    pub(super) fn add_outline(&mut self, at: usize, percent: usize) {
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
