//! What people ask of a run, and the reply.

use crate::extract::Object;
use crate::problem::{FieldError, Problem};
use crate::sanitise::sanitise;
use crate::wire::schemas;
use crate::wire::tasks::LimitsRequest;
use serde::{Deserialize, Serialize};
use toryo_domain::{Gate, RunId, RunStatus, StepKey};
use toryo_engine::control::Seen;
use utoipa::ToSchema;

/// Longest message, reason or comment, in characters.
const LONGEST_TEXT: usize = 16_384;
/// Longest name of an author, in characters.
const LONGEST_AUTHOR: usize = 100;
/// Who acts where nobody is named: without accounts there is one operator.
pub const OPERATOR: &str = "operator";

/// Ends a run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Why; for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Lets a stopped or paused run go on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// New limits of the whole run. Where none is named, a run that hit a limit gets as much once more.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub limits: Option<Object<LimitsRequest>>,
}

/// Tries failed steps again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Only this step; all that failed where it is not named.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "code:parse-dates#2")]
    pub step_key: Option<StepKey>,
    /// This step once more, whatever came of it, and everything that follows on it; what is upstream is kept.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "code:parse-dates")]
    pub from: Option<StepKey>,
}

/// Approves or rejects what a run waits with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What the agents should heed. A rejection with a comment causes another round; one without ends the run.
    #[serde(default)]
    pub comment: Option<String>,
    /// The gate that was decided about. A run that waits at another one refuses with 409, so a repeated approval never
    /// opens the next gate.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "plan")]
    pub gate: Option<Gate>,
    /// The round of that gate, as `gate_round` of the run shows it.
    #[serde(default)]
    pub round: Option<u32>,
}

impl Decision {
    /// What was decided about.
    #[must_use]
    pub const fn seen(&self) -> Seen {
        Seen { gate: self.gate, round: self.round }
    }
}

/// A message to the agents of a run; in a run that waits for input it answers the open questions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// The text, at most 16,384 characters.
    #[schema(min_length = 1, max_length = 16384)]
    pub body: String,
    /// Who writes.
    #[serde(default)]
    pub author: Option<String>,
}

/// Where the run stands after it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionResult {
    /// The run.
    #[schema(value_type = String, format = Uuid)]
    pub run_id: RunId,
    /// Its status.
    #[schema(schema_with = schemas::run_status)]
    pub status: RunStatus,
}

/// A text that may be left out; blank is as good as left out.
///
/// # Errors
/// It is too long.
pub fn optional_text(pointer: &str, text: Option<&str>) -> Result<Option<String>, Problem> {
    let text = text.map(sanitise).filter(|text| !text.is_empty());
    match &text {
        Some(long) if long.chars().count() > LONGEST_TEXT => {
            Err(Problem::invalid(vec![too_long(pointer, LONGEST_TEXT)]))
        }
        _ => Ok(text),
    }
}

fn too_long(pointer: &str, most: usize) -> FieldError {
    FieldError::at(pointer, format!("at most {most} characters are accepted"))
}

impl NewMessage {
    /// Author and text, checked.
    ///
    /// # Errors
    /// The text is blank or too long.
    pub fn check(&self) -> Result<(String, String), Problem> {
        let body = optional_text("/body", Some(&self.body))?
            .ok_or_else(|| Problem::invalid(vec![FieldError::at("/body", "the message is blank")]))?;
        let author = self.author.as_deref().map(sanitise).filter(|author| !author.is_empty());
        let author = author.unwrap_or_else(|| OPERATOR.to_owned());
        if author.chars().count() > LONGEST_AUTHOR {
            return Err(Problem::invalid(vec![too_long("/author", LONGEST_AUTHOR)]));
        }
        Ok((author, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_message_is_refused_and_a_blank_comment_is_none() {
        let message = NewMessage { body: " \u{0}<br>\n".into(), author: None };
        assert_eq!(message.check().unwrap_err().errors[0].pointer, "/body");
        assert_eq!(optional_text("/comment", Some("  ")).unwrap(), None);
        assert!(optional_text("/comment", Some(&"x".repeat(LONGEST_TEXT + 1))).is_err());
        let named = NewMessage { body: "yes".into(), author: Some(" Aya ".into()) };
        assert_eq!(named.check().unwrap(), ("Aya".to_owned(), "yes".to_owned()));
    }
}
