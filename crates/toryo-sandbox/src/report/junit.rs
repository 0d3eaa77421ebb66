//! JUnit XML, in the dialect of pytest and its relatives.

use super::Error;
use super::xml::{self, Part, value};
use crate::clip;
use toryo_domain::{TestCase, TestOutcome, TestReport};

/// How many test cases are read.
const MOST_CASES: usize = 100_000;

/// How many characters of a failure's text are kept, at its start and its end.
const DETAILS: (usize, usize) = (8_000, 16_000);

/// How many characters of a name or message are kept.
const LINE: usize = 1_000;

/// Reads a report. A test that failed and then broke while it was torn down stands twice in pytest's reports; it is
/// one case here, with both texts.
///
/// # Errors
/// It is no JUnit XML, no XML, or over a limit.
pub fn parse(bytes: &[u8]) -> Result<TestReport, Error> {
    let mut reader = Reader::default();
    xml::read(bytes, |part| reader.see(part))?;
    Ok(TestReport { cases: reader.cases })
}

#[derive(Default)]
struct Reader {
    rooted: bool,
    cases: Vec<TestCase>,
    /// The case whose element is open.
    case: Option<TestCase>,
    /// The element in it whose text is wanted, with the text so far.
    details: Option<String>,
}

impl Reader {
    fn see(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Open { name, attributes } => self.open(&name, &attributes),
            Part::Text(text) => {
                if let Some(details) = &mut self.details {
                    details.push_str(&text);
                }
                Ok(())
            }
            Part::Close { name } => {
                self.close(&name);
                Ok(())
            }
        }
    }

    fn open(&mut self, name: &str, attributes: &[(String, String)]) -> Result<(), Error> {
        if !std::mem::replace(&mut self.rooted, true) && !matches!(name, "testsuites" | "testsuite") {
            let found = name.chars().take(80).collect();
            return Err(Error::OtherKind { wanted: "`testsuites` or `testsuite`", found });
        }
        let outcome = match name {
            "testcase" => {
                if self.cases.len() >= MOST_CASES {
                    return Err(Error::TooMany { what: "test cases", limit: MOST_CASES });
                }
                self.case = Some(case(attributes));
                return Ok(());
            }
            "failure" => TestOutcome::Failed,
            "error" => TestOutcome::Error,
            "skipped" => TestOutcome::Skipped,
            _ => return Ok(()),
        };
        let Some(case) = &mut self.case else { return Ok(()) };
        if weight(outcome) > weight(case.outcome) {
            case.outcome = outcome;
            case.message = first_line(value(attributes, "message").or_else(|| value(attributes, "type")));
        }
        self.details = Some(String::new());
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "failure" | "error" | "skipped" => {
                let (Some(case), Some(text)) = (&mut self.case, self.details.take()) else { return };
                if !text.trim().is_empty() {
                    add(&mut case.details, clip(text.trim_end(), DETAILS.0, DETAILS.1));
                    let details = case.details.as_deref();
                    case.message = case.message.take().or_else(|| first_line(details));
                }
            }
            "testcase" => {
                if let Some(case) = self.case.take() {
                    self.push(case);
                }
            }
            _ => {}
        }
    }

    fn push(&mut self, case: TestCase) {
        match self.cases.last_mut() {
            Some(last)
                if last.class_name == case.class_name
                    && last.name == case.name
                    && is_bad(last)
                    && is_bad(&case) =>
            {
                last.duration_seconds += case.duration_seconds;
                if let Some(details) = case.details {
                    add(&mut last.details, details);
                }
            }
            _ => self.cases.push(case),
        }
    }
}

/// A failure counts for more than what happened around it.
const fn weight(outcome: TestOutcome) -> u8 {
    match outcome {
        TestOutcome::Passed => 0,
        TestOutcome::Skipped => 1,
        TestOutcome::Error => 2,
        TestOutcome::Failed => 3,
    }
}

const fn is_bad(case: &TestCase) -> bool {
    matches!(case.outcome, TestOutcome::Failed | TestOutcome::Error)
}

fn add(details: &mut Option<String>, more: String) {
    *details = Some(match details.take() {
        Some(text) => format!("{text}\n\n{more}"),
        None => more,
    });
}

fn case(attributes: &[(String, String)]) -> TestCase {
    let text = |name: &str| value(attributes, name).map(|text| clip(text, LINE, 0));
    let seconds = value(attributes, "time").and_then(|time| time.replace(',', "").parse::<f64>().ok());
    TestCase {
        class_name: text("classname").unwrap_or_default(),
        name: text("name").unwrap_or_default(),
        file: text("file"),
        outcome: TestOutcome::Passed,
        duration_seconds: seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0).unwrap_or(0.0),
        message: None,
        details: None,
    }
}

fn first_line(text: Option<&str>) -> Option<String> {
    let line = text?.lines().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().take(LINE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PYTEST: &[u8] = include_bytes!("samples/pytest.xml");

    #[test]
    fn pytests_report_is_read() {
        insta::assert_json_snapshot!(parse(PYTEST).unwrap());
    }

    #[test]
    fn other_dialects_are_read() {
        let text = "<testsuite><properties><property name='x'/></properties>\
                    <testcase classname='a.B' name='c &quot;d&quot;' file='a.py' time='1,002.5'><system-out>noise</system-out></testcase>\
                    <testcase name='e' time='nan'><error type='ValueError'><![CDATA[1 < 2]]> &#65;&amp;</error></testcase></testsuite>";
        let report = parse(text.as_bytes()).unwrap();
        assert_eq!(report.cases[0].id(), "a.B::c \"d\"");
        assert_eq!(
            (report.cases[0].duration_seconds, report.cases[0].outcome),
            (1002.5, TestOutcome::Passed)
        );
        assert_eq!(report.cases[1].details.as_deref(), Some("1 < 2 A&"));
        assert_eq!(
            (report.cases[1].message.as_deref(), report.cases[1].duration_seconds),
            (Some("ValueError"), 0.0)
        );
        assert_eq!(parse(b"<testsuites/>").unwrap(), TestReport::default());
        let control =
            parse(b"<testsuite><testcase name='a\x00b'><error>\x1b[0m</error></testcase></testsuite>")
                .unwrap();
        assert_eq!(control.cases[0].name, "a\u{fffd}b");
        assert_eq!(control.cases[0].details.as_deref(), Some("\u{fffd}[0m"));
    }

    #[test]
    fn hostile_reports_are_refused() {
        let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><testsuites>&b;</testsuites>";
        assert_eq!(parse(bomb.as_bytes()), Err(Error::DocumentType));
        assert_eq!(parse(b"<testsuites>&file;</testsuites>"), Err(Error::UnknownEntity("file".into())));
        assert!(matches!(parse(b"<testsuite><testcase name='&x;'/></testsuite>"), Err(Error::Broken { .. })));
        let deep = "<testsuite>".repeat(100_000);
        assert_eq!(parse(deep.as_bytes()), Err(Error::TooDeep { limit: xml::DEEPEST }));
        assert!(matches!(parse(&vec![b' '; xml::LARGEST + 1]), Err(Error::TooLarge { .. })));
        let many = format!("<testsuite>{}</testsuite>", "<testcase/>".repeat(MOST_CASES + 1));
        assert!(matches!(parse(many.as_bytes()), Err(Error::TooMany { .. })));
        let text = "x".repeat(1_000_000);
        let long =
            format!("<testsuite><testcase name='{text}'><failure>{text}</failure></testcase></testsuite>");
        let case = parse(long.as_bytes()).unwrap().cases.remove(0);
        assert!(case.name.len() < 1_100 && case.details.unwrap().len() < 25_000);
    }

    #[test]
    fn broken_reports_are_typed_errors() {
        for broken in [
            "",
            "   ",
            "no xml",
            "<testsuites>",
            "<testsuites><testcase></testsuites>",
            "<testsuites a=b/>",
            "<a",
            "\u{0}",
        ] {
            assert!(
                matches!(parse(broken.as_bytes()), Err(Error::Broken { .. })),
                "{broken:?}: {:?}",
                parse(broken.as_bytes())
            );
        }
        assert!(matches!(parse(b"<testsuites>\xff</testsuites>"), Err(Error::Broken { at: 12, .. })));
        assert!(matches!(parse(b"<html/>"), Err(Error::OtherKind { .. })));
        let half = &PYTEST[..PYTEST.len() / 2];
        assert_eq!(parse(half).unwrap_err().class(), toryo_domain::FailureClass::Input);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[<>/&;!\\[\\]'\"= a-z\\n]{0,80}") {
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn a_damaged_report_never_panics(at in 0..PYTEST.len(), byte in any::<u8>()) {
            let mut damaged = PYTEST.to_vec();
            damaged[at] = byte;
            let _ = parse(&damaged);
        }

        #[test]
        fn a_case_keeps_its_name(class in "[a-z.]{0,20}", name in "[^\\p{Cc}]{1,30}") {
            let escaped = quick_xml::escape::escape(name.as_str());
            let text = format!("<testsuite><testcase classname=\"{class}\" name=\"{escaped}\"/></testsuite>");
            let case = parse(text.as_bytes()).unwrap().cases.remove(0);
            prop_assert_eq!((case.class_name, case.name), (class, name));
        }
    }
}
