//! Plays a recording of the sample task, so that a newcomer without a key sees a whole run. Nothing is paid, and
//! every reply is marked as recorded.

use super::{Answer, Ask, ModelProvider, ProviderError, asking};
use crate::chat::{Completion, Format, Output, Stop};
use crate::error::Error;
use crate::reply::Usage;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use toryo_domain::StepKey;

/// Replies to the calls of one run on one commit.
#[derive(Debug, Clone)]
pub struct Replay {
    repository_commit: String,
    replies: HashMap<(StepKey, u32), Recorded>,
    pace: Duration,
}

#[derive(Debug, Clone)]
struct Recorded {
    name: String,
    content: String,
    usage: Usage,
}

/// The file: `{"repository_commit": "…", "replies": [{"step": "code:x", "call": 1, "name": "edit_set",
/// "reply": {…} or "text", "usage": {…}}]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    repository_commit: String,
    replies: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    step: StepKey,
    call: u32,
    name: String,
    reply: Value,
    #[serde(default)]
    usage: Usage,
}

impl Replay {
    /// Reads a recording.
    ///
    /// # Errors
    /// [`Error::Config`] says what is wrong with it.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let wrong = |what: String| Error::Config(format!("the recording cannot be read: {what}"));
        let file: File = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
        let mut replies = HashMap::new();
        for entry in file.replies {
            let content = match entry.reply {
                Value::String(text) => text,
                value => value.to_string(),
            };
            let (step, call) = (entry.step, entry.call);
            let recorded = Recorded { name: entry.name, content, usage: entry.usage };
            if call == 0 || replies.insert((step.clone(), call), recorded).is_some() {
                return Err(wrong(format!("call {call} of step {step} is there twice or is 0")));
            }
        }
        Ok(Self { repository_commit: file.repository_commit, replies, pace: Duration::ZERO })
    }

    /// Waits this long before each reply, so that people can follow.
    #[must_use]
    pub const fn paced(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    fn find(&self, ask: &Ask<'_>) -> Result<&Recorded, ProviderError> {
        let caller = ask.step.ok_or_else(|| ProviderError::unsupported("a call of no step"))?;
        let output = match &ask.chat.format {
            Format::JsonSchema { name, .. } => name.as_str(),
            Format::Text | Format::JsonObject => "",
        };
        self.replies
            .get(&(caller.step_key.clone(), caller.call_no))
            .filter(|recorded| recorded.name == output)
            .ok_or_else(|| ProviderError::NotRecorded {
                step: caller.step_key.to_string(),
                call_no: caller.call_no,
                output: output.to_owned(),
            })
    }
}

#[async_trait]
impl ModelProvider for Replay {
    async fn send(&self, ask: Ask<'_>) -> Result<Answer, ProviderError> {
        let recorded = self.find(&ask)?;
        tokio::time::sleep(self.pace).await;
        let completion = Completion {
            id: String::new(),
            model: "recording".to_owned(),
            output: vec![Output::Text(recorded.content.clone())],
            stop: Stop::End,
            usage: Some(recorded.usage),
        };
        Ok(asking::answer(completion, ask.stream))
    }

    fn recording_of(&self) -> Option<&str> {
        Some(&self.repository_commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{ProviderRequest, asked};
    use tokio::time::{Instant, timeout};

    #[test]
    fn a_recording_that_contradicts_itself_is_refused() {
        let entry = |step: &str, call: u32| {
            format!(r#"{{"step": "{step}", "call": {call}, "name": "plan", "reply": "x"}}"#)
        };
        let file = |entries: &[String]| {
            format!(r#"{{"repository_commit": "c", "replies": [{}]}}"#, entries.join(","))
        };
        assert!(Replay::from_json(&file(&[entry("plan", 1), entry("plan", 2)])).is_ok());
        for wrong in [
            file(&[entry("plan", 1), entry("plan", 1)]),
            file(&[entry("plan", 0)]),
            file(&[entry("dance", 1)]),
            file(&[]).replace("}", ", \"speed\": 1}"),
            String::new(),
        ] {
            let error = Replay::from_json(&wrong).unwrap_err();
            assert_eq!(error.class(), toryo_domain::FailureClass::Input, "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_paced_reply_takes_its_time_and_ends_when_nobody_waits() {
        let entry = r#"{"step": "plan", "call": 1, "name": "plan", "reply": "x"}"#;
        let json = format!(r#"{{"repository_commit": "c", "replies": [{entry}]}}"#);
        let replay = Replay::from_json(&json).unwrap().paced(Duration::from_secs(5));
        let question = plan_question();
        let started = Instant::now();
        assert!(timeout(Duration::from_secs(1), asked::reply(&replay, &question)).await.is_err());
        let reply = asked::reply(&replay, &question).await.unwrap();
        assert_eq!((reply.content.as_str(), started.elapsed()), ("x", Duration::from_secs(6)));
    }

    fn plan_question() -> ProviderRequest {
        use crate::config::StructuredOutput;
        use crate::request::{Caller, OutputSchema};
        use toryo_domain::{Limits, Role, RunId, StepId, StepKind};
        ProviderRequest {
            caller: Caller {
                run_id: RunId::generate(),
                step_id: StepId::generate(),
                step_key: StepKey::of_run(StepKind::Plan),
                attempt: 1,
                fence: 1,
                agent: Role::Planner,
                call_no: 1,
                limits: Limits::default(),
            },
            model: "m".into(),
            messages: Vec::new(),
            output: OutputSchema { name: "plan".into(), schema: Value::Null },
            structured_output: StructuredOutput::JsonSchema,
            max_output_tokens: 1,
            temperature: None,
        }
    }
}
