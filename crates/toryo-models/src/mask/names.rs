//! Placeholders and the values they stand for.

use std::collections::{HashMap, HashSet};

/// The placeholders of one call.
#[derive(Default)]
pub(super) struct Names {
    by_value: HashMap<String, String>,
    counts: HashMap<&'static str, u32>,
    /// Texts of the question that look like placeholders: they stand for themselves.
    reserved: HashSet<String>,
}

impl Names {
    /// Takes note of what looks like a placeholder already.
    pub(super) fn reserve(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find('[') {
            rest = &rest[at..];
            match rest.find(']') {
                Some(end) if is_placeholder(&rest[..=end]) => {
                    self.reserved.insert(rest[..=end].to_owned());
                }
                _ => {}
            }
            rest = &rest[1..];
        }
    }

    /// The placeholder of a value. A placeholder of an earlier answer that the client sent back stays what it is.
    pub(super) fn of<'a>(&'a mut self, value: &'a str, kind: &'static str) -> &'a str {
        if is_placeholder(value) {
            return value;
        }
        if !self.by_value.contains_key(value) {
            let count = self.counts.entry(kind).or_default();
            let name = loop {
                *count += 1;
                let name = format!("[{kind}_{count}]");
                if !self.reserved.contains(&name) {
                    break name;
                }
            };
            self.by_value.insert(value.to_owned(), name);
        }
        &self.by_value[value]
    }

    /// The values by their placeholders.
    pub(super) fn into_values(self) -> HashMap<String, String> {
        self.by_value.into_iter().map(|(value, name)| (name, value)).collect()
    }
}

/// `[`, capital letters, `_`, digits, `]`.
fn is_placeholder(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.and_then(|inner| inner.split_once('_')).is_some_and(|(kind, number)| {
        let capitals = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_uppercase());
        capitals && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
