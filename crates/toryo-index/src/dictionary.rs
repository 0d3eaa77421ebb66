//! Numbers for terms and names, shared by the indexes of one repository's commits.

use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Numbers for texts. Only ever grows, so that an index stays right while a later one is made from it; a new one is
/// begun where most of it is no longer used.
#[derive(Debug, Default)]
pub(crate) struct Dictionary(RwLock<HashMap<Box<str>, u32, RandomState>>);

impl Dictionary {
    /// The number of a text, if it has one.
    pub(crate) fn get(&self, text: &str) -> Option<u32> {
        self.read().get(text).copied()
    }

    /// The numbers of these texts, given to those that have none.
    pub(crate) fn numbers<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Box<[u32]> {
        // Nothing is half done where a holder of the lock panics.
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut number = |text: &str| match known.get(text) {
            Some(number) => *number,
            None => {
                let number = known.len() as u32;
                known.insert(text.into(), number);
                number
            }
        };
        texts.map(&mut number).collect()
    }

    /// One above the greatest number.
    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<(String, u32)> {
        self.read().iter().map(|(text, number)| (text.to_string(), *number)).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Box<str>, u32, RandomState>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number() {
        let dictionary = Dictionary::default();
        let first = dictionary.numbers(["a", "b", "a"].into_iter());
        assert_eq!(first[0], first[2]);
        assert_eq!(*dictionary.numbers(["c", "b"].into_iter()), [2, first[1]]);
        assert_eq!((dictionary.get("c"), dictionary.get("d"), dictionary.len()), (Some(2), None, 3));
    }
}
