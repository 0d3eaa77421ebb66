//! Imports of ECMAScript modules and of CommonJS.

use crate::apply::{Miss, Source, Splice};
use crate::language::{Imported, Imports};
use crate::outline::Import;
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

/// The splices that add import statements.
pub(super) fn splices(text: &str, source: &Source) -> Result<Vec<Splice>, Miss> {
    crate::apply::imports::splices(text, source, &IMPORTS)
}

static IMPORTS: Imports = Imports {
    kinds: &["import_statement", "lexical_declaration", "variable_declaration"],
    part: None,
    keyword: "import ",
    end: "",
    head: &["hash_bang_line"],
    read,
    write,
    list,
    // Relative modules stand below packages.
    group: |module| u8::from(module.starts_with('.')),
};

/// What an import statement imports, or a declaration by `require`.
fn read(node: Node<'_>, text: &str) -> Vec<Imported> {
    if node.kind() != "import_statement" {
        return required(node, text);
    }
    let mut found = Vec::new();
    listed(node, text, &mut found);
    let mut cursor = node.walk();
    let for_types = node.children(&mut cursor).any(|child| matches!(child.kind(), "type" | "typeof"));
    let Some(import) = found.pop() else { return Vec::new() };
    let one = |name: String| Imported { module: import.module.clone(), name, for_types };
    let mut names = Vec::new();
    crate::syntax::walk(node, |inner, _| {
        let own = || text[inner.byte_range()].split_whitespace().collect::<Vec<_>>().join(" ");
        match inner.kind() {
            "import_specifier" => {
                let own = own();
                let bare = own.strip_prefix("type ").filter(|rest| !rest.starts_with("as ")).unwrap_or(&own);
                let for_types = for_types || bare.len() < own.len();
                names.push(Imported { for_types, ..one(bare.to_owned()) });
            }
            "namespace_import" => names.push(one(own())),
            "identifier" if inner.parent().is_some_and(|parent| parent.kind() == "import_clause") => {
                names.push(one(format!("default as {}", own())));
            }
            _ => {}
        }
        crate::syntax::Walk::On
    });
    if names.is_empty() { vec![one(String::new())] } else { names }
}

/// `const name = require("module")`, as the import of the whole.
fn required(node: Node<'_>, text: &str) -> Vec<Imported> {
    let mut cursor = node.walk();
    let one = |declarator: Node<'_>| {
        let call =
            declarator.child_by_field_name("value").filter(|value| value.kind() == "call_expression")?;
        let is_require = text.get(call.child_by_field_name("function")?.byte_range())? == "require";
        let module = call.child_by_field_name("arguments")?.named_child(0).filter(|_| is_require)?;
        let name = text.get(declarator.child_by_field_name("name")?.byte_range())?;
        let module = text.get(module.byte_range())?.trim_matches(['"', '\'', '`']).to_owned();
        Some(Imported {
            module,
            name: format!("require {}", name.split_whitespace().collect::<String>()),
            for_types: false,
        })
    };
    node.named_children(&mut cursor).filter_map(one).collect()
}

fn is_listed(one: &Imported) -> bool {
    let other = ["default as ", "* as ", "require "];
    !one.name.is_empty() && !other.iter().any(|prefix| one.name.starts_with(prefix))
}

fn write(missing: &[Imported]) -> Option<String> {
    let module = missing.first()?.module.as_str();
    let word = if missing.iter().all(|one| one.for_types) { "import type" } else { "import" };
    if missing.iter().any(|one| one.name.starts_with("require ")) {
        return None;
    }
    let mut clause: Vec<String> = Vec::new();
    let unlisted = missing.iter().filter(|one| !is_listed(one) && !one.name.is_empty());
    clause.extend(unlisted.map(|one| one.name.strip_prefix("default as ").unwrap_or(&one.name).to_owned()));
    let listed: Vec<&str> =
        missing.iter().filter(|one| is_listed(one)).map(|one| one.name.as_str()).collect();
    clause.extend((!listed.is_empty()).then(|| format!("{{ {} }}", listed.join(", "))));
    Some(format!("{word} {} from '{module}';", clause.join(", "))).filter(|_| !clause.is_empty())
}

/// The braces of an import of the same module, for types where the asked names are.
fn list<'a>(node: Node<'a>, text: &str, missing: &[Imported]) -> Option<Node<'a>> {
    let own = read(node, text);
    let (first, asked) = (own.first()?, missing.first()?);
    let fits = missing.iter().all(|one| is_listed(one) && one.for_types == asked.for_types);
    let statement_for_types = own.iter().all(|one| one.for_types);
    if !fits || first.module != asked.module || statement_for_types != asked.for_types {
        return None;
    }
    let mut list = None;
    crate::syntax::walk(node, |inner, _| {
        if inner.kind() == "named_imports" {
            list = Some(inner);
        }
        crate::syntax::Walk::On
    });
    list
}
