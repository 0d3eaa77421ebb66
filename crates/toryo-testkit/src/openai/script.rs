//! Which answer a request gets: by its step and by how many requests of that step came before.

use super::answer::{Answer, Usage};
use super::recorded::SeenRequest;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

type ByFunction = dyn Fn(&SeenRequest, usize) -> Option<Answer> + Send + Sync;

/// The answers of a server.
#[derive(Default)]
pub struct Script {
    by_step: BTreeMap<String, Vec<Answer>>,
    by_function: Option<Box<ByFunction>>,
}

impl Script {
    /// Answers nothing: every request is a violation.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next answer to a step such as `code:parse-dates#2`.
    #[must_use]
    pub fn on(mut self, step: impl Into<String>, answer: Answer) -> Self {
        self.by_step.entry(step.into()).or_default().push(answer);
        self
    }

    /// Answers what the steps' own answers leave open. The function sees the request and how many requests of the
    /// same step came before it; `None` makes the request a violation.
    #[must_use]
    pub fn otherwise(
        mut self,
        answer: impl Fn(&SeenRequest, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        self.by_function = Some(Box::new(answer));
        self
    }

    /// Plays a recording, in the format of the replay provider.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn from_recording(json: &str) -> Result<Self, String> {
        let mut recording: Recording = serde_json::from_str(json).map_err(|error| error.to_string())?;
        recording.replies.sort_by(|a, b| (&a.step, a.call).cmp(&(&b.step, b.call)));
        let mut script = Self::new();
        for recorded in recording.replies {
            let next = script.by_step.get(&recorded.step).map_or(1, |answers| answers.len() + 1);
            if recorded.call != next {
                return Err(format!("step `{}`: call {} is not call {next}", recorded.step, recorded.call));
            }
            let content = match recorded.reply {
                Value::String(text) => text,
                value => value.to_string(),
            };
            script = script.on(recorded.step, Answer::text(content).with_usage(recorded.usage));
        }
        Ok(script)
    }

    /// The answer to a request that `before` others of its step preceded.
    pub(super) fn answer(&self, request: &SeenRequest, before: usize) -> Option<Answer> {
        let own = self.by_step.get(&request.step).and_then(|answers| answers.get(before)).cloned();
        own.or_else(|| self.by_function.as_ref()?(request, before))
    }

    /// What is left of the steps' own answers after these numbers of requests.
    pub(super) fn unused(&self, asked: &BTreeMap<String, usize>) -> Vec<String> {
        let left = |step: &String, answers: &Vec<Answer>| {
            let asked = asked.get(step).copied().unwrap_or(0);
            (asked..answers.len()).map(|n| format!("{step} (call {})", n + 1)).collect::<Vec<_>>()
        };
        self.by_step.iter().flat_map(|(step, answers)| left(step, answers)).collect()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("by_step", &self.by_step).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    #[expect(dead_code, reason = "part of the format; this server plays it for any repository")]
    repository_commit: String,
    replies: Vec<RecordedReply>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedReply {
    step: String,
    call: usize,
    #[expect(dead_code, reason = "part of the format; the request names the schema it wants")]
    name: String,
    reply: Value,
    #[serde(default)]
    usage: Usage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_played_in_the_order_of_its_calls() {
        let json = r#"{"repository_commit": "abc", "replies": [
            {"step": "plan", "call": 2, "name": "plan", "reply": "second"},
            {"step": "plan", "call": 1, "name": "plan", "reply": {"b": 1, "a": 2}, "usage": {"input": 7}}]}"#;
        let script = Script::from_recording(json).unwrap();
        let request = SeenRequest { step: "plan".into(), ..SeenRequest::default() };
        let Some(Answer::Text { content, usage, .. }) = script.answer(&request, 0) else { panic!("no text") };
        assert_eq!((content.as_str(), usage.input), (r#"{"b":1,"a":2}"#, 7));
        assert!(script.answer(&request, 2).is_none());
        assert_eq!(script.unused(&BTreeMap::from([("plan".into(), 1)])), ["plan (call 2)"]);
    }

    #[test]
    fn a_recording_with_a_gap_or_a_repeat_is_refused() {
        for calls in ["1, 3", "1, 1", "2, 3"] {
            let (a, b) = calls.split_once(", ").unwrap();
            let reply = |call| format!(r#"{{"step": "plan", "call": {call}, "name": "plan", "reply": "x"}}"#);
            let json = format!(r#"{{"repository_commit": "", "replies": [{}, {}]}}"#, reply(a), reply(b));
            assert!(Script::from_recording(&json).is_err(), "{calls}");
        }
    }
}
