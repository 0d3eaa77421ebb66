//! The SDK's failures in our words.

use crate::provider::ProviderError;
use crate::provider::failure::{not_an_answer, of_words};
use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use std::error::Error;
use std::time::Duration;

/// Longest wait that is believed: a day.
const LONGEST_WAIT: u64 = 24 * 60 * 60;

/// The statuses of Bedrock's exceptions ("Converse", "Errors"), which streams send without one. Words of STS and of
/// the signature's check stand here as well.
fn status_of(code: &str) -> Option<u16> {
    Some(match code.rsplit('#').next().unwrap_or(code) {
        "validationException" | "ValidationException" => 400,
        "UnrecognizedClientException" | "InvalidClientTokenId" => 401,
        "ServiceQuotaExceededException" => 402,
        "AccessDenied" | "AccessDeniedException" | "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            403
        }
        "ExpiredToken" | "ExpiredTokenException" => 403,
        "ResourceNotFoundException" => 404,
        "ModelTimeoutException" => 408,
        "ThrottlingException" | "throttlingException" | "TooManyRequestsException" => 429,
        "InternalServerException" | "internalServerException" => 500,
        "ModelErrorException" | "ModelStreamErrorException" | "modelStreamErrorException" => 502,
        "ModelNotReadyException" | "ServiceUnavailableException" | "serviceUnavailableException" => 503,
        _ => return None,
    })
}

/// A call that got no answer.
pub(super) fn of_call<E>(error: &SdkError<E, HttpResponse>) -> ProviderError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(told) => {
            let headers = told.raw().headers();
            let wait = headers.get("retry-after").and_then(|seconds| seconds.trim().parse::<u64>().ok());
            let wait = wait.map(|seconds| Duration::from_secs(seconds.min(LONGEST_WAIT)));
            of_service(told.err(), told.raw().status().as_u16(), wait)
        }
        SdkError::ResponseError(broken) => match broken.raw().status().as_u16() {
            200 => not_an_answer("not what Bedrock answers"),
            status => of_words(status, "", "(not what Bedrock answers)", None),
        },
        SdkError::TimeoutError(_) => unavailable("no connection or no answer in time"),
        other => of_connection(other),
    }
}

/// What breaks a stream that had begun. The SDK names its exceptions by type only.
pub(super) fn of_stream<R: std::fmt::Debug>(error: &SdkError<ConverseStreamOutputError, R>) -> ProviderError {
    use ConverseStreamOutputError as Told;
    match error {
        SdkError::ServiceError(told) => {
            let (status, message) = match told.err() {
                Told::InternalServerException(told) => (500, told.message()),
                Told::ModelStreamErrorException(told) => (502, told.message()),
                Told::ServiceUnavailableException(told) => (503, told.message()),
                Told::ThrottlingException(told) => (429, told.message()),
                Told::ValidationException(told) => (400, told.message()),
                other => return of_service(other, 500, None),
            };
            of_words(status, "", message.unwrap_or("(no message)"), None)
        }
        SdkError::ResponseError(_) => not_an_answer("an event that cannot be read"),
        _ => unavailable("the connection broke"),
    }
}

fn of_service(told: &impl ProvideErrorMetadata, status: u16, wait: Option<Duration>) -> ProviderError {
    let code = told.code().unwrap_or_default();
    let status = status_of(code).unwrap_or(status);
    let message = told.message().unwrap_or(if code.is_empty() { "(no message)" } else { code });
    if status < 300 {
        return not_an_answer("not what Bedrock answers");
    }
    of_words(status, code, message, wait)
}

/// Nothing was answered: no connection, or no credentials to sign with. The SDK tells the two apart in words only.
fn of_connection(error: &(dyn Error + 'static)) -> ProviderError {
    let mut words = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    let all = words.join(": ").to_lowercase();
    if all.contains("no providers in chain") || all.contains("credentials provider was not enabled") {
        return of_words(401, "UnrecognizedClientException", "no AWS credentials", None);
    }
    if all.contains("accessdenied") || all.contains("invalidclienttokenid") {
        return of_words(403, "AccessDenied", "the role cannot be assumed", None);
    }
    if all.contains("region must be set") || all.contains("invalid configuration: missing region") {
        return of_words(400, "", "no AWS region is configured", None);
    }
    match words.last() {
        Some(last) => of_unavailable(last),
        None => unavailable("cannot connect"),
    }
}

fn of_unavailable(words: &str) -> ProviderError {
    let key = secrecy::SecretString::from(String::new());
    unavailable(&format!("cannot connect: {}", crate::provider::mask::masked(words, &key)))
}

fn unavailable(message: &str) -> ProviderError {
    ProviderError::Unavailable { status: None, retry_after: None, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_bedrockruntime::error::ErrorMetadata;
    use std::fmt::Write as _;

    #[test]
    fn exceptions_are_classified() {
        let mut table = String::new();
        for (code, message) in [
            ("ThrottlingException", "Too many tokens, please wait before trying again."),
            ("ValidationException", "Input is too long for requested model."),
            ("ValidationException", "The provided model identifier is invalid."),
            ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
            ("ExpiredTokenException", "The security token included in the request is expired"),
            ("ModelTimeoutException", "slow"),
            ("ModelErrorException", "broken"),
            ("ModelStreamErrorException", "broken"),
            ("ServiceUnavailableException", "Bedrock is unable to process your request."),
            ("ModelNotReadyException", "cold"),
            ("ServiceQuotaExceededException", "quota"),
            ("ResourceNotFoundException", "end of life"),
            ("BrandNewException", "AKIAABCDEFGHIJKLMNOP"),
        ] {
            let told = ErrorMetadata::builder().code(code).message(message).build();
            let error = of_service(&told, 500, None);
            let _ = writeln!(table, "{code:<28} {:<12} {error}", error.class());
        }
        insta::assert_snapshot!(table);
    }
}
