//! The model gateway's HTTP face: `/v1`, for every tool that speaks OpenAI's or Anthropic's protocol.
//!
//! A handler finds the key, reads the body, asks, and presents; what the bytes mean is decided in
//! [`toryo_models::dialect`], who may ask and who answers behind the port [`Door`]. Errors have the form of the
//! protocol that the client speaks, not that of [`problem`](crate::problem).
//!
//! These routes have limits of their own: bodies carry pictures, and answers take minutes. The key comes before the
//! body, so that a stranger cannot make the server hold anything. Pages of other sites are kept out as everywhere
//! ([`guard::admit`](crate::guard::admit)); there is no CORS.

mod count;
mod embeddings;
mod front;
mod limits;
mod list;
mod question;
mod reply;
mod trace;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{any, get, post};
use bytes::Bytes;
use std::sync::Arc;
use toryo_models::allowance::RateLimits;
use toryo_models::dialect::embeddings::{EmbeddingAnswer, EmbeddingQuestion};
use toryo_models::dialect::{Refused, RefusedKind, read_head};
use toryo_models::front::{About, Listed, Options, Served};
use toryo_models::inbound::{Dialect, Inbound};

/// Lets clients in. Adapter: [`Front`](toryo_models::front::Front).
#[async_trait]
pub trait Door: Send + Sync + 'static {
    /// Whose key this is.
    ///
    /// # Errors
    /// It is not accepted, or nobody can say.
    async fn enter(&self, secret: &str) -> Result<Arc<dyn Caller>, Refused>;
}

/// A client that was let in.
#[async_trait]
pub trait Caller: Send + Sync + 'static {
    /// One call. Dropping the future, or the stream that came of it, ends the request at the provider.
    ///
    /// # Errors
    /// Why it is not answered.
    async fn ask(&self, inbound: Inbound, options: &Options) -> Result<Served, Refused>;

    /// Texts become vectors.
    ///
    /// # Errors
    /// Why they do not.
    async fn embed(
        &self,
        question: EmbeddingQuestion,
        options: &Options,
    ) -> Result<(EmbeddingAnswer, About), Refused>;

    /// Tokens of a question in Anthropic's dialect that is not asked.
    ///
    /// # Errors
    /// Why they are not counted.
    async fn count_tokens(&self, body: Bytes) -> Result<u64, Refused>;

    /// Its tightest limits a minute.
    fn rate_limits(&self) -> RateLimits;

    /// The routes it may use.
    fn routes(&self) -> Vec<Listed>;
}

/// What the handlers share.
#[derive(Clone)]
struct Face {
    door: Arc<dyn Door>,
    max_body_bytes: usize,
}

/// The routes under `/v1`. Bodies may be this long.
pub fn router<S>(door: Arc<dyn Door>, max_body_bytes: usize) -> Router<S> {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/responses", post(responses))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count::tokens))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/{*rest}", any(unknown))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Face { door, max_body_bytes })
}

async fn chat_completions(State(face): State<Face>, request: Request) -> Response {
    face.answer(Dialect::Completions, request).await
}

async fn responses(State(face): State<Face>, request: Request) -> Response {
    face.answer(Dialect::Responses, request).await
}

async fn messages(State(face): State<Face>, request: Request) -> Response {
    face.answer(Dialect::Messages, request).await
}

async fn models(State(face): State<Face>, parts: Parts) -> Response {
    match face.enter(&parts).await {
        Ok(caller) => list::all(&caller.routes()),
        Err(refused) => reply::refused(&refused, list::dialect(&parts)),
    }
}

async fn model(State(face): State<Face>, Path(alias): Path<String>, parts: Parts) -> Response {
    let found = match face.enter(&parts).await {
        Ok(caller) => caller.routes().into_iter().find(|route| route.alias == alias),
        Err(refused) => return reply::refused(&refused, list::dialect(&parts)),
    };
    match found {
        Some(route) => list::one(&route),
        None => {
            let text = "there is no such model; `GET /v1/models` lists those that the key may use";
            reply::refused(&Refused::new(RefusedKind::NotFound, text), list::dialect(&parts))
        }
    }
}

async fn unknown(parts: Parts) -> Response {
    let text = format!("this gateway does not serve `{:.100}`", parts.uri.path());
    reply::refused(&Refused::new(RefusedKind::NotFound, text), list::dialect(&parts))
}

async fn wrong_method(parts: Parts) -> Response {
    reply::wrong_method(list::dialect(&parts))
}

impl Face {
    async fn enter(&self, parts: &Parts) -> Result<Arc<dyn Caller>, Refused> {
        self.door.enter(question::secret(&parts.headers)?).await
    }

    async fn answer(&self, dialect: Dialect, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let caller = match self.enter(&parts).await {
            Ok(caller) => caller,
            Err(refused) => return reply::refused(&refused, dialect),
        };
        let asked = self.served(dialect, &*caller, &parts, body);
        let mut response = match trace::under(&parts.headers, asked).await {
            Ok(served) => reply::served(served),
            Err(refused) => reply::refused(&refused, dialect),
        };
        limits::tell(&mut response, &caller.rate_limits(), dialect);
        response
    }

    async fn served(
        &self,
        dialect: Dialect,
        caller: &dyn Caller,
        parts: &Parts,
        body: Body,
    ) -> Result<Served, Refused> {
        let options = question::options(&parts.headers)?;
        let body = question::body(&parts.headers, body, self.max_body_bytes).await?;
        let mut inbound = read_head(dialect, body)?;
        inbound.betas = question::betas(&parts.headers);
        caller.ask(inbound, &options).await
    }
}

#[cfg(test)]
mod tests;
