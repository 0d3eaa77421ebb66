//! Search by meaning beside the search by words: embeds what has no vector yet and asks for what is near.
//!
//! What was near is kept as an artifact of the step, so that a run executed again sees the same, whatever was
//! embedded since. Nothing here can fail a step: without vectors the search goes by words alone.

use crate::tools::Tools;
use crate::tree::Tree;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_domain::{FailureClass, StepKey};
use toryo_engine::{Failure, StepContext};
use toryo_index::Index;
use toryo_index::vectors::{ChunkDigest, Near, VectorError, VectorStore};
use toryo_models::embeddings::{Embedder, TextKind};

/// The kind of the artifact that says what was near.
pub const ARTIFACT: &str = "nearest";

/// Most chunks asked for. The score falls to nothing at the last of them, and of 50, 200 and 500 the longest list
/// ranked best (`docs/benchmarks.md`).
const MOST_NEAR: usize = 500;
/// A step waits so long for chunks to be embedded, then searches what there is; the rest is embedded by later steps
/// or when the repository is indexed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where nearness in meaning comes from.
#[derive(Default)]
pub enum Meaning {
    /// Nowhere: no model of embeddings is configured.
    #[default]
    Off,
    /// A model and the vectors it made.
    Live(Box<Vectors>),
    /// What steps saw when they were executed first.
    Recorded(HashMap<StepKey, Vec<Near>>),
}

impl fmt::Debug for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Live(_) => "Live",
            Self::Recorded(_) => "Recorded",
        })
    }
}

/// A model of embeddings and the vectors it made.
#[derive(Clone)]
pub struct Vectors {
    /// The model.
    pub embedder: Embedder,
    /// Its vectors.
    pub store: Arc<dyn VectorStore>,
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model failed.
    #[error("the model of embeddings failed")]
    Model(#[from] toryo_models::Error),
    /// The store failed.
    #[error("the vectors cannot be used")]
    Store(#[from] VectorError),
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Model(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

/// A line of the artifact.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    chunk: String,
    cosine: f32,
}

/// What an artifact of [`near`] says; `None` where it is none.
#[must_use]
pub fn read(artifact: &[u8]) -> Option<Vec<Near>> {
    let rows: Vec<Row> = serde_json::from_slice(artifact).ok()?;
    let near = |row: Row| {
        let digest = (0..16).map(|at| u8::from_str_radix(row.chunk.get(2 * at..2 * at + 2)?, 16).ok());
        let digest: Option<Vec<u8>> = digest.collect();
        Some(Near { digest: digest?.try_into().ok()?, cosine: row.cosine })
    };
    rows.into_iter().map(near).collect()
}

fn written(near: &[Near]) -> Vec<u8> {
    let hex = |digest: &ChunkDigest| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let rows: Vec<Row> =
        near.iter().map(|near| Row { chunk: hex(&near.digest), cosine: near.cosine }).collect();
    // Strings and finite numbers always have a JSON form.
    serde_json::to_vec(&rows).unwrap_or_default()
}

/// The chunks of a tree's commit that are near a question; none where no model is configured or it fails.
///
/// # Errors
/// The artifact cannot be kept, or the step was cancelled.
pub(crate) async fn near(
    ctx: &StepContext,
    tools: &Tools,
    tree: &Tree,
    index: &Arc<Index>,
    question: &str,
) -> Result<Vec<Near>, Failure> {
    let near = match &tools.meaning {
        Meaning::Off => return Ok(Vec::new()),
        Meaning::Recorded(steps) => match steps.get(&ctx.step_key) {
            Some(near) => near.clone(),
            None => return Ok(Vec::new()),
        },
        Meaning::Live(vectors) => {
            let repository = &ctx.task.wish.repo_url;
            let search = vectors.search(tools, repository, tree, index, question, &ctx.cancel);
            match search.await {
                Ok(near) => near,
                Err(error) => {
                    ctx.checkpoint()?;
                    let run = ctx.run_id;
                    tracing::warn!(%run, error = %chain(&error), "run {run} searches by words alone");
                    return Ok(Vec::new());
                }
            }
        }
    };
    ctx.keep(ARTIFACT, "nearest.json", "application/json", written(&near)).await?;
    Ok(near)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

impl Vectors {
    async fn search(
        &self,
        tools: &Tools,
        repository: &str,
        tree: &Tree,
        index: &Arc<Index>,
        question: &str,
        cancel: &CancellationToken,
    ) -> Result<Vec<Near>, Error> {
        let filling = self.fill(tools, repository, tree, index, cancel);
        if let Ok(filled) = tokio::time::timeout(PATIENCE, filling).await {
            filled?;
        }
        let question = tools.mask(question);
        let vector = self.embedder.embed(&[question], TextKind::Query, cancel).await?;
        let vector = vector.into_iter().next().unwrap_or_default();
        Ok(self.store.nearest(repository, &vector, MOST_NEAR).await?)
    }

    /// Embeds the chunks of a commit that have no vector yet, batch by batch: what was embedded stays embedded when
    /// this is dropped or fails.
    ///
    /// # Errors
    /// The model or the store fails.
    pub(crate) async fn fill(
        &self,
        tools: &Tools,
        repository: &str,
        tree: &Tree,
        index: &Arc<Index>,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        let chunks = index.chunk_digests();
        self.store.note(repository, &chunks).await?;
        let missing = self.store.missing(&chunks).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let texts = texts(index, tree, missing).await;
        for batch in texts.chunks(self.embedder.batch()) {
            let masked: Vec<String> = batch.iter().map(|(_, text)| tools.mask(text)).collect();
            let vectors = self.embedder.embed(&masked, TextKind::Passage, cancel).await?;
            let digests = batch.iter().map(|(digest, _)| *digest);
            self.store.keep(digests.zip(vectors).collect()).await?;
        }
        Ok(())
    }
}

async fn texts(index: &Arc<Index>, tree: &Tree, chunks: HashSet<ChunkDigest>) -> Vec<(ChunkDigest, String)> {
    let (index, tree) = (Arc::clone(index), tree.clone());
    let runtime = tokio::runtime::Handle::current();
    let cut =
        move || index.chunk_texts(&chunks, |path| runtime.block_on(tree.read_text(path)).ok().flatten());
    tokio::task::spawn_blocking(cut).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_near_is_read_as_it_was_written() {
        let near =
            [Near { digest: [0xab; 16], cosine: 0.123_456_79 }, Near { digest: [0x01; 16], cosine: -0.5 }];
        assert_eq!(read(&written(&near)).as_deref(), Some(&near[..]));
        assert_eq!(read(&written(&[])).as_deref(), Some(&[][..]));
        for wrong in ["", "{}", r#"[{"chunk":"zz","cosine":1}]"#, r#"[{"chunk":"00","cosine":1}]"#] {
            assert_eq!(read(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
