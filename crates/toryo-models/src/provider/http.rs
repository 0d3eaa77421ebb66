//! One request over HTTP, sent once, its answer read within bounds: what the adapters that speak JSON share.
//!
//! `reqwest` because it brings the operator's proxies and the platform's trust store; it keeps connections open and
//! sets `TCP_NODELAY`. No redirects: a key is sent to the configured host and to nobody it points to.

use super::{ProviderError, failure};
use crate::config::{BaseUrl, Provider};
use crate::error::Error;
use crate::request::Caller;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a whole answer at most; the longest real ones are below a tenth of it.
pub(super) const LARGEST_ANSWER: usize = 32 * 1024 * 1024;
/// Bytes of a failure that are looked at.
const LARGEST_FAILURE: usize = 64 * 1024;

/// An endpoint to post to.
#[derive(Clone)]
pub(super) struct Endpoint {
    client: Client,
    url: Url,
    /// Of every request: the key and what the protocol wants.
    headers: HeaderMap,
    /// Kept to mask it in what the endpoint says.
    key: Arc<SecretString>,
}

/// What an answer claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentType {
    Json,
    EventStream,
    /// No word of it: the body decides.
    Unsaid,
    Other,
}

impl Endpoint {
    /// `name` is the provider's in the configuration; `path` follows its base URL.
    pub(super) fn new(
        name: &str,
        config: &Provider,
        path: &str,
        key_header: impl FnOnce(&str) -> Option<(HeaderName, String)>,
    ) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Config(format!("models.providers.{name}{what}"));
        let key = config.key().unwrap_or_else(|| SecretString::from(String::new()));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((header, value)) =
            (!key.expose_secret().is_empty()).then(|| key_header(key.expose_secret())).flatten()
        {
            let value = HeaderValue::from_str(&value);
            let mut value =
                value.map_err(|_| wrong(".api_key holds characters that an HTTP header cannot carry"))?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let client = client(config).map_err(|_| wrong(": no HTTP client can be made"))?;
        let url = join(&config.base_url, path).ok_or_else(|| wrong(".base_url takes no path"))?;
        Ok(Self { client, url, headers, key: Arc::new(key) })
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) const fn key(&self) -> &Arc<SecretString> {
        &self.key
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// Posts a body. An answer is a success; what is not is classified here.
    pub(super) async fn post(
        &self,
        body: Vec<u8>,
        step: Option<&Caller>,
        more: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Response, ProviderError> {
        let mut request = reqwest::Request::new(Method::POST, self.url.clone());
        *request.headers_mut() = self.headers.clone();
        if let Some(caller) = step {
            request.headers_mut().extend(of_step(caller));
        }
        request.headers_mut().extend(more);
        *request.body_mut() = Some(body.into());
        self.exchange(request).await
    }

    /// The same for a request that was made elsewhere.
    pub(super) async fn execute(&self, mut request: reqwest::Request) -> Result<Response, ProviderError> {
        request.headers_mut().extend(self.headers.clone());
        self.exchange(request).await
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<Response, ProviderError> {
        let answer = self.client.execute(request).await;
        let mut response = answer.map_err(|error| failure::of_connection(error, &self.key))?;
        let status = response.status();
        if status == reqwest::StatusCode::OK {
            return Ok(response);
        }
        if status.is_success() {
            return Err(failure::not_an_answer(&format!("HTTP {}, not 200", status.as_u16())));
        }
        let headers = std::mem::take(response.headers_mut());
        // What arrived of the body is enough for a message.
        let (body, _) = read(&mut response, LARGEST_FAILURE).await.unwrap_or_default();
        Err(failure::of_status(status.as_u16(), &headers, &body, &self.key))
    }

    /// The whole of an answer in JSON.
    pub(super) async fn whole(&self, mut response: Response) -> Result<Bytes, ProviderError> {
        if !matches!(content_type(&response), ContentType::Json | ContentType::Unsaid) {
            return Err(failure::not_an_answer("of another type than JSON"));
        }
        let (body, whole) = read(&mut response, LARGEST_ANSWER)
            .await
            .map_err(|error| failure::of_connection(error, &self.key))?;
        if !whole {
            return Err(failure::not_an_answer(&format!("more than {LARGEST_ANSWER} bytes")));
        }
        Ok(body)
    }

    /// Checks that an answer is a stream of events. One in JSON says what went wrong, if anything.
    pub(super) async fn streamed(&self, response: Response) -> Result<Response, ProviderError> {
        match content_type(&response) {
            ContentType::EventStream | ContentType::Unsaid => Ok(response),
            ContentType::Json => {
                let body = self.whole(response).await?;
                Err(error_in(&body, &self.key)
                    .unwrap_or_else(|| failure::not_an_answer("whole, not a stream of events")))
            }
            ContentType::Other => Err(failure::not_an_answer("of another type than a stream of events")),
        }
    }
}

/// The failure that a body of the status 200 tells of, if it does.
pub(super) fn error_in(body: &[u8], key: &SecretString) -> Option<ProviderError> {
    #[derive(serde::Deserialize)]
    struct Failed<'a> {
        #[serde(borrow)]
        error: Option<&'a serde_json::value::RawValue>,
    }
    let failed: Failed<'_> = serde_json::from_slice(body).ok()?;
    failed.error.map(|_| failure::of_body(body, key))
}

fn content_type(response: &Response) -> ContentType {
    let Some(value) = response.headers().get(CONTENT_TYPE) else { return ContentType::Unsaid };
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if kind.eq_ignore_ascii_case(b"text/event-stream") {
        ContentType::EventStream
    } else if kind.eq_ignore_ascii_case(b"application/json") || kind.ends_with(b"+json") {
        ContentType::Json
    } else {
        ContentType::Other
    }
}

/// A client of one endpoint's settings.
fn client(config: &Provider) -> reqwest::Result<Client> {
    // A client needs a TLS implementation of the process, even for plain HTTP; the first one wins.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder()
        .connect_timeout(Duration::from_secs(config.connect_timeout_seconds))
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .user_agent(concat!("toryo/", env!("CARGO_PKG_VERSION")))
        .build()
}

fn join(base: &BaseUrl, path: &str) -> Option<Url> {
    Url::parse(&format!("{}{path}", base.as_str())).ok()
}

/// The headers that name the step that asks (design §5.2).
fn of_step(caller: &Caller) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    [
        ("x-toryo-run", caller.run_id.to_string()),
        ("x-toryo-step", caller.step_key.to_string()),
        ("x-toryo-agent", caller.agent.to_string()),
    ]
    .into_iter()
    // Ids, step keys and roles are ASCII by construction.
    .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?)))
}

/// The body up to a limit, and whether that is all of it.
async fn read(response: &mut Response, limit: usize) -> Result<(Bytes, bool), reqwest::Error> {
    // Most answers come in one piece, which is not copied.
    let Some(first) = response.chunk().await? else { return Ok((Bytes::new(), true)) };
    let Some(second) = response.chunk().await? else { return Ok(within(first, limit)) };
    let mut body = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(piece) = next {
        if body.len() + piece.len() > limit {
            body.extend_from_slice(&piece);
            return Ok(within(body.freeze(), limit));
        }
        body.extend_from_slice(&piece);
        next = response.chunk().await?;
    }
    Ok(within(body.freeze(), limit))
}

fn within(mut body: Bytes, limit: usize) -> (Bytes, bool) {
    let whole = body.len() <= limit;
    body.truncate(limit);
    (body, whole)
}
