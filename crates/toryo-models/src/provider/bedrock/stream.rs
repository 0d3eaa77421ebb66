//! A streamed answer: Bedrock's events become ours.

use super::{failure, guardrail, read};
use crate::chat::{Event, Stop};
use crate::provider::forced::Unwrapping;
use crate::provider::sse::LARGEST_EVENT;
use crate::provider::{Piece, PieceStream, ProviderError, failure as common};
use aws_sdk_bedrockruntime::primitives::event_stream::EventReceiver;
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use aws_sdk_bedrockruntime::types::{
    ContentBlockDelta, ContentBlockStart, ConverseStreamOutput, ReasoningContentBlockDelta,
};
use futures::stream;
use std::collections::BTreeMap;

/// Blocks that are open at once, at most.
const MOST_OPEN: usize = 64;

type Receiver = EventReceiver<ConverseStreamOutput, ConverseStreamOutputError>;

/// A block that has begun and not ended. Bedrock does not say that a text or a thought begins.
enum Open {
    Call { index: usize, said: bool },
    Thinking { text: String, signature: String },
    Redacted(Vec<u8>),
}

struct Blocks {
    receiver: Receiver,
    id: String,
    model: String,
    forced: Option<Unwrapping>,
    open: BTreeMap<i32, Open>,
    calls: usize,
    stopped: bool,
    /// A filter stopped the model; which policies did is only told with the tokens.
    filtered: Option<Stop>,
    over: bool,
}

pub(super) fn pieces(receiver: Receiver, id: String, model: String, forced: bool) -> PieceStream {
    let forced = forced.then(Unwrapping::default);
    let open = BTreeMap::new();
    let (calls, stopped, filtered, over) = (0, false, None, false);
    let blocks = Blocks { receiver, id, model, forced, open, calls, stopped, filtered, over };
    Box::pin(stream::unfold(blocks, |mut blocks| async move {
        let piece = blocks.next().await?;
        blocks.over = piece.is_err();
        Some((piece, blocks))
    }))
}

impl Blocks {
    async fn next(&mut self) -> Option<Result<Piece, ProviderError>> {
        while !self.over {
            let events = match self.receiver.recv().await {
                Ok(Some(event)) => self.read(event),
                // The model had said all; only its tokens may be lost.
                Ok(None) | Err(_) if self.stopped => {
                    let stop = self.filtered.take()?;
                    return Some(Ok(Piece { events: vec![Event::Stop(stop)], native: None }));
                }
                Ok(None) => Err(common::cut()),
                Err(error) => Err(failure::of_stream(&error)),
            };
            match events {
                Ok(events) if events.is_empty() => {}
                Ok(events) => {
                    let events = match &mut self.forced {
                        Some(unwrapping) => unwrapping.events(events),
                        None => events,
                    };
                    return Some(Ok(Piece { events, native: None }));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    fn read(&mut self, event: ConverseStreamOutput) -> Result<Vec<Event>, ProviderError> {
        let mut events = Vec::new();
        match event {
            ConverseStreamOutput::MessageStart(_) => {
                events.push(Event::Begin { id: self.id.clone(), model: self.model.clone() });
            }
            ConverseStreamOutput::ContentBlockStart(start) => {
                if let Some(ContentBlockStart::ToolUse(call)) = start.start {
                    let index = self.calls;
                    self.calls += 1;
                    self.begin(start.content_block_index, Open::Call { index, said: false })?;
                    events.push(Event::ToolCall { index, id: call.tool_use_id, name: call.name });
                }
            }
            ConverseStreamOutput::ContentBlockDelta(delta) => {
                if let Some(said) = delta.delta {
                    self.delta(delta.content_block_index, said, &mut events)?;
                }
            }
            ConverseStreamOutput::ContentBlockStop(end) => self.end(end.content_block_index, &mut events),
            ConverseStreamOutput::MessageStop(end) if !self.stopped => {
                self.stopped = true;
                match read::stop(&end.stop_reason)? {
                    stop @ Stop::ContentFilter => self.filtered = Some(stop),
                    stop => events.push(Event::Stop(stop)),
                }
            }
            ConverseStreamOutput::Metadata(metadata) => {
                let trace = metadata.trace().and_then(|trace| trace.guardrail());
                let policies = guardrail::policies(&self.model, trace);
                let filtered = self.filtered.take().map(|stop| read::with_policies(stop, policies));
                events.extend(filtered.map(Event::Stop));
                events.extend(metadata.usage().and_then(read::usage).map(Event::Usage));
            }
            // What Bedrock adds later.
            _ => {}
        }
        Ok(events)
    }

    fn begin(&mut self, at: i32, block: Open) -> Result<(), ProviderError> {
        if self.open.len() >= MOST_OPEN {
            return Err(common::not_an_answer("with more open blocks than make sense"));
        }
        self.open.insert(at, block);
        Ok(())
    }

    fn delta(
        &mut self,
        at: i32,
        delta: ContentBlockDelta,
        events: &mut Vec<Event>,
    ) -> Result<(), ProviderError> {
        match delta {
            ContentBlockDelta::Text(text) => {
                bounded(&text)?;
                events.extend(Some(text).filter(|text| !text.is_empty()).map(Event::Text));
            }
            ContentBlockDelta::ToolUse(more) => {
                bounded(&more.input)?;
                if let Some(Open::Call { index, said }) = self.open.get_mut(&at)
                    && !more.input.is_empty()
                {
                    *said = true;
                    events.push(Event::Arguments { index: *index, json: more.input });
                }
            }
            ContentBlockDelta::ReasoningContent(more) => self.think(at, more, events)?,
            _ => {}
        }
        Ok(())
    }

    fn think(
        &mut self,
        at: i32,
        more: ReasoningContentBlockDelta,
        events: &mut Vec<Event>,
    ) -> Result<(), ProviderError> {
        if let ReasoningContentBlockDelta::RedactedContent(blob) = more {
            match self.open.get_mut(&at) {
                Some(Open::Redacted(before)) => before.extend_from_slice(blob.as_ref()),
                _ => self.begin(at, Open::Redacted(blob.into_inner()))?,
            }
            return Ok(());
        }
        if !matches!(self.open.get(&at), Some(Open::Thinking { .. })) {
            self.begin(at, Open::Thinking { text: String::new(), signature: String::new() })?;
        }
        let Some(Open::Thinking { text, signature }) = self.open.get_mut(&at) else { return Ok(()) };
        match more {
            ReasoningContentBlockDelta::Text(more) => {
                bounded(&more)?;
                text.push_str(&more);
                events.push(Event::Reasoning(more));
            }
            ReasoningContentBlockDelta::Signature(more) => signature.push_str(&more),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, at: i32, events: &mut Vec<Event>) {
        match self.open.remove(&at) {
            // A call without arguments has an empty object, as in a whole answer.
            Some(Open::Call { index, said: false }) => {
                events.push(Event::Arguments { index, json: "{}".to_owned() });
            }
            Some(Open::Thinking { text, signature }) => {
                events.extend(read::thought(&text, Some(&signature)).map(Event::ReasoningDone));
            }
            Some(Open::Redacted(blob)) => events.push(Event::ReasoningDone(read::redacted(&blob))),
            Some(Open::Call { said: true, .. }) | None => {}
        }
    }
}

fn bounded(piece: &str) -> Result<(), ProviderError> {
    if piece.len() <= LARGEST_EVENT {
        return Ok(());
    }
    Err(common::not_an_answer(&format!("an event of more than {LARGEST_EVENT} bytes")))
}
