//! Characters that look like ASCII.

use std::borrow::Cow;

/// A line without white space at its end and with look-alikes as ASCII.
pub(super) fn folded_outside(line: &str) -> Cow<'_, str> {
    if line.is_ascii() {
        return Cow::Borrowed(line.trim_end());
    }
    let mut text = String::with_capacity(line.len());
    for c in line.chars() {
        match fold(c) {
            Fold::Same => text.push(c),
            Fold::To(like) => text.push_str(like),
            Fold::Ascii(like) => text.push(like),
        }
    }
    text.truncate(text.trim_end().len());
    Cow::Owned(text)
}

/// What a character looks like.
enum Fold {
    Same,
    To(&'static str),
    Ascii(char),
}

/// The ASCII that a character is read or typed as: quotes, dashes, spaces, full-width forms, ligatures and
/// characters without a width. Letters of other scripts are themselves, however they look.
fn fold(c: char) -> Fold {
    match c {
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2035}' | '\u{2b9}' | '\u{2bc}' | '\u{b4}' => {
            Fold::Ascii('\'')
        }
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{2036}' => Fold::Ascii('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' | '\u{fe58}' | '\u{fe63}' => Fold::Ascii('-'),
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            Fold::Ascii(' ')
        }
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe0e}' | '\u{fe0f}' => {
            Fold::To("")
        }
        '\u{2026}' => Fold::To("..."),
        '\u{ff01}'..='\u{ff5e}' => Fold::Ascii(char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c)),
        '\u{301c}' | '\u{223c}' => Fold::Ascii('~'),
        '\u{2044}' | '\u{2215}' => Fold::Ascii('/'),
        '\u{2217}' => Fold::Ascii('*'),
        '\u{2236}' | '\u{a789}' => Fold::Ascii(':'),
        '\u{fb00}' => Fold::To("ff"),
        '\u{fb01}' => Fold::To("fi"),
        '\u{fb02}' => Fold::To("fl"),
        '\u{fb03}' => Fold::To("ffi"),
        '\u{fb04}' => Fold::To("ffl"),
        _ => Fold::Same,
    }
}
