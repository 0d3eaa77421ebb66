//! The table of languages. A language is a row here, a file of queries in `language/` and, for what data cannot
//! say, a file of functions beside it.
//!
//! Queries name what they find by capture: `@class`, `@function`, `@module`, `@variable` for a whole definition
//! with `@name` and, if it has one, `@body`; of several patterns for one name the first one counts. `@owner` is
//! the type that a definition belongs to from outside, such as a receiver, or whose members a block holds.
//! `@outer` stands around `@inner` where something belongs to a definition from outside, such as `export`;
//! `@attached` is what belongs to the definition below it: decorators, attributes, comments of documentation.
//! `@import` is an import; `@reference` a name that may be a use and `@ignored` one that is none.

mod ecmascript;
mod go;
mod java;
mod python;
mod rust;

use crate::apply::{Miss, Source, Splice};
use crate::outline::{Import, Symbol};
use crate::syntax::Fault;
use std::sync::OnceLock;
use toryo_domain::RepoPath;
use tree_sitter::{Node, Query};

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
    compiled: OnceLock<Option<Query>>,
    /// What holds a body together.
    pub(crate) layout: Layout,
    /// Kinds of nodes that are comments.
    pub(crate) comments: &'static [&'static str],
    /// What a comment to the end of the line starts with.
    pub(crate) line_comment: &'static str,
    /// Kinds of nodes whose inside is content, white space included.
    pub(crate) strings: &'static [&'static str],
    /// The kinds of nodes that hold the statements or members of a body.
    pub(crate) blocks: &'static [&'static str],
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
    /// The names to replace where a symbol is renamed, in any order: all its equals and all uses in the file
    /// that certainly mean it.
    pub(crate) names_of: fn(&Symbol, &Source) -> Result<Vec<crate::text::Span>, Miss>,
    /// The encoding that a content declares, if it does.
    pub(crate) declared_encoding: fn(&[u8]) -> Option<String>,
    /// What the parser should read instead of the text; of the same length in bytes.
    pub(crate) prepare: fn(&str) -> Option<String>,
    /// Faults of a parsed text that the grammar lets pass, as byte offsets with a word for each.
    pub(crate) faults: fn(Node<'_>, &str) -> Vec<Fault>,
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
    pub(crate) fn query(&self) -> Option<&Query> {
        let compile = || Query::new(&self.grammar(), &self.queries.concat()).ok();
        self.compiled.get_or_init(compile).as_ref()
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
        line.starts_with(self.line_comment)
            || self.layout == Layout::Braces
                && ["/*", "* ", "*/", "*\n"].iter().any(|mark| line.starts_with(mark))
    }

    /// Whether a text's last line of code opens a body.
    pub(crate) fn opens(&self, text: &str) -> bool {
        match self.layout {
            Layout::Indented { .. } => text.ends_with(':'),
            Layout::Braces => text.ends_with(['{', '(', '[']),
        }
    }
}

/// No name is certain to mean a symbol.
fn no_names(_: &Symbol, _: &Source) -> Result<Vec<crate::text::Span>, Miss> {
    Err(crate::refusal::Refusal::Unfit("names of this kind of file are not renamed".to_owned()).into())
}

/// No encoding is declared: for languages whose files are UTF-8.
const fn no_encoding(_: &[u8]) -> Option<String> {
    None
}

/// The parser reads the text itself.
const fn no_preparation(_: &str) -> Option<String> {
    None
}

/// The grammar refuses what the language refuses.
const fn no_faults(_: Node<'_>, _: &str) -> Vec<Fault> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_file_compiles_and_uses_known_captures() {
        for language in LANGUAGES {
            let query = Query::new(&language.grammar(), &language.queries.concat())
                .map_err(|error| error.to_string());
            let query = query.unwrap_or_else(|error| panic!("{}: {error}", language.name));
            for name in query.capture_names() {
                let known = "class function module variable name body owner outer inner attached import reference ignored";
                assert!(
                    name.starts_with('_') || known.split(' ').any(|known| known == *name),
                    "{}: @{name}",
                    language.name
                );
            }
        }
    }
}
