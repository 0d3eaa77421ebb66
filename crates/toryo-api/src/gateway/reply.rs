//! What a client gets back.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::StreamExt;
use std::convert::Infallible;
use toryo_domain::Usd;
use toryo_models::dialect::{Refused, RefusedKind};
use toryo_models::front::{About, Body as Answer, Served};
use toryo_models::inbound::Dialect;

/// The types of the three kinds of body.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// An answer.
pub(super) fn served(served: Served) -> Response {
    let mut response = match served.body {
        Answer::Whole(bytes) => with_type(Body::from(bytes), JSON),
        Answer::Events(events) => {
            let mut response = with_type(Body::from_stream(events.map(Ok::<_, Infallible>)), EVENTS);
            // Some proxies hold a stream back until it ends, and this asks them not to.
            set(&mut response, "x-accel-buffering", "no");
            response
        }
    };
    about(&mut response, &served.about);
    response
}

/// JSON with what is told of the call.
pub(super) fn json(body: impl Into<Body>, call: Option<&About>) -> Response {
    let mut response = with_type(body.into(), JSON);
    if let Some(call) = call {
        about(&mut response, call);
    }
    response
}

/// An error in the words of the dialect.
pub(super) fn refused(refused: &Refused, dialect: Dialect) -> Response {
    let (status, body) = refused.write(dialect);
    let mut response = json(body, None);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(wait) = refused.retry_after {
        // Whole seconds, and never too early.
        let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        set(&mut response, "retry-after", &milliseconds.div_ceil(1000).to_string());
        set(&mut response, "retry-after-ms", &milliseconds.to_string());
    }
    // The official clients ask again after some statuses by themselves, unless they are told.
    if !refused.kind.is_worth_repeating() {
        set(&mut response, "x-should-retry", "false");
    }
    if refused.kind == RefusedKind::KeyRefused {
        set(&mut response, "www-authenticate", "Bearer");
    }
    response
}

/// A route that knows other methods only.
pub(super) fn wrong_method(dialect: Dialect) -> Response {
    let text = "this route does not take that method";
    let mut response = refused(&Refused::new(RefusedKind::BadRequest, text), dialect);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

fn with_type(body: Body, kind: HeaderValue) -> Response {
    let mut response = Response::new(body);
    // Made at once for all that is set here and in front of the routes.
    response.headers_mut().reserve(24);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn about(response: &mut Response, call: &About) {
    let id = call.call.to_string();
    set(response, "x-toryo-call-id", &id);
    // As OpenAI's and Anthropic's clients look for it.
    set(response, "x-request-id", &id);
    set(response, "request-id", &id);
    if !call.deployment.is_empty() {
        set(response, "x-toryo-deployment", &call.deployment);
    }
    set(response, "x-toryo-cache", call.cache.as_str());
    if let Some(policies) = &call.guardrail {
        set(response, "x-toryo-guardrail", policies);
    }
    if let Some(cost) = call.cost {
        set(response, "x-toryo-cost-usd", &exact(cost));
    }
}

/// In dollars, to the last digit.
fn exact(cost: Usd) -> String {
    let nanos = cost.nanos().unsigned_abs();
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

pub(super) fn set(response: &mut Response, name: &'static str, value: &str) {
    // A deployment's name comes from the configuration and may hold what no header can carry.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
