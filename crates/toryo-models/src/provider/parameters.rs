//! Which parameters a provider's wire knows, of those that not all dialects share: the one table of them.
//!
//! A parameter that the wire does not know under the meaning of the client's dialect is refused by name before
//! anything is sent, so that nobody takes an answer for what it is not. What has an equivalent is translated: in the
//! neutral words of [`chat`](crate::chat), or by the provider that finds it in [`extra`].

use super::ProviderError;
use crate::chat::Chat;
use crate::inbound::Dialect;
use serde_json::{Map, Value};

/// What a provider speaks, as far as parameters go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// Chat completions of OpenAI itself, or of Azure.
    OpenAi,
    /// Chat completions of anybody else, with what open servers add to them.
    Compatible,
    /// Anthropic's messages.
    Anthropic,
    /// Bedrock's Converse, by the family of its model.
    BedrockClaude,
    BedrockNova,
    BedrockMistral,
    BedrockGpt,
    Bedrock,
}

use Wire::{Anthropic, Bedrock, BedrockClaude, BedrockGpt, BedrockMistral, BedrockNova, Compatible, OpenAi};

/// Chat completions of everybody.
const COMPLETIONS: &[Wire] = &[OpenAi, Compatible];
/// Converse of every family.
const CONVERSE: &[Wire] = &[BedrockClaude, BedrockNova, BedrockMistral, BedrockGpt, Bedrock];
/// Every wire whose models are Anthropic's.
const CLAUDE: &[Wire] = &[Anthropic, BedrockClaude];

/// Who knows a parameter under the same name, or an equivalent of it. A client of the wire's own dialect needs no row.
const KNOWN: &[(&str, &[&[Wire]])] = &[
    ("seed", &[COMPLETIONS]),
    ("presence_penalty", &[COMPLETIONS]),
    ("frequency_penalty", &[COMPLETIONS]),
    ("top_k", &[&[Compatible, BedrockNova, BedrockMistral], CLAUDE]),
    ("logit_bias", &[COMPLETIONS]),
    ("prediction", &[COMPLETIONS]),
    ("reasoning_effort", &[COMPLETIONS, &[BedrockGpt]]),
    ("verbosity", &[COMPLETIONS]),
    ("min_p", &[&[Compatible]]),
    ("repetition_penalty", &[&[Compatible]]),
    ("anthropic_beta", &[CLAUDE]),
    ("container", &[&[Anthropic]]),
    ("context_management", &[CLAUDE]),
    ("inference_geo", &[&[Anthropic]]),
    ("mcp_servers", &[&[Anthropic]]),
    ("output_config", &[&[Anthropic]]),
    ("thinking", &[CLAUDE]),
];

/// As [`KNOWN`], for names to which OpenAI's dialects and Anthropic's give different meanings: those of OpenAI's.
const KNOWN_OF_OPENAI: &[(&str, &[&[Wire]])] = &[
    // Pairs of texts, kept with the request.
    ("metadata", &[COMPLETIONS, CONVERSE]),
    // `flex`, `priority`.
    ("service_tier", &[COMPLETIONS, CONVERSE]),
];

/// Parameters that add to the answer what neutral words cannot carry: lost at every translation, whoever answers.
const OF_THE_ANSWER: [&str; 7] =
    ["audio", "echo", "logprobs", "modalities", "n", "prompt_logprobs", "top_logprobs"];

impl Wire {
    /// What Bedrock speaks to a model, by its name or the name of its inference profile.
    pub(super) fn of_bedrock(model: &str) -> Self {
        let families = [
            ("anthropic", BedrockClaude),
            ("claude", BedrockClaude),
            ("amazon.nova", BedrockNova),
            ("mistral.", BedrockMistral),
            ("openai.", BedrockGpt),
        ];
        families.iter().find(|(name, _)| model.contains(name)).map_or(Bedrock, |(_, wire)| *wire)
    }

    /// The dialect whose parameters it takes as they are, those included that came after this was written.
    const fn dialect(self) -> Option<Dialect> {
        match self {
            OpenAi | Compatible => Some(Dialect::Completions),
            Anthropic => Some(Dialect::Messages),
            BedrockClaude | BedrockNova | BedrockMistral | BedrockGpt | Bedrock => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            OpenAi => "OpenAI's chat completions",
            Compatible => "chat completions",
            Anthropic => "Anthropic's messages",
            BedrockClaude | BedrockNova | BedrockMistral | BedrockGpt | Bedrock => "Bedrock with this model",
        }
    }

    /// Whether it knows a parameter that a client of this dialect sends.
    fn knows(self, name: &str, from: Option<Dialect>) -> bool {
        // Of chat completions only open servers know `top_k`.
        let is_own = from.is_some() && from == self.dialect() && (self, name) != (OpenAi, "top_k");
        let of_openai = matches!(from, Some(Dialect::Completions | Dialect::Responses));
        let more = if of_openai { KNOWN_OF_OPENAI } else { &[] };
        let mut rows = KNOWN.iter().chain(more).filter(|(known, _)| *known == name);
        is_own || rows.any(|(_, wires)| wires.iter().any(|wires| wires.contains(&self)))
    }
}

impl Chat {
    /// Whether it asks for something of the answer that neutral words cannot carry.
    pub(crate) fn wants_more_than_words(&self) -> bool {
        let of_the_answer = |name: &str| OF_THE_ANSWER.contains(&name);
        self.extra.iter().any(|(name, value)| of_the_answer(name) && !is_the_rule(name, value))
    }
}

/// Refuses a question whose parameters the wire does not know, the first of them by its name.
pub(super) fn check(chat: &Chat, wire: Wire) -> Result<(), ProviderError> {
    let sampling = &chat.sampling;
    let is_set = |penalty: Option<f32>| penalty.is_some_and(|penalty| penalty != 0.0);
    let neutral = [
        ("seed", sampling.seed.is_some()),
        ("presence_penalty", is_set(sampling.presence_penalty)),
        ("frequency_penalty", is_set(sampling.frequency_penalty)),
        ("top_k", sampling.top_k.is_some()),
    ];
    let neutral = neutral.iter().filter(|(_, asked)| *asked).map(|(name, _)| *name);
    let extra = chat.extra.iter().filter(|(name, value)| !is_the_rule(name, value));
    let unknown = neutral.chain(extra.map(|(name, _)| name.as_str())).find(|name| {
        // What lies deeper than a parameter goes by its path, and neutral words have no place for it.
        OF_THE_ANSWER.contains(name) || name.contains(['.', '[']) || !wire.knows(name, chat.dialect)
    });
    match unknown {
        None => Ok(()),
        Some(name) => {
            let name: String = name.chars().take(80).collect();
            let speaks = wire.as_str();
            let what = if OF_THE_ANSWER.contains(&name.as_str()) {
                format!("`{name}` with a translated answer")
            } else if name.contains(['.', '[']) {
                format!("`{name}` in a translated question")
            } else {
                format!("`{name}`, which {speaks} cannot say,")
            };
            Err(ProviderError::Unsupported { what, param: Some(name) })
        }
    }
}

/// What only the client's dialect has a word for, all of it known to the wire.
pub(super) fn extra(chat: &Chat, wire: Wire) -> Result<Map<String, Value>, ProviderError> {
    check(chat, wire)?;
    let asked = chat.extra.iter().filter(|(name, value)| !is_the_rule(name, value));
    Ok(asked.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Whether a parameter says what is so without it.
fn is_the_rule(name: &str, value: &Value) -> bool {
    match name {
        "n" => value.as_u64() == Some(1),
        "store" | "logprobs" => *value == Value::Bool(false),
        _ => false,
    }
}
