//! From what a query mentions to the units and files meant.

use crate::assemble::Unit;
use crate::index::{Index, is_tail};
use crate::kind::FileKind;
use crate::query::{Frame, Query};
use std::collections::BTreeMap;
use toryo_code::SymbolKind;

/// What a stack frame counts beside the innermost one that lies in the repository.
const OUTER_FRAME: f64 = 0.6;

/// How strongly a query points at places, with the words for it. Scores are at most about 1 a mention.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    pub(crate) symbols: BTreeMap<u32, Mention>,
    pub(crate) files: BTreeMap<u32, Mention>,
}

#[derive(Debug, Default)]
pub(crate) struct Mention {
    pub(crate) score: f64,
    pub(crate) reasons: Vec<String>,
}

impl Mention {
    /// Several mentions of one place count the strongest and a little of the others.
    fn add(&mut self, score: f64, reason: String) {
        self.score = self.score.max(score) + 0.1 * self.score.min(score);
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

impl Mentions {
    pub(crate) fn find(index: &Index, query: &Query) -> Self {
        let mut found = Self::default();
        found.find_paths(index, query);
        found.find_frames(index, query);
        for (name, certainty) in &query.names {
            found.find_name(index, name, *certainty);
        }
        found.find_phrases(index, query);
        found
    }

    fn find_paths(&mut self, index: &Index, query: &Query) {
        for path in &query.paths {
            let files = files_at(index, path);
            for file in &files {
                let score = 1.0 / files.len() as f64;
                self.files.entry(*file).or_default().add(score, format!("path `{path}`"));
            }
        }
    }

    fn find_frames(&mut self, index: &Index, query: &Query) {
        let known: Vec<(&Frame, Vec<u32>)> = query
            .frames
            .iter()
            .map(|frame| (frame, files_at(index, &frame.path)))
            .filter(|(_, files)| !files.is_empty())
            .collect();
        // Python prints the innermost frame last, others print it first.
        let innermost = known.iter().rposition(|(frame, _)| frame.is_python).unwrap_or(0);
        for (at, (frame, files)) in known.into_iter().enumerate() {
            let score = if at == innermost { 1.0 } else { OUTER_FRAME };
            for file in files.into_iter().take(2) {
                let reason = format!("stack frame line {}", frame.line);
                self.files.entry(file).or_default().add(score, reason.clone());
                if let Some(symbol) = symbol_at(index, file, frame) {
                    self.symbols.entry(symbol).or_default().add(score, reason);
                }
            }
        }
    }

    fn find_name(&mut self, index: &Index, name: &str, certainty: f64) {
        let last = name.rsplit('.').next().unwrap_or(name);
        let Some(symbols) = index.names.get(last) else { return };
        let meant: Vec<u32> = symbols
            .iter()
            .copied()
            .filter(|symbol| {
                let entry = &index.symbols[*symbol as usize];
                let from_module =
                    || is_tail(&format!("{}.{}", index.modules[entry.file as usize], entry.path), name);
                is_tail(&entry.path, name) || name.contains('.') && from_module()
            })
            .collect();
        // Definitions in tests do not make a name ambiguous.
        let in_code =
            |symbol: &u32| index.files[index.symbols[*symbol as usize].file as usize].kind == FileKind::Code;
        let count = meant.iter().filter(|symbol| in_code(symbol)).count().max(1);
        for symbol in meant {
            let entry = &index.symbols[symbol as usize];
            let score = certainty / (count as f64).sqrt();
            self.symbols.entry(symbol).or_default().add(score, format!("mentions `{name}`"));
            self.files.entry(entry.file).or_default().add(0.5 * score, format!("defines `{name}`"));
        }
    }

    fn find_phrases(&mut self, index: &Index, query: &Query) {
        for phrase in &query.phrases {
            let first = index.phrases.partition_point(|(hash, _)| hash < phrase);
            let units: Vec<u32> = index.phrases[first..]
                .iter()
                .take_while(|(hash, _)| hash == phrase)
                .map(|(_, unit)| *unit)
                .collect();
            for unit in &units {
                let score = 1.0 / units.len() as f64;
                let Unit { file, symbol, .. } = index.units[*unit as usize];
                if let Some(symbol) = symbol {
                    self.symbols.entry(symbol).or_default().add(score, "holds a quoted text".to_owned());
                }
                self.files.entry(file).or_default().add(0.5 * score, "holds a quoted text".to_owned());
            }
        }
    }
}

/// The symbol of a stack frame: by the function's name, because lines move between versions, else by line.
fn symbol_at(index: &Index, file: u32, frame: &Frame) -> Option<u32> {
    let symbols = index.files[file as usize].symbols.clone().rev();
    let of = |symbol: &u32| &index.symbols[*symbol as usize];
    let around = |symbol: &u32| (of(symbol).first_line..=of(symbol).last_line).contains(&frame.line);
    let name = frame.function.as_deref().and_then(|name| name.rsplit('.').next());
    let named = |symbol: &u32| name == Some(&of(symbol).name);
    let mut in_function = symbols.clone().filter(|symbol| of(symbol).kind != SymbolKind::Variable);
    let exact = in_function.clone().find(|symbol| named(symbol) && around(symbol));
    exact.or_else(|| in_function.clone().find(named)).or_else(|| in_function.find(around))
}

/// Files whose path is, or ends with, the written one; else those that end like its longest end (an absolute
/// path of somebody's machine).
fn files_at(index: &Index, written: &str) -> Vec<u32> {
    let parts: Vec<&str> = written.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    for start in 0..parts.len() {
        let tail = parts[start..].join("/");
        let found: Vec<u32> = index
            .files
            .iter()
            .enumerate()
            .filter(|(_, file)| {
                file.path
                    .as_str()
                    .strip_suffix(&tail)
                    .is_some_and(|before| before.is_empty() || before.ends_with('/'))
            })
            .map(|(file, _)| file as u32)
            .collect();
        if !found.is_empty() {
            return if found.len() <= 5 { found } else { Vec::new() };
        }
        // `utils.py` alone, cut from `/usr/lib/python3/json/utils.py`, means nothing here.
        if start + 2 >= parts.len() && parts.len() > 1 {
            break;
        }
    }
    Vec::new()
}
