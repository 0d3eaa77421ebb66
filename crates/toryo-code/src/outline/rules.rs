//! A language's file of queries, made ready for one walk over a tree.
//!
//! Tree-sitter's own matching keeps every pattern in play at every node, and most nodes are names. So patterns that
//! are a chain of parents, as those of uses are, become a table by the kind of node; the others are tried only at
//! nodes that their outermost kind may be. What cannot be made ready so is left to tree-sitter: slower, never
//! different.

use tree_sitter::{Language as Grammar, Query};

/// What the patterns of a language say, by kinds of nodes.
pub(crate) struct Rules {
    /// The patterns that are no chains.
    pub(super) query: Query,
    /// What each capture of the query means.
    pub(super) roles: Vec<Role>,
    /// What is known of each kind of node, by its number.
    kinds: Vec<Kind>,
    /// Whether a pattern may start at any node, so that the query must look at all of them.
    pub(super) everywhere: bool,
}

/// What a captured node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Class,
    Function,
    Module,
    Variable,
    Name,
    Body,
    Owner,
    Outer,
    Inner,
    Attached,
    Import,
    Reference,
    Ignored,
    Nothing,
}

/// What is known of one kind of node.
#[derive(Debug, Clone, Default)]
pub(super) struct Kind {
    /// Which patterns of the query start here.
    pub(super) root: Root,
    /// The chains that end here.
    pub(super) chains: Vec<Chain>,
    /// Whether no definition stands below it.
    pub(super) closed: bool,
    /// Whether it is a word or sign of the language, below which nothing is named.
    pub(super) token: bool,
    /// Whether a chain asks in which field of its parent such a node stands.
    pub(super) asks_field: bool,
}

/// Which patterns of the query start at a kind of node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Root {
    #[default]
    None,
    /// Only ones of variables, which count nowhere inside functions.
    Variables,
    Any,
}

/// A node with its parents: `(parent (kind) @ignored)`.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    /// Whether it makes the node a use, or none.
    pub(super) is_use: bool,
    /// In which field the node stands, if that matters.
    field: Option<u16>,
    /// The parents, the nearest first.
    parents: Vec<Step>,
}

/// A kind of node and the field in which it stands; `None` means any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    kind: Option<u16>,
    field: Option<u16>,
}

/// A node on the way from the root: its kind and field.
pub(super) type Ancestor = (u16, Option<u16>);

impl Chain {
    /// Whether this node and those above it are as the pattern says.
    pub(super) fn fits(&self, field: Option<u16>, above: &[Ancestor]) -> bool {
        let is = |(step, (kind, field)): (&Step, &Ancestor)| {
            step.kind.is_none_or(|wanted| wanted == *kind) && (step.field.is_none() || step.field == *field)
        };
        (self.field.is_none() || self.field == field)
            && self.parents.len() <= above.len()
            && self.parents.iter().zip(above.iter().rev()).all(is)
    }
}

impl Rules {
    /// Makes queries ready. `None` if they do not compile.
    pub(crate) fn of(grammar: &Grammar, queries: &str) -> Option<Self> {
        Self::compiled(grammar, queries, true)
    }

    /// The same with everything left to tree-sitter, to compare with.
    #[cfg(test)]
    pub(super) fn plain(grammar: &Grammar, queries: &str) -> Option<Self> {
        Self::compiled(grammar, queries, false)
    }

    fn compiled(grammar: &Grammar, queries: &str, ready: bool) -> Option<Self> {
        let mut query = Query::new(grammar, queries).ok()?;
        let roles = query.capture_names().iter().map(|name| Role::of(name)).collect();
        let numbers = 0..u16::try_from(grammar.node_kind_count()).ok()?;
        let kind = |number| Kind { token: ready && !grammar.node_kind_is_named(number), ..Kind::default() };
        let kinds = numbers.map(kind).collect();
        let mut rules = Self { query: Query::new(grammar, "").ok()?, roles, kinds, everywhere: !ready };
        for pattern in 0..if ready { query.pattern_count() } else { 0 } {
            let text =
                queries.get(query.start_byte_for_pattern(pattern)..query.end_byte_for_pattern(pattern))?;
            let words = words(text);
            if let ["(", kind, ")", "@closed"] = words.as_slice() {
                rules.kinds[usize::from(number_of(kind, grammar)?)].closed = true;
                query.disable_pattern(pattern);
                continue;
            }
            match chain(&words, grammar) {
                Some((leaf, chain)) => {
                    rules.add(leaf, chain);
                    query.disable_pattern(pattern);
                }
                None if !query.is_pattern_rooted(pattern) => rules.everywhere = true,
                None => {
                    // Inside functions a variable's name still is no use, though the pattern is not tried there.
                    let name = variable(&words, grammar);
                    let root = if name.is_some() { Root::Variables } else { Root::Any };
                    name.into_iter().for_each(|(leaf, chain)| rules.add(leaf, chain));
                    rules.everywhere |= rules.add_roots(&words, root, grammar).is_none();
                }
            }
        }
        rules.query = query;
        Some(rules)
    }

    /// What is known of a kind. Errors have a number beyond all others.
    pub(super) fn kind(&self, number: u16) -> Option<&Kind> {
        self.kinds.get(usize::from(number))
    }

    fn add(&mut self, leaf: u16, chain: Chain) {
        let fields = chain.parents.iter().filter(|step| step.field.is_some()).filter_map(|step| step.kind);
        for asked in fields.chain(chain.field.is_some().then_some(leaf)) {
            self.kinds[usize::from(asked)].asks_field = true;
        }
        self.kinds[usize::from(leaf)].chains.push(chain);
    }

    /// Notes at which kinds a pattern may start; `None` if that is not known.
    fn add_roots(&mut self, words: &[&str], root: Root, grammar: &Grammar) -> Option<()> {
        let kinds = match words {
            ["(", kind, ..] => vec![*kind],
            ["[", ..] => {
                let mut depth = 0;
                let mut kinds = Vec::new();
                for pair in words.windows(2) {
                    depth += usize::from(matches!(pair[0], "(" | "["));
                    if pair[0] == "(" && depth == 2 {
                        kinds.push(pair[1]);
                    }
                    depth -= usize::from(matches!(pair[0], ")" | "]"));
                    if depth == 0 {
                        break;
                    }
                }
                kinds
            }
            _ => return None,
        };
        for kind in kinds {
            let number = number_of(kind, grammar)?;
            let known = &mut self.kinds[usize::from(number)];
            known.root = known.root.max(root);
        }
        Some(())
    }
}

impl Role {
    fn of(capture: &str) -> Self {
        match capture {
            "class" => Self::Class,
            "function" => Self::Function,
            "module" => Self::Module,
            "variable" => Self::Variable,
            "name" => Self::Name,
            "body" => Self::Body,
            "owner" => Self::Owner,
            "outer" => Self::Outer,
            "inner" => Self::Inner,
            "attached" => Self::Attached,
            "import" => Self::Import,
            "reference" => Self::Reference,
            "ignored" => Self::Ignored,
            _ => Self::Nothing,
        }
    }
}

/// The words and brackets of a query.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for line in text.lines() {
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with(';') {
            let end = if let Some(inside) = rest.strip_prefix('"') {
                inside.find('"').map_or(rest.len(), |at| at + 2)
            } else {
                rest.find(|c: char| c.is_whitespace() || "()[]\"".contains(c)).unwrap_or(rest.len()).max(1)
            };
            words.push(&rest[..end]);
            rest = rest[end..].trim_start();
        }
    }
    words
}

/// A pattern of uses as a chain with the kind of its last node, if it is nothing but nodes in each other.
fn chain(words: &[&str], grammar: &Grammar) -> Option<(u16, Chain)> {
    let (leaf, role, chain) = nested(words, grammar)?;
    match role {
        Role::Reference => Some((leaf, Chain { is_use: true, ..chain })),
        Role::Ignored => Some((leaf, chain)),
        _ => None,
    }
}

/// A pattern of a variable as the chain down to its name.
fn variable(words: &[&str], grammar: &Grammar) -> Option<(u16, Chain)> {
    let [inner @ .., "@variable"] = words else { return None };
    let (leaf, role, chain) = nested(inner, grammar)?;
    (role == Role::Name).then_some((leaf, chain))
}

/// Nodes in each other, with a capture of the last one: its kind, what the capture means, and the chain.
fn nested(words: &[&str], grammar: &Grammar) -> Option<(u16, Role, Chain)> {
    let (steps, captures) =
        words.split_at(words.iter().position(|word| *word == ")" || word.starts_with('@'))?);
    // `(a (b) @x)`: the capture stands behind the last node's bracket, then the other brackets.
    let [")", capture, closing @ ..] = captures else { return None };
    let role = Role::of(capture.strip_prefix('@')?);
    let mut parents = Vec::new();
    let mut rest = steps;
    while !rest.is_empty() {
        let (field, after) = match rest {
            [field, after @ ..] if field.ends_with(':') => (Some(field.trim_end_matches(':')), after),
            after => (None, after),
        };
        let ["(", kind, after @ ..] = after else { return None };
        let kind = if *kind == "_" { None } else { Some(number_of(kind, grammar)?) };
        let field = match field {
            Some(field) => Some(grammar.field_id_for_name(field)?.get()),
            None => None,
        };
        parents.push(Step { kind, field });
        rest = after;
    }
    let leaf = parents.pop()?;
    // A field is asked of nodes of known kinds only, and a use has one.
    let asks_any = parents.iter().any(|step| step.kind.is_none() && step.field.is_some());
    if asks_any || closing.len() != parents.len() || closing.iter().any(|word| *word != ")") {
        return None;
    }
    parents.reverse();
    Some((leaf.kind?, role, Chain { is_use: false, field: leaf.field, parents }))
}

/// The number of a kind of named nodes that stands for itself alone.
fn number_of(kind: &str, grammar: &Grammar) -> Option<u16> {
    let number = grammar.id_for_node_kind(kind, true);
    let is_known = number != 0 && usize::from(number) < grammar.node_kind_count();
    (is_known && !grammar.node_kind_is_supertype(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(queries: &str) -> Rules {
        Rules::of(&tree_sitter_python::LANGUAGE.into(), queries).expect("queries that compile")
    }

    #[test]
    fn chains_of_uses_leave_the_query_and_other_patterns_start_at_known_kinds() {
        let grammar: Grammar = tree_sitter_python::LANGUAGE.into();
        let rules = rules(
            "(identifier) @reference ; all\n(assignment left: (identifier) @ignored)\n\
             (class_definition name: (_) @name body: (_) @body) @class\n(expression_statement (assignment left: (identifier) @name)) @variable\n",
        );
        let kind = |name: &str| rules.kind(grammar.id_for_node_kind(name, true)).expect("a kind");
        assert_eq!(kind("identifier").chains.len(), 3);
        assert!(kind("identifier").asks_field && !kind("assignment").asks_field);
        assert_eq!(kind("class_definition").root, Root::Any);
        assert_eq!(kind("expression_statement").root, Root::Variables);
        assert!(!rules.everywhere);
    }

    #[test]
    fn what_is_no_chain_of_uses_stays_with_the_query() {
        let grammar: Grammar = tree_sitter_python::LANGUAGE.into();
        for (pattern, everywhere) in [
            ("(call . (identifier) @ignored)", false),
            ("((identifier) @reference (#eq? @reference \"a\"))", true),
            ("[(identifier) (attribute)] @reference", false),
            ("(_ (identifier) @name) @variable", true),
            ("\"def\" @ignored", true),
            ("(module (_) @ignored)", false),
        ] {
            let rules = rules(pattern);
            assert!(rules.kinds.iter().all(|kind| kind.chains.is_empty()), "{pattern}");
            assert_eq!(rules.everywhere, everywhere, "{pattern}");
            let number = usize::from(grammar.id_for_node_kind("module", true));
            assert_eq!(rules.kinds[number].root == Root::Any, pattern.starts_with("(module"), "{pattern}");
        }
    }
}
