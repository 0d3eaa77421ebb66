//! Reads the outline of Python without a tree, where that is certain.
//!
//! Tree-sitter keeps every reading of a faulty text in play, which costs most of an index's time; nearly all files
//! are free of faults and need one reading. This reader follows the language's reference by recursive descent and
//! notes what the queries would find. It gives up on whatever it does not know for certain that the parser takes
//! the same way, and the file is parsed: slower, never different.
//!
//! Reading order: `kinds`, `tokens`, `expressions`, `brackets`, `strings`, `statements`, `definitions`, `assignments`,
//! `imports`.

mod assignments;
mod brackets;
mod definitions;
mod expressions;
mod imports;
mod kinds;
mod statements;
mod strings;
mod tokens;

use crate::outline::Reading;
use crate::syntax::LARGEST_FILE;
use assignments::Target;
use tokens::{Kind, Tokens};

/// The deepest nesting that is read; CPython refuses 100 levels of indentation.
const DEEPEST: u32 = 90;

/// What a text defines, imports and uses; `None` where only the parser knows.
pub(super) fn read(text: &str) -> Option<Reading> {
    if text.len() > LARGEST_FILE {
        return None;
    }
    let mut reader = Reader {
        text,
        tokens: Tokens::of(text)?,
        found: Reading::default(),
        targets: Vec::new(),
        quotes: Vec::new(),
        code_end: 0,
        depth: 0,
        in_function: false,
        in_type: false,
        with_group: false,
        named_in_with: false,
        trailing_comma: false,
    };
    reader.module()?;
    Some(reader.found)
}

/// A reading under way. Every part gives `None` where it is not certain, which ends the reading.
struct Reader<'t> {
    text: &'t str,
    tokens: Tokens<'t>,
    found: Reading,
    /// Targets of the assignments at hand.
    targets: Vec<Target>,
    /// The quotes of the strings around.
    quotes: Vec<u8>,
    /// Where the last statement ends.
    code_end: usize,
    depth: u32,
    in_function: bool,
    in_type: bool,
    /// The next bracket opens the list of a `with` statement, in which values may get names.
    with_group: bool,
    /// A value in such a list got a name.
    named_in_with: bool,
    /// A comma ends the targets or values at hand.
    trailing_comma: bool,
}

impl Reader<'_> {
    fn kind(&self) -> Kind {
        self.tokens.token.kind
    }

    fn bump(&mut self) -> Option<()> {
        self.tokens.bump()
    }

    /// Goes on if such a token is at hand, and says whether.
    fn eat(&mut self, kind: Kind) -> Option<bool> {
        if self.kind() != kind {
            return Some(false);
        }
        self.bump()?;
        Some(true)
    }

    /// Goes on if such a token is at hand, and gives up otherwise.
    fn expect(&mut self, kind: Kind) -> Option<()> {
        self.eat(kind)?.then_some(())
    }

    /// One level deeper: the depth of hostile text must not become the depth of our stack.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let result = read(self);
        self.depth -= 1;
        result
    }
}

#[cfg(test)]
mod tests;
