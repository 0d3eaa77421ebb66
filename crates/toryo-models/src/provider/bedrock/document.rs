//! JSON as the SDK wants it, and back.

use aws_sdk_bedrockruntime::config::http::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::{Document, Number};
use serde_json::{Map, Value};

/// Puts the body's fields into one order and the functions' schemas back into their authors'. The SDK keeps objects
/// in maps of random order: a prompt that is written differently each time is never found in the provider's cache,
/// and models fill in properties in the order in which they read them.
pub(super) fn in_order(request: &mut HttpRequest, schemas: &[Value]) {
    let body = request.body().bytes().and_then(|body| serde_json::from_slice::<Value>(body).ok());
    let Some(mut body) = body else { return };
    body.sort_all_objects();
    let tools = body["toolConfig"]["tools"].as_array_mut().into_iter().flatten();
    let written = tools.filter_map(|tool| tool.pointer_mut("/toolSpec/inputSchema/json"));
    for (written, schema) in written.zip(schemas) {
        *written = schema.clone();
    }
    if let Some(fields) = body.as_object_mut() {
        // Looking made a field where there was none.
        fields.retain(|_, value| !value.is_null());
    }
    let body = body.to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
}

/// JSON as a document.
pub(super) fn of(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(value) => Document::Bool(*value),
        Value::Number(number) => Document::Number(match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Number::PosInt(number),
            (None, Some(number)) => Number::NegInt(number),
            (None, None) => Number::Float(number.as_f64().unwrap_or(0.0)),
        }),
        Value::String(text) => Document::String(text.clone()),
        Value::Array(values) => Document::Array(values.iter().map(of).collect()),
        Value::Object(fields) => {
            Document::Object(fields.iter().map(|(name, value)| (name.clone(), of(value))).collect())
        }
    }
}

/// A document as JSON. The SDK keeps no order of fields: they are sorted, so that equal documents are equal texts.
pub(super) fn json(document: &Document) -> Value {
    match document {
        Document::Null => Value::Null,
        Document::Bool(value) => Value::Bool(*value),
        Document::Number(Number::PosInt(number)) => (*number).into(),
        Document::Number(Number::NegInt(number)) => (*number).into(),
        Document::Number(Number::Float(number)) => (*number).into(),
        Document::String(text) => Value::String(text.clone()),
        Document::Array(values) => values.iter().map(json).collect(),
        Document::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let fields = sorted.into_iter().map(|(name, value)| (name.clone(), json(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_has_one_order_and_schemas_their_authors() {
        let schema = json!({"type": "object", "properties": {"why": {}, "answer": {}}});
        let body = json!({"z": 1, "toolConfig": {"tools": [
            {"toolSpec": {"name": "t", "inputSchema": {"json": {"properties": {"answer": {}, "why": {}}, "type": "object"}}}}
        ]}, "a": {"y": 1, "x": [{"d": 1, "c": 2}]}});
        let mut request = HttpRequest::new(SdkBody::from(body.to_string()));
        in_order(&mut request, std::slice::from_ref(&schema));
        let sent = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        let length = request.headers().get("content-length").unwrap().parse();
        assert_eq!(length, Ok(sent.len()));
        insta::assert_snapshot!(sent, @r#"{"a":{"x":[{"c":2,"d":1}],"y":1},"toolConfig":{"tools":[{"toolSpec":{"inputSchema":{"json":{"type":"object","properties":{"why":{},"answer":{}}}},"name":"t"}}]},"z":1}"#);
    }

    #[test]
    fn json_survives_the_way_there_and_back() {
        let value =
            json!({"a": [1, -2, 1.5, true, null, "é"], "b": {"c": {}, "d": 18_446_744_073_709_551_615_u64}});
        assert_eq!(json(&of(&value)), value);
    }
}
