//! One run, the orders that may be given to it, and what they lead to.

use crate::invariants::Memory;
use sqlx::postgres::PgPool;
use std::time::Duration;
use toryo_blackboard::{Claim, Db, Error, db, leases, runs, steps};
use toryo_bus::{Bus, Subjects};
use toryo_domain::output::{Question, Weight};
use toryo_domain::{
    Approval, FailureClass, Limits, NewTask, Output, Priority, RunId, RunStatus, StepStatus, Subtask,
    SubtaskKind, Usd, WorkerId,
};
use toryo_engine::{Config, Engine, Failure, commit, control, submit, sweep};
use toryo_testkit::samples::{good, tested};
use toryo_testkit::stack::Services;

/// What chance may order. Numbers choose among what is there, modulo how much that is.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// Some worker leases some ready step.
    Claim(usize),
    /// An attempt, still leased or not, brings what it should.
    Succeed(usize),
    /// An attempt brings questions, failing tests, a blocking review.
    SucceedBadly(usize),
    /// An attempt fails.
    Fail(usize, FailureClass),
    /// Every lease of the run runs out, and the sweeper comes by.
    LeasesRunOut,
    Sweep,
    Cancel,
    Pause,
    Resume,
    Retry,
    Approve,
    RejectWithComment,
    Message,
}

/// The servers and the engine; runs on it do not see each other.
pub struct Table {
    engine: Engine,
    pool: PgPool,
}

impl Table {
    pub async fn laid() -> Self {
        let services = Services::shared().await;
        let db = Db::connect(&services.database_url, 4).await.unwrap();
        db.migrate().await.unwrap();
        let subjects = Subjects::new(&services.nats_prefix).unwrap();
        let bus = Bus::connect(&services.nats_url, subjects).await.unwrap();
        let config = Config { attempts: 3, backoff_ms: 0, backoff_max_seconds: 0, ..Config::default() };
        let pool = PgPool::connect(&services.database_url).await.unwrap();
        Self { engine: Engine::new(db, bus, config), pool }
    }

    /// Money that is reserved under a lease, and what becomes of it when the lease is lost.
    pub async fn reserve_and_lose(&self) {
        let run = submit(&self.engine, &wish(Approval::None), None).await.unwrap().run_id;
        let mut game = Game { table: self, run, claims: vec![], memory: Memory::default() };
        game.claim(0).await.unwrap();
        let reserve = "insert into reservations (run_id, step_id, call_no, fence, cost_nano_usd, tokens) \
                       select run_id, id, 1, fence, 5, 5 from steps where run_id = $1 and status = 'running'";
        sqlx::query(reserve).bind(run.uuid()).execute(&self.pool).await.unwrap();
        let count = async || -> i64 {
            let statement = "select count(*) from reservations where run_id = $1";
            sqlx::query_scalar(statement).bind(run.uuid()).fetch_one(&self.pool).await.unwrap()
        };
        game.give(Order::Sweep).await.unwrap();
        assert_eq!(count().await, 1);
        game.give(Order::LeasesRunOut).await.unwrap();
        assert_eq!(count().await, 0);
    }

    /// Gives the orders one by one, and then lets everything go well.
    pub async fn play(&self, approval: usize, orders: &[Order]) -> Result<(), String> {
        let wish = wish([Approval::None, Approval::Plan, Approval::Pr, Approval::All][approval % 4]);
        let run = submit(&self.engine, &wish, None).await.unwrap().run_id;
        let mut game = Game { table: self, run, claims: vec![], memory: Memory::default() };
        for (number, order) in orders.iter().enumerate() {
            game.give(*order).await.map_err(|what| format!("order {number}, {order:?}: {what}"))?;
        }
        game.go_well().await
    }
}

fn wish(approval: Approval) -> NewTask {
    NewTask {
        repo_url: "/srv/repository".into(),
        goal: "make it right".into(),
        issue_id: None,
        base_branch: None,
        constraints: vec![],
        acceptance_criteria: vec![],
        priority: Priority::Normal,
        approval,
        limits: Limits { usd: Usd::from_nanos(1), tokens: 1, minutes: 10, repair_loops: 2 },
        labels: vec![],
        source: "api".into(),
    }
}

struct Game<'a> {
    table: &'a Table,
    run: RunId,
    /// Every lease that was ever taken.
    claims: Vec<Claim>,
    memory: Memory,
}

impl Game<'_> {
    async fn give(&mut self, order: Order) -> Result<(), String> {
        let engine = &self.table.engine;
        let by = "somebody";
        let asked = match order {
            Order::Claim(which) => return self.claim(which).await,
            Order::Succeed(which) => return self.bring(which, true).await,
            Order::SucceedBadly(which) => return self.bring(which, false).await,
            Order::Fail(which, class) => return self.fail(which, class).await,
            Order::LeasesRunOut => {
                let late = "update steps set lease_until = now() - interval '1 second' where run_id = $1 and status = 'running'";
                sqlx::query(late).bind(self.run.uuid()).execute(&self.table.pool).await.unwrap();
                sweep::sweep(engine).await.unwrap();
                return self.look().await;
            }
            Order::Sweep => {
                sweep::sweep(engine).await.unwrap();
                return self.look().await;
            }
            Order::Cancel => control::cancel(engine, self.run, by, None).await,
            Order::Pause => control::pause(engine, self.run, by, None).await,
            Order::Resume => control::resume(engine, self.run, by).await,
            Order::Retry => control::retry(engine, self.run, by, None).await,
            Order::Approve => control::approve(engine, self.run, by, None).await,
            Order::RejectWithComment => control::reject(engine, self.run, by, Some("smaller")).await,
            Order::Message => control::message(engine, self.run, by, "a word").await,
        };
        match asked {
            Ok(_) | Err(control::Error::NotPossible(_)) => self.look().await,
            Err(error) => Err(format!("a command fails: {error:?}")),
        }
    }

    async fn look(&mut self) -> Result<(), String> {
        self.memory.look(&self.table.pool, self.run).await
    }

    async fn claim(&mut self, which: usize) -> Result<(), String> {
        let engine = &self.table.engine;
        let run = runs::get(&engine.db, self.run).await.unwrap();
        let rows = steps::of_run(&engine.db, self.run).await.unwrap();
        let ready: Vec<_> = rows.iter().filter(|row| row.status == StepStatus::Ready).collect();
        if ready.is_empty() || !matches!(run.status, RunStatus::Queued | RunStatus::Running) {
            return Ok(());
        }
        let step = ready[which % ready.len()];
        let mut tx = engine.db.begin().await.unwrap();
        let mut locked = runs::lock(&mut tx, self.run).await.unwrap();
        let lease = Duration::from_secs(600);
        let claim = leases::claim_step(&mut tx, step.id, WorkerId::generate(), lease).await.unwrap();
        if locked.status == RunStatus::Queued {
            runs::signal(&mut tx, &mut locked, toryo_domain::RunSignal::Start, None, None).await.unwrap();
        }
        db::commit(tx).await.unwrap();
        self.claims.extend(claim);
        self.look().await
    }

    async fn bring(&mut self, which: usize, well: bool) -> Result<(), String> {
        let Some(claim) = self.chosen(which) else { return Ok(()) };
        let output = leave(&claim, well);
        let before = self.memory.state(&self.table.pool, self.run).await;
        let held = self.is_held(&claim).await;
        let outcome = commit::success(&self.table.engine, &claim, &output).await;
        self.judge(held, outcome, before).await
    }

    async fn fail(&mut self, which: usize, class: FailureClass) -> Result<(), String> {
        let Some(claim) = self.chosen(which) else { return Ok(()) };
        let before = self.memory.state(&self.table.pool, self.run).await;
        let held = self.is_held(&claim).await;
        let failure = Failure::new(class, "it did not work");
        let outcome = commit::failure(&self.table.engine, &claim, &failure).await;
        self.judge(held, outcome, before).await
    }

    /// What a held lease brings is written; what any other brings changes nothing.
    async fn judge(&mut self, held: bool, outcome: Result<(), Error>, before: String) -> Result<(), String> {
        match (held, outcome) {
            (true, Ok(())) => self.look().await,
            (true, Err(error)) => Err(format!("an outcome under a lease that holds is refused: {error:?}")),
            // The second call of an attempt whose answer was lost is told that it was written.
            (false, Ok(()) | Err(Error::StaleFence)) => {
                let after = self.memory.state(&self.table.pool, self.run).await;
                if after == before {
                    self.look().await
                } else {
                    Err("a stale outcome changed something".into())
                }
            }
            (false, Err(error)) => Err(format!("a stale outcome fails otherwise: {error:?}")),
        }
    }

    fn chosen(&self, which: usize) -> Option<Claim> {
        // The newest come first, so that most orders mean something.
        let count = self.claims.len();
        (count > 0).then(|| self.claims[count - 1 - which % count].clone())
    }

    async fn is_held(&self, claim: &Claim) -> bool {
        !leases::held(&self.table.engine.db, &[claim.fence]).await.unwrap().is_empty()
    }

    /// Everything goes well from now on: a run that has not ended for good comes to its pull request.
    async fn go_well(&mut self) -> Result<(), String> {
        for _ in 0..400 {
            let run = runs::get(&self.table.engine.db, self.run).await.unwrap();
            let order = match run.status {
                RunStatus::Cancelled | RunStatus::Succeeded => return Ok(()),
                RunStatus::Failed => Order::Retry,
                RunStatus::NeedsHuman => Order::Resume,
                RunStatus::WaitingForApproval => Order::Approve,
                RunStatus::WaitingForInput => Order::Message,
                RunStatus::Queued | RunStatus::Running => {
                    let held = self.still_held().await;
                    if let Some(claim) = held {
                        let output = leave(&claim, true);
                        commit::success(&self.table.engine, &claim, &output)
                            .await
                            .map_err(|e| format!("{e:?}"))?;
                        self.look().await?;
                        continue;
                    }
                    Order::Claim(0)
                }
            };
            self.give(order).await?;
        }
        let run = runs::get(&self.table.engine.db, self.run).await.unwrap();
        let rows = steps::of_run(&self.table.engine.db, self.run).await.unwrap();
        let steps: Vec<_> = rows.iter().map(|row| format!("{} {}", row.key, row.status)).collect();
        Err(format!("it goes well and never ends: {} {:?} {steps:?}", run.status, run.status_reason))
    }

    async fn still_held(&self) -> Option<Claim> {
        for claim in self.claims.iter().rev() {
            if self.is_held(claim).await {
                return Some(claim.clone());
            }
        }
        None
    }
}

fn leave(claim: &Claim, well: bool) -> Output {
    let subtask = |id: &str| Subtask {
        id: id.into(),
        kind: SubtaskKind::Refactoring,
        title: id.into(),
        description: String::new(),
        target_files: vec![],
        new_files: vec![],
        target_symbols: vec![],
        acceptance_criteria: vec![],
        depends_on: if id == "b" { vec!["a".into()] } else { vec![] },
    };
    let mut output = good(&claim.key, &[subtask("a"), subtask("b"), subtask("c")]);
    if well {
        return output;
    }
    match &mut output {
        Output::Spec(spec) => spec.questions.push(Question {
            text: "which?".into(),
            weight: Weight::Blocking,
            assumption: String::new(),
        }),
        Output::Test(test) => *test = tested(false),
        Output::Critic(critic) => critic.approved = false,
        Output::Merge(merge) => merge.test = Some(tested(false)),
        _ => {}
    }
    output
}
