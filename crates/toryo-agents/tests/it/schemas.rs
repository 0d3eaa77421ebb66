//! A schema and its typed twin accept the same values.

use crate::harness::recorded;
use serde_json::{Map, Value, json};
use toryo_agents::Assets;
use toryo_agents::replies::{PullRequestText, RefinedSpec, Reply, RetrievalQuery, Review, TestPlan};
use toryo_code::EditSet;
use toryo_domain::Plan;
use toryo_domain::output::FailureAnalysis;

/// Values of a schema that together use every property, every alternative and every word of its lists.
fn samples(schema: &Value, root: &Value) -> Vec<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return samples(root.pointer(reference.trim_start_matches('#')).unwrap(), root);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().flat_map(|choice| samples(choice, root)).collect();
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.clone();
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    types.iter().flat_map(|kind| of_type(kind.as_str().unwrap(), schema, root)).collect()
}

fn of_type(kind: &str, schema: &Value, root: &Value) -> Vec<Value> {
    match kind {
        "null" => vec![Value::Null],
        "string" => vec![json!("a.py")],
        "integer" => vec![json!(3)],
        "boolean" => vec![json!(true), json!(false)],
        "array" => {
            let items = samples(&schema["items"], root);
            match schema["minItems"].as_u64() {
                Some(2) => vec![json!([items[0], items[0]])],
                _ => std::iter::once(json!([])).chain(items.into_iter().map(|item| json!([item]))).collect(),
            }
        }
        "object" => objects(schema["properties"].as_object().unwrap(), root),
        other => panic!("no sample of {other}"),
    }
}

/// One object for each value of each property, the other properties at their first value.
fn objects(properties: &Map<String, Value>, root: &Value) -> Vec<Value> {
    let values: Vec<(&String, Vec<Value>)> =
        properties.iter().map(|(name, schema)| (name, samples(schema, root))).collect();
    let first: Map<String, Value> =
        values.iter().map(|(name, values)| ((*name).clone(), values[0].clone())).collect();
    let mut all = vec![Value::Object(first.clone())];
    for (name, values) in &values {
        for value in &values[1..] {
            let mut object = first.clone();
            object.insert((*name).clone(), value.clone());
            all.push(Value::Object(object));
        }
    }
    all
}

/// Every place of a value at which an object stands.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.push(at.to_owned());
            map.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// `lenient` twins read more than the schema lets through: they also read edit sets that people write.
fn check<T: Reply + serde::Serialize>(lenient: bool) {
    let assets = Assets::load(None).unwrap();
    let schema = assets.schema(T::SCHEMA).unwrap();
    let text =
        std::fs::read_to_string(format!("{}/../../schemas/{}.json", env!("CARGO_MANIFEST_DIR"), T::SCHEMA));
    let value: Value = serde_json::from_str(&text.unwrap()).unwrap();
    assert_strict(&value, T::SCHEMA);
    let mut read = 0;
    for sample in samples(&value, &value) {
        assert_eq!(schema.errors(&sample), Vec::<String>::new(), "{sample}");
        // A locator or an operation with every property set passes the schema; only the twin refuses it.
        let twin = match serde_json::from_value::<T>(sample.clone()) {
            Ok(twin) => twin,
            Err(error) if lenient && is_of_full_form(&error.to_string()) => continue,
            Err(error) => panic!("{}: {error}: {sample}", T::SCHEMA),
        };
        read += 1;
        let again = serde_json::to_value(&twin).unwrap();
        if !lenient {
            assert_eq!(again, sample);
        }
        let mut objects = Vec::new();
        places(&sample, "", &mut objects);
        for place in objects {
            let mut more = sample.clone();
            more.pointer_mut(&place).unwrap()["surprise"] = json!(1);
            assert!(!schema.errors(&more).is_empty(), "{}{place} takes unknown properties", T::SCHEMA);
            let keys: Vec<String> =
                sample.pointer(&place).unwrap().as_object().unwrap().keys().cloned().collect();
            for key in keys {
                let mut less = sample.clone();
                less.pointer_mut(&place).unwrap().as_object_mut().unwrap().shift_remove(&key);
                // Short forms of locators and operations.
                let lacks =
                    place.contains("locator") || place.contains("patch") || !schema.errors(&less).is_empty();
                assert!(lacks, "{}{place} does without {key}", T::SCHEMA);
            }
        }
    }
    assert!(read >= if lenient { 20 } else { 2 }, "{}: only {read} samples are read", T::SCHEMA);
}

fn is_of_full_form(error: &str) -> bool {
    error.contains("locator: ") || error.contains("patch[0]: ")
}

/// Strict in the sense of providers: every object closed, every property required and described.
fn assert_strict(schema: &Value, at: &str) {
    match schema {
        Value::Object(map) => {
            if let Some(properties) = map.get("properties").and_then(Value::as_object) {
                assert_eq!(map.get("additionalProperties"), Some(&json!(false)), "{at}");
                let required: Vec<&str> =
                    map["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                assert_eq!(required, properties.keys().map(String::as_str).collect::<Vec<_>>(), "{at}");
            }
            map.iter().for_each(|(key, value)| assert_strict(value, &format!("{at}/{key}")));
        }
        Value::Array(list) => list.iter().for_each(|value| assert_strict(value, at)),
        _ => {}
    }
}

#[test]
fn schemas_and_their_twins_agree() {
    check::<RefinedSpec>(false);
    check::<Plan>(false);
    check::<RetrievalQuery>(false);
    check::<Review>(false);
    check::<FailureAnalysis>(false);
    check::<PullRequestText>(false);
    check::<EditSet>(true);
    check::<TestPlan>(true);
}

#[test]
fn the_worked_example_of_each_prompt_is_valid() {
    let assets = Assets::load(None).unwrap();
    let mut seen = 0;
    for manifest in assets.manifests() {
        for call in &manifest.calls {
            let text = std::fs::read_to_string(format!(
                "{}/../../prompts/{}.md",
                env!("CARGO_MANIFEST_DIR"),
                call.prompt
            ))
            .unwrap();
            let (_, example) = text.split_once("## Example").expect("an example");
            let json = example.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
            let value: Value = serde_json::from_str(json).unwrap();
            let errors = assets.schema(&call.schema).unwrap().errors(&value);
            assert_eq!(errors, Vec::<String>::new(), "{}", call.prompt);
            assert!(reads(&call.schema, value), "{}: the twin does not read its example", call.prompt);
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
}

fn reads(schema: &str, value: Value) -> bool {
    match schema {
        "refined_spec" => serde_json::from_value::<RefinedSpec>(value).is_ok(),
        "plan" => serde_json::from_value::<Plan>(value).is_ok(),
        "retrieval_query" => serde_json::from_value::<RetrievalQuery>(value).is_ok(),
        "edit_set" => serde_json::from_value::<EditSet>(value).is_ok(),
        "test_plan" => serde_json::from_value::<TestPlan>(value).is_ok(),
        "failure_analysis" => serde_json::from_value::<FailureAnalysis>(value).is_ok(),
        "review" => serde_json::from_value::<Review>(value).is_ok(),
        "pull_request" => serde_json::from_value::<PullRequestText>(value).is_ok(),
        other => panic!("no twin of {other}"),
    }
}

#[test]
fn edits_may_be_written_short_or_with_every_property() {
    let assets = Assets::load(None).unwrap();
    let schema = assets.schema("edit_set").unwrap();
    let set = |locator: Value, patch: Value| {
        json!({ "summary": "s", "edits": [{ "file_path": "a.py", "edit_type": "replace", "locator": locator,
            "patch": patch, "rationale_summary": "r" }] })
    };
    let full = json!({ "symbol": "A.f", "line_range": null, "expect": null, "ast_query": null, "whole_file": null,
        "position": null });
    for locator in [json!({ "symbol": "A.f" }), full, json!({ "line_range": [1, 2], "expect": "x" })] {
        let value = set(locator, json!("x = 1\n"));
        assert_eq!(schema.errors(&value), Vec::<String>::new());
        assert!(serde_json::from_value::<EditSet>(value).is_ok());
    }
    let rename =
        json!([{ "op": "rename", "to": "g", "text": null, "name": null, "before": null, "after": null }]);
    let value = set(json!({ "symbol": "A.f" }), rename);
    assert_eq!(schema.errors(&value), Vec::<String>::new());
    assert!(serde_json::from_value::<EditSet>(value).is_ok());
    let both = set(json!({ "symbol": "A.f", "ast_query": "(x) @target" }), json!(""));
    assert!(!schema.errors(&both).is_empty());
    let unknown = set(json!({ "symbol": "A.f" }), json!([{ "op": "explode", "text": "" }]));
    assert!(!schema.errors(&unknown).is_empty());
}

#[test]
fn every_recorded_reply_is_valid() {
    let assets = Assets::load(None).unwrap();
    let recording: Value = serde_json::from_str(toryo_agents::sample::RECORDING).unwrap();
    for entry in recording["replies"].as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let reply = recorded(entry["step"].as_str().unwrap(), entry["call"].as_u64().unwrap());
        assert_eq!(assets.schema(name).unwrap().errors(&reply), Vec::<String>::new(), "{}", entry["step"]);
        assert!(reads(name, reply), "{}", entry["step"]);
    }
}

#[test]
fn providers_get_closed_objects_without_alternatives_that_begin_alike() {
    fn first_keys(schema: &Value, at: &str) {
        if let Some(choices) = schema["anyOf"].as_array() {
            let objects = choices.iter().filter_map(|choice| choice["properties"].as_object()?.keys().next());
            let mut seen = std::collections::BTreeSet::new();
            for key in objects {
                assert!(seen.insert(key), "{at}: two alternatives begin with {key}");
            }
        }
        match schema {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| first_keys(value, &format!("{at}/{key}")))
            }
            Value::Array(list) => list.iter().for_each(|value| first_keys(value, at)),
            _ => {}
        }
    }
    let assets = Assets::load(None).unwrap();
    let names = assets.manifests().flat_map(|manifest| manifest.calls.iter().map(|call| call.schema.clone()));
    for name in names.collect::<Vec<_>>() {
        let schema = assets.schema(&name).unwrap().for_provider();
        assert_strict(&schema, &name);
        first_keys(&schema, &name);
        assert!(!schema.to_string().contains("$comment"));
    }
    insta::assert_json_snapshot!(assets.schema("edit_set").unwrap().for_provider());
}
