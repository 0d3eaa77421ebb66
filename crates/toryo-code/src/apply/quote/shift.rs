//! How a quotation's indentation is turned into that of the file.

use super::INDENTS;
use std::borrow::Cow;

/// The widths that a level of spaces may have where the file has a tab, or the other way round.
const WIDTHS: [usize; 3] = [4, 2, 8];

/// What turns the indentation of a quotation into that of the file: first its style, then its depth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::apply) struct Shift {
    pub(super) style: Option<Restyle>,
    pub(super) depth: Depth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restyle {
    /// A tab for each so many spaces.
    Tabs(usize),
    /// So many spaces for each tab.
    Spaces(usize),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Depth {
    #[default]
    Same,
    /// This white space in front.
    More(String),
    /// This white space less.
    Less(String),
}

impl Shift {
    /// A line of the quotation as it would stand in the file; `None` if it cannot be shifted so.
    pub(in crate::apply) fn apply<'a>(&self, line: &'a str) -> Option<Cow<'a, str>> {
        let (own, rest) = indented(line);
        if rest.trim().is_empty() || *self == Self::default() {
            return Some(Cow::Borrowed(line));
        }
        let styled = match self.style {
            None => own.to_owned(),
            Some(Restyle::Tabs(width)) if !own.contains('\t') => {
                "\t".repeat(own.len() / width) + &" ".repeat(own.len() % width)
            }
            Some(Restyle::Spaces(width)) => {
                let spaces = own.trim_start_matches('\t');
                let tabs = own.len() - spaces.len();
                Some(" ".repeat(tabs * width) + spaces).filter(|_| !spaces.contains('\t'))?
            }
            Some(Restyle::Tabs(_)) => return None,
        };
        match &self.depth {
            Depth::Same => Some(Cow::Owned(styled + rest)),
            Depth::More(more) => Some(Cow::Owned(format!("{more}{styled}{rest}"))),
            Depth::Less(less) => {
                styled.strip_prefix(less.as_str()).map(|left| Cow::Owned(left.to_owned() + rest))
            }
        }
    }

    /// The shifts that would turn one line's indentation into another's, the plainest first.
    pub(super) fn between(quoted: &str, found: &str) -> impl Iterator<Item = Self> {
        let restyles = WIDTHS.map(Restyle::Tabs).into_iter().chain(WIDTHS.map(Restyle::Spaces)).map(Some);
        let shift = |style: Option<Restyle>| {
            let restyled = Self { style, depth: Depth::Same }.apply(quoted)?;
            let (quoted, found) = (indented(&restyled).0, indented(found).0);
            let depth = if quoted == found {
                Depth::Same
            } else if let Some(more) = found.strip_suffix(quoted) {
                Depth::More(more.to_owned())
            } else {
                Depth::Less(quoted.strip_suffix(found)?.to_owned())
            };
            Some(Self { style, depth })
        };
        std::iter::once(None).chain(restyles).filter_map(shift)
    }
}

/// The indentation of a line, and the rest.
pub(super) fn indented(line: &str) -> (&str, &str) {
    line.split_at(line.len() - line.trim_start_matches(INDENTS).len())
}
