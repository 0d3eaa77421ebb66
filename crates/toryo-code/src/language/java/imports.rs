//! Java's import declarations.

use crate::apply::{Miss, Source, Splice};
use crate::outline::Import;
use crate::refusal::Refusal;
use tree_sitter::Node;

/// A type of a package, or with `static` a member of a type; `*` for all.
pub(super) fn listed(node: Node<'_>, text: &str, found: &mut Vec<Import>) {
    let mut cursor = node.walk();
    let named: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
    let own = |node: &Node<'_>| text[node.byte_range()].split_whitespace().collect::<String>();
    let Some(path) = named.iter().find(|child| child.kind().ends_with("identifier")).map(own) else { return };
    let (module, name) = match named.iter().any(|child| child.kind() == "asterisk") {
        true => (path.as_str(), "*"),
        false => path.rsplit_once('.').unwrap_or(("", &path)),
    };
    let (module, names) = (module.to_owned(), vec![name.to_owned()]);
    found.push(Import { module, names, ..Import::default() });
}

pub(super) fn splices(_: &str, _: &Source) -> Result<Vec<Splice>, Miss> {
    Err(Refusal::Unfit("imports of this kind of file are added by line_range".to_owned()).into())
}
