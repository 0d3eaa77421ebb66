//! What stands in brackets: tuples, lists, sets, dictionaries, comprehensions, and targets of assignments.

use super::Reader;
use super::expressions::Shape;
use super::tokens::Kind;

impl Reader<'_> {
    /// What stands in round brackets on its own.
    pub(super) fn group(&mut self) -> Option<Shape> {
        let in_with = std::mem::take(&mut self.with_group);
        self.bump()?;
        if self.eat(Kind::Close)? {
            return Some(Shape::Group);
        }
        if self.kind() == Kind::Yield {
            self.yields()?;
            self.expect(Kind::Close)?;
            return Some(Shape::Other);
        }
        let mut count = 0;
        while self.kind() != Kind::Close {
            let starred = self.kind() == Kind::Star;
            self.element()?;
            if count == 0 && !starred && self.comprehension()? {
                self.expect(Kind::Close)?;
                return Some(Shape::Other);
            }
            count += 1;
            if in_with && self.eat(Kind::As)? {
                self.primary()?;
                self.named_in_with = true;
            }
            if !self.eat(Kind::Comma)? {
                // Only a comma makes a tuple of a starred value.
                if starred && count == 1 {
                    return None;
                }
                break;
            }
        }
        self.expect(Kind::Close)?;
        Some(Shape::Group)
    }

    /// An element of a tuple, list or set.
    fn element(&mut self) -> Option<()> {
        let is_starred = self.eat(Kind::Star)?;
        if is_starred { self.expression() } else { self.named() }.map(|_| ())
    }

    pub(super) fn list(&mut self) -> Option<Shape> {
        self.bump()?;
        if self.kind() == Kind::CloseList {
            self.bump()?;
            return Some(Shape::Group);
        }
        let starred = self.kind() == Kind::Star;
        self.element()?;
        if !starred && self.comprehension()? {
            self.expect(Kind::CloseList)?;
        } else if self.eat(Kind::Comma)? {
            self.elements(Kind::CloseList)?;
        } else {
            self.expect(Kind::CloseList)?;
        }
        Some(Shape::Group)
    }

    /// Elements up to a closing bracket.
    fn elements(&mut self, close: Kind) -> Option<()> {
        while self.kind() != close {
            self.element()?;
            if !self.eat(Kind::Comma)? {
                break;
            }
        }
        self.expect(close)
    }

    pub(super) fn dictionary_or_set(&mut self) -> Option<Shape> {
        self.bump()?;
        let mut first = true;
        while self.kind() != Kind::CloseSet {
            if self.eat(Kind::DoubleStar)? {
                self.expression()?;
            } else if first && self.kind() == Kind::Star {
                self.elements(Kind::CloseSet)?;
                return Some(Shape::Other);
            } else {
                self.expression()?;
                if first && self.kind() != Kind::Colon {
                    if !self.comprehension()? && self.eat(Kind::Comma)? {
                        self.elements(Kind::CloseSet)?;
                        return Some(Shape::Other);
                    }
                    break;
                }
                self.expect(Kind::Colon)?;
                self.expression()?;
                if first && self.comprehension()? {
                    break;
                }
            }
            first = false;
            if !self.eat(Kind::Comma)? {
                break;
            }
        }
        self.expect(Kind::CloseSet)?;
        Some(Shape::Other)
    }

    /// The loops and conditions of a comprehension, if they stand here.
    pub(super) fn comprehension(&mut self) -> Option<bool> {
        if !matches!(self.kind(), Kind::For | Kind::Async) {
            return Some(false);
        }
        while matches!(self.kind(), Kind::For | Kind::Async) {
            self.eat(Kind::Async)?;
            self.expect(Kind::For)?;
            self.targets()?;
            self.expect(Kind::In)?;
            self.disjunction()?;
            while self.eat(Kind::If)? {
                self.disjunction()?;
            }
        }
        Some(true)
    }

    /// What a loop assigns to, up to `in`.
    pub(super) fn targets(&mut self) -> Option<()> {
        loop {
            self.target()?;
            if !self.eat(Kind::Comma)? || self.kind() == Kind::In {
                return Some(());
            }
        }
    }

    /// A place that is assigned to. Starred names are no uses, others are.
    pub(super) fn target(&mut self) -> Option<Shape> {
        let starred = self.eat(Kind::Star)?;
        if !starred && matches!(self.kind(), Kind::Open | Kind::OpenList) {
            self.target_group(&mut Vec::new())?;
            return Some(Shape::Group);
        }
        let shape = self.primary()?;
        if starred && shape == Shape::Name {
            self.found.uses.pop();
            return Some(Shape::Place);
        }
        matches!(shape, Shape::Name | Shape::Place).then_some(shape)
    }

    /// Targets in brackets; notes the uses that are names directly in them.
    pub(super) fn target_group(&mut self, names: &mut Vec<usize>) -> Option<()> {
        self.deeper(|reader| {
            let close = if reader.kind() == Kind::Open { Kind::Close } else { Kind::CloseList };
            reader.bump()?;
            while reader.kind() != close {
                let uses = reader.found.uses.len();
                if reader.target()? == Shape::Name {
                    names.push(uses);
                }
                if !reader.eat(Kind::Comma)? {
                    break;
                }
            }
            reader.expect(close)
        })
    }
}
