//! The table of languages. A language is a row here, a file of queries in `language/` and, for what data cannot
//! say, a file of functions beside it.
//!
//! Queries name what they find by capture: `@class`, `@function`, `@module`, `@variable` for a whole definition
//! with `@name` and, if it has one, `@body`; of several patterns for one name the first one counts. `@owner` is
//! the type that a definition belongs to from outside, such as a receiver, or whose members a block holds.
//! `@outer` stands around `@inner` where something belongs to a definition from outside, such as `export`;
//! `@attached` is what belongs to the definition below it: decorators, attributes, comments of documentation.
//! `@import` is an import; `@reference` a name that may be a use and `@ignored` one that is none; `@closed` is what
//! no definition stands below, so that a search for definitions alone need not look there.

mod ecmascript;
mod go;
mod java;
mod python;
mod rust;

use crate::apply::{Miss, Source, Splice, Statements};
use crate::outline::{Import, Reading, Rules, Symbol};
use crate::syntax::Fault;
use std::sync::OnceLock;
use toryo_domain::RepoPath;
use tree_sitter::Node;

/// What the crate knows of one language.
pub(crate) struct Language {
    /// Its name, as people write it.
    pub(crate) name: &'static str,
    /// Extensions of its files, without the dot.
    extensions: &'static [&'static str],
    /// Its grammar.
    grammar: fn() -> tree_sitter::Language,
    /// The texts of its queries; several where languages share some.
    queries: &'static [&'static str],
    /// The compiled queries, made at first use.
    compiled: OnceLock<Option<Rules>>,
    /// What holds a body together.
    pub(crate) layout: Layout,
    /// One level of indentation, in files that show no custom of their own.
    pub(crate) indentation: &'static str,
    /// Kinds of nodes that are comments.
    pub(crate) comments: &'static [&'static str],
    /// What a comment to the end of the line starts with.
    pub(crate) line_comment: &'static str,
    /// Kinds of nodes whose inside is content, white space included.
    pub(crate) strings: &'static [&'static str],
    /// The kinds of nodes that hold the statements or members of a body.
    pub(crate) blocks: &'static [&'static str],
    /// What the end of a function's body is worth: given the node of the function.
    pub(crate) tail: fn(Node<'_>) -> Tail,
    /// Kinds of statements that stay the first of their body.
    pub(crate) leading: &'static [&'static str],
    /// Where documentation stands.
    pub(crate) doc: Doc,
    /// Kinds of nodes that decorate a definition: decorators, annotations, attributes.
    pub(crate) decorators: &'static [&'static str],
    /// Kinds of nodes at a definition's start that hold decorators among other words.
    pub(crate) modifiers: &'static [&'static str],
    /// What stands before and after the text of a decorator; `None` where the language has none.
    pub(crate) decorator: Option<(&'static str, &'static str)>,
    /// Characters that end a definition from outside its node.
    pub(crate) terminators: &'static [char],
    /// How texts start that define a class or function.
    pub(crate) definition_starts: &'static [&'static str],
    /// Blank lines between definitions of a file that shows no custom of its own.
    pub(crate) gap: usize,
    /// Words that are no names, between spaces.
    pub(crate) keywords: &'static str,
    /// Adds the imports that a node declares, if it is an import.
    pub(crate) imports: fn(Node<'_>, &str, &mut Vec<Import>),
    /// The splices that add import statements and double none.
    pub(crate) add_imports: fn(&str, &Source) -> Result<Vec<Splice>, Miss>,
    /// Whether a field and a method of one name are two things. The method then has the plain path.
    pub(crate) fields_apart: bool,
    /// The names to replace where a symbol is renamed, in any order: all its equals and all uses in the file
    /// that certainly mean it.
    pub(crate) names_of: fn(&Symbol, &Source) -> Result<Vec<crate::text::Span>, Miss>,
    /// The encoding that a content declares, if it does.
    pub(crate) declared_encoding: fn(&[u8]) -> Option<String>,
    /// The outline without a tree, where that is certain.
    pub(crate) read: fn(&str) -> Option<Reading>,
    /// What the parser should read instead of the text; of the same length in bytes.
    pub(crate) prepare: fn(&str) -> Option<String>,
    /// Faults of a parsed text that the grammar lets pass, as byte offsets with a word for each.
    pub(crate) faults: fn(Node<'_>, &str) -> Vec<Fault>,
    /// How statements are told apart without a parser, where they can be.
    pub(crate) statements: Option<Statements>,
}

/// What holds a body together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A header's last character and lines deeper than it; `filler` is a statement that does nothing, for a body
    /// that would be empty.
    Indented { filler: &'static str },
    /// Braces.
    Braces,
}

/// What stands at the end of a function's body, below which statements may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// A statement, or nothing.
    Statement,
    /// An expression without a value, which ends here and needs a `;` to be a statement.
    Open(usize),
    /// The value of the function: nothing can follow it.
    Value,
}

/// Where documentation stands.
#[derive(Clone, Copy)]
pub(crate) enum Doc {
    /// In the body.
    Inside {
        /// The node of a body that documents its owner.
        node: fn(Node<'_>) -> Option<Node<'_>>,
        /// The first line of such a node's text.
        first_line: fn(&str) -> Option<String>,
    },
    /// In comments directly above the definition.
    Above {
        /// How such comments start. One more of the last character makes another comment, such as `////`.
        starts: &'static [&'static str],
        /// What new documentation is written as.
        form: CommentForm,
    },
}

/// How a comment of documentation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommentForm {
    /// Each line behind this.
    Lines(&'static str),
    /// `/** one line */`, or several behind ` * `.
    Block,
}

/// How imports are written where each is a statement of its own.
pub(crate) struct Imports {
    /// Kinds of statements that import.
    pub(crate) kinds: &'static [&'static str],
    /// The kind of their parts, where one statement may import several modules.
    pub(crate) part: Option<&'static str>,
    /// What a statement starts with.
    pub(crate) keyword: &'static str,
    /// What a statement ends with, where it has to.
    pub(crate) end: &'static str,
    /// Kinds of nodes that stand before the first import.
    pub(crate) head: &'static [&'static str],
    /// What a statement or part imports.
    pub(crate) read: fn(Node<'_>, &str) -> Vec<Imported>,
    /// A statement that imports these names of one module; `None` where the asked one has to stay whole.
    pub(crate) write: fn(&[Imported]) -> Option<String>,
    /// The list of names of a statement to which these may be added.
    pub(crate) list: for<'a> fn(Node<'a>, &str, &[Imported]) -> Option<Node<'a>>,
    /// Which group of imports a module belongs to, in their usual order.
    pub(crate) group: fn(&str) -> u8,
}

/// Where names are bound, and behind what they are members: enough to rename a definition within its file.
pub(crate) struct Scoping {
    /// Kinds of nodes that are names.
    pub(crate) names: &'static [&'static str],
    /// Kinds of names that only members have.
    pub(crate) member_names: &'static [&'static str],
    /// Kinds of names that stand for a key and its value at once.
    pub(crate) shorthands: &'static [&'static str],
    /// Kinds of nodes inside which names may be bound.
    pub(crate) scopes: &'static [&'static str],
    /// Kinds of nodes and their fields that bind; an empty field for any child.
    pub(crate) bindings: &'static [(&'static str, &'static str)],
    /// Kinds of patterns between a name and what binds it.
    pub(crate) patterns: &'static [&'static str],
    /// Kinds of nodes `object.member`, with the fields of the object and of the member.
    pub(crate) members: &'static [(&'static str, &'static str, &'static str)],
    /// Kinds of nodes whose names mean functions, where functions have names of their own apart from values.
    pub(crate) calls: &'static [&'static str],
    /// Kinds of nodes and their fields that hold a name of something else.
    pub(crate) keys: &'static [(&'static str, &'static str)],
    /// Whether a name is a key by more than its parent.
    pub(crate) is_key: fn(Node<'_>) -> bool,
    /// What stands for the own object or type inside of it.
    pub(crate) own: &'static [&'static str],
    /// What stands for the own module.
    pub(crate) here: &'static [&'static str],
    /// The receiver's name in the method around a node, where methods name it themselves.
    pub(crate) receiver: fn(Node<'_>, &str) -> Option<String>,
    /// Whether members are used without an object inside their type.
    pub(crate) bare_members: bool,
}

/// One thing that a file imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Imported {
    /// The module.
    pub(crate) module: String,
    /// The name and, where it has another one here, that: as it stands in a list of names. Empty for the module.
    pub(crate) name: String,
    /// Whether it counts for types only, so that an import of the value is as good.
    pub(crate) for_types: bool,
}

impl Imported {
    /// Whether nothing is missing where this is present.
    pub(crate) fn covers(&self, asked: &Self) -> bool {
        let same = self.module == asked.module && self.name == asked.name;
        same && (asked.for_types || !self.for_types)
    }
}

/// Every language, in the order in which they are asked.
static LANGUAGES: [&Language; 7] = [
    &python::PYTHON,
    &ecmascript::JAVASCRIPT,
    &ecmascript::TYPESCRIPT,
    &ecmascript::TSX,
    &rust::RUST,
    &go::GO,
    &java::JAVA,
];

/// The language of a file, by its extension.
pub(crate) fn of(path: &RepoPath) -> Option<&'static Language> {
    let extension = path.extension()?;
    LANGUAGES.into_iter().find(|language| language.extensions.contains(&extension))
}

/// The name of the language whose syntax is understood in this file, or `None` for plain text.
#[must_use]
pub fn language_name(path: &RepoPath) -> Option<&'static str> {
    of(path).map(|language| language.name)
}

impl Language {
    /// The grammar for the parser.
    pub(crate) fn grammar(&self) -> tree_sitter::Language {
        (self.grammar)()
    }

    /// The compiled queries. `None` would be a fault of the query file, which a test rules out.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        let compile = || Rules::of(&self.grammar(), &self.query_text());
        self.compiled.get_or_init(compile).as_ref()
    }

    /// The text of its queries.
    pub(crate) fn query_text(&self) -> String {
        self.queries.concat()
    }

    /// The node of a body that documents its owner, where documentation stands in bodies.
    pub(crate) fn inner_doc<'a>(&self, body: Node<'a>) -> Option<Node<'a>> {
        match self.doc {
            Doc::Inside { node, .. } => node(body),
            Doc::Above { .. } => None,
        }
    }

    /// Whether a line without its indentation is a comment, or one of the inner lines of a block of comment.
    pub(crate) fn is_comment(&self, line: &str) -> bool {
        let in_block =
            |line: &str| line == "*" || ["/*", "* ", "*/"].iter().any(|mark| line.starts_with(mark));
        line.starts_with(self.line_comment) || self.layout == Layout::Braces && in_block(line.trim_end())
    }

    /// Whether a text's last line of code opens a body.
    pub(crate) fn opens(&self, text: &str) -> bool {
        match self.layout {
            Layout::Indented { .. } => text.ends_with(':'),
            Layout::Braces => text.ends_with(['{', '(', '[']),
        }
    }
}

/// A name's parent says whether it is a key.
const fn no_key(_: Node<'_>) -> bool {
    false
}

/// Methods do not name their receivers.
const fn no_receiver(_: Node<'_>, _: &str) -> Option<String> {
    None
}

/// No encoding is declared: for languages whose files are UTF-8.
const fn no_encoding(_: &[u8]) -> Option<String> {
    None
}

/// The parser reads the text itself.
const fn no_preparation(_: &str) -> Option<String> {
    None
}

/// Outlines come from the tree.
const fn no_reader(_: &str) -> Option<Reading> {
    None
}

/// Bodies end with statements.
const fn no_tail(_: Node<'_>) -> Tail {
    Tail::Statement
}

/// The grammar refuses what the language refuses.
const fn no_faults(_: Node<'_>, _: &str) -> Vec<Fault> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree_sitter::Query;

    #[test]
    fn every_query_file_compiles_and_uses_known_captures() {
        for language in LANGUAGES {
            let query =
                Query::new(&language.grammar(), &language.query_text()).map_err(|error| error.to_string());
            let query = query.unwrap_or_else(|error| panic!("{}: {error}", language.name));
            for name in query.capture_names() {
                let known = "class function module variable name body owner outer inner attached import reference ignored closed";
                assert!(
                    name.starts_with('_') || known.split(' ').any(|known| known == *name),
                    "{}: @{name}",
                    language.name
                );
            }
        }
    }
}
