//! The shallow reading: what decides who answers, in one pass over the bytes and with hardly an allocation.
//!
//! The pass walks all of the body, so that what it accepts is JSON, in UTF-8 and not nested without end.

mod seen;

use super::at::{At, BadRequest, count, flag, object, syntax, take};
use crate::inbound::{Dialect, Head, Inbound};
use bytes::Bytes;
use seen::{Body, Seen};
use serde_json::Value;

/// Choices that one call may ask for; OpenAI's own limit.
const MOST_CHOICES: u64 = 128;

/// Reads what decides who answers.
///
/// # Errors
/// [`BadRequest`] where the body is no JSON object, is nested more than 127 levels deep, lacks the model or the
/// conversation, or names one of the parameters that are read here twice or with a value of the wrong type.
pub fn read_head(dialect: Dialect, body: Bytes) -> Result<Inbound, BadRequest> {
    let text = std::str::from_utf8(&body).map_err(|_| BadRequest::body("the body is not UTF-8"))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let seen = Body::read(dialect, &mut json).map_err(|error| syntax(&error))?;
    json.end().map_err(|error| syntax(&error))?;
    if let Some(name) = seen.twice {
        return Err(At::field(name).wrong("is given twice"));
    }
    let head = match dialect {
        Dialect::Completions => completions(seen)?,
        Dialect::Responses => responses(seen)?,
        Dialect::Messages => messages(seen)?,
    };
    Ok(Inbound { dialect, body, head, betas: None })
}

fn completions(seen: Body<'_>) -> Result<Head, BadRequest> {
    let newer = limit(seen.max_completion_tokens, At::field("max_completion_tokens"))?;
    let older = limit(seen.max_tokens, At::field("max_tokens"))?;
    let head = Head {
        model: model(seen.model)?,
        stream: yes(seen.stream, At::field("stream"))?,
        include_usage: include_usage(seen.stream_options)?,
        // Some clients send both names; the smaller one satisfies both.
        max_output_tokens: newer.into_iter().chain(older).min(),
        choices: choices(seen.choices)?,
    };
    conversation(&seen.conversation, At::field("messages"), false)?;
    Ok(head)
}

fn responses(seen: Body<'_>) -> Result<Head, BadRequest> {
    let head = Head {
        model: model(seen.model)?,
        stream: yes(seen.stream, At::field("stream"))?,
        include_usage: true,
        max_output_tokens: limit(seen.max_output_tokens, At::field("max_output_tokens"))?,
        choices: 1,
    };
    conversation(&seen.conversation, At::field("input"), true)?;
    Ok(head)
}

fn messages(seen: Body<'_>) -> Result<Head, BadRequest> {
    let at = At::field("max_tokens");
    let head = Head {
        model: model(seen.model)?,
        stream: yes(seen.stream, At::field("stream"))?,
        include_usage: true,
        max_output_tokens: Some(limit(seen.max_tokens, at)?.ok_or_else(|| at.missing())?),
        choices: 1,
    };
    conversation(&seen.conversation, At::field("messages"), false)?;
    Ok(head)
}

fn model(seen: Seen<'_>) -> Result<String, BadRequest> {
    let at = At::field("model");
    match seen {
        Seen::Text(name) if name.is_empty() => Err(at.wrong("must not be empty")),
        Seen::Text(name) => Ok(name.into_owned()),
        Seen::Nothing => Err(at.missing()),
        _ => Err(at.wrong("has to be a string")),
    }
}

fn yes(seen: Seen<'_>, at: At<'_>) -> Result<bool, BadRequest> {
    match seen {
        Seen::Nothing => Ok(false),
        Seen::Flag(flag) => Ok(flag),
        _ => Err(at.wrong("has to be true or false")),
    }
}

fn limit(seen: Seen<'_>, at: At<'_>) -> Result<Option<u32>, BadRequest> {
    match seen {
        Seen::Nothing => Ok(None),
        Seen::Count(count) => match u32::try_from(count) {
            Ok(limit) if limit > 0 => Ok(Some(limit)),
            _ => Err(at.wrong("has to be from 1 to 4294967295")),
        },
        _ => Err(at.wrong("has to be a whole number from 1")),
    }
}

fn choices(seen: Seen<'_>) -> Result<u32, BadRequest> {
    match seen {
        Seen::Nothing => Ok(1),
        Seen::Count(n @ 1..=MOST_CHOICES) => Ok(u32::try_from(n).unwrap_or(1)),
        _ => Err(At::field("n").wrong(format_args!("has to be a whole number from 1 to {MOST_CHOICES}"))),
    }
}

fn include_usage(options: Option<Value>) -> Result<bool, BadRequest> {
    let at = At::field("stream_options");
    let Some(options) = options.filter(|options| !options.is_null()) else { return Ok(false) };
    let wanted = take(&mut object(options, at)?, "include_usage");
    wanted.map_or(Ok(false), |wanted| flag(&wanted, at.key("include_usage")))
}

fn conversation(seen: &Seen<'_>, at: At<'_>, or_text: bool) -> Result<(), BadRequest> {
    match seen {
        Seen::List { empty: true } => Err(at.wrong("must not be empty")),
        Seen::List { .. } => Ok(()),
        Seen::Text(_) if or_text => Ok(()),
        Seen::Nothing => Err(at.missing()),
        _ => Err(at.wrong("has to be a list")),
    }
}

/// The limit of tokens as the deep reading finds it: the same rule as here.
pub(super) fn token_limit(value: &Value, at: At<'_>) -> Result<u32, BadRequest> {
    count(value, at).ok().filter(|limit| *limit > 0).ok_or_else(|| at.wrong("has to be from 1 to 4294967295"))
}

#[cfg(test)]
mod tests;
