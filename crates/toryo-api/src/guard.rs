//! What stands before every handler: security headers, allowed names, the origin of requests that change
//! something, and a time limit.

use crate::Config;
use crate::problem::{Kind, Problem};
use axum::extract::{Request, State};
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Scripts and styles come from this server's own files only; nobody may frame a page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Sets the headers that every response carries, unless a handler set a stricter one.
pub fn security_headers<B>(mut response: http::Response<B>) -> http::Response<B> {
    let headers = response.headers_mut();
    headers.reserve(HEADERS.len() + 1);
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses requests that address this server by a foreign name, or that another site's page sent to change
/// something.
pub async fn admit(State(config): State<Arc<Config>>, request: Request, next: Next) -> Response {
    let authority = request
        .uri()
        .authority()
        .map(ToString::to_string)
        .or_else(|| text(request.headers(), header::HOST).map(str::to_owned));
    // Probes of an orchestrator address a machine by its number.
    let is_probe = matches!(request.uri().path(), "/health" | "/ready");
    if !is_probe && !name_is_allowed(authority.as_deref(), &config.allowed_hosts) {
        let name = authority.unwrap_or_default();
        return Problem::new(Kind::UnknownHost, format!("`{}` is not an allowed host", clip(&name)))
            .into_response();
    }
    if changes_something(request.method())
        && let Err(problem) = same_origin(request.headers(), authority.as_deref())
    {
        return problem.into_response();
    }
    next.run(request).await
}

/// Answers 503 where a handler takes too long. A stream counts as answered once it begins.
pub async fn time_limit(State(config): State<Arc<Config>>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(config.timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Kind::Unavailable, "the request took too long").into_response(),
    }
}

const fn changes_something(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Without the port, compared without case. `*` allows every name.
fn name_is_allowed(authority: Option<&str>, allowed: &[String]) -> bool {
    if allowed.iter().any(|name| name == "*") {
        return true;
    }
    let Some(authority) = authority else { return false };
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

/// Browsers say where a request comes from (Fetch Metadata, and RFC 6454); programs need not.
fn same_origin(headers: &HeaderMap, authority: Option<&str>) -> Result<(), Problem> {
    let foreign = |what: &str| Err(Problem::new(Kind::ForeignOrigin, format!("{what} names another site")));
    match text(headers, HeaderName::from_static("sec-fetch-site")) {
        None | Some("same-origin" | "none") => {}
        Some(_) => return foreign("`Sec-Fetch-Site`"),
    }
    match text(headers, header::ORIGIN) {
        None => Ok(()),
        Some(origin) => {
            let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if name.is_some() && name == authority { Ok(()) } else { foreign("`Origin`") }
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    // A value that is no text is compared as one that never fits.
    headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"))
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_served() {
        let allowed = Config::default().allowed_hosts;
        for name in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"] {
            assert!(name_is_allowed(Some(name), &allowed), "{name}");
        }
        for name in ["evil.example", "localhost.evil.example:8080", "", "127.0.0.1.nip.io"] {
            assert!(!name_is_allowed(Some(name), &allowed), "{name}");
        }
        assert!(!name_is_allowed(None, &allowed));
        assert!(name_is_allowed(Some("any.example"), &["*".to_owned()]));
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let check = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            same_origin(&headers, Some("localhost:8080")).is_ok()
        };
        assert!(check(&[]), "a program");
        assert!(check(&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8080")]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
        assert!(!check(&[("origin", "http://localhost:9999")]));
        assert!(!check(&[("origin", "https://evil.example")]));
        assert!(!check(&[("origin", "null")]));
    }
}
