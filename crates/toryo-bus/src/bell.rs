//! Bells: "run so-and-so has new events", from whoever wrote them to whoever streams them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use toryo_domain::RunId;

/// The bells of all runs somebody listens to in this process. Cheap to clone. A bell may be missed (the server
/// was away) and may ring for nothing: listeners look into Postgres, at a ring and at a timer.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Mutex<HashMap<RunId, watch::Sender<u64>>>>);

impl Bell {
    /// The number of the newest event heard of, and its changes.
    #[must_use]
    pub fn watch(&self, run: RunId) -> watch::Receiver<u64> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever comes clears away the bells nobody listens to any more.
        bells.retain(|_, bell| bell.receiver_count() > 0);
        bells.entry(run).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Rings for those in this process.
    pub fn ring(&self, run: RunId, seq: u64) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(&run) {
            bell.send_if_modified(|newest| {
                let newer = seq > *newest;
                *newest = (*newest).max(seq);
                newer
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_rings_only_for_its_run_and_only_forward() {
        let bell = Bell::default();
        let (run, other) = (RunId::generate(), RunId::generate());
        let mut heard = bell.watch(run);
        bell.ring(other, 9);
        assert_eq!(heard.has_changed().ok(), Some(false));
        bell.ring(run, 3);
        assert_eq!(heard.has_changed().ok(), Some(true));
        assert_eq!(*heard.borrow_and_update(), 3);
        bell.ring(run, 2);
        assert_eq!(heard.has_changed().ok(), Some(false));
    }

    #[test]
    fn bells_nobody_listens_to_are_cleared_away() {
        let bell = Bell::default();
        drop(bell.watch(RunId::generate()));
        let _kept = bell.watch(RunId::generate());
        assert_eq!(bell.0.lock().unwrap().len(), 1);
    }
}
