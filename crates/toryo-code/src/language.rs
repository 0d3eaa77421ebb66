//! The table of languages. A language is one file here and one file of queries beside it.
//!
//! Queries name what they find by capture: `@class`, `@function`, `@variable` for a whole definition with
//! `@name` and, if it has one, `@body`; `@outer` around `@inner` where something belongs to a definition from
//! outside, such as decorators; `@import` for an import; `@reference` for a name that may be a use and
//! `@ignored` for one that is none. What queries cannot say is a function.

mod python;

use crate::outline::Import;
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
    /// The text of its queries.
    queries: &'static str,
    /// The compiled queries, made at first use.
    compiled: OnceLock<Option<Query>>,
    /// Kinds of nodes that are comments.
    pub(crate) comments: &'static [&'static str],
    /// Kinds of nodes whose inside is content, white space included.
    pub(crate) strings: &'static [&'static str],
    /// The kind of nodes that hold the statements of a body.
    pub(crate) block: &'static str,
    /// A statement that does nothing, for a body that would be empty.
    pub(crate) filler: &'static str,
    /// The encoding that a content declares, if it does.
    pub(crate) declared_encoding: fn(&[u8]) -> Option<String>,
    /// The node of a body that documents its owner.
    pub(crate) doc: fn(Node<'_>) -> Option<Node<'_>>,
    /// The first line of such a node's text.
    pub(crate) doc_line: fn(&str) -> Option<String>,
    /// Adds the imports that a node declares, if it is an import.
    pub(crate) imports: fn(Node<'_>, &str, &mut Vec<Import>),
    /// What the parser should read instead of the text; of the same length in bytes.
    pub(crate) prepare: fn(&str) -> Option<String>,
    /// Faults of a parsed text that the grammar lets pass, as byte offsets with a word for each.
    pub(crate) faults: fn(Node<'_>, &str) -> Vec<Fault>,
}

/// Every language, in the order in which they are asked.
static LANGUAGES: [&Language; 1] = [&python::PYTHON];

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
        self.compiled.get_or_init(|| Query::new(&self.grammar(), self.queries).ok()).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_file_compiles_and_uses_known_captures() {
        for language in LANGUAGES {
            let query = Query::new(&language.grammar(), language.queries).map_err(|error| error.to_string());
            let query = query.unwrap_or_else(|error| panic!("{}: {error}", language.name));
            for name in query.capture_names() {
                let known = "class function variable name body outer inner import reference ignored";
                assert!(known.split(' ').any(|known| known == *name), "{}: @{name}", language.name);
            }
        }
    }
}
