//! `use` declarations.

use crate::apply::{Miss, Source, Splice};
use crate::language::{Imported, Imports};
use crate::outline::Import;
use tree_sitter::Node;

/// One name that a `use` tree brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Used {
    /// The path before the name, such as `std::fmt`.
    pub(super) module: String,
    /// The last name; `*` for all.
    pub(super) name: String,
    /// Its name here, if it is another.
    pub(super) alias: Option<String>,
}

/// What a declaration imports, grouped by module. `mod name;` imports the module `self::name` as a whole.
pub(super) fn listed(node: Node<'_>, text: &str, found: &mut Vec<Import>) {
    let name = || node.child_by_field_name("name").map(|name| text[name.byte_range()].to_owned());
    match node.kind() {
        "mod_item" => {
            let module = name().map(|name| format!("self::{name}"));
            found.extend(module.map(|module| Import { module, ..Import::default() }));
            return;
        }
        "extern_crate_declaration" => {
            found.extend(name().map(|module| Import { module, ..Import::default() }));
            return;
        }
        _ => {}
    }
    let from = found.len();
    for used in used(node, text) {
        let same = found.iter().skip(from).position(|import| import.module == used.module);
        let at = same.map_or(found.len(), |at| from + at);
        if at == found.len() {
            found.push(Import { module: used.module, ..Import::default() });
        }
        found[at].aliases.extend(used.alias.map(|alias| (used.name.clone(), alias)));
        found[at].names.push(used.name);
    }
}

/// The names that a `use` declaration brings in, in order.
pub(super) fn used(node: Node<'_>, text: &str) -> Vec<Used> {
    let mut names = Vec::new();
    // Trees not done yet, each with the path before it, the next one last.
    let mut rest: Vec<(String, Node<'_>)> =
        node.child_by_field_name("argument").map(|tree| (String::new(), tree)).into_iter().collect();
    while let Some((before, tree)) = rest.pop() {
        let own = |node: Node<'_>| text[node.byte_range()].split_whitespace().collect::<String>();
        let joined = |path: Option<Node<'_>>| match path.map(own) {
            Some(path) if before.is_empty() => path,
            Some(path) => format!("{before}::{path}"),
            None => before.clone(),
        };
        match tree.kind() {
            "scoped_use_list" => {
                let before = joined(tree.child_by_field_name("path"));
                rest.extend(tree.child_by_field_name("list").map(|list| (before, list)));
            }
            "use_list" => {
                let mut cursor = tree.walk();
                let inner =
                    tree.named_children(&mut cursor).filter(|inner| !inner.kind().ends_with("comment"));
                let inner: Vec<Node<'_>> = inner.collect();
                rest.extend(inner.into_iter().rev().map(|inner| (before.clone(), inner)));
            }
            "use_wildcard" => {
                let module = joined(tree.named_child(0));
                names.push(Used { module, name: "*".to_owned(), alias: None });
            }
            "use_as_clause" => {
                let alias = tree.child_by_field_name("alias").map(own);
                names.push(split(&joined(tree.child_by_field_name("path")), alias));
            }
            _ => names.push(split(&joined(Some(tree)), None)),
        }
    }
    names
}

/// A path as module and name; `a::{self}` names the module itself.
fn split(path: &str, alias: Option<String>) -> Used {
    let path = path.strip_suffix("::self").unwrap_or(path);
    let (module, name) = path.rsplit_once("::").unwrap_or(("", path));
    Used { module: module.to_owned(), name: name.to_owned(), alias }
}

/// The splices that add `use` declarations.
pub(super) fn splices(text: &str, source: &Source) -> Result<Vec<Splice>, Miss> {
    crate::apply::imports::splices(text, source, &IMPORTS)
}

static IMPORTS: Imports = Imports {
    kinds: &["use_declaration"],
    part: None,
    keyword: "use ",
    end: ";",
    head: &["inner_attribute_item", "extern_crate_declaration"],
    read: |node, text| used(node, text).into_iter().map(imported).collect(),
    write: |missing| {
        let path = |one: &Imported| {
            if one.module.is_empty() { one.name.clone() } else { format!("{}::{}", one.module, one.name) }
        };
        Some(missing.iter().map(|one| format!("use {};", path(one))).collect::<Vec<_>>().join("\n"))
    },
    list,
    group: |module| match module.split("::").next().unwrap_or_default() {
        "std" | "core" | "alloc" => 0,
        "crate" | "self" | "super" => 2,
        _ => 1,
    },
};

fn imported(used: Used) -> Imported {
    let name = used.alias.map_or(used.name.clone(), |alias| format!("{} as {alias}", used.name));
    Imported { module: used.module, name, for_types: false }
}

/// The braces of `use module::{…}`.
fn list<'a>(node: Node<'a>, text: &str, missing: &[Imported]) -> Option<Node<'a>> {
    let tree = node.child_by_field_name("argument").filter(|tree| tree.kind() == "scoped_use_list")?;
    let path = text.get(tree.child_by_field_name("path")?.byte_range())?;
    let plain = missing.iter().all(|one| one.module == path && one.name != "*");
    let public = node.named_child(0).is_some_and(|first| first.kind() == "visibility_modifier");
    tree.child_by_field_name("list").filter(|_| plain && !public)
}
