//! Looking things up in the code index of the commit the run started from.

use crate::failures::forge;
use crate::tools::Tools;
use crate::tree::Tree;
use std::sync::Arc;
use toryo_domain::CommitId;
use toryo_engine::Failure;
use toryo_forge::Mirror;
use toryo_index::{BuildOptions, ContextPack, Index, PackRequest, PastCommit};

/// How many past commits the index reads; what they changed together says what belongs together.
const HISTORY: usize = 500;

/// The index of a commit, built once a process.
///
/// # Errors
/// The commit cannot be read.
pub async fn index_commit(tools: &Tools, mirror: &Mirror, commit: &CommitId) -> Result<Arc<Index>, Failure> {
    let tree = Tree::of_commit(mirror.clone(), commit.clone()).await?;
    index(tools, &tree).await
}

/// The index of a tree's base commit.
///
/// # Errors
/// The commit cannot be read.
pub(crate) async fn index(tools: &Tools, tree: &Tree) -> Result<Arc<Index>, Failure> {
    let base = tree.base();
    let log = base.mirror().log(base.commit(), HISTORY).await.map_err(forge)?;
    let history =
        log.into_iter().map(|entry| PastCommit { subject: entry.subject, paths: entry.paths }).collect();
    let options = BuildOptions { history, ..BuildOptions::default() };
    let indexes = tools.indexes.clone();
    let runtime = tokio::runtime::Handle::current();
    let build = move || {
        let repository = base.mirror().path().to_string_lossy().into_owned();
        indexes.get_or_build(&repository, base.commit().as_str(), || {
            let files = runtime.block_on(base.workspace_files())?;
            let files = files.into_iter().map(|file| (file.path, file.content.to_vec()));
            Ok(Index::build(files, &options))
        })
    };
    tokio::task::spawn_blocking(build)
        .await
        .map_err(|error| Failure::bug(format!("building the index ended early: {error}")))?
}

/// Cuts a pack from a tree. The index says what, the tree where.
///
/// # Errors
/// The tree cannot be read.
pub(crate) async fn pack(
    index: &Arc<Index>,
    tree: &Tree,
    request: PackRequest,
) -> Result<ContextPack, Failure> {
    let (index, tree) = (Arc::clone(index), tree.clone());
    let runtime = tokio::runtime::Handle::current();
    let cut = move || {
        // A file that cannot be read is shown as one that is not there; the pack says so.
        index.pack(&request, |path| runtime.block_on(tree.read_text(path)).ok().flatten())
    };
    tokio::task::spawn_blocking(cut)
        .await
        .map_err(|error| Failure::bug(format!("cutting the context ended early: {error}")))
}
