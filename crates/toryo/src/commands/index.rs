//! `toryo index`: the code index of a repository, without a server.

use crate::cli;
use crate::output;
use anyhow::Result;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use toryo_domain::CommitId;
use toryo_forge::git::discover::{Found, discover};
use toryo_index::{BuildOptions, Index, PastCommit};

/// Earlier commits whose subjects are searched too.
const HISTORY: usize = 2000;

/// Builds the index and says how big it is.
pub fn run(arguments: &cli::Index) -> Result<ExitCode> {
    let began = Instant::now();
    let repository = Repository::open(&arguments.repo)?;
    let commit = repository.resolve(&arguments.rev)?;
    let index = repository.index(&commit)?;
    let seconds = began.elapsed().as_secs_f64();
    let (files, symbols) = (index.files().len(), index.statistics().symbols);
    if arguments.json {
        output::json(&json!({
            "commit": commit, "files": files, "symbols": symbols, "skipped": index.skipped().len(),
            "seconds": seconds,
        }))?;
    } else {
        let skipped = index.skipped().len();
        output::line(&format!(
            "{}: {files} files, {symbols} symbols, {skipped} passed over, {seconds:.2} s",
            commit.short()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// A repository on this machine, read and never changed.
pub struct Repository {
    found: Found,
    runtime: tokio::runtime::Handle,
}

impl Repository {
    /// The repository at or above this folder.
    pub fn open(path: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Handle::current();
        let found = tokio::task::block_in_place(|| runtime.block_on(discover(path)))?;
        Ok(Self { found, runtime })
    }

    /// The commit of a revision.
    pub fn resolve(&self, rev: &str) -> Result<CommitId> {
        Ok(self.wait(self.found.resolve(rev))?)
    }

    /// The index of a commit; nothing that came after it is looked at.
    pub fn index(&self, commit: &CommitId) -> Result<Index> {
        let listing = self.wait(self.found.objects().files(commit))?;
        let paths = listing.files.into_iter().map(|file| file.path);
        let files = self.wait(self.found.objects().read_many(commit, paths))?;
        let past = self.wait(self.found.objects().log(commit, HISTORY))?;
        let history =
            past.into_iter().map(|entry| PastCommit { subject: entry.subject, paths: entry.paths }).collect();
        Ok(Index::build(files.into_iter(), &BuildOptions { history, ..BuildOptions::default() }))
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| self.runtime.block_on(work))
    }
}
