//! The Coder: proposes small edits and corrects those that were refused.
//!
//! May edit source files of the repository within the guardrails. May not replace whole files, run commands, edit the
//! tests that prove the subtask, unless the analysis of a failure blames them, remove tests, or touch what decides how
//! tests run, unless the subtask names it.
//!
//! In: the subtask, its context pack, the tree as it is, and in later rounds the failure or the review. Out:
//! [`CodeOutput`]. An edit set is applied whole or not at all; nothing that was refused is in the tree.

use crate::ask::Conversation;
use crate::course;
use crate::edits::{self, Refusal};
use crate::guard;
use crate::prompt::Variables;
use crate::states;
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use async_trait::async_trait;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use toryo_code::EditSet;
use toryo_domain::output::{CodeOutput, Fault, ReproduceOutput, TestOutput};
use toryo_domain::plan::MERGED;
use toryo_domain::{EventType, FailureClass, Output, RepoPath, Role, Subtask};
use toryo_engine::{Agent, Failure, StepContext};

/// The agent.
pub struct Coder(pub Arc<Tools>);

#[async_trait]
impl Agent for Coder {
    fn role(&self) -> Role {
        Role::Coder
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let tools = &*self.0;
        let situation = Situation::of(ctx, tools).await?;
        let variables = situation.variables(ctx).await?;
        let mut conversation = Conversation::begin(ctx, tools, "code", variables)?;
        if course::has_changed(ctx, &situation.subtask.id) {
            conversation.take_another_route();
        }
        let done = propose(ctx, tools, &situation, conversation).await?;

        let start = states::start(ctx, &situation.base, &situation.subtask.id).await?;
        let diff = done.tree.diff_from(&start, |_| true).await?;
        let name = format!("{}.diff", ctx.step_key.to_string().replace([':', '#'], "-"));
        let diff = ctx.keep("diff", name, "text/x-diff; charset=utf-8", diff).await?;
        Ok(Output::Code(CodeOutput {
            changes: done.tree.to_change_set(&*ctx.blobs).await?,
            summary: done.set.summary,
            diff,
            edits: u32::try_from(done.set.edits.len()).unwrap_or(u32::MAX),
        }))
    }
}

/// What the Coder starts from.
struct Situation<'a> {
    subtask: Subtask,
    base: Tree,
    /// The tree without this subtask's change, with its tests.
    before: Tree,
    /// The tree as it is now.
    tree: Tree,
    reproduce: Option<&'a ReproduceOutput>,
    /// The test run or join that sent the work back.
    failed: Option<&'a TestOutput>,
    findings: Vec<String>,
    /// Test files that are proof and not to be touched.
    protected: BTreeSet<RepoPath>,
}

impl<'a> Situation<'a> {
    async fn of(ctx: &'a StepContext, tools: &Tools) -> Result<Self, Failure> {
        let subtask = texts::subtask_of(ctx)?;
        let id = subtask.id.as_str();
        let base = states::base(ctx, tools).await?;
        let before = match id {
            MERGED => base.base(),
            _ => states::before_change(ctx, &base, id).await?,
        };
        let tree = states::current(ctx, &base, id).await?;
        let reproduce = ctx.outputs.reproduce(id);
        let last_test = match id {
            MERGED => ctx.outputs.merge().and_then(|merge| merge.test.as_ref()),
            _ => ctx.outputs.test(id),
        };
        let failed = last_test.filter(|test| !test.passed);
        let findings = match ctx.outputs.critic(id) {
            Some(review) if failed.is_none() && !review.approved => {
                review.findings.iter().map(texts::finding).collect()
            }
            _ => Vec::new(),
        };
        let test_is_wrong = failed
            .and_then(|test| test.analysis.as_ref())
            .is_some_and(|analysis| analysis.at_fault == Fault::Test);
        let protected = if test_is_wrong { BTreeSet::new() } else { proofs(ctx, id)? };
        Ok(Self { subtask, base, before, tree, reproduce, failed, findings, protected })
    }

    async fn variables(&self, ctx: &StepContext) -> Result<Variables, Failure> {
        let is_code = |path: &RepoPath| !texts::is_test_path(path);
        let changed: Vec<RepoPath> = self
            .tree
            .changed_paths()
            .filter(|path| self.subtask.id == MERGED || is_code(path))
            .cloned()
            .collect();
        let current = texts::numbered_files(&self.tree, &changed).await?;
        let diff = self.tree.diff_from(&self.before, |_| true).await?;
        let proof = match self.reproduce {
            Some(_) => Some(self.before.diff_from(&self.base, texts::is_test_path).await?),
            None => None,
        };
        let analysis = self.failed.and_then(|test| test.analysis.as_ref());
        let conflicts = ctx.outputs.merge().filter(|_| self.subtask.id == MERGED);
        let conflicts: Vec<String> = conflicts
            .iter()
            .flat_map(|merge| &merge.conflicts)
            .map(|conflict| format!("{} ({}):\n{}", conflict.path, conflict.subtask, conflict.text))
            .collect();
        Ok(Variables::new()
            .with("subtask", texts::subtask(&self.subtask))
            .with("test_may_change", self.protected.is_empty() && self.reproduce.is_some())
            .with_some("messages", texts::messages(&ctx.messages))
            .with_some("guidance", texts::guidance(&self.base).await?)
            .with("pack", pack(ctx, &self.subtask.id).await?)
            .with_some("current", some(current))
            .with("must_pass", self.reproduce.map(|output| output.must_pass.clone()).unwrap_or_default())
            .with_some("proof", proof.and_then(some))
            .with_some("diff", some(diff))
            .with_some("failure", self.failed.map(|test| test.digest.clone()))
            .with_some("analysis", analysis.map(texts::analysis))
            .with("findings", self.findings.clone())
            .with_some("conflicts", some(conflicts.join("\n\n")))
            .with_some("dead_ends", course::dead_ends(ctx, &self.subtask.id)))
    }

    /// Edits that the role may not make, whatever they say.
    fn out_of_bounds(&self, set: &EditSet) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for (at, edit) in set.edits.iter().enumerate() {
            let Some(path) = edits::path_of(edit) else { continue };
            if self.protected.contains(&path) {
                let reason = "this test proves the subtask and is not yours to change; mend the code instead";
                refusals.push(Refusal::new(at, &edit.file_path, reason));
            } else if texts::is_test_infrastructure(&path) && !self.is_named(&path) {
                let reason = "this file decides how tests run, and the subtask does not name it; mend the code instead";
                refusals.push(Refusal::new(at, &edit.file_path, reason));
            }
        }
        refusals
    }

    /// Test files that an edited tree no longer has, however the edits removed them.
    fn lost_tests(&self, edited: &Tree) -> Vec<Refusal> {
        let lost = edited.paths_differing(&self.tree).into_iter().filter(|path| {
            texts::is_test_path(path) && self.tree.has(path) && !edited.has(path) && !self.is_named(path)
        });
        lost.map(|path| Refusal {
            path: Some(path.to_string()),
            ..Refusal::of_set(
                "test files are not removed unless the subtask names them; leave it where it is",
            )
        })
        .collect()
    }

    /// Whether the subtask itself says that this file is to change.
    fn is_named(&self, path: &RepoPath) -> bool {
        self.subtask.target_files.contains(path) || self.subtask.new_files.contains(path)
    }
}

/// The test files that prove the subtask; of the join those of all subtasks, but for files on which subtasks disagree:
/// nobody else could join these.
fn proofs(ctx: &StepContext, id: &str) -> Result<BTreeSet<RepoPath>, Failure> {
    let ids: Vec<&str> = match id {
        MERGED => states::plan(ctx)?.subtasks.iter().map(|subtask| subtask.id.as_str()).collect(),
        id => vec![id],
    };
    let conflicts = ctx.outputs.merge().filter(|_| id == MERGED);
    let conflicts: BTreeSet<&RepoPath> =
        conflicts.iter().flat_map(|merge| &merge.conflicts).map(|conflict| &conflict.path).collect();
    let tests = ids.into_iter().filter_map(|id| ctx.outputs.reproduce(id));
    Ok(tests
        .flat_map(|output| output.changes.files.keys())
        .filter(|path| texts::is_test_path(path) && !conflicts.contains(path))
        .cloned()
        .collect())
}

fn some(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

/// The context packs the Coder reads; for the join those of all subtasks.
async fn pack(ctx: &StepContext, subtask: &str) -> Result<String, Failure> {
    let ids: Vec<&str> = match subtask {
        MERGED => states::plan(ctx)?.subtasks.iter().map(|subtask| subtask.id.as_str()).collect(),
        id => vec![id],
    };
    let mut text = String::new();
    for id in ids {
        if let Some(output) = ctx.outputs.retrieve(id) {
            text.push_str(&String::from_utf8_lossy(&ctx.blobs.get(&output.pack).await?));
        }
    }
    Ok(text)
}

struct Done {
    set: EditSet,
    tree: Tree,
}

/// Asks until an edit set applies and the guardrails let it pass.
async fn propose(
    ctx: &StepContext,
    tools: &Tools,
    situation: &Situation<'_>,
    mut conversation: Conversation<'_>,
) -> Result<Done, Failure> {
    let rounds = conversation.manifest().limits.rounds;
    let mut guarded = 0;
    let mut last = Vec::new();
    for round in 1..=rounds {
        let set: EditSet = conversation.ask().await?;
        ctx.emit(EventType::EditProposed, edits::proposed(&set, round)).await?;
        let mut refusals = situation.out_of_bounds(&set);
        let mut tree = situation.tree.clone();
        if refusals.is_empty() {
            match edits::apply(&situation.tree, set.clone()).await? {
                Ok(edited) => {
                    refusals = situation.lost_tests(&edited);
                    tree = edited;
                }
                Err(refused) => refusals = refused,
            }
        }
        if refusals.is_empty() && tree.digest() == situation.tree.digest() {
            refusals.push(Refusal::of_set("the edits change nothing"));
        }
        if !refusals.is_empty() {
            ctx.emit(EventType::EditRejected, edits::rejected(&refusals, round)).await?;
            conversation.object(&edits::objection(&refusals));
            last = refusals;
            continue;
        }
        let verdict = guard::decide(ctx, tools, &situation.base, &tree).await?;
        if verdict.refused.is_empty() {
            let stats = edits::stats(&situation.tree, &tree).await?;
            let data =
                json!({ "round": round, "edits": set.edits.len(), "summary": set.summary, "files": stats });
            ctx.emit(EventType::EditApplied, data).await?;
            return Ok(Done { set, tree });
        }
        guarded += 1;
        let reasons = verdict.refused.join("; ");
        let data = json!({ "round": round, "refusals": [{ "reason": reasons }], "by": "policy" });
        ctx.emit(EventType::EditRejected, data).await?;
        if guarded > 1 || round == rounds {
            return Err(Failure::new(
                FailureClass::Policy,
                format!("the guardrails refuse the change: {reasons}"),
            ));
        }
        conversation.object(&format!(
            "The guardrails refuse this change, and nothing was applied: {reasons}\n\nAnswer with a whole edit set that keeps to them."
        ));
    }
    let text = last.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; ");
    Err(Failure::new(FailureClass::InvalidOutput, format!("the edits were refused {rounds} times: {text}")))
}
