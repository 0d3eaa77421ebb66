//! Texts of clients become vectors.

use super::bill::Bill;
use super::{About, Front, Options, no_mask, refused};
use crate::accounts::Principal;
use crate::chat::{Chat, Part, Turn};
use crate::config::InForce;
use crate::dialect::{Refused, RefusedKind};
use crate::embeddings::{self, EmbeddingProvider, EmbeddingReply, EmbeddingRequest, TextKind};
use crate::error::Error;
use crate::journal::Spent;
use crate::ledger::CacheState;
use crate::mask::{Masking, masked};
use crate::prices::{self, guess_tokens};
use crate::provider::ProviderError;
use crate::reply::Usage;
use crate::route::trace::{EmbeddingSpan, Vendor};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toryo_domain::Usd;

/// Who embeds, by the route's alias. A route embeds through its first deployment: vectors of two models must not be
/// mixed, so that there is no falling back.
#[derive(Clone, Default)]
pub struct Embedders(BTreeMap<String, Embedder>);

#[derive(Clone)]
struct Embedder {
    provider: Arc<dyn EmbeddingProvider>,
    vendor: Vendor,
    limit: Duration,
}

impl Embedders {
    /// Of every route whose first deployment has a key and a protocol with embeddings.
    ///
    /// # Errors
    /// [`Error::Config`] where an endpoint cannot be used.
    pub fn of(config: &InForce) -> Result<Self, Error> {
        let mut all = BTreeMap::new();
        for (alias, route) in &config.routes {
            let first = route.first();
            let Some(endpoint) = config.providers.get(&first.provider) else { continue };
            if !endpoint.is_usable() {
                continue;
            }
            if let Some(provider) = embeddings::provider(&first.provider, endpoint, first.aws.clone())? {
                let (vendor, limit) = (Vendor::of(endpoint), endpoint.timeout());
                all.insert(alias.clone(), Embedder { provider, vendor, limit });
            }
        }
        Ok(Self(all))
    }
}

impl Front {
    /// Texts become vectors, in their order. `dimensions` shortens them, where the model can.
    ///
    /// # Errors
    /// Why they do not, for the client.
    pub async fn embed(
        &self,
        who: &Arc<Principal>,
        alias: &str,
        texts: Vec<String>,
        dimensions: Option<u32>,
        options: &Options,
    ) -> Result<(EmbeddingReply, About), Refused> {
        let settings = self.router.settings(alias).map_err(|error| refused(&error))?;
        let deployment = settings.first();
        let Some(embedder) = self.embedders.0.get(alias) else {
            let text = format!("the route `{alias}` makes no embeddings");
            return Err(Refused::new(RefusedKind::BadRequest, text));
        };
        let texts = self.masked_texts(texts, settings.mask)?;
        let tokens = texts.iter().map(|text| guess_tokens(text)).sum();
        let guessed = Usage { input: tokens, ..Usage::default() };
        let usd = deployment.price.map_or(Usd::ZERO, |price| prices::most(&price, &guessed));
        let permit = self.admit(who, alias, settings, Spent { usd, tokens }, options.priority).await?;
        let mut bill = Bill::open_for(permit, "embeddings", false, alias, tokens);
        bill.deployed(deployment);
        let about = About {
            call: bill.id(),
            deployment: deployment.name.clone(),
            cost: None,
            cache: CacheState::None,
            guardrail: None,
        };
        let request = EmbeddingRequest {
            model: deployment.model.clone(),
            texts,
            kind: TextKind::Passage,
            shorten_to: dimensions,
        };
        let trace = EmbeddingSpan::begin(alias, deployment, &embedder.vendor, dimensions);
        // Dropping the future ends the request; nobody else cancels it.
        let never = CancellationToken::new();
        match embedder.provider.embed(&request, Instant::now() + embedder.limit, &never).await {
            Ok(reply) => {
                let cost = bill.embedded(reply.input_tokens)?;
                trace.answered(reply.input_tokens, cost);
                Ok((reply, About { cost: Some(cost), ..about }))
            }
            Err(source) => {
                trace.failed(&source);
                let told = Refused::from(&source);
                let status = told.kind.status(crate::inbound::Dialect::Completions);
                bill.failed(&failed(&deployment.provider, source), status);
                Err(told)
            }
        }
    }
}

impl Front {
    /// The texts as they may leave. Nothing is restored: vectors hold no words.
    fn masked_texts(&self, texts: Vec<String>, masking: Masking) -> Result<Vec<String>, Refused> {
        if masking == Masking::Off {
            return Ok(texts);
        }
        let mask = self.mask.as_deref().ok_or_else(no_mask)?;
        let turns = texts.into_iter().map(|text| Turn::User(vec![Part::Text(text)])).collect();
        let (chat, _) = masked(&Chat { turns, ..Chat::default() }, mask);
        let text = |turn: &Turn| match turn.parts() {
            [Part::Text(text)] => text.clone(),
            _ => String::new(),
        };
        Ok(chat.turns.iter().map(text).collect())
    }
}

fn failed(provider: &str, source: ProviderError) -> Error {
    Error::Provider { provider: provider.to_owned(), attempts: 1, source }
}
