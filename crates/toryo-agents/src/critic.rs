//! The Critic: reviews a subtask's change and its tests against the criteria, each on its own.
//!
//! May read the change, its tests, and their output with and without the change. May not change anything. A blocking finding
//! causes a revision; others go into the pull request. What the guardrails find is reported beside it.
//!
//! In: the subtask and its latest code and test. Out: [`CriticOutput`].

use crate::ask::Conversation;
use crate::failures::missing;
use crate::guard;
use crate::prompt::Variables;
use crate::replies::{Review, ReviewFinding};
use crate::states;
use crate::texts;
use crate::tools::Tools;
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use toryo_domain::output::CriticOutput;
use toryo_domain::{EventType, Finding, Output, RepoPath, Role, Severity};
use toryo_engine::{Agent, Failure, StepContext};

/// The agent.
pub struct Critic(pub Arc<Tools>);

#[async_trait]
impl Agent for Critic {
    fn role(&self) -> Role {
        Role::Critic
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let tools = &*self.0;
        let subtask = texts::subtask_of(ctx)?;
        let id = subtask.id.as_str();
        let base = states::base(ctx, tools).await?;
        let before = states::before_change(ctx, &base, id).await?;
        let start = states::start(ctx, &base, id).await?;
        let tree = states::current(ctx, &base, id).await?;
        let test = ctx.outputs.test(id).ok_or_else(|| missing("test run"))?;
        let checks = guard::judge(tools, &base, &tree).await?.findings;
        let reproduce = ctx.outputs.reproduce(id);
        let earlier =
            ctx.outputs.critic(id).map(|review| review.findings.iter().map(texts::finding).collect());
        let is_code = |path: &RepoPath| !texts::is_test_path(path);
        let test_diff = tree.diff_from(&start, texts::is_test_path).await?;
        let before_text = match reproduce {
            None => "No test was written first; the existing tests are the proof.".to_owned(),
            Some(output) => {
                let log = match &output.log {
                    Some(digest) => String::from_utf8_lossy(&ctx.blobs.get(digest).await?).into_owned(),
                    None => String::new(),
                };
                let seen = if output.failed_before { "fail" } else { "do NOT fail" };
                format!("The tests {seen} without the change. {}\n\n{log}", output.note)
            }
        };
        let variables = Variables::new()
            .with("subtask", texts::subtask(&subtask))
            .with_some("guidance", texts::guidance(&base).await?)
            .with("diff", tree.diff_from(&before, is_code).await?)
            .with("test_diff", if test_diff.is_empty() { "(none)".to_owned() } else { test_diff })
            .with("before", before_text)
            .with("after", format!("{}\n\n{}", texts::summary(&test.summary), test.digest))
            .with("checks", checks.iter().map(texts::finding).collect::<Vec<_>>())
            .with_some("earlier", earlier.filter(|list: &Vec<String>| !list.is_empty()));
        let mut conversation = Conversation::begin(ctx, tools, "review", variables)?;
        let mut review: Review = conversation.ask().await?;
        if let Some(contradiction) = contradiction(&review) {
            conversation.object(&contradiction);
            review = conversation.ask().await?;
        }

        let mut findings = findings(&review);
        findings.extend(checks);
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

/// The Critic's findings. Where the contradiction stays, people read of it: findings decide, and none of them blocks.
fn findings(review: &Review) -> Vec<Finding> {
    let finding = |finding: &ReviewFinding| Finding {
        severity: finding.severity,
        rule: finding.rule.clone(),
        path: finding.path.clone(),
        line: finding.line,
        text: finding.text.clone(),
    };
    let mut findings: Vec<Finding> = review.findings.iter().map(finding).collect();
    if contradiction(review).is_some() {
        let unmet = review.criteria.iter().filter(|criterion| !criterion.met);
        findings.extend(unmet.map(|criterion| Finding {
            severity: Severity::Warning,
            rule: "criteria".to_owned(),
            path: None,
            line: None,
            text: format!("Perhaps not met: {} ({})", criterion.criterion, criterion.evidence),
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replies::CriterionVerdict;

    #[test]
    fn an_unmet_criterion_without_a_finding_is_asked_about_and_never_lost() {
        let criterion =
            |met| CriterionVerdict { criterion: "three days".into(), met, evidence: "two".into() };
        let review = |met| Review {
            patch_verdict: String::new(),
            test_verdict: String::new(),
            criteria: vec![criterion(met)],
            findings: vec![],
        };
        assert_eq!((contradiction(&review(true)), findings(&review(true))), (None, vec![]));
        assert!(contradiction(&review(false)).unwrap().contains("* three days"));
        let found = findings(&review(false));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
    }
}
