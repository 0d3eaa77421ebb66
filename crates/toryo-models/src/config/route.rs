//! Routes as they are written: an alias, the deployments behind it, and what happens when one of them fails.

use super::{Aws, Price, StructuredOutput};
use crate::mask::Masking;
use serde::{Deserialize, Serialize};

/// A route as it was written. What describes a deployment stands at the route itself where there is only one, and
/// counts for every entry of `deployments` that does not say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// The endpoint's name. Default `openai`.
    pub provider: String,
    /// The model, as the endpoint names it. Needed where there are no `deployments`.
    pub model: String,
    /// How it is told to answer in JSON. Default `json_schema`.
    pub structured_output: StructuredOutput,
    /// Output tokens of one call at most. Default from the price table, else 8,192.
    pub max_output_tokens: Option<u32>,
    /// Tokens added for hidden reasoning. Default 16,384 for models that reason, else none.
    pub reasoning_tokens: Option<u32>,
    /// 0 to 2, in place of what agents ask for. Never sent to models that refuse it.
    pub temperature: Option<f32>,
    /// Dollars a million tokens. Default from the price table, else unknown: such calls count as $0.
    pub price: Option<Price>,
    /// Tokens the model takes, in and out. Default from the price table, else unknown.
    pub context_tokens: Option<u32>,
    /// Several deployments that answer alike: other regions, accounts or providers of one model.
    pub deployments: Vec<Endpoint>,
    /// Which of them is asked first.
    pub strategy: Strategy,
    /// Requests for one call at most on this route, the first included. Default `models.retry.attempts`, or 2 where
    /// there are fallbacks.
    pub attempts: Option<u32>,
    /// Other routes, by what went wrong here.
    pub fallbacks: Fallbacks,
    /// The route that is used instead while less than a tenth of a budget of the caller is left.
    pub downgrade_to: Option<String>,
    /// How long an answer may take.
    pub time: TimeLimits,
    /// Asks a second deployment where the first has not begun to answer after this many milliseconds; the first to
    /// answer counts, the other is dropped. Both may be charged. Default: never.
    pub hedge_after_ms: Option<u64>,
    /// What happens to a request beyond the caller's limits of requests and tokens a minute.
    pub at_limit: AtLimit,
    /// Longest wait at such a limit, in seconds. Default 30.
    pub wait_seconds: u64,
    /// Tokens of a prompt at most, by a careful guess; longer ones are refused before anything is sent.
    pub max_prompt_tokens: Option<u64>,
    /// Dollars that one call may cost at most; dearer ones are refused before anything is sent.
    pub max_call_usd: Option<toryo_domain::Usd>,
    /// Whether secrets and personal data are replaced by placeholders before a question leaves, and come back in its
    /// answer. A route whose fallbacks mask masks as well. Agents that edit files need `restore`. Default `off`.
    pub mask: Masking,
    /// Keeps answers to clients for equal questions. Default: none are kept.
    pub cache: Option<RouteCache>,
    /// What is kept of the words of clients' questions and their answers, for whoever looks into a call later. Default:
    /// nothing.
    pub words: KeepWords,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            provider: super::open_ai_name(),
            model: String::new(),
            structured_output: StructuredOutput::default(),
            max_output_tokens: None,
            reasoning_tokens: None,
            temperature: None,
            price: None,
            context_tokens: None,
            deployments: Vec::new(),
            strategy: Strategy::default(),
            attempts: None,
            fallbacks: Fallbacks::default(),
            downgrade_to: None,
            time: TimeLimits::default(),
            hedge_after_ms: None,
            at_limit: AtLimit::default(),
            wait_seconds: 30,
            max_prompt_tokens: None,
            max_call_usd: None,
            mask: Masking::Off,
            cache: None,
            words: KeepWords::default(),
        }
    }
}

impl Route {
    /// This model of the provider `openai`, everything else by default.
    #[must_use]
    pub fn to(model: impl Into<String>) -> Self {
        Self { model: model.into(), ..Self::default() }
    }
}

/// One of several deployments behind a route. What is not said counts as the route says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoint {
    /// How logs and the ledger call it. Default: provider, model and region.
    pub name: Option<String>,
    /// The endpoint's name. Default: the route's.
    pub provider: Option<String>,
    /// The model, as the endpoint names it. Default: the route's.
    pub model: Option<String>,
    /// Its share of requests under `simple_shuffle`, from 0. Default 1.
    pub weight: u32,
    /// Deployments of a lower order are asked first; higher ones only where none of those can answer. Default 1.
    pub order: u32,
    /// Requests a minute that the provider allows.
    pub rpm: Option<u32>,
    /// Tokens a minute that the provider allows.
    pub tpm: Option<u64>,
    /// Requests at once that it serves well; for the strategies that look at load. Default 10.
    pub capacity: u32,
    /// Where it is, for region pinning and the ledger. Default: the region of `aws`.
    pub region: Option<String>,
    /// Free words that callers may ask for.
    pub tags: Vec<String>,
    /// What it is best at, for the strategy `scored`.
    pub specialisation: Option<Specialisation>,
    /// Dollars a million tokens.
    pub price: Option<Price>,
    /// How it is told to answer in JSON.
    pub structured_output: Option<StructuredOutput>,
    /// Output tokens of one call at most.
    pub max_output_tokens: Option<u32>,
    /// Tokens the model takes, in and out.
    pub context_tokens: Option<u32>,
    /// Where and as whom Bedrock is called.
    pub aws: Option<Aws>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            name: None,
            provider: None,
            model: None,
            weight: 1,
            order: 1,
            rpm: None,
            tpm: None,
            capacity: 10,
            region: None,
            tags: Vec::new(),
            specialisation: None,
            price: None,
            structured_output: None,
            max_output_tokens: None,
            context_tokens: None,
            aws: None,
        }
    }
}

/// Which deployment of a route is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By chance, in proportion to the weights.
    #[default]
    SimpleShuffle,
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests under way in proportion to its capacity.
    LeastBusy,
    /// The one that lately began to answer soonest.
    Latency,
    /// The cheapest for this request.
    LowestCost,
    /// The one with the most head-room below its requests and tokens a minute.
    Usage,
    /// By success, speed, load and fitness for the kind of work together.
    Scored,
    /// By the models' quality, speed and price together.
    Auto,
}

/// What a deployment is best at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Specialisation {
    /// Writes code.
    CodeGenerator,
    /// Looks for weaknesses.
    SecurityScanner,
    /// Looks for slowness.
    PerformanceTester,
}

/// Other routes, in order, by what went wrong. A route that was tried for a call is not tried again for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fallbacks {
    /// The prompt does not fit into the model.
    pub context_window: Vec<String>,
    /// The provider's rules forbid the question or the answer.
    pub content_policy: Vec<String>,
    /// Too many requests, or the account is used up.
    pub rate_limit: Vec<String>,
    /// Everything else that another model may do better; after the lists above.
    pub any: Vec<String>,
}

impl Fallbacks {
    /// Every route that is named.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        [&self.context_window, &self.content_policy, &self.rate_limit, &self.any].into_iter().flatten()
    }
}

/// How long an answer may take, in seconds. The time to connect is the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeLimits {
    /// To the first piece of a streamed answer. Default 120.
    pub first_token_seconds: u64,
    /// Between two pieces. Default 60.
    pub between_tokens_seconds: u64,
    /// One whole answer. Default: the provider's `timeout_seconds`.
    pub answer_seconds: Option<u64>,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self { first_token_seconds: 120, between_tokens_seconds: 60, answer_seconds: None }
    }
}

/// What is kept of the words of questions and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepWords {
    /// Which words.
    pub log: PromptLog,
    /// For how many days. Default 30.
    pub days: u32,
}

impl Default for KeepWords {
    fn default() -> Self {
        Self { log: PromptLog::default(), days: 30 }
    }
}

/// Which words of questions and answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptLog {
    /// None.
    #[default]
    None,
    /// Those without secrets and personal data.
    Masked,
    /// All.
    Full,
}

impl PromptLog {
    /// As tables name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Masked => "masked",
            Self::Full => "full",
        }
    }
}

/// How a route keeps answers. Answers of one team are never given to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteCache {
    /// How long an answer counts, in seconds. Default 600.
    pub ttl_seconds: u64,
    /// Gives the answer to a similar last message as well, where the cosine of the two messages' vectors is at least
    /// this and everything else of the conversation is equal; needs `models.embeddings`. 0.5 to 1; sensible values are
    /// above 0.95. Default: equal questions only.
    pub semantic_threshold: Option<f32>,
}

impl Default for RouteCache {
    fn default() -> Self {
        Self { ttl_seconds: 600, semantic_threshold: None }
    }
}

/// What happens to a request beyond the caller's limits of requests and tokens a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtLimit {
    /// It waits for its turn, by priority.
    #[default]
    Wait,
    /// It gets 429 with `Retry-After`.
    Refuse,
}
