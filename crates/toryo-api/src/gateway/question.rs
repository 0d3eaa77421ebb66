//! What a client sends: the key, the options in headers, and the body.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::time::Duration;
use tokio::time::timeout;
use toryo_domain::Priority;
use toryo_models::dialect::{BadRequest, Refused, RefusedKind};
use toryo_models::front::{CacheControl, Options};
use toryo_models::route::Work;

/// Longest silence in the middle of a body.
const SILENCE: Duration = Duration::from_secs(30);
/// Room that is made at once for a body that comes in parts, whatever its announced length.
const ROOM: usize = 1024 * 1024;

/// The key: `Authorization: Bearer …` as OpenAI's clients send it, or `x-api-key` as Anthropic's do.
pub(super) fn secret(headers: &HeaderMap) -> Result<&str, Refused> {
    let bearer = text(headers, header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    let secret = text(headers, "x-api-key").or(bearer).unwrap_or_default();
    if secret.is_empty() {
        let text = "no key: send it as `Authorization: Bearer KEY` or as `x-api-key: KEY`";
        return Err(Refused::new(RefusedKind::KeyRefused, text));
    }
    Ok(secret)
}

/// What a client says of a call in headers of ours.
pub(super) fn options(headers: &HeaderMap) -> Result<Options, Refused> {
    let mut options = Options::default();
    if let Some(name) = text(headers, "x-toryo-priority") {
        let unknown = |_| wrong("x-toryo-priority", "has to be high, normal or low");
        options.priority = name.parse::<Priority>().map_err(unknown)?;
    }
    if let Some(name) = text(headers, "x-toryo-work") {
        options.work = Work::named(name);
    }
    if let Some(value) = text(headers, "x-toryo-complexity") {
        let complexity = value.parse().ok().filter(|value| (0.0..=1.0).contains(value));
        let complexity = complexity.ok_or_else(|| wrong("x-toryo-complexity", "has to be from 0 to 1"))?;
        options.complexity = Some(complexity);
    }
    if let Some(tags) = text(headers, "x-toryo-tags") {
        let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty());
        options.tags = tags.map(str::to_owned).collect();
    }
    if let Some(wishes) = text(headers, header::CACHE_CONTROL.as_str()) {
        options.cache = cache_control(wishes);
    }
    options.region = text(headers, "x-toryo-region").map(str::to_owned);
    Ok(options)
}

/// The beta features that an Anthropic client asks for, in all its headers of that name.
pub(super) fn betas(headers: &HeaderMap) -> Option<Box<str>> {
    let values = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    let names = values.collect::<Vec<_>>().join(",");
    (!names.is_empty()).then(|| names.into())
}

/// The two directives of RFC 9111 that a request's answer can honour; the others ask for less.
fn cache_control(wishes: &str) -> CacheControl {
    let has = |name: &str| wishes.split(',').any(|wish| wish.trim().eq_ignore_ascii_case(name));
    CacheControl { no_cache: has("no-cache"), no_store: has("no-store") }
}

/// The whole body.
pub(super) async fn body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Refused> {
    if text(headers, header::CONTENT_ENCODING.as_str()).is_some_and(|coding| coding != "identity") {
        return Err(wrong("content-encoding", "has to be absent: bodies are read as they are"));
    }
    let announced = text(headers, header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
    let announced: usize = announced.unwrap_or(0);
    let too_large = || {
        let text = format!("the body is longer than {limit} bytes");
        Refused::new(RefusedKind::TooLarge, text)
    };
    if announced > limit {
        return Err(too_large());
    }
    let broken = || Refused::new(RefusedKind::BadRequest, "the body could not be read to its end");
    let mut parts = body.into_data_stream();
    let mut next = async || match timeout(SILENCE, parts.next()).await {
        Ok(part) => part.transpose().map_err(|_| broken()),
        Err(_) => Err(broken()),
    };
    let Some(first) = next().await? else { return Ok(Bytes::new()) };
    let mut whole: Option<BytesMut> = None;
    // Most bodies come in one part, which is then used where it lies.
    while let Some(part) = next().await? {
        let whole = whole.get_or_insert_with(|| {
            let mut whole = BytesMut::with_capacity(announced.min(ROOM).max(first.len() + part.len()));
            whole.extend_from_slice(&first);
            whole
        });
        if whole.len() + part.len() > limit {
            return Err(too_large());
        }
        whole.extend_from_slice(&part);
    }
    match whole {
        Some(whole) => Ok(whole.freeze()),
        None if first.len() > limit => Err(too_large()),
        None => Ok(first),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn wrong(header: &str, what: &str) -> Refused {
    BadRequest { message: format!("the header `{header}` {what}"), param: Some(header.to_owned()) }.into()
}
