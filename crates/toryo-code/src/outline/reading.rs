//! An outline without a tree, for languages that have a reader of their own.

use super::definition::Definition;
use super::place::Placing;
use super::{Import, Outline, Reference};
use crate::language::Language;
use crate::text::{Lines, Span};
use std::collections::HashMap;

/// What a reader found: the same as a walk over the tree would have, or no reading is given at all.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// In the order of the text.
    pub(crate) definitions: Vec<Definition>,
    /// Where something inside starts, with where what stands around it starts.
    pub(crate) outer_starts: HashMap<usize, usize>,
    /// In the order of the text; each with the byte where its statement starts.
    pub(crate) imports: Vec<(usize, Import)>,
    /// In the order of the text. Empty ones turned out to be no uses.
    pub(crate) uses: Vec<Span>,
}

impl Reading {
    /// The outline of the text that was read.
    pub(crate) fn outline(self, language: &Language, text: &str) -> Outline {
        let lines = Lines::of(text.as_bytes());
        let placing =
            Placing { language, text, lines: &lines, outer_starts: &self.outer_starts, attached: &[] };
        let symbols = placing.symbols(&self.definitions);
        let imports =
            self.imports.into_iter().map(|(at, import)| Import { line: lines.number_at(at), ..import });
        let imports = imports.collect();
        let mut number = 1;
        let mut line = lines.span(1).unwrap_or(Span::new(0, 0));
        let uses = self.uses.into_iter().filter(|span| span.start < span.end);
        let reference = |span: Span| {
            while span.start >= line.end {
                number += 1;
                line = lines.span(number)?;
            }
            Some(Reference { name: text.get(span.range())?.to_owned(), line: number })
        };
        Outline { symbols, imports, references: uses.filter_map(reference).collect() }
    }
}
