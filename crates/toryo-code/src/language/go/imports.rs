//! Go's import declarations.

use crate::apply::{Miss, Source, Splice};
use crate::language::{Imported, Imports};
use crate::outline::Import;
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

/// The splices that add imports; one package each.
pub(super) fn splices(text: &str, source: &Source) -> Result<Vec<Splice>, Miss> {
    crate::apply::imports::splices(text, source, &IMPORTS)
}

static IMPORTS: Imports = Imports {
    kinds: &["import_declaration"],
    part: Some("import_spec"),
    keyword: "import ",
    end: "",
    head: &["package_clause"],
    read,
    write: |_| None,
    list: |_, _, _| None,
    // Packages of the standard library have no domain.
    group: |module| u8::from(module.split('/').next().is_some_and(|first| first.contains('.'))),
};

fn read(node: Node<'_>, text: &str) -> Vec<Imported> {
    let own = |field: &str| node.child_by_field_name(field).map(|node| text[node.byte_range()].to_owned());
    let module = own("path").unwrap_or_default().trim_matches(['"', '`']).to_owned();
    vec![Imported { module, name: own("name").unwrap_or_default(), for_types: false }]
}
