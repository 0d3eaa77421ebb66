//! Putting values back in the place of their placeholders.

use crate::chat::{Completion, Event, Output};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Puts the values of one call back into its answer.
///
/// A stream may cut a placeholder anywhere: the piece that may be the beginning of one waits until it is decided. At
/// most the length of the longest placeholder waits, and only behind an opening bracket.
#[derive(Clone, Default)]
pub struct Restorer {
    values: HashMap<String, String>,
    longest: usize,
    /// The words of the answer are JSON, so that a value is written as JSON writes it.
    answers_in_json: bool,
    words: Option<(Said, String)>,
    /// By call.
    arguments: BTreeMap<usize, String>,
}

/// What kind of words they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Text,
    Refusal,
    Reasoning,
}

impl Said {
    const fn event(self, words: String) -> Event {
        match self {
            Self::Text => Event::Text(words),
            Self::Refusal => Event::Refusal(words),
            Self::Reasoning => Event::Reasoning(words),
        }
    }
}

/// What stands at an opening bracket.
enum At<'a> {
    /// A placeholder of this length, and its value.
    Placeholder(usize, &'a str),
    /// Perhaps one, once more text is there.
    Perhaps,
    Nothing,
}

impl Restorer {
    pub(super) fn new(values: HashMap<String, String>, answers_in_json: bool) -> Self {
        let longest = values.keys().map(String::len).max().unwrap_or(0);
        Self { values, longest, answers_in_json, words: None, arguments: BTreeMap::new() }
    }

    /// Values that stand behind placeholders.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// A piece of a streamed answer: what it becomes is added to `out`.
    pub fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.values.is_empty() {
            out.push(event);
            return;
        }
        match event {
            Event::Text(words) => self.say(Said::Text, words, out),
            Event::Refusal(words) => self.say(Said::Refusal, words, out),
            Event::Reasoning(words) => self.say(Said::Reasoning, words, out),
            Event::Arguments { index, json } => {
                let waiting = self.arguments.remove(&index).unwrap_or_default();
                let (ready, waits) = self.restored(waiting + &json, true);
                if !waits.is_empty() {
                    self.arguments.insert(index, waits);
                }
                if !ready.is_empty() {
                    out.push(Event::Arguments { index, json: ready });
                }
            }
            Event::Stop(_) => {
                self.finish(out);
                out.push(event);
            }
            Event::Begin { .. } | Event::ReasoningDone(_) | Event::ToolCall { .. } | Event::Usage(_) => {
                self.finish_words(out);
                out.push(event);
            }
        }
    }

    /// What still waits, where an answer breaks off.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        self.finish_words(out);
        let waiting = std::mem::take(&mut self.arguments);
        out.extend(waiting.into_iter().map(|(index, json)| Event::Arguments { index, json }));
    }

    /// A whole answer.
    pub fn completion(&self, completion: &mut Completion) {
        if self.values.is_empty() {
            return;
        }
        for output in &mut completion.output {
            let (text, json) = match output {
                Output::Text(text) => (text, self.answers_in_json),
                Output::Refusal(text) | Output::Reasoning { text, .. } => (text, false),
                Output::ToolCall(call) => (&mut call.arguments, true),
            };
            let (ready, rest) = self.restored(std::mem::take(text), json);
            *text = ready + &rest;
        }
    }

    fn say(&mut self, said: Said, words: String, out: &mut Vec<Event>) {
        let waiting = match self.words.take() {
            Some((before, waiting)) if before == said => waiting,
            Some((before, waiting)) => {
                out.push(before.event(waiting));
                String::new()
            }
            None => String::new(),
        };
        let json = self.answers_in_json && said == Said::Text;
        let (ready, waits) = self.restored(waiting + &words, json);
        if !waits.is_empty() {
            self.words = Some((said, waits));
        }
        if !ready.is_empty() {
            out.push(said.event(ready));
        }
    }

    fn finish_words(&mut self, out: &mut Vec<Event>) {
        if let Some((said, waiting)) = self.words.take() {
            out.push(said.event(waiting));
        }
    }

    /// The text with the values in it, and the end of it that may be the beginning of a placeholder.
    fn restored(&self, text: String, json: bool) -> (String, String) {
        if !text.contains('[') {
            return (text, String::new());
        }
        let mut ready = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find('[') {
            ready.push_str(&rest[..at]);
            rest = &rest[at..];
            match self.at(rest) {
                At::Placeholder(length, value) => {
                    ready.push_str(&if json { escaped(value) } else { Cow::Borrowed(value) });
                    rest = &rest[length..];
                }
                At::Perhaps => return (ready, rest.to_owned()),
                At::Nothing => {
                    ready.push('[');
                    rest = &rest[1..];
                }
            }
        }
        ready.push_str(rest);
        (ready, String::new())
    }

    fn at(&self, text: &str) -> At<'_> {
        let within = &text.as_bytes()[..text.len().min(self.longest)];
        if let Some(end) = within.iter().position(|byte| *byte == b']') {
            return match self.values.get(&text[..=end]) {
                Some(value) => At::Placeholder(end + 1, value),
                None => At::Nothing,
            };
        }
        let begins = text.len() < self.longest && self.values.keys().any(|name| name.starts_with(text));
        if begins { At::Perhaps } else { At::Nothing }
    }
}

/// As it stands within a JSON string.
fn escaped(value: &str) -> Cow<'_, str> {
    if value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        return Cow::Borrowed(value);
    }
    let quoted = serde_json::Value::from(value).to_string();
    Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
}

impl fmt::Debug for Restorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the values: they are what nobody is to see.
        f.debug_struct("Restorer").field("values", &self.values.len()).finish_non_exhaustive()
    }
}
