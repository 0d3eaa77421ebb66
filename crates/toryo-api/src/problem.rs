//! Errors as RFC 9457 `application/problem+json`, and every mapping to one. A 5xx body shows no source.

use crate::ports::{IndexError, ReplayError, RepositoryError};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::error::Error as StdError;
use utoipa::ToSchema;

macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident = $slug:literal, $status:ident, $title:literal, $help:literal);+ $(;)?) => {
        /// What kind of problem it is; each has a stable URI under `/problems/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($(#[$meta])* $kind),+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The last part of its URI.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$kind => $slug),+ }
            }

            /// Its status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),+ }
            }

            /// Its name for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),+ }
            }

            /// What it means and what to do.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$kind => $help),+ }
            }
        }
    };
}

kinds! {
    /// The body is not JSON.
    MalformedJson = "malformed-json", BAD_REQUEST, "The body is not JSON",
        "The body could not be read as JSON. The detail names the line and column where reading stopped.";
    /// A header cannot be used.
    BadHeader = "bad-header", BAD_REQUEST, "A header cannot be used",
        "A request header has a value that is not allowed. The detail names it.";
    /// A request from another site.
    ForeignOrigin = "foreign-origin", FORBIDDEN, "The request comes from another site",
        "Requests that change something are accepted from these pages and from programs, not from pages of other sites.";
    /// No key, or one that is not accepted.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A key is needed",
        "This part of the API takes a key: send the header `Authorization: Bearer …` with one that holds.";
    /// The key may not.
    NotAllowed = "not-allowed", FORBIDDEN, "The key may not do this",
        "The key holds, but administers less than what was asked for. A lead administers the own team only.";
    /// No operator's key is set.
    AdministrationClosed = "administration-closed", FORBIDDEN, "The administration is closed",
        "Keys, teams, users, budgets and usage are administered with the operator's key, and none is set. Put one into `gateway.master_key`.";
    /// No such thing.
    NotFound = "not-found", NOT_FOUND, "Not found",
        "There is nothing under this address. It may never have existed, or it was removed.";
    /// Another method.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The method is not allowed here",
        "The address exists, but not for this method. The Allow header lists those it has.";
    /// The status does not allow it.
    Conflict = "conflict", CONFLICT, "Not possible in the present state",
        "What was asked for does not fit the state in which the run is. The detail says what is possible.";
    /// Over the limit.
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "The body is longer than the server accepts. Put long material into the repository and name it in the goal.";
    /// Not JSON by its own account.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body has another media type",
        "Bodies are JSON. Send the header `Content-Type: application/json`.";
    /// An unknown host name.
    UnknownHost = "unknown-host", MISDIRECTED_REQUEST, "This server does not go by that name",
        "The Host header names a host that is not in `api.allowed_hosts`. Add it there if people shall use it.";
    /// Bad input.
    InvalidInput = "invalid-input", UNPROCESSABLE_ENTITY, "The input is not valid",
        "The request was read, but values in it cannot be accepted. `errors` lists each with a pointer to it.";
    /// An idempotency key used twice.
    KeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another request",
        "A key belongs to one request. Repeat that request unchanged, or use a new key.";
    /// A fault of Toryo's own.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong in Toryo",
        "This is a fault of Toryo's own. The server's log holds the cause.";
    /// Something it depends on is away.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Not available at the moment",
        "Something that Toryo depends on does not answer. Nothing was changed; try again in a moment. `/ready` says what is missing.";
}

/// One thing wrong with the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the body; for a query or a header its name after a slash.
    #[schema(example = "/repo_url")]
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl FieldError {
    /// Something wrong at this pointer.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// A problem; as a response it is `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind it is.
    pub kind: Kind,
    /// What is wrong this time, for people.
    pub detail: String,
    /// Everything wrong with the input.
    pub errors: Vec<FieldError>,
}

/// The body of a problem (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A stable URI of the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid-input")]
    uri: String,
    /// The kind's name.
    title: &'static str,
    /// The status code.
    status: u16,
    /// What is wrong this time.
    detail: String,
    /// Everything wrong with the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: vec![] }
    }

    /// Input that cannot be accepted.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            _ => format!("{} values cannot be accepted", errors.len()),
        };
        Self { kind: Kind::InvalidInput, detail, errors }
    }

    /// Nothing under this address.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("{what} does not exist"))
    }

    /// A fault whose cause goes to the log only.
    pub fn internal(cause: &(dyn StdError + 'static)) -> Self {
        tracing::error!(cause = chain(cause), "request failed");
        Self::new(Kind::Internal, "the cause is in the server's log")
    }

    /// Something that does not answer; the cause goes to the log only.
    pub fn unavailable(what: &str, cause: &(dyn StdError + 'static)) -> Self {
        tracing::warn!(cause = chain(cause), "{what} does not answer");
        Self::new(Kind::Unavailable, format!("{what} does not answer"))
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn body(&self) -> ProblemBody {
        ProblemBody {
            uri: format!("/problems/{}", self.kind.slug()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
        }
    }
}

/// An error with its causes, on one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.kind.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.kind == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.kind == Kind::Unavailable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl From<toryo_blackboard::Error> for Problem {
    fn from(error: toryo_blackboard::Error) -> Self {
        use toryo_blackboard::Error;
        match error {
            Error::Unavailable(_) => Self::unavailable("the database", &error),
            Error::Blobs(_) => Self::unavailable("the blob store", &error),
            Error::NotFound { what } => Self::not_found(what),
            Error::Conflict(text) => Self::new(Kind::Conflict, text),
            Error::NoBlob(_) => Self::not_found("the artifact's content"),
            Error::StaleFence
            | Error::Corrupt { .. }
            | Error::Statement(_)
            | Error::Migrate(_)
            | Error::DamagedBlob(_) => Self::internal(&error),
        }
    }
}

impl From<toryo_engine::submit::Error> for Problem {
    fn from(error: toryo_engine::submit::Error) -> Self {
        use toryo_engine::submit::Error;
        match error {
            Error::KeyReused => Self::new(Kind::KeyReused, error.to_string()),
            Error::Blackboard(error) => error.into(),
        }
    }
}

impl From<toryo_engine::control::Error> for Problem {
    fn from(error: toryo_engine::control::Error) -> Self {
        use toryo_engine::control::Error;
        match error {
            Error::NotPossible(text) => Self::new(Kind::Conflict, text),
            Error::KeyReused => Self::new(Kind::KeyReused, error.to_string()),
            Error::Blackboard(error) => error.into(),
        }
    }
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::NotPossible(text) => Self::new(Kind::Conflict, text),
            ReplayError::Blackboard(error) => error.into(),
        }
    }
}

impl From<RepositoryError> for Problem {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Refused(text) => Self::invalid(vec![FieldError::at("/repo_url", text)]),
            RepositoryError::NoBranch(text) => Self::invalid(vec![FieldError::at("/base_branch", text)]),
            RepositoryError::Unavailable(text) => Self::new(Kind::Unavailable, text),
        }
    }
}

impl From<IndexError> for Problem {
    fn from(error: IndexError) -> Self {
        Self::new(Kind::Unavailable, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_uri_and_reads_well() {
        let table: Vec<String> = Kind::ALL
            .iter()
            .map(|kind| format!("{} /problems/{}: {}", kind.status().as_u16(), kind.slug(), kind.title()))
            .collect();
        insta::assert_snapshot!(table.join("\n"));
        let slugs: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
    }

    #[test]
    fn a_fault_of_ours_shows_no_source() {
        let source = std::io::Error::other("password=hunter2");
        let problem = Problem::from(toryo_blackboard::Error::corrupt("plan", source));
        let body = serde_json::to_string(&problem.body()).unwrap();
        assert!(!body.contains("hunter2") && !body.contains("plan"), "{body}");
        assert_eq!(problem.kind.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn a_refused_repository_points_at_its_field() {
        let problem = Problem::from(RepositoryError::Refused("there is no repository at /x".into()));
        insta::assert_json_snapshot!(problem.body());
    }
}
