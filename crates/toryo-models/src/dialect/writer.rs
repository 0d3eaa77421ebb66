//! Writing a streamed answer in the client's dialect.

use super::write::{buffer, frame, raw_frame};
use super::{Facts, Refused, RefusedKind, completions, messages, responses};
use crate::chat::Event;
use crate::inbound::Dialect;
use crate::provider::Native;
use bytes::{Bytes, BytesMut};

/// Turns the pieces of one answer into server-sent events. What was written waits until [`take`](Self::take), so that
/// pieces that came together go out together.
pub struct Writer {
    dialect: Dialect,
    stream: Stream,
    out: BytesMut,
    stopped: bool,
    /// Frames that went through as they came.
    native: u64,
}

enum Stream {
    Completions(completions::Stream),
    Responses(Box<responses::Stream>),
    Messages(messages::Stream),
}

impl Writer {
    /// For one answer. `include_usage` counts for chat completions only; the other two always say it.
    #[must_use]
    pub fn new(dialect: Dialect, facts: &Facts, include_usage: bool) -> Self {
        let stream = match dialect {
            Dialect::Completions => Stream::Completions(completions::Stream::new(facts, include_usage)),
            Dialect::Responses => Stream::Responses(Box::new(responses::Stream::new(facts))),
            Dialect::Messages => Stream::Messages(messages::Stream::new(facts)),
        };
        Self { dialect, stream, out: buffer(), stopped: false, native: 0 }
    }

    /// Writes a piece.
    pub fn push(&mut self, event: &Event) {
        self.stopped |= matches!(event, Event::Stop(_));
        match &mut self.stream {
            Stream::Completions(stream) => stream.push(event, &mut self.out),
            Stream::Responses(stream) => stream.push(event, &mut self.out),
            Stream::Messages(stream) => stream.push(event, &mut self.out),
        }
    }

    /// Passes on a frame of a provider that speaks the client's dialect, as it is. An answer is either passed on or
    /// [pushed](Self::push), never both; [`stopped`](Self::stopped) has to be told by the caller.
    pub fn native(&mut self, native: &Native) {
        self.native += 1;
        raw_frame(&mut self.out, native.event, &native.data);
    }

    /// Says that an answer whose frames are passed on has reached its stop.
    pub const fn stopped(&mut self) {
        self.stopped = true;
    }

    /// Ends the stream. One that never stopped ends with an error: half an answer is none.
    pub fn finish(&mut self) {
        if !self.stopped {
            let cut = "the provider's answer ended before it was complete";
            return self.failed(&Refused::new(RefusedKind::BadAnswer, cut));
        }
        let native = self.native > 0;
        match &mut self.stream {
            Stream::Completions(_) if native => completions::done(&mut self.out),
            Stream::Completions(stream) => stream.finish(&mut self.out),
            Stream::Responses(_) | Stream::Messages(_) if native => {}
            Stream::Responses(stream) => stream.finish(&mut self.out),
            Stream::Messages(stream) => stream.finish(&mut self.out),
        }
    }

    /// Ends the stream with an error. Nothing may follow.
    pub fn failed(&mut self, refused: &Refused) {
        match &mut self.stream {
            Stream::Completions(_) => completions::failed(refused, &mut self.out),
            Stream::Responses(stream) => stream.failed(refused, self.native, &mut self.out),
            Stream::Messages(_) => frame(&mut self.out, Some("error"), &refused.body(self.dialect)),
        }
    }

    /// Shows the client that the connection lives.
    pub fn ping(&mut self) {
        self.out.extend_from_slice(match self.dialect {
            Dialect::Completions | Dialect::Responses => b": ping\n\n",
            Dialect::Messages => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
        });
    }

    /// What was written since the last time; may be empty.
    pub fn take(&mut self) -> Bytes {
        self.out.split().freeze()
    }
}
