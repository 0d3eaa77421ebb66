//! Expressions: which names they use.

use super::Reader;
use super::tokens::Kind;

/// What an expression is, as far as an assignment cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A name alone: the last use that was noted.
    Name,
    /// A member or item of something.
    Place,
    /// Strings alone.
    Text,
    /// A tuple or list.
    Group,
    Other,
}

impl Reader<'_> {
    /// An expression with a name for its value, where that is allowed: `name := value`.
    pub(super) fn named(&mut self) -> Option<Shape> {
        let shape = self.expression()?;
        if shape == Shape::Name && self.eat(Kind::Walrus)? {
            self.expression()?;
            return Some(Shape::Other);
        }
        Some(shape)
    }

    pub(super) fn expression(&mut self) -> Option<Shape> {
        self.deeper(|reader| {
            if reader.kind() == Kind::Lambda {
                reader.lambda()?;
                return Some(Shape::Other);
            }
            let shape = reader.disjunction()?;
            if !reader.eat(Kind::If)? {
                return Some(shape);
            }
            reader.disjunction()?;
            reader.expect(Kind::Else)?;
            reader.expression()?;
            Some(Shape::Other)
        })
    }

    /// An expression without a condition at its end.
    pub(super) fn disjunction(&mut self) -> Option<Shape> {
        let mut shape = self.inversion()?;
        while matches!(self.kind(), Kind::And | Kind::Or) {
            self.bump()?;
            match self.kind() {
                Kind::Lambda => self.lambda()?,
                _ => self.inversion().map(|_| ())?,
            }
            shape = Shape::Other;
        }
        Some(shape)
    }

    fn inversion(&mut self) -> Option<Shape> {
        let mut negated = false;
        while self.eat(Kind::Not)? {
            negated = true;
        }
        let mut shape = self.arithmetic()?;
        while self.comparison()? {
            self.arithmetic()?;
            shape = Shape::Other;
        }
        Some(if negated { Shape::Other } else { shape })
    }

    /// Goes behind an operator that compares, if one is at hand.
    fn comparison(&mut self) -> Option<bool> {
        match self.kind() {
            Kind::Compare | Kind::In => self.bump()?,
            Kind::Is => {
                self.bump()?;
                self.eat(Kind::Not)?;
            }
            Kind::Not => {
                self.bump()?;
                self.expect(Kind::In)?;
            }
            _ => return Some(false),
        }
        Some(true)
    }

    fn arithmetic(&mut self) -> Option<Shape> {
        let mut shape = self.unary()?;
        while matches!(
            self.kind(),
            Kind::Sign | Kind::Star | Kind::DoubleStar | Kind::Slash | Kind::At | Kind::Binary
        ) {
            self.bump()?;
            self.unary()?;
            shape = Shape::Other;
        }
        Some(shape)
    }

    fn unary(&mut self) -> Option<Shape> {
        let mut has_sign = false;
        while matches!(self.kind(), Kind::Sign | Kind::Tilde) {
            self.bump()?;
            has_sign = true;
        }
        if self.eat(Kind::Await)? {
            // Before other things the word may be a name.
            if self.kind() != Kind::Name {
                return None;
            }
            has_sign = true;
        }
        let shape = self.primary()?;
        Some(if has_sign { Shape::Other } else { shape })
    }

    /// A value with what is taken from it, called or looked up.
    pub(super) fn primary(&mut self) -> Option<Shape> {
        let mut shape = match self.kind() {
            Kind::Name => {
                self.use_name()?;
                Shape::Name
            }
            Kind::Number | Kind::Constant => {
                self.bump()?;
                Shape::Other
            }
            Kind::Text => self.strings()?,
            Kind::Open => self.deeper(Self::group)?,
            Kind::OpenList => self.deeper(Self::list)?,
            Kind::OpenSet => self.deeper(Self::dictionary_or_set)?,
            _ => return None,
        };
        loop {
            shape = match self.kind() {
                Kind::Dot => {
                    self.bump()?;
                    self.use_name()?;
                    Shape::Place
                }
                Kind::Open => {
                    self.deeper(Self::arguments)?;
                    Shape::Other
                }
                Kind::OpenList => {
                    self.deeper(Self::subscript)?;
                    Shape::Place
                }
                _ => return Some(shape),
            };
        }
    }

    /// Notes the name at hand as a use and goes on.
    pub(super) fn use_name(&mut self) -> Option<()> {
        if self.kind() != Kind::Name {
            return None;
        }
        let span = self.tokens.span();
        self.found.uses.push(span);
        self.bump()
    }

    /// The arguments of a call.
    fn arguments(&mut self) -> Option<()> {
        self.bump()?;
        let mut first = true;
        while self.kind() != Kind::Close {
            let may_loop = self.argument()?;
            if first && may_loop && self.comprehension()? {
                break;
            }
            first = false;
            if !self.eat(Kind::Comma)? {
                break;
            }
        }
        self.expect(Kind::Close)
    }

    /// An argument; says whether a comprehension may go on from it.
    pub(super) fn argument(&mut self) -> Option<bool> {
        if matches!(self.kind(), Kind::Star | Kind::DoubleStar) {
            self.bump()?;
            self.expression()?;
            return Some(false);
        }
        if self.named()? == Shape::Name && self.kind() == Kind::Assign {
            self.found.uses.pop();
            self.bump()?;
            self.expression()?;
            return Some(false);
        }
        Some(true)
    }

    /// The type of something.
    pub(super) fn annotation(&mut self) -> Option<()> {
        let outside = std::mem::replace(&mut self.in_type, true);
        // Comparisons there mean something else to the parser.
        self.arithmetic()?;
        self.in_type = outside;
        Some(())
    }

    /// Items and slices in square brackets.
    fn subscript(&mut self) -> Option<()> {
        self.bump()?;
        loop {
            if self.kind() != Kind::Colon {
                self.expression()?;
            }
            // In types the parser takes it for a bound.
            if self.in_type && self.kind() == Kind::Colon {
                return None;
            }
            for _ in 0..2 {
                if self.eat(Kind::Colon)?
                    && !matches!(self.kind(), Kind::Colon | Kind::Comma | Kind::CloseList)
                {
                    self.expression()?;
                }
            }
            if !self.eat(Kind::Comma)? || self.kind() == Kind::CloseList {
                return self.expect(Kind::CloseList);
            }
        }
    }

    fn lambda(&mut self) -> Option<()> {
        self.bump()?;
        while self.kind() != Kind::Colon {
            match self.kind() {
                Kind::Star | Kind::DoubleStar => {
                    let is_separator = self.kind() == Kind::Star;
                    self.bump()?;
                    if !(is_separator && self.kind() == Kind::Comma) {
                        self.expect(Kind::Name)?;
                    }
                }
                Kind::Slash => self.bump()?,
                _ => {
                    self.expect(Kind::Name)?;
                    if self.eat(Kind::Assign)? {
                        self.expression()?;
                    }
                }
            }
            if !self.eat(Kind::Comma)? {
                break;
            }
        }
        self.expect(Kind::Colon)?;
        self.expression().map(|_| ())
    }

    /// `yield` and what it gives.
    pub(super) fn yields(&mut self) -> Option<()> {
        self.expect(Kind::Yield)?;
        if self.eat(Kind::From)? {
            return self.expression().map(|_| ());
        }
        if self.at_end() { Some(()) } else { self.list_of_expressions() }
    }

    /// Expressions with commas between them, of which some may be starred.
    pub(super) fn list_of_expressions(&mut self) -> Option<()> {
        loop {
            match self.kind() {
                Kind::Star => self.starred()?,
                _ => self.expression().map(|_| ())?,
            }
            if !self.eat(Kind::Comma)? || self.at_end() {
                return Some(());
            }
        }
    }

    /// A starred value outside of brackets. Of more than a place the parser makes something else.
    fn starred(&mut self) -> Option<()> {
        self.bump()?;
        matches!(self.primary()?, Shape::Name | Shape::Place).then_some(())
    }

    /// Whether a list of expressions is over.
    fn at_end(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Newline
                | Kind::End
                | Kind::Semicolon
                | Kind::Colon
                | Kind::Assign
                | Kind::Close
                | Kind::CloseSet
                | Kind::From
                | Kind::Bang
        )
    }
}
