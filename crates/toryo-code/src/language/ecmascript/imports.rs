//! Imports of ECMAScript modules and of CommonJS.

use crate::apply::{Miss, Source, Splice};
use crate::outline::Import;
use crate::refusal::Refusal;
use tree_sitter::Node;

/// What a statement imports; `require(…)` and `import(…)` import a module as a whole.
pub(super) fn listed(node: Node<'_>, text: &str, found: &mut Vec<Import>) {
    let words = |node: Node<'_>| text[node.byte_range()].trim_matches(['"', '\'', '`']).to_owned();
    let arguments = node.child_by_field_name("arguments");
    let source = node.child_by_field_name("source").or_else(|| arguments?.named_child(0));
    // `import a = require("m")` of TypeScript.
    let source = source.or_else(|| {
        let mut cursor = node.walk();
        let clause =
            node.named_children(&mut cursor).find(|child| child.kind() == "import_require_clause")?;
        clause.child_by_field_name("source")
    });
    let Some(source) = source else { return };
    let mut import = Import { module: words(source), ..Import::default() };
    crate::syntax::walk(node, |inner, depth| {
        match inner.kind() {
            "import_specifier" | "export_specifier" => {
                let name = inner.child_by_field_name("name").map(words).unwrap_or_default();
                let alias = inner.child_by_field_name("alias").map(words);
                import.aliases.extend(alias.map(|alias| (name.clone(), alias)));
                import.names.push(name);
            }
            "namespace_import" | "namespace_export" => import.names.push("*".to_owned()),
            "*" if depth == 1 => import.names.push("*".to_owned()),
            "identifier" if inner.parent().is_some_and(|parent| parent.kind() == "import_clause") => {
                import.names.push("default".to_owned());
                import.aliases.push(("default".to_owned(), words(inner)));
            }
            _ => {}
        }
        crate::syntax::Walk::On
    });
    found.push(import);
}

pub(super) fn splices(_: &str, _: &Source) -> Result<Vec<Splice>, Miss> {
    Err(Refusal::Unfit("imports of this kind of file are added by line_range".to_owned()).into())
}
