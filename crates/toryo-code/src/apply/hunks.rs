//! Unified diffs as patches: each hunk must fit line by line, at one place.

use super::Miss;
use super::source::{Source, Splice};
use crate::refusal::Refusal;
use crate::text::{Span, without_break};

/// A hunk as written.
#[derive(Debug, PartialEq, Eq)]
struct Hunk<'a> {
    /// The first line of the old text, from 1; 0 or more.
    first: u32,
    /// The lines with their signs: `None` for `\ No newline at end of file`.
    lines: Vec<(Sign, &'a str)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Context,
    Removed,
    Added,
    NoNewline,
}

/// Whether a patch is a unified diff: its first line apart from a diff's own headers is `@@ -…`.
pub(crate) fn is_diff(patch: &str) -> bool {
    const HEADERS: [&str; 8] =
        ["diff ", "index ", "--- ", "+++ ", "new file", "old mode", "new mode", "similarity "];
    let mut body = patch.lines().filter(|line| !line.trim().is_empty());
    let first = body.find(|line| !HEADERS.iter().any(|header| line.starts_with(header)));
    first.and_then(header).is_some()
}

/// The old start of `@@ -start,count +start,count @@`.
fn header(line: &str) -> Option<u32> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let number = |range: &str| range.split(',').map(str::parse::<u32>).collect::<Result<Vec<_>, _>>().ok();
    number(new)?;
    number(old)?.first().copied()
}

/// Reads a diff of one file. Counts in headers are not believed: models get them wrong, and the lines say it.
fn parse(patch: &str) -> Result<Vec<Hunk<'_>>, Refusal> {
    let mut hunks: Vec<Hunk<'_>> = Vec::new();
    for (number, line) in patch.split_inclusive('\n').enumerate() {
        let bare = without_break(line);
        if let Some(first) = header(bare) {
            hunks.push(Hunk { first, lines: Vec::new() });
            continue;
        }
        let Some(hunk) = hunks.last_mut() else { continue };
        let sign = match bare.chars().next() {
            Some(' ') => Sign::Context,
            Some('-') => Sign::Removed,
            Some('+') => Sign::Added,
            Some('\\') => Sign::NoNewline,
            None => Sign::Context,
            Some(_) => {
                let why = format!("line {} starts with none of ` `, `-`, `+`, `@@`", number + 1);
                return Err(Refusal::BadDiff(why));
            }
        };
        hunk.lines.push((sign, bare.get(1..).unwrap_or_default()));
    }
    for hunk in &mut hunks {
        // A blank line at the end is where the patch's text ended, not context.
        while hunk.lines.last() == Some(&(Sign::Context, "")) && hunk.lines.len() > 1 {
            hunk.lines.pop();
        }
    }
    match hunks.iter().position(|hunk| hunk.lines.iter().all(|(sign, _)| *sign == Sign::Context)) {
        Some(at) => Err(Refusal::BadDiff(format!("hunk {} changes nothing", at + 1))),
        None if patch.lines().filter(|line| line.starts_with("+++ ")).count() > 1 => {
            Err(Refusal::BadDiff("it changes several files; make one edit of each".to_owned()))
        }
        None => Ok(hunks),
    }
}

/// The splices that a diff asks for, with lines as the file has them.
pub(crate) fn splices(patch: &str, source: &Source) -> Result<Vec<Splice>, Miss> {
    let lines: Vec<&str> = source.text.split_inclusive('\n').collect();
    let mut starts = Vec::with_capacity(lines.len() + 1);
    let mut length = 0;
    for line in &lines {
        starts.push(length);
        length += line.len();
    }
    starts.push(length);
    let mut splices = Vec::new();
    let mut from = 0;
    for (index, hunk) in parse(patch)?.iter().enumerate() {
        let at = place(hunk, index + 1, &lines, from, source)?;
        from = at + old_lines(hunk).count();
        splices.extend(hunk_splices(hunk, at, &lines, &starts, source));
    }
    Ok(splices)
}

/// The lines that a hunk expects.
fn old_lines<'a>(hunk: &'a Hunk<'_>) -> impl Iterator<Item = &'a str> {
    hunk.lines.iter().filter(|(sign, _)| matches!(sign, Sign::Context | Sign::Removed)).map(|(_, line)| *line)
}

/// The 0-based line at which a hunk fits: where it says, or else at the only place. First exactly, then
/// without regard to white space at line ends.
fn place(
    hunk: &Hunk<'_>,
    number: usize,
    lines: &[&str],
    from: usize,
    source: &Source,
) -> Result<usize, Miss> {
    let old: Vec<&str> = old_lines(hunk).collect();
    let said = hunk.first.max(1);
    // The model saw the file before the set's earlier edits.
    let moved = source.span_of_original(said, said);
    let said = moved.map_or(said as usize - 1, |span| source.lines().number_at(span.start) as usize - 1);
    if old.is_empty() {
        let after_line = if hunk.first == 0 { 0 } else { said + 1 };
        return Ok(if lines.is_empty() { 0 } else { after_line.clamp(from, lines.len()) });
    }
    let same_exactly = |a: &str, b: &str| without_break(a) == b;
    let same_trimmed = |a: &str, b: &str| a.trim_end() == b.trim_end();
    for same in [&same_exactly as &dyn Fn(&str, &str) -> bool, &same_trimmed] {
        let fits = |at: &usize| {
            lines
                .get(*at..at + old.len())
                .is_some_and(|found| found.iter().zip(&old).all(|(a, b)| same(a, b)))
        };
        if said >= from && fits(&said) {
            return Ok(said);
        }
        let places: Vec<usize> = (from..lines.len()).filter(fits).take(100).collect();
        match places.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            several => return Err(Refusal::AmbiguousHunk { number, places: several.len() }.into()),
        }
    }
    let differs =
        (0..old.len()).find(|at| lines.get(said + at).is_none_or(|line| !same_trimmed(line, old[*at])));
    let at = differs.unwrap_or(0);
    let found = lines.get(said + at).map_or("the end of the file", |line| without_break(line));
    let line = u32::try_from(said + at + 1).unwrap_or(u32::MAX);
    Err(Refusal::Hunk { number, line, expected: old[at].to_owned(), found: found.to_owned() }.into())
}

/// The replacements of one hunk that fits at a line: only runs of removed and added lines, context stays.
fn hunk_splices(
    hunk: &Hunk<'_>,
    at: usize,
    lines: &[&str],
    starts: &[usize],
    source: &Source,
) -> Vec<Splice> {
    let mut splices: Vec<Splice> = Vec::new();
    let mut line = at;
    let mut open = false;
    for (index, (sign, text)) in hunk.lines.iter().enumerate() {
        let start = starts[line.min(lines.len())];
        match sign {
            Sign::Context => {
                line += 1;
                open = false;
                continue;
            }
            Sign::NoNewline => continue,
            Sign::Removed | Sign::Added => {}
        }
        if !open {
            splices.push(Splice { span: Span::new(start, start), text: String::new() });
            open = true;
        }
        let Some(splice) = splices.last_mut() else { continue };
        if *sign == Sign::Removed {
            splice.span.end = starts[(line + 1).min(lines.len())];
            line += 1;
        } else {
            let is_last = matches!(hunk.lines.get(index + 1), Some((Sign::NoNewline, _)));
            splice.text.push_str(text);
            splice.text.push_str(if is_last { "" } else { source.line_break_at(start) });
        }
    }
    // A last line without its newline gets one before text that follows it, and what replaces it none unless
    // the diff speaks of newlines.
    let speaks = hunk.lines.iter().any(|(sign, _)| *sign == Sign::NoNewline);
    for splice in &mut splices {
        let replaces_end = splice.span.start < splice.span.end && splice.span.end == source.text.len();
        if replaces_end && !speaks && !source.text.ends_with('\n') {
            splice.text.truncate(without_break(&splice.text).len());
        }
        let at_end = splice.span.start == source.text.len() && !source.text.is_empty();
        if at_end && !source.text.ends_with('\n') {
            let line_break = source.line_break_at(splice.span.start);
            let without = splice.text.strip_suffix(line_break).unwrap_or(&splice.text);
            splice.text = format!("{line_break}{without}");
        }
    }
    splices
}
