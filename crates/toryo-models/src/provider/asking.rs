//! Between what agents ask ([`Request`], [`ProviderRequest`]) and what providers answer ([`Chat`], [`Completion`]).

use super::{Answer, Ask, Piece, ProviderReply, ProviderRequest, Whole};
use crate::chat::{Chat, Completion, Event, Format, Output, Part, Sampling, Stop, Turn};
use crate::reply::Finish;
use crate::request::{Caller, Message, MessageRole, OutputSchema, Request};
use serde_json::Value;
use toryo_domain::{Limits, Role, RunId, StepId, StepKey, StepKind};

/// An agent's question in neutral words. The limit of tokens is the caller's matter ([`Ask::max_output_tokens`]).
#[must_use]
pub fn chat_of(request: &Request) -> Chat {
    chat(&request.messages, &request.output, request.temperature)
}

fn chat(messages: &[Message], output: &OutputSchema, temperature: Option<f32>) -> Chat {
    Chat {
        turns: messages.iter().map(turn).collect(),
        format: Format::JsonSchema {
            name: output.name.clone(),
            description: None,
            schema: output.schema.clone(),
            strict: Some(true),
        },
        sampling: Sampling { temperature, ..Sampling::default() },
        ..Chat::default()
    }
}

fn turn(message: &Message) -> Turn {
    let mut parts = vec![Part::Text(message.content.clone())];
    match message.role {
        // An agent's instructions are long and the same for every step: worth keeping at a provider that wants to be
        // told so.
        MessageRole::System => {
            parts.push(Part::CachePoint);
            Turn::System(parts)
        }
        MessageRole::User => Turn::User(parts),
        MessageRole::Assistant => Turn::Assistant { parts, tool_calls: Vec::new() },
    }
}

/// What an agent gets of an answer.
#[must_use]
pub fn reply_of(completion: Completion) -> ProviderReply {
    let words = |want_refusal: bool| -> String {
        let words = completion.output.iter().filter_map(|output| match output {
            Output::Text(text) if !want_refusal => Some(text.as_str()),
            Output::Refusal(text) if want_refusal => Some(text.as_str()),
            Output::Text(_) | Output::Refusal(_) | Output::ToolCall(_) | Output::Reasoning { .. } => None,
        });
        words.collect()
    };
    let (content, finish) = match &completion.stop {
        Stop::End | Stop::Sequence(_) | Stop::ToolUse => (words(false), Finish::Stop),
        Stop::Length => (words(false), Finish::Length),
        Stop::ContentFilter | Stop::Guardrail(_) => (words(false), Finish::ContentFilter),
        Stop::Refusal => {
            // Not every provider tells the words of a refusal from others.
            let said = Some(words(true)).filter(|said| !said.is_empty());
            (String::new(), Finish::Refusal(said.unwrap_or_else(|| words(false))))
        }
    };
    ProviderReply { content, finish, usage: completion.usage.unwrap_or_default(), model: completion.model }
}

/// A completion that is there already, as the caller wants it.
pub(crate) fn answer(completion: Completion, stream: bool) -> Answer {
    if !stream {
        return Answer::Whole(Whole { completion, native: None });
    }
    let events = events_of(completion).into_iter();
    let pieces = events.map(|event| Ok(Piece { events: vec![event], native: None }));
    Answer::Stream(Box::pin(futures::stream::iter(pieces)))
}

pub(super) fn events_of(completion: Completion) -> Vec<Event> {
    let mut events = vec![Event::Begin { id: completion.id, model: completion.model }];
    let mut calls = 0;
    for output in completion.output {
        match output {
            Output::Text(text) => events.push(Event::Text(text)),
            Output::Refusal(text) => events.push(Event::Refusal(text)),
            Output::Reasoning { text, native } => {
                events.push(Event::Reasoning(text));
                events.extend(native.map(Event::ReasoningDone));
            }
            Output::ToolCall(call) => {
                events.push(Event::ToolCall { index: calls, id: call.id, name: call.name });
                events.push(Event::Arguments { index: calls, json: call.arguments });
                calls += 1;
            }
        }
    }
    events.push(Event::Stop(completion.stop));
    events.extend(completion.usage.map(Event::Usage));
    events
}

/// A question as the fake remembers it. One of no step gets a caller of its own; what agents do not ask is left out.
pub(super) fn request_of(ask: &Ask<'_>) -> ProviderRequest {
    let nobody = || Caller {
        run_id: RunId::generate(),
        step_id: StepId::generate(),
        step_key: StepKey::of_run(StepKind::Plan),
        attempt: 1,
        fence: 1,
        agent: Role::Planner,
        call_no: 1,
        limits: Limits::default(),
    };
    let message = |turn: &Turn| {
        let texts = turn.parts().iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let role = match turn {
            Turn::System(_) => MessageRole::System,
            Turn::User(_) | Turn::Tool { .. } => MessageRole::User,
            Turn::Assistant { .. } => MessageRole::Assistant,
        };
        Message { role, content: texts.collect() }
    };
    let output = match &ask.chat.format {
        Format::JsonSchema { name, schema, .. } => {
            OutputSchema { name: name.clone(), schema: schema.clone() }
        }
        Format::Text | Format::JsonObject => OutputSchema { name: String::new(), schema: Value::Null },
    };
    ProviderRequest {
        caller: ask.step.cloned().unwrap_or_else(nobody),
        model: ask.model.to_owned(),
        messages: ask.chat.turns.iter().map(message).collect(),
        output,
        structured_output: ask.structured_output,
        max_output_tokens: ask.max_output_tokens,
        temperature: ask.chat.sampling.temperature.filter(|_| ask.takes_temperature),
    }
}

/// An agent's reply as any caller may see it.
pub(super) fn completion_of(reply: ProviderReply) -> Completion {
    let (output, stop) = match reply.finish {
        Finish::Stop => (Output::Text(reply.content), Stop::End),
        Finish::Length => (Output::Text(reply.content), Stop::Length),
        Finish::ContentFilter => (Output::Text(reply.content), Stop::ContentFilter),
        Finish::Refusal(words) => (Output::Refusal(words), Stop::Refusal),
    };
    let usage = Some(reply.usage);
    Completion { id: String::new(), model: reply.model, output: vec![output], stop, usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_words_whatever_the_provider_calls_them() {
        for said in [Output::Refusal("No.".into()), Output::Text("No.".into())] {
            let completion = Completion {
                id: String::new(),
                model: "m".into(),
                output: vec![said],
                stop: Stop::Refusal,
                usage: None,
            };
            let reply = reply_of(completion);
            assert_eq!((reply.content.as_str(), reply.finish), ("", Finish::Refusal("No.".into())));
        }
    }
}
