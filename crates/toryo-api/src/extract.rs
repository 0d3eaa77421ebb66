//! Extractors whose refusals are problems: body, path, query, idempotency key.

use crate::problem::{FieldError, Kind, Problem};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// A JSON body. Malformed JSON is 400, another shape 422 with a pointer, another media type 415.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        parse(&bytes(request, state).await?).map(Self)
    }
}

/// A JSON body that may be left out.
#[derive(Debug)]
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = require_json(request.headers());
        let body = bytes(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        json?;
        parse(&body).map(Self)
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some("application/json") => Ok(()),
        Some(other) => Err(Problem::new(
            Kind::UnsupportedMediaType,
            format!("the body is `{}`; send `application/json`", other.chars().take(80).collect::<String>()),
        )),
        None => Err(Problem::new(
            Kind::UnsupportedMediaType,
            "the request has no `Content-Type`; send a body of `application/json`",
        )),
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(Kind::TooLarge, "the body is longer than `api.max_body_bytes` allows")
        } else {
            Problem::new(Kind::MalformedJson, "the body could not be read to its end")
        }
    })
}

/// A value that is an object in JSON. Without it a list would be read as a struct by the order of its fields.
#[derive(Debug, Clone, Default)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMaps<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMaps<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(OnlyMaps(PhantomData)).map(Self)
    }
}

/// Reads a JSON object; the pointer of a misfit comes from the path to it.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let Object(value) = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        misfit(pointer, &error.into_inner())
    })?;
    reader.end().map_err(|error| misfit(String::new(), &error))?;
    Ok(value)
}

fn misfit(pointer: String, error: &serde_json::Error) -> Problem {
    use serde_json::error::Category;
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::new(Kind::MalformedJson, error.to_string())
        }
        Category::Data => {
            let text = error.to_string();
            // The position says less than the pointer does.
            let detail = text.rsplit_once(" at line ").map_or(text.as_str(), |(detail, _)| detail);
            let missing = detail.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
            let pointer = missing.map_or(pointer.clone(), |name| format!("{pointer}/{name}"));
            Problem::invalid(vec![FieldError::at(pointer, detail)])
        }
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let parts = path.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    });
    parts.collect()
}

/// An id in the path; a text that is none names nothing that exists.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<T: FromStr + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| Problem::not_found(format!("`{}`", parts.uri.path())))
    }
}

/// A query whose misfits are 422.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let detail = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                let (name, detail) = detail.split_once(": ").unwrap_or(("", detail));
                let pointer = if name.is_empty() { String::new() } else { format!("/{name}") };
                Err(Problem::invalid(vec![FieldError::at(pointer, detail)]))
            }
        }
    }
}

/// The `Idempotency-Key` header: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(Some(text.to_owned())));
        }
        Err(Problem::new(Kind::BadHeader, "`Idempotency-Key` is 1 to 255 visible ASCII characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only read")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only read")]
        size: u8,
    }

    #[test]
    fn a_misfit_is_pointed_at() {
        let problems: Vec<_> = [
            r#"{"inner":[{"size":1},{"size":"big"}]}"#,
            r#"{"inner":[{"size":1,"a/b":2}]}"#,
            r#"{"inner":[{"size":256}]}"#,
            r#"{"inner":[{}]}"#,
            r#"{"inner":[{"size":1}]} x"#,
            r#"{"inner":[{"size""#,
            "[]",
            "",
        ]
        .iter()
        .map(|body| {
            let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
            format!("{body}\n  {} {} {:?}", problem.kind.status().as_u16(), problem.detail, problem.errors)
        })
        .collect();
        insta::assert_snapshot!(problems.join("\n"));
    }
}
