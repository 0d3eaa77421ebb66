//! What an agent asks for, and on whose behalf.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toryo_domain::{Digest, Limits, Role, RunId, StepId, StepKey};

/// On whose behalf a model is called. All of it comes from the step's claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The run that pays.
    pub run_id: RunId,
    /// The step that asks.
    pub step_id: StepId,
    /// The step's address; sent as `x-toryo-step`.
    pub step_key: StepKey,
    /// Counted from 1.
    pub attempt: u32,
    /// The fencing token of the step's lease; a reply under an older one is not stored.
    pub fence: i64,
    /// The agent; sent as `x-toryo-agent`.
    pub agent: Role,
    /// Which call of the step it is, counted from 1, the same on every attempt: part of the journal's key.
    pub call_no: u32,
    /// What the run may use at most.
    pub limits: Limits,
}

/// A question to a model. The answer is asked for as JSON of one schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The route's alias, such as `coder`.
    pub route: String,
    /// What the reply has to look like.
    pub output: OutputSchema,
    /// The conversation, oldest first; not empty.
    pub messages: Vec<Message>,
    /// Tokens the visible answer may have; the route's own limit holds as well.
    pub max_output_tokens: u32,
    /// 0 to 2; `None` leaves it to the route. Not sent to models that refuse it.
    pub temperature: Option<f32>,
}

impl Request {
    /// What the journal knows a request by: SHA-256 over route, schema name and messages.
    ///
    /// The deployment behind the route, the schema's text and the sampling settings are left out on purpose: a
    /// change of the configuration between two attempts must not pay again for a reply that is already there.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // The first part changes when this list does.
        let mut parts = vec!["toryo model request 1", &self.route, &self.output.name];
        for message in &self.messages {
            parts.extend([message.role.as_str(), &message.content]);
        }
        Digest::of_parts(parts.into_iter().map(str::as_bytes))
    }
}

/// The name and the JSON Schema of a reply (design §5.2: the name is one of a fixed list).
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSchema {
    /// Such as `edit_set`.
    pub name: String,
    /// A strict schema: every object closed, every property required.
    pub schema: Value,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    pub content: String,
}

impl Message {
    /// Instructions.
    #[must_use]
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: MessageRole::System, content: content.into() }
    }

    /// The question.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: MessageRole::User, content: content.into() }
    }

    /// An earlier answer.
    #[must_use]
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: MessageRole::Assistant, content: content.into() }
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageRole {
    /// Instructions.
    System,
    /// The question.
    User,
    /// An earlier answer.
    Assistant,
}

impl MessageRole {
    /// As wires carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request() -> Request {
        Request {
            route: "coder".into(),
            output: OutputSchema { name: "edit_set".into(), schema: json!({"type": "object"}) },
            messages: vec![Message::system("You edit code."), Message::user("Make the range inclusive.")],
            max_output_tokens: 1000,
            temperature: Some(0.2),
        }
    }

    #[test]
    fn the_digest_is_stable_across_versions() {
        // A change of this value makes every journalled reply of a running step worthless.
        insta::assert_snapshot!(
            request().digest(),
            @"fa107e2957fccb5fca301e86bad5f3b4c4a12f16e6a7b0619d5f40b387cf27ae"
        );
    }

    #[test]
    fn the_digest_sees_what_the_model_sees_and_nothing_else() {
        let base = request().digest();
        let settings = Request { max_output_tokens: 9, temperature: None, ..request() };
        assert_eq!(settings.digest(), base);
        let route = Request { route: "planner".into(), ..request() };
        assert_ne!(route.digest(), base);
        let mut moved = request();
        moved.messages = vec![Message::system("You edit code.M"), Message::user("ake the range inclusive.")];
        assert_ne!(moved.digest(), base);
        let mut role = request();
        role.messages[1].role = MessageRole::Assistant;
        assert_ne!(role.digest(), base);
    }
}
