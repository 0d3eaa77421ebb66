//! Search by meaning: chunks and their vectors, and the port to where vectors are kept.
//!
//! This crate embeds nothing. Whoever has a model embeds what [`Index::chunk_texts`] gives, keeps it in a
//! [`VectorStore`], asks that for the chunks nearest to a question, and passes them to
//! [`Index::retrieve`](crate::Index::retrieve) as [`Near`].

#[cfg(feature = "postgres")]
mod postgres;

#[cfg(feature = "postgres")]
pub use postgres::PostgresVectors;

use crate::index::Index;
use crate::kind::FileKind;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use toryo_domain::{FailureClass, RepoPath};

/// The digest of a chunk: see [`Chunk::digest`](crate::Chunk::digest).
pub type ChunkDigest = [u8; 16];

/// Most bytes of a chunk that are embedded: about 2,000 tokens. Models of embeddings read 256 to 8,192.
const LONGEST_TEXT: usize = 8_000;

/// A chunk that is near a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Which.
    pub digest: ChunkDigest,
    /// The cosine of the two vectors, -1 to 1.
    pub cosine: f32,
}

/// Keeps the vectors of one model. Adapters: `PostgresVectors` (feature `postgres`), [`MemoryVectors`].
#[async_trait]
pub trait VectorStore: Send + Sync + 'static {
    /// Which of these chunks have no vector yet.
    ///
    /// # Errors
    /// The store does not answer.
    async fn missing(&self, chunks: &[ChunkDigest]) -> Result<HashSet<ChunkDigest>, VectorError>;

    /// Keeps vectors of the length 1; those that are kept already stay.
    ///
    /// # Errors
    /// The store does not answer, or a vector has the wrong size.
    async fn keep(&self, vectors: Vec<(ChunkDigest, Vec<f32>)>) -> Result<(), VectorError>;

    /// Notes that a repository holds these chunks: [`nearest`](Self::nearest) looks at no others.
    ///
    /// # Errors
    /// The store does not answer.
    async fn note(&self, repository: &str, chunks: &[ChunkDigest]) -> Result<(), VectorError>;

    /// The `k` chunks of a repository, in whatever commit, that are nearest to a vector; nearest first.
    ///
    /// # Errors
    /// The store does not answer.
    async fn nearest(&self, repository: &str, question: &[f32], k: usize) -> Result<Vec<Near>, VectorError>;
}

/// Why vectors are not to be had. The search goes on without them.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// The store does not answer.
    #[error("the store of vectors does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A vector does not fit those that are kept.
    #[error("the vector has {got} numbers, not {expected}")]
    Size {
        /// Its numbers.
        got: usize,
        /// Those of the store's.
        expected: usize,
    },
}

impl VectorError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Unavailable(_) => FailureClass::Transient,
            Self::Size { .. } => FailureClass::Input,
        }
    }
}

impl Index {
    /// The chunks of the code of this commit, each once, ascending. Tests, prose, generated and copied files have
    /// none: they are rarely what has to change, and each costs money.
    #[must_use]
    pub fn chunk_digests(&self) -> Vec<ChunkDigest> {
        let digests: BTreeSet<ChunkDigest> = self
            .embedded_files()
            .flat_map(|(_, file)| file.chunks().iter().map(|chunk| chunk.digest))
            .collect();
        digests.into_iter().collect()
    }

    /// The texts of these chunks, each with the dotted path of what it shows before it, in the order of digests. A
    /// chunk whose file cannot be read is left out.
    pub fn chunk_texts(
        &self,
        chunks: &HashSet<ChunkDigest>,
        mut read: impl FnMut(&RepoPath) -> Option<String>,
    ) -> Vec<(ChunkDigest, String)> {
        let mut texts: BTreeMap<ChunkDigest, String> = BTreeMap::new();
        for (_, file) in self.embedded_files() {
            let wanted = |digest: &ChunkDigest| chunks.contains(digest) && !texts.contains_key(digest);
            if !file.chunks().iter().any(|chunk| wanted(&chunk.digest)) {
                continue;
            }
            let Some(text) = read(&file.path) else { continue };
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            for chunk in file.chunks() {
                let last = (chunk.last_line as usize).min(lines.len());
                let Some(lines) = lines.get(chunk.first_line as usize - 1..last) else { continue };
                if !chunks.contains(&chunk.digest) {
                    continue;
                }
                let symbol = chunk.symbol.and_then(|symbol| self.symbols_in(file).get(symbol as usize));
                let title = symbol.map_or("", |symbol| &*symbol.path);
                texts.entry(chunk.digest).or_insert_with(|| shown(title, lines));
            }
        }
        texts.into_iter().collect()
    }

    fn embedded_files(&self) -> impl Iterator<Item = (usize, &crate::IndexedFile)> {
        let files = self.files.iter().enumerate();
        files.filter(|(_, file)| matches!(file.kind, FileKind::Code | FileKind::Example))
    }
}

fn shown(title: &str, lines: &[&str]) -> String {
    let mut text = if title.is_empty() { String::new() } else { format!("{title}\n") };
    text.extend(lines.iter().copied());
    let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// How near the parts of an index are to a question: 1 at the nearest chunk, 0 from the last one of the list on.
#[derive(Debug, Default)]
pub(crate) struct Meaning {
    /// By file.
    pub(crate) files: HashMap<u32, f64>,
    /// By symbol.
    pub(crate) symbols: HashMap<u32, f64>,
}

impl Meaning {
    pub(crate) fn of(index: &Index, near: &[Near]) -> Self {
        let cosines: HashMap<ChunkDigest, f64> =
            near.iter().map(|near| (near.digest, f64::from(near.cosine))).collect();
        let mut found = Vec::new();
        for (number, file) in index.embedded_files().filter(|_| !cosines.is_empty()) {
            for chunk in file.chunks() {
                if let Some(cosine) = cosines.get(&chunk.digest) {
                    found.push((
                        number as u32,
                        chunk.symbol.map(|symbol| file.symbols.start + symbol),
                        *cosine,
                    ));
                }
            }
        }
        let top = found.iter().map(|(_, _, cosine)| *cosine).fold(f64::NEG_INFINITY, f64::max);
        let floor = found.iter().map(|(_, _, cosine)| *cosine).fold(f64::INFINITY, f64::min);
        let mut meaning = Self::default();
        for (file, symbol, cosine) in found {
            let share = if top > floor { (cosine - floor) / (top - floor) } else { 1.0 };
            let best = meaning.files.entry(file).or_default();
            *best = best.max(share);
            if let Some(symbol) = symbol {
                let best = meaning.symbols.entry(symbol).or_default();
                *best = best.max(share);
            }
        }
        meaning
    }
}

/// The fake: vectors in memory, every chunk compared.
#[derive(Debug, Default)]
pub struct MemoryVectors {
    kept: std::sync::Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    vectors: BTreeMap<ChunkDigest, Vec<f32>>,
    held: HashMap<String, BTreeSet<ChunkDigest>>,
}

impl MemoryVectors {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl VectorStore for MemoryVectors {
    async fn missing(&self, chunks: &[ChunkDigest]) -> Result<HashSet<ChunkDigest>, VectorError> {
        let kept = self.kept();
        Ok(chunks.iter().filter(|chunk| !kept.vectors.contains_key(*chunk)).copied().collect())
    }

    async fn keep(&self, vectors: Vec<(ChunkDigest, Vec<f32>)>) -> Result<(), VectorError> {
        let mut kept = self.kept();
        for (digest, vector) in vectors {
            let expected = kept.vectors.values().next().map_or(vector.len(), Vec::len);
            if vector.len() != expected {
                return Err(VectorError::Size { got: vector.len(), expected });
            }
            kept.vectors.entry(digest).or_insert(vector);
        }
        Ok(())
    }

    async fn note(&self, repository: &str, chunks: &[ChunkDigest]) -> Result<(), VectorError> {
        self.kept().held.entry(repository.to_owned()).or_default().extend(chunks);
        Ok(())
    }

    async fn nearest(&self, repository: &str, question: &[f32], k: usize) -> Result<Vec<Near>, VectorError> {
        let kept = self.kept();
        let held = kept.held.get(repository);
        let vectors =
            kept.vectors.iter().filter(|(digest, _)| held.is_some_and(|held| held.contains(*digest)));
        let mut near: Vec<Near> = vectors
            .map(|(digest, vector)| {
                let cosine = vector.iter().zip(question).map(|(a, b)| a * b).sum();
                Near { digest: *digest, cosine }
            })
            .collect();
        near.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.digest.cmp(&b.digest)));
        near.truncate(k);
        Ok(near)
    }
}

#[cfg(test)]
mod tests;
