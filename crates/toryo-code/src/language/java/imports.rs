//! Java's import declarations.

use crate::apply::{Miss, Source, Splice};
use crate::language::{Imported, Imports};
use crate::outline::Import;
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

/// The splices that add imports; one type or member each.
pub(super) fn splices(text: &str, source: &Source) -> Result<Vec<Splice>, Miss> {
    crate::apply::imports::splices(text, source, &IMPORTS)
}

static IMPORTS: Imports = Imports {
    kinds: &["import_declaration"],
    part: None,
    keyword: "import ",
    end: ";",
    head: &["package_declaration"],
    read: |node, text| {
        let mut found = Vec::new();
        listed(node, text, &mut found);
        // The group's mark keeps a static import apart from one of the type.
        let mark = if is_static(node) { "static " } else { "" };
        let one = |import: Import| Imported {
            module: format!("{mark}{}", import.module),
            name: import.names.concat(),
            for_types: false,
        };
        found.into_iter().map(one).collect()
    },
    write: |_| None,
    list: |_, _, _| None,
    // Where static imports stand is a matter of custom: beside their own.
    group: |module| if module.starts_with("static ") { 2 } else { u8::from(!module.starts_with("java.")) },
};

fn is_static(node: Node<'_>) -> bool {
    let mut cursor = node.walk();
    node.children(&mut cursor).any(|child| child.kind() == "static")
}
