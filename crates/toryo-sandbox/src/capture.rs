//! Capturing the output of a command in bounded memory, however much it writes.

use crate::text::{KEPT, clip, marker};
use bytes::Bytes;

/// Keeps the first and the last bytes of a stream.
#[derive(Debug)]
pub(crate) struct Capture {
    half: usize,
    head: Vec<u8>,
    /// The last bytes, and up to as many older ones that are dropped in one go: amortised, each byte moves once.
    tail: Vec<u8>,
    written: u64,
}

impl Capture {
    /// Keeps at most `limit` bytes: half from the start, half from the end.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { half: limit / 2, head: Vec::new(), tail: Vec::new(), written: 0 }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.written += chunk.len() as u64;
        let room = self.half.saturating_sub(self.head.len()).min(chunk.len());
        let (first, rest) = chunk.split_at(room);
        self.head.extend_from_slice(first);
        // Only the end of a chunk can survive in the tail.
        self.tail.extend_from_slice(&rest[rest.len().saturating_sub(self.half)..]);
        if self.tail.len() > self.half.saturating_mul(2) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.tail.drain(..self.tail.len().saturating_sub(self.half));
    }

    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// The text for models and pages, and the log for an artifact.
    pub(crate) fn finish(mut self) -> (String, Bytes) {
        self.trim();
        let left_out = self.written - (self.head.len() + self.tail.len()) as u64;
        if left_out == 0 {
            self.head.append(&mut self.tail);
            return (clip(&plain(&self.head), KEPT, KEPT), self.head.into());
        }
        let line = marker(left_out, "bytes");
        let text =
            format!("{}{line}{}", clip(&plain(&self.head), KEPT, 0), clip(&plain(&self.tail), 0, KEPT));
        self.head.extend_from_slice(line.as_bytes());
        self.head.append(&mut self.tail);
        (text, self.head.into())
    }
}

/// The bytes as text that a terminal, a page, a database and a model can take: no colour codes, no control
/// characters but tab and line feed.
pub(crate) fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => {
                // A control sequence (ECMA-48): `[`, parameters, one final character. Other escapes are two characters.
                if characters.next() == Some('[') {
                    while characters.next_if(|c| matches!(c, '\u{20}'..='\u{3f}')).is_some() {}
                    characters.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
                }
            }
            '\r' => {
                if characters.peek() != Some(&'\n') {
                    plain.push('\n');
                }
            }
            '\n' | '\t' => plain.push(character),
            control if control.is_control() => plain.push(char::REPLACEMENT_CHARACTER),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_do_not_reach_people() {
        assert_eq!(plain(b"\x1b[1;31mred\x1b[0m\r\nnul\0 50%\r100%\x1b"), "red\nnul\u{fffd} 50%\n100%");
        assert_eq!(plain(b"\xff\tok"), "\u{fffd}\tok");
    }

    #[test]
    fn a_long_stream_keeps_both_ends_in_bounded_memory() {
        let mut capture = Capture::new(20);
        for number in 0..100_000 {
            capture.push(format!("{number:05}\n").as_bytes());
            assert!(capture.head.len() + capture.tail.len() <= 40, "memory is not bounded");
        }
        assert_eq!(capture.written(), 600_000);
        let (text, log) = capture.finish();
        assert_eq!(text, "00000\n0000\n[... 599980 bytes left out ...]\n998\n99999\n");
        assert_eq!(text.as_bytes(), log);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_below_the_limit_and_the_count_is_right_above(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
            limit in 2_usize..200,
        ) {
            let mut capture = Capture::new(limit);
            chunks.iter().for_each(|chunk| capture.push(chunk));
            let all = chunks.concat();
            prop_assert_eq!(capture.written(), all.len() as u64);
            let (_, log) = capture.finish();
            let half = limit / 2;
            if all.len() <= half * 2 {
                prop_assert_eq!(&log[..], &all[..]);
            } else {
                prop_assert!(log.starts_with(&all[..half]));
                prop_assert!(log.ends_with(&all[all.len() - half..]));
            }
        }
    }
}
