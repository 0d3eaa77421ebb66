//! Tokens of Python (reference, chapter 2), one ahead of the reader.

pub(super) use super::kinds::Kind;
use super::kinds::kind_of;
use crate::text::Span;

/// A token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Cuts a text into tokens.
#[derive(Clone)]
pub(super) struct Tokens<'t> {
    pub(super) bytes: &'t [u8],
    /// The token at hand.
    pub(super) token: Token,
    /// Where the token before it ends; line ends apart.
    pub(super) last_end: usize,
    /// The white space before the first token of this logical line, in columns.
    pub(super) indentation: usize,
    /// What this file indents with, once it does.
    white: Option<u8>,
    /// Brackets that are open.
    pub(super) open: u32,
    /// Replacement fields of strings that are open, whose lines do not end.
    pub(super) fields: u32,
}

/// What a byte can start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Name,
    Digit,
    Other,
}

const STARTS: [Start; 256] = {
    let mut starts = [Start::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        let sign = byte as u8;
        if sign.is_ascii_alphabetic() || sign == b'_' {
            starts[byte] = Start::Name;
        } else if sign.is_ascii_digit() {
            starts[byte] = Start::Digit;
        }
        byte += 1;
    }
    starts
};

impl<'t> Tokens<'t> {
    /// The tokens of a text, the first one at hand.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let bytes = text.as_bytes();
        let token = Token { kind: Kind::Newline, start: 0, end: 0 };
        let mut tokens = Self { bytes, token, last_end: 0, indentation: 0, white: None, open: 0, fields: 0 };
        tokens.token = tokens.line_start(0)?;
        Some(tokens)
    }

    /// Goes to the next token.
    pub(super) fn bump(&mut self) -> Option<()> {
        if self.token.kind == Kind::Newline {
            self.token = self.line_start(self.token.end)?;
            return Some(());
        }
        self.last_end = self.token.end;
        self.token = self.next(self.token.end)?;
        Some(())
    }

    /// Goes on behind a string's end.
    pub(super) fn bump_from(&mut self, at: usize) -> Option<()> {
        self.last_end = at;
        self.token = self.next(at)?;
        Some(())
    }

    fn byte(&self, at: usize) -> u8 {
        // No text that is read holds a zero.
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The byte behind the line's end, which must be no lone carriage return.
    fn behind_break(&self, at: usize) -> Option<usize> {
        match self.byte(at) {
            b'\n' => Some(at + 1),
            b'\r' if self.byte(at + 1) == b'\n' => Some(at + 2),
            _ => None,
        }
    }

    fn end_of_line(&self, at: usize) -> usize {
        let rest = &self.bytes[at..];
        at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
    }

    /// The first token of the next line with code; sets the indentation.
    fn line_start(&mut self, mut at: usize) -> Option<Token> {
        loop {
            let start = at;
            while matches!(self.byte(at), b' ' | b'\t') {
                at += 1;
            }
            match self.byte(at) {
                b'#' => at = self.end_of_line(at),
                b'\n' | b'\r' => at = self.behind_break(at)?,
                0 if at >= self.bytes.len() => {
                    self.indentation = 0;
                    return Some(Token { kind: Kind::End, start: at, end: at });
                }
                // Whose indentation counts then is the parser's business.
                b'\\' => return None,
                _ => {
                    let white = &self.bytes[start..at];
                    if let Some(first) = white.first()
                        && (*self.white.get_or_insert(*first) != *first
                            || white.iter().any(|byte| byte != first))
                    {
                        return None;
                    }
                    self.indentation = width(white);
                    return self.next(at);
                }
            }
        }
    }

    /// The token at or behind this byte.
    fn next(&mut self, mut at: usize) -> Option<Token> {
        loop {
            match self.byte(at) {
                b' ' | b'\t' => at += 1,
                b'\n' | b'\r' | b'\\' if self.fields > 0 => return None,
                b'\n' | b'\r' if self.open > 0 => at = self.inner_break(at)?,
                b'\n' | b'\r' => {
                    return Some(Token { kind: Kind::Newline, start: at, end: self.behind_break(at)? });
                }
                b'#' if self.fields > 0 => return None,
                b'#' => at = self.end_of_line(at),
                b'\\' => {
                    at = self.behind_break(at + 1)?;
                    let rest = self.bytes.get(at..).unwrap_or_default();
                    let code = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t'))?;
                    // A line that goes on has to go on.
                    if matches!(code, b'\n' | b'\r' | b'#' | b'\\') {
                        return None;
                    }
                }
                0 if at >= self.bytes.len() => {
                    return (self.open == 0).then_some(Token { kind: Kind::End, start: at, end: at });
                }
                _ => return self.sign_or_word(at),
            }
        }
    }

    /// Behind a line break inside brackets. The parser takes a line that is indented less than its block for the
    /// block's end in some places.
    fn inner_break(&self, at: usize) -> Option<usize> {
        let start = self.behind_break(at)?;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let is_blank = matches!(self.byte(start + length), b'\n' | b'\r');
        (is_blank || width(&rest[..length]) >= self.indentation).then_some(start + length)
    }

    fn sign_or_word(&mut self, at: usize) -> Option<Token> {
        match STARTS[usize::from(self.byte(at))] {
            Start::Name => self.word(at),
            Start::Digit => self.number(at),
            Start::Other => self.sign(at),
        }
    }

    fn is_name_byte(byte: u8) -> bool {
        STARTS[usize::from(byte)] != Start::Other
    }

    fn word(&self, start: usize) -> Option<Token> {
        let mut end = start + 1;
        while Self::is_name_byte(self.byte(end)) {
            end += 1;
        }
        let word = &self.bytes[start..end];
        match self.byte(end) {
            // Which letters of other scripts belong to names is the parser's business.
            0x80.. => return None,
            b'"' | b'\'' if is_prefix(word) => return self.opening(start, end),
            _ => {}
        }
        Some(Token { kind: kind_of(word), start, end })
    }

    /// A string's opening quotes, which start at `quotes`.
    fn opening(&self, start: usize, quotes: usize) -> Option<Token> {
        let quote = self.byte(quotes);
        let is_triple = self.byte(quotes + 1) == quote && self.byte(quotes + 2) == quote;
        Some(Token { kind: Kind::Text, start, end: quotes + if is_triple { 3 } else { 1 } })
    }

    fn number(&self, start: usize) -> Option<Token> {
        let mut end = start;
        let digits = |mut at: usize, is_digit: fn(u8) -> bool| {
            while is_digit(self.byte(at)) || self.byte(at) == b'_' && is_digit(self.byte(at + 1)) {
                at += 1;
            }
            at
        };
        let decimal: fn(u8) -> bool = |byte| byte.is_ascii_digit();
        let other: Option<fn(u8) -> bool> = match (self.byte(start), self.byte(start + 1)) {
            (b'0', b'x' | b'X') => Some(|byte| byte.is_ascii_hexdigit()),
            (b'0', b'o' | b'O') => Some(|byte| matches!(byte, b'0'..=b'7')),
            (b'0', b'b' | b'B') => Some(|byte| matches!(byte, b'0' | b'1')),
            _ => None,
        };
        if let Some(is_digit) = other {
            end = digits(start + 2, is_digit);
            if end == start + 2 {
                return None;
            }
        } else {
            end = digits(end, decimal);
            if self.byte(end) == b'.' {
                end = digits(end + 1, decimal);
            }
            if matches!(self.byte(end), b'e' | b'E') {
                end += 1;
                if matches!(self.byte(end), b'+' | b'-') {
                    end += 1;
                }
                let exponent = digits(end, decimal);
                if exponent == end {
                    return None;
                }
                end = exponent;
            }
            if matches!(self.byte(end), b'j' | b'J') {
                end += 1;
            }
        }
        let follows = self.byte(end);
        let is_over = !Self::is_name_byte(follows) && follows < 0x80;
        is_over.then_some(Token { kind: Kind::Number, start, end })
    }

    fn sign(&mut self, start: usize) -> Option<Token> {
        let next = self.byte(start + 1);
        let doubled = next == self.byte(start);
        let augments = |length: usize| self.byte(start + length) == b'=';
        let operator = |kind: Kind, length: usize| {
            if augments(length) { (Kind::Augmented, length + 1) } else { (kind, length) }
        };
        let (kind, length) = match self.byte(start) {
            b'(' => (Kind::Open, 1),
            b')' => (Kind::Close, 1),
            b'[' => (Kind::OpenList, 1),
            b']' => (Kind::CloseList, 1),
            b'{' => (Kind::OpenSet, 1),
            b'}' => (Kind::CloseSet, 1),
            b',' => (Kind::Comma, 1),
            b';' => (Kind::Semicolon, 1),
            b':' if augments(1) => (Kind::Walrus, 2),
            b':' => (Kind::Colon, 1),
            b'.' if next.is_ascii_digit() => return self.number(start),
            b'.' if doubled && self.byte(start + 2) == b'.' => (Kind::Constant, 3),
            b'.' => (Kind::Dot, 1),
            b'=' if doubled => (Kind::Compare, 2),
            b'=' => (Kind::Assign, 1),
            b'!' if augments(1) => (Kind::Compare, 2),
            b'!' => (Kind::Bang, 1),
            b'-' if next == b'>' => (Kind::Arrow, 2),
            b'+' | b'-' => operator(Kind::Sign, 1),
            b'*' if doubled => operator(Kind::DoubleStar, 2),
            b'*' => operator(Kind::Star, 1),
            b'/' if doubled => operator(Kind::Binary, 2),
            b'/' => operator(Kind::Slash, 1),
            b'<' | b'>' if doubled => operator(Kind::Binary, 2),
            b'<' if next == b'>' => return None,
            b'<' | b'>' => (Kind::Compare, 1 + usize::from(augments(1))),
            b'%' | b'&' | b'|' | b'^' => operator(Kind::Binary, 1),
            b'@' => operator(Kind::At, 1),
            b'~' => (Kind::Tilde, 1),
            b'"' | b'\'' => return self.opening(start, start),
            _ => return None,
        };
        match kind {
            Kind::Open | Kind::OpenList | Kind::OpenSet => self.open += 1,
            Kind::Close | Kind::CloseList | Kind::CloseSet => self.open = self.open.checked_sub(1)?,
            _ => {}
        }
        Some(Token { kind, start, end: start + length })
    }

    /// Whether a comment that is indented less stands between the token before and the one at hand, which starts a
    /// line. Behind a decorator the parser takes it for the block's end.
    pub(super) fn has_outer_comment(&self) -> bool {
        let between = self.bytes.get(self.last_end..self.token.start).unwrap_or_default();
        between.split(|byte| *byte == b'\n').skip(1).any(|line| {
            let white = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            line.get(white) == Some(&b'#') && width(&line[..white]) < self.indentation
        })
    }

    /// The bytes of the token at hand.
    pub(super) fn word_at_hand(&self) -> &'t [u8] {
        &self.bytes[self.token.start..self.token.end]
    }

    /// Where the token at hand stands.
    pub(super) fn span(&self) -> Span {
        Span::new(self.token.start, self.token.end)
    }
}

/// The columns of white space, as the parser counts them.
fn width(white: &[u8]) -> usize {
    white.iter().map(|byte| if *byte == b'\t' { 8 } else { 1 }).sum()
}

/// Whether a word in front of quotes belongs to the string.
fn is_prefix(word: &[u8]) -> bool {
    word.len() <= 2 && word.iter().all(|byte| matches!(byte.to_ascii_lowercase(), b'f' | b'r' | b'b' | b'u'))
}
