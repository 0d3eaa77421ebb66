//! Doubles that speak the real wire protocols, and the stack for integration tests.

pub mod embeddings;
pub mod openai;
pub mod process;
pub mod proxy;
pub mod samples;
pub mod stack;
pub mod upstream;
