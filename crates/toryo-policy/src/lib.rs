//! Guardrails on edits, and masking of secrets in everything that leaves Toryo.
