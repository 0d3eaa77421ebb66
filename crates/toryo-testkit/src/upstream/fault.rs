//! Every way in which a provider fails, as a list of what goes over the socket.

use super::http::{Step, Steps, head, whole};
use super::said::Said;
use super::{Wire, anthropic, bedrock, openai};
use crate::openai::Gate;
use serde_json::Value;

/// A way to fail. Each works for whole answers and for streams.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nobody listens.
    Refused,
    /// The connection is reset after the request, before a status.
    ResetBefore,
    /// The connection is reset in the middle of the answer.
    ResetInside,
    /// No status before the gate opens; then a good answer.
    SlowHeader(Gate),
    /// A status at once, nothing of the answer before the gate opens; then a good answer.
    SlowFirst(Gate),
    /// The first half at once, the rest when the gate opens.
    Stall(Gate),
    /// The answer ends properly in the middle of its JSON.
    Truncated,
    /// The answer ends properly before the model stopped.
    EndsEarly,
    /// One piece is not what the protocol says.
    Malformed,
    /// 429, with `Retry-After` in seconds or without it.
    RateLimited(Option<u32>),
    /// A server error.
    Status(u16),
    /// 200, and the body says that it failed.
    ErrorBody,
    /// 200 and a page.
    WrongContentType,
    /// 200, the right type, and nothing.
    Empty,
    /// One piece comes twice.
    Duplicate,
    /// A good answer that does not count its tokens.
    UsageMissing,
    /// More bytes than anybody takes: 2 MiB in one piece, or 33 MiB in all.
    Huge,
}

impl Fault {
    /// All of them. The gates of those that wait are closed for good.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self::Refused,
            Self::ResetBefore,
            Self::ResetInside,
            Self::SlowHeader(Gate::new()),
            Self::SlowFirst(Gate::new()),
            Self::Stall(Gate::new()),
            Self::Truncated,
            Self::EndsEarly,
            Self::Malformed,
            Self::RateLimited(Some(7)),
            Self::RateLimited(None),
            Self::Status(500),
            Self::Status(502),
            Self::Status(503),
            Self::Status(529),
            Self::ErrorBody,
            Self::WrongContentType,
            Self::Empty,
            Self::Duplicate,
            Self::UsageMissing,
            Self::Huge,
        ]
    }
}

/// The pieces of a good answer: one for a whole, many for a stream.
pub(super) fn pieces(wire: Wire, said: &Said, request: &Value, stream: bool) -> Vec<Vec<u8>> {
    match (wire, stream) {
        (Wire::OpenAi, false) => vec![openai::whole(said, request).into_bytes()],
        (Wire::OpenAi, true) => openai::events(said, request),
        (Wire::Anthropic, false) => vec![anthropic::whole(said, request).into_bytes()],
        (Wire::Anthropic, true) => anthropic::events(said, request),
        (Wire::Bedrock, false) => vec![bedrock::whole(said).into_bytes()],
        (Wire::Bedrock, true) => bedrock::events(said),
    }
}

pub(super) const fn content_type(wire: Wire, stream: bool) -> &'static str {
    match (wire, stream) {
        (_, false) => "application/json",
        (Wire::OpenAi | Wire::Anthropic, true) => "text/event-stream; charset=utf-8",
        (Wire::Bedrock, true) => "application/vnd.amazon.eventstream",
    }
}

/// A failure as this wire says it.
pub(super) fn failure(wire: Wire, status: u16, message: &str) -> (Vec<String>, Vec<u8>) {
    match wire {
        Wire::OpenAi => (Vec::new(), openai::failure(status, message)),
        Wire::Anthropic => (Vec::new(), anthropic::failure(status, message)),
        Wire::Bedrock => bedrock::failure(status, message),
    }
}

/// A good answer.
pub(super) fn good(wire: Wire, said: &Said, request: &Value, stream: bool) -> Steps {
    let mut steps = vec![Step::Send(head(200, content_type(wire, stream), &[]))];
    steps.extend(pieces(wire, said, request, stream).into_iter().map(Step::Piece));
    steps.push(Step::End);
    steps
}

/// What a fault does.
pub(super) fn steps(wire: Wire, fault: &Fault, request: &Value, stream: bool) -> Steps {
    let said = Said::text("a text of some length that is cut into pieces");
    let kind = content_type(wire, stream);
    let start = || Step::Send(head(200, kind, &[]));
    let good = good(wire, &said, request, stream);
    let pieces = || pieces(wire, &said, request, stream);
    let middle = |pieces: &[Vec<u8>]| pieces.len() / 2;
    // The first half of the pieces, or of the only one.
    let half = || {
        let pieces = pieces();
        match pieces.as_slice() {
            [only] => vec![Step::Piece(only[..only.len() / 2].to_vec())],
            many => many[..middle(many)].iter().cloned().map(Step::Piece).collect(),
        }
    };
    let fails = |status: u16, headers: &[String]| {
        let (mut more, body) = failure(wire, status, "scripted to fail");
        more.extend_from_slice(headers);
        whole(status, "application/json", &more, body)
    };
    let after_start = |steps: Vec<Step>| [vec![start()], steps].concat();
    match fault {
        Fault::Refused | Fault::ResetBefore => vec![Step::Reset],
        Fault::ResetInside => after_start([half(), vec![Step::Reset]].concat()),
        Fault::SlowHeader(gate) => [vec![Step::Wait(gate.clone())], good].concat(),
        Fault::SlowFirst(gate) => [vec![start(), Step::Wait(gate.clone())], good[1..].to_vec()].concat(),
        Fault::Stall(gate) => stalled(good, gate),
        Fault::Truncated => {
            let pieces = pieces();
            let cut = &pieces[middle(&pieces)];
            let mut steps = vec![start()];
            steps.extend(pieces[..middle(&pieces)].iter().cloned().map(Step::Piece));
            steps.extend([Step::Piece(cut[..cut.len() / 2].to_vec()), Step::End]);
            steps
        }
        Fault::EndsEarly => after_start([half(), vec![Step::End]].concat()),
        Fault::Malformed => {
            let wrong = match (wire, stream) {
                (_, false) => b"{\"not\": \"an answer\", ".to_vec(),
                (Wire::OpenAi | Wire::Anthropic, true) => b"data: {\"choices\": [}\n\n".to_vec(),
                (Wire::Bedrock, true) => bedrock::malformed(),
            };
            let before = if stream { half() } else { Vec::new() };
            after_start([before, vec![Step::Piece(wrong), Step::End]].concat())
        }
        Fault::RateLimited(wait) => {
            let header: Vec<String> = wait.iter().map(|wait| format!("retry-after: {wait}")).collect();
            fails(429, &header)
        }
        Fault::Status(status) => fails(*status, &[]),
        Fault::ErrorBody => match (wire, stream) {
            (Wire::Bedrock, true) => {
                let message = bedrock::exception("throttlingException", "scripted to fail");
                after_start([half(), vec![Step::Piece(message), Step::End]].concat())
            }
            _ => whole(200, "application/json", &[], failure(wire, 429, "scripted to fail").1),
        },
        Fault::WrongContentType => {
            whole(200, "text/html", &[], b"<html><body>welcome to the hotel's network</body></html>".to_vec())
        }
        Fault::Empty => after_start(vec![Step::End]),
        Fault::Duplicate => {
            let mut steps = good;
            let at = if stream { steps.len() / 2 } else { 1 };
            steps.insert(at, steps[at].clone());
            steps
        }
        Fault::UsageMissing => {
            let said = Said { usage: None, ..said };
            self::good(wire, &said, request, stream)
        }
        Fault::Huge => huge(wire, request, stream),
    }
}

fn stalled(good: Steps, gate: &Gate) -> Steps {
    let at = good.len() / 2;
    if good.len() > 3 {
        let (before, after) = good.split_at(at);
        return [before.to_vec(), vec![Step::Wait(gate.clone())], after.to_vec()].concat();
    }
    // One piece: cut it in two.
    let mut steps = Vec::new();
    for step in good {
        match step {
            Step::Piece(piece) => {
                let (before, after) = piece.split_at(piece.len() / 2);
                steps.push(Step::Piece(before.to_vec()));
                steps.push(Step::Wait(gate.clone()));
                steps.push(Step::Piece(after.to_vec()));
            }
            other => steps.push(other),
        }
    }
    steps
}

fn huge(wire: Wire, request: &Value, stream: bool) -> Steps {
    let kind = content_type(wire, stream);
    let size = if stream { 2 } else { 33 } * 1024 * 1024;
    let said = Said { text: vec!["x".repeat(size)], ..Said::text("") };
    let mut steps = vec![Step::Send(head(200, kind, &[]))];
    steps.extend(pieces(wire, &said, request, stream).into_iter().map(Step::Piece));
    steps.push(Step::End);
    steps
}
