//! OpenAI's embeddings, the only dialect of them that clients speak.

use super::BadRequest;
use super::at::{self, At, count, list, take};
use super::write::json_bytes;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

/// OpenAI's limit of texts a request.
const MOST_TEXTS: usize = 2048;

/// Texts that a client wants as vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingQuestion {
    /// The route's alias.
    pub model: String,
    /// The texts; none is empty, and there is at least one.
    pub texts: Vec<String>,
    /// How long the vectors are to be; `None` leaves it to the model.
    pub dimensions: Option<u32>,
    /// Whom the provider may hold responsible: an opaque name of the end user.
    pub user: Option<String>,
    /// How the vectors are written.
    pub encoding: Encoding,
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As lists of numbers.
    #[default]
    Float,
    /// As Base64 of 32-bit floats, little-endian: what OpenAI's own client asks for.
    Base64,
}

/// The vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingAnswer {
    /// One a text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of the texts.
    pub input_tokens: u64,
}

#[derive(Serialize)]
struct Whole<'a> {
    object: &'static str,
    data: Vec<Datum<'a>>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Datum<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Float(&'a [f32]),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

impl EmbeddingQuestion {
    /// Reads a body.
    ///
    /// # Errors
    /// [`BadRequest`] names what breaks the dialect's rules. Texts that the client has cut into tokens are refused:
    /// which tokens they are depends on the model that answers.
    pub fn read(body: &[u8]) -> Result<Self, BadRequest> {
        let mut body: Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| at::syntax(&error))?;
        let named = |name| At::field(name);
        let model = take(&mut body, "model").ok_or_else(|| named("model").missing())?;
        let model = at::text(model, named("model"))?;
        let input = take(&mut body, "input").ok_or_else(|| named("input").missing())?;
        let encoding = match take(&mut body, "encoding_format") {
            None => Encoding::Float,
            Some(word) if word == "float" => Encoding::Float,
            Some(word) if word == "base64" => Encoding::Base64,
            Some(_) => return Err(named("encoding_format").wrong("has to be float or base64")),
        };
        let dimensions = take(&mut body, "dimensions");
        let dimensions = dimensions.map(|value| count(&value, named("dimensions"))).transpose()?;
        let user = take(&mut body, "user").map(|user| at::text(user, named("user"))).transpose()?;
        if let Some((name, _)) = body.iter().find(|(_, value)| !value.is_null()) {
            return Err(named(name).wrong("is not known"));
        }
        Ok(Self { model, texts: texts(input, named("input"))?, dimensions, user, encoding })
    }
}

fn texts(input: Value, at: At<'_>) -> Result<Vec<String>, BadRequest> {
    let inputs = match input {
        Value::String(_) => vec![input],
        Value::Array(_) => list(input, at)?,
        _ => return Err(at.wrong("has to be a string or a list of strings")),
    };
    if inputs.is_empty() || inputs.len() > MOST_TEXTS {
        return Err(at.wrong(format_args!("has to hold 1 to {MOST_TEXTS} texts")));
    }
    let texts = inputs.into_iter().enumerate().map(|(index, value)| match value {
        Value::String(text) if text.is_empty() => Err(at.index(index).wrong("must not be empty")),
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Array(_) => {
            Err(at.wrong("has to be texts: which tokens they are is up to the model that answers"))
        }
        _ => Err(at.index(index).wrong("has to be a string")),
    });
    texts.collect()
}

impl EmbeddingAnswer {
    /// Writes the answer.
    #[must_use]
    pub fn write(&self, alias: &str, encoding: Encoding) -> Bytes {
        let data = self.vectors.iter().enumerate().map(|(index, vector)| Datum {
            object: "embedding",
            index,
            embedding: match encoding {
                Encoding::Float => Vector::Float(vector),
                Encoding::Base64 => Vector::Base64(base64(vector)),
            },
        });
        json_bytes(&Whole {
            object: "list",
            data: data.collect(),
            model: alias,
            usage: Usage { prompt_tokens: self.input_tokens, total_tokens: self.input_tokens },
        })
    }
}

/// RFC 4648, section 4, of the numbers' bytes.
fn base64(vector: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at) & 63) as usize;
            // Two letters for one byte, three for two.
            text.push(if at <= three.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &Value) -> Result<EmbeddingQuestion, String> {
        EmbeddingQuestion::read(body.to_string().as_bytes()).map_err(|bad| bad.message)
    }

    #[test]
    fn texts_are_read_alone_and_in_lists() {
        let one =
            read(&json!({"model": "m", "input": "a", "encoding_format": "base64", "dimensions": 3})).unwrap();
        assert_eq!((one.texts, one.encoding, one.dimensions), (vec!["a".into()], Encoding::Base64, Some(3)));
        let two = read(&json!({"model": "m", "input": ["a", "b"], "user": null})).unwrap();
        assert_eq!((two.texts.len(), two.encoding), (2, Encoding::Float));
    }

    #[test]
    fn complaints_name_the_place() {
        let wrong = [
            json!({"input": "a"}),
            json!({"model": "m"}),
            json!({"model": "m", "input": []}),
            json!({"model": "m", "input": ["a", ""]}),
            json!({"model": "m", "input": [1, 2]}),
            json!({"model": "m", "input": [[1], [2]]}),
            json!({"model": "m", "input": {}}),
            json!({"model": "m", "input": "a", "encoding_format": "int8"}),
            json!({"model": "m", "input": "a", "dimensions": "many"}),
            json!({"model": "m", "input": "a", "late_chunking": true}),
        ];
        let said: Vec<_> = wrong.iter().map(|body| read(body).unwrap_err()).collect();
        let tokens = "`input` has to be texts: which tokens they are is up to the model that answers";
        let expected = [
            "`model` is required",
            "`input` is required",
            "`input` has to hold 1 to 2048 texts",
            "`input[1]` must not be empty",
            tokens,
            tokens,
            "`input` has to be a string or a list of strings",
            "`encoding_format` has to be float or base64",
            "`dimensions` has to be a whole number from 0",
            "`late_chunking` is not known",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn vectors_are_written_as_numbers_and_in_base64() {
        let answer = EmbeddingAnswer { vectors: vec![vec![1.0, -0.5], vec![0.25]], input_tokens: 7 };
        let text = |encoding| String::from_utf8(answer.write("alias", encoding).to_vec()).unwrap();
        let whole = |first: &str, second: &str| {
            format!(
                "{{\"object\":\"list\",\"data\":[{{\"object\":\"embedding\",\"index\":0,\"embedding\":{first}}},\
                 {{\"object\":\"embedding\",\"index\":1,\"embedding\":{second}}}],\"model\":\"alias\",\
                 \"usage\":{{\"prompt_tokens\":7,\"total_tokens\":7}}}}"
            )
        };
        assert_eq!(text(Encoding::Float), whole("[1.0,-0.5]", "[0.25]"));
        assert_eq!(text(Encoding::Base64), whole("\"AACAPwAAAL8=\"", "\"AACAPg==\""));
    }
}
