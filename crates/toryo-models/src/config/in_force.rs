//! The configuration after the gaps are filled: what calls really use, and what `toryo config check` shows.

use super::{Config, Embeddings, Price, Provider, Retry, Route, StructuredOutput, WithoutKey};
use crate::error::Error;
use crate::prices::{self, KnownModel};
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
    /// Deployments by alias.
    pub routes: BTreeMap<String, Deployment>,
    /// The model of embeddings.
    pub embeddings: Option<Embeddings>,
}

/// What a route resolves to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deployment {
    /// The endpoint's name.
    pub provider: String,
    /// The model, as the endpoint names it.
    pub model: String,
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
}

impl Deployment {
    fn of(route: &Route, known: Option<&KnownModel>) -> Self {
        let reasons = known.is_some_and(|known| known.reasons);
        let reasoning_tokens =
            route.reasoning_tokens.unwrap_or(if reasons { DEFAULT_REASONING_TOKENS } else { 0 });
        Self {
            provider: route.provider.clone(),
            model: route.model.clone(),
            structured_output: route.structured_output,
            max_output_tokens: route
                .max_output_tokens
                .or(known.map(|known| known.max_output_tokens))
                .unwrap_or(DEFAULT_OUTPUT_TOKENS),
            reasoning_tokens,
            temperature: route.temperature,
            takes_temperature: !reasons,
            price: route.price.or(known.map(|known| known.price)),
            context_tokens: route.context_tokens.or(known.map(|known| known.context_tokens)),
        }
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
            routes.insert(alias.clone(), Deployment::of(route, prices::find(&route.model)));
        }
        if let Some(embeddings) = &self.embeddings {
            embeddings.check(&providers)?;
        }
        let embeddings = self.embeddings.clone();
        Ok(InForce { without_key: self.without_key, retry: self.retry, providers, routes, embeddings })
    }
}

impl InForce {
    /// The deployment behind an alias; the agents' own aliases fall back to `default`.
    ///
    /// # Errors
    /// [`Error::UnknownRoute`].
    pub fn route(&self, alias: &str) -> Result<&Deployment, Error> {
        let fallback = || BUILT_IN_ROUTES.contains(&alias).then(|| self.routes.get("default")).flatten();
        self.routes.get(alias).or_else(fallback).ok_or_else(|| Error::UnknownRoute {
            route: alias.chars().take(80).collect(),
            known: self.routes.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
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

pub(super) fn wrong(key: &str, what: &str) -> Error {
    Error::Config(format!("models.{key} {what}"))
}

fn check_provider(name: &str, provider: &Provider) -> Result<(), Error> {
    if provider.timeout_seconds == 0 {
        return Err(wrong(&format!("providers.{name}.timeout_seconds"), "must be at least 1"));
    }
    if provider.connect_timeout_seconds == 0 {
        return Err(wrong(&format!("providers.{name}.connect_timeout_seconds"), "must be at least 1"));
    }
    Ok(())
}

fn check_retry(retry: Retry) -> Result<(), Error> {
    if !(1..=100).contains(&retry.attempts) {
        return Err(wrong("retry.attempts", "must be between 1 and 100"));
    }
    if retry.total_seconds == 0 {
        return Err(wrong("retry.total_seconds", "must be at least 1"));
    }
    Ok(())
}

fn check_route(alias: &str, route: &Route, providers: &BTreeMap<String, Provider>) -> Result<(), Error> {
    let key = |field: &str| format!("routes.{alias}.{field}");
    if !providers.contains_key(&route.provider) {
        return Err(wrong(&key("provider"), "names no provider of models.providers"));
    }
    if route.model.trim().is_empty() {
        return Err(wrong(&key("model"), "is empty"));
    }
    if route.max_output_tokens == Some(0) {
        return Err(wrong(&key("max_output_tokens"), "must be at least 1"));
    }
    if route.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
        return Err(wrong(&key("temperature"), "must be between 0 and 2"));
    }
    if let Some(price) = route.price
        && [price.input, price.cached_input, price.output].iter().any(|amount| *amount < Usd::ZERO)
    {
        return Err(wrong(&key("price"), "must not be negative"));
    }
    Ok(())
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
            assert_eq!((route.provider.as_str(), route.model.as_str()), ("local", "qwen"), "{alias}");
            assert_eq!((route.price, route.context_tokens, route.max_output_tokens), (None, None, 4096));
            assert!(route.takes_temperature);
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
        let known = config.route("a").unwrap();
        assert_eq!(known.price.map(|price| price.input), Usd::from_dollars(2.0));
        assert_eq!((known.reasoning_tokens, known.takes_temperature), (0, true));
        let own = config.route("b").unwrap();
        assert_eq!(own.price.map(|price| price.output), Usd::from_dollars(2.0));
        assert_eq!((own.reasoning_tokens, own.takes_temperature), (7, false));
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let mut said = String::new();
        for text in [
            "[routes.coder]\nmodel = \"m\"\nprovider = \"nobody\"",
            "[routes.coder]\nmodel = \" \"",
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
