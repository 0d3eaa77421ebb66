//! Test results of trees without a change, kept in the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use toryo_domain::{Digest, TestReport};

/// Most reports kept; an entry is some kilobytes.
const MOST: usize = 64;

/// Reports by the digest of tree and command. Losing one costs a test run, nothing else.
#[derive(Debug, Default)]
pub struct Baselines(Mutex<BTreeMap<Digest, Arc<TestReport>>>);

impl Baselines {
    /// The report of this tree and command, if it was run in this process.
    #[must_use]
    pub fn get(&self, key: &Digest) -> Option<Arc<TestReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Keeps a report.
    pub fn put(&self, key: Digest, report: Arc<TestReport>) {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() >= MOST {
            reports.clear();
        }
        reports.insert(key, report);
    }
}
