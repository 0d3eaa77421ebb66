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

    /// The schema as providers are given it: without `$schema`, `title` and comments, which some refuse, and of
    /// alternatives marked `"$comment": "for providers"` only that one. It is a closed object in which what does not apply is
    /// null: the form that strict decoding supports everywhere, while replies may also be written short.
    #[must_use]
    pub fn for_provider(&self) -> Value {
        let mut value = plain(&self.value);
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

/// See [`Schema::for_provider`].
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(object) => {
            let marked =
                |choice: &&Value| choice.get("$comment").is_some_and(|comment| comment == "for providers");
            let choices = object.get("anyOf").and_then(Value::as_array);
            if let Some(one) = choices.into_iter().flatten().find(marked) {
                return plain(one);
            }
            let kept = object.iter().filter(|(key, _)| *key != "$comment");
            Value::Object(kept.map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        other => other.clone(),
    }
}
