//! `rename`: a definition's name and its uses in the file, by Python's rules of scope.
//!
//! A name of a module or function is renamed where it is read or written in its scope and not bound again in
//! an inner one. A name of a class is renamed behind `self.`, `cls.`, `super().` and the class's own name, and
//! where the class's body itself reads it. What an attribute of any other object means is not known from the
//! file, so those stay.

use crate::apply::{Miss, Source};
use crate::outline::{Symbol, SymbolKind};
use crate::refusal::Refusal;
use crate::syntax::{self, Walk};
use crate::text::Span;
use tree_sitter::Node;

/// The most steps of looking for the parents of uses; seconds of work.
const MOST_SEARCHES: usize = 50_000_000;

/// The places to rename: the definition, its equals and its uses.
pub(super) fn places(symbol: &Symbol, source: &Source) -> Result<Vec<Span>, Miss> {
    let Some(analysis) = source.analysis() else { return Ok(Vec::new()) };
    let owner = symbol.parent.and_then(|parent| source.symbols().get(parent));
    let root = analysis.tree.root_node();
    // Asking a node for its parent costs a search among the root's children.
    let uses = identifiers(root, &symbol.name, &source.text).len();
    if uses.saturating_mul(root.child_count() as usize) > MOST_SEARCHES {
        let why = format!("`{}` is used at too many places to rename; edit them by line_range", symbol.name);
        return Err(Refusal::Unfit(why).into());
    }
    let scopes = Scopes::of(root, &symbol.name, &source.text);
    let mut places = match owner {
        Some(class) if class.kind == SymbolKind::Class => in_class(class, symbol, root, &scopes, source),
        _ => in_scope(owner.map(|owner| owner.definition), symbol, root, &scopes, source),
    };
    let equals =
        source.symbols().iter().filter(|other| other.parent == symbol.parent && other.name == symbol.name);
    places.extend(equals.map(|other| other.name_span));
    Ok(places)
}

/// A function, lambda, comprehension or class, and whether it binds the name for itself.
struct Scope {
    span: Span,
    /// Parts of it that are evaluated around it: defaults, annotations, bases, the first iterable.
    outside: Vec<Span>,
    binds: bool,
    is_class: bool,
    is_comprehension: bool,
}

impl Scope {
    fn of(node: Node<'_>) -> Self {
        Self {
            span: span_of(node),
            outside: outside(node).into_iter().map(span_of).collect(),
            binds: false,
            is_class: node.kind() == "class_definition",
            is_comprehension: is_comprehension(node),
        }
    }

    /// Whether a name at a place is looked up in this scope first.
    fn holds(&self, at: usize) -> bool {
        let inside = self.span.start < at && at < self.span.end;
        inside && !self.outside.iter().any(|span| span.start <= at && at < span.end)
    }
}

fn is_comprehension(node: Node<'_>) -> bool {
    node.kind().ends_with("_comprehension") || node.kind() == "generator_expression"
}

/// The parts of a scope that are evaluated around it.
fn outside(scope: Node<'_>) -> Vec<Node<'_>> {
    if is_comprehension(scope) {
        let mut cursor = scope.walk();
        let first = scope.named_children(&mut cursor).find(|child| child.kind() == "for_in_clause");
        return first.and_then(|clause| clause.child_by_field_name("right")).into_iter().collect();
    }
    // Type parameters are a scope of their own, around annotations and bases.
    if scope.child_by_field_name("type_parameters").is_some() {
        return Vec::new();
    }
    let fields = ["superclasses", "return_type"];
    let mut found: Vec<Node<'_>> =
        fields.iter().filter_map(|field| scope.child_by_field_name(field)).collect();
    if let Some(parameters) = scope.child_by_field_name("parameters") {
        let mut cursor = parameters.walk();
        for parameter in parameters.named_children(&mut cursor) {
            found.extend(["value", "type"].iter().filter_map(|field| parameter.child_by_field_name(field)));
        }
    }
    found
}

/// The inner scopes of a file with regard to one name.
struct Scopes(Vec<Scope>);

impl Scopes {
    fn of(root: Node<'_>, name: &str, text: &str) -> Self {
        let mut scopes: Vec<Scope> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut shared: Vec<usize> = Vec::new();
        let mut bind_outside: Vec<usize> = Vec::new();
        syntax::walk(root, |node, _| {
            while open.last().is_some_and(|scope| scopes[*scope].span.end <= node.start_byte()) {
                open.pop();
            }
            if node.kind() == "identifier" && &text[node.byte_range()] == name {
                let inner = open.last().copied();
                if is_shared(node) {
                    shared.extend(inner);
                } else if binds(node) {
                    // A definition's own name is bound around it, not in it.
                    let own = inner.filter(|scope| is_own_name(node, scopes[*scope].span));
                    let walrus = node.parent().is_some_and(|parent| parent.kind() == "named_expression");
                    let around = match own {
                        Some(_) => open.iter().rev().nth(1).copied(),
                        None if walrus => {
                            open.iter().rev().find(|scope| !scopes[**scope].is_comprehension).copied()
                        }
                        None => inner,
                    };
                    bind_outside.extend(around);
                }
            }
            let kind = node.kind();
            if is_comprehension(node) || matches!(kind, "function_definition" | "class_definition" | "lambda")
            {
                open.push(scopes.len());
                scopes.push(Scope::of(node));
            }
            Walk::On
        });
        bind_outside
            .into_iter()
            .filter(|scope| !shared.contains(scope))
            .for_each(|scope| scopes[scope].binds = true);
        Self(scopes)
    }

    /// Whether a name at a place means what `owner` (a function, or the module) binds.
    fn reaches(&self, at: usize, owner: Option<Span>) -> bool {
        let inner: Vec<&Scope> = self
            .0
            .iter()
            .filter(|scope| scope.holds(at))
            .filter(|scope| owner.is_none_or(|owner| owner.start < scope.span.start))
            .collect();
        let innermost = inner.len().checked_sub(1);
        // A class's names are seen in its own body only, not in its methods.
        !inner
            .iter()
            .enumerate()
            .any(|(index, scope)| scope.binds && (!scope.is_class || Some(index) == innermost))
    }
}

/// Whether an identifier is the name of the definition with this span.
fn is_own_name(node: Node<'_>, scope: Span) -> bool {
    node.parent().is_some_and(|parent| {
        parent.start_byte() == scope.start
            && matches!(parent.kind(), "function_definition" | "class_definition")
            && parent.child_by_field_name("name").is_some_and(|name| name.id() == node.id())
    })
}

/// Whether an identifier stands in a `global` or `nonlocal` statement.
fn is_shared(node: Node<'_>) -> bool {
    node.parent().is_some_and(|parent| matches!(parent.kind(), "global_statement" | "nonlocal_statement"))
}

/// Whether an identifier's place binds it in its scope.
fn binds(node: Node<'_>) -> bool {
    let mut child = node;
    while let Some(parent) = child.parent() {
        let is_field =
            |field: &str| parent.child_by_field_name(field).is_some_and(|inner| inner.id() == child.id());
        match parent.kind() {
            "pattern_list"
            | "tuple_pattern"
            | "list_pattern"
            | "list_splat_pattern"
            | "dictionary_splat_pattern"
            | "as_pattern_target" => {
                if parent.parent().is_some_and(|outer| outer.kind().ends_with("parameters")) {
                    return true;
                }
                if parent.kind() == "as_pattern_target" {
                    return true;
                }
                child = parent;
            }
            "parameters" | "lambda_parameters" => return true,
            "typed_parameter" => return parent.named_child(0).is_some_and(|first| first.id() == child.id()),
            "default_parameter"
            | "typed_default_parameter"
            | "named_expression"
            | "function_definition"
            | "class_definition" => return is_field("name"),
            "aliased_import" => return is_field("alias"),
            "dotted_name" => {
                let outer = parent.parent();
                let imported = outer.filter(|outer| {
                    outer.child_by_field_name("module_name").is_none_or(|module| module.id() != parent.id())
                });
                return imported.is_some_and(|outer| {
                    matches!(outer.kind(), "import_statement" | "import_from_statement" | "case_pattern")
                        && parent.named_child(0).is_some_and(|first| first.id() == child.id())
                });
            }
            "assignment" | "augmented_assignment" | "for_statement" | "for_in_clause" => {
                return is_field("left");
            }
            _ => return false,
        }
    }
    false
}

/// Identifiers of this name, with the node that says how they are used.
fn identifiers<'a>(root: Node<'a>, name: &str, text: &str) -> Vec<Node<'a>> {
    let mut found = Vec::new();
    syntax::walk(root, |node, _| {
        if node.kind() == "identifier" && &text[node.byte_range()] == name {
            found.push(node);
        }
        Walk::On
    });
    found
}

fn span_of(node: Node<'_>) -> Span {
    Span::new(node.start_byte(), node.end_byte())
}

/// The object of `object.name`, if the identifier is such a name.
fn object_of<'a>(node: Node<'a>) -> Option<Node<'a>> {
    let parent = node.parent().filter(|parent| parent.kind() == "attribute")?;
    let is_attribute = parent.child_by_field_name("attribute").is_some_and(|inner| inner.id() == node.id());
    if is_attribute { parent.child_by_field_name("object") } else { None }
}

/// Whether an identifier is a keyword of a call, whose meaning is the callee's.
fn is_keyword(node: Node<'_>) -> bool {
    let parent = node.parent().filter(|parent| parent.kind() == "keyword_argument");
    parent.and_then(|parent| parent.child_by_field_name("name")).is_some_and(|name| name.id() == node.id())
}

/// Whether an identifier is what an import takes from another module, whose name there is not ours.
fn is_foreign(node: Node<'_>) -> bool {
    node.parent().is_some_and(|parent| parent.kind() == "dotted_name")
}

/// Uses of a name of a module or function.
fn in_scope(
    owner: Option<Span>,
    symbol: &Symbol,
    root: Node<'_>,
    scopes: &Scopes,
    source: &Source,
) -> Vec<Span> {
    let within = |node: &Node<'_>| owner.is_none_or(|owner| owner.holds(span_of(*node)));
    let used = identifiers(root, &symbol.name, &source.text).into_iter().filter(within);
    let used = used.filter(|node| object_of(*node).is_none() && !is_keyword(*node) && !is_foreign(*node));
    let mut places: Vec<Span> =
        used.filter(|node| scopes.reaches(node.start_byte(), owner)).map(span_of).collect();
    if owner.is_none() {
        places.extend(exported(&symbol.name, root, &source.text));
    }
    places
}

/// The entries of `__all__` that hold this name.
fn exported(name: &str, root: Node<'_>, text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    syntax::walk(root, |node, _| {
        let is_list = matches!(node.kind(), "assignment" | "augmented_assignment")
            && node.child_by_field_name("left").is_some_and(|left| &text[left.byte_range()] == "__all__");
        if is_list {
            syntax::walk(node, |inner, _| {
                if inner.kind() == "string_content" && &text[inner.byte_range()] == name {
                    found.push(span_of(inner));
                }
                Walk::On
            });
        }
        if node.kind().ends_with("_definition") { Walk::Skip } else { Walk::On }
    });
    found
}

/// Uses of a name of a class.
fn in_class(class: &Symbol, symbol: &Symbol, root: Node<'_>, scopes: &Scopes, source: &Source) -> Vec<Span> {
    let text = &source.text;
    let inside = |node: Node<'_>| class.span.holds(span_of(node));
    let means_class = |object: Node<'_>| match &text[object.byte_range()] {
        "self" | "cls" | "super()" => inside(object),
        other => other == class.name || other == class.path,
    };
    let is_use = |node: &Node<'_>| match object_of(*node) {
        Some(object) => means_class(object),
        None => {
            let body = class.body.is_some_and(|body| body.holds(span_of(*node)));
            let at = node.start_byte();
            let innermost = scopes.0.iter().rfind(|scope| scope.holds(at));
            let in_body =
                innermost.is_some_and(|scope| scope.is_class && scope.span.start == class.definition.start);
            // Decorators stand in the class's body, before the function that they decorate.
            body && in_body && !is_keyword(*node) && !is_foreign(*node)
        }
    };
    identifiers(root, &symbol.name, text).into_iter().filter(is_use).map(span_of).collect()
}
