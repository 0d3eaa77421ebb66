//! A piece of a text that several owners share.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A piece of a shared text. A clone copies no bytes; the indexes of neighbouring commits share theirs.
#[derive(Clone)]
pub struct Text {
    whole: Arc<str>,
    start: u32,
    end: u32,
}

impl Text {
    /// A piece of a text; empty where the range lies outside it.
    pub(crate) fn piece(whole: &Arc<str>, (start, end): (u32, u32)) -> Self {
        let fits = whole.get(start as usize..end as usize).is_some();
        let (start, end) = if fits { (start, end) } else { (0, 0) };
        Self { whole: Arc::clone(whole), start, end }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.whole[self.start as usize..self.end as usize]
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_reads_as_a_text_and_never_fails() {
        let whole: Arc<str> = "Cart.size".into();
        assert_eq!(&*Text::piece(&whole, (5, 9)), "size");
        assert_eq!(format!("{0} {0:?}", Text::piece(&whole, (0, 4))), "Cart \"Cart\"");
        assert_eq!(&*Text::piece(&whole, (5, 90)), "");
        assert_eq!(Text::piece(&whole, (0, 4)), Text::piece(&"Cart".into(), (0, 4)));
    }
}
