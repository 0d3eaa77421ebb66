//! An output in a few facts, for the event that announces it.

use serde_json::{Value, json};
use toryo_domain::Output;

/// The facts people want to see at once; the whole output is with the step.
pub fn summary(output: &Output) -> Value {
    match output {
        Output::Spec(spec) => json!({
            "title": spec.title, "base_commit": spec.base_commit, "base_branch": spec.base_branch,
            "acceptance_criteria": spec.acceptance_criteria, "questions": spec.questions,
        }),
        Output::Plan(output) => {
            let subtasks: Vec<Value> = output
                .plan
                .subtasks
                .iter()
                .map(|it| json!({ "id": it.id, "kind": it.kind, "title": it.title, "depends_on": it.depends_on }))
                .collect();
            json!({ "summary": output.plan.summary, "subtasks": subtasks })
        }
        Output::Retrieve(output) => {
            json!({ "files": output.files, "tokens": output.tokens, "omitted": output.omitted.len() })
        }
        Output::Reproduce(output) => json!({
            "tests": output.must_pass, "failed_before": output.failed_before, "note": output.note,
        }),
        Output::Code(output) => {
            json!({ "edits": output.edits, "summary": output.summary, "diff": output.diff })
        }
        Output::Test(output) => json!({
            "passed": output.passed, "counts": counts(&output.summary), "analysis": output.analysis,
        }),
        Output::Critic(output) => json!({
            "approved": output.approved, "patch_verdict": output.patch_verdict,
            "test_verdict": output.test_verdict, "findings": output.findings.len(),
        }),
        Output::Merge(output) => json!({
            "conflicts": output.conflicts.len(), "sound": output.is_sound(), "diff": output.diff,
            "counts": output.test.as_ref().map(|test| counts(&test.summary)), "reproduced": output.reproduced,
        }),
        Output::Integrate(output) => json!({
            "branch": output.branch, "commit": output.commit, "pull_request": output.pull_request,
        }),
        Output::Draft(output) => json!({
            "branch": output.branch, "commit": output.commit, "pull_request": output.pull_request,
            "holds": output.holds, "missing": output.missing,
        }),
    }
}

fn counts(summary: &toryo_domain::output::TestSummary) -> Value {
    json!({
        "passed": summary.passed, "failed": summary.failed, "skipped": summary.skipped,
        "coverage": summary.coverage, "duration_ms": summary.duration_ms,
    })
}
