//! Cutting a text into chunks of the size of a function, for whoever searches by meaning.

use super::{Piece, SymbolFacts};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest chunk, in lines; longer functions are cut.
const MOST_LINES: u32 = 100;
/// Fewest lines of code outside all functions that make a chunk.
const FEWEST_LINES: u32 = 3;

/// A part of a text, cut where the syntax cuts it: a function, the head of a class, what lies between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The symbol it shows, as a number among the file's symbols; `None` for what lies outside.
    pub symbol: Option<u32>,
    /// First line, from 1.
    pub first_line: u32,
    /// Last line, inclusive.
    pub last_line: u32,
    /// The first half of the SHA-256 of the symbol's path and of the lines: equal code has it in every file, commit
    /// and repository, so that what is computed from a chunk is computed once.
    pub digest: [u8; 16],
}

/// A symbol as far as chunks are concerned.
pub(super) struct Span<'a> {
    pub(super) path: &'a str,
    pub(super) is_class: bool,
    pub(super) facts: &'a SymbolFacts,
}

/// The chunks of a text, by line. `starts` are the bytes at which lines start, with the end of the text behind.
pub(super) fn chunks(text: &str, starts: &[u32], symbols: &[Span<'_>]) -> Vec<Chunk> {
    let lines = starts.len().saturating_sub(1) as u32;
    let mut cut = Cutting { text, starts, chunks: Vec::new() };
    let mut next = 1;
    for (number, span) in (0_u32..).zip(symbols) {
        let facts = span.facts;
        // Inner functions belong to the chunk of the outer one.
        if facts.own_unit.is_none() || facts.first_line < next {
            continue;
        }
        cut.add(None, "", (next, facts.first_line - 1), FEWEST_LINES);
        let inside =
            symbols[number as usize + 1..].iter().take_while(|one| one.facts.first_line <= facts.last_line);
        let mut inside =
            inside.filter(|one| one.facts.own_unit.is_some() && one.facts.first_line > facts.first_line);
        let last = match inside.next() {
            Some(first) if span.is_class => first.facts.first_line - 1,
            _ => facts.last_line.min(lines),
        };
        cut.add(Some(number), span.path, (facts.first_line, last), 1);
        next = last + 1;
    }
    cut.add(None, "", (next, lines), FEWEST_LINES);
    cut.chunks
}

struct Cutting<'a> {
    text: &'a str,
    starts: &'a [u32],
    chunks: Vec<Chunk>,
}

impl Cutting<'_> {
    fn add(&mut self, symbol: Option<u32>, path: &str, (first, last): Piece, fewest: u32) {
        let mut first = first;
        while first <= last {
            let end = last.min(first.saturating_add(MOST_LINES - 1));
            let (start, stop) =
                (self.starts[first as usize - 1] as usize, self.starts[end as usize] as usize);
            let lines = self.text.get(start..stop).unwrap_or_default();
            if lines.lines().filter(|line| !line.trim().is_empty()).take(fewest as usize).count()
                == fewest as usize
            {
                let digest =
                    Sha256::new().chain_update(path).chain_update([0]).chain_update(lines).finalize();
                let mut half = [0; 16];
                half.copy_from_slice(&digest[..16]);
                self.chunks.push(Chunk { symbol, first_line: first, last_line: end, digest: half });
            }
            first = end + 1;
        }
    }
}
