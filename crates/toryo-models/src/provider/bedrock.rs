//! Amazon Bedrock's Converse, ConverseStream and embeddings, over the AWS SDK: it signs, frames and renews
//! credentials. Its retries are off: the gateway has its own.
//!
//! Left to the operator: which models an account may use. Not carried: pictures by address, a choice of no function,
//! and parameters that [`parameters`](super::parameters) does not list for it; such calls are refused before anything is
//! sent.

mod clients;
mod document;
mod embeddings;
mod failure;
mod guardrail;
mod read;
mod stream;
mod write;

use super::parameters::{self, Wire};
use super::{Answer, Ask, ModelProvider, ProviderError, Whole, forced};
use crate::chat::{Chat, Format};
use crate::config::{Aws, Provider};
use async_trait::async_trait;
use aws_sdk_bedrockruntime::config::Credentials;
use aws_sdk_bedrockruntime::operation::RequestId as _;
use clients::Clients;
use std::fmt;

/// Bedrock, in whichever accounts and regions its deployments name.
pub struct Bedrock {
    clients: Clients,
    /// Where a call that names no account goes.
    default: Aws,
}

impl Bedrock {
    /// Connects to nothing yet. A base URL other than the default replaces the regions' endpoints, for a VPC endpoint.
    #[must_use]
    pub fn new(config: &Provider) -> Self {
        Self { clients: Clients::new(config), default: Aws::default() }
    }

    /// Where and as whom calls go that do not say so themselves.
    #[must_use]
    pub fn with_default(mut self, aws: Aws) -> Self {
        self.default = aws;
        self
    }

    /// These credentials in place of the environment's; roles are assumed with them.
    #[must_use]
    pub fn with_credentials(mut self, access_key_id: &str, secret_access_key: &str) -> Self {
        self.clients.credentials =
            Some(Credentials::new(access_key_id, secret_access_key, None, None, "toryo"));
        self
    }
}

#[async_trait]
impl ModelProvider for Bedrock {
    async fn send(&self, ask: Ask<'_>) -> Result<Answer, ProviderError> {
        let aws = ask.aws.unwrap_or(&self.default);
        let question = write::question(&ask, aws)?;
        let client = self.clients.of(aws).await;
        let schemas = question.schemas;
        let forced = matches!(ask.chat.format, Format::JsonSchema { .. });
        if ask.stream {
            let answer = client
                .converse_stream()
                .model_id(ask.model)
                .set_messages(Some(question.messages))
                .set_system(question.system)
                .set_inference_config(Some(question.inference))
                .set_tool_config(question.tools)
                .set_guardrail_config(write::guardrail_of_stream(aws)?)
                .set_additional_model_request_fields(question.extra)
                .set_request_metadata(question.metadata)
                .set_service_tier(question.service_tier)
                .customize()
                .mutate_request(move |request| document::in_order(request, &schemas))
                .send()
                .await
                .map_err(|error| failure::of_call(&error))?;
            let id = answer.request_id().unwrap_or_default().to_owned();
            return Ok(Answer::Stream(stream::pieces(answer.stream, id, ask.model.to_owned(), forced)));
        }
        let answer = client
            .converse()
            .model_id(ask.model)
            .set_messages(Some(question.messages))
            .set_system(question.system)
            .set_inference_config(Some(question.inference))
            .set_tool_config(question.tools)
            .set_guardrail_config(write::guardrail(aws)?)
            .set_additional_model_request_fields(question.extra)
            .set_request_metadata(question.metadata)
            .set_service_tier(question.service_tier)
            .customize()
            .mutate_request(move |request| document::in_order(request, &schemas))
            .send()
            .await
            .map_err(|error| failure::of_call(&error))?;
        let completion = read::completion(answer, ask.model)?;
        let completion = if forced { forced::unwrap(completion) } else { completion };
        Ok(Answer::Whole(Whole { completion, native: None }))
    }

    fn knows(&self, chat: &Chat, model: &str) -> Result<(), ProviderError> {
        parameters::check(chat, Wire::of_bedrock(model))
    }
}

impl fmt::Debug for Bedrock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bedrock").field("default", &self.default).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
