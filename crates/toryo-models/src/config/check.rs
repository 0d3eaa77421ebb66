//! What belongs together in the section `[models]`, checked; every complaint names its key.

use super::{Price, Provider, Retry, Route, TimeLimits};
use crate::error::Error;
use std::collections::BTreeMap;
use toryo_domain::Usd;

pub(super) fn wrong(key: &str, what: &str) -> Error {
    Error::Config(format!("models.{key} {what}"))
}

pub(super) fn check_provider(name: &str, provider: &Provider) -> Result<(), Error> {
    if provider.timeout_seconds == 0 {
        return Err(wrong(&format!("providers.{name}.timeout_seconds"), "must be at least 1"));
    }
    if provider.connect_timeout_seconds == 0 {
        return Err(wrong(&format!("providers.{name}.connect_timeout_seconds"), "must be at least 1"));
    }
    Ok(())
}

pub(super) fn check_retry(retry: Retry) -> Result<(), Error> {
    if !(1..=100).contains(&retry.attempts) {
        return Err(wrong("retry.attempts", "must be between 1 and 100"));
    }
    if retry.total_seconds == 0 {
        return Err(wrong("retry.total_seconds", "must be at least 1"));
    }
    Ok(())
}

pub(super) fn check_route(
    alias: &str,
    route: &Route,
    providers: &BTreeMap<String, Provider>,
) -> Result<(), Error> {
    let key = |field: &str| format!("routes.{alias}.{field}");
    if route.deployments.is_empty() {
        check_place(&format!("routes.{alias}"), &route.provider, &route.model, providers)?;
    }
    for (at, endpoint) in route.deployments.iter().enumerate() {
        let provider = endpoint.provider.as_ref().unwrap_or(&route.provider);
        let model = endpoint.model.as_ref().unwrap_or(&route.model);
        let place = key(&format!("deployments[{at}]"));
        check_place(&place, provider, model, providers)?;
        check_price(&format!("{place}.price"), endpoint.price)?;
        if endpoint.max_output_tokens == Some(0) {
            return Err(wrong(&format!("{place}.max_output_tokens"), "must be at least 1"));
        }
    }
    if !route.deployments.is_empty() && route.deployments.iter().all(|endpoint| endpoint.weight == 0) {
        return Err(wrong(&key("deployments"), "have no weight: at least one must be above 0"));
    }
    if route.max_output_tokens == Some(0) {
        return Err(wrong(&key("max_output_tokens"), "must be at least 1"));
    }
    if route.attempts.is_some_and(|attempts| !(1..=100).contains(&attempts)) {
        return Err(wrong(&key("attempts"), "must be between 1 and 100"));
    }
    if route.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
        return Err(wrong(&key("temperature"), "must be between 0 and 2"));
    }
    let TimeLimits { first_token_seconds, between_tokens_seconds, answer_seconds } = route.time;
    if first_token_seconds == 0 || between_tokens_seconds == 0 || answer_seconds == Some(0) {
        return Err(wrong(&key("time"), "must be at least 1 second each"));
    }
    if let Some(cache) = route.cache {
        if cache.ttl_seconds == 0 {
            return Err(wrong(&key("cache.ttl_seconds"), "must be at least 1"));
        }
        if cache.semantic_threshold.is_some_and(|least| !(0.5..=1.0).contains(&least)) {
            return Err(wrong(&key("cache.semantic_threshold"), "must be between 0.5 and 1"));
        }
    }
    check_price(&key("price"), route.price)
}

fn check_place(
    key: &str,
    provider: &str,
    model: &str,
    providers: &BTreeMap<String, Provider>,
) -> Result<(), Error> {
    if !providers.contains_key(provider) {
        return Err(wrong(&format!("{key}.provider"), "names no provider of models.providers"));
    }
    if model.trim().is_empty() {
        return Err(wrong(&format!("{key}.model"), "is empty"));
    }
    Ok(())
}

fn check_price(key: &str, price: Option<Price>) -> Result<(), Error> {
    let Some(price) = price else { return Ok(()) };
    let parts = [Some(price.input), Some(price.cached_input), price.cache_write, Some(price.output)];
    if parts.into_iter().flatten().any(|amount| amount < Usd::ZERO) {
        return Err(wrong(key, "must not be negative"));
    }
    Ok(())
}

/// Fallbacks and downgrades name other routes that are there.
pub(super) fn check_targets(
    alias: &str,
    route: &Route,
    written: &BTreeMap<String, Route>,
) -> Result<(), Error> {
    let named = route.fallbacks.all().map(|target| ("fallbacks", target));
    for (field, target) in named.chain(route.downgrade_to.iter().map(|target| ("downgrade_to", target))) {
        if target == alias {
            return Err(wrong(&format!("routes.{alias}.{field}"), "names the route itself"));
        }
        if !written.contains_key(target) {
            return Err(wrong(&format!("routes.{alias}.{field}"), &format!("names no route: {target}")));
        }
    }
    Ok(())
}
