//! Texts to vectors.

use super::{Face, limits, question, reply, trace};
use axum::extract::{Request, State};
use axum::response::Response;
use toryo_models::dialect::Refused;
use toryo_models::dialect::embeddings::EmbeddingQuestion;
use toryo_models::inbound::Dialect;

pub(super) async fn create(State(face): State<Face>, request: Request) -> Response {
    embedded(&face, request).await.unwrap_or_else(|refused| reply::refused(&refused, Dialect::Completions))
}

async fn embedded(face: &Face, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let caller = face.enter(&parts).await?;
    let options = question::options(&parts.headers)?;
    let question =
        EmbeddingQuestion::read(&question::body(&parts.headers, body, face.max_body_bytes).await?)?;
    let (alias, encoding) = (question.model.clone(), question.encoding);
    let embedded = trace::under(&parts.headers, caller.embed(question, &options));
    let (answer, about) = embedded.await?;
    let mut response = reply::json(answer.write(&alias, encoding), Some(&about));
    limits::tell(&mut response, &caller.rate_limits(), Dialect::Completions);
    Ok(response)
}
