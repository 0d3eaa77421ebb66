//! Guardrails on edits, and masking of secrets in everything that leaves Toryo.
//!
//! Pure functions on text: this crate does **no I/O**, knows no agent and asks no model. [`guardrails`] decides
//! whether a change may become a pull request, [`mask`] takes secrets out of texts, [`pii`] finds them and
//! personal data place by place, [`untrusted`] cleans and fences texts that others wrote before a model reads them.

mod constructs;
pub mod guardrails;
pub mod mask;
pub mod pii;
mod secrets;
pub mod untrusted;

pub use guardrails::{BadGuardrails, Decision, Guardrails, ProposedChange, RepoRules, Ruleset, Verdict};
pub use mask::Masker;
