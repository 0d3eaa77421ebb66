//! From a locator to a place of the present text, or to the candidates that may have been meant.

use super::Miss;
use super::source::Source;
use crate::edit::Target;
use crate::outline::{Symbol, SymbolKind};
use crate::refusal::{Candidate, Refusal, cut};
use crate::text::{Lines, Span, without_break};
use std::ops::ControlFlow;
use streaming_iterator::StreamingIterator;
use tree_sitter::{Query, QueryCursor, QueryCursorOptions};

/// A place of the present text.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A definition.
    Symbol(Symbol),
    /// Whole lines, with their line breaks.
    Lines {
        span: Span,
        /// The last line's number as the model saw it.
        last: u32,
    },
    /// A node of the syntax tree that is no definition.
    Node(Span),
    /// The file.
    WholeFile,
}

/// How many candidates a refusal names.
const MOST_CANDIDATES: usize = 8;

/// The longest query, in bytes.
const LONGEST_QUERY: usize = 4_000;

/// The deepest query: the query parser calls itself for each level.
const DEEPEST_QUERY: usize = 100;

/// The most steps of a query, in hundreds.
const MOST_QUERY_STEPS: usize = 200_000;

/// Finds the one place that a locator names.
pub(crate) fn locate(target: &Target, source: &Source) -> Result<Place, Miss> {
    match target {
        Target::Symbol(path) => symbol(path, source).map(Place::Symbol),
        Target::Lines { first, last, expect } => lines(*first, *last, expect.as_deref(), source),
        Target::Query(query) => node(query, source),
        Target::WholeFile => Ok(Place::WholeFile),
    }
}

/// One name of a dotted path and which of equals it means.
pub(super) type Part<'a> = (&'a str, Option<&'a str>);

/// The names of a dotted path.
pub(super) fn parts(path: &str) -> Vec<Part<'_>> {
    let part = |part: &'_ str| -> (usize, Option<(usize, usize)>) {
        match part.strip_suffix(']').and_then(|inner| inner.split_once('[')) {
            Some((name, ordinal)) => (name.len(), Some((name.len() + 1, name.len() + 1 + ordinal.len()))),
            None => (part.len(), None),
        }
    };
    path.split('.')
        .map(|text| {
            let (name, ordinal) = part(text);
            (&text[..name], ordinal.map(|(from, to)| &text[from..to]))
        })
        .collect()
}

/// Whether a written path means this symbol: a name without number means each of equals.
fn means(written: &[Part<'_>], symbol: &[Part<'_>]) -> bool {
    let same = |((name, ordinal), (own, own_ordinal)): (&Part<'_>, &Part<'_>)| {
        name == own && ordinal.is_none_or(|ordinal| ordinal == own_ordinal.unwrap_or("1"))
    };
    written.len() == symbol.len() && written.iter().zip(symbol).all(same)
}

fn symbol(path: &str, source: &Source) -> Result<Symbol, Miss> {
    if source.language.is_none() {
        let why = "symbols of this kind of file are not understood; use line_range or a unified diff";
        return Err(Refusal::Unfit(why.to_owned()).into());
    }
    let written = parts(path.trim());
    let symbols = source.symbols();
    let mut found: Vec<&Symbol> =
        symbols.iter().filter(|symbol| means(&written, &parts(&symbol.path))).collect();
    if source.language.is_some_and(|language| language.fields_apart)
        && found.iter().any(|symbol| symbol.kind == SymbolKind::Method)
    {
        found.retain(|symbol| symbol.kind != SymbolKind::Variable);
    }
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Miss {
            refusal: Refusal::NoSuchSymbol(path.to_owned()),
            candidates: nearest(&written, source),
        }),
        several => {
            let candidates = several.iter().map(|symbol| candidate(symbol, source)).collect();
            Err(Miss { refusal: Refusal::AmbiguousSymbol(path.to_owned(), several.len()), candidates })
        }
    }
}

/// A symbol as a candidate, by a path that names it alone.
fn candidate(symbol: &Symbol, source: &Source) -> Candidate {
    let is_first = |path: &str| source.symbols().iter().any(|other| other.path == format!("{path}[2]"));
    let mut path = symbol.path.clone();
    // Each part that is the first of equals needs its number; from the end, so that places before stay.
    let dots = symbol.path.match_indices('.').map(|(at, _)| at);
    let ends: Vec<usize> = dots.chain(std::iter::once(symbol.path.len())).collect();
    for end in ends.into_iter().rev().filter(|end| is_first(&symbol.path[..*end])) {
        path.insert_str(end, "[1]");
    }
    Candidate {
        symbol: path,
        line: source.lines().number_at(symbol.name_span.start),
        text: cut(&symbol.signature),
    }
}

/// The symbols whose names are nearest to a written path: same last name, then same but for case, then few
/// letters apart, then what the named parent holds, then the file's first definitions.
fn nearest(written: &[Part<'_>], source: &Source) -> Vec<Candidate> {
    let wanted = written.last().map_or("", |(name, _)| *name);
    let parent = written.len().checked_sub(2).and_then(|at| written.get(at)).map(|(name, _)| *name);
    let rank = |symbol: &Symbol| {
        let owner = symbol.parent.and_then(|parent| source.symbols().get(parent));
        let in_parent = parent.is_some() && owner.map(|owner| owner.name.as_str()) == parent;
        let apart = distance(&symbol.name.to_lowercase(), &wanted.to_lowercase());
        if symbol.name == wanted {
            Some((0, usize::from(!in_parent)))
        } else if apart <= (wanted.chars().count() / 2).min(3) {
            Some((1, apart))
        } else if in_parent {
            Some((2, 0))
        } else if symbol.parent.is_none() && symbol.kind != SymbolKind::Variable {
            Some((3, 0))
        } else {
            None
        }
    };
    let mut ranked: Vec<_> = source.symbols().iter().filter_map(|s| rank(s).map(|rank| (rank, s))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(MOST_CANDIDATES).map(|(_, symbol)| candidate(symbol, source)).collect()
}

/// Levenshtein's distance of two names, each cut after 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, from) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

fn lines(first: u32, last: u32, expect: Option<&str>, source: &Source) -> Result<Place, Miss> {
    let count = source.original_line_count();
    if count == 0 && last == 1 && source.text.is_empty() {
        return Ok(Place::Lines { span: Span::new(0, 0), last });
    }
    if last as usize > count {
        return Err(Refusal::NoSuchLine { line: last, count }.into());
    }
    let span = source.span_of_original(first, last).ok_or(Refusal::AlreadyChanged { first, last })?;
    let text = source.text.get(span.range()).unwrap_or_default();
    for ((line, expected), found) in
        (first..).zip(expect.unwrap_or_default().lines()).zip(text.split_inclusive('\n'))
    {
        // The place is fixed, so the passes of a search are one.
        if !super::quote::same(expected, found) {
            let found = without_break(found).to_owned();
            let refusal = Refusal::Unexpected { line, expected: expected.to_owned(), found };
            return Err(Miss { refusal, candidates: lines_like(expected, source) });
        }
    }
    Ok(Place::Lines { span, last })
}

/// The lines that equal a text but for white space around it, or else the symbol that it names.
fn lines_like(text: &str, source: &Source) -> Vec<Candidate> {
    let lines = source.lines();
    let wanted = text.trim();
    let numbered = (1_u32..).zip(source.text.split_inclusive('\n'));
    let equal = numbered.filter(|(_, line)| !wanted.is_empty() && line.trim() == wanted);
    equal.take(MOST_CANDIDATES).map(|(number, line)| line_candidate(number, line, lines, source)).collect()
}

pub(super) fn line_candidate(number: u32, line: &str, lines: &Lines, source: &Source) -> Candidate {
    let span = lines.span(number).unwrap_or(Span::new(0, 0));
    let owner =
        source.symbols().iter().rfind(|symbol| symbol.span.start < span.end && span.start < symbol.span.end);
    Candidate {
        symbol: owner.map(|owner| owner.path.clone()).unwrap_or_default(),
        line: number,
        text: cut(line.trim()),
    }
}

fn node(query: &str, source: &Source) -> Result<Place, Miss> {
    let refused = |why: String| Miss::from(Refusal::BadQuery(why));
    let (Some(language), Some(analysis)) = (source.language, source.analysis()) else {
        return Err(refused("this kind of file has no syntax tree here".to_owned()));
    };
    if query.len() > LONGEST_QUERY {
        return Err(refused(format!("it is longer than {LONGEST_QUERY} bytes")));
    }
    if nesting(query) > DEEPEST_QUERY {
        return Err(refused(format!("it is nested deeper than {DEEPEST_QUERY} levels")));
    }
    let query = Query::new(&language.grammar(), query).map_err(|error| refused(error.to_string()))?;
    let target = query.capture_index_for_name("target");
    let target = target.ok_or_else(|| refused("it has no capture `@target`".to_owned()))?;
    let mut steps_left = MOST_QUERY_STEPS;
    let mut count_down = |_: &tree_sitter::QueryCursorState| {
        steps_left = steps_left.saturating_sub(1);
        if steps_left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut cursor = QueryCursor::new();
    let mut spans: Vec<Span> = Vec::new();
    let options = QueryCursorOptions::new().progress_callback(&mut count_down);
    let root = analysis.tree.root_node();
    let mut matches = cursor.matches_with_options(&query, root, source.text.as_bytes(), options);
    while let Some(matched) = matches.next() {
        spans.extend(
            matched.nodes_for_capture_index(target).map(|node| Span::new(node.start_byte(), node.end_byte())),
        );
    }
    drop(matches);
    if steps_left == 0 {
        return Err(refused("it takes too long on this file".to_owned()));
    }
    spans.sort_unstable();
    spans.dedup();
    match spans.as_slice() {
        [span] => Ok(definition_at(*span, source).map_or(Place::Node(*span), Place::Symbol)),
        several => {
            let lines = source.lines();
            let at = |span: &Span| {
                let number = lines.number_at(span.start);
                let line =
                    lines.span(number).and_then(|line| source.text.get(line.range())).unwrap_or_default();
                line_candidate(number, line, lines, source)
            };
            let candidates = several.iter().take(MOST_CANDIDATES).map(at).collect();
            Err(Miss { refusal: Refusal::QueryMatches(several.len()), candidates })
        }
    }
}

/// An upper bound of how deep a query is nested.
fn nesting(query: &str) -> usize {
    let depth = |(open, most): (usize, usize), c: char| match c {
        '(' | '[' => (open + 1, most.max(open + 1)),
        ')' | ']' => (open.saturating_sub(1), most),
        _ => (open, most),
    };
    // Negations and fields nest as well: `a: b: c: …`, `!a`.
    query.chars().fold((0, 0), depth).1 + query.matches(':').count()
}

/// The definition whose node this is, with or without decorators.
fn definition_at(span: Span, source: &Source) -> Option<Symbol> {
    let is = |symbol: &&Symbol| {
        let starts = symbol.span.start == span.start || symbol.definition.start == span.start;
        starts && symbol.body.is_some_and(|body| body.start < span.end) && span.end >= symbol.name_span.end
    };
    source.symbols().iter().find(is).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_levenshteins() {
        for (a, b, apart) in [("", "", 0), ("abc", "abd", 1), ("kitten", "sitting", 3), ("", "abc", 3)] {
            assert_eq!(distance(a, b), apart);
        }
    }

    #[test]
    fn a_path_without_numbers_means_each_of_equals() {
        let means = |written: &str, own: &str| means(&parts(written), &parts(own));
        assert!(means("A.f", "A[2].f[3]") && means("A[2].f", "A[2].f[3]") && means("f[1]", "f"));
        assert!(!means("f[2]", "f") && !means("f", "A.f") && !means("f[x]", "f") && !means("f[]", "f"));
    }
}
