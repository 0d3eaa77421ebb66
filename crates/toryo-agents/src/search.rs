//! Looking things up in the code index of the commit the run started from.

use crate::failures::forge;
use crate::indexing::{self, Request};
use crate::meaning::Meaning;
use crate::tools::Tools;
use crate::tree::Tree;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use toryo_domain::{CommitId, FailureClass};
use toryo_engine::Failure;
use toryo_forge::Mirror;
use toryo_index::{BuildError, ContextPack, Index, PackRequest};

/// How many past commits the index reads; what they changed together says what belongs together.
const HISTORY: usize = 500;

/// The index of a commit, built once for all workers that share the records.
///
/// # Errors
/// The commit cannot be read.
pub async fn index_commit(tools: &Tools, mirror: &Mirror, commit: &CommitId) -> Result<Arc<Index>, Failure> {
    let request = Request { mirror: mirror.clone(), commit: commit.clone(), history: HISTORY };
    match indexing::index(&tools.indexes, request, Arc::new(|_| {})).await {
        Ok(indexed) => Ok(indexed.index),
        Err(BuildError::Read(error)) => Err(forge(error)),
        Err(error @ BuildError::Cancelled) => Err(Failure::new(FailureClass::Cancelled, error.to_string())),
        Err(error @ BuildError::Missing { .. }) => Err(Failure::bug(error.to_string())),
    }
}

/// Embeds the code of a commit, where a model of embeddings is configured, so that its next run need not wait.
///
/// # Errors
/// The commit cannot be read, or the model or the store of vectors fails; what was embedded stays so.
pub async fn embed_commit(
    tools: &Tools,
    repo_url: &str,
    mirror: &Mirror,
    commit: &CommitId,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let Meaning::Live(vectors) = &tools.meaning else { return Ok(()) };
    let index = index_commit(tools, mirror, commit).await?;
    let tree = Tree::of_commit(mirror.clone(), commit.clone()).await?;
    vectors.fill(tools, repo_url, &tree, &index, cancel).await.map_err(|error| {
        let class = error.class();
        Failure::new(class, error.to_string())
    })
}

/// The index of a tree's base commit.
///
/// # Errors
/// The commit cannot be read.
pub(crate) async fn index(tools: &Tools, tree: &Tree) -> Result<Arc<Index>, Failure> {
    index_commit(tools, tree.mirror(), tree.commit()).await
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
