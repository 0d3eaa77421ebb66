//! The configuration after the gaps are filled: what calls really use, and what `toryo config check` shows.

use super::check::{check_provider, check_retry, check_route, check_targets};
use super::{
    AtLimit, Aws, Config, Embeddings, Endpoint, Fallbacks, KeepWords, Price, Provider, Retry, Route,
    RouteCache, Specialisation, Strategy, StructuredOutput, TimeLimits, WithoutKey,
};
use crate::error::Error;
use crate::mask::Masking;
use crate::prices;
use serde::Serialize;
use std::collections::BTreeMap;
use toryo_domain::Usd;

/// The aliases that agents use, sorted. Each falls back to `default` where it is not configured.
pub const BUILT_IN_ROUTES: [&str; 8] =
    ["coder", "critic", "default", "integrator", "planner", "refiner", "retriever", "tester"];

/// Does the work that decides the outcome.
const STRONG: &str = "gpt-5";
/// Does the early and the small work.
const LIGHT: &str = "gpt-5-mini";

/// Output tokens of one call where nothing says more.
const DEFAULT_OUTPUT_TOKENS: u32 = 8_192;
/// Room for hidden reasoning, which providers count as output.
const DEFAULT_REASONING_TOKENS: u32 = 16_384;

/// The configuration in force.
#[derive(Debug, Clone, Serialize)]
pub struct InForce {
    /// What happens on a route whose provider has no key.
    pub without_key: WithoutKey,
    /// Retries.
    pub retry: Retry,
    /// Endpoints by name.
    pub providers: BTreeMap<String, Provider>,
    /// Routes by alias.
    pub routes: BTreeMap<String, RouteInForce>,
    /// The model of embeddings.
    pub embeddings: Option<Embeddings>,
}

/// A route with its gaps filled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RouteInForce {
    /// Those that answer for it; not empty.
    pub deployments: Vec<Deployment>,
    /// Which is asked first.
    pub strategy: Strategy,
    /// Requests for one call at most on this route.
    pub attempts: u32,
    /// Other routes, by what went wrong.
    pub fallbacks: Fallbacks,
    /// The route that is used instead while a budget runs low.
    pub downgrade_to: Option<String>,
    /// How long an answer may take.
    pub time: TimeLimits,
    /// Milliseconds after which a second deployment is asked.
    pub hedge_after_ms: Option<u64>,
    /// What happens beyond a caller's limits.
    pub at_limit: AtLimit,
    /// Longest wait there, in seconds.
    pub wait_seconds: u64,
    /// Tokens of a prompt at most.
    pub max_prompt_tokens: Option<u64>,
    /// Dollars one call may cost at most.
    pub max_call_usd: Option<Usd>,
    /// Whether questions leave with placeholders for what is sensitive.
    pub mask: Masking,
    /// How answers are kept.
    pub cache: Option<RouteCache>,
    /// What is kept of questions' and answers' words.
    pub words: KeepWords,
}

/// What answers for a route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deployment {
    /// How logs and the ledger call it; different from every other of its route.
    pub name: String,
    /// The endpoint's name.
    pub provider: String,
    /// The model, as the endpoint names it.
    pub model: String,
    /// Its share of requests under `simple_shuffle`.
    pub weight: u32,
    /// Lower ones are asked first.
    pub order: u32,
    /// Requests a minute that the provider allows.
    pub rpm: Option<u32>,
    /// Tokens a minute that the provider allows.
    pub tpm: Option<u64>,
    /// Requests at once that it serves well.
    pub capacity: u32,
    /// Where it is.
    pub region: Option<String>,
    /// Free words that callers may ask for.
    pub tags: Vec<String>,
    /// What it is best at.
    pub specialisation: Option<Specialisation>,
    /// How it is told to answer in JSON.
    pub structured_output: StructuredOutput,
    /// Output tokens of one call at most, room for reasoning included.
    pub max_output_tokens: u32,
    /// Tokens added for hidden reasoning.
    pub reasoning_tokens: u32,
    /// In place of what agents ask for.
    pub temperature: Option<f32>,
    /// Whether a temperature may be sent at all.
    pub takes_temperature: bool,
    /// Dollars a million tokens; `None` where it is not known and calls count as $0.
    pub price: Option<Price>,
    /// Tokens the model takes, in and out, where it is known.
    pub context_tokens: Option<u32>,
    /// Where and as whom Bedrock is called.
    pub aws: Option<Aws>,
}

impl Deployment {
    fn of(route: &Route, endpoint: &Endpoint) -> Self {
        let provider = endpoint.provider.as_ref().unwrap_or(&route.provider).clone();
        let model = endpoint.model.as_ref().unwrap_or(&route.model).clone();
        let region = endpoint.region.clone().or_else(|| endpoint.aws.as_ref()?.region.clone());
        let known = prices::find(&model);
        let reasons = known.is_some_and(|known| known.reasons);
        let reasoning_tokens =
            route.reasoning_tokens.unwrap_or(if reasons { DEFAULT_REASONING_TOKENS } else { 0 });
        let name = endpoint.name.clone().unwrap_or_else(|| match &region {
            Some(region) => format!("{provider}/{model}@{region}"),
            None => format!("{provider}/{model}"),
        });
        Self {
            name,
            provider,
            model,
            weight: endpoint.weight,
            order: endpoint.order,
            rpm: endpoint.rpm,
            tpm: endpoint.tpm,
            capacity: endpoint.capacity.max(1),
            region,
            tags: endpoint.tags.clone(),
            specialisation: endpoint.specialisation,
            structured_output: endpoint.structured_output.unwrap_or(route.structured_output),
            max_output_tokens: endpoint
                .max_output_tokens
                .or(route.max_output_tokens)
                .or(known.map(|known| known.max_output_tokens))
                .unwrap_or(DEFAULT_OUTPUT_TOKENS),
            reasoning_tokens,
            temperature: route.temperature,
            takes_temperature: !reasons,
            price: endpoint.price.or(route.price).or(known.map(|known| known.price)),
            context_tokens: endpoint
                .context_tokens
                .or(route.context_tokens)
                .or(known.map(|known| known.context_tokens)),
            aws: endpoint.aws.clone(),
        }
    }
}

impl RouteInForce {
    fn of(route: &Route, retry: Retry) -> Self {
        let own = [Endpoint::default()];
        let endpoints = if route.deployments.is_empty() { &own[..] } else { &route.deployments };
        let mut deployments: Vec<Deployment> =
            endpoints.iter().map(|endpoint| Deployment::of(route, endpoint)).collect();
        // Two of one model and region are told apart by their place.
        for at in 1..deployments.len() {
            let (before, rest) = deployments.split_at_mut(at);
            if before.iter().any(|other| other.name == rest[0].name) {
                rest[0].name = format!("{}#{}", rest[0].name, at + 1);
            }
        }
        let has_fallbacks = route.fallbacks.all().next().is_some();
        let attempts = if has_fallbacks { retry.attempts.min(2) } else { retry.attempts };
        Self {
            deployments,
            strategy: route.strategy,
            attempts: route.attempts.unwrap_or(attempts),
            fallbacks: route.fallbacks.clone(),
            downgrade_to: route.downgrade_to.clone(),
            time: route.time,
            hedge_after_ms: route.hedge_after_ms,
            at_limit: route.at_limit,
            wait_seconds: route.wait_seconds,
            max_prompt_tokens: route.max_prompt_tokens,
            max_call_usd: route.max_call_usd,
            mask: route.mask,
            cache: route.cache,
            words: route.words,
        }
    }

    /// The deployment that is asked first where nothing speaks against it: of the lowest order, as written.
    #[must_use]
    pub fn first(&self) -> &Deployment {
        let first = self.deployments.iter().min_by_key(|deployment| deployment.order);
        first.unwrap_or(&self.deployments[0])
    }
}

impl Config {
    /// Fills the gaps and checks what belongs together.
    ///
    /// # Errors
    /// [`Error::Config`] names the key that is wrong.
    pub fn in_force(&self) -> Result<InForce, Error> {
        let mut providers = self.providers.clone();
        providers.entry("openai".to_owned()).or_default();
        for (name, provider) in &providers {
            check_provider(name, provider)?;
        }
        check_retry(self.retry)?;
        let written = if self.routes.is_empty() { built_in_routes() } else { self.routes.clone() };
        let mut routes = BTreeMap::new();
        for (alias, route) in &written {
            check_route(alias, route, &providers)?;
            check_targets(alias, route, &written)?;
            routes.insert(alias.clone(), RouteInForce::of(route, self.retry));
        }
        spread_masking(&mut routes);
        if let Some(embeddings) = &self.embeddings {
            embeddings.check(&providers)?;
        }
        let embeddings = self.embeddings.clone();
        Ok(InForce { without_key: self.without_key, retry: self.retry, providers, routes, embeddings })
    }
}

impl InForce {
    /// The route behind an alias; the agents' own aliases fall back to `default`.
    ///
    /// # Errors
    /// [`Error::UnknownRoute`].
    pub fn route(&self, alias: &str) -> Result<&RouteInForce, Error> {
        let fallback = || BUILT_IN_ROUTES.contains(&alias).then(|| self.routes.get("default")).flatten();
        self.routes.get(alias).or_else(fallback).ok_or_else(|| Error::UnknownRoute {
            route: alias.chars().take(80).collect(),
            known: self.routes.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }
}

/// A question that may come to a route that masks is masked before it goes anywhere.
fn spread_masking(routes: &mut BTreeMap<String, RouteInForce>) {
    // A route at most is added in each round.
    for _ in 0..routes.len() {
        let masks: BTreeMap<String, Masking> = routes
            .iter()
            .filter(|(_, route)| route.mask != Masking::Off)
            .map(|(alias, route)| (alias.clone(), route.mask))
            .collect();
        for route in routes.values_mut().filter(|route| route.mask == Masking::Off) {
            let next = route.fallbacks.all().find_map(|alias| masks.get(alias));
            route.mask = next.copied().unwrap_or_default();
        }
    }
}

fn built_in_routes() -> BTreeMap<String, Route> {
    BUILT_IN_ROUTES
        .iter()
        .map(|alias| {
            let model = match *alias {
                "refiner" | "retriever" | "integrator" => LIGHT,
                _ => STRONG,
            };
            ((*alias).to_owned(), Route::to(model))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_force(text: &str) -> Result<InForce, Error> {
        toml::from_str::<Config>(text).unwrap().in_force()
    }

    #[test]
    fn routes_that_are_written_replace_the_built_in_ones_and_default_stands_in() {
        let config = in_force(
            "[providers.local]\nbase_url = \"http://127.0.0.1:8000/v1\"\nkeyless = true\n\
             [routes.default]\nprovider = \"local\"\nmodel = \"qwen\"\nmax_output_tokens = 4096",
        )
        .unwrap();
        for alias in BUILT_IN_ROUTES {
            let route = config.route(alias).unwrap();
            let [only] = &route.deployments[..] else { panic!("not one deployment") };
            assert_eq!((only.provider.as_str(), only.model.as_str()), ("local", "qwen"), "{alias}");
            assert_eq!((only.price, only.context_tokens, only.max_output_tokens), (None, None, 4096));
            assert!(only.takes_temperature);
        }
        let error = config.route("codr").unwrap_err();
        assert_eq!(error.to_string(), "no model route is called `codr`; there are default");
    }

    #[test]
    fn a_known_model_brings_its_facts_and_the_operator_overrules_them() {
        let config = in_force(
            "[routes.a]\nmodel = \"gpt-4.1-2025-04-14\"\n\
             [routes.b]\nmodel = \"gpt-5\"\nreasoning_tokens = 7\nprice = { input = 1, cached_input = 0.5, output = 2 }",
        )
        .unwrap();
        let known = config.route("a").unwrap().first();
        assert_eq!(known.price.map(|price| price.input), Usd::from_dollars(2.0));
        assert_eq!((known.reasoning_tokens, known.takes_temperature), (0, true));
        let own = config.route("b").unwrap().first();
        assert_eq!(own.price.map(|price| price.output), Usd::from_dollars(2.0));
        assert_eq!((own.reasoning_tokens, own.takes_temperature), (7, false));
    }

    #[test]
    fn deployments_take_from_their_route_what_they_do_not_say() {
        let config = in_force(
            "[routes.long]\nmodel = \"gpt-4.1\"\n[routes.coder]\nmodel = \"gpt-5\"\nfallbacks = { any = [\"long\"] }\n\
             deployments = [{ region = \"eu\" }, { region = \"eu\", order = 2 }, { model = \"gpt-4.1\", rpm = 9 }]",
        )
        .unwrap();
        let route = config.route("coder").unwrap();
        let names: Vec<_> = route.deployments.iter().map(|deployment| deployment.name.as_str()).collect();
        assert_eq!(names, ["openai/gpt-5@eu", "openai/gpt-5@eu#2", "openai/gpt-4.1"]);
        let reasons: Vec<_> =
            route.deployments.iter().map(|deployment| !deployment.takes_temperature).collect();
        assert_eq!((reasons, route.attempts), (vec![true, true, false], 2));
        assert_eq!(config.route("long").unwrap().attempts, 6);
    }

    #[test]
    fn a_route_whose_fallbacks_mask_masks_as_well() {
        let config = in_force(
            "[routes.a]\nmodel = \"m\"\nfallbacks = { any = [\"b\"] }\n\
             [routes.b]\nmodel = \"m\"\nfallbacks = { rate_limit = [\"c\", \"a\"] }\n\
             [routes.c]\nmodel = \"m\"\nmask = \"restore\"\n[routes.d]\nmodel = \"m\"",
        )
        .unwrap();
        let mask = |alias| config.route(alias).unwrap().mask;
        assert_eq!([mask("a"), mask("b"), mask("c")], [Masking::Restore; 3]);
        assert_eq!(mask("d"), Masking::Off);
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let mut said = String::new();
        for text in [
            "[routes.coder]\nmodel = \"m\"\nprovider = \"nobody\"",
            "[routes.coder]\nmodel = \" \"",
            "[routes.coder]\nprovider = \"openai\"",
            "[routes.coder]\ndeployments = [{ model = \"a\" }, { provider = \"openai\" }]",
            "[routes.coder]\nmodel = \"m\"\ndeployments = [{ weight = 0 }]",
            "[routes.coder]\nmodel = \"m\"\nfallbacks = { any = [\"coder\"] }",
            "[routes.coder]\nmodel = \"m\"\nfallbacks = { rate_limit = [\"light\"] }",
            "[routes.coder]\nmodel = \"m\"\ndowngrade_to = \"light\"",
            "[routes.coder]\nmodel = \"m\"\ntime = { first_token_seconds = 0 }",
            "[routes.coder]\nmodel = \"m\"\ntemperature = 3.0",
            "[routes.coder]\nmodel = \"m\"\nmax_output_tokens = 0",
            "[routes.coder]\nmodel = \"m\"\nprice = { input = -1, cached_input = 0, output = 0 }",
            "[providers.openai]\ntimeout_seconds = 0",
            "[providers.openai]\nconnect_timeout_seconds = 0",
            "[retry]\nattempts = 0",
            "[retry]\ntotal_seconds = 0",
        ] {
            said.push_str(&in_force(text).unwrap_err().to_string());
            said.push('\n');
        }
        insta::assert_snapshot!(said);
    }
}
