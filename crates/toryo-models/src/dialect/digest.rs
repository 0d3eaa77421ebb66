//! The name of a question in the cache: equal for equal questions, however they were written.

use crate::chat::{Chat, Format, Image, Part, Reasoning, ToolChoice, Turn};
use serde_json::Value;
use std::borrow::Cow;
use toryo_domain::Digest;

/// Named in every digest: another number wherever what is digested changes its meaning.
const VERSION: &str = "chat-1";

impl Chat {
    /// A digest of all that can change the answer. White space and the order of keys do not matter, nor does the
    /// dialect; who asked ([`user`](Self::user)) and what may be cached at the provider
    /// ([`Part::CachePoint`]) is left out.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut parts = Parts(Vec::with_capacity(64));
        parts.put(VERSION);
        self.turns.iter().for_each(|turn| parts.turn(turn));
        parts.put("tools");
        for tool in &self.tools {
            parts.put(&tool.name);
            parts.maybe(tool.description.as_deref());
            parts.value(&tool.parameters);
            parts.plain(tool.strict);
        }
        match &self.tool_choice {
            ToolChoice::Auto => parts.put("auto"),
            ToolChoice::None => parts.put("none"),
            ToolChoice::Required => parts.put("required"),
            ToolChoice::Named(name) => parts.pair("named", name),
        }
        parts.plain(self.parallel_tool_calls);
        parts.format(&self.format);
        parts.plain(self.max_output_tokens);
        parts.sampling(self);
        match self.reasoning {
            None => parts.put("-"),
            Some(Reasoning::Off) => parts.put("off"),
            Some(Reasoning::Effort(effort)) => parts.pair("effort", effort.as_str()),
            Some(Reasoning::Tokens(tokens)) => parts.plain(Some(tokens)),
        }
        parts.members(&self.extra);
        Digest::of_parts(parts.0.iter().map(AsRef::as_ref))
    }
}

/// What is digested, piece by piece; each piece's length is part of the digest.
struct Parts<'a>(Vec<Cow<'a, [u8]>>);

impl<'a> Parts<'a> {
    fn put(&mut self, text: &'a str) {
        self.0.push(Cow::Borrowed(text.as_bytes()));
    }

    fn pair(&mut self, name: &'a str, text: &'a str) {
        self.put(name);
        self.put(text);
    }

    fn maybe(&mut self, text: Option<&'a str>) {
        match text {
            Some(text) => self.pair("+", text),
            None => self.put("-"),
        }
    }

    /// A number or a flag, or none.
    fn plain(&mut self, value: Option<impl ToString>) {
        match value {
            Some(value) => self.0.push(Cow::Owned(value.to_string().into_bytes())),
            None => self.put("-"),
        }
    }

    fn turn(&mut self, turn: &'a Turn) {
        match turn {
            Turn::System(_) => self.put("system"),
            Turn::User(_) => self.put("user"),
            Turn::Assistant { tool_calls, .. } => {
                self.put("assistant");
                for call in tool_calls {
                    self.pair("call", &call.id);
                    self.pair(&call.name, &call.arguments);
                }
            }
            Turn::Tool { call_id, failed, .. } => {
                self.pair("tool", call_id);
                self.plain(Some(failed));
            }
        }
        for part in turn.parts() {
            match part {
                Part::Text(text) => self.pair("text", text),
                Part::Refusal(text) => self.pair("refusal", text),
                Part::Image(Image::Url { url, detail }) => {
                    self.pair("url", url);
                    self.maybe(detail.as_deref());
                }
                Part::Image(Image::Inline { media_type, data, detail }) => {
                    self.pair("inline", media_type);
                    self.put(data);
                    self.maybe(detail.as_deref());
                }
                Part::Reasoning(native) => {
                    self.put("reasoning");
                    self.value(native);
                }
                Part::Other(other) => {
                    self.put("other");
                    self.value(other);
                }
                Part::CachePoint => {}
            }
        }
        self.put("end");
    }

    fn format(&mut self, format: &'a Format) {
        match format {
            Format::Text => self.put("text"),
            Format::JsonObject => self.put("json_object"),
            Format::JsonSchema { name, description, schema, strict } => {
                self.pair("json_schema", name);
                self.maybe(description.as_deref());
                self.value(schema);
                self.plain(*strict);
            }
        }
    }

    fn sampling(&mut self, chat: &'a Chat) {
        let sampling = &chat.sampling;
        self.plain(sampling.temperature);
        self.plain(sampling.top_p);
        self.plain(sampling.top_k);
        self.plain(sampling.seed);
        self.plain(sampling.presence_penalty);
        self.plain(sampling.frequency_penalty);
        sampling.stop.iter().for_each(|stop| self.pair("stop", stop));
    }

    /// A value as one piece, its keys in order.
    fn value(&mut self, value: &Value) {
        let mut text = Vec::new();
        canonical(value, &mut text);
        self.0.push(Cow::Owned(text));
    }

    fn members(&mut self, map: &serde_json::Map<String, Value>) {
        let mut text = Vec::new();
        canonical_members(map, &mut text);
        self.0.push(Cow::Owned(text));
    }
}

fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => canonical_members(map, out),
        Value::Array(list) => {
            out.push(b'[');
            for item in list {
                canonical(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        // Scalars have one form each; writing to memory cannot fail.
        scalar => drop(serde_json::to_writer(out, scalar)),
    }
}

fn canonical_members(map: &serde_json::Map<String, Value>, out: &mut Vec<u8>) {
    let mut members: Vec<_> = map.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    out.push(b'{');
    for (name, value) in members {
        drop(serde_json::to_writer(&mut *out, name));
        out.push(b':');
        canonical(value, out);
        out.push(b',');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;
