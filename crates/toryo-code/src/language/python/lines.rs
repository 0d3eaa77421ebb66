//! Logical lines of Python (reference, 2.1), where they are certain without a parser.

use crate::apply::LogicalLine;

/// The logical lines of a text that hold code. `None` for what a parser may read in another way: mixed indentation,
/// replacement fields with more than plain strings in them, lone carriage returns, anything open at the end.
pub(super) fn logical(text: &str) -> Option<Vec<LogicalLine>> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0, row: 0 };
    let mut lines = Vec::new();
    let mut white = None;
    while scan.at < scan.bytes.len() {
        let (start, row) = (scan.at, scan.row);
        while matches!(scan.peek(), Some(b' ' | b'\t')) {
            scan.at += 1;
        }
        let indentation = &scan.bytes[start..scan.at];
        match scan.peek() {
            Some(b'\n' | b'\r' | b'#') | None => {}
            // Whose indentation counts then is the parser's business.
            Some(b'\\') => return None,
            Some(_) => {
                if let Some(first) = indentation.first()
                    && (*white.get_or_insert(*first) != *first
                        || indentation.iter().any(|byte| byte != first))
                {
                    return None;
                }
                lines.push(LogicalLine { start, row, indentation: indentation.len() });
            }
        }
        scan.pass_logical_line()?;
    }
    Some(lines)
}

/// A place in a text.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    row: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Behind a line break, which must be here.
    fn line_break(&mut self) -> Option<()> {
        if self.peek() == Some(b'\r') {
            self.at += 1;
        }
        (self.peek() == Some(b'\n')).then_some(())?;
        self.at += 1;
        self.row += 1;
        Some(())
    }

    /// Behind the line break that ends the logical line, or at the end of the text.
    fn pass_logical_line(&mut self) -> Option<()> {
        let mut open = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' | b'\r' => {
                    self.line_break()?;
                    if open == 0 {
                        return Some(());
                    }
                }
                b'(' | b'[' | b'{' => {
                    open += 1;
                    self.at += 1;
                }
                b')' | b']' | b'}' => {
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                b'"' | b'\'' => self.string(byte)?,
                b'#' => {
                    let rest = &self.bytes[self.at..];
                    self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                }
                b'\\' => {
                    self.at += 1;
                    self.line_break()?;
                    // A line that goes on has to go on.
                    self.peek()?;
                }
                _ => self.at += 1,
            }
        }
        (open == 0).then_some(())
    }

    /// Behind the string that starts with this quote.
    fn string(&mut self, quote: u8) -> Option<()> {
        let has_fields = self.has_fields();
        let is_triple = self.bytes[self.at..].starts_with(&[quote; 3]);
        let width = if is_triple { 3 } else { 1 };
        self.at += width;
        loop {
            match self.peek()? {
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'\n' | b'\r' => self.line_break()?,
                        // What a backslash means to a replacement field is the parser's business.
                        b'{' if has_fields => {}
                        _ => self.at += 1,
                    }
                }
                b'\n' | b'\r' if is_triple => self.line_break()?,
                b'\n' | b'\r' => return None,
                b'{' if has_fields => self.field()?,
                byte if byte == quote && (!is_triple || self.bytes[self.at..].starts_with(&[quote; 3])) => {
                    self.at += width;
                    return Some(());
                }
                _ => self.at += 1,
            }
        }
    }

    /// Behind a replacement field, or behind the braces that are none. Fields may hold strings with the quotes of the
    /// string around them (PEP 701): only plain ones are certain.
    fn field(&mut self) -> Option<()> {
        self.at += 1;
        if self.peek() == Some(b'{') {
            self.at += 1;
            return Some(());
        }
        let mut open = 1_usize;
        while open > 0 {
            let byte = self.peek()?;
            match byte {
                b'{' => open += 1,
                b'}' => open -= 1,
                b'"' | b'\'' => {
                    let inside = &self.bytes[self.at + 1..];
                    let special =
                        |byte: &u8| matches!(byte, b'"' | b'\'' | b'{' | b'}' | b'\\' | b'\n' | b'\r');
                    let length = inside.iter().position(special)?;
                    // An empty string may be the start of a longer quote, or the end of the string around.
                    (length > 0 && inside[length] == byte).then_some(())?;
                    self.at += length + 1;
                }
                // A comment, if it is no part of a format.
                b'#' if self.bytes[self.at - 1] != b':' => return None,
                b'\\' | b'\n' | b'\r' => return None,
                _ => {}
            }
            self.at += 1;
        }
        Some(())
    }

    /// Whether the string that starts here has replacement fields, by the letters before it.
    fn has_fields(&self) -> bool {
        let before = self.bytes[..self.at].iter().rev();
        let mut letters =
            before.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte >= 0x80);
        letters.any(|byte| matches!(byte.to_ascii_lowercase(), b'f' | b't'))
    }
}
