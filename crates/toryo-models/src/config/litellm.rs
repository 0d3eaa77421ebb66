//! LiteLLM's `config.yaml` as the section `[models]` of `toryo.toml`.
//!
//! What has no counterpart is listed, never dropped in silence. No key is copied: where the file names an environment
//! variable the text says which of ours takes its place, where it holds a key itself the text says that one is needed.

mod place;
mod write;
mod yaml;

use place::{Place, Provider};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What was made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The section, ready to be used; empty where nothing was understood.
    pub toml: String,
    /// What was not understood, or is different here; by its place in the file. Holds no values that may be secret.
    pub notes: Vec<String>,
    /// Routes.
    pub routes: usize,
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum NotLiteLlm {
    /// It is no YAML.
    #[error("not YAML: {0}")]
    NotYaml(String),
    /// It is YAML, but no list of models.
    #[error("there is no `model_list`: this is not a configuration of LiteLLM's proxy")]
    NoModels,
}

/// Translates a file.
///
/// # Errors
/// [`NotLiteLlm`].
pub fn import(text: &str) -> Result<Imported, NotLiteLlm> {
    let file = yaml::read(text).map_err(NotLiteLlm::NotYaml)?;
    let Some(Value::Array(models)) = file.get("model_list") else { return Err(NotLiteLlm::NoModels) };
    let mut import = Import::default();
    for (at, entry) in models.iter().enumerate() {
        import.model(&format!("model_list[{at}]"), entry);
    }
    for section in ["litellm_settings", "router_settings"] {
        if let Some(Value::Object(settings)) = file.get(section) {
            import.settings(section, settings);
        }
    }
    import.others(&file);
    import.check_targets();
    Ok(import.finish())
}

#[derive(Default)]
struct Import {
    providers: Vec<Provider>,
    routes: BTreeMap<String, Route>,
    strategy: Option<&'static str>,
    attempts: Option<u64>,
    answer_seconds: Option<u64>,
    notes: Vec<String>,
}

#[derive(Default)]
struct Route {
    deployments: Vec<Deployment>,
    /// Lists of other routes by the name of the list.
    fallbacks: BTreeMap<&'static str, Vec<String>>,
}

struct Deployment {
    provider: usize,
    /// Key and value, as TOML writes them.
    fields: Vec<(&'static str, toml::Value)>,
    weight: Option<f64>,
}

impl Import {
    fn note(&mut self, place: &str, what: &str) {
        self.notes.push(format!("{place}: {what}"));
    }

    fn unknown(&mut self, place: &str) {
        self.note(place, "has no counterpart");
    }

    fn model(&mut self, place: &str, entry: &Value) {
        let (Some(alias), Some(Value::Object(given))) = (
            entry.get("model_name").and_then(Value::as_str).filter(|name| !name.is_empty()),
            entry.get("litellm_params"),
        ) else {
            return self.note(place, "has no `model_name` or no `litellm_params`");
        };
        let mut parameters = given.clone();
        let information = entry.get("model_info").and_then(Value::as_object).cloned().unwrap_or_default();
        let mode = information.get("mode").and_then(Value::as_str).unwrap_or("chat");
        if !["chat", "responses", "embedding"].contains(&mode) {
            return self.note(place, "is a model of neither chats nor embeddings");
        }
        if alias.contains('*') {
            return self.note(place, "stands for any model: routes have names here");
        }
        let found = match Place::of(&mut parameters) {
            Ok(found) => found,
            Err(what) => return self.note(place, &what),
        };
        for what in &found.notes {
            self.note(place, what);
        }
        let provider = found.provider;
        let known = self.providers.iter().position(|other| other.is_same(&provider));
        let at = known.unwrap_or_else(|| {
            self.providers.push(provider);
            self.providers.len() - 1
        });
        let mut deployment = Deployment { provider: at, fields: found.fields, weight: None };
        self.parameters(place, &mut deployment, parameters, &information);
        self.routes.entry(alias.to_owned()).or_default().deployments.push(deployment);
        for field in entry.as_object().into_iter().flat_map(Map::keys) {
            if !["model_name", "litellm_params", "model_info"].contains(&field.as_str()) {
                self.unknown(&format!("{place}.{field}"));
            }
        }
    }

    /// Limits, prices and the like.
    fn parameters(
        &mut self,
        place: &str,
        deployment: &mut Deployment,
        mut parameters: Map<String, Value>,
        information: &Map<String, Value>,
    ) {
        let mut number = |name: &str| parameters.remove(name).and_then(|value| whole(&value));
        for (theirs, ours) in
            [("rpm", "rpm"), ("tpm", "tpm"), ("order", "order"), ("max_tokens", "max_output_tokens")]
        {
            if let Some(number) = number(theirs) {
                deployment.fields.push((ours, number.into()));
            }
        }
        deployment.weight = parameters.remove("weight").and_then(|value| real(&value));
        let context = information.get("max_input_tokens").or(information.get("context_window"));
        if let Some(tokens) = context.and_then(whole) {
            deployment.fields.push(("context_tokens", tokens.into()));
        }
        if let Some(Value::Array(tags)) = parameters.remove("tags") {
            let tags: Vec<toml::Value> = tags.iter().filter_map(Value::as_str).map(Into::into).collect();
            deployment.fields.push(("tags", tags.into()));
        }
        let mut price = |name: &str| {
            let given = parameters.remove(name).or_else(|| information.get(name).cloned());
            given.as_ref().and_then(real).map(|dollars| write::dollars(dollars * 1e6))
        };
        let (input, output) = (price("input_cost_per_token"), price("output_cost_per_token"));
        let cached = price("cache_read_input_token_cost");
        let written = price("cache_creation_input_token_cost");
        if let (Some(input), Some(output)) = (input, output) {
            let mut table = toml::Table::new();
            table.insert("cached_input".into(), cached.unwrap_or_else(|| input.clone()));
            table.insert("input".into(), input);
            table.insert("output".into(), output);
            written.map(|price| table.insert("cache_write".into(), price));
            deployment.fields.push(("price", table.into()));
        }
        for left in parameters.keys() {
            self.unknown(&format!("{place}.litellm_params.{left}"));
        }
    }

    fn settings(&mut self, section: &str, settings: &Map<String, Value>) {
        for (key, value) in settings {
            let place = format!("{section}.{key}");
            match key.as_str() {
                "routing_strategy" => match strategy(value.as_str().unwrap_or_default()) {
                    Some(strategy) => self.strategy = Some(strategy),
                    None => self.note(&place, "names no strategy that is known here"),
                },
                "fallbacks" => self.fallbacks(&place, "any", value),
                "context_window_fallbacks" => self.fallbacks(&place, "context_window", value),
                "content_policy_fallbacks" => self.fallbacks(&place, "content_policy", value),
                "default_fallbacks" => self.default_fallbacks(value),
                "model_group_alias" => self.aliases(&place, value),
                "num_retries" => match whole(value) {
                    Some(retries) => self.attempts = Some((retries.clamp(0, 99) + 1).unsigned_abs()),
                    None => self.note(&place, "is no number"),
                },
                "timeout" | "request_timeout" => match real(value).filter(|seconds| *seconds >= 1.0) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "at least 1; a cast saturates"
                    )]
                    Some(seconds) => self.answer_seconds = Some(seconds.ceil() as u64),
                    None => self.note(&place, "is no time of a second or more"),
                },
                _ => self.unknown(&place),
            }
        }
    }

    /// A list of `{alias: [other, …]}`.
    fn fallbacks(&mut self, place: &str, list: &'static str, value: &Value) {
        let Value::Array(entries) = value else { return self.note(place, "is no list") };
        for (alias, targets) in entries.iter().filter_map(Value::as_object).flatten() {
            let targets = names(targets);
            match self.routes.get_mut(alias) {
                Some(route) => route.fallbacks.entry(list).or_default().extend(targets),
                None => self.note(place, "names a model that is not in the list, or was not understood"),
            }
        }
    }

    fn default_fallbacks(&mut self, value: &Value) {
        let targets = names(value);
        for (alias, route) in &mut self.routes {
            let any = route.fallbacks.entry("any").or_default();
            let missing = |target: &&String| *target != alias && !any.contains(target);
            let more: Vec<String> = targets.iter().filter(missing).cloned().collect();
            any.extend(more);
        }
    }

    /// Other names of routes.
    fn aliases(&mut self, place: &str, value: &Value) {
        for (alias, target) in value.as_object().into_iter().flatten() {
            let target = target.as_str().or_else(|| target.get("model").and_then(Value::as_str));
            match target.and_then(|target| self.routes.get(target)) {
                Some(route) => {
                    let route = route.copied();
                    self.routes.insert(alias.clone(), route);
                }
                None => self.note(place, "names a model that is not in the list, or was not understood"),
            }
        }
    }

    fn others(&mut self, file: &Map<String, Value>) {
        for (section, value) in file {
            match (section.as_str(), value) {
                ("model_list" | "litellm_settings" | "router_settings", _) => {}
                ("general_settings", Value::Object(settings)) => {
                    for key in settings.keys() {
                        match key.as_str() {
                            "master_key" | "database_url" => {
                                let what = "is not copied: keys and database are Toryo's own";
                                self.note(&format!("general_settings.{key}"), what);
                            }
                            _ => self.unknown(&format!("general_settings.{key}")),
                        }
                    }
                }
                ("environment_variables", _) => {
                    self.note(section, "is not copied: set them where Toryo runs")
                }
                _ => self.unknown(section),
            }
        }
    }

    /// Fallbacks to routes that are not there would be refused.
    fn check_targets(&mut self) {
        let known: Vec<String> = self.routes.keys().cloned().collect();
        let mut notes = Vec::new();
        for (alias, route) in &mut self.routes {
            for (list, targets) in &mut route.fallbacks {
                let mut seen: Vec<String> = Vec::new();
                targets.retain(|target| {
                    let new = !seen.contains(target) && target != alias;
                    seen.push(target.clone());
                    if !known.contains(target) {
                        notes.push(format!("fallbacks of {alias} ({list}): {target} is no route here"));
                    }
                    new && known.contains(target)
                });
            }
            route.fallbacks.retain(|_, targets| !targets.is_empty());
        }
        self.notes.append(&mut notes);
    }

    fn finish(mut self) -> Imported {
        place::name_apart(&mut self.providers);
        let routes = self.routes.len();
        let toml = if routes == 0 { String::new() } else { write::section(&self) };
        if let Err(wrong) = write::check(&toml) {
            self.notes.push(format!("what was made is not accepted as it is: {wrong}"));
        }
        Imported { toml, notes: self.notes, routes }
    }
}

impl Route {
    fn copied(&self) -> Self {
        let copied = |one: &Deployment| Deployment {
            provider: one.provider,
            fields: one.fields.clone(),
            weight: one.weight,
        };
        Self { deployments: self.deployments.iter().map(copied).collect(), fallbacks: self.fallbacks.clone() }
    }
}

fn strategy(theirs: &str) -> Option<&'static str> {
    match theirs {
        "simple-shuffle" => Some("simple_shuffle"),
        "least-busy" => Some("least_busy"),
        "usage-based-routing" | "usage-based-routing-v2" => Some("usage"),
        "latency-based-routing" => Some("latency"),
        "cost-based-routing" => Some("lowest_cost"),
        _ => None,
    }
}

fn names(value: &Value) -> Vec<String> {
    match value {
        Value::String(name) => vec![name.clone()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn whole(value: &Value) -> Option<i64> {
    let text = value.as_str().and_then(|text| text.trim().parse().ok());
    value.as_i64().or(text).filter(|number| *number >= 0)
}

fn real(value: &Value) -> Option<f64> {
    let text = value.as_str().and_then(|text| text.trim().parse().ok());
    value.as_f64().or(text).filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests;
