//! What a model said.

use super::message::ToolCall;
use crate::reply::Usage;
use serde_json::Value;

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The provider's name for this answer; may be empty.
    pub id: String,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// What was said, in order.
    pub output: Vec<Output>,
    /// Why it ended.
    pub stop: Stop,
    /// Tokens; `None` where the provider did not count them.
    pub usage: Option<Usage>,
}

/// A piece of a whole answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Words.
    Text(String),
    /// A function to call.
    ToolCall(ToolCall),
    /// Why the model declines.
    Refusal(String),
    /// Visible reasoning, and the provider's own form of it where it has to be sent back unchanged.
    Reasoning {
        /// What may be shown.
        text: String,
        /// As it came.
        native: Option<Value>,
    },
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The model was done.
    End,
    /// At one of the texts that were asked for; which one, where the provider says so.
    Sequence(Option<String>),
    /// It ran into the limit of tokens: the answer is cut.
    Length,
    /// It waits for functions to be called.
    ToolUse,
    /// It declined.
    Refusal,
    /// The provider's filter stopped it.
    ContentFilter,
    /// A guardrail of the provider stepped in: the names of its policies, separated by commas.
    Guardrail(String),
}

impl Stop {
    /// The policies of the guardrail that stepped in, and nothing of what they found.
    #[must_use]
    pub fn policies(&self) -> Option<Vec<&str>> {
        let Self::Guardrail(policies) = self else { return None };
        Some(policies.split(", ").collect())
    }
}

/// A piece of a streamed answer. A stream is [`Begin`](Self::Begin), pieces of output, [`Stop`](Self::Stop) and
/// then [`Usage`](Self::Usage) where the provider counts; a stream that ends before `Stop` is broken.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The answer begins.
    Begin {
        /// The provider's name for this answer; may be empty.
        id: String,
        /// The model that answers, as the provider names it.
        model: String,
    },
    /// More words.
    Text(String),
    /// More of a refusal.
    Refusal(String),
    /// More visible reasoning.
    Reasoning(String),
    /// The provider's own form of the reasoning that just ended, to be sent back unchanged.
    ReasoningDone(Value),
    /// A function call begins. Calls are counted from 0 within the answer.
    ToolCall {
        /// Which call.
        index: usize,
        /// What the answer to it names.
        id: String,
        /// The function's name.
        name: String,
    },
    /// More of a call's arguments, a piece of JSON text.
    Arguments {
        /// Which call.
        index: usize,
        /// The piece.
        json: String,
    },
    /// The model stopped.
    Stop(Stop),
    /// Tokens of the whole answer; the last word where it comes twice.
    Usage(Usage),
}

impl Completion {
    /// Puts the pieces of a stream together. `None` where there is no [`Event::Stop`]: half an answer is none.
    #[must_use]
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Option<Self> {
        let mut whole = Self {
            id: String::new(),
            model: String::new(),
            output: Vec::new(),
            stop: Stop::End,
            usage: None,
        };
        let mut stopped = false;
        let mut calls: Vec<usize> = Vec::new();
        for event in events {
            match event {
                Event::Begin { id, model } => (whole.id, whole.model) = (id, model),
                Event::Text(text) => match whole.output.last_mut() {
                    Some(Output::Text(last)) => last.push_str(&text),
                    _ => whole.output.push(Output::Text(text)),
                },
                Event::Refusal(text) => match whole.output.last_mut() {
                    Some(Output::Refusal(last)) => last.push_str(&text),
                    _ => whole.output.push(Output::Refusal(text)),
                },
                Event::Reasoning(more) => match whole.output.last_mut() {
                    Some(Output::Reasoning { text, native: None }) => text.push_str(&more),
                    _ => whole.output.push(Output::Reasoning { text: more, native: None }),
                },
                Event::ReasoningDone(value) => match whole.output.last_mut() {
                    Some(Output::Reasoning { native: native @ None, .. }) => *native = Some(value),
                    _ => whole.output.push(Output::Reasoning { text: String::new(), native: Some(value) }),
                },
                Event::ToolCall { index, id, name } => {
                    if calls.len() <= index {
                        calls.resize(index + 1, usize::MAX);
                    }
                    calls[index] = whole.output.len();
                    whole.output.push(Output::ToolCall(ToolCall { id, name, arguments: String::new() }));
                }
                Event::Arguments { index, json } => {
                    let place = calls.get(index).and_then(|at| whole.output.get_mut(*at));
                    if let Some(Output::ToolCall(call)) = place {
                        call.arguments.push_str(&json);
                    }
                }
                Event::Stop(stop) => (whole.stop, stopped) = (stop, true),
                Event::Usage(usage) => whole.usage = Some(usage),
            }
        }
        stopped.then_some(whole)
    }

    /// The words of the answer, without refusals and reasoning.
    #[must_use]
    pub fn text(&self) -> String {
        let texts = self.output.iter().filter_map(|output| match output {
            Output::Text(text) => Some(text.as_str()),
            Output::ToolCall(_) | Output::Refusal(_) | Output::Reasoning { .. } => None,
        });
        texts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_one_answer() {
        let call = |index, id: &str| Event::ToolCall { index, id: id.into(), name: "look".into() };
        let arguments = |index, json: &str| Event::Arguments { index, json: json.into() };
        let events = [
            Event::Begin { id: "a".into(), model: "m".into() },
            Event::Reasoning("hm".into()),
            Event::ReasoningDone(Value::from("signed")),
            Event::Text("He".into()),
            Event::Text("llo".into()),
            call(0, "c0"),
            call(1, "c1"),
            arguments(1, "{\"b\":"),
            arguments(0, "{}"),
            arguments(1, "2}"),
            Event::Stop(Stop::ToolUse),
            Event::Usage(Usage { input: 3, output: 4, ..Usage::default() }),
        ];
        let whole = Completion::from_events(events.clone()).unwrap();
        assert_eq!(whole.text(), "Hello");
        assert_eq!((whole.stop, whole.usage.map(|usage| usage.total())), (Stop::ToolUse, Some(7)));
        let arguments: Vec<_> = whole
            .output
            .iter()
            .filter_map(|output| match output {
                Output::ToolCall(call) => Some((call.id.as_str(), call.arguments.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(arguments, [("c0", "{}"), ("c1", "{\"b\":2}")]);
        assert_eq!(whole.output[0], Output::Reasoning { text: "hm".into(), native: Some("signed".into()) });
        assert_eq!(Completion::from_events(events.into_iter().take(10)), None, "it never stopped");
    }
}
