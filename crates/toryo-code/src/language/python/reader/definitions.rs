//! Functions and classes.

use super::Reader;
use super::tokens::Kind;
use crate::outline::{Body, Definition, SymbolKind};
use crate::text::Span;

impl Reader<'_> {
    /// A definition with its decorators, or an asynchronous statement.
    pub(super) fn decorated(&mut self) -> Option<()> {
        let (outer, indentation) = (self.tokens.token.start, self.tokens.indentation);
        while self.eat(Kind::At)? {
            self.named()?;
            self.expect(Kind::Newline)?;
            if self.tokens.indentation != indentation || self.tokens.has_outer_comment() {
                return None;
            }
        }
        let start = self.tokens.token.start;
        if start > outer {
            self.found.outer_starts.insert(start, outer);
        }
        let is_async = self.eat(Kind::Async)?;
        match self.kind() {
            Kind::Def => self.function(start),
            Kind::Class if !is_async => self.class(start),
            Kind::For if start == outer => self.for_loop(),
            Kind::With if start == outer => self.with_statement(),
            _ => None,
        }
    }

    /// The name of a definition, which is no use.
    pub(super) fn name(&mut self) -> Option<Span> {
        let span = self.tokens.span();
        self.expect(Kind::Name)?;
        Some(span)
    }

    fn function(&mut self, start: usize) -> Option<()> {
        self.bump()?;
        let name = self.name()?;
        self.parameters()?;
        if self.eat(Kind::Arrow)? {
            self.annotation()?;
        }
        self.definition(SymbolKind::Function, start, name)
    }

    fn class(&mut self, start: usize) -> Option<()> {
        self.bump()?;
        let name = self.name()?;
        if self.kind() == Kind::Open {
            self.bump()?;
            while self.kind() != Kind::Close {
                self.argument()?;
                if !self.eat(Kind::Comma)? {
                    break;
                }
            }
            self.expect(Kind::Close)?;
        }
        self.definition(SymbolKind::Class, start, name)
    }

    /// A definition whose header was read up to its colon.
    fn definition(&mut self, kind: SymbolKind, start: usize, name: Span) -> Option<()> {
        let at = self.found.definitions.len();
        let span = Span::new(start, start);
        let header_end = Some(self.tokens.token.end);
        self.found.definitions.push(Definition {
            kind,
            start,
            end: start,
            inner: start,
            code: start,
            name,
            owner: None,
            block: None,
            body: Some(Body { span, braces: None, header_end }),
            doc: None,
        });
        let outside = std::mem::replace(&mut self.in_function, kind == SymbolKind::Function);
        let suite = self.suite()?;
        self.in_function = outside;
        let code = self.code_end;
        let definition = &mut self.found.definitions[at];
        definition.end = code;
        definition.code = code;
        definition.doc = suite.doc;
        if let Some(body) = &mut definition.body {
            body.span = Span::new(suite.start, code);
        }
        Some(())
    }

    /// The parameters of a function, whose names are no uses.
    fn parameters(&mut self) -> Option<()> {
        self.expect(Kind::Open)?;
        while self.kind() != Kind::Close {
            match self.kind() {
                Kind::Slash => self.bump()?,
                Kind::Star => {
                    self.bump()?;
                    if self.kind() != Kind::Comma {
                        self.parameter()?;
                    }
                }
                Kind::DoubleStar => {
                    self.bump()?;
                    self.parameter()?;
                }
                _ => {
                    self.parameter()?;
                    if self.eat(Kind::Assign)? {
                        self.expression()?;
                    }
                }
            }
            if !self.eat(Kind::Comma)? {
                break;
            }
        }
        self.expect(Kind::Close)
    }

    fn parameter(&mut self) -> Option<()> {
        self.expect(Kind::Name)?;
        if self.eat(Kind::Colon)? {
            self.annotation()?;
        }
        Some(())
    }
}
