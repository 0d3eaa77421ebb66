//! YAML as JSON values, merge keys (`<<`) resolved as PyYAML does, which LiteLLM reads its files with.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

/// The first document.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    match documents.into_iter().next().map(|document| value(&document)) {
        Some(Value::Object(file)) => Ok(file),
        _ => Ok(Map::new()),
    }
}

fn value(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(yes)) => (*yes).into(),
        Yaml::Value(Scalar::Integer(number)) => (*number).into(),
        Yaml::Value(Scalar::FloatingPoint(number)) => number.into_inner().into(),
        Yaml::Value(Scalar::String(text)) | Yaml::Representation(text, ..) => plain(text).into(),
        Yaml::Sequence(nodes) => nodes.iter().map(value).collect(),
        Yaml::Mapping(fields) => {
            let mut object = Map::new();
            let named = |node: &Yaml<'_>| match value(node) {
                Value::String(name) => name,
                other => other.to_string(),
            };
            for (key, node) in fields {
                let (key, value) = (named(key), value(node));
                if key == "<<" {
                    merge(&mut object, value);
                } else {
                    object.insert(key, value);
                }
            }
            Value::Object(object)
        }
        Yaml::Tagged(_, node) => value(node),
        Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    }
}

/// No name, address or key has a control character, and TOML would not take each of them.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Fields of others, where there are none of the same name. What is written after the merge key overrules them.
fn merge(object: &mut Map<String, Value>, others: Value) {
    match others {
        Value::Object(fields) => {
            for (key, value) in fields {
                object.entry(key).or_insert(value);
            }
        }
        Value::Array(several) => several.into_iter().for_each(|fields| merge(object, fields)),
        _ => {}
    }
}
