//! One file of a pack: its present text, its outline, and the sections cut from it so far.

use super::Section;
use std::fmt::Write;
use toryo_code::{Outline, Symbol, SymbolKind, outline};
use toryo_domain::RepoPath;

/// Files up to this many lines are shown whole.
pub(super) const SMALL_FILE_LINES: u32 = 120;
/// Classes up to this many lines are shown whole; of longer ones the part before the first method.
const SMALL_CLASS_LINES: u32 = 120;
/// Longest head of a file (its imports and constants) that is shown, in lines.
const LONGEST_HEAD: u32 = 40;

/// A part of a file that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// From the first import to the first definition.
    Head,
    Symbol(String),
    /// A symbol; of a class only what stands before its first method.
    Header(String),
}

/// A file as it is now.
pub(super) struct Source {
    pub(super) lines: u32,
    text: String,
    /// Byte at which each line starts.
    starts: Vec<usize>,
    outline: Outline,
}

impl Source {
    pub(super) fn new(path: &RepoPath, text: String) -> Self {
        let mut starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        // A line break at the end starts no further line.
        if starts.last() == Some(&text.len()) {
            starts.pop();
        }
        Self { lines: starts.len() as u32, outline: outline(path, &text), text, starts }
    }

    pub(super) fn is_small(&self) -> bool {
        self.lines <= SMALL_FILE_LINES
    }

    /// The symbol of this dotted path, or the only one whose path ends so.
    pub(super) fn find(&self, dotted: &str) -> Option<&Symbol> {
        let exact = self.outline.symbols.iter().find(|symbol| symbol.path == dotted);
        let mut tails =
            self.outline.symbols.iter().filter(|symbol| crate::index::is_tail(&symbol.path, dotted));
        exact.or_else(|| tails.next().filter(|_| tails.next().is_none()))
    }

    /// The exact lines of a part; `None` where it is not there (any more) or has no line.
    pub(super) fn section(&self, part: &Part, why: &str) -> Option<Section> {
        let (symbol, first_line, last_line) = match part {
            Part::Whole => (None, 1, self.lines),
            Part::Head => {
                let (first, last) = self.head()?;
                (None, first, last)
            }
            Part::Symbol(dotted) | Part::Header(dotted) => {
                let symbol = self.find(dotted)?;
                let most = if matches!(part, Part::Header(_)) { 0 } else { SMALL_CLASS_LINES };
                (Some(symbol.path.clone()), symbol.first_line, self.last_line(symbol, most))
            }
        };
        let text = self.lines_text(first_line, last_line)?.to_owned();
        Some(Section { symbol, first_line, last_line, text, why: why.to_owned() })
    }

    /// The first lines of a section, for one that does not fit as a whole.
    pub(super) fn shortened(&self, section: &Section, lines: u32) -> Option<Section> {
        let last_line = section.first_line + lines.checked_sub(1)?;
        let text = self.lines_text(section.first_line, last_line)?.to_owned();
        let why = format!("{}; cut, it goes on to line {}", section.why, section.last_line);
        Some(Section { symbol: section.symbol.clone(), first_line: section.first_line, last_line, text, why })
    }

    fn lines_text(&self, first: u32, last: u32) -> Option<&str> {
        let start = *self.starts.get(first.checked_sub(1)? as usize)?;
        let end = self.starts.get(last as usize).copied().unwrap_or(self.text.len());
        self.text.get(start..end).filter(|text| !text.is_empty())
    }

    /// A class of more than `most` lines is shown up to its first method.
    fn last_line(&self, symbol: &Symbol, most: u32) -> u32 {
        if symbol.kind != SymbolKind::Class || symbol.last_line - symbol.first_line < most {
            return symbol.last_line;
        }
        let inner = self.outline.symbols.iter().filter(|one| {
            one.kind != SymbolKind::Variable
                && (symbol.first_line + 1..=symbol.last_line).contains(&one.first_line)
        });
        inner.map(|one| one.first_line - 1).min().unwrap_or(symbol.last_line)
    }

    fn head(&self) -> Option<(u32, u32)> {
        let first = self.outline.imports.iter().map(|import| import.line).min()?;
        let defined = self.outline.symbols.iter().find(|symbol| symbol.kind != SymbolKind::Variable);
        let last = defined.map_or(self.lines, |symbol| symbol.first_line.saturating_sub(1));
        (first <= last).then(|| (first, last.min(first + LONGEST_HEAD - 1)))
    }

    /// Lines of the outline that lie outside the sections shown, functions and classes only.
    pub(super) fn skeleton_lines(&self, shown: &[Section]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut depths: Vec<usize> = Vec::new();
        for symbol in &self.outline.symbols {
            let depth = symbol.parent.map_or(0, |parent| depths[parent] + 1);
            depths.push(depth);
            let in_section =
                |one: &Section| one.first_line <= symbol.first_line && symbol.last_line <= one.last_line;
            if symbol.kind == SymbolKind::Variable || shown.iter().any(in_section) {
                continue;
            }
            let mut line = String::new();
            let doc = symbol.doc.as_deref().map(|doc| format!("  # {doc}")).unwrap_or_default();
            let indent = "    ".repeat(depth.min(8));
            let text: String = format!("{}{doc}", symbol.signature).chars().take(200).collect();
            // A `String` takes any text.
            let _ = writeln!(line, "{:>4}: {indent}{}", symbol.first_line, super::plain(&text));
            lines.push(line);
        }
        lines
    }
}

/// Adds a section to those shown, by line. What it contains goes; `None` where it is contained itself. Symbols
/// nest, and heads end before the first of them, so sections never overlap in part except where one was
/// shortened; then the later one is refused.
pub(super) fn place(sections: &[Section], new: &Section) -> Option<Vec<Section>> {
    let inside = |a: &Section, b: &Section| b.first_line <= a.first_line && a.last_line <= b.last_line;
    let apart = |a: &Section| a.last_line < new.first_line || new.last_line < a.first_line;
    let mut placed: Vec<Section> = sections.iter().filter(|one| !inside(one, new)).cloned().collect();
    if sections.iter().any(|one| inside(new, one)) || !placed.iter().all(apart) {
        return None;
    }
    placed.push(new.clone());
    placed.sort_by_key(|section| section.first_line);
    Some(placed)
}
