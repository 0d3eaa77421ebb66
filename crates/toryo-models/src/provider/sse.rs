//! Server-sent events out of bytes that come in any pieces (WHATWG HTML, "Server-sent events").
//!
//! Providers put one JSON object on one `data:` line and send it in one piece of the body: such an event is a slice of
//! that piece and copies nothing. Everything else the standard allows is read as well: three kinds of line ends, data
//! on several lines, comments, a byte order mark. Bounded: a line or an event beyond [`LARGEST_EVENT`] is an error.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of one event at most.
pub(super) const LARGEST_EVENT: usize = 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its name, where it has one.
    pub(super) name: Option<Bytes>,
    /// Its data, lines joined by `\n`.
    pub(super) data: Bytes,
}

/// An event longer than we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// The data of the event that is being read.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// One line, as it came.
    Line(Bytes),
    /// Several, put together.
    Lines(BytesMut),
}

impl Data {
    fn push(&mut self, line: Bytes) -> Result<(), TooLong> {
        let mut lines = match std::mem::take(self) {
            Self::None => {
                *self = Self::Line(line);
                return Ok(());
            }
            Self::Line(first) => BytesMut::from(first.as_ref()),
            Self::Lines(lines) => lines,
        };
        if lines.len() + line.len() >= LARGEST_EVENT {
            return Err(TooLong);
        }
        lines.extend_from_slice(b"\n");
        lines.extend_from_slice(&line);
        *self = Self::Lines(lines);
        Ok(())
    }

    fn take(&mut self) -> Option<Bytes> {
        match std::mem::take(self) {
            Self::None => None,
            Self::Line(line) => Some(line),
            Self::Lines(lines) => Some(lines.freeze()),
        }
    }
}

/// The reader's state between two pieces.
#[derive(Debug, Default)]
pub(super) struct Sse {
    /// Complete lines may be in here.
    input: Bytes,
    /// The beginning of a line whose end has not come.
    begun: BytesMut,
    name: Option<Bytes>,
    data: Data,
    /// The last line ended with a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    past_start: bool,
}

impl Sse {
    /// Takes the next piece. Ask [`next`](Self::next) until it says `None` before the next one.
    pub(super) fn push(&mut self, piece: Bytes) {
        debug_assert!(self.input.is_empty(), "an event was left behind");
        self.input = piece;
    }

    /// The next whole event, if it is there.
    pub(super) fn next(&mut self) -> Result<Option<Event>, TooLong> {
        while let Some(line) = self.line()? {
            if line.is_empty() {
                let name = self.name.take();
                // An event without data is none.
                if let Some(data) = self.data.take() {
                    return Ok(Some(Event { name, data }));
                }
            } else {
                self.field(&line)?;
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<Bytes>, TooLong> {
        if self.after_return && !self.input.is_empty() {
            self.after_return = false;
            if self.input[0] == b'\n' {
                self.input.advance(1);
            }
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.input) else {
            if self.begun.len() + self.input.len() > LARGEST_EVENT {
                return Err(TooLong);
            }
            self.begun.extend_from_slice(&self.input);
            self.input.clear();
            return Ok(None);
        };
        if self.begun.len() + end > LARGEST_EVENT {
            return Err(TooLong);
        }
        let mut line = self.input.split_to(end);
        self.after_return = self.input[0] == b'\r';
        self.input.advance(1);
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(&line);
            line = self.begun.split().freeze();
        }
        if !std::mem::replace(&mut self.past_start, true) && line.starts_with(b"\xEF\xBB\xBF") {
            line.advance(3);
        }
        Ok(Some(line))
    }

    fn field(&mut self, line: &Bytes) -> Result<(), TooLong> {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return Ok(()),
            Some(colon) => {
                let from = if line.get(colon + 1) == Some(&b' ') { colon + 2 } else { colon + 1 };
                (&line[..colon], line.slice(from..))
            }
            None => (&line[..], Bytes::new()),
        };
        match name {
            b"data" => self.data.push(value)?,
            b"event" => self.name = Some(value),
            // `id` and `retry` are about connecting again, which nobody does here.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut sse = Sse::default();
        let mut events = Vec::new();
        let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        for piece in pieces {
            sse.push(Bytes::copy_from_slice(piece));
            while let Some(event) = sse.next().unwrap() {
                events.push((event.name.map(text).unwrap_or_default(), text(event.data)));
            }
        }
        events
    }

    fn event(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn all_that_the_standard_allows_is_read() {
        let stream = "\u{feff}: hello\n\ndata: {\"a\":1}\n\nevent: ping\rdata:x\r\rdata\ndata:  y\r\n\r\n\
                      event: alone\n\nid: 7\nretry: 5\nunknown: z\ndata: last\n\ndata: cut";
        let expected = [event("", "{\"a\":1}"), event("ping", "x"), event("", "\n y"), event("", "last")];
        assert_eq!(read(&[stream.as_bytes()]), expected);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes), expected, "byte by byte");
    }

    #[test]
    fn a_piece_that_is_one_event_is_not_copied() {
        let piece = Bytes::from_static(b"data: {\"a\":1}\n\n");
        let mut sse = Sse::default();
        sse.push(piece.clone());
        let event = sse.next().unwrap().unwrap();
        assert_eq!(event.data.as_ptr(), piece[6..].as_ptr());
    }

    #[test]
    fn what_never_ends_is_an_error_and_takes_no_more_room() {
        let flood = Bytes::from(vec![b'x'; 64 * 1024]);
        let mut sse = Sse::default();
        let ended = (0..100).position(|_| {
            sse.push(flood.clone());
            sse.next() == Err(TooLong)
        });
        assert_eq!(ended, Some(16));
        let mut sse = Sse::default();
        let line = Bytes::from(format!("data: {}\n", "x".repeat(64 * 1024)));
        let ended = (0..100).any(|_| {
            sse.push(line.clone());
            sse.next() == Err(TooLong)
        });
        assert!(ended, "many lines of one event");
    }

    proptest! {
        #[test]
        fn any_split_reads_the_same(
            text in "(data: ?[a-zé\u{1F600}]{0,6}|event: [a-z]{0,4}|:c|[a-z]{0,3}|\u{feff}){0,3}((\n|\r|\r\n)(data: ?[a-zé]{0,6}|event: [a-z]{0,3}|)){0,12}",
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[bytes]));
        }

        #[test]
        fn no_bytes_break_it(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..10)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            read(&pieces);
        }
    }
}
