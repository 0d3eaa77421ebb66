//! Reasoning that a provider wants to see again travels through clients of any dialect: in Anthropic's words where
//! it is Anthropic's, and otherwise as an opaque text in the place where the dialect has one.

use serde_json::Value;

/// Marks an opaque text as ours; the number is the version of what follows.
const MARK: &str = "toryo1:";

/// Puts a provider's own form of reasoning into an opaque text.
pub(super) fn seal(native: &Value) -> String {
    format!("{MARK}{native}")
}

/// What was sealed; `None` where a text is not ours, or was changed.
pub(super) fn unseal(text: &str) -> Option<Value> {
    serde_json::from_str(text.strip_prefix(MARK)?).ok()
}

/// Whether reasoning has a provider's own form of this `type`.
pub(super) fn is_a(native: &Value, kind: &str) -> bool {
    native.get("type").and_then(Value::as_str) == Some(kind)
}
