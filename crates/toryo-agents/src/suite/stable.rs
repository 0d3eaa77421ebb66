//! Output of test commands without what differs from one run to the next.
//!
//! A call to a model is found in the journal by the digest of its request. A step that is executed again runs the tests
//! again, and pays again, if the text it shows the model holds a clock.

use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Expressions and what stands in their place. Narrow on purpose: a number that a test compares has to stay.
const NOISE: [(&str, &str); 7] = [
    // pytest's last line, `1 failed, 2 passed in 0.53s` or `… in 75.20s (0:01:15)`.
    (
        r"\b(passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?|rerun|subtests passed|tests ran) in \d+(?:\.\d+)?s(?: \((?:\d+ days?, )?\d+:\d\d:\d\d\))?",
        "$1 in [time]",
    ),
    // unittest's.
    (r"\b(Ran \d+ tests?) in \d+(?:\.\d+)?s", "$1 in [time]"),
    // pytest's slowest tests.
    (r"(?m)^\d+\.\d+s( +(?:call|setup|teardown) )", "[time]$1"),
    // `<hirelog.Span object at 0x7f…>`, and addresses of threads.
    (r"\bat 0x[0-9a-fA-F]+", "at 0x[address]"),
    (r"\b0x[0-9a-fA-F]{12,16}\b", "0x[address]"),
    // pytest's tmp_path, `/tmp/pytest-of-root/pytest-0/test_a0`, and those of Python's tempfile.
    (r"/pytest-of-[^/\s]+/pytest-\d+", "/pytest-of-[user]/pytest-[number]"),
    (r"/tmp/tmp[a-z0-9_]{8}\b", "/tmp/tmp[random]"),
];

static EXPRESSIONS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    // All of them are valid: a test counts them.
    NOISE.iter().filter_map(|(noise, instead)| Some((Regex::new(noise).ok()?, *instead))).collect()
});

/// The text as another run of the same tests would print it: without durations, addresses and names of temporary folders.
pub(super) fn stable(text: &str) -> String {
    let mut text = Cow::Borrowed(text);
    for (noise, instead) in EXPRESSIONS.iter() {
        if let Cow::Owned(replaced) = noise.replace_all(&text, *instead) {
            text = Cow::Owned(replaced);
        }
    }
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_is_one() {
        assert_eq!(EXPRESSIONS.len(), NOISE.len());
    }

    #[test]
    fn what_differs_between_runs_is_taken_out() {
        for (one, other) in [
            ("1 failed, 2 passed in 0.53s", "1 failed, 2 passed in 12.04s"),
            ("=== 3 passed, 1 warning in 59.99s ===", "=== 3 passed, 1 warning in 60.01s (0:01:00) ==="),
            ("no tests ran in 0.01s", "no tests ran in 0.02s"),
            ("Ran 3 tests in 0.001s", "Ran 3 tests in 0.013s"),
            ("a\n0.12s call     tests/a.py::b", "a\n0.31s call     tests/a.py::b"),
            ("<Span object at 0x7f3c2a1b4d30>", "<Span object at 0x55d0>"),
            ("Thread 0x00007f12ab34cd56 (most", "Thread 0x00007f12ab34ffff (most"),
            ("/tmp/pytest-of-root/pytest-0/test_a0/x", "/tmp/pytest-of-tester/pytest-12/test_a0/x"),
            ("open('/tmp/tmpa1b2_3d4/x')", "open('/tmp/tmpzzzzzzzz/x')"),
        ] {
            assert_eq!(stable(one), stable(other));
            assert_ne!(stable(one), one);
        }
    }

    #[test]
    fn what_tests_compare_stays() {
        for text in [
            "assert 'done in 5s' == 'done in 6s'",
            "assert 0xff == 0xdeadbeef",
            "E assert 0.53s",
            "/tmp/tmp.txt",
            "",
        ] {
            assert_eq!(stable(text), text);
        }
    }
}
