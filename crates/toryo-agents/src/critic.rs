//! The Critic: reviews a subtask's change and its tests against the criteria, each on its own.
//!
//! May read the change, its tests, and their output with and without the change. May not change anything. A blocking finding
//! causes a revision; others go into the pull request. What the guardrails find is reported beside it.
//!
//! In: the subtask and its latest code and test; of the join, its tree and the specification's criteria. Out: [`CriticOutput`].

use crate::ask::Conversation;
use crate::failures::missing;
use crate::guard;
use crate::prompt::Variables;
use crate::replies::{Review, ReviewFinding};
use crate::states;
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use toryo_domain::output::{CriticOutput, ReproduceOutput, TestOutput};
use toryo_domain::plan::MERGED;
use toryo_domain::{EventType, Finding, Output, RepoPath, Role, Severity, Subtask};
use toryo_engine::{Agent, Failure, StepContext};

/// What `prompts/review.md` shows of the change and of its tests, in tokens.
const DIFF_TOKENS: usize = 8_000;
const TEST_DIFF_TOKENS: usize = 4_000;
/// Characters kept from the start and as many from the end of a log.
const LOG_END: usize = 5_000;

/// The agent.
pub struct Critic(pub Arc<Tools>);

#[async_trait]
impl Agent for Critic {
    fn role(&self) -> Role {
        Role::Critic
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let tools = &*self.0;
        let matter = Matter::of(ctx, tools).await?;
        let mut conversation = Conversation::begin(ctx, tools, "review", matter.variables(ctx).await?)?;
        let mut review: Review = conversation.ask().await?;
        let criteria = matter.subtask.acceptance_criteria.len();
        if let Some(objection) = objection(&review, criteria) {
            conversation.object(&objection);
            review = conversation.ask().await?;
        }

        let mut findings = findings(&review, criteria);
        findings.extend(only_partly("diff", &matter.diff, DIFF_TOKENS));
        findings.extend(only_partly("test diff", &matter.test_diff, TEST_DIFF_TOKENS));
        findings.extend(matter.checks);
        for finding in &findings {
            ctx.emit(EventType::ReviewFinding, json!(finding)).await?;
        }
        Ok(Output::Critic(CriticOutput {
            approved: findings.iter().all(|finding| finding.severity != Severity::Blocking),
            patch_verdict: review.patch_verdict,
            test_verdict: review.test_verdict,
            findings,
        }))
    }
}

/// What is reviewed.
struct Matter<'a> {
    subtask: Subtask,
    base: Tree,
    /// The change without tests.
    diff: String,
    test_diff: String,
    test: &'a TestOutput,
    /// What the guardrails found.
    checks: Vec<Finding>,
}

impl<'a> Matter<'a> {
    async fn of(ctx: &'a StepContext, tools: &Tools) -> Result<Self, Failure> {
        let mut subtask = texts::subtask_of(ctx)?;
        let id = subtask.id.as_str();
        let base = states::base(ctx, tools).await?;
        let tree = states::current(ctx, &base, id).await?;
        // Of the join everything is new since the commit the run started from.
        let (before, start, test) = match id {
            MERGED => (base.base(), base.base(), ctx.outputs.merge().and_then(|merge| merge.test.as_ref())),
            _ => (
                states::before_change(ctx, &base, id).await?,
                states::start(ctx, &base, id).await?,
                ctx.outputs.test(id),
            ),
        };
        let is_code = |path: &RepoPath| !texts::is_test_path(path);
        let diff = tree.diff_from(&before, is_code).await?;
        let test_diff = tree.diff_from(&start, texts::is_test_path).await?;
        let checks = guard::judge(tools, &base, &tree).await?.findings;
        if id == MERGED {
            subtask.title = "The changes of all subtasks, joined".to_owned();
            subtask.description =
                "Each subtask was reviewed on its own. Review the whole: whether the parts work together, \
                                   whether joining them lost or broke something, and whether the goal is met."
                    .to_owned();
        }
        let test = test.ok_or_else(|| missing("test run"))?;
        Ok(Self { subtask, base, diff, test_diff, test, checks })
    }

    async fn variables(&self, ctx: &StepContext) -> Result<Variables, Failure> {
        let earlier = ctx.outputs.critic(&self.subtask.id);
        let earlier = earlier.map(|review| review.findings.iter().map(texts::finding).collect());
        let test_diff = if self.test_diff.is_empty() { "(none)" } else { self.test_diff.as_str() };
        Ok(Variables::new()
            .with("subtask", texts::subtask(&self.subtask))
            .with_some("guidance", texts::guidance(&self.base).await?)
            .with("diff", self.diff.as_str())
            .with("test_diff", test_diff)
            .with("before", without_the_change(ctx, &self.subtask.id).await?)
            .with("after", format!("{}\n\n{}", texts::summary(&self.test.summary), self.test.digest))
            .with("checks", self.checks.iter().map(texts::finding).collect::<Vec<_>>())
            .with_some("earlier", earlier.filter(|list: &Vec<String>| !list.is_empty())))
    }
}

/// What the tests did without the change; of the join, subtask by subtask and without their output.
async fn without_the_change(ctx: &StepContext, id: &str) -> Result<String, Failure> {
    const NONE: &str = "No test was written first; the existing tests are the proof.";
    let seen = |output: &ReproduceOutput| {
        let seen = if output.failed_before { "fail" } else { "do NOT fail" };
        format!("The tests {seen} without the change. {}", output.note)
    };
    if id == MERGED {
        let subtasks = &states::plan(ctx)?.subtasks;
        let lines = subtasks.iter().map(|subtask| match ctx.outputs.reproduce(&subtask.id) {
            Some(output) => format!("{}: {}", subtask.id, seen(output)),
            None => format!("{}: {NONE}", subtask.id),
        });
        return Ok(lines.collect::<Vec<_>>().join("\n"));
    }
    let Some(output) = ctx.outputs.reproduce(id) else { return Ok(NONE.to_owned()) };
    let log = match &output.log {
        Some(digest) => String::from_utf8_lossy(&ctx.blobs.get(digest).await?).into_owned(),
        None => String::new(),
    };
    Ok(format!("{}\n\n{}", seen(output), toryo_sandbox::clip(&log, LOG_END, LOG_END)))
}

/// Why a review goes back: it judges too few criteria, or contradicts itself.
fn objection(review: &Review, criteria: usize) -> Option<String> {
    let judged = review.criteria.len();
    let too_few = (judged < criteria).then(|| {
        format!(
            "The subtask has {criteria} acceptance criteria, and your review judges {judged}. Judge each of them, in order. \
             Answer with the whole review."
        )
    });
    let objections: Vec<String> = [too_few, contradiction(review)].into_iter().flatten().collect();
    (!objections.is_empty()).then(|| objections.join("\n\n"))
}

/// A text of which the Critic saw its ends only: people have to look at the rest.
fn only_partly(what: &str, text: &str, tokens: usize) -> Option<Finding> {
    let shown = crate::prompt::cap(text, tokens);
    let (shown, all) = (shown.chars().count(), text.chars().count());
    (toryo_index::tokens::estimate(text) > tokens).then(|| Finding {
        severity: Severity::Warning,
        rule: "review.partial".to_owned(),
        path: None,
        line: None,
        text: format!(
            "Only partly reviewed: the {what} is too long for one review, and the Critic saw about {shown} of its {all} characters"
        ),
    })
}

/// A criterion that is not met although nothing blocks.
fn contradiction(review: &Review) -> Option<String> {
    let blocks = review.findings.iter().any(|finding| finding.severity == Severity::Blocking);
    let unmet = review.criteria.iter().filter(|criterion| !criterion.met);
    let unmet: Vec<String> = unmet.map(|criterion| format!("* {}", criterion.criterion)).collect();
    (!blocks && !unmet.is_empty()).then(|| {
        format!(
            "By your review these criteria are not met, yet no finding blocks:\n{}\n\nEither name what is wrong as a blocking finding, \
             with an input and what happens, or say that they are met. Answer with the whole review.",
            unmet.join("\n")
        )
    })
}

/// The Critic's findings. Where the contradiction stays, the criterion decides: what is not met is not approved. What was not
/// judged, people read of.
fn findings(review: &Review, criteria: usize) -> Vec<Finding> {
    let finding = |finding: &ReviewFinding| Finding {
        severity: finding.severity,
        rule: finding.rule.clone(),
        path: finding.path.clone(),
        line: finding.line,
        text: finding.text.clone(),
    };
    let about_criteria =
        |severity, text| Finding { severity, rule: "criteria".to_owned(), path: None, line: None, text };
    let mut findings: Vec<Finding> = review.findings.iter().map(finding).collect();
    if contradiction(review).is_some() {
        let unmet = review.criteria.iter().filter(|criterion| !criterion.met);
        findings.extend(unmet.map(|criterion| {
            let text = format!("Not met: {} ({})", criterion.criterion, criterion.evidence);
            about_criteria(Severity::Blocking, text)
        }));
    }
    let judged = review.criteria.len();
    if judged < criteria {
        let text =
            format!("Only partly reviewed: the Critic judged {judged} of {criteria} acceptance criteria");
        findings.push(about_criteria(Severity::Warning, text));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replies::CriterionVerdict;

    fn review(met: &[bool]) -> Review {
        let criterion = |met: &bool| CriterionVerdict {
            criterion: "three days".into(),
            met: *met,
            evidence: "two".into(),
        };
        Review {
            patch_verdict: String::new(),
            test_verdict: String::new(),
            criteria: met.iter().map(criterion).collect(),
            findings: vec![],
        }
    }

    #[test]
    fn an_unmet_criterion_without_a_finding_is_asked_about_and_blocks_where_it_stays() {
        assert_eq!((objection(&review(&[true]), 1), findings(&review(&[true]), 1)), (None, vec![]));
        assert!(objection(&review(&[false]), 1).unwrap().contains("* three days"));
        let found = findings(&review(&[false]), 1);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Blocking));
    }

    #[test]
    fn a_review_of_too_few_criteria_is_asked_about_and_told_of_where_it_stays() {
        let text = objection(&review(&[true]), 2).unwrap();
        assert!(text.contains("has 2 acceptance criteria, and your review judges 1"), "{text}");
        let found = findings(&review(&[true]), 2);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
    }

    #[test]
    fn what_was_cut_to_fit_is_said() {
        assert_eq!(only_partly("diff", &"a b c\n".repeat(100), 600), None);
        let finding = only_partly("diff", &"a b c\n".repeat(1_000), 600).unwrap();
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.text.contains("of its 6000 characters"), "{}", finding.text);
    }

    #[test]
    fn the_prompt_cuts_where_the_review_says_it_does() {
        let prompt = include_str!("../../../prompts/review.md");
        for fence in [
            format!("diff | fenced(\"diff\", {DIFF_TOKENS})"),
            format!("test_diff | fenced(\"test diff\", {TEST_DIFF_TOKENS})"),
        ] {
            assert!(prompt.contains(&fence), "{fence}");
        }
    }
}
