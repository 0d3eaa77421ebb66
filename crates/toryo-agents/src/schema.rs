//! JSON Schemas of model replies.

use jsonschema::Validator;
use serde_json::Value;
use std::sync::Arc;

/// Most errors that are told to a model at once.
const MOST_ERRORS: usize = 10;
/// Longest text of one error, in characters.
const LONGEST_ERROR: usize = 300;

/// A schema, compiled once.
#[derive(Debug, Clone)]
pub struct Schema {
    name: String,
    value: Value,
    validator: Arc<Validator>,
}

impl Schema {
    /// Reads and compiles a schema.
    ///
    /// # Errors
    /// It is not JSON or no JSON Schema.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let validator =
            jsonschema::validator_for(&value).map_err(|error| format!("not a JSON Schema: {error}"))?;
        Ok(Self { name: name.to_owned(), value, validator: Arc::new(validator) })
    }

    /// Its name, as providers are told it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema itself, without `$schema` and `title`, which some providers refuse at the top.
    #[must_use]
    pub fn for_provider(&self) -> Value {
        let mut value = self.value.clone();
        if let Some(object) = value.as_object_mut() {
            object.retain(|key, _| key != "$schema" && key != "title");
        }
        value
    }

    /// What is wrong with a value, each with its place; empty where nothing is.
    #[must_use]
    pub fn errors(&self, value: &Value) -> Vec<String> {
        let text = |error: jsonschema::ValidationError<'_>| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "(root)".to_owned() } else { place };
            format!("{place}: {error}").chars().take(LONGEST_ERROR).collect()
        };
        self.validator.iter_errors(value).take(MOST_ERRORS).map(text).collect()
    }
}
