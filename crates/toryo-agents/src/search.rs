//! Looking things up in the code index of the commit the run started from.

use crate::failures::forge;
use crate::tools::Tools;
use crate::tree::Tree;
use std::sync::Arc;
use toryo_engine::{Failure, StepContext};
use toryo_index::{BuildOptions, ContextPack, Index, PackRequest, PastCommit};

/// How many past commits the index reads; what they changed together says what belongs together.
const HISTORY: usize = 500;

/// The index of the run's base commit, built once a process.
///
/// # Errors
/// The commit cannot be read.
pub(crate) async fn index(ctx: &StepContext, tools: &Tools, tree: &Tree) -> Result<Arc<Index>, Failure> {
    let base = tree.base();
    let files = base.workspace_files().await?;
    let log = base.mirror().log(base.commit(), HISTORY).await.map_err(forge)?;
    let history =
        log.into_iter().map(|entry| PastCommit { subject: entry.subject, paths: entry.paths }).collect();
    let options = BuildOptions { history, ..BuildOptions::default() };
    let (indexes, repository) = (tools.indexes.clone(), ctx.task.wish.repo_url.clone());
    let commit = base.commit().to_string();
    let build = move || {
        indexes.get_or_build(&repository, &commit, || {
            let files = files.into_iter().map(|file| (file.path, file.content.to_vec()));
            Ok::<_, std::convert::Infallible>(Index::build(files, &options))
        })
    };
    match tokio::task::spawn_blocking(build).await {
        Ok(Ok(index)) => Ok(index),
        Err(error) => Err(Failure::bug(format!("building the index ended early: {error}"))),
    }
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
