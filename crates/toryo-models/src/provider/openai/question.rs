//! A question as OpenAI's API takes it.

use crate::config::{StructuredOutput, TokenLimitField};
use crate::provider::ProviderRequest;
use crate::request::{Message, MessageRole, OutputSchema};
use async_openai::types::chat::{
    ChatCompletionNamedToolChoice, ChatCompletionRequestAssistantMessage, ChatCompletionRequestMessage,
    ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage, ChatCompletionTool,
    ChatCompletionToolChoiceOption, ChatCompletionTools, CreateChatCompletionRequest, FunctionName,
    FunctionObject, ResponseFormat, ResponseFormatJsonSchema,
};

pub(super) fn of(request: &ProviderRequest, limit: TokenLimitField) -> CreateChatCompletionRequest {
    let mut question = CreateChatCompletionRequest {
        model: request.model.clone(),
        messages: request.messages.iter().map(message).collect(),
        temperature: request.temperature,
        ..CreateChatCompletionRequest::default()
    };
    set_limit(&mut question, limit, request.max_output_tokens);
    set_output(&mut question, request.structured_output, &request.output);
    question
}

fn message(message: &Message) -> ChatCompletionRequestMessage {
    let text = message.content.clone();
    match message.role {
        MessageRole::System => ChatCompletionRequestSystemMessage::from(text).into(),
        MessageRole::User => ChatCompletionRequestUserMessage::from(text).into(),
        MessageRole::Assistant => ChatCompletionRequestAssistantMessage::from(text).into(),
    }
}

#[expect(deprecated, reason = "servers that know only the older name are why there is a choice")]
const fn set_limit(question: &mut CreateChatCompletionRequest, field: TokenLimitField, tokens: u32) {
    match field {
        TokenLimitField::MaxCompletionTokens => question.max_completion_tokens = Some(tokens),
        TokenLimitField::MaxTokens => question.max_tokens = Some(tokens),
    }
}

fn set_output(question: &mut CreateChatCompletionRequest, how: StructuredOutput, output: &OutputSchema) {
    match how {
        StructuredOutput::JsonSchema => {
            let json_schema = ResponseFormatJsonSchema {
                description: None,
                name: output.name.clone(),
                schema: output.schema.clone(),
                strict: Some(true),
            };
            question.response_format = Some(ResponseFormat::JsonSchema { json_schema });
        }
        StructuredOutput::ToolCall => {
            let function = FunctionObject {
                name: output.name.clone(),
                description: None,
                parameters: Some(output.schema.clone()),
                strict: Some(true),
            };
            question.tools = Some(vec![ChatCompletionTools::Function(ChatCompletionTool { function })]);
            let function = FunctionName { name: output.name.clone() };
            question.tool_choice =
                Some(ChatCompletionToolChoiceOption::Function(ChatCompletionNamedToolChoice { function }));
        }
        StructuredOutput::JsonObject => {
            question.response_format = Some(ResponseFormat::JsonObject);
            // Part of the protocol rather than of a prompt: it stands for the schema that the endpoint cannot take.
            let words = format!(
                "Answer with one JSON object and nothing else. It follows this JSON Schema, `{}`:\n{}",
                output.name, output.schema
            );
            question.messages.push(ChatCompletionRequestSystemMessage::from(words).into());
        }
    }
}
