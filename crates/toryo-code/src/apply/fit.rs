//! New text fitted to its place: indentation and line breaks, with the inside of multi-line strings untouched.

use super::source::Source;
use crate::language::{Language, Layout};
use crate::outline::column;
use crate::syntax::{self, Walk};
use crate::text::Lines;

/// A text as lines without their breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    lines: Vec<Line>,
    /// Whether bodies stand in braces, so that a text's last line stands where its first one does.
    in_braces: bool,
    /// Whether its last line of code opens a body.
    opens: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    text: String,
    /// Whether it starts inside a multi-line string, where white space is content.
    verbatim: bool,
    /// Whether it holds nothing but a comment.
    comment: bool,
}

impl Line {
    fn is_blank(&self) -> bool {
        !self.verbatim && self.text.trim().is_empty()
    }

    fn indentation(&self) -> &str {
        &self.text[..self.text.len() - self.text.trim_start_matches([' ', '\t']).len()]
    }
}

/// How a file indents: with tabs, or with this many spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Tabs,
    Spaces(usize),
}

impl Style {
    /// The style of most indented lines of a text; four spaces where there is none.
    pub(crate) fn of(text: &str) -> Self {
        Self::seen(text).unwrap_or(Self::Spaces(4))
    }

    /// The style of a file, or else the usual one of its language.
    pub(crate) fn of_file(source: &Source) -> Self {
        let usual = || match source.language.map(|language| language.indentation) {
            Some("\t") => Self::Tabs,
            usual => Self::Spaces(usual.map_or(4, str::len)),
        };
        Self::seen(&source.text).unwrap_or_else(usual)
    }

    /// The style of most indented lines of a text, if it has any.
    fn seen(text: &str) -> Option<Self> {
        let (mut tabs, mut steps, mut before) = (0, [0_usize; 9], 0);
        // The inner lines of a block of comment stand one column off.
        let counts = |line: &&str| !matches!(line.trim_start().split([' ', '/']).next(), Some("" | "*"));
        for line in text.lines().filter(|line| !line.trim().is_empty()).filter(counts) {
            tabs += usize::from(line.starts_with('\t'));
            let spaces = line.len() - line.trim_start_matches(' ').len();
            if (before + 1..=before + 8).contains(&spaces) {
                steps[spaces - before] += 1;
            }
            before = spaces;
        }
        let most = (1..=8).rev().max_by_key(|step| steps[*step]).filter(|step| steps[*step] > 0);
        match most {
            Some(step) if steps[step] >= tabs => Some(Self::Spaces(step)),
            _ => (tabs > 0).then_some(Self::Tabs),
        }
    }

    /// The style at a place with this indentation: tabs beside tabs, spaces beside spaces.
    pub(crate) fn beside(self, indentation: &str) -> Self {
        match (self, indentation.chars().next_back()) {
            (_, Some('\t')) => Self::Tabs,
            (Self::Tabs, Some(_)) => Self::Spaces(4),
            (style, _) => style,
        }
    }

    /// One level.
    pub(crate) fn unit(self) -> String {
        match self {
            Self::Tabs => "\t".to_owned(),
            Self::Spaces(count) => " ".repeat(count),
        }
    }
}

impl Block {
    /// Splits a text into lines, and finds the lines inside multi-line strings.
    pub(crate) fn of(text: &str, language: Option<&Language>) -> Self {
        let text = text.replace("\r\n", "\n");
        let is_comment = |line: &str| match language {
            Some(language) => language.is_comment(line.trim_start()),
            None => line.trim_start().starts_with('#'),
        };
        let line = |line: &str| Line { text: line.to_owned(), verbatim: false, comment: is_comment(line) };
        let mut block = Self {
            lines: text.split_terminator('\n').map(line).collect(),
            in_braces: language.is_some_and(|language| language.layout == Layout::Braces),
            opens: false,
        };
        let code = text.lines().rfind(|line| !line.trim().is_empty() && !is_comment(line));
        block.opens = code.is_some_and(|line| match language {
            Some(language) => language.opens(line.trim_end()),
            None => line.trim_end().ends_with(':'),
        });
        let Some(language) = language.filter(|_| block.lines.len() > 1) else { return block };
        let Ok(tree) = syntax::parse(language, &text) else { return block };
        let numbers = Lines::of(text.as_bytes());
        syntax::walk(tree.root_node(), |node, _| {
            if !language.strings.contains(&node.kind()) {
                return Walk::On;
            }
            let first = numbers.number_at(node.start_byte()) as usize;
            let last = numbers.number_at(node.end_byte().saturating_sub(1)) as usize;
            block.lines.iter_mut().take(last).skip(first).for_each(|line| line.verbatim = true);
            Walk::Skip
        });
        block
    }

    /// Without blank lines at both ends.
    pub(crate) fn trimmed(mut self) -> Self {
        while self.lines.last().is_some_and(Line::is_blank) {
            self.lines.pop();
        }
        let blank = self.lines.iter().take_while(|line| line.is_blank()).count();
        self.lines.drain(..blank);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The first line with text.
    pub(crate) fn first(&self) -> Option<&str> {
        self.lines.iter().find(|line| !line.is_blank()).map(|line| line.text.as_str())
    }

    /// The last line with text.
    pub(crate) fn last(&self) -> Option<&str> {
        self.lines.iter().rfind(|line| !line.is_blank()).map(|line| line.text.trim_end())
    }

    /// Whether the last line of code opens a body.
    pub(crate) fn ends_with_opener(&self) -> bool {
        let code = self.lines.iter().rfind(|line| !line.is_blank() && !line.comment);
        self.opens && code.is_some_and(|line| !line.verbatim)
    }

    /// For each line, whether its indentation may be changed: it is neither blank nor inside a string.
    pub(crate) fn movable(&self) -> Vec<bool> {
        self.lines.iter().map(|line| !line.verbatim && !line.is_blank()).collect()
    }

    /// The white space before the first line with text.
    pub(crate) fn first_indentation(&self) -> &str {
        self.lines.iter().find(|line| !line.is_blank()).map(Line::indentation).unwrap_or_default()
    }

    /// The lines as they are.
    pub(crate) fn joined(&self, line_break: &str) -> String {
        self.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(line_break)
    }

    /// Moved so that its least indented line stands at `to`; deeper lines keep their distance, in `style`.
    pub(crate) fn at(&self, to: &str, style: Style) -> Self {
        let base = self.base(0);
        self.moved(base.as_deref().unwrap_or_default(), 0, to, style)
    }

    /// As [`Block::at`], for a text whose first line lost its indentation while the others kept theirs: they
    /// are moved from where they stood. `None` where the text does not look so.
    pub(crate) fn at_with_first_cut(&self, to: &str, style: Style) -> Option<Self> {
        let base = self.base(1)?;
        let deeper = self.first_indentation().is_empty() && !base.is_empty() && column(to) > 0;
        deeper.then(|| self.moved(to, 1, to, style))
    }

    /// Whether the lines after the first stand where they would stand at `to`, one level into it.
    pub(crate) fn looks_cut(&self, to: &str, style: Style) -> bool {
        let unit = column(&style.unit());
        let base = self.base(1).map_or(0, |base| column(&base));
        let stands = base == column(to) + unit || self.in_braces && base == column(to);
        self.first_indentation().is_empty() && column(to) > 0 && stands
    }

    /// The least indentation of code lines from `from` on; of comments where there is no code.
    fn base(&self, from: usize) -> Option<String> {
        let lines = || self.lines.iter().skip(from).filter(|line| !line.verbatim && !line.is_blank());
        let least = |lines: &mut dyn Iterator<Item = &Line>| {
            lines.map(Line::indentation).min_by_key(|indentation| column(indentation)).map(str::to_owned)
        };
        least(&mut lines().filter(|line| !line.comment)).or_else(|| least(&mut lines()))
    }

    fn moved(&self, base: &str, from: usize, to: &str, style: Style) -> Self {
        let unit_of_text = Style::of(&self.joined("\n"));
        let is_code = |line: &Line| !line.verbatim && !line.is_blank() && !line.comment;
        let first_code = self.lines.iter().position(is_code).unwrap_or(self.lines.len());
        let place = |(index, line): (usize, &Line)| {
            if line.verbatim {
                return line.clone();
            }
            if line.is_blank() {
                // Text that stays at its column is left alone, so that lines which did not change do not differ.
                let text = if base == to { line.text.clone() } else { String::new() };
                return Line { text, ..line.clone() };
            }
            let own = line.indentation();
            let rest = &line.text[own.len()..];
            let base = if index < from { "" } else { base };
            let out = column(base).saturating_sub(column(own));
            if out > 0 && index > first_code {
                // A comment that stands further out than the code around it keeps its distance as far as it can.
                let left = column(to).saturating_sub(out);
                let text = " ".repeat(left) + rest;
                return Line { text, ..line.clone() };
            }
            let deeper = match own.strip_prefix(base) {
                Some(deeper) => deeper.to_owned(),
                None => " ".repeat(column(own).saturating_sub(column(base))),
            };
            let text = format!("{to}{}{rest}", restyled(&deeper, unit_of_text, style));
            Line { text, ..line.clone() }
        };
        Self { lines: self.lines.iter().enumerate().map(place).collect(), ..self.clone() }
    }
}

/// White space in another style: levels become levels, what is less than a level stays spaces.
fn restyled(white: &str, from: Style, to: Style) -> String {
    let step = match from {
        Style::Tabs => 8,
        Style::Spaces(step) => step,
    };
    match to {
        Style::Tabs if white.contains(' ') => {
            let columns = column(white);
            "\t".repeat(columns / step) + &" ".repeat(columns % step)
        }
        Style::Spaces(_) if white.contains('\t') => white.replace('\t', &to.unit()),
        Style::Tabs | Style::Spaces(_) => white.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(text: &str, to: &str, style: Style) -> String {
        let language = crate::language::of(&"a.py".parse().expect("a path"));
        Block::of(text, language).trimmed().at(to, style).joined("\n")
    }

    #[test]
    fn text_moves_as_a_whole_and_strings_stay() {
        let text = "\n    def f():\n        x = '''\n  in\n    '''\n\n        return x\n";
        assert_eq!(
            fitted(text, "", Style::Spaces(4)),
            "def f():\n    x = '''\n  in\n    '''\n\n    return x"
        );
        assert_eq!(fitted(text, "\t", Style::Tabs), "\tdef f():\n\t\tx = '''\n  in\n    '''\n\n\t\treturn x");
        assert_eq!(fitted("if a:\n\tb", "  ", Style::Spaces(2)), "  if a:\n    b");
        assert_eq!(fitted("# c\n    x\n    y", "  ", Style::Spaces(2)), "  # c\n  x\n  y");
        assert_eq!(
            fitted("    a\n#x = 1\n  # y\n    b", "    ", Style::Spaces(4)),
            "    a\n#x = 1\n  # y\n    b"
        );
        assert_eq!(fitted("  a\n  \n  b", "  ", Style::Spaces(2)), "  a\n  \n  b");
        assert_eq!(fitted("f(a,\n  b)", "    ", Style::Spaces(4)), "    f(a,\n      b)");
    }

    #[test]
    fn a_files_style_is_that_of_its_lines() {
        assert_eq!(Style::of("if a:\n  b\n  if c:\n    d\n"), Style::Spaces(2));
        assert_eq!(Style::of("if a:\n\tb\n"), Style::Tabs);
        assert_eq!(Style::of("a\n"), Style::Spaces(4));
        assert_eq!(Style::Tabs.beside("    "), Style::Spaces(4));
        assert_eq!(Style::Spaces(4).beside("\t"), Style::Tabs);
    }
}
