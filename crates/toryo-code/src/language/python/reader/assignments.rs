//! Assignments, and statements that are nothing but an expression.

use super::Reader;
use super::expressions::Shape;
use super::tokens::Kind;
use crate::outline::{Definition, SymbolKind};
use crate::text::Span;

/// A place that an assignment may fill.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) shape: Shape,
    pub(super) starred: bool,
    pub(super) span: Span,
    /// The use that was noted last when it was read.
    pub(super) last_use: usize,
}

impl Reader<'_> {
    /// Gives the string that the statement starts with, if that is all.
    pub(super) fn expression_or_assignment(&mut self) -> Option<Option<Span>> {
        let start = self.tokens.token.start;
        let (tokens, uses) = (self.tokens.clone(), self.found.uses.len());
        let variables = self.found.definitions.len();
        let is_soft = self.soft_keyword()?;
        self.targets.clear();
        self.targets_or_values()?;
        let first = *self.targets.first()?;
        if is_soft && (self.targets.len() > 1 || self.kind() == Kind::Assign && first.shape != Shape::Name) {
            return None;
        }
        // Behind a comma the parser takes the next line for more.
        if self.trailing_comma && self.is_over() {
            return None;
        }
        match self.kind() {
            Kind::Assign if self.targets.iter().any(|target| target.shape == Shape::Group) => {
                self.tokens = tokens;
                self.found.uses.truncate(uses);
                self.unpacking(start)?;
                self.expect(Kind::Assign)?;
                self.value()?;
            }
            Kind::Assign => self.assignment(start)?,
            Kind::Colon => {
                self.sole_target()?;
                self.bump()?;
                if first.shape == Shape::Name {
                    self.variable(start, first.span);
                    self.no_use(first.last_use);
                }
                self.annotation()?;
                if self.eat(Kind::Assign)? {
                    self.value()?;
                }
            }
            Kind::Augmented => {
                self.sole_target()?;
                self.bump()?;
                self.value()?;
            }
            _ if self.targets.iter().any(|target| target.starred) => return None,
            _ => {}
        }
        let end = self.tokens.last_end;
        for variable in self.found.definitions.iter_mut().skip(variables) {
            (variable.end, variable.code) = (end, end);
        }
        Some(Some(first.span).filter(|_| first.shape == Shape::Text))
    }

    /// Whether the statement starts with a word that is a keyword in some statements and could be called here;
    /// gives up where it may well be the keyword.
    fn soft_keyword(&self) -> Option<bool> {
        if self.kind() != Kind::Name {
            return Some(false);
        }
        let word = self.tokens.word_at_hand();
        let is_soft = matches!(word, b"print" | b"exec" | b"type" | b"match");
        if !is_soft {
            return Some(false);
        }
        let rest = self.tokens.bytes.get(self.tokens.token.end..)?;
        match rest.iter().find(|byte| **byte != b' ')? {
            b'(' => Some(true),
            b'=' | b'.' => Some(false),
            b':' | b',' if matches!(word, b"type" | b"match") => Some(false),
            _ => None,
        }
    }

    /// The one target at the start of a statement, which may be annotated or added to.
    fn sole_target(&self) -> Option<()> {
        let [target] = self.targets.as_slice() else { return None };
        let fits = !target.starred && matches!(target.shape, Shape::Name | Shape::Place);
        fits.then_some(())
    }

    /// What stands before `=`, or is a statement by itself.
    fn targets_or_values(&mut self) -> Option<()> {
        self.trailing_comma = false;
        loop {
            let start = self.tokens.token.start;
            let starred = self.eat(Kind::Star)?;
            let shape = if starred { self.primary()? } else { self.expression()? };
            if starred && !matches!(shape, Shape::Name | Shape::Place) {
                return None;
            }
            let span = Span::new(start, self.tokens.last_end);
            let last_use = self.found.uses.len().wrapping_sub(1);
            self.targets.push(Target { shape, starred, span, last_use });
            if !self.eat(Kind::Comma)? {
                return Some(());
            }
            if matches!(self.kind(), Kind::Newline | Kind::End | Kind::Semicolon | Kind::Assign) {
                self.trailing_comma = true;
                return Some(());
            }
        }
    }

    /// Targets of which some stand in brackets. Names directly in one pair of round ones, or in none, are variables.
    fn unpacking(&mut self, start: usize) -> Option<()> {
        let is_round = self.kind() == Kind::Open;
        let (mut outside, mut inside) = (Vec::new(), Vec::new());
        let mut is_list = false;
        loop {
            let uses = self.found.uses.len();
            match self.kind() {
                Kind::Open | Kind::OpenList => self.target_group(&mut inside)?,
                _ if self.target()? == Shape::Name => outside.push(uses),
                _ => {}
            }
            if !self.eat(Kind::Comma)? {
                break;
            }
            is_list = true;
            if self.kind() == Kind::Assign {
                break;
            }
        }
        let names = if is_list { outside } else { inside };
        for at in names.into_iter().filter(|_| is_list || is_round) {
            let name = *self.found.uses.get(at)?;
            self.variable(start, name);
            self.no_use(at);
        }
        Some(())
    }

    /// The rest of an assignment whose first targets were read.
    fn assignment(&mut self, start: usize) -> Option<()> {
        let mut depth = 0;
        while self.kind() == Kind::Assign {
            let comma = self.trailing_comma;
            let targets = std::mem::take(&mut self.targets);
            let is_list = targets.len() > 1 || comma;
            for target in &targets {
                match target.shape {
                    Shape::Name if target.starred => self.no_use(target.last_use),
                    Shape::Name if is_list && depth > 0 => {}
                    Shape::Name => {
                        self.no_use(target.last_use);
                        if depth == 0 || depth == 1 && !is_list {
                            self.variable(start, target.span);
                        }
                    }
                    Shape::Place => {}
                    _ => return None,
                }
                if target.starred && !is_list {
                    return None;
                }
            }
            self.targets = targets;
            self.targets.clear();
            self.bump()?;
            if self.kind() == Kind::Yield {
                return self.yields();
            }
            self.targets_or_values()?;
            depth += 1;
        }
        // Whether a starred value is a pattern is the parser's business.
        (!self.targets.iter().any(|target| target.starred)).then_some(())
    }

    /// What is assigned behind a type or an operator.
    fn value(&mut self) -> Option<()> {
        if self.kind() == Kind::Yield {
            return self.yields();
        }
        self.targets.clear();
        self.targets_or_values()?;
        (!self.targets.iter().any(|target| target.starred)).then_some(())
    }

    /// Takes back a use.
    fn no_use(&mut self, at: usize) {
        if let Some(name) = self.found.uses.get_mut(at) {
            name.end = name.start;
        }
    }

    /// Notes a variable, unless it is one of a function.
    fn variable(&mut self, start: usize, name: Span) {
        if self.in_function {
            return;
        }
        self.found.definitions.push(Definition {
            kind: SymbolKind::Variable,
            start,
            end: start,
            inner: start,
            code: start,
            name,
            owner: None,
            block: None,
            body: None,
            doc: None,
        });
    }
}
