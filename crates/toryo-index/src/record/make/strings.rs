//! The strings of a record: names and terms, each once.

use super::Maker;

/// Distinct strings of a record, with numbers in the order in which they came.
pub(super) struct Strings<'m> {
    maker: &'m mut Maker,
    text: String,
    ends: Vec<u32>,
}

impl<'m> Strings<'m> {
    /// No strings yet.
    pub(super) const fn of(maker: &'m mut Maker) -> Self {
        Self { maker, text: String::new(), ends: Vec::new() }
    }

    pub(super) fn number(&mut self, text: &str) -> u32 {
        let id = self.maker.id(text);
        self.number_of(id)
    }

    /// The number of a text that the maker knows.
    fn number_of(&mut self, id: u32) -> u32 {
        let used = &mut self.maker.used[id as usize];
        if used.0 != self.maker.records {
            *used = (self.maker.records, self.ends.len() as u32);
            self.text.push_str(&self.maker.texts[id as usize]);
            self.ends.push(self.text.len() as u32);
        }
        used.1
    }

    /// Adds the numbers of a word's terms.
    pub(super) fn add_terms(&mut self, word: &str, terms: &mut Vec<u32>) {
        let (start, end) = self.maker.cut(word);
        for at in start..end {
            let id = self.maker.terms[at as usize];
            terms.push(self.number_of(id));
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.ends.len() as u32
    }

    pub(super) fn finish(self) -> (String, Vec<u32>) {
        (self.text, self.ends)
    }
}
