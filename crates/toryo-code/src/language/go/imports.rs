//! Go's import declarations.

use crate::apply::{Miss, Source, Splice};
use crate::outline::Import;
use crate::refusal::Refusal;
use tree_sitter::Node;

/// A package is imported as a whole; `.` takes all its names and `_` none.
pub(super) fn listed(node: Node<'_>, text: &str, found: &mut Vec<Import>) {
    let words = |node: Node<'_>| text[node.byte_range()].trim_matches(['"', '`']).to_owned();
    let Some(module) = node.child_by_field_name("path").map(words) else { return };
    let alias = node.child_by_field_name("name").map(words);
    let names = if alias.as_deref() == Some(".") { vec!["*".to_owned()] } else { Vec::new() };
    let alias = alias.filter(|alias| !matches!(alias.as_str(), "." | "_"));
    let aliases = alias.map(|alias| (module.clone(), alias)).into_iter().collect();
    found.push(Import { module, names, aliases, line: 0 });
}

pub(super) fn splices(_: &str, _: &Source) -> Result<Vec<Splice>, Miss> {
    Err(Refusal::Unfit("imports of this kind of file are added by line_range".to_owned()).into())
}
