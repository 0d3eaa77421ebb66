//! The text of a pull request, in the sections that reviewers look for.

use crate::commit_message::neutral;
use crate::text;
use std::fmt::Write as _;
use toryo_domain::RunId;
use toryo_domain::output::TestSummary;

/// Longest text of one entry, in characters.
const LONGEST_ENTRY: usize = 2_000;

/// Most entries of one list.
const MOST_ENTRIES: usize = 50;

/// Longest body, in characters; forges cut or refuse above 65,536.
const LONGEST_BODY: usize = 60_000;

/// What a pull request says. Every text may come from a model or an issue: it is shown as plain Markdown that
/// can hold neither HTML, mentions and closing keywords nor headings of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PullRequestBody {
    /// Why the change is wanted.
    pub purpose: String,
    /// What was changed, one entry a topic.
    pub changes: Vec<String>,
    /// What the tests show, one entry a statement.
    pub tests: Vec<String>,
    /// Counts of the last full test run, where there was one.
    pub summary: Option<TestSummary>,
    /// What could go wrong, performance and security included.
    pub risk: String,
    /// How to take it back.
    pub rollback: String,
    /// What a reviewer has to know or decide: assumptions, findings that do not block.
    pub open_points: Vec<String>,
    /// Words of the operator's own above everything else, for example that this is a replay.
    pub notice: Option<String>,
}

impl PullRequestBody {
    /// The Markdown, ending in a hidden marker that names the run.
    #[must_use]
    pub fn render(&self, run: RunId) -> String {
        let mut body = String::new();
        if let Some(notice) = &self.notice {
            let _ = writeln!(body, "> **{}**\n", text::one_line(&escaped(notice)));
        }
        section(&mut body, "Purpose", &paragraph(&self.purpose));
        section(&mut body, "Changes", &list(&self.changes));
        section(&mut body, "Tests and coverage", &self.test_section());
        section(&mut body, "Risk", &paragraph(&self.risk));
        section(&mut body, "Rollback", &paragraph(&self.rollback));
        section(&mut body, "Open points", &list(&self.open_points));
        // What is cut is said, and the marker is never cut.
        if body.chars().count() > LONGEST_BODY {
            body = format!(
                "{}\n\n(The rest was too long for a pull request.)\n\n",
                text::cut(&body, LONGEST_BODY)
            );
        }
        format!("{body}{}\n", marker(run))
    }

    fn test_section(&self) -> String {
        let Some(summary) = &self.summary else { return list(&self.tests) };
        let TestSummary { passed, failed, skipped, .. } = summary;
        let mut section = format!("{passed} passed, {failed} failed, {skipped} skipped");
        if let Some(coverage) = summary.coverage {
            let _ = write!(section, "; line coverage {:.1} %", coverage * 100.0);
        }
        section.push('.');
        if !self.tests.is_empty() {
            let _ = write!(section, "\n\n{}", list(&self.tests));
        }
        section
    }
}

/// The hidden marker by which a pull request is known as the run's.
#[must_use]
pub fn marker(run: RunId) -> String {
    format!("<!-- toryo:run={run} -->")
}

fn section(body: &mut String, title: &str, content: &str) {
    let content = if content.is_empty() { "None." } else { content };
    let _ = write!(body, "## {title}\n\n{content}\n\n");
}

fn paragraph(untrusted: &str) -> String {
    escaped(&text::cut(untrusted.trim(), LONGEST_ENTRY))
}

fn list(entries: &[String]) -> String {
    let filled = entries.iter().map(|entry| paragraph(entry)).filter(|entry| !entry.is_empty());
    let mut lines: Vec<_> =
        filled.take(MOST_ENTRIES).map(|entry| format!("- {}", entry.replace('\n', "\n  "))).collect();
    if entries.len() > MOST_ENTRIES {
        lines.push(format!("- and {} more", entries.len() - MOST_ENTRIES));
    }
    lines.join("\n")
}

/// Text that cannot open a comment, hold HTML, start a block or notify anybody. Inline code stays as it is; a
/// link shows its target, since the brackets are escaped.
fn escaped(untrusted: &str) -> String {
    text::plain_lines(untrusted).lines().map(escaped_line).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn escaped_line(line: &str) -> String {
    // No leading blanks: four of them would start a code block.
    let line = line.trim();
    let mut escaped = String::with_capacity(line.len());
    // Characters that start a heading, a quote, a list, a rule or a table.
    if line.starts_with(['#', '>', '-', '+', '*', '=', '_', '~', '|', ':']) {
        escaped.push('\\');
    }
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let after = &rest[start + 1..];
        escape_words(&rest[..start], &mut escaped);
        match after.find('`') {
            // A pair on one line is inline code. Every other backtick is escaped, so that no renderer can
            // pair them in another way.
            Some(length) if length > 0 && !after[length + 1..].starts_with('`') => {
                let code = after[..length].replace("<!--", "<! --");
                escaped.extend(["`", &code, "`"]);
                rest = &after[length + 1..];
            }
            _ => {
                let run = rest[start..].find(|c| c != '`').unwrap_or(rest.len() - start);
                escaped.push_str(&"\\`".repeat(run));
                rest = &rest[start + run..];
            }
        }
    }
    escape_words(rest, &mut escaped);
    escaped
}

fn escape_words(words: &str, escaped: &mut String) {
    let words = neutral(words);
    let mut characters = words.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '&' if characters.peek().is_some_and(|next| !next.is_whitespace()) => escaped.push_str("&amp;"),
            '[' | ']' | '\\' => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run() -> RunId {
        "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
    }

    #[test]
    fn a_body_has_every_section() {
        let body = PullRequestBody {
            purpose: "`parse_dates` refuses the last day of a range.".into(),
            changes: vec!["`src/dates.py`: the end is inclusive.\nNothing else.".into(), String::new()],
            tests: vec!["`tests/test_dates.py::test_end` fails before and passes now.".into()],
            summary: Some(TestSummary {
                passed: 12,
                skipped: 1,
                coverage: Some(0.8765),
                ..TestSummary::default()
            }),
            risk: "Low: callers that relied on the exclusive end see one more day.".into(),
            rollback: "Revert the commit.".into(),
            open_points: vec![],
            notice: Some("Recorded replies of a model, not a live run".into()),
        };
        insta::assert_snapshot!(body.render(run()));
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "<!-- toryo:run=00000000-0000-0000-0000-000000000000 --><img src=x onerror=alert(1)>\n\
                       # Heading\n```\n~~~\n    code\n- [x] done\n--> @octocat closes #7 [click](http://evil) | a |\n***";
        let body = PullRequestBody {
            purpose: hostile.into(),
            changes: vec![hostile.into()],
            risk: hostile.into(),
            notice: Some(hostile.into()),
            ..PullRequestBody::default()
        };
        insta::assert_snapshot!(body.render(run()));
    }

    #[test]
    fn a_long_body_keeps_its_marker() {
        let entries = vec!["word ".repeat(1_000); 80];
        let body =
            PullRequestBody { changes: entries.clone(), open_points: entries, ..PullRequestBody::default() };
        let text = body.render(run());
        assert!(text.len() < 65_536 && text.ends_with(&format!("{}\n", marker(run()))), "{}", text.len());
        assert!(text.contains("too long for a pull request"));
    }

    #[test]
    fn inline_code_stays_readable_and_nothing_else_becomes_code() {
        for (text, expected) in [
            ("`test_end[2024-02-29]` uses `@fixture`", "`test_end[2024-02-29]` uses `@fixture`"),
            ("one ` alone <b>", "one \\` alone &lt;b>"),
            ("`` two `` <b>", "\\`\\` two \\`\\` &lt;b>"),
            ("`a``<b>`", "\\`a\\`\\`&lt;b>\\`"),
            ("\\`<b>`", "\\\\`<b>`"),
            ("`<!-- toryo:run=1 -->`", "`<! -- toryo:run=1 -->`"),
            ("a & b &#64;octocat", "a & b &amp;no. 64;octocat"),
        ] {
            assert_eq!(escaped(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_forges_the_marker_or_a_heading(text in "(<!--|-->|toryo:run=|#+ |\n|>|```|@a|\\PC){0,40}") {
            let body = PullRequestBody { purpose: text.clone(), changes: vec![text.clone()], risk: text.clone(), rollback: text.clone(), open_points: vec![text.clone()], tests: vec![text.clone()], notice: Some(text), summary: None };
            let markdown = body.render(run());
            prop_assert_eq!(markdown.matches("<!--").count(), 1);
                        prop_assert_eq!(markdown.lines().filter(|line| line.trim_start().starts_with('#')).count(), 6);
            prop_assert!(!markdown.contains("``"));
        }
    }
}
