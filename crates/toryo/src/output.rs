//! Where this program writes: results to standard output, everything about them to standard error.

use serde::Serialize;
use std::io::{self, Write};

/// One line of the result. A reader that went away is no error of ours: the status says what was done.
pub fn line(text: &str) {
    let _reader_gone = writeln!(io::stdout().lock(), "{text}");
}

/// One line of the result in JSON.
pub fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?);
    Ok(())
}

/// A line about what is going on.
pub fn note(text: &str) {
    let _reader_gone = writeln!(io::stderr().lock(), "{text}");
}

/// Why it was not done.
pub fn error(text: &str) {
    note(&format!("error: {text}"));
}

/// Text from repositories, models and servers, made harmless for a terminal: no control characters, one line.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_hostile_text_cannot_steer_the_terminal() {
        assert_eq!(super::plain("a\u{1b}[2Jb\nc"), "a [2Jb c");
    }
}
