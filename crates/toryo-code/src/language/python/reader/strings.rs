//! Strings and the replacement fields in them.

use super::Reader;
use super::expressions::Shape;
use super::tokens::Kind;

impl Reader<'_> {
    /// Strings, which become one where they stand side by side.
    pub(super) fn strings(&mut self) -> Option<Shape> {
        while self.kind() == Kind::Text {
            self.string()?;
        }
        Some(Shape::Text)
    }

    /// A string with the fields in it.
    fn string(&mut self) -> Option<()> {
        let token = self.tokens.token;
        let quote = self.tokens.bytes[token.end - 1];
        let prefix_and_quotes = &self.tokens.bytes[token.start..token.end];
        let prefix = prefix_and_quotes.iter().take_while(|byte| byte.is_ascii_alphabetic());
        let (mut has_fields, mut is_raw) = (false, false);
        let mut letters = 0;
        for letter in prefix {
            letters += 1;
            has_fields |= letter.eq_ignore_ascii_case(&b'f');
            is_raw |= letter.eq_ignore_ascii_case(&b'r');
        }
        // Which string a quote of the same kind ends is the parser's business.
        if self.quotes.contains(&quote) {
            return None;
        }
        let literal = Literal { quote, width: prefix_and_quotes.len() - letters, has_fields, is_raw };
        let end = self.literal(literal, token.end)?;
        self.tokens.bump_from(end)
    }

    /// Where a string ends whose inside starts here.
    fn literal(&mut self, literal: Literal, mut at: usize) -> Option<usize> {
        let Literal { quote, width, has_fields, is_raw } = literal;
        let bytes = self.tokens.bytes;
        loop {
            let byte = *bytes.get(at)?;
            match byte {
                b'\\' => {
                    let next = *bytes.get(at + 1)?;
                    // What a backslash means to a field is the parser's business, and names of characters too.
                    if has_fields && matches!(next, b'{' | b'}' | b'N') {
                        return None;
                    }
                    at += if next == b'\r' { 3 } else { 2 };
                    if is_raw && !matches!(next, b'\\' | b'\r' | b'\n') && next != quote {
                        at -= 1;
                    }
                }
                b'\n' if width == 1 => return None,
                b'{' if has_fields && bytes.get(at + 1) == Some(&b'{') => at += 2,
                b'}' if has_fields && bytes.get(at + 1) == Some(&b'}') => at += 2,
                b'{' if has_fields => at = self.field(quote, at)?,
                b'}' if has_fields => return None,
                _ if byte != quote => at += 1,
                _ if width == 1 => return Some(at + 1),
                _ if bytes[at..].starts_with(&[quote; 3]) => return Some(at + 3),
                _ => at += 1,
            }
        }
    }

    /// Where the string goes on behind a field that starts here.
    fn field(&mut self, quote: u8, at: usize) -> Option<usize> {
        let (token, open, last_end) = (self.tokens.token, self.tokens.open, self.tokens.last_end);
        self.quotes.push(quote);
        self.tokens.fields += 1;
        self.tokens.open = 1;
        self.tokens.bump_from(at + 1)?;
        let end = self.deeper(Self::inside_field)?;
        self.tokens.fields -= 1;
        self.quotes.pop();
        (self.tokens.token, self.tokens.open, self.tokens.last_end) = (token, open, last_end);
        Some(end)
    }

    /// Where a field ends; its first token is at hand.
    fn inside_field(&mut self) -> Option<usize> {
        match self.kind() {
            Kind::Yield => self.yields()?,
            Kind::Lambda => return None,
            _ => self.list_of_expressions()?,
        }
        self.eat(Kind::Assign)?;
        if self.kind() == Kind::Bang {
            let at = self.tokens.token.end;
            if !self.tokens.bytes.get(at)?.is_ascii_lowercase() {
                return None;
            }
            self.tokens.bump_from(at + 1)?;
        }
        let end = self.tokens.token.end;
        match self.kind() {
            Kind::CloseSet => Some(end),
            Kind::Colon => self.format(end),
            _ => None,
        }
    }

    /// Where a field ends whose format starts here.
    fn format(&mut self, mut at: usize) -> Option<usize> {
        let quote = *self.quotes.last()?;
        loop {
            match *self.tokens.bytes.get(at)? {
                b'}' => return Some(at + 1),
                b'{' => at = self.field(quote, at)?,
                b'#' if self.tokens.bytes[at - 1] == b':' => at += 1,
                b'\n' | b'\\' | b'#' | b'"' | b'\'' => return None,
                _ => at += 1,
            }
        }
    }
}

/// How a string is written.
#[derive(Clone, Copy)]
struct Literal {
    quote: u8,
    /// How many quotes stand around it.
    width: usize,
    has_fields: bool,
    is_raw: bool,
}
