//! `toryo index`: the code index of a repository, without a server.

use crate::cli;
use crate::output;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use toryo_agents::indexing::{self, Indexed, Request};
use toryo_domain::CommitId;
use toryo_forge::git::discover::{Found, discover};
use toryo_index::{FolderStore, IndexCache, Progress};

/// Earlier commits whose subjects are searched too.
const HISTORY: usize = 2000;
/// Most bytes of the folder of records; what was used longest ago goes.
const MOST_RECORDS: u64 = 2 * 1024 * 1024 * 1024;
/// Most paths named for each reason to pass files over.
const NAMED: usize = 3;

/// Builds the index and says how big it is and what is not in it.
pub fn run(arguments: &cli::Index) -> Result<ExitCode> {
    let began = Instant::now();
    let repository = Repository::open(&arguments.repo, &arguments.records)?;
    let commit = repository.resolve(&arguments.rev)?;
    let indexed = repository.index(&commit)?;
    let seconds = began.elapsed().as_secs_f64();
    let (size, passed_over) = (indexed.index.statistics(), passed_over(&indexed));
    let count: usize = passed_over.values().map(Vec::len).sum();
    let sources = indexed.sources.unwrap_or_default();
    if arguments.json {
        let workspaces = indexed.index.workspaces().iter();
        let workspaces = workspaces.map(|one| json!({ "folder": &*one.folder, "name": &*one.name }));
        output::json(&json!({
            "commit": commit, "files": size.files, "symbols": size.symbols, "skipped": count, "seconds": seconds,
            "lines": size.lines, "references": size.references, "passed_over": passed_over,
            "workspaces": workspaces.collect::<Vec<_>>(), "parsed": sources.made, "known": sources.loaded,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!(
        "{}: {} files, {} symbols, {count} passed over, {seconds:.2} s",
        commit.short(),
        size.files,
        size.symbols
    ));
    for (why, paths) in &passed_over {
        let named = paths.iter().take(NAMED).map(|path| output::plain(path)).collect::<Vec<_>>().join(", ");
        let more = paths.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        output::line(&format!("  passed over, {why}: {named}{more}"));
    }
    if sources.not_saved > 0 {
        output::line(&format!(
            "  {} records could not be kept; the next call reads those files again",
            sources.not_saved
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is not in an index, by the reason.
fn passed_over(indexed: &Indexed) -> BTreeMap<String, Vec<String>> {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let skipped =
        indexed.index.skipped().iter().map(|one| (one.why.as_str().to_owned(), one.path.to_string()));
    let left_out = indexed.left_out.iter().map(|one| (one.reason.clone(), one.path.clone()));
    for (why, path) in skipped.chain(left_out) {
        reasons.entry(why).or_default().push(path);
    }
    reasons
}

/// A repository on this machine, read and never changed.
pub struct Repository {
    found: Found,
    cache: IndexCache,
    runtime: tokio::runtime::Handle,
}

impl Repository {
    /// The repository at or above this folder.
    pub fn open(path: &Path, records: &cli::Records) -> Result<Self> {
        let runtime = tokio::runtime::Handle::current();
        let found = tokio::task::block_in_place(|| runtime.block_on(discover(path)))?;
        // The index before is what the next one is made from; more would only take memory.
        let cache = IndexCache::new(2);
        let cache = match folder(records) {
            Some(folder) => cache.with_store(Arc::new(FolderStore::new(folder, MOST_RECORDS))),
            None => cache,
        };
        Ok(Self { found, cache, runtime })
    }

    /// The commit of a revision.
    pub fn resolve(&self, rev: &str) -> Result<CommitId> {
        Ok(self.wait(self.found.resolve(rev))?)
    }

    /// The index of a commit; nothing that came after it is looked at. Progress goes to standard error, where that
    /// is a terminal. Ctrl-C ends it.
    pub fn index(&self, commit: &CommitId) -> Result<Indexed> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg} {pos}/{len} files {wide_bar}") {
            bar.set_style(style);
        }
        bar.set_message(format!("indexing {}", commit.short()));
        let shown = bar.clone();
        let show = indexing::by_percent(move |now: Progress| {
            shown.set_length(now.of as u64);
            shown.set_position(now.files as u64);
        });
        let mirror = self.found.objects().clone();
        let request = Request { mirror, commit: commit.clone(), history: HISTORY };
        let indexed = self.wait(indexing::index(&self.cache, request, show));
        bar.finish_and_clear();
        Ok(indexed?)
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| self.runtime.block_on(work))
    }
}

/// The folder of records; none where it is not wanted, and where the environment names no home.
fn folder(records: &cli::Records) -> Option<PathBuf> {
    if records.no_cache {
        return None;
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = || set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    records.cache.clone().or_else(|| usual().map(|base| base.join("toryo/index")))
}
