//! Merge of one import that two sides changed, as the set of what it names.

use crate::text::without_break;

/// An import as what stands before its names, the names, and what stands after them.
#[derive(Debug, PartialEq, Eq)]
struct Names<'a> {
    before: &'a str,
    /// Each with the white space and comments of its own line, if it has one.
    names: Vec<&'a str>,
    after: &'a str,
    /// Whether each name has a line of its own.
    lines: bool,
    /// With lines: the white space before what follows the names.
    closing: &'a str,
}

/// The import with the names of both sides, without those that one removed; `None` if the texts are no imports
/// of one shape, or differ in more than names.
pub(super) fn join(base: &str, ours: &str, theirs: &str) -> Option<String> {
    let [base, ours, theirs] = [names(base)?, names(ours)?, names(theirs)?];
    let same = |other: &Names<'_>| {
        squeezed(other.before) == squeezed(ours.before) && squeezed(other.after) == squeezed(ours.after)
    };
    if !same(&base) && !base.names.is_empty() || !same(&theirs) {
        return None;
    }
    let has = |side: &Names<'_>, name: &str| side.names.iter().any(|other| bare(other) == bare(name));
    let mut merged: Vec<&str> =
        ours.names.iter().copied().filter(|name| has(&theirs, name) || !has(&base, name)).collect();
    let in_order = |names: &[&str]| {
        names.windows(2).all(|pair| bare(pair[0]).to_lowercase() <= bare(pair[1]).to_lowercase())
    };
    let sorted = in_order(&ours.names) && in_order(&theirs.names);
    let mut above: Option<&str> = None;
    for name in &theirs.names {
        if !has(&ours, name) && !has(&base, name) {
            let after = above.and_then(|above| merged.iter().position(|other| bare(other) == bare(above)));
            // What ours put below the same name stays next to it.
            let new = |other: &&str| !has(&base, other) && !has(&theirs, other);
            let at = after.map_or(0, |at| at + 1);
            let at = at + merged[at..].iter().take_while(|other| new(other)).count();
            merged.insert(at, name);
        }
        above = Some(name);
    }
    if merged.is_empty() {
        return None;
    }
    if sorted {
        merged.sort_by_key(|name| bare(name).to_lowercase());
    }
    Some(ours.with(&merged))
}

/// The same import without a name, as what both sides may have started from.
pub(super) fn without_names(text: &str) -> String {
    names(text).map_or_else(String::new, |names| names.with(&[]))
}

/// A name without what sets it apart.
fn bare(name: &str) -> &str {
    name.trim().trim_end_matches(',').trim_end()
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '(' && *c != ')').collect()
}

/// Splits an import: behind `import` in Python, between braces or parentheses elsewhere.
fn names(text: &str) -> Option<Names<'_>> {
    let whole = without_break(text);
    let (from, to) = if let (Some(open), Some(close)) = (whole.find(['{', '(']), whole.rfind(['}', ')'])) {
        (open + 1, close)
    } else {
        let at = whole.find(" import ")? + " import ".len();
        whole.trim_start().starts_with("from ").then_some((at, whole.len()))?
    };
    let inner = whole.get(from..to)?;
    let lines = inner.contains('\n');
    let closing =
        inner.rsplit('\n').next().filter(|last| lines && last.trim().is_empty()).unwrap_or_default();
    let begins = inner.trim_start_matches([' ', '\t', '\r']).starts_with('\n');
    let ends = inner.trim_end_matches([' ', '\t']).ends_with('\n');
    if lines && !(begins && ends)
        || inner.contains(['{', '(', '*'])
        || inner.contains("/*")
        || !lines && inner.contains(['#', '/'])
    {
        return None;
    }
    let names: Vec<&str> = if lines { inner.lines().collect() } else { inner.split(',').collect() };
    // Comments and several names on a line are not taken apart.
    let plain = |name: &&str| !name.contains(['#', '/']) && bare(name).matches(',').count() == 0;
    let quoted = |name: &&str| name.trim().ends_with('"') && name.matches('"').count() == 2;
    let names: Vec<&str> = names.into_iter().filter(|name| !name.trim().is_empty()).collect();
    let clear = names.iter().all(|name| plain(name) || lines && quoted(name));
    // Blank lines between names set groups apart.
    let grouped = lines && inner.trim().lines().any(|line| line.trim().is_empty());
    (clear && !grouped).then_some(Names { before: &text[..from], names, after: &text[to..], lines, closing })
}

impl Names<'_> {
    /// The import with other names.
    fn with(&self, names: &[&str]) -> String {
        let Self { before, after, lines, closing, .. } = self;
        if !lines {
            let padded =
                self.names.first().is_some_and(|name| name.starts_with(' ')) && before.ends_with(['{', '(']);
            let pad = if padded { " " } else { "" };
            let names: Vec<&str> = names.iter().map(|name| bare(name)).collect();
            return format!("{before}{pad}{}{pad}{after}", names.join(", "));
        }
        let line_break = if before.ends_with('\r') || after.contains("\r\n") { "\r\n" } else { "\n" };
        let own = self.names.first().copied().unwrap_or_default();
        let indentation = &own[..own.len() - own.trim_start().len()];
        let ends = |name: &&str| name.trim_end().ends_with(',');
        let (comma, last_comma) = (self.names.iter().any(ends), self.names.last().is_some_and(ends));
        let line = |(number, name): (usize, &&str)| {
            let comma = if comma && (last_comma || number + 1 < names.len()) { "," } else { "" };
            format!("{indentation}{}{comma}{line_break}", bare(name))
        };
        let lines: String = names.iter().enumerate().map(line).collect();
        format!("{before}{line_break}{lines}{closing}{after}")
    }
}
