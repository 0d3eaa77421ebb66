//! An agent's question to one provider, for tests of providers: what the gateway sends on its road, without a route.

use super::{Answer, Ask, ModelProvider, ProviderError, ProviderReply, ProviderRequest, chat_of, reply_of};
use crate::request::Request;

/// Asks once and waits for the whole answer. Dropped, it closes the connection.
pub(super) async fn reply(
    provider: &dyn ModelProvider,
    request: &ProviderRequest,
) -> Result<ProviderReply, ProviderError> {
    let chat = chat_of(&Request {
        route: String::new(),
        output: request.output.clone(),
        messages: request.messages.clone(),
        max_output_tokens: request.max_output_tokens,
        temperature: request.temperature,
    });
    let ask = Ask {
        model: &request.model,
        chat: &chat,
        native: None,
        stream: false,
        max_output_tokens: request.max_output_tokens,
        structured_output: request.structured_output,
        takes_temperature: true,
        aws: None,
        step: Some(&request.caller),
    };
    match provider.send(ask).await? {
        Answer::Whole(whole) => Ok(reply_of(whole.completion)),
        Answer::Stream(_) => panic!("nobody asked for a stream"),
    }
}
