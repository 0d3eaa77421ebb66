//! What went wrong, in our words: connection faults, HTTP statuses, `Retry-After`.
//!
//! The statuses and codes are those of OpenAI's guide "Error codes"; the phrases are those that vLLM, Ollama,
//! LiteLLM and Anthropic's compatible endpoint use for the same thing.

use super::mask::masked;
use crate::provider::ProviderError;
use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

/// Longest wait that is believed: a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How servers say that a prompt is too long, in lower case.
const TOO_LONG: [&str; 8] = [
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "prompt is too long",
    "input is too long",
    "too many input tokens",
    "maximum prompt length",
    "exceeds the context",
];

/// How servers say that their rules forbid it, in lower case.
const FORBIDDEN: [&str; 5] = [
    "content_policy_violation",
    "content_filter",
    "content management policy",
    "content filtering policy",
    "responsibleaipolicyviolation",
];

/// A connection that cannot be made or breaks.
pub(super) fn of_connection(error: reqwest::Error, key: &SecretString) -> ProviderError {
    let what = if error.is_connect() { "cannot connect" } else { "the connection broke" };
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let message = masked(&format!("{what}: {cause}"), key);
    ProviderError::Unavailable { status: None, retry_after: None, message }
}

/// Something that is not an answer.
pub(crate) fn not_an_answer(what: &str) -> ProviderError {
    ProviderError::Unavailable {
        status: Some(200),
        retry_after: None,
        message: format!("the answer is {what}"),
    }
}

/// A stream that ended before the model had stopped.
pub(super) fn cut() -> ProviderError {
    not_an_answer("cut: the stream ended before the model stopped")
}

/// An HTTP status other than success.
pub(super) fn of_status(status: u16, headers: &HeaderMap, body: &[u8], key: &SecretString) -> ProviderError {
    of_said(status, &Said::read(body), retry_after(headers, Utc::now()), key)
}

/// A failure under the status 200: in the body of a whole answer, or in an event of a stream.
pub(super) fn of_body(body: &[u8], key: &SecretString) -> ProviderError {
    let said = Said::read(body);
    of_said(said.implied_status(), &said, None, key)
}

/// A failure that a library has read: its status, the service's word for it, and its words.
pub(super) fn of_words(
    status: u16,
    code: &str,
    message: &str,
    retry_after: Option<Duration>,
) -> ProviderError {
    let said = Said { message: message.to_owned(), code: code.to_owned(), kind: String::new(), number: None };
    of_said(status, &said, retry_after, &SecretString::from(String::new()))
}

fn of_said(status: u16, said: &Said, retry_after: Option<Duration>, key: &SecretString) -> ProviderError {
    let message = masked(&said.message, key);
    match status {
        400 | 403 | 422 if said.is_forbidden() => ProviderError::ContentPolicy { message },
        401 | 403 => ProviderError::KeyRefused { status },
        402 => ProviderError::QuotaExhausted { message },
        429 if said.is("insufficient_quota") => ProviderError::QuotaExhausted { message },
        429 => ProviderError::RateLimited { retry_after, message },
        408 | 409 | 425 | 500.. => {
            let message = format!("HTTP {status}: {message}");
            ProviderError::Unavailable { status: Some(status), retry_after, message }
        }
        413 => ProviderError::ContextLength { message },
        400 | 422 if said.is_too_long() => ProviderError::ContextLength { message },
        _ => ProviderError::Rejected { status, message },
    }
}

/// Whether words, in lower case, say that a prompt is too long.
pub(super) fn says_too_long(message: &str) -> bool {
    TOO_LONG.iter().any(|phrase| message.contains(phrase))
}

/// What a body says of its failure, in any of the shapes that servers use.
struct Said {
    message: String,
    code: String,
    kind: String,
    /// Some servers put the HTTP status where others have a word.
    number: Option<u64>,
}

impl Said {
    fn read(body: &[u8]) -> Self {
        let whole: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let error = whole.get("error").unwrap_or(&whole);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let message = text(error.get("message"))
            .or_else(|| text(Some(error)))
            .or_else(|| text(whole.get("message")))
            .or_else(|| text(whole.get("detail")))
            .unwrap_or_else(|| plain(body));
        let field = |name| text(error.get(name)).unwrap_or_default();
        let number = ["code", "status"].iter().find_map(|name| error.get(name).and_then(Value::as_u64));
        Self { message, code: field("code"), kind: field("type"), number }
    }

    fn is(&self, what: &str) -> bool {
        self.code == what || self.kind == what
    }

    fn is_too_long(&self) -> bool {
        self.code == TOO_LONG[0] || says_too_long(&self.message.to_lowercase())
    }

    fn is_forbidden(&self) -> bool {
        let message = self.message.to_lowercase();
        FORBIDDEN
            .iter()
            .any(|phrase| self.code == *phrase || self.kind == *phrase || message.contains(phrase))
    }

    /// The status that this failure would have had, had it come before the answer began. What is not known is the
    /// server's own fault: it said 200 first.
    fn implied_status(&self) -> u16 {
        if let Some(number) = self.number.and_then(|number| u16::try_from(number).ok())
            && (400..600).contains(&number)
        {
            return number;
        }
        [self.code.as_str(), &self.kind].iter().find_map(|word| status_of(word)).unwrap_or(500)
    }
}

/// The statuses of the words of OpenAI ("Error codes") and Anthropic ("Errors").
fn status_of(word: &str) -> Option<u16> {
    Some(match word {
        "invalid_api_key" | "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" | "model_not_found" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" | "requests" | "tokens" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        "context_length_exceeded"
        | "content_filter"
        | "content_policy_violation"
        | "invalid_request_error" => 400,
        _ => return None,
    })
}

/// A body without a structure; pages of proxies are not worth showing.
fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        "(no body)".to_owned()
    } else if text.starts_with('<') {
        "(a page, not an answer)".to_owned()
    } else {
        text.to_owned()
    }
}

/// The wait that a server asks for: `retry-after-ms` (OpenAI), else `Retry-After` of RFC 9110 §10.2.3, seconds or
/// a date. At most a day; a date in the past is no wait.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let precise = header("retry-after-ms").and_then(|text| text.parse().ok()).map(Duration::from_millis);
    let asked = precise.or_else(|| {
        let text = header("retry-after")?;
        let seconds = || text.parse().ok().map(Duration::from_secs);
        let fraction = || Duration::try_from_secs_f64(text.parse().ok()?).ok();
        seconds().or_else(fraction).or_else(|| until(text, now))
    });
    asked.map(|wait| wait.min(LONGEST_WAIT))
}

fn until(date: &str, now: DateTime<Utc>) -> Option<Duration> {
    let date = DateTime::parse_from_rfc2822(date).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;
    use std::fmt::Write as _;
    use toryo_domain::FailureClass;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(reqwest::header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())]
            .into_iter()
            .collect()
    }

    fn now() -> DateTime<Utc> {
        "2025-11-02T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn retry_after_is_read_in_every_form() {
        let seconds = |value: &str| retry_after(&headers("retry-after", value), now());
        assert_eq!(seconds("7"), Some(Duration::from_secs(7)));
        assert_eq!(seconds(" 0 "), Some(Duration::ZERO));
        assert_eq!(seconds("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(seconds("Sun, 02 Nov 2025 10:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(seconds("Sun, 02 Nov 2025 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(seconds("99999999999"), Some(LONGEST_WAIT));
        for nonsense in ["", "-3", "soon", "NaN", "inf", "Sun, 99 Nov 2025"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&headers("retry-after-ms", "250"), now()), Some(Duration::from_millis(250)));
        assert_eq!(retry_after(&HeaderMap::new(), now()), None);
    }

    #[test]
    fn statuses_and_bodies_are_classified() {
        let key = SecretString::from("sk-very-secret");
        let mut table = String::new();
        for (status, body) in [
            (
                400,
                r#"{"error":{"message":"Unsupported value: 'temperature'","type":"invalid_request_error"}}"#,
            ),
            (400, r#"{"error":{"message":"too many tokens","code":"context_length_exceeded"}}"#),
            (400, r#"{"object":"error","message":"This model's maximum context length is 4096 tokens"}"#),
            (401, r#"{"error":{"message":"Incorrect API key provided: sk-very-secret"}}"#),
            (402, r#"{"error":"no credit"}"#),
            (403, "forbidden"),
            (404, r#"{"error":{"message":"The model `gpt-99` does not exist","code":404}}"#),
            (408, ""),
            (413, "<html>too large</html>"),
            (422, r#"{"detail":"bad field"}"#),
            (429, r#"{"error":{"message":"slow down","type":"tokens"}}"#),
            (429, r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota"}}"#),
            (302, ""),
            (500, "boom for Bearer sk-very-secret"),
            (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
        ] {
            let error = of_status(status, &HeaderMap::new(), body.as_bytes(), &key);
            let _ = writeln!(table, "{status} {:<12} {error}", error.class());
        }
        assert!(!table.contains("very-secret"), "{table}");
        insta::assert_snapshot!(table);
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_classification(status in 300_u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let error = of_status(status, &HeaderMap::new(), &body, &SecretString::from("k"));
            prop_assert!(error.class() != FailureClass::Bug);
        }
    }
}
