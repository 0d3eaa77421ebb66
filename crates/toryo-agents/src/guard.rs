//! What the guardrails say about a change.

use crate::repository::RepositorySettings;
use crate::texts;
use crate::tools::Tools;
use crate::tree::{File, Tree};
use serde_json::json;
use toryo_domain::{EventType, FailureClass, Finding, RepoPath, Severity};
use toryo_engine::{Failure, StepContext};
use toryo_policy::ProposedChange;

/// The judgement of a cumulative change.
pub(crate) struct Verdict {
    /// Why it may not be; empty where it may.
    pub(crate) refused: Vec<String>,
    /// What people should know; goes into the review.
    pub(crate) findings: Vec<Finding>,
}

/// Judges as [`judge`] does and tells everybody.
///
/// # Errors
/// As [`judge`]; the blackboard does not answer.
pub(crate) async fn decide(
    ctx: &StepContext,
    tools: &Tools,
    base: &Tree,
    tree: &Tree,
) -> Result<Verdict, Failure> {
    let verdict = judge(tools, base, tree).await?;
    let decision = if verdict.refused.is_empty() { "allow" } else { "refuse" };
    let data = json!({ "decision": decision, "refused": verdict.refused, "findings": verdict.findings });
    ctx.emit(EventType::PolicyDecision, data).await?;
    Ok(verdict)
}

/// Judges everything a tree changes against its base commit, by the operator's guardrails as the repository tightens them.
///
/// # Errors
/// The tree cannot be read, or a pattern of the guardrails is wrong.
pub(crate) async fn judge(tools: &Tools, base: &Tree, tree: &Tree) -> Result<Verdict, Failure> {
    let rules = RepositorySettings::of(base).await?.guardrails;
    let mut changed: Vec<(RepoPath, Option<File>, Option<File>)> = Vec::new();
    for path in tree.paths_differing(base) {
        let (before, after) = (base.read(&path).await?, tree.read(&path).await?);
        if before != after {
            changed.push((path, before, after));
        }
    }
    let proposed: Vec<ProposedChange<'_>> = changed
        .iter()
        .map(|(path, before, after)| {
            let before = before.as_ref().map(|file| &*file.bytes);
            let after = after.as_ref().map(|file| &*file.bytes);
            let (added, removed) = toryo_code::diff::stats(before, after);
            let count = |lines| u32::try_from(lines).unwrap_or(u32::MAX);
            ProposedChange { path, before, after, added: count(added), removed: count(removed) }
        })
        .collect();
    let wrong = |error: toryo_policy::BadGuardrails| Failure::from_error(FailureClass::Input, &error);
    let verdict = tools.guardrails.tightened_by(&rules).judge(&proposed).map_err(wrong)?;
    let (refused, findings): (Vec<Finding>, Vec<Finding>) =
        verdict.findings.into_iter().partition(|finding| finding.severity == Severity::Blocking);
    Ok(Verdict { refused: refused.iter().map(texts::finding).collect(), findings })
}
