//! A diff for people: files, counts, numbered lines with signs, colours for Python.

use crate::diff::{Diff, File, Hunk, Line, Sign};
use crate::pages::highlight::{self, Piece};
use crate::pages::words::plural;
use maud::{Markup, html};

/// Most lines of a file that are shown; the rest is in the raw diff.
const MOST_LINES: usize = 1500;
/// Files with more lines than this are closed at first.
const OPEN_UP_TO: usize = 400;

/// The diff, with a list of its files where there are several.
#[must_use]
pub fn diff(diff: &Diff, raw: &str) -> Markup {
    let (added, removed) = diff.totals();
    html! {
        div.panel-head {
            h2 { "Change" }
            @if !diff.files.is_empty() {
                span.figures { (plural(diff.files.len() as u64, "file")) " " (figures(added, removed)) }
                a.raw href=(raw) { "Raw" }
            }
        }
        @if diff.files.is_empty() { p.faint.pad { "No change yet." } }
        @if diff.files.len() > 1 {
            ul.files {
                @for (index, file) in diff.files.iter().enumerate() {
                    li { a href={ "#file-" (index) } { (file.path) } " " (figures(file.count(Sign::Added), file.count(Sign::Removed))) }
                }
            }
        }
        @for (index, file) in diff.files.iter().enumerate() { (file_part(index, file)) }
    }
}

fn figures(added: usize, removed: usize) -> Markup {
    html! { span.figures { span.plus { "+" (added) } " " span.minus { "−" (removed) } } }
}

fn file_part(index: usize, file: &File) -> Markup {
    let length: usize = file.hunks.iter().map(|hunk| hunk.lines.len()).sum();
    html! {
        details.file id={ "file-" (index) } data-key={ "file:" (file.path) } open[length <= OPEN_UP_TO] {
            summary {
                span.path { (file.path) }
                @if file.state != crate::diff::State::Changed { span.tag { (file.state.as_str()) } }
                (figures(file.count(Sign::Added), file.count(Sign::Removed)))
            }
            @if file.binary {
                p.faint.pad { "Binary file." }
            } @else if file.hunks.is_empty() {
                p.faint.pad { "No line changed." }
            } @else {
                div.code tabindex="0" role="region" aria-label={ "Change of " (file.path) } { (lines(file)) }
                @if length > MOST_LINES { p.faint.pad { "Only the first " (MOST_LINES) " lines are shown; the raw diff holds all." } }
            }
        }
    }
}

fn lines(file: &File) -> Markup {
    let mut left = MOST_LINES;
    html! {
        table.diff {
            caption.visually-hidden { "Lines of " (file.path) }
            @for hunk in &file.hunks {
                tbody {
                    @if left > 0 { tr.hunk { td colspan="4" { "@@ " (hunk.section) } } }
                    @for (line, pieces) in hunk.lines.iter().zip(coloured(&file.path, hunk)).take(left) { (row(line, &pieces)) }
                }
                @let () = left = left.saturating_sub(hunk.lines.len());
            }
        }
    }
}

/// The pieces of each line: both sides of a hunk are coloured as the text they were.
fn coloured(path: &str, hunk: &Hunk) -> Vec<Vec<Piece>> {
    let side = |gone: Sign| -> Vec<Vec<Piece>> {
        let texts: Vec<&str> =
            hunk.lines.iter().filter(|it| it.sign != gone).map(|it| it.text.as_str()).collect();
        highlight::lines(path, &texts)
    };
    let (mut old, mut new) = (side(Sign::Added).into_iter(), side(Sign::Removed).into_iter());
    hunk.lines
        .iter()
        .map(|line| {
            let before = if line.sign == Sign::Added { None } else { old.next() };
            let after = if line.sign == Sign::Removed { None } else { new.next() };
            after.or(before).unwrap_or_default()
        })
        .collect()
}

fn row(line: &Line, pieces: &[Piece]) -> Markup {
    let (class, sign, spoken) = match line.sign {
        Sign::Added => ("add", "+", "added"),
        Sign::Removed => ("del", "−", "removed"),
        Sign::Context => ("ctx", " ", ""),
    };
    html! {
        tr class=(class) {
            td.no data-no=[line.old] {}
            td.no data-no=[line.new] {}
            td.sign aria-label=(spoken) { (sign) }
            td.text {
                @for piece in pieces {
                    @match piece.class { Some(class) => span class={ "h-" (class) } { (piece.text) }, None => (piece.text) }
                }
                @if line.unfinished { span.faint title="No line break at the end of the file" { " ⌿" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lines_and_names_stay_text() {
        let text = "diff --git a/x b/<img src=x onerror=alert(1)>.py\n--- a/x\n+++ b/<img src=x onerror=alert(1)>.py\n\
                    @@ -1 +1,2 @@ <script>\n-</td><script>alert(1)</script>\n+\"<b>\" # </script>\n+&lt;\n";
        let html = diff(&Diff::parse(text), "/runs/x/diff").into_string();
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>"), "{html}");
        assert!(html.contains("&amp;</span>lt;"), "{html}");
        insta::assert_snapshot!(html.replace("><", ">\n<"));
    }

    #[test]
    fn a_long_file_is_cut_and_says_so() {
        let mut text = String::from("--- a/x.py\n+++ b/x.py\n@@ -0,0 +1,3000 @@\n");
        text.push_str(&"+x = 1\n".repeat(3000));
        let html = diff(&Diff::parse(&text), "/raw").into_string();
        assert_eq!(html.matches("class=\"add\"").count(), MOST_LINES);
        assert!(html.contains("Only the first 1500 lines"));
    }
}
