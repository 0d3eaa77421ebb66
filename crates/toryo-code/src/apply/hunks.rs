//! Unified diffs as patches: each hunk must fit line by line, at one place.

use super::Miss;
use super::locate::line_candidate;
use super::quote::{self, Found, Shift};
use super::source::{Source, Splice};
use crate::refusal::Refusal;
use crate::text::{Span, without_break};
use std::borrow::Cow;

/// How many places a refusal names.
const MOST_CANDIDATES: usize = 8;

/// A hunk as written.
#[derive(Debug, PartialEq, Eq)]
struct Hunk<'a> {
    /// The first line of the old text as the header says, from 1; 0 before the first line. A hint only.
    first: Option<u32>,
    /// The lines with their signs: `None` for `\ No newline at end of file`.
    lines: Vec<(Sign, Cow<'a, str>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Context,
    Removed,
    Added,
    NoNewline,
}

/// Whether a patch is a unified diff: its first line apart from a diff's own headers is `@@ -…`, or a `@@`
/// without numbers above lines that all have signs.
pub(crate) fn is_diff(patch: &str) -> bool {
    const HEADERS: [&str; 8] =
        ["diff ", "index ", "--- ", "+++ ", "new file", "old mode", "new mode", "similarity "];
    let mut body = patch.lines().filter(|line| !line.trim().is_empty());
    let first = body.find(|line| !HEADERS.iter().any(|header| line.starts_with(header)));
    match first.and_then(header) {
        Some(Some(_)) => true,
        Some(None) => body.all(|line| line.starts_with([' ', '+', '-', '\\']) || header(line).is_some()),
        None => false,
    }
}

/// The old start of `@@ -start,count +start,count @@`; `Some(None)` for `@@`, `@@ … @@` and `@@ …`, as models
/// write them that do not count.
fn header(line: &str) -> Option<Option<u32>> {
    let line = line.trim_end();
    let rest = line.strip_prefix("@@").filter(|rest| rest.is_empty() || rest.starts_with(' '))?;
    let numbers = || {
        let (old, rest) = rest.strip_prefix(" -")?.split_once(" +")?;
        let (new, _) = rest.split_once(" @@")?;
        let number =
            |range: &str| range.split(',').map(str::parse::<u32>).collect::<Result<Vec<_>, _>>().ok();
        number(new)?;
        number(old)?.first().copied()
    };
    Some(numbers())
}

/// Reads a diff of one file. Counts in headers are not believed: models get them wrong, and the lines say it.
fn parse(patch: &str) -> Result<Vec<Hunk<'_>>, Refusal> {
    let mut hunks: Vec<Hunk<'_>> = Vec::new();
    let several = || Err(Refusal::BadDiff("it changes several files; make one edit of each".to_owned()));
    let lines: Vec<&str> = patch.split_inclusive('\n').collect();
    for (number, line) in lines.iter().copied().enumerate() {
        let bare = without_break(line);
        if let Some(first) = header(bare) {
            hunks.push(Hunk { first, lines: Vec::new() });
            continue;
        }
        let below = |by: usize| lines.get(number + by).copied().unwrap_or_default();
        let Some(hunk) = hunks.last_mut() else { continue };
        // `--- x` may also be a removed `-- x`: it is a header only above the rest of one.
        let heads = bare.starts_with("--- ")
            && below(1).starts_with("+++ ")
            && header(without_break(below(2))).is_some();
        if heads || bare.starts_with("diff --git ") {
            return several();
        }
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
        hunk.lines.push((sign, Cow::Borrowed(bare.get(1..).unwrap_or_default())));
    }
    for hunk in &mut hunks {
        // A blank line at the end is where the patch's text ended, not context.
        while hunk.lines.len() > 1
            && hunk.lines.last().is_some_and(|line| line.0 == Sign::Context && line.1.is_empty())
        {
            hunk.lines.pop();
        }
    }
    match hunks.iter().position(|hunk| hunk.lines.iter().all(|(sign, _)| *sign == Sign::Context)) {
        Some(at) => Err(Refusal::BadDiff(format!("hunk {} changes nothing", at + 1))),
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
        let (at, shift) = place(hunk, index + 1, &lines, from, source)?;
        let shifted = shifted(hunk, index + 1, &shift)?;
        from = at + old_lines(hunk).count();
        splices.extend(hunk_splices(&shifted, at, &lines, &starts, source));
    }
    Ok(splices)
}

/// The lines that a hunk expects.
fn old_lines<'a>(hunk: &'a Hunk<'_>) -> impl Iterator<Item = &'a str> {
    hunk.lines
        .iter()
        .filter(|(sign, _)| matches!(sign, Sign::Context | Sign::Removed))
        .map(|(_, line)| line.as_ref())
}

/// The 0-based line at which a hunk fits, and the shift of indentation with which it does.
fn place(
    hunk: &Hunk<'_>,
    number: usize,
    lines: &[&str],
    from: usize,
    source: &Source,
) -> Result<(usize, Shift), Miss> {
    let old: Vec<&str> = old_lines(hunk).collect();
    if old.is_empty() {
        let why = "has no context; give lines of the file above or below what it adds";
        let refusal = Refusal::BadDiff(format!("hunk {number} {why}"));
        return if lines.is_empty() { Ok((0, Shift::default())) } else { Err(refusal.into()) };
    }
    let hint = hunk.first.map(|first| {
        let said = first.max(1);
        // The model saw the file before the set's earlier edits.
        let moved = source.span_of_original(said, said);
        moved.map_or(said as usize - 1, |span| source.lines().number_at(span.start) as usize - 1)
    });
    let number_of = |at: usize| u32::try_from(at + 1).unwrap_or(u32::MAX);
    match quote::find(&old, lines, from, hint) {
        Found::At(at, shift) => Ok((at, shift)),
        Found::Several(places) => {
            let all = source.lines();
            let candidate = |at: &usize| line_candidate(number_of(*at), lines[*at], all, source);
            let candidates = places.iter().take(MOST_CANDIDATES).map(candidate).collect();
            Err(Miss { refusal: Refusal::AmbiguousHunk { number, places: places.len() }, candidates })
        }
        Found::Nowhere { quoted, line } => {
            let found = lines.get(line).map_or("the end of the file", |line| without_break(line)).to_owned();
            let expected = old.get(quoted).copied().unwrap_or_default().to_owned();
            Err(Refusal::Hunk { number, line: number_of(line), expected, found }.into())
        }
    }
}

/// The hunk with its added lines at the file's indentation.
fn shifted<'a>(hunk: &Hunk<'a>, number: usize, shift: &Shift) -> Result<Hunk<'a>, Refusal> {
    let line = |(sign, text): &(Sign, Cow<'a, str>)| match sign {
        Sign::Added => shift.apply(text).map(|shifted| (*sign, Cow::Owned(shifted.into_owned()))),
        Sign::Context | Sign::Removed | Sign::NoNewline => Some((*sign, text.clone())),
    };
    let lines: Option<Vec<_>> = hunk.lines.iter().map(line).collect();
    let why = "fits only at another indentation, to which its added lines cannot be moved";
    let lines = lines.ok_or_else(|| Refusal::BadDiff(format!("hunk {number} {why}")))?;
    Ok(Hunk { first: hunk.first, lines })
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
