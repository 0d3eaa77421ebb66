//! Which names of a file certainly mean a definition, by rules that languages with blocks share.
//!
//! A name of a file, module or function is renamed where it is used in its scope and not bound again in an inner
//! one. A member of a type is renamed behind `this`, `self` or what the language calls it, behind the type's own
//! name, and inside the type where members are called without either. What a member of any other object means
//! is not known from the file, so those stay.

use super::Miss;
use super::source::Source;
use crate::language::Scoping;
use crate::outline::{Symbol, SymbolKind};
use crate::refusal::Refusal;
use crate::syntax::{self, Walk};
use crate::text::Span;
use tree_sitter::Node;

/// The most steps of looking for the parents of uses; seconds of work.
const MOST_SEARCHES: usize = 50_000_000;

/// A node that may bind names for what is inside it.
struct Scope {
    span: Span,
    binds: bool,
}

/// A name of the text, and what stands around it.
struct Name<'tree> {
    node: Node<'tree>,
    span: Span,
    parent: Option<Node<'tree>>,
}

/// The places to rename: the definition, its equals and its uses.
pub(crate) fn places(symbol: &Symbol, source: &Source, scoping: &Scoping) -> Result<Vec<Span>, Miss> {
    let Some(analysis) = source.analysis() else { return Ok(Vec::new()) };
    let root = analysis.tree.root_node();
    let mut nodes = Vec::new();
    let mut scopes = Vec::new();
    syntax::walk(root, |node, _| {
        if scoping.names.contains(&node.kind()) && source.text[node.byte_range()] == symbol.name {
            nodes.push(node);
        }
        if scoping.scopes.contains(&node.kind()) {
            scopes.push(Scope { span: Span::new(node.start_byte(), node.end_byte()), binds: false });
        }
        Walk::On
    });
    if nodes.len().saturating_mul(root.child_count() as usize + scopes.len()) > MOST_SEARCHES {
        let why = format!("`{}` is used at too many places to rename; edit them by line_range", symbol.name);
        return Err(Refusal::Unfit(why).into());
    }
    let names = nodes.into_iter().map(|node| Name {
        node,
        span: Span::new(node.start_byte(), node.end_byte()),
        parent: node.parent(),
    });
    let names: Vec<Name<'_>> = names.collect();
    let equals = equals(symbol, source, scoping);
    for name in names.iter().filter(|name| !equals.contains(&name.span)) {
        // A function's own name is bound around it, not in it.
        let own = name.parent.filter(|parent| {
            parent.child_by_field_name("name").is_some_and(|inner| inner.id() == name.node.id())
        });
        let own = own.map(|own| Span::new(own.start_byte(), own.end_byte()));
        let inner = scopes.iter().rposition(|scope| scope.span.holds(name.span) && Some(scope.span) != own);
        if let Some(inner) = inner.filter(|_| binds(name.node, scoping)) {
            scopes[inner].binds = true;
        }
    }
    let owner = symbol.path.rsplit_once('.').map(|(owner, _)| owner);
    let calls = |name: &Name<'_>| name.parent.is_some_and(|parent| scoping.calls.contains(&parent.kind()));
    let is_use = |name: &&Name<'_>| {
        if !scoping.calls.is_empty() && calls(name) != is_function(symbol) {
            false
        } else if symbol.kind == SymbolKind::Method || is_field(symbol, source) {
            means_member(name, owner.unwrap_or_default(), symbol, source, &scopes, scoping)
        } else {
            means_name(name, symbol, source, &scopes, scoping)
        }
    };
    let uses = names.iter().filter(is_use);
    if let Some(short) = uses.clone().find(|name| scoping.shorthands.contains(&name.node.kind())) {
        let line = source.lines().number_at(short.span.start);
        let why = format!(
            "`{}` names a key and its value at once at line {line}; write both there first",
            symbol.name
        );
        return Err(Refusal::Unfit(why).into());
    }
    let uses = uses.map(|name| name.span);
    Ok(uses.chain(equals.iter().copied()).collect())
}

/// The names of the definitions with the same path but for their numbers.
fn equals(symbol: &Symbol, source: &Source, scoping: &Scoping) -> Vec<Span> {
    let owner = |symbol: &Symbol| symbol.path.rsplit_once('.').map(|(owner, _)| owner.to_owned());
    let kind = |symbol: &Symbol| is_function(symbol) || scoping.calls.is_empty();
    let same = |other: &&Symbol| {
        other.name == symbol.name && owner(other) == owner(symbol) && kind(other) == kind(symbol)
    };
    source.symbols().iter().filter(same).map(|other| other.name_span).collect()
}

fn is_function(symbol: &Symbol) -> bool {
    matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method)
}

fn is_field(symbol: &Symbol, source: &Source) -> bool {
    let parent = symbol.parent.and_then(|parent| source.symbols().get(parent));
    parent.is_some_and(|parent| parent.kind == SymbolKind::Class) && symbol.kind == SymbolKind::Variable
}

/// Whether an identifier's place binds it in its scope.
fn binds(node: Node<'_>, scoping: &Scoping) -> bool {
    let mut child = node;
    while let Some(parent) = child.parent() {
        let field = |field: &str| {
            let mut cursor = parent.walk();
            parent.children_by_field_name(field, &mut cursor).any(|inner| inner.id() == child.id())
        };
        // In `Type(name)` the type is used, not bound.
        if field("type") && parent.kind().ends_with("_pattern") {
            return false;
        }
        let fields = scoping.bindings.iter().filter(|(kind, _)| *kind == parent.kind());
        let mut any = false;
        for (_, name) in fields {
            any = true;
            if name.is_empty() || field(name) {
                return true;
            }
        }
        if any || !scoping.patterns.contains(&parent.kind()) {
            return false;
        }
        child = parent;
    }
    false
}

/// The object of `object.name`, if the name is a member there.
fn object_of<'tree>(name: &Name<'tree>, scoping: &Scoping) -> Option<Node<'tree>> {
    let parent = name.parent?;
    let (_, object, member) = scoping.members.iter().find(|(kind, ..)| *kind == parent.kind())?;
    // Without fields the object is the first part and the member the last.
    let part = |field: &str, at: u32| {
        if field.is_empty() { parent.named_child(at) } else { parent.child_by_field_name(field) }
    };
    let last = (parent.named_child_count() as u32).checked_sub(1)?;
    let is_member = part(member, last).is_some_and(|inner| inner.id() == name.node.id());
    part(object, 0).filter(|object| is_member && object.id() != name.node.id())
}

/// Whether the name is a key or a label, whose meaning is another's.
fn is_key(name: &Name<'_>, scoping: &Scoping) -> bool {
    (scoping.is_key)(name.node)
        || name.parent.is_some_and(|parent| {
            let keys = scoping.keys.iter().filter(|(kind, _)| *kind == parent.kind());
            keys.clone().any(|(_, field)| {
                parent.child_by_field_name(field).is_some_and(|inner| inner.id() == name.node.id())
            })
        })
}

/// Whether a scope inside `owner` and around a place binds the name for itself.
fn is_shadowed(at: Span, owner: Span, scopes: &[Scope]) -> bool {
    let inner = |scope: &&Scope| scope.span.holds(at) && owner.holds(scope.span) && scope.span != owner;
    scopes.iter().filter(inner).any(|scope| scope.binds)
}

/// Whether a name means a definition of a file, module or function.
fn means_name(
    name: &Name<'_>,
    symbol: &Symbol,
    source: &Source,
    scopes: &[Scope],
    scoping: &Scoping,
) -> bool {
    let whole = Span::new(0, source.text.len());
    let parent = symbol.parent.and_then(|parent| source.symbols().get(parent));
    let owner = parent.map_or(whole, |parent| parent.definition);
    let object = object_of(name, scoping);
    let qualified = object.is_some_and(|object| {
        let module =
            parent.filter(|parent| parent.kind == SymbolKind::Module).map(|parent| parent.name.as_str());
        let text = &source.text[object.byte_range()];
        Some(text) == module
            || scoping.here.contains(&text) && !scoping.member_names.contains(&name.node.kind())
    });
    if object.is_some() {
        return qualified;
    }
    owner.holds(name.span)
        && !scoping.member_names.contains(&name.node.kind())
        && !is_key(name, scoping)
        && !is_shadowed(name.span, owner, scopes)
}

/// Whether a name means a member of a type.
fn means_member(
    name: &Name<'_>,
    owner: &str,
    symbol: &Symbol,
    source: &Source,
    scopes: &[Scope],
    scoping: &Scoping,
) -> bool {
    let type_name = owner.rsplit('.').next().unwrap_or(owner);
    // The innermost definition that is a type or belongs to one says what `this` means.
    let around = source.symbols().iter().rfind(|other| {
        let of_type = other.kind == SymbolKind::Class || other.kind == SymbolKind::Method;
        of_type && other.span.holds(name.span)
    });
    let inside = around.is_some_and(|around| {
        let own = if around.kind == SymbolKind::Class {
            around.path.as_str()
        } else {
            around.path.rsplit_once('.').map_or("", |(own, _)| own)
        };
        without_number(own) == without_number(owner) || block_type(own) == type_name
    });
    match object_of(name, scoping) {
        Some(object) => {
            let text = &source.text[object.byte_range()];
            let text = text.split('<').next().unwrap_or(text).trim_end_matches("::");
            let own = scoping.own.contains(&text)
                || (scoping.receiver)(name.node, &source.text).is_some_and(|receiver| receiver == text);
            inside && own || text == type_name
        }
        None => {
            let bare = scoping.bare_members && !scoping.member_names.contains(&name.node.kind());
            inside && bare && !is_key(name, scoping) && {
                let owner = symbol.parent.and_then(|parent| source.symbols().get(parent));
                owner.is_some_and(|owner| {
                    owner.span.holds(name.span) && !is_shadowed(name.span, owner.definition, scopes)
                })
            }
        }
    }
}

fn without_number(path: &str) -> &str {
    path.split('[').next().unwrap_or(path)
}

/// The type of a block of members, by its path.
fn block_type(path: &str) -> &str {
    let name = path.rsplit(" for ").next().unwrap_or(path).trim_start_matches("impl ");
    name.split('<').next().unwrap_or(name)
}
