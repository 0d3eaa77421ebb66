//! Failures in few words: what somebody who mends the code has to see first.

use crate::clip;
use crate::port::WORKSPACE;
use std::fmt::Write as _;
use toryo_domain::{TestCase, TestOutcome, TestReport};

/// How many failures are told in full; the others are named.
const FULL: usize = 10;

/// How many failures are named beyond those.
const NAMED: usize = 40;

/// Characters of one failure.
const CASE_CAP: usize = 2_000;

/// Characters kept from the start and as many from the end of everything that goes back to a model.
const END: usize = 5_000;

/// How many frames inside the repository, and how many lines of the error, are kept of one failure.
const FRAMES: usize = 6;
const ERROR_LINES: usize = 15;

/// What failed and where: for each failure its name, its error, and the frames that lie in the repository, the
/// innermost first; library frames are only counted, but for the one that raised. Where the report tells of no
/// failure, the output's ends have to do. At most about ten thousand characters.
#[must_use]
pub fn failure_digest(report: Option<&TestReport>, output: &str) -> String {
    let failures: Vec<&TestCase> = report.map(|report| report.failures().collect()).unwrap_or_default();
    let Some(report) = report.filter(|_| !failures.is_empty()) else {
        // The start says what was run, the end is where tools say what went wrong.
        return clip(output, END, END);
    };
    let mut text = summary(report);
    for (number, case) in failures.iter().take(FULL).enumerate() {
        let _ = write!(text, "\n{}. {}", number + 1, clip(&of_case(case), CASE_CAP, 0));
    }
    if failures.len() > FULL {
        let _ = writeln!(text, "\nAlso failing:");
        for case in failures.iter().skip(FULL).take(NAMED) {
            let _ = writeln!(text, "- {}", clip(&case.id(), 200, 0));
        }
        if let Some(more) = failures.len().checked_sub(FULL + NAMED).filter(|more| *more > 0) {
            let _ = writeln!(text, "- and {more} more");
        }
    }
    clip(&text, END, END)
}

fn summary(report: &TestReport) -> String {
    let named = [
        (TestOutcome::Failed, "failed"),
        (TestOutcome::Error, "broken"),
        (TestOutcome::Passed, "passed"),
        (TestOutcome::Skipped, "skipped"),
    ];
    let counts = named.map(|(outcome, name)| (report.count(outcome), name));
    let told = counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
    told.collect::<Vec<_>>().join(", ") + "\n"
}

fn of_case(case: &TestCase) -> String {
    let what = if case.outcome == TestOutcome::Error { "broken" } else { "failed" };
    // A module that could not be collected has no class.
    let id = case.id();
    let mut text = format!("{} ({what})\n", id.trim_start_matches("::"));
    let details = case.details.as_deref().unwrap_or_default();
    let frames = frames(details);
    let (inside, outside): (Vec<_>, Vec<_>) = frames.iter().partition(|frame| frame.inside);
    for frame in inside.iter().rev().take(FRAMES) {
        frame.write(&mut text);
    }
    if let Some(last) = frames.last().filter(|last| !last.inside) {
        let _ = writeln!(text, "   raised in a library, with {} frames of libraries in all:", outside.len());
        last.write(&mut text);
    }
    let errors: Vec<_> = details.lines().filter(|line| line.starts_with("E ") || *line == "E").collect();
    let shown = &errors[errors.len().saturating_sub(ERROR_LINES)..];
    for line in shown {
        let _ = writeln!(text, "   {}", clip(line.trim_end(), 300, 0));
    }
    if shown.is_empty() {
        // A tool with a style of its own: its message, and the end of its text.
        let message = case.message.as_deref().unwrap_or("no message");
        let _ = writeln!(text, "   {}", clip(message, 300, 0));
        if inside.is_empty() {
            let _ = writeln!(text, "{}", clip(details.trim(), 300, 800));
        }
    }
    text
}

/// A place in a traceback.
#[derive(Debug, PartialEq, Eq)]
struct Frame<'a> {
    path: &'a str,
    line: u32,
    inside: bool,
    source: Option<&'a str>,
}

impl Frame<'_> {
    fn write(&self, text: &mut String) {
        let source = self.source.map(|source| clip(source.trim(), 200, 0)).unwrap_or_default();
        let _ = writeln!(text, "   {}:{}: {source}", self.path, self.line);
    }
}

/// The frames of a traceback in pytest's long and short style, or Python's own, outermost first.
fn frames(details: &str) -> Vec<Frame<'_>> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut marked = None;
    let mut lines = details.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(source) = line.strip_prefix('>') {
            // The long style shows the source above the place.
            marked = Some(source);
        } else if let Some((path, number)) = place(line) {
            let below = lines.peek().copied().filter(|next| next.starts_with("    ") && marked.is_none());
            let (path, inside) = located(path);
            frames.push(Frame { path, line: number, inside, source: marked.take().or(below) });
        }
    }
    frames
}

/// `path:12: …` at the start of a line, or `File "path", line 12`.
fn place(line: &str) -> Option<(&str, u32)> {
    if let Some(rest) = line.trim_start().strip_prefix("File \"") {
        let (path, rest) = rest.split_once("\", line ")?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        return Some((path, digits.parse().ok()?));
    }
    let (path, rest) = line.split_once(':')?;
    let (number, _) = rest.split_once(':')?;
    let is_path = !path.is_empty() && !path.starts_with(char::is_whitespace) && path.contains('.');
    is_path.then_some((path, number.parse().ok()?))
}

/// The path as the repository has it, and whether it lies there.
fn located(path: &str) -> (&str, bool) {
    let plain = path.strip_prefix(WORKSPACE).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
    let outside =
        plain.starts_with(['/', '<']) || plain.contains("site-packages/") || plain.starts_with("../");
    (plain, !outside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::junit;
    use proptest::prelude::*;

    const PYTEST: &[u8] = include_bytes!("samples/pytest.xml");

    #[test]
    fn the_frames_that_matter_come_first() {
        let report = junit::parse(PYTEST).unwrap();
        insta::assert_snapshot!(failure_digest(Some(&report), "unused"));
    }

    #[test]
    fn without_a_report_the_output_has_to_do() {
        let output = format!("first\n{}\nlast", "x\n".repeat(10_000));
        for report in [None, Some(&TestReport::default())] {
            let digest = failure_digest(report, &output);
            assert!(digest.starts_with("first") && digest.ends_with("last"));
            let (head, tail) = digest.split_once("\n[... ").unwrap();
            assert_eq!(head.len(), END);
            assert_eq!(tail.split_once(" characters left out ...]\n").unwrap().1.len(), END);
        }
    }

    #[test]
    fn pythons_own_traceback_is_understood() {
        let details = "Traceback (most recent call last):\n  File \"/usr/lib/python3.11/runpy.py\", line 196, in run\n    return code\n  \
                       File \"/workspace/src/a.py\", line 7, in f\n    raise ValueError\nValueError";
        let frames = frames(details);
        assert_eq!(
            frames[1],
            Frame { path: "src/a.py", line: 7, inside: true, source: Some("    raise ValueError") }
        );
        assert!(!frames[0].inside);
    }

    #[test]
    fn many_failures_are_named_within_the_cap() {
        let case = |number: usize| TestCase {
            class_name: "tests.test_many".into(),
            name: format!("test_{number}[{}]", "p".repeat(500)),
            file: None,
            outcome: TestOutcome::Failed,
            duration_seconds: 0.0,
            message: Some("m".repeat(5_000)),
            details: Some("E   e\n".repeat(5_000)),
        };
        let report = TestReport { cases: (0..2_000).map(case).collect() };
        let digest = failure_digest(Some(&report), "");
        assert!(digest.chars().count() < 2 * END + 60, "{}", digest.chars().count());
        assert!(digest.starts_with("2000 failed\n") && digest.ends_with("- and 1950 more\n"), "{digest}");
    }

    proptest! {
        #[test]
        fn no_details_panic(details in "([>E] .{0,20}\n|a.py:[0-9:]{0,6}.{0,9}\n|  File \".{0,9}\", line [0-9]{0,12}\n|.{0,20}\n){0,12}") {
            let case = TestCase {
                class_name: String::new(),
                name: "t".into(),
                file: None,
                outcome: TestOutcome::Error,
                duration_seconds: 0.0,
                message: None,
                details: Some(details),
            };
            let digest = failure_digest(Some(&TestReport { cases: vec![case] }), "");
            prop_assert!(digest.starts_with("1 broken\n"));
        }
    }
}
