//! Pause, other limits, forks: what people ask of a run on its way, and the replies.

use crate::Config;
use crate::problem::{FieldError, Problem};
use crate::wire::actions::optional_text;
use crate::wire::runs::RunLinks;
use crate::wire::tasks::LimitsRequest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toryo_domain::{RunId, StepKey, Usd, Variant};
use toryo_engine::control::{Fork, LimitChange};
use utoipa::ToSchema;

/// Longest text of a prompt, in bytes.
const LONGEST_PROMPT: usize = 64 * 1024;
/// Most routes, and most prompts, of one fork.
const MOST: usize = 20;
/// Longest name of a route, a role or a prompt, in characters.
const LONGEST_NAME: usize = 80;

/// Makes a run stand still.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Why; for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Continues a run from a step as a new one. What stands before the step is shared and not paid again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFork {
    /// The first step that is executed anew.
    #[schema(value_type = String, example = "code:parse-dates")]
    pub at: StepKey,
    /// Other model routes: from an agent's role or a route's alias to another alias.
    #[serde(default)]
    #[schema(example = json!({ "coder": "planner" }))]
    pub routes: BTreeMap<String, String>,
    /// Other prompts: from a prompt's name to the whole text of its file.
    #[serde(default)]
    pub prompts: BTreeMap<String, String>,
    /// A message to the agents.
    #[serde(default)]
    pub message: Option<String>,
}

/// The reply to a fork that is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct Forked {
    /// The new run.
    #[schema(value_type = String, format = Uuid)]
    pub run_id: RunId,
    /// The run it comes from.
    #[schema(value_type = String, format = Uuid)]
    pub fork_of: RunId,
    /// Where the new run is, and the page that shows both side by side.
    pub links: ForkLinks,
}

/// Where a fork is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForkLinks {
    /// The new run's addresses.
    #[serde(flatten)]
    pub run: RunLinks,
    /// The page that shows both runs side by side.
    pub compare: String,
}

impl Forked {
    /// Of this run, from that one.
    #[must_use]
    pub fn of(run: RunId, from: RunId) -> Self {
        let compare = format!("/ui/runs/{from}/compare/{run}");
        Self { run_id: run, fork_of: from, links: ForkLinks { run: RunLinks::of(run), compare } }
    }
}

/// New limits, checked against what the operator allows.
///
/// # Errors
/// A limit is beyond it.
pub fn limits(pointer: &str, wanted: &LimitsRequest, config: &Config) -> Result<LimitChange, Problem> {
    let most = config.max_limits;
    let mut errors = Vec::new();
    let mut within = |name: &str, ok: bool, most: String| {
        if !ok {
            errors.push(FieldError::at(
                format!("{pointer}/{name}"),
                format!("at most {most} is accepted, and more than nothing"),
            ));
        }
    };
    let usd = wanted.usd.map(|dollars| Usd::from_dollars(dollars).unwrap_or_default());
    within("usd", usd.is_none_or(|usd| usd > Usd::ZERO && usd <= most.usd), most.usd.dollars().to_string());
    let tokens = wanted.tokens.is_none_or(|tokens| (1..=most.tokens).contains(&tokens));
    within("tokens", tokens, most.tokens.to_string());
    let minutes = wanted.minutes.is_none_or(|minutes| (1..=most.minutes).contains(&minutes));
    within("minutes", minutes, most.minutes.to_string());
    let loops = wanted.repair_loops.is_none_or(|loops| loops <= most.repair_loops);
    within("repair_loops", loops, most.repair_loops.to_string());
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let LimitsRequest { tokens, minutes, repair_loops, .. } = wanted.clone();
    Ok(LimitChange { usd, tokens, minutes, repair_loops })
}

impl NewFork {
    /// What the engine is asked for.
    ///
    /// # Errors
    /// A name or text is too long, or there are too many.
    pub fn check(self) -> Result<Fork, Problem> {
        let mut errors = Vec::new();
        for (field, map, longest) in
            [("routes", &self.routes, LONGEST_NAME), ("prompts", &self.prompts, LONGEST_PROMPT)]
        {
            if map.len() > MOST {
                errors.push(FieldError::at(format!("/{field}"), format!("at most {MOST} are accepted")));
            }
            for (name, text) in map {
                let fits =
                    (1..=LONGEST_NAME).contains(&name.chars().count()) && (1..=longest).contains(&text.len());
                if !fits {
                    errors.push(FieldError::at(format!("/{field}"), "a name or a text is blank or too long"));
                }
            }
        }
        let message = optional_text("/message", self.message.as_deref())?;
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        Ok(Fork { at: self.at, variant: Variant { routes: self.routes, prompts: self.prompts }, message })
    }
}
