//! Serves the pages over the real engine with scripted agents, to look at every state of a run without a model.
//!
//! `cargo run -p toryo-api --example playground -- FOLDER PORT` keeps its servers under FOLDER. The goal of a task
//! chooses the script: `ask` stops with questions, `stop` at a limit, `fail` fails, `slow` takes its time.

use async_trait::async_trait;
use serde_json::json;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_api::{
    AgentManifest, App, Check, Config, IndexError, Indexer, Ports, Readiness, RepositoryCheck,
    RepositoryError,
};
use toryo_blackboard::model_calls::{self, NewModelCall};
use toryo_blackboard::{BlobStore, Db, FolderBlobs, Repo, db, pull_requests};
use toryo_bus::{Bus, Subjects};
use toryo_domain::output::{
    CodeOutput, CriticOutput, FailureAnalysis, Fault, IntegrateOutput, MergeOutput, PlanOutput, Question,
    ReproduceOutput, RetrieveOutput, SpecOutput, TestOutput, TestSummary, Weight,
};
use toryo_domain::{
    ChangeSet, CommitId, Digest, EventType, FailureClass, Finding, NewPullRequest, Output, Plan, PullRequest,
    Role, Severity, StepKind, Subtask, SubtaskKind, TestCase, TestOutcome, TestReport, Usd,
};
use toryo_engine::{Agent, Engine, Failure, StepContext, Worker, relay, sweep};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let port: u16 = arguments.next().as_deref().unwrap_or("8080").parse()?;
    let packages = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/toryo-test/packages");
    let options = toryo_embedded::Options::new(folder.join("servers")).packages_dir(packages);
    let stack = toryo_embedded::Stack::start(options).await?;
    let db = Db::connect(stack.database_url(), 10).await?;
    db.migrate().await?;
    let bus = Bus::connect(stack.nats_url(), Subjects::new("playground")?).await?;
    let engine = Engine::new(db.clone(), bus.clone(), toryo_engine::Config::default());
    let blobs: Arc<dyn BlobStore> = Arc::new(FolderBlobs::open(&folder.join("blobs"))?);
    let stop = CancellationToken::new();
    let agents =
        Role::ALL.iter().map(|role| Arc::new(Actor { role: *role, db: db.clone() }) as Arc<dyn Agent>);
    let worker = Worker::new(engine.clone(), agents.collect(), Arc::clone(&blobs));
    let loops = [
        tokio::spawn(relay::run(engine.clone(), stop.clone())),
        tokio::spawn(sweep::run(engine.clone(), stop.clone())),
        tokio::spawn({
            let stop = stop.clone();
            async move { worker.run("playground", "0", stop).await }
        }),
        tokio::spawn({
            let (bus, stop) = (bus.clone(), stop.clone());
            async move { bus.listen(stop).await }
        }),
    ];
    let scenery = Arc::new(Scenery);
    let ports = Ports {
        repositories: scenery.clone(),
        indexer: scenery.clone(),
        readiness: scenery,
        agents: Arc::new([AgentManifest {
            role: Role::Coder,
            summary: "Proposes small edits.".into(),
            may: vec!["edit source files".into()],
            may_not: vec!["run commands".into()],
            steps: vec!["code".into()],
            route: "coder".into(),
            tools: vec!["edits".into()],
        }]),
    };
    let app = App::new(engine, blobs, ports, Config::default());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let shutdown = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            shutdown.cancel();
        }
    });
    toryo_api::serve(listener, app, stop).await?;
    for task in loops {
        task.await?;
    }
    stack.stop().await?;
    Ok(())
}

/// Ports without anything behind them.
struct Scenery;

#[async_trait]
impl RepositoryCheck for Scenery {
    async fn check(&self, repo_url: &str, _: Option<&str>) -> Result<(), RepositoryError> {
        if repo_url.contains("missing") {
            return Err(RepositoryError::Refused(format!("there is no repository at `{repo_url}`")));
        }
        Ok(())
    }
}

#[async_trait]
impl Indexer for Scenery {
    async fn start(&self, _: &Repo) -> Result<(), IndexError> {
        Ok(())
    }
}

#[async_trait]
impl Readiness for Scenery {
    async fn checks(&self) -> Vec<Check> {
        vec![Check { name: "database".into(), ok: true, required: true, detail: None }]
    }
}

/// Plays one role by its script.
struct Actor {
    role: Role,
    db: Db,
}

#[async_trait]
impl Agent for Actor {
    fn role(&self) -> Role {
        self.role
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        ctx.progress("reading what the steps before left").await?;
        self.pause(ctx, 1).await?;
        self.call(ctx).await?;
        self.pause(ctx, 1).await?;
        match ctx.step_key.kind {
            StepKind::Spec => self.spec(ctx),
            StepKind::Plan => Ok(Output::Plan(PlanOutput { plan: plan() })),
            StepKind::Retrieve => retrieve(ctx).await,
            StepKind::Reproduce => reproduce(),
            StepKind::Code => self.code(ctx).await,
            StepKind::Test => self.test(ctx).await,
            StepKind::Critic => critic(ctx).await,
            StepKind::Merge => self.merge(ctx).await,
            StepKind::Integrate => self.integrate(ctx).await,
        }
    }
}

fn path(text: &str) -> Result<toryo_domain::RepoPath, Failure> {
    text.parse().map_err(|error| Failure::bug(format!("{error}")))
}

fn commit() -> Result<CommitId, Failure> {
    "5f0c1b7a9d".repeat(4).parse().map_err(|error| Failure::bug(format!("{error}")))
}

impl Actor {
    async fn pause(&self, ctx: &StepContext, seconds: u64) -> Result<(), Failure> {
        let slow = if ctx.task.wish.goal.contains("slow") { 6 } else { 1 };
        let time = Duration::from_millis(seconds * slow * 350);
        tokio::select! {
            () = ctx.cancel.cancelled() => Err(Failure::cancelled()),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    async fn call(&self, ctx: &StepContext) -> Result<(), Failure> {
        let (tokens_in, tokens_out) = (6_240 + 137 * u64::from(ctx.step_key.round), 412);
        let cost = Usd::from_nanos(21_300_000);
        let call = NewModelCall {
            run_id: ctx.run_id,
            step_id: ctx.step_id,
            fence: ctx.fence,
            attempt: ctx.attempt,
            call_no: 1,
            request_digest: Digest::of(ctx.step_key.to_string()),
            role: self.role,
            route: self.role.to_string(),
            provider: "scripted".into(),
            model: "scripted-1".into(),
            reply: json!({}),
            input_tokens: tokens_in,
            cached_input_tokens: 0,
            output_tokens: tokens_out,
            reasoning_tokens: 0,
            cost,
            latency_ms: 2_310,
            recorded: ctx.task.wish.goal.contains("replay"),
        };
        let mut tx = self.db.begin().await?;
        model_calls::insert(&mut tx, &call).await?;
        db::commit(tx).await?;
        let data = json!({
            "name": "edit_set", "route": self.role, "model": "scripted-1", "tokens_in": tokens_in,
            "tokens_out": tokens_out, "cost_usd": cost.dollars(), "latency_ms": 2310, "recorded": call.recorded,
        });
        ctx.emit(EventType::ModelCall, data).await
    }

    fn spec(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let ask = ctx.task.wish.goal.contains("ask") && ctx.messages.is_empty();
        let question = Question {
            text: "Does a range over a clock change count calendar days or spans of 24 hours?".into(),
            weight: if ask { Weight::Blocking } else { Weight::Minor },
            assumption: if ask { String::new() } else { "Calendar days.".into() },
        };
        let lines = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        Ok(Output::Spec(SpecOutput {
            base_commit: commit()?,
            base_branch: "main".into(),
            title: "Count the last day of a date range".into(),
            summary: "Ranges leave out their last day.".into(),
            acceptance_criteria: lines(&[
                "`days_between(a, b)` counts both ends",
                "A range of one day has length 1",
                "Existing callers of `Range.end` see no change",
            ]),
            in_scope: lines(&["src/calendar/ranges.py"]),
            out_of_scope: lines(&["time zones"]),
            constraints: vec![],
            questions: vec![question],
        }))
    }

    async fn code(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let round = ctx.step_key.round;
        if ctx.task.wish.goal.contains("fail") {
            return Err(Failure::new(FailureClass::Input, "the branch `main` vanished from the repository"));
        }
        if round == 1 {
            let data = json!({ "round": 1, "refusals": [{ "edit": 1, "file_path": "src/calendar/ranges.py", "reason": "the symbol `Range.last` matches 2 places: Range.last, Range.last[2]" }] });
            ctx.emit(EventType::EditRejected, data).await?;
            self.pause(ctx, 1).await?;
        }
        let data = json!({ "edits": 2, "summary": "Make the end inclusive in both helpers." });
        ctx.emit(EventType::EditApplied, data).await?;
        let diff = ctx.keep("diff", "change.diff", "text/x-diff", DIFF.as_bytes().to_vec()).await?;
        let summary = "Makes the end inclusive in both helpers.".to_owned();
        Ok(Output::Code(CodeOutput { changes: ChangeSet::default(), summary, diff, edits: 2 }))
    }

    async fn test(&self, ctx: &StepContext) -> Result<Output, Failure> {
        for line in ["$ python -m pytest -q", "..............F.........                    [100%]"] {
            ctx.emit(EventType::StepLog, json!({ "line": line })).await?;
        }
        self.pause(ctx, 1).await?;
        let passed = ctx.step_key.round > 1 && !ctx.task.wish.goal.contains("stop");
        tested(ctx, passed).await.map(Output::Test)
    }

    async fn merge(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let test = tested(ctx, true).await?;
        let diff = ctx.keep("diff", "joined.diff", "text/x-diff", DIFF.as_bytes().to_vec()).await?;
        let reproduced = vec!["tests.test_ranges::test_one_day".to_owned()];
        Ok(Output::Merge(MergeOutput {
            changes: ChangeSet::default(),
            conflicts: vec![],
            test: Some(test),
            reproduced,
            diff,
        }))
    }

    async fn integrate(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let branch = format!("toryo/{}-count-the-last-day", ctx.run_id.short());
        let request = NewPullRequest {
            run_id: ctx.run_id,
            repo_url: ctx.task.wish.repo_url.clone(),
            title: "fix(ranges): count the last day of a date range".into(),
            body: BODY.into(),
            head_branch: branch.clone(),
            head_commit: commit()?,
            base_branch: "main".into(),
            draft: false,
        };
        let mut tx = self.db.begin().await?;
        let (opened, _) = pull_requests::upsert(&mut tx, &request).await?;
        db::commit(tx).await?;
        let pull_request = PullRequest {
            number: opened.number,
            url: format!("/ui/pulls/{}", opened.id),
            head_branch: branch.clone(),
            state: opened.state,
        };
        ctx.emit(EventType::PullRequestOpened, json!(pull_request)).await?;
        Ok(Output::Integrate(IntegrateOutput { branch, commit: commit()?, pull_request }))
    }
}

async fn retrieve(ctx: &StepContext) -> Result<Output, Failure> {
    let pack = ctx.keep("context_pack", "pack.md", "text/markdown", b"# Pack\n".to_vec()).await?;
    Ok(Output::Retrieve(RetrieveOutput {
        pack,
        files: vec![
            path("src/calendar/ranges.py")?,
            path("src/calendar/holidays.py")?,
            path("tests/test_ranges.py")?,
        ],
        omitted: vec!["src/calendar/zones.py: not referenced".into()],
        related_tests: vec![path("tests/test_ranges.py")?],
        tokens: 5_480,
    }))
}

fn reproduce() -> Result<Output, Failure> {
    Ok(Output::Reproduce(ReproduceOutput {
        changes: ChangeSet::default(),
        must_pass: vec!["tests.test_ranges::test_one_day".into()],
        failed_before: true,
        note: "A range of one day has length 0 today.".into(),
        log: None,
    }))
}

async fn critic(ctx: &StepContext) -> Result<Output, Failure> {
    let finding = Finding {
        severity: Severity::Warning,
        rule: "tests.edge".into(),
        path: Some(path("tests/test_ranges.py")?),
        line: Some(31),
        text: "No test covers a range that ends before it begins; the helper then returns a negative number."
            .into(),
    };
    let note = Finding {
        severity: Severity::Info,
        rule: "style.name".into(),
        path: None,
        line: None,
        text: "`days_between` could say that both ends count.".into(),
    };
    for finding in [&finding, &note] {
        ctx.emit(EventType::ReviewFinding, json!(finding)).await?;
    }
    Ok(Output::Critic(CriticOutput {
        approved: true,
        patch_verdict: "Correct and small. Both helpers agree now.".into(),
        test_verdict: "Fails before the change and passes after it.".into(),
        findings: vec![finding, note],
    }))
}

fn plan() -> Plan {
    let subtask = |id: &str, kind, title: &str, after: &[&str]| Subtask {
        id: id.into(),
        kind,
        title: title.into(),
        description: "Change the comparison, keep the signature, and leave callers alone.".into(),
        target_files: path("src/calendar/ranges.py").into_iter().collect(),
        new_files: vec![],
        target_symbols: vec!["Range.days".into()],
        acceptance_criteria: vec!["Both ends count".into()],
        depends_on: after.iter().map(|it| (*it).to_owned()).collect(),
    };
    Plan {
        summary: "One behaviour in two places, then the words about it.".into(),
        subtasks: vec![
            subtask("inclusive-end", SubtaskKind::BugFix, "Include the last day in Range.days", &[]),
            subtask("holiday-count", SubtaskKind::BugFix, "Count holidays on the last day", &[]),
            subtask(
                "docs",
                SubtaskKind::Documentation,
                "Say in the docs that both ends count",
                &["inclusive-end", "holiday-count"],
            ),
        ],
    }
}

async fn tested(ctx: &StepContext, passed: bool) -> Result<TestOutput, Failure> {
    let case = |name: &str, outcome, details: Option<&str>| TestCase {
        class_name: "tests.test_ranges".into(),
        name: name.into(),
        file: Some("tests/test_ranges.py".into()),
        outcome,
        duration_seconds: 0.012,
        message: details.and_then(|it| it.lines().last()).map(str::to_owned),
        details: details.map(str::to_owned),
    };
    let last = if passed {
        case("test_one_day", TestOutcome::Passed, None)
    } else {
        case("test_one_day", TestOutcome::Failed, Some(TRACE))
    };
    let mut cases: Vec<TestCase> =
        (1..23).map(|it| case(&format!("test_range[{it}]"), TestOutcome::Passed, None)).collect();
    cases.push(last);
    cases.push(case("test_windows_zone", TestOutcome::Skipped, None));
    let report = TestReport { cases };
    let bytes = serde_json::to_vec(&report).map_err(|error| Failure::bug(error.to_string()))?;
    let digest = ctx.keep("report", "report.json", "application/json", bytes).await?;
    let failing: Vec<String> = report.failures().map(TestCase::id).collect();
    let summary = TestSummary {
        passed: u32::try_from(report.count(TestOutcome::Passed)).unwrap_or_default(),
        failed: u32::try_from(failing.len()).unwrap_or_default(),
        skipped: 1,
        failing: failing.clone(),
        coverage: Some(0.914),
        duration_ms: 3_420,
        report: Some(digest),
        log: None,
    };
    let data =
        json!({ "passed": summary.passed, "failed": summary.failed, "skipped": 1, "failing": failing });
    ctx.emit(EventType::TestReport, data).await?;
    let analysis = (!passed).then(|| FailureAnalysis {
        root_cause: "`days` still subtracts without adding the last day when both ends are equal.".into(),
        at_fault: Fault::Code,
        suspects: vec!["src/calendar/ranges.py".into()],
        next_step: "Add one to the difference in `Range.days`.".into(),
    });
    Ok(TestOutput { passed, summary, analysis, digest: String::new() })
}

const TRACE: &str = "    def test_one_day():\n>       assert Range(d(1), d(1)).days == 1\nE       assert 0 == 1\n\ntests/test_ranges.py:14: AssertionError\nAssertionError: assert 0 == 1";

const BODY: &str = "## Purpose\nDate ranges left out their last day.\n\n## Changes\n- `Range.days` counts both ends\n- `holidays_in` looks at the last day too\n\n## Tests\n| suite | passed | failed |\n| - | - | - |\n| all | 23 | 0 |\n\n## Risk\nLow: one comparison.\n\n```python\nassert Range(a, a).days == 1\n```\n\n<script>alert(\"never runs\")</script>\n";

const DIFF: &str = r#"diff --git a/src/calendar/ranges.py b/src/calendar/ranges.py
index 1f2e3d4..5a6b7c8 100644
--- a/src/calendar/ranges.py
+++ b/src/calendar/ranges.py
@@ -8,12 +8,18 @@ from datetime import date, timedelta
 @dataclass(frozen=True)
 class Range:
     """Days from `start` to `end`."""
 
     start: date
     end: date
 
     @property
     def days(self) -> int:
-        # The end is exclusive.
-        return (self.end - self.start).days
+        """How many days it has; both ends count."""
+        if self.end < self.start:
+            raise ValueError(f"{self.end} is before {self.start}")
+        return (self.end - self.start).days + 1
+
+    def __iter__(self):
+        for offset in range(self.days):
+            yield self.start + timedelta(days=offset)
diff --git a/src/calendar/holidays.py b/src/calendar/holidays.py
--- a/src/calendar/holidays.py
+++ b/src/calendar/holidays.py
@@ -21,4 +21,4 @@ def holidays_in(range_, calendar="jp"):
     known = HOLIDAYS[calendar]
-    return [day for day in known if range_.start <= day < range_.end]
+    return [day for day in known if range_.start <= day <= range_.end]
 
 
diff --git a/tests/test_ranges.py b/tests/test_ranges.py
new file mode 100644
--- /dev/null
+++ b/tests/test_ranges.py
@@ -0,0 +1,9 @@
+from datetime import date
+
+from calendar_app.ranges import Range
+
+
+def test_one_day():
+    day = date(2026, 11, 21)
+    assert Range(day, day).days == 1
+    assert list(Range(day, day)) == [day]
"#;
