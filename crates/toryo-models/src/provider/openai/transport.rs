//! Sends one request, once, and reads its answer within bounds. Everything that is not the answer of its route
//! ends here, classified and masked, before `async-openai` can log it.

use super::embeddings::Vectors;
use super::failure;
use super::wire::Completion;
use crate::provider::ProviderError;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response};
use secrecy::SecretString;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes of an answer at most; the longest real ones are below a tenth of it.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;
/// Bytes of a failure that are looked at.
const LARGEST_FAILURE: usize = 64 * 1024;

/// The service under `async-openai`.
#[derive(Clone)]
pub(super) struct Transport {
    http: Client,
    key: SecretString,
}

impl Transport {
    pub(super) const fn new(http: Client, key: SecretString) -> Self {
        Self { http, key }
    }

    async fn send(self, request: HttpRequestFactory) -> Result<Response, OpenAIError> {
        let request = request.build().await?;
        self.exchange(request).await.map_err(|error| OpenAIError::Boxed(Box::new(error)))
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<Response, ProviderError> {
        let broken = |error| failure::of_connection(error, &self.key);
        let is_embeddings = request.url().path().ends_with("/embeddings");
        let mut response = self.http.execute(request).await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            // What arrived of the body is enough for a message.
            let (body, _) = read(&mut response, LARGEST_FAILURE).await.unwrap_or_default();
            return Err(failure::of_status(status.as_u16(), &headers, &body, &self.key));
        }
        let (body, whole) = read(&mut response, LARGEST_ANSWER).await.map_err(broken)?;
        if !whole {
            return Err(failure::not_an_answer(&format!("more than {LARGEST_ANSWER} bytes")));
        }
        if is_embeddings && serde_json::from_slice::<Vectors>(&body).is_err() {
            return Err(failure::not_an_answer("not a list of embeddings in JSON"));
        }
        if !is_embeddings && serde_json::from_slice::<Completion>(&body).is_err() {
            return Err(failure::not_an_answer("not a chat completion in JSON"));
        }
        Ok(Response::from(http::Response::new(body)))
    }
}

/// The body up to a limit, and whether that is all of it.
async fn read(response: &mut Response, limit: usize) -> Result<(Bytes, bool), reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        let room = limit - body.len();
        if piece.len() > room {
            body.extend_from_slice(&piece[..room]);
            return Ok((body.freeze(), false));
        }
        body.extend_from_slice(&piece);
    }
    Ok((body.freeze(), true))
}

impl tower::Service<HttpRequestFactory> for Transport {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}
