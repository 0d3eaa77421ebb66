//! What comes back from a model.

use serde::{Deserialize, Serialize};
use std::iter::Sum;
use std::ops::Add;
use std::time::Duration;
use toryo_domain::Usd;

/// A model's answer. The text is untrusted and not yet validated against the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer; empty at a refusal.
    pub content: String,
    /// Why the model stopped.
    pub finish: Finish,
    /// The tokens the answer took when it was made, also where it is replayed from the journal.
    pub usage: Usage,
    /// What this call added to the run's cost: nothing where `journalled` or `recorded`, and nothing where the
    /// model's price is not known.
    pub cost: Usd,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The model as the provider names it.
    pub model: String,
    /// From the first attempt to the answer, waits between attempts included.
    pub latency: Duration,
    /// It comes from the journal: nothing was paid.
    pub journalled: bool,
    /// It comes from a recording, not from a model; whatever follows from it is labelled as a replay.
    pub recorded: bool,
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason", content = "text")]
pub enum Finish {
    /// It was done.
    Stop,
    /// It ran into the limit of tokens: the content is cut.
    Length,
    /// It declined, with its words.
    Refusal(String),
    /// The provider's filter stopped it.
    ContentFilter,
}

/// Tokens of one call, as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: u64,
    /// Tokens of the prompt that the provider had cached.
    pub cached_input: u64,
    /// Tokens of the prompt that the provider put into its cache for this call, where it charges for that.
    pub cache_write: u64,
    /// Tokens of the answer, hidden reasoning included.
    pub output: u64,
    /// Tokens of hidden reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// In and out together: what counts against a run's limit.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}
