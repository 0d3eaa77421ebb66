//! A run as `GET /runs/{id}` shows it.

use serde_json::Value;

/// The answer's body.
pub struct RunView(pub Value);

impl RunView {
    pub fn status(&self) -> String {
        self.text("/status")
    }

    /// A text at a JSON pointer; empty where there is none.
    pub fn text(&self, pointer: &str) -> String {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}
