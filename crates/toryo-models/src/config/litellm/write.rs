//! The text of the section, with comments on what is still to be done.

use super::place::{Address, Key, Provider};
use super::{Deployment, Import, Route};
use crate::config::Config;
use std::fmt::Write;
use toml::Value;

/// The section `[models]`.
pub(super) fn section(import: &Import) -> String {
    let mut out = String::from("# The section [models] of toryo.toml, made of a configuration of LiteLLM.\n");
    if !import.routes.contains_key("default") {
        out.push_str("# Toryo's own agents need a route called `default`, which is not among these.\n");
    }
    if let Some(attempts) = import.attempts {
        let _ = writeln!(out, "\n[models.retry]\nattempts = {attempts}");
    }
    for one in &import.providers {
        provider(&mut out, one);
    }
    for (alias, one) in &import.routes {
        route(&mut out, alias, one, import);
    }
    out
}

/// Whether Toryo takes it.
pub(super) fn check(text: &str) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        models: Config,
    }
    let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    file.models.in_force().map(|_| ()).map_err(|error| error.to_string())
}

/// Dollars without the noise of binary fractions.
pub(super) fn dollars(amount: f64) -> Value {
    Value::Float((amount * 1e6).round() / 1e6)
}

fn provider(out: &mut String, provider: &Provider) {
    let Provider { name, kind, base_url, key } = provider;
    let variable = |field: &str| format!("TORYO__MODELS__PROVIDERS__{}__{field}", name.to_ascii_uppercase());
    let _ = writeln!(out, "\n[models.providers.{name}]\nkind = \"{kind}\"");
    match base_url {
        Address::Usual => {}
        Address::Written(url) => {
            let _ = writeln!(out, "base_url = {}", quoted(url));
        }
        Address::Variable(theirs) => {
            let _ = writeln!(out, "# The address was in {theirs}: set {} to it.", variable("BASE_URL"));
            // Until then no other server is shown the key (RFC 2606: there is no such host).
            let _ = writeln!(out, "base_url = \"http://address.invalid/v1\"");
        }
    }
    let _ = match key {
        Key::None if *kind == "bedrock" => Ok(()),
        Key::None if is_own(base_url) => writeln!(out, "keyless = true"),
        Key::None => writeln!(out, "# No key was written: set {}.", variable("API_KEY")),
        Key::Variable(theirs) => {
            writeln!(out, "# The key was in {theirs}: set {} to it.", variable("API_KEY"))
        }
        Key::Literal(_) => {
            writeln!(out, "# The file held the key, which is not copied: set {} to it.", variable("API_KEY"))
        }
    };
}

/// A server of one's own network, which often asks for no key.
fn is_own(base_url: &Address) -> bool {
    let Address::Written(url) = base_url else { return false };
    let host = url.split("//").nth(1).unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    !host.contains('.') || host.parse::<std::net::IpAddr>().is_ok() || host.ends_with(".local")
}

fn route(out: &mut String, alias: &str, route: &Route, import: &Import) {
    let name = key(alias);
    let _ = writeln!(out, "\n[models.routes.{name}]");
    if let Some(strategy) = import.strategy {
        let _ = writeln!(out, "strategy = \"{strategy}\"");
    }
    if let Some(seconds) = import.answer_seconds {
        let _ = writeln!(out, "time = {{ answer_seconds = {seconds} }}");
    }
    if !route.fallbacks.is_empty() {
        let lists = route.fallbacks.iter().map(|(list, targets)| {
            let targets: Vec<String> = targets.iter().map(|target| quoted(target)).collect();
            format!("{list} = [{}]", targets.join(", "))
        });
        let _ = writeln!(out, "fallbacks = {{ {} }}", lists.collect::<Vec<_>>().join(", "));
    }
    let weights = weights(&route.deployments);
    for (deployment, weight) in route.deployments.iter().zip(weights) {
        let _ = writeln!(out, "\n[[models.routes.{name}.deployments]]");
        let _ = writeln!(out, "provider = {}", quoted(&import.providers[deployment.provider].name));
        if let Some(weight) = weight {
            let _ = writeln!(out, "weight = {weight}");
        }
        for (field, value) in &deployment.fields {
            let _ = writeln!(out, "{field} = {value}");
        }
    }
}

/// Weights are whole numbers here: fractions are counted in hundredths.
fn weights(deployments: &[Deployment]) -> Vec<Option<u32>> {
    let fractions = deployments.iter().filter_map(|one| one.weight).any(|weight| weight.fract() != 0.0);
    let times = if fractions { 100.0 } else { 1.0 };
    let said = deployments.iter().filter_map(|one| one.weight).any(|weight| weight > 0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1,000,000")]
    let whole = |weight: f64| if weight > 0.0 { (weight * times).round().clamp(1.0, 1e6) as u32 } else { 0 };
    deployments.iter().map(|one| said.then(|| whole(one.weight.unwrap_or(1.0)))).collect()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn key(name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}
