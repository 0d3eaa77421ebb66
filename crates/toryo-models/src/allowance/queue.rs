//! Who waits: urgent calls first; among equals one of each key in turn; of one key in the order of arrival.

use std::collections::VecDeque;
use toryo_domain::{AccountId, Priority};

/// Those who wait.
#[derive(Debug)]
pub struct Queue<T> {
    /// By urgency; in each a ring of keys with their calls.
    rings: [VecDeque<(AccountId, VecDeque<T>)>; 3],
    len: usize,
}

/// What becomes of the first call of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It leaves the queue; the key's next one may follow when the other keys had their turn.
    Done,
    /// It stays, and the key's others behind it.
    Stay,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { rings: Default::default(), len: 0 }
    }
}

impl<T> Queue<T> {
    /// How many wait.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a call behind the others of its key.
    pub fn push(&mut self, key: AccountId, priority: Priority, call: T) {
        let ring = &mut self.rings[rank(priority)];
        match ring.iter_mut().find(|(other, _)| *other == key) {
            Some((_, calls)) => calls.push_back(call),
            None => ring.push_back((key, VecDeque::from([call]))),
        }
        self.len += 1;
    }

    /// Looks at the first call of each key, in order, until each key's first one stays. `look` takes what it needs of a
    /// call that is done.
    pub fn pass(&mut self, mut look: impl FnMut(&mut T) -> Turn) {
        for ring in &mut self.rings {
            // The key at the front had its turn least lately; keys whose call stays keep their place.
            let mut stayed = VecDeque::new();
            while let Some((key, mut calls)) = ring.pop_front() {
                match calls.front_mut().map(&mut look) {
                    Some(Turn::Stay) => stayed.push_back((key, calls)),
                    Some(Turn::Done) => {
                        calls.pop_front();
                        self.len -= 1;
                        if !calls.is_empty() {
                            ring.push_back((key, calls));
                        }
                    }
                    None => {}
                }
            }
            *ring = stayed;
        }
    }

    /// Removes the calls that wait no longer, wherever they stand.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        self.len = 0;
        for ring in &mut self.rings {
            ring.retain_mut(|(_, calls)| {
                calls.retain_mut(&mut keep);
                self.len += calls.len();
                !calls.is_empty()
            });
        }
    }
}

const fn rank(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        let mut order = Vec::new();
        queue.pass(|call| {
            order.push(*call);
            Turn::Done
        });
        order
    }

    #[test]
    fn urgent_calls_go_first_and_keys_take_turns() {
        let (first, second) = (AccountId::generate(), AccountId::generate());
        let mut queue = Queue::default();
        for call in ["a1", "a2", "a3"] {
            queue.push(first, Priority::Normal, call);
        }
        queue.push(second, Priority::Normal, "b1");
        queue.push(second, Priority::Low, "b-low");
        queue.push(second, Priority::High, "b-high");
        assert_eq!(queue.len(), 6);
        assert_eq!(drain(&mut queue), ["b-high", "a1", "b1", "a2", "a3", "b-low"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_call_that_stays_keeps_its_place_before_the_others_of_its_key() {
        let (first, second) = (AccountId::generate(), AccountId::generate());
        let mut queue = Queue::default();
        for (key, call) in [(first, "a1"), (second, "b1"), (first, "a2")] {
            queue.push(key, Priority::Normal, call);
        }
        queue.pass(|call| if *call == "a1" { Turn::Stay } else { Turn::Done });
        assert_eq!(queue.len(), 2);
        queue.retain(|call| *call != "a2");
        assert_eq!(drain(&mut queue), ["a1"]);
    }
}
