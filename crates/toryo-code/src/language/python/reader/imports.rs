//! Imports.

use super::Reader;
use super::tokens::Kind;
use crate::outline::Import;
use crate::text::Span;

impl Reader<'_> {
    /// A dotted name without white space in it.
    fn dotted(&mut self) -> Option<Span> {
        let mut span = self.tokens.span();
        self.expect(Kind::Name)?;
        while self.kind() == Kind::Dot {
            self.bump()?;
            let last = self.tokens.span();
            self.expect(Kind::Name)?;
            span.end = last.end;
        }
        let bytes = self.tokens.bytes.get(span.range())?;
        bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')).then_some(span)
    }

    fn text_of(&self, span: Span) -> Option<String> {
        self.text.get(span.range()).map(str::to_owned)
    }

    pub(super) fn import(&mut self) -> Option<()> {
        let start = self.tokens.token.start;
        self.bump()?;
        loop {
            let name = self.dotted()?;
            let module = self.text_of(name)?;
            let mut aliases = Vec::new();
            if self.eat(Kind::As)? {
                let alias = self.name()?;
                aliases.push((module.clone(), self.text_of(alias)?));
            }
            self.found.imports.push((start, Import { module, aliases, ..Import::default() }));
            if !self.eat(Kind::Comma)? {
                return Some(());
            }
        }
    }

    pub(super) fn import_from(&mut self) -> Option<()> {
        let start = self.tokens.token.start;
        self.bump()?;
        let from = self.tokens.token.start;
        let mut end = from;
        while matches!(self.tokens.word_at_hand(), b"." | b"...") {
            end = self.tokens.token.end;
            self.bump()?;
        }
        let dots = self.text.get(from..end)?;
        if !dots.bytes().all(|byte| byte == b'.') {
            return None;
        }
        let mut module = dots.to_owned();
        if self.kind() == Kind::Name {
            let name = self.dotted()?;
            if name.start != end {
                return None;
            }
            module.push_str(self.text.get(name.range())?);
        } else if module.is_empty() {
            return None;
        }
        self.expect(Kind::Import)?;
        let is_future = module == "__future__";
        let mut import = Import { module, ..Import::default() };
        if self.kind() == Kind::Star {
            if is_future {
                return None;
            }
            self.bump()?;
            import.names.push("*".to_owned());
        } else if self.eat(Kind::Open)? {
            self.imported(&mut import, is_future)?;
            self.expect(Kind::Close)?;
        } else {
            self.imported(&mut import, is_future)?;
        }
        if !is_future {
            self.found.imports.push((start, import));
        }
        Some(())
    }

    /// The names that an import takes. Those of the future count as uses.
    fn imported(&mut self, import: &mut Import, is_future: bool) -> Option<()> {
        loop {
            let name = self.dotted()?;
            let text = self.text_of(name)?;
            if self.eat(Kind::As)? {
                let alias = self.name()?;
                import.aliases.push((text.clone(), self.text_of(alias)?));
            } else if is_future {
                if text.contains('.') {
                    return None;
                }
                self.found.uses.push(name);
            }
            import.names.push(text);
            if !self.eat(Kind::Comma)? || matches!(self.kind(), Kind::Close | Kind::Newline | Kind::End) {
                return Some(());
            }
        }
    }
}
