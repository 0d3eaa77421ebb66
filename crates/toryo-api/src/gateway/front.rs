//! The gateway itself behind the port.

use super::{Caller, Door};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use toryo_models::accounts::Principal;
use toryo_models::allowance::RateLimits;
use toryo_models::dialect::Refused;
use toryo_models::dialect::embeddings::{EmbeddingAnswer, EmbeddingQuestion};
use toryo_models::front::{About, Front, Listed, Options, Served};
use toryo_models::inbound::Inbound;

struct Known {
    front: Front,
    who: Arc<Principal>,
}

#[async_trait]
impl Door for Front {
    async fn enter(&self, secret: &str) -> Result<Arc<dyn Caller>, Refused> {
        let who = self.authenticate(secret).await?;
        Ok(Arc::new(Known { front: self.clone(), who }))
    }
}

#[async_trait]
impl Caller for Known {
    async fn ask(&self, inbound: Inbound, options: &Options) -> Result<Served, Refused> {
        self.front.ask(&self.who, inbound, options).await
    }

    async fn embed(
        &self,
        question: EmbeddingQuestion,
        options: &Options,
    ) -> Result<(EmbeddingAnswer, About), Refused> {
        let EmbeddingQuestion { model, texts, dimensions, .. } = question;
        let (reply, about) = self.front.embed(&self.who, &model, texts, dimensions, options).await?;
        Ok((EmbeddingAnswer { vectors: reply.vectors, input_tokens: reply.input_tokens }, about))
    }

    async fn count_tokens(&self, body: Bytes) -> Result<u64, Refused> {
        self.front.count_tokens(&self.who, body).await
    }

    fn rate_limits(&self) -> RateLimits {
        self.front.rate_limits(&self.who)
    }

    fn routes(&self) -> Vec<Listed> {
        self.front.routes(&self.who)
    }
}
