//! A schema for models that know functions only: one function that has to be called, its arguments being the answer.
//! Here the answer is turned back into text, so that nobody sees how it was had.

use crate::chat::{Chat, Completion, Event, Format, Output, Stop};
use crate::provider::ProviderError;

/// Refuses what cannot be had together: a forced function leaves no room for others.
pub(super) fn check(chat: &Chat) -> Result<(), ProviderError> {
    if chat.tools.is_empty() {
        return Ok(());
    }
    Err(ProviderError::unsupported("a JSON schema together with tools"))
}

/// What a function may be called: schemas' names may hold more than functions' names.
pub(super) fn name(format: &Format) -> Option<String> {
    let Format::JsonSchema { name, .. } = format else { return None };
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().take(64).map(allowed).collect();
    Some(if name.is_empty() { "answer".to_owned() } else { name })
}

/// The arguments of the call become the text. Words beside it are dropped: they belong to no JSON.
pub(super) fn unwrap(mut completion: Completion) -> Completion {
    let call = completion.output.iter_mut().find_map(|output| match output {
        Output::ToolCall(call) => Some(std::mem::take(&mut call.arguments)),
        Output::Text(_) | Output::Refusal(_) | Output::Reasoning { .. } => None,
    });
    let Some(arguments) = call else { return completion };
    completion.output.retain(|output| matches!(output, Output::Reasoning { .. }));
    completion.output.push(Output::Text(arguments));
    if completion.stop == Stop::ToolUse {
        completion.stop = Stop::End;
    }
    completion
}

/// The same for a stream.
#[derive(Debug, Default)]
pub(super) struct Unwrapping {
    called: bool,
    /// Words before the call; the answer where no call comes.
    words: String,
}

impl Unwrapping {
    pub(super) fn events(&mut self, events: Vec<Event>) -> Vec<Event> {
        events.into_iter().flat_map(|event| self.event(event)).collect()
    }

    fn event(&mut self, event: Event) -> Vec<Event> {
        match event {
            Event::ToolCall { .. } => {
                self.called = true;
                Vec::new()
            }
            // The first call is the answer.
            Event::Arguments { index: 0, json } => vec![Event::Text(json)],
            Event::Arguments { .. } => Vec::new(),
            Event::Text(more) => {
                if !self.called {
                    self.words.push_str(&more);
                }
                Vec::new()
            }
            Event::Stop(stop) if self.called => {
                vec![Event::Stop(if stop == Stop::ToolUse { Stop::End } else { stop })]
            }
            Event::Stop(stop) => vec![Event::Text(std::mem::take(&mut self.words)), Event::Stop(stop)],
            Event::Begin { .. }
            | Event::Refusal(_)
            | Event::Reasoning(_)
            | Event::ReasoningDone(_)
            | Event::Usage(_) => vec![event],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(index: usize) -> Event {
        Event::ToolCall { index, id: "c".into(), name: "plan".into() }
    }

    fn text_of(events: Vec<Event>) -> (String, Stop) {
        let whole = Completion::from_events(Unwrapping::default().events(events.clone())).unwrap();
        let unwrapped = unwrap(Completion::from_events(events).unwrap());
        assert_eq!(
            (whole.text(), &whole.stop),
            (unwrapped.text(), &unwrapped.stop),
            "whole and stream agree"
        );
        (whole.text(), whole.stop)
    }

    #[test]
    fn the_arguments_are_the_answer() {
        let piece = |index, json: &str| Event::Arguments { index, json: json.into() };
        let events = vec![
            Event::Text("Here:".into()),
            call(0),
            piece(0, "{\"a\""),
            call(1),
            piece(1, "{}"),
            piece(0, ":1}"),
            Event::Stop(Stop::ToolUse),
        ];
        assert_eq!(text_of(events), ("{\"a\":1}".into(), Stop::End));
        let cut = vec![call(0), piece(0, "{\"a"), Event::Stop(Stop::Length)];
        assert_eq!(text_of(cut), ("{\"a".into(), Stop::Length));
    }

    #[test]
    fn words_without_a_call_stay_words() {
        let events = vec![Event::Text("I ".into()), Event::Text("think".into()), Event::Stop(Stop::End)];
        assert_eq!(text_of(events), ("I think".into(), Stop::End));
    }

    #[test]
    fn a_function_is_called_what_functions_may_be_called() {
        let format = |name: &str| Format::JsonSchema {
            name: name.into(),
            description: None,
            schema: serde_json::Value::Null,
            strict: None,
        };
        assert_eq!(name(&format("edit set.v1")).as_deref(), Some("edit_set_v1"));
        assert_eq!(name(&format("")).as_deref(), Some("answer"));
        assert_eq!(name(&Format::Text), None);
    }
}
