//! Sends one request, once, and reads its answer within bounds. Everything that is not the answer of its route
//! ends here, classified and masked, before `async-openai` can log it.

use super::embeddings::Answer;
use crate::provider::http::{self, Endpoint};
use crate::provider::{ProviderError, failure};
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::Response;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The service under `async-openai`.
#[derive(Clone)]
pub(super) struct Transport {
    endpoint: Endpoint,
}

impl Transport {
    pub(super) const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    async fn send(self, request: HttpRequestFactory) -> Result<Response, OpenAIError> {
        let request = request.build().await?;
        self.exchange(request).await.map_err(|error| OpenAIError::Boxed(Box::new(error)))
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<Response, ProviderError> {
        let response = self.endpoint.execute(request).await?;
        let body = self.endpoint.whole(response).await?;
        if serde_json::from_slice::<Answer>(&body).is_err() {
            let told = http::error_in(&body, self.endpoint.key());
            return Err(told.unwrap_or_else(|| failure::not_an_answer("not a list of embeddings in JSON")));
        }
        Ok(Response::from(::http::Response::new(body)))
    }
}

/// An error of the client itself; ours passes through it unchanged.
pub(super) fn of_client(error: OpenAIError) -> ProviderError {
    match error {
        OpenAIError::Boxed(inner) => match inner.downcast::<ProviderError>() {
            Ok(ours) => *ours,
            Err(_) => failure::not_an_answer("nothing: the client failed"),
        },
        // None of these can come: the transport answers for the connection and has read the answer. Their texts
        // hold parts of it and are not repeated.
        OpenAIError::Reqwest(_)
        | OpenAIError::ApiError(_)
        | OpenAIError::JSONDeserialize(..)
        | OpenAIError::FileSaveError(_)
        | OpenAIError::FileReadError(_)
        | OpenAIError::StreamError(_)
        | OpenAIError::InvalidArgument(_) => failure::not_an_answer("nothing: the client failed"),
    }
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
