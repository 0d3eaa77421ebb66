//! What the three dialects share in writing.

use crate::chat::{Output, Stop};
use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

/// Room for a frame of a stream, so that most answers never grow their buffer.
const ROOM: usize = 4 * 1024;

/// What a call without arguments says in the dialects whose arguments are a text: clients parse it.
pub(super) const NO_ARGUMENTS: &str = "{}";

/// The arguments of a call as a text.
pub(super) const fn arguments_text(text: &str) -> &str {
    if text.is_empty() { NO_ARGUMENTS } else { text }
}

/// An empty buffer.
pub(super) fn buffer() -> BytesMut {
    BytesMut::with_capacity(ROOM)
}

/// Appends JSON.
pub(super) fn json(out: &mut BytesMut, value: &impl Serialize) {
    // Our own types have no keys but texts, and memory takes everything: this cannot fail.
    serde_json::to_writer(out.writer(), value).ok();
}

/// A value as JSON.
pub(super) fn json_bytes(value: &impl Serialize) -> Bytes {
    let mut out = buffer();
    json(&mut out, value);
    out.freeze()
}

/// Appends a server-sent event.
pub(super) fn frame(out: &mut BytesMut, event: Option<&str>, data: &impl Serialize) {
    open_frame(out, event);
    json(out, data);
    out.extend_from_slice(b"\n\n");
}

/// Appends a server-sent event whose data is one line already.
pub(super) fn raw_frame(out: &mut BytesMut, event: Option<&str>, data: &[u8]) {
    out.reserve(data.len() + 64);
    open_frame(out, event);
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

fn open_frame(out: &mut BytesMut, event: Option<&str>) {
    if let Some(event) = event {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.as_bytes());
        out.extend_from_slice(b"\n");
    }
    out.extend_from_slice(b"data: ");
}

/// The arguments of a call as an object, as the model wrote them; `None` where they are none.
pub(super) fn arguments(text: &str) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_str(text.trim()).ok()?;
    raw.get().starts_with('{').then_some(raw)
}

/// Why an answer ended, for clients that act on it: some servers say `stop` where they name functions to call.
pub(super) fn stop_of(output: &[Output], stop: &Stop) -> Stop {
    let calls = output.iter().any(|output| matches!(output, Output::ToolCall(_)));
    with_calls(stop, calls)
}

/// The same for a stream.
pub(super) fn with_calls(stop: &Stop, calls: bool) -> Stop {
    match stop {
        Stop::End if calls => Stop::ToolUse,
        other => other.clone(),
    }
}
