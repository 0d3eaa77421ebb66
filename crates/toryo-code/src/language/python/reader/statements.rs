//! Statements and the blocks around them.

use super::Reader;
use super::expressions::Shape;
use super::tokens::Kind;
use crate::text::Span;

/// A suite, and what documents its owner.
pub(super) struct Suite {
    pub(super) start: usize,
    pub(super) doc: Option<Span>,
}

impl Reader<'_> {
    /// All statements of the text.
    pub(super) fn module(&mut self) -> Option<()> {
        while self.kind() != Kind::End {
            if self.tokens.indentation != 0 {
                return None;
            }
            self.statement()?;
        }
        Some(())
    }

    fn statement(&mut self) -> Option<Option<Span>> {
        match self.kind() {
            Kind::If | Kind::While => self.conditional()?,
            Kind::For => self.for_loop()?,
            Kind::Try => self.try_statement()?,
            Kind::With => self.with_statement()?,
            Kind::Def | Kind::Class | Kind::At | Kind::Async => self.decorated()?,
            _ => return self.simple_statements(),
        }
        Some(None)
    }

    /// A header's colon and the statements below or beside it.
    pub(super) fn suite(&mut self) -> Option<Suite> {
        let around = self.tokens.indentation;
        self.expect(Kind::Colon)?;
        if self.kind() != Kind::Newline {
            let start = self.tokens.token.start;
            // The parser counts a backslash there as a part of the header.
            if self.tokens.bytes.get(self.tokens.last_end..start)?.contains(&b'\\') {
                return None;
            }
            return Some(Suite { start, doc: self.simple_statements()? });
        }
        self.bump()?;
        let inside = self.tokens.indentation;
        if inside <= around || self.kind() == Kind::End {
            return None;
        }
        let start = self.tokens.token.start;
        let doc = self.deeper(|reader| {
            let doc = reader.statement()?;
            while reader.tokens.indentation == inside && reader.kind() != Kind::End {
                reader.statement()?;
            }
            Some(doc)
        })?;
        // A level between the two is the parser's business.
        (self.tokens.indentation <= around).then_some(Suite { start, doc })
    }

    /// Whether a clause of a statement with this indentation starts here; if so, goes behind its first word.
    fn clause(&mut self, kind: Kind, indentation: usize) -> Option<bool> {
        if self.tokens.indentation != indentation { Some(false) } else { self.eat(kind) }
    }

    fn otherwise(&mut self, indentation: usize) -> Option<()> {
        if self.clause(Kind::Else, indentation)? {
            self.suite()?;
        }
        Some(())
    }

    fn conditional(&mut self) -> Option<()> {
        let indentation = self.tokens.indentation;
        let is_loop = self.kind() == Kind::While;
        self.bump()?;
        self.named()?;
        self.suite()?;
        while !is_loop && self.clause(Kind::Elif, indentation)? {
            self.named()?;
            self.suite()?;
        }
        self.otherwise(indentation)
    }

    pub(super) fn for_loop(&mut self) -> Option<()> {
        let indentation = self.tokens.indentation;
        self.expect(Kind::For)?;
        self.targets()?;
        self.expect(Kind::In)?;
        self.list_of_expressions()?;
        self.suite()?;
        self.otherwise(indentation)
    }

    fn try_statement(&mut self) -> Option<()> {
        let indentation = self.tokens.indentation;
        self.bump()?;
        self.suite()?;
        let mut clauses = 0;
        while self.clause(Kind::Except, indentation)? {
            clauses += 1;
            if self.kind() != Kind::Colon {
                self.expression()?;
                if self.eat(Kind::As)? {
                    self.use_name()?;
                }
            }
            self.suite()?;
        }
        if clauses > 0 {
            self.otherwise(indentation)?;
        }
        if self.clause(Kind::Finally, indentation)? {
            self.suite()?;
            clauses += 1;
        }
        (clauses > 0).then_some(())
    }

    pub(super) fn with_statement(&mut self) -> Option<()> {
        self.expect(Kind::With)?;
        self.with_group = self.kind() == Kind::Open;
        self.named_in_with = false;
        loop {
            self.expression()?;
            if self.eat(Kind::As)? {
                self.target_of_with()?;
            }
            if !self.eat(Kind::Comma)? {
                break;
            }
            // Names inside brackets leave nothing to be said outside of them.
            if self.named_in_with {
                return None;
            }
        }
        self.suite().map(|_| ())
    }

    fn target_of_with(&mut self) -> Option<()> {
        if self.named_in_with {
            return None;
        }
        let shape = self.primary()?;
        matches!(shape, Shape::Name | Shape::Place | Shape::Group).then_some(())
    }

    /// Statements on one line; gives the string that is the first one.
    fn simple_statements(&mut self) -> Option<Option<Span>> {
        let doc = self.simple_statement()?;
        loop {
            let more = self.eat(Kind::Semicolon)?;
            if matches!(self.kind(), Kind::Newline | Kind::End) {
                break;
            }
            if !more {
                return None;
            }
            self.simple_statement()?;
        }
        self.code_end = self.tokens.last_end;
        if self.kind() == Kind::Newline {
            self.bump()?;
        }
        Some(doc)
    }

    fn simple_statement(&mut self) -> Option<Option<Span>> {
        match self.kind() {
            Kind::Lone => self.bump()?,
            Kind::Return => {
                self.bump()?;
                if !self.is_over() {
                    self.list_of_expressions()?;
                }
            }
            Kind::Raise => {
                self.bump()?;
                if !self.is_over() {
                    self.list_of_expressions()?;
                    if self.eat(Kind::From)? {
                        self.expression()?;
                    }
                }
            }
            Kind::Del => {
                self.bump()?;
                self.list_of_expressions()?;
            }
            Kind::Assert => {
                self.bump()?;
                self.expression()?;
                if self.eat(Kind::Comma)? {
                    self.expression()?;
                }
            }
            Kind::Scope => {
                self.bump()?;
                self.use_name()?;
                while self.eat(Kind::Comma)? {
                    self.use_name()?;
                }
            }
            Kind::Import => self.import()?,
            Kind::From => self.import_from()?,
            Kind::Yield => self.yields()?,
            _ => return self.expression_or_assignment(),
        }
        Some(None)
    }

    /// Whether a simple statement is over.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.kind(), Kind::Newline | Kind::End | Kind::Semicolon)
    }
}
