//! Vectors in the blackboard's Postgres, with pgvector.

use super::{ChunkDigest, Near, VectorError, VectorStore};
use async_trait::async_trait;
use std::collections::HashSet;
use toryo_blackboard::embeddings::{self, EmbeddingModel};
use toryo_blackboard::{Db, Error};

/// The vectors of one model.
#[derive(Debug, Clone)]
pub struct PostgresVectors {
    db: Db,
    model: EmbeddingModel,
    dimensions: usize,
}

impl PostgresVectors {
    /// The vectors of the model of this name; the first call of all makes their index.
    ///
    /// # Errors
    /// The database does not answer, or keeps vectors of another size under this name.
    pub async fn open(db: Db, model: &str, dimensions: u32) -> Result<Self, VectorError> {
        let model = embeddings::model(&db, model, dimensions).await.map_err(unavailable)?;
        Ok(Self { db, model, dimensions: dimensions as usize })
    }

    fn check(&self, vector: &[f32]) -> Result<(), VectorError> {
        match vector.len() {
            got if got == self.dimensions => Ok(()),
            got => Err(VectorError::Size { got, expected: self.dimensions }),
        }
    }
}

fn unavailable(error: Error) -> VectorError {
    VectorError::Unavailable(Box::new(error))
}

#[async_trait]
impl VectorStore for PostgresVectors {
    async fn missing(&self, chunks: &[ChunkDigest]) -> Result<HashSet<ChunkDigest>, VectorError> {
        embeddings::missing(&self.db, self.model, chunks).await.map_err(unavailable)
    }

    async fn keep(&self, vectors: Vec<(ChunkDigest, Vec<f32>)>) -> Result<(), VectorError> {
        vectors.iter().try_for_each(|(_, vector)| self.check(vector))?;
        embeddings::insert(&self.db, self.model, &vectors).await.map_err(unavailable)
    }

    async fn note(&self, repository: &str, chunks: &[ChunkDigest]) -> Result<(), VectorError> {
        embeddings::note_uses(&self.db, repository, chunks).await.map_err(unavailable)
    }

    async fn nearest(&self, repository: &str, question: &[f32], k: usize) -> Result<Vec<Near>, VectorError> {
        self.check(question)?;
        let near = embeddings::nearest(&self.db, self.model, repository, question, k).await;
        let near = near.map_err(unavailable)?;
        Ok(near.into_iter().map(|(digest, cosine)| Near { digest, cosine }).collect())
    }
}
