//! Looking for an answer that was given before, serving it, and keeping new ones.

use super::bill::Bill;
use super::cache::{Cache, Entry, Names, Turn, last_words};
use super::{About, Body, CacheControl, Call, Front, Options, Served, facts, stream};
use crate::accounts::Principal;
use crate::chat::{Completion, Event};
use crate::config::{RouteCache, RouteInForce};
use crate::dialect::{self, Refused, Writer};
use crate::embeddings::TextKind;
use crate::journal::Spent;
use crate::ledger::CacheState;
use crate::provider::Answer;
use crate::provider::asking::answer;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use toryo_domain::Usd;

/// What came of looking.
pub(super) enum Looked {
    /// An answer of before.
    Found(Found),
    /// None; the new one is to be kept.
    Missing(Box<Keep>),
    /// The client wants neither.
    Nowhere,
}

/// An answer of before.
pub(super) struct Found {
    entry: Arc<Entry>,
    state: CacheState,
}

/// Where a new answer is kept. While it lives, equal questions wait.
pub(super) struct Keep {
    cache: Cache,
    names: Names,
    rules: RouteCache,
    vector: Option<Arc<[f32]>>,
    _turn: Turn,
}

/// A streamed answer, put together on its way.
pub(super) struct Keeping {
    keep: Keep,
    deployment: String,
    events: Vec<Event>,
}

impl Keep {
    pub(super) fn keep(self, completion: Completion, deployment: &str) {
        self.cache.keep(&self.names, completion, deployment, self.rules, self.vector.clone());
    }

    pub(super) const fn stream(self, deployment: String) -> Keeping {
        Keeping { keep: self, deployment, events: Vec::new() }
    }
}

impl Keeping {
    pub(super) fn piece(&mut self, event: &Event) {
        self.events.push(event.clone());
    }

    /// The stream has come to its end: half an answer is not kept.
    pub(super) fn ended(self) {
        if let Some(completion) = Completion::from_events(self.events) {
            self.keep.keep(completion, &self.deployment);
        }
    }
}

impl Front {
    /// Looks for an answer to an equal question, then, where the route says so, to a similar one.
    pub(super) async fn look_up(
        &self,
        who: &Principal,
        call: &Call,
        route: &str,
        rules: RouteCache,
        wish: CacheControl,
    ) -> Result<Looked, Refused> {
        // Several answers at once are several answers on purpose.
        if wish.no_store || call.inbound.head.choices > 1 {
            return Ok(Looked::Nowhere);
        }
        let chat = call.chat()?;
        // Answers are kept in neutral words.
        if chat.wants_more_than_words() {
            return Ok(Looked::Nowhere);
        }
        let names = Names::of(who.who(), route, call.inbound.head.max_output_tokens, &chat);
        let turn = self.cache.turn(&names).await;
        if !wish.no_cache
            && let Some(entry) = self.cache.exact(&names)
        {
            return Ok(Looked::Found(Found { entry, state: CacheState::Exact }));
        }
        let mut vector = None;
        if let (Some(least), Some(embedder)) = (rules.semantic_threshold, &self.embedder)
            && let Some(words) = last_words(&chat)
        {
            let none = CancellationToken::new();
            match embedder.embed(&[words], TextKind::Query, &none).await {
                Ok(vectors) => vector = vectors.into_iter().next().map(Arc::from),
                // The model of vectors is a convenience: without it the question is asked.
                Err(error) => tracing::warn!(%error, route, "similar questions cannot be looked for"),
            }
            if !wish.no_cache
                && let Some(vector) = &vector
                && let Some(entry) = self.cache.similar(&names, vector, least)
            {
                return Ok(Looked::Found(Found { entry, state: CacheState::Semantic }));
            }
        }
        let cache = self.cache.clone();
        Ok(Looked::Missing(Box::new(Keep { cache, names, rules, vector, _turn: turn })))
    }

    /// An answer of before costs nothing, but it counts as a request.
    pub(super) async fn serve_kept(
        &self,
        who: &Arc<Principal>,
        call: &Call,
        route: &str,
        settings: &RouteInForce,
        options: &Options,
        found: &Found,
    ) -> Result<Served, Refused> {
        let permit = self.admit(who, route, settings, Spent::default(), options.priority).await?;
        let mut bill = Bill::open(permit, &call.inbound, route, 0);
        bill.kept(&found.entry.deployment, found.state);
        let about = About {
            guardrail: None,
            call: bill.id(),
            deployment: found.entry.deployment.clone(),
            cost: Some(Usd::ZERO),
            cache: found.state,
        };
        let facts = facts(call, &bill);
        let (dialect, head) = (call.inbound.dialect, &call.inbound.head);
        let completion = found.entry.completion.clone();
        let body = match answer(completion, head.stream) {
            Answer::Whole(whole) => {
                let bytes = dialect::whole(dialect, &call.restored(&whole.completion), &facts);
                bill.whole(&whole.completion)?;
                Body::Whole(bytes)
            }
            Answer::Stream(pieces) => {
                let writer = Writer::new(dialect, &facts, head.include_usage);
                Body::Events(stream::events(pieces, writer, bill, false, None, call.restorer.clone()))
            }
        };
        Ok(Served { about, body })
    }
}
