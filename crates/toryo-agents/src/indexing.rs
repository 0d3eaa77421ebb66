//! Building the index of a commit from Git's objects, without a checkout.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use toryo_domain::{CommitId, RepoPath};
use toryo_forge::{LeftOut, Mirror};
use toryo_index::{
    Build, BuildError, BuildOptions, ContentId, Index, IndexCache, PastCommit, PastLog, Progress,
    RecordStore, SourceFile, Sources, Wanted, estimate,
};

/// How far back a kept history is looked for; a branch seldom moves by more commits at once.
const NEAR_COMMITS: usize = 200;

/// Which index is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the objects are.
    pub mirror: Mirror,
    /// Of which commit.
    pub commit: CommitId,
    /// How many past commits are searched too.
    pub history: usize,
}

/// An index and what is to be said about how it came to be.
#[derive(Debug)]
pub struct Indexed {
    /// The index.
    pub index: Arc<Index>,
    /// Where its records came from; `None` where the whole index was there already.
    pub sources: Option<Sources>,
    /// What the commit holds and no index can: links, submodules, paths that are none.
    pub left_out: Vec<LeftOut>,
}

/// Told how far a build is.
pub type Watcher = dyn Fn(Progress) + Send + Sync;

/// The index of a commit, from the cache or built into it. A caller that goes away ends the build.
///
/// # Errors
/// The commit cannot be read.
pub async fn index(
    cache: &IndexCache,
    request: Request,
    progress: Arc<Watcher>,
) -> Result<Indexed, BuildError<toryo_forge::Error>> {
    let listing = request.mirror.files(&request.commit).await.map_err(BuildError::Read)?;
    let files: Vec<SourceFile> = listing
        .files
        .into_iter()
        .map(|file| SourceFile { content: ContentId::git(&file.blob), path: file.path, bytes: file.size })
        .collect();
    let (cache, runtime) = (cache.clone(), Handle::current());
    let gone = Gone(Arc::new(AtomicBool::new(false)));
    let ended = Arc::clone(&gone.0);
    let build = move || {
        let stopped = || ended.load(Ordering::Relaxed);
        let repository = request.mirror.path().to_string_lossy().into_owned();
        let wanted = Wanted {
            repository: &repository,
            commit: request.commit.as_str(),
            bytes: estimate(&files, &BuildOptions::default()),
        };
        let waiting =
            || if stopped() { ControlFlow::Break(BuildError::Cancelled) } else { ControlFlow::Continue(()) };
        let mut sources = None;
        let index = cache.get_or_build(wanted, waiting, |known| {
            let store = known.store.as_deref();
            let history = runtime.block_on(history(&request, store)).map_err(BuildError::Read)?;
            let options = BuildOptions { history, ..BuildOptions::default() };
            let watch = |now: Progress| {
                progress(now);
                if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let build = Build { options: &options, store, before: known.before.as_deref(), watch: &watch };
            let read = |paths: &[RepoPath]| -> Result<BTreeMap<RepoPath, Vec<u8>>, toryo_forge::Error> {
                runtime.block_on(request.mirror.read_many(&request.commit, paths.to_vec()))
            };
            let (index, from) = build.run(files, &read)?;
            sources = Some(from);
            Ok(index)
        })?;
        Ok((index, sources))
    };
    let built = tokio::task::spawn_blocking(build).await;
    let (index, sources) = built.unwrap_or_else(|error| {
        Err(BuildError::Read(toryo_forge::Error::Internal(format!("building an index ended early: {error}"))))
    })?;
    drop(gone);
    Ok(Indexed { index, sources, left_out: listing.left_out })
}

/// Ends the build when its caller is gone.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The past commits, newest first. Most were read for an earlier commit and are kept since.
async fn history(
    request: &Request,
    store: Option<&dyn RecordStore>,
) -> Result<Vec<PastCommit>, toryo_forge::Error> {
    let ids = request.mirror.ancestors(&request.commit, request.history).await?;
    let kept = store
        .and_then(|store| ids.iter().take(NEAR_COMMITS).find_map(|id| PastLog::load(store, id.as_str())));
    let mut known: HashMap<String, PastCommit> = kept.unwrap_or_default().commits.into_iter().collect();
    let missing: Vec<CommitId> = ids.iter().filter(|id| !known.contains_key(id.as_str())).cloned().collect();
    let is_news = !missing.is_empty();
    for entry in request.mirror.entries(missing).await? {
        known.insert(entry.commit.to_string(), PastCommit { subject: entry.subject, paths: entry.paths });
    }
    let commits = ids.iter().filter_map(|id| known.remove_entry(id.as_str())).collect();
    let log = PastLog { commits };
    if let Some(store) = store.filter(|_| is_news) {
        // Not kept means read again, nothing else.
        let _ = log.save(store, request.commit.as_str());
    }
    Ok(log.commits.into_iter().map(|(_, past)| past).collect())
}

/// A [`Watcher`] that calls another one at most once a percent.
pub fn by_percent(show: impl Fn(Progress) + Send + Sync + 'static) -> Arc<Watcher> {
    let shown = Mutex::new(None);
    Arc::new(move |now: Progress| {
        let percent = now.files * 100 / now.of.max(1);
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.replace(percent) != Some(percent) {
            show(now);
        }
    })
}
