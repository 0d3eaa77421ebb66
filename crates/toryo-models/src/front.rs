//! The gateway's front: one call of a client, from its key to its row in the ledger.
//!
//! 1. whose key it is ([`Accounts::authenticate`]),
//! 2. which route answers, and what that may cost at most ([`Router::worst_case`]),
//! 3. whether the caller may spend that ([`Accounts::admit`]: the permit holds it),
//! 4. who answers ([`Router::ask`]), in the client's dialect ([`dialect`]),
//! 5. what it cost: the permit is settled before the last byte of the answer is handed out ([`bill`]).
//!
//! Whatever ends a call early, a client that goes away included, ends its request to the provider, gives back its
//! permit and writes its row.

mod bill;
mod cache;
mod count;
mod embed;
mod guess;
mod kept;
mod refusals;
mod stream;
mod words;

use crate::accounts::{Accounts, Principal};
use crate::allowance::{Admission, AtLimit, Permit, RateLimits};
use crate::chat::{Chat, Completion};
use crate::config::{AtLimit as RouteAtLimit, CacheBytes, RouteInForce};
use crate::dialect::{self, Facts, Refused, RefusedKind};
use crate::embeddings::Embedder;
use crate::error::Error;
use crate::inbound::Inbound;
use crate::journal::Spent;
use crate::ledger::CacheState;
use crate::mask::{Mask, Masking, Restorer, masked};
use crate::provider::{Answer, ProviderError, Whole};
use crate::route::{Question, Routed, Router, Wanted, Work, WorstCase};
pub use embed::Embedders;

use bill::Bill;
use bytes::Bytes;
use cache::Cache;
use futures::Stream;
use kept::{Keep, Looked};
use refusals::{check_prompt, key_refused, no_journal, no_mask, not_admitted, refused};
use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use toryo_domain::{CallId, Priority, Usd};
use words::Words;

/// Below this share of a budget its holder's calls take the cheaper route, where their route names one (R105).
const LOW_BUDGET: f64 = 0.1;

/// Serves clients. Cheap to clone; one a process.
#[derive(Clone)]
pub struct Front {
    router: Arc<Router>,
    accounts: Accounts,
    cache: Cache,
    /// Makes the vectors of similar questions.
    embedder: Option<Embedder>,
    embedders: Embedders,
    /// Says what is sensitive, for routes that mask.
    mask: Option<Arc<dyn Mask>>,
    words: Words,
}

/// What a client says of a call beside its body.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Its place among those that wait for a limit.
    pub priority: Priority,
    /// What kind of work it is.
    pub work: Work,
    /// How hard it is, 0 to 1; `None` counts as one half.
    pub complexity: Option<f64>,
    /// Deployments must have all of these tags.
    pub tags: Vec<String>,
    /// Deployments must be in this region.
    pub region: Option<String>,
    /// What the client wants of answers that are kept.
    pub cache: CacheControl,
}

/// What a client wants of answers that are kept (`Cache-Control`, RFC 9111).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheControl {
    /// `no-cache`: no answer of before is wanted.
    pub no_cache: bool,
    /// `no-store`: the answer is not to be kept.
    pub no_store: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            priority: Priority::Normal,
            work: Work::Unknown,
            complexity: None,
            tags: Vec::new(),
            region: None,
            cache: CacheControl::default(),
        }
    }
}

/// An answer, in the client's dialect.
pub struct Served {
    /// What is told in headers.
    pub about: About,
    /// The bytes.
    pub body: Body,
}

/// The bytes of an answer.
pub enum Body {
    /// All of them.
    Whole(Bytes),
    /// Server-sent events, as they come. The stream ends the answer in the dialect's own way, errors included.
    /// Dropping it ends the request at the provider.
    Events(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

/// What is told of an answer in headers.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The call's id in the ledger.
    pub call: CallId,
    /// The deployment that answers.
    pub deployment: String,
    /// What it cost; known for whole answers only.
    pub cost: Option<Usd>,
    /// Whether a cache answered.
    pub cache: CacheState,
    /// The policies of the provider's guardrail, where it stepped in; known for whole answers only.
    pub guardrail: Option<String>,
}

/// A route as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The alias.
    pub alias: String,
    /// The providers that answer, each once.
    pub providers: Vec<String>,
    /// Tokens it takes, in and out, where it is known: the least of its deployments.
    pub context_tokens: Option<u32>,
    /// Tokens of an answer at most.
    pub max_output_tokens: u32,
}

impl Front {
    /// Over the routes and the accounts of this process.
    #[must_use]
    pub fn new(
        router: Arc<Router>,
        accounts: Accounts,
        cache_bytes: CacheBytes,
        embedder: Option<Embedder>,
    ) -> Self {
        let cache = Cache::new(cache_bytes.0);
        let words = Words::start(&accounts, None);
        Self { router, accounts, cache, embedder, embedders: Embedders::default(), mask: None, words }
    }

    /// Makes embeddings as well.
    #[must_use]
    pub fn with_embedders(self, embedders: Embedders) -> Self {
        Self { embedders, ..self }
    }

    /// What routes that mask take for sensitive; without it they answer nothing.
    #[must_use]
    pub fn with_mask(self, mask: Arc<dyn Mask>) -> Self {
        let words = Words::start(&self.accounts, Some(Arc::clone(&mask)));
        Self { mask: Some(mask), words, ..self }
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// [`RefusedKind::KeyRefused`], or [`RefusedKind::Unavailable`] where nobody can say.
    pub async fn authenticate(&self, secret: &str) -> Result<Arc<Principal>, Refused> {
        self.accounts.authenticate(secret).await.map_err(key_refused)
    }

    /// The tightest limits a minute of a caller.
    #[must_use]
    pub fn rate_limits(&self, who: &Principal) -> RateLimits {
        self.accounts.rate_limits(who)
    }

    /// The routes that a caller may use.
    #[must_use]
    pub fn routes(&self, who: &Principal) -> Vec<Listed> {
        let allowed = self.router.aliases().filter(|alias| who.allows(alias));
        allowed.filter_map(|alias| Some(listed(alias, self.router.settings(alias).ok()?))).collect()
    }

    /// One call.
    ///
    /// # Errors
    /// Why it is not answered, for the client. Once an answer has begun, errors are part of it.
    pub async fn ask(
        &self,
        who: &Arc<Principal>,
        inbound: Inbound,
        options: &Options,
    ) -> Result<Served, Refused> {
        let (route, settings) = self.route_for(who, &inbound.head.model)?;
        let call = Arc::new(self.call(inbound, settings.mask)?);
        let keeping = match settings.cache {
            Some(rules) => self.look_up(who, &call, &route, rules, options.cache).await?,
            None => Looked::Nowhere,
        };
        match keeping {
            Looked::Found(found) => self.serve_kept(who, &call, &route, settings, options, &found).await,
            Looked::Nowhere => self.ask_route(who, call, &route, settings, options, None).await,
            Looked::Missing(keep) => self.ask_route(who, call, &route, settings, options, Some(*keep)).await,
        }
    }

    /// The call as it may leave: masked where its route says so.
    fn call(&self, inbound: Inbound, masking: Masking) -> Result<Call, Refused> {
        let call = Call { inbound, chat: OnceLock::new(), masked: false, restorer: None };
        if masking == Masking::Off {
            return Ok(call);
        }
        let mask = self.mask.as_deref().ok_or_else(no_mask)?;
        let (chat, restorer) = masked(&*call.chat()?, mask);
        let restorer = (masking == Masking::Restore).then_some(restorer);
        Ok(Call { chat: OnceLock::from(Ok(Arc::new(chat))), masked: true, restorer, ..call })
    }

    /// A call that no cache answers.
    async fn ask_route(
        &self,
        who: &Arc<Principal>,
        call: Arc<Call>,
        route: &str,
        settings: &RouteInForce,
        options: &Options,
        keep: Option<Keep>,
    ) -> Result<Served, Refused> {
        let input_tokens = guess::input_tokens(&call)?;
        check_prompt(settings, input_tokens)?;
        let reader = Arc::clone(&call);
        let read = move || {
            reader.chat().map_err(|bad| ProviderError::Rejected { status: 400, message: bad.message })
        };
        // The client's own bytes hold what was masked.
        let masked = if call.masked { Some(call.chat()?) } else { None };
        let wanted = match &masked {
            Some(chat) => Wanted::Chat(chat),
            None => Wanted::Inbound(&call.inbound, &read),
        };
        let question = Question {
            route,
            wanted: &wanted,
            stream: call.inbound.head.stream,
            max_output_tokens: call.inbound.head.max_output_tokens,
            input_tokens,
            step: None,
            work: options.work,
            complexity: options.complexity.unwrap_or(0.5),
            tags: &options.tags,
            region: options.region.as_deref(),
        };
        let worst = self.worst_case(&question, &call.inbound, settings)?;
        let most = Spent { usd: worst.usd, tokens: worst.tokens };
        let permit = self.admit(who, route, settings, most, options.priority).await?;
        let mut bill = Bill::open(permit, &call.inbound, route, input_tokens);
        bill.keep_words(self.words.of(settings.words, who.who().team, route));
        match self.router.ask(&question).await {
            Ok(routed) => {
                bill.answered(&routed);
                serve(&call, routed, bill, keep)
            }
            Err(error) => {
                let refused = match (&error, call.unreadable()) {
                    (Error::Provider { source: ProviderError::Rejected { .. }, .. }, Some(bad)) => bad.into(),
                    _ => refused(&error),
                };
                bill.failed(&error, refused.kind.status(call.inbound.dialect));
                Err(refused)
            }
        }
    }

    /// The route that answers: the one that was asked for, or a cheaper one while a budget runs low.
    fn route_for(&self, who: &Principal, asked: &str) -> Result<(String, &RouteInForce), Refused> {
        let settings = self.router.settings(asked).map_err(|error| refused(&error))?;
        if let Some(cheaper) = &settings.downgrade_to
            && who.allows(asked)
            && who.allows(cheaper)
            && self.accounts.budget_state(who).least_left < LOW_BUDGET
        {
            tracing::info!(from = asked, to = %cheaper, "a budget runs low: a cheaper route answers");
            let settings = self.router.settings(cheaper).map_err(|error| refused(&error))?;
            return Ok((cheaper.clone(), settings));
        }
        Ok((asked.to_owned(), settings))
    }

    fn worst_case(
        &self,
        question: &Question<'_>,
        inbound: &Inbound,
        settings: &RouteInForce,
    ) -> Result<WorstCase, Refused> {
        let mut worst = self.router.worst_case(question).map_err(|error| refused(&error))?;
        // Each of several answers may be as long as allowed.
        let choices = u64::from(inbound.head.choices.max(1));
        worst.tokens = worst.tokens.saturating_mul(choices);
        worst.usd =
            Usd::from_nanos(worst.usd.nanos().saturating_mul(i64::try_from(choices).unwrap_or(i64::MAX)));
        match settings.max_call_usd {
            Some(limit) if worst.usd > limit => Err(Refused::new(
                RefusedKind::BadRequest,
                format!(
                    "this call may cost up to {} and the route allows {limit}: shorten the prompt or ask for fewer \
                     tokens with the limit of output tokens",
                    worst.usd
                ),
            )),
            _ => Ok(worst),
        }
    }

    async fn admit(
        &self,
        who: &Arc<Principal>,
        route: &str,
        settings: &RouteInForce,
        most: Spent,
        priority: Priority,
    ) -> Result<Permit, Refused> {
        if self.accounts.ledger().is_blocked() {
            return Err(no_journal());
        }
        let at_limit = match settings.at_limit {
            RouteAtLimit::Wait => AtLimit::Wait(Duration::from_secs(settings.wait_seconds)),
            RouteAtLimit::Refuse => AtLimit::Refuse,
        };
        let admission = Admission { route, most, priority, at_limit };
        self.accounts.admit(who, &admission).await.map_err(|refusal| not_admitted(&refusal))
    }
}

/// An answer of a provider on its way to the client, and to the cache.
fn serve(call: &Call, routed: Routed, bill: Bill, keep: Option<Keep>) -> Result<Served, Refused> {
    let head = &call.inbound.head;
    let dialect = call.inbound.dialect;
    let facts = facts(call, &bill);
    let mut about = About {
        call: bill.id(),
        deployment: routed.by.deployment,
        cost: None,
        cache: CacheState::None,
        guardrail: None,
    };
    let body = match routed.answer {
        Answer::Whole(Whole { completion, native }) => {
            about.cost = Some(bill.whole(&completion)?);
            about.guardrail = completion.stop.policies().map(|policies| policies.join(", "));
            let bytes =
                native.unwrap_or_else(|| dialect::whole(dialect, &call.restored(&completion), &facts));
            if let Some(keep) = keep {
                keep.keep(completion, &about.deployment);
            }
            Body::Whole(bytes)
        }
        Answer::Stream(pieces) => {
            let writer = dialect::Writer::new(dialect, &facts, head.include_usage);
            let keeping = keep.map(|keep| keep.stream(about.deployment.clone()));
            Body::Events(stream::events(pieces, writer, bill, routed.native, keeping, call.restorer.clone()))
        }
    };
    Ok(Served { about, body })
}

fn facts(call: &Call, bill: &Bill) -> Facts {
    Facts {
        id: bill.id().uuid().simple().to_string(),
        created: bill.created(),
        alias: call.inbound.head.model.clone(),
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("router", &self.router).finish_non_exhaustive()
    }
}

/// A client's call, read into neutral words when somebody needs them.
struct Call {
    inbound: Inbound,
    chat: OnceLock<Result<Arc<Chat>, dialect::BadRequest>>,
    /// The chat has placeholders for what is sensitive; so have answers that are kept.
    masked: bool,
    /// Puts the values back into the answer, where the route says so.
    restorer: Option<Restorer>,
}

impl Call {
    fn chat(&self) -> Result<Arc<Chat>, dialect::BadRequest> {
        self.chat.get_or_init(|| dialect::read_chat(&self.inbound).map(Arc::new)).clone()
    }

    /// What is wrong with the question, where somebody had to read it and could not.
    fn unreadable(&self) -> Option<dialect::BadRequest> {
        self.chat.get()?.as_ref().err().cloned()
    }

    /// The answer as the client is to see it.
    fn restored<'a>(&self, completion: &'a Completion) -> Cow<'a, Completion> {
        let Some(restorer) = &self.restorer else { return Cow::Borrowed(completion) };
        let mut shown = completion.clone();
        restorer.completion(&mut shown);
        Cow::Owned(shown)
    }
}

fn listed(alias: &str, settings: &RouteInForce) -> Listed {
    let mut providers: Vec<String> =
        settings.deployments.iter().map(|deployment| deployment.provider.clone()).collect();
    providers.sort();
    providers.dedup();
    Listed {
        alias: alias.to_owned(),
        providers,
        context_tokens: settings.deployments.iter().filter_map(|one| one.context_tokens).min(),
        max_output_tokens: settings.deployments.iter().map(|one| one.max_output_tokens).min().unwrap_or(0),
    }
}
