//! Edit sets on trees: whole or not at all, with refusals worded for the model.

use crate::tree::Tree;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use toryo_code::{EditResult, EditSet, ProposeEdit, Status};
use toryo_domain::RepoPath;
use toryo_engine::Failure;

/// Most candidates that a refusal names.
const MOST_CANDIDATES: usize = 8;
/// How a secret in a prompt begins: `[masked:KIND]` stands in its place.
const MASK: &str = "[masked:";
/// Longest patch in an event, in characters; the whole one is in the reply's artifact.
const LONGEST_PATCH: usize = 2_000;

/// Why an edit, or a whole set, was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which edit, counted from 0; `None` for the set as a whole.
    pub edit: Option<usize>,
    /// Its file.
    pub path: Option<String>,
    /// What is wrong and what would be right.
    pub reason: String,
    /// Places that may have been meant.
    pub candidates: Vec<String>,
}

impl Refusal {
    /// Of one edit.
    #[must_use]
    pub fn new(edit: usize, path: &str, reason: &str) -> Self {
        Self { edit: Some(edit), path: Some(path.to_owned()), reason: reason.to_owned(), candidates: vec![] }
    }

    /// Of the whole set.
    #[must_use]
    pub fn of_set(reason: &str) -> Self {
        Self { edit: None, path: None, reason: reason.to_owned(), candidates: vec![] }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(edit) = self.edit {
            write!(f, "edit {}: ", edit + 1)?;
        }
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.reason)?;
        if !self.candidates.is_empty() {
            write!(f, "; candidates: {}", self.candidates.join(", "))?;
        }
        Ok(())
    }
}

/// The edit's path, where it is one inside the repository.
#[must_use]
pub fn path_of(edit: &ProposeEdit) -> Option<RepoPath> {
    edit.file_path.parse().ok()
}

/// What the model is told about refusals.
#[must_use]
pub fn objection(refusals: &[Refusal]) -> String {
    let list: Vec<String> = refusals.iter().map(|refusal| format!("* {refusal}")).collect();
    format!(
        "These edits were refused, and nothing of the set was applied:\n\n{}\n\nAnswer with the whole corrected edit set.",
        toryo_policy::untrusted::fence("refusals", &crate::prompt::cap(&list.join("\n"), 2_000))
    )
}

/// The event data of a proposed set.
#[must_use]
pub fn proposed(set: &EditSet, round: u32) -> Value {
    proposed_list(&set.edits, &set.summary, round)
}

/// The event data of proposed edits.
#[must_use]
pub fn proposed_list(edits: &[ProposeEdit], summary: &str, round: u32) -> Value {
    let edit = |edit: &ProposeEdit| {
        let mut shown = json!(edit);
        if let Some(patch) = shown.get("patch").and_then(Value::as_str) {
            shown["patch"] = toryo_sandbox::clip(patch, LONGEST_PATCH / 2, LONGEST_PATCH / 2).into();
        }
        shown
    };
    json!({ "round": round, "summary": summary, "edits": edits.iter().map(edit).collect::<Vec<_>>() })
}

/// The event data of refused edits.
#[must_use]
pub fn rejected(refusals: &[Refusal], round: u32) -> Value {
    let refusal = |refusal: &Refusal| {
        json!({
            "edit": refusal.edit.map(|edit| edit + 1),
            "file_path": refusal.path,
            "reason": refusal.reason,
            "candidates": refusal.candidates,
        })
    };
    json!({ "round": round, "refusals": refusals.iter().map(refusal).collect::<Vec<_>>() })
}

/// Lines added and removed by file.
///
/// # Errors
/// A tree cannot be read.
pub async fn stats(before: &Tree, after: &Tree) -> Result<Value, Failure> {
    let mut files = Vec::new();
    for path in after.paths_differing(before) {
        let (old, new) = (before.read(&path).await?, after.read(&path).await?);
        if old != new {
            let bytes = |file: &Option<crate::tree::File>| file.as_ref().map(|file| file.bytes.clone());
            let (added, removed) = toryo_code::diff::stats(bytes(&old).as_deref(), bytes(&new).as_deref());
            files.push(json!({ "path": path, "added": added, "removed": removed }));
        }
    }
    Ok(Value::Array(files))
}

/// Edits whose patch holds the mark of a masked secret: written back, the mark would replace the secret in the file.
fn masked(set: &EditSet) -> Vec<Refusal> {
    let holds_mask = |edit: &ProposeEdit| {
        // A patch is text or operations; the mark has no character that JSON escapes.
        serde_json::to_string(&edit.patch).is_ok_and(|patch| patch.contains(MASK))
    };
    let masked = set.edits.iter().enumerate().filter(|(_, edit)| holds_mask(edit));
    masked
        .map(|(at, edit)| {
            let reason = "the patch holds `[masked:…]`, which is not in the file: it stands for a secret that you are not shown. \
                          Leave that line as it is and edit the lines around it by `line_range`, so that no patch holds the mark";
            Refusal::new(at, &edit.file_path, reason)
        })
        .collect()
}

/// Applies an edit set to a tree: the new tree, or why none of it was applied.
///
/// # Errors
/// The tree cannot be read.
pub async fn apply(tree: &Tree, set: EditSet) -> Result<Result<Tree, Vec<Refusal>>, Failure> {
    let masked = masked(&set);
    if !masked.is_empty() {
        return Ok(Err(masked));
    }
    let mut contents = BTreeMap::new();
    for path in set.edits.iter().filter_map(path_of) {
        if let Some(file) = tree.read(&path).await? {
            contents.insert(path, file.bytes.to_vec());
        }
    }
    // Parsing is CPU bound, and a hostile patch may take its time.
    let work = move || toryo_code::apply(&set, &contents);
    let applied = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::bug(format!("applying edits ended early: {error}")))?;
    let Some(changes) = applied.changes else {
        return Ok(Err(refusals(&applied.results)));
    };
    let mut edited = tree.clone();
    for change in changes {
        match change.after {
            Some(bytes) => edited.write(change.path, bytes),
            None => edited.remove(change.path),
        }
    }
    Ok(Ok(edited))
}

/// What was refused for its own sake; edits that only shared the set's fate are left out.
fn refusals(results: &[EditResult]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for (at, result) in results.iter().enumerate() {
        let Status::Refused { reason, candidates } = &result.status else { continue };
        if *reason == toryo_code::Refusal::OthersRefused {
            continue;
        }
        let candidates =
            candidates.iter().take(MOST_CANDIDATES).map(|candidate| match candidate.symbol.as_str() {
                "" => format!("line {}: {}", candidate.line, candidate.text),
                symbol => format!("`{symbol}` at line {}: {}", candidate.line, candidate.text),
            });
        refusals.push(Refusal {
            candidates: candidates.collect(),
            ..Refusal::new(at, &result.file_path, &reason.to_string())
        });
    }
    refusals
}
