//! What surrounds the targets of a pack: callers, callees, tests.

use super::select::{BODIES, Packing, TESTS};
use super::source::Part;
use super::targets::{Target, changing};
use crate::index::{Index, IndexedSymbol};
use crate::kind::FileKind;
use toryo_domain::RepoPath;

/// Most callers, and most callees, of one symbol.
const NEIGHBOURS: usize = 3;
/// Most files opened for neighbours alone.
const NEIGHBOUR_FILES: usize = 2;
/// Most test files.
pub(super) const TEST_FILES: usize = 2;
/// Most tests shown of one file.
const TESTS_SHOWN: usize = 3;

impl Packing<'_> {
    /// What the targets use, and what uses them.
    pub(super) fn add_neighbours(&mut self, index: &Index, targets: &[Target]) {
        let most_files = self.files.len() + NEIGHBOUR_FILES;
        for target in changing(targets) {
            let Some(symbol) = index.symbol(&target.path, &target.symbol) else { continue };
            let used = index.callees(symbol).take(NEIGHBOURS).map(|one| (one, "used by"));
            let users = index.callers(symbol).filter(|one| !is_test(index, one)).take(NEIGHBOURS);
            for (neighbour, how) in used.chain(users.map(|one| (one, "uses"))) {
                let why = format!("{how} {}", target.symbol);
                let path = index.path_of(neighbour);
                if self.file(path).is_none() && self.files.len() >= most_files {
                    self.omit(Some(path), Some(&neighbour.path), &format!("{why}; its file is not shown"));
                } else if let Some(at) = self.open(path, &why, BODIES) {
                    self.add(at, &Part::Header(neighbour.path.to_string()), &why, BODIES, false);
                }
            }
        }
    }

    pub(super) fn add_tests(&mut self, index: &Index, targets: &[Target], plan_files: &[RepoPath]) {
        let mut code: Vec<&RepoPath> =
            changing(targets).map(|target| &target.path).chain(plan_files).collect();
        code.dedup();
        let mut opened = 0;
        for path in code {
            for link in index.tests_for(path) {
                if self.file(&link.path).is_some() {
                    continue;
                }
                let why = format!("tests {path}: {}", link.reasons.join(", "));
                if opened == TEST_FILES {
                    self.omit(Some(&link.path), None, &why);
                } else if let Some(at) = self.open(&link.path, &why, TESTS) {
                    opened += 1;
                    self.add_tests_of(index, at, targets);
                }
            }
        }
    }

    /// The tests of a file that use the targets, the file's outline where there is none.
    fn add_tests_of(&mut self, index: &Index, at: usize, targets: &[Target]) {
        let path = self.files[at].path.clone();
        let mut shown = 0;
        for target in changing(targets) {
            let Some(symbol) = index.symbol(&target.path, &target.symbol) else { continue };
            for test in index.callers(symbol).filter(|one| *index.path_of(one) == path) {
                if shown < TESTS_SHOWN && test.name.to_lowercase().contains("test") {
                    let why = format!("tests {}", target.symbol);
                    let part = Part::Symbol(test.path.to_string());
                    shown += usize::from(self.add(at, &part, &why, TESTS, false));
                }
            }
        }
        self.add_outline(at, TESTS);
    }
}

fn is_test(index: &Index, symbol: &IndexedSymbol) -> bool {
    index.file(index.path_of(symbol)).is_some_and(|file| file.kind == FileKind::Test)
}
