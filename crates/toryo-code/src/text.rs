//! Places in a text: byte spans, lines, line endings.

use std::ops::Range;

/// A half-open range of bytes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span of this range.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The same as a range, for slicing.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether `other` lies in this span; a span holds itself.
    #[must_use]
    pub const fn holds(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// Where the lines of a text start. A line ends after `\n`; a lone `\r` ends none, as in Git.
#[derive(Debug, Clone)]
pub struct Lines {
    starts: Vec<usize>,
    length: usize,
}

impl Lines {
    /// Finds the lines of a text. The text after the last `\n` is a line only if it is not empty.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let mut starts = Vec::with_capacity(text.len() / 32 + 2);
        starts.push(0);
        starts.extend(text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
        // Behind the last break there is no line, nor is there one in an empty text.
        starts.pop_if(|start| *start == text.len());
        Self { starts, length: text.len() }
    }

    /// How many lines there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// The 1-based number of the line that holds this byte; the last line for the end of the text.
    #[must_use]
    pub fn number_at(&self, byte: usize) -> u32 {
        u32::try_from(self.starts.partition_point(|start| *start <= byte)).unwrap_or(u32::MAX).max(1)
    }

    /// The span of line `number` (1-based) with its line break, or `None` if there is no such line.
    #[must_use]
    pub fn span(&self, number: u32) -> Option<Span> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let start = *self.starts.get(index)?;
        Some(Span::new(start, self.starts.get(index + 1).copied().unwrap_or(self.length)))
    }

    /// The start of the line that holds this byte.
    #[must_use]
    pub fn start_of_line_at(&self, byte: usize) -> usize {
        let index = self.starts.partition_point(|start| *start <= byte);
        index.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(0)
    }

    /// One past the line break of the line that holds this byte.
    #[must_use]
    pub fn end_of_line_at(&self, byte: usize) -> usize {
        self.starts.get(self.starts.partition_point(|start| *start <= byte)).copied().unwrap_or(self.length)
    }
}

/// A line without its `\n` or `\r\n`.
#[must_use]
pub fn without_break(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_editors_count_them() {
        let lines = Lines::of(b"a\r\nbb\n\nc");
        assert_eq!(lines.count(), 4);
        assert_eq!(lines.span(1), Some(Span::new(0, 3)));
        assert_eq!(lines.span(4), Some(Span::new(7, 8)));
        assert_eq!(lines.span(5), None);
        assert_eq!(lines.span(0), None);
        assert_eq!(
            (lines.number_at(0), lines.number_at(2), lines.number_at(3), lines.number_at(8)),
            (1, 1, 2, 4)
        );
        assert_eq!((lines.start_of_line_at(4), lines.end_of_line_at(4)), (3, 6));
        assert_eq!(Lines::of(b"a\n").count(), 1);
        assert_eq!(Lines::of(b"").count(), 0);
    }
}
