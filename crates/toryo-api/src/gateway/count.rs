//! Tokens of a question that is not asked: `POST /v1/messages/count_tokens` of Anthropic's protocol.

use super::{Face, question, reply};
use axum::extract::{Request, State};
use axum::response::Response;
use toryo_models::dialect::Refused;
use toryo_models::inbound::Dialect;

pub(super) async fn tokens(State(face): State<Face>, request: Request) -> Response {
    counted(&face, request).await.unwrap_or_else(|refused| reply::refused(&refused, Dialect::Messages))
}

async fn counted(face: &Face, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let caller = face.enter(&parts).await?;
    let body = question::body(&parts.headers, body, face.max_body_bytes).await?;
    let tokens = caller.count_tokens(body).await?;
    let mut response = reply::json(format!("{{\"input_tokens\":{tokens}}}"), None);
    // As the ledger marks what no provider counted.
    reply::set(&mut response, "x-toryo-counted-by", "tokenizer");
    Ok(response)
}
