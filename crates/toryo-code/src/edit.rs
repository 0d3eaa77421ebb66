//! What a model proposes: the types of `schemas/edit_set.json`.
//!
//! Strict JSON of a model names every property and writes `null` for what it leaves out, so `null` means
//! absent; unknown fields are refused. Paths and texts are not judged here but where they are used, so that a
//! bad one refuses its edit and not the reading of the others.

use serde::{Deserialize, Serialize};

/// Changes that belong together: all are applied or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditSet {
    /// The changes, in the order in which they are applied.
    pub edits: Vec<ProposeEdit>,
    /// What the set does, for people.
    #[serde(default, deserialize_with = "text_or_null")]
    pub summary: String,
}

/// One proposed change of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposeEdit {
    /// The file, relative to the repository; checked when the edit is applied.
    pub file_path: String,
    /// What is to happen at the place.
    pub edit_type: EditType,
    /// The place.
    pub locator: Locator,
    /// The new text, a unified diff, or operations on the located definition.
    #[serde(default)]
    pub patch: Patch,
    /// Why, in a sentence, for people.
    #[serde(default, deserialize_with = "text_or_null")]
    pub rationale_summary: String,
}

/// What an edit does at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditType {
    /// Adds text beside or into the place.
    Insert,
    /// Puts text in its place, or applies a unified diff.
    Replace,
    /// Removes it.
    Delete,
    /// Applies operations to the located definition.
    AstPatch,
}

/// Where an edit applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenLocator", into = "WrittenLocator")]
pub struct Locator {
    /// The place itself.
    pub target: Target,
    /// For an insertion: on which side of the place.
    pub position: Option<Position>,
}

/// The four ways to name a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A definition by its dotted path; `f[2]` is the second of equals.
    Symbol(String),
    /// Lines of the file as the model saw it, from 1, both inclusive.
    Lines {
        /// The first line.
        first: u32,
        /// The last line; not before the first.
        last: u32,
        /// The text of the first line, checked before the edit is applied.
        expect: Option<String>,
    },
    /// A tree-sitter query whose one capture `@target` matches one node.
    Query(String),
    /// The file as a whole: to create it, to delete it, or for a patch that finds its own place.
    WholeFile,
}

/// On which side of a place text is inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Above it, decorators and comments of its own included.
    Before,
    /// Below it.
    After,
    /// As the first statement of its body, below a docstring.
    BodyStart,
    /// As the last statement of its body.
    BodyEnd,
}

/// What an edit brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch {
    /// Source text or a unified diff.
    Text(String),
    /// Operations on a definition, applied in order.
    Operations(Vec<Operation>),
}

/// A change of a definition that leaves the rest of it alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Puts statements in place of the body; a docstring stays unless the text brings one.
    ReplaceBody {
        /// The statements.
        text: String,
    },
    /// Puts another header in place of `def name(…) -> …` or `class name(…)`.
    SetSignature {
        /// The header; a `:` at its end may be left out.
        text: String,
    },
    /// Adds a decorator above the present ones; one that is there already is not doubled.
    AddDecorator {
        /// The decorator; the `@` may be left out.
        text: String,
    },
    /// Removes a decorator.
    RemoveDecorator {
        /// Its name, without arguments.
        name: String,
    },
    /// Adds imports to the file; what is imported already is not doubled.
    AddImport {
        /// One or more import statements.
        text: String,
    },
    /// Gives the definition another name, there and where this file uses it.
    Rename {
        /// The new name.
        to: String,
    },
    /// Puts text above and below; below a `:` the definition is indented.
    Wrap {
        /// The lines above.
        before: String,
        /// The lines below; may be empty.
        after: String,
    },
    /// Sets or adds the docstring.
    SetDocstring {
        /// Its text; quotes may be left out.
        text: String,
    },
}

impl Operation {
    /// Whether it neither looks at what stands around the definition nor changes it.
    pub(crate) const fn stays_inside(&self) -> bool {
        match self {
            Self::ReplaceBody { .. }
            | Self::SetSignature { .. }
            | Self::AddDecorator { .. }
            | Self::RemoveDecorator { .. }
            | Self::Wrap { .. }
            | Self::SetDocstring { .. } => true,
            Self::AddImport { .. } | Self::Rename { .. } => false,
        }
    }
}

/// Why a text is not an edit set: one line for the set or for each edit that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct NotAnEditSet {
    /// What is wrong, each with its place such as `edits[2]`.
    pub problems: Vec<String>,
}

impl EditSet {
    /// Reads an edit set from JSON.
    ///
    /// # Errors
    /// Names every edit that is not well-formed, not only the first.
    pub fn parse(json: &str) -> Result<Self, NotAnEditSet> {
        let refused = |problem: String| NotAnEditSet { problems: vec![problem] };
        let value: serde_json::Value =
            serde_json::from_str(json).map_err(|error| refused(error.to_string()))?;
        let edits = value.get("edits").and_then(serde_json::Value::as_array).map_or(&[][..], Vec::as_slice);
        let problem = |(index, edit)| {
            let error = ProposeEdit::deserialize(edit).err()?;
            Some(format!("edits[{index}]: {error}"))
        };
        let problems: Vec<String> = edits.iter().enumerate().filter_map(problem).collect();
        if !problems.is_empty() {
            return Err(NotAnEditSet { problems });
        }
        Self::deserialize(&value).map_err(|error| refused(error.to_string()))
    }
}

impl Patch {
    /// The bytes of its texts.
    #[must_use]
    pub fn size(&self) -> usize {
        let size = |operation: &Operation| match operation {
            Operation::ReplaceBody { text }
            | Operation::SetSignature { text }
            | Operation::AddDecorator { text }
            | Operation::AddImport { text }
            | Operation::SetDocstring { text } => text.len(),
            Operation::RemoveDecorator { name } => name.len(),
            Operation::Rename { to } => to.len(),
            Operation::Wrap { before, after } => before.len() + after.len(),
        };
        match self {
            Self::Text(text) => text.len(),
            Self::Operations(operations) => operations.iter().map(size).sum(),
        }
    }
}

impl Default for Patch {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Serialize for Patch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Operations(operations) => operations.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not an untagged enum: that would hide which operation is wrong and why.
        let problem = <D::Error as serde::de::Error>::custom::<String>;
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Null => Ok(Self::default()),
            serde_json::Value::String(text) => Ok(Self::Text(text)),
            serde_json::Value::Array(written) => {
                let operation = |(index, value): (usize, serde_json::Value)| {
                    operation(value).map_err(|error| problem(format!("patch[{index}]: {error}")))
                };
                written.into_iter().enumerate().map(operation).collect::<Result<_, _>>().map(Self::Operations)
            }
            _ => Err(problem("patch must be a text or a list of operations".to_owned())),
        }
    }
}

/// Reads one operation. A schema may make all operations one object with every property, so `null` properties
/// are dropped first.
fn operation(mut value: serde_json::Value) -> Result<Operation, serde_json::Error> {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, property| !property.is_null());
    }
    Operation::deserialize(value)
}

/// A locator as it is written: every way to name a place beside the others.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLocator {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line_range: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ast_query: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole_file: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

impl TryFrom<WrittenLocator> for Locator {
    type Error = &'static str;
    fn try_from(written: WrittenLocator) -> Result<Self, Self::Error> {
        let WrittenLocator { symbol, line_range, expect, ast_query, whole_file, position } = written;
        if expect.is_some() && line_range.is_none() {
            return Err("locator: `expect` belongs to `line_range` only");
        }
        let target = match (symbol, line_range, ast_query, whole_file.unwrap_or(false)) {
            (Some(symbol), None, None, false) => Target::Symbol(symbol),
            (None, Some((first, last)), None, false) if 1 <= first && first <= last => {
                Target::Lines { first, last, expect }
            }
            (None, Some(_), None, false) => {
                return Err("locator: `line_range` is [first, last], from 1, first not after last");
            }
            (None, None, Some(query), false) => Target::Query(query),
            (None, None, None, true) => Target::WholeFile,
            _ => {
                return Err(
                    "locator: exactly one of `symbol`, `line_range`, `ast_query`, `whole_file` must be set",
                );
            }
        };
        Ok(Self { target, position })
    }
}

impl From<Locator> for WrittenLocator {
    fn from(locator: Locator) -> Self {
        let empty = Self { position: locator.position, ..Self::default() };
        match locator.target {
            Target::Symbol(symbol) => Self { symbol: Some(symbol), ..empty },
            Target::Lines { first, last, expect } => {
                Self { line_range: Some((first, last)), expect, ..empty }
            }
            Target::Query(query) => Self { ast_query: Some(query), ..empty },
            Target::WholeFile => Self { whole_file: Some(true), ..empty },
        }
    }
}

/// A text; `null` is an empty one.
fn text_or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set_of(edit: &serde_json::Value) -> Result<EditSet, NotAnEditSet> {
        EditSet::parse(&json!({"edits": [edit], "summary": "s"}).to_string())
    }

    fn edit_with(locator: &serde_json::Value, patch: &serde_json::Value) -> serde_json::Value {
        json!({"file_path": "a.py", "edit_type": "ast_patch", "locator": locator, "patch": patch,
               "rationale_summary": "r"})
    }

    #[test]
    fn strict_json_with_nulls_is_read() {
        let locator = json!({"symbol": "A.f", "line_range": null, "expect": null, "ast_query": null,
                             "whole_file": null, "position": null});
        let patch =
            json!([{"op": "rename", "to": "g", "text": null}, {"op": "wrap", "before": "a", "after": ""}]);
        let set = set_of(&edit_with(&locator, &patch)).expect("an edit set");
        assert_eq!(set.edits[0].locator, Locator { target: Target::Symbol("A.f".into()), position: None });
        let rename = Operation::Rename { to: "g".into() };
        let wrap = Operation::Wrap { before: "a".into(), after: String::new() };
        assert_eq!(set.edits[0].patch, Patch::Operations(vec![rename, wrap]));
        let again = EditSet::parse(&serde_json::to_string(&set).expect("JSON")).expect("an edit set");
        assert_eq!(again, set);
    }

    #[test]
    fn every_faulty_edit_is_named() {
        let good = edit_with(&json!({"whole_file": true}), &json!("x"));
        let mut unknown = good.clone();
        unknown["extra"] = json!(1);
        let two = edit_with(&json!({"symbol": "a", "whole_file": true}), &json!("x"));
        let operation = edit_with(&json!({"symbol": "a"}), &json!([{"op": "rename", "text": "x"}]));
        let range = edit_with(&json!({"line_range": [3, 2]}), &json!(""));
        let set = json!({"edits": [good, unknown, two, operation, range, 7], "summary": ""}).to_string();
        insta::assert_snapshot!(EditSet::parse(&set).expect_err("faults").to_string());
        for text in ["", "[]", "{", "null", "{\"edits\": 1}", "{\"edits\": []} x"] {
            assert!(EditSet::parse(text).is_err(), "{text}");
        }
    }
}
