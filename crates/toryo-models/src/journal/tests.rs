//! One suite of rules, run on every adapter.

use super::memory::MemoryJournal;
use super::postgres::PostgresJournal;
use super::*;
use toryo_blackboard::{Db, db, repos, runs, steps, tasks};
use toryo_domain::{
    Approval, Limits, NewTask, Priority, Role, RunId, StepKey, StepKind, StepSignal, WorkerId,
};
use toryo_testkit::stack::Services;

/// A journal, a step that holds its lease, and a way to lose it.
#[async_trait]
trait Ground {
    fn journal(&self) -> &dyn Journal;
    fn caller(&self) -> Caller;
    /// Another worker takes the step; returns its token.
    async fn lose_lease(&self) -> i64;
}

fn caller(run_id: RunId, step_id: StepId, fence: i64) -> Caller {
    Caller {
        run_id,
        step_id,
        step_key: StepKey::of_run(StepKind::Spec),
        attempt: 1,
        fence,
        agent: Role::SpecRefiner,
        call_no: 1,
        limits: Limits::default(),
    }
}

struct InMemory(MemoryJournal, Caller);

#[async_trait]
impl Ground for InMemory {
    fn journal(&self) -> &dyn Journal {
        &self.0
    }

    fn caller(&self) -> Caller {
        self.1.clone()
    }

    async fn lose_lease(&self) -> i64 {
        self.0.set_fence(self.1.step_id, self.1.fence + 1);
        self.1.fence + 1
    }
}

struct OnPostgres(PostgresJournal, Db, Caller);

impl OnPostgres {
    async fn new() -> Self {
        let services = Services::shared().await;
        let db = Db::connect(&services.database_url, 2).await.unwrap();
        db.migrate().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let repo = repos::ensure(&mut tx, "/tmp/sample").await.unwrap();
        let task = tasks::insert(&mut tx, repo, &wish()).await.unwrap();
        let run = runs::insert(&mut tx, task).await.unwrap();
        let key = StepKey::of_run(StepKind::Spec);
        let step = steps::NewStep { key: key.clone(), depends_on: Vec::new() };
        steps::append(&mut tx, run, Priority::Normal.rank(), &step).await.unwrap();
        let step = steps::unblock(&mut tx, run, &key).await.unwrap();
        db::commit(tx).await.unwrap();
        let fence = claim(&db, step).await;
        Self(PostgresJournal::new(db.clone()), db, caller(run, step, fence))
    }
}

#[async_trait]
impl Ground for OnPostgres {
    fn journal(&self) -> &dyn Journal {
        &self.0
    }

    fn caller(&self) -> Caller {
        self.2.clone()
    }

    async fn lose_lease(&self) -> i64 {
        let mut tx = self.1.begin().await.unwrap();
        let wait = Duration::ZERO;
        steps::requeue(&mut tx, self.2.run_id, &self.2.step_key, StepSignal::Release, wait).await.unwrap();
        db::commit(tx).await.unwrap();
        claim(&self.1, self.2.step_id).await
    }
}

async fn claim(db: &Db, step: StepId) -> i64 {
    let mut tx = db.begin().await.unwrap();
    let claim = steps::claim(&mut tx, step, WorkerId::generate(), Duration::from_secs(60)).await.unwrap();
    db::commit(tx).await.unwrap();
    claim.unwrap().fence
}

fn wish() -> NewTask {
    NewTask {
        repo_url: "/tmp/sample".into(),
        goal: "Make the range inclusive.".into(),
        issue_id: None,
        base_branch: None,
        constraints: Vec::new(),
        acceptance_criteria: Vec::new(),
        priority: Priority::Normal,
        approval: Approval::None,
        limits: Limits::default(),
        labels: Vec::new(),
        source: "api".into(),
    }
}

fn record(caller: &Caller, question: &str, content: &str) -> CallRecord {
    CallRecord {
        key: CallKey {
            step_id: caller.step_id,
            call_no: caller.call_no,
            request_digest: Digest::of(question),
        },
        route: "refiner".into(),
        priced: true,
        provider_attempts: 1,
        reply: StoredReply {
            content: content.into(),
            finish: Finish::Stop,
            usage: Usage { input: 1000, cached_input: 400, cache_write: 0, output: 50, reasoning: 20 },
            cost: Usd::from_nanos(1_234_567),
            provider: "openai".into(),
            model: "scripted".into(),
            latency: Duration::from_micros(1_234_567),
            recorded: false,
        },
    }
}

async fn contract(ground: &dyn Ground) {
    let (journal, mut caller) = (ground.journal(), ground.caller());
    let first = record(&caller, "a", "{\"summary\": \"日本語 and \\u0000 as text, \u{1F600}\"}");
    assert_eq!(journal.find(&first.key).await.unwrap(), None);
    assert_eq!(journal.spent(caller.run_id).await.unwrap(), Spent::default());

    journal.record(&caller, &first).await.unwrap();
    assert_eq!(journal.find(&first.key).await.unwrap().as_ref(), Some(&first.reply));
    let once = Spent { usd: first.reply.cost, tokens: 1050 };
    assert_eq!(journal.spent(caller.run_id).await.unwrap(), once);

    // Who did not hear the answer repeats it, and nothing changes.
    journal.record(&caller, &first).await.unwrap();
    // Another reply to the same call is refused, and nothing changes.
    let other = record(&caller, "a", "another");
    let refused = journal.record(&caller, &other).await;
    assert!(matches!(refused, Err(JournalError::AnsweredAlready)), "{refused:?}");
    assert_eq!(journal.find(&first.key).await.unwrap(), Some(first.reply));
    assert_eq!(journal.spent(caller.run_id).await.unwrap(), once);

    // Another question, or another call of the step, is another reply; endings survive as they are.
    for (n, finish) in
        [Finish::Length, Finish::ContentFilter, Finish::Refusal("no".into())].into_iter().enumerate()
    {
        caller.call_no = 2;
        let mut next = record(&caller, &format!("question {n}"), "");
        next.reply.finish = finish;
        journal.record(&caller, &next).await.unwrap();
        assert_eq!(journal.find(&next.key).await.unwrap(), Some(next.reply));
    }

    // A lost lease: the caller hears it, and what was paid is kept for the next one.
    let fence = ground.lose_lease().await;
    caller.call_no = 3;
    let late = record(&caller, "late", "paid");
    let told = journal.record(&caller, &late).await;
    assert!(matches!(told, Err(JournalError::StaleFence)), "{told:?}");
    caller.fence = fence;
    assert_eq!(journal.find(&late.key).await.unwrap(), Some(late.reply));
    caller.call_no = 4;
    journal.record(&caller, &record(&caller, "next", "x")).await.unwrap();
    let all = journal.spent(caller.run_id).await.unwrap();
    assert_eq!(all, Spent { usd: Usd::from_nanos(6 * 1_234_567), tokens: 6 * 1050 });
}

#[tokio::test]
async fn the_journal_in_memory_keeps_the_rules() {
    contract(&InMemory(MemoryJournal::new(), caller(RunId::generate(), StepId::generate(), 1))).await;
}

#[tokio::test]
async fn the_journal_on_postgres_keeps_the_rules() {
    contract(&OnPostgres::new().await).await;
}

#[tokio::test]
async fn a_call_of_an_agent_stands_in_the_ledger_once_and_its_organisation_pays() {
    use toryo_blackboard::accounts::{self, Kind, NewAccount};
    let ground = OnPostgres::new().await;
    let (journal, caller) = (ground.journal(), ground.caller());
    let organisation = NewAccount {
        kind: Kind::Organisation,
        name: "local".into(),
        organisation: None,
        team: None,
        user: None,
        role: None,
        limits: accounts::Limits::default(),
        expires_at: None,
    };
    let mut tx = ground.1.begin().await.unwrap();
    accounts::create(&mut tx, toryo_domain::AccountId::generate(), &organisation).await.unwrap();
    db::commit(tx).await.unwrap();
    let paid = record(&caller, "a", "one");
    for _ in 0..2 {
        journal.record(&caller, &paid).await.unwrap();
    }
    let rows = "select count(*) from gateway_ledger where run_id = $1 and agent = 'spec_refiner' and tenant = 'local' \
                and input_tokens = 1000 and cost_nano_usd = 1234567 and cache = 'provider'";
    let rows: i64 =
        sqlx::query_scalar(rows).bind(caller.run_id.uuid()).fetch_one(ground.1.pool()).await.unwrap();
    let used = "select min(used) + max(used) + count(*) from gateway_counters";
    let used: i64 = sqlx::query_scalar(used).fetch_one(ground.1.pool()).await.unwrap();
    assert_eq!((rows, used), (1, 2 * 1_234_567 + 4));
}

#[tokio::test]
async fn of_two_answers_at_once_exactly_one_is_charged() {
    let ground = OnPostgres::new().await;
    let (journal, caller) = (ground.journal(), ground.caller());
    let (one, two) = (record(&caller, "a", "one"), record(&caller, "a", "two"));
    let done = tokio::join!(journal.record(&caller, &one), journal.record(&caller, &two));
    let refused = [done.0, done.1].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(refused[..], [JournalError::AnsweredAlready]), "{refused:?}");
    assert_eq!(journal.spent(caller.run_id).await.unwrap().tokens, 1050);
}

#[tokio::test]
async fn a_run_that_does_not_exist_has_spent_nothing_known() {
    let ground = OnPostgres::new().await;
    let error = ground.journal().spent(RunId::generate()).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Input, "{error}");
}

/// A third of the default limit of tokens, and a little more.
const THIRD: Spent = Spent { usd: Usd::ZERO, tokens: 700_000 };

async fn shares(ground: &dyn Ground) {
    let (journal, first) = (ground.journal(), ground.caller());
    let call = |call_no| Caller { call_no, ..first.clone() };
    assert_eq!(journal.reserve(&call(1), THIRD).await.unwrap(), Reserved::Held);
    assert_eq!(journal.reserve(&call(2), THIRD).await.unwrap(), Reserved::Held);
    // Whoever asks again holds one reservation, not two; a third does not fit beside both.
    assert_eq!(journal.reserve(&call(2), THIRD).await.unwrap(), Reserved::Held);
    assert_eq!(journal.reserve(&call(3), THIRD).await.unwrap(), Reserved::Wait);

    // A call that took less than its worst case leaves room, one without a reply leaves all of its own.
    journal.record(&call(1), &record(&call(1), "a", "x")).await.unwrap();
    assert_eq!(journal.reserve(&call(3), THIRD).await.unwrap(), Reserved::Held);
    assert_eq!(journal.reserve(&call(4), THIRD).await.unwrap(), Reserved::Wait);
    journal.release(&call(3)).await.unwrap();
    assert_eq!(journal.reserve(&call(4), THIRD).await.unwrap(), Reserved::Held);

    // What cannot fit beside what is spent is refused at once.
    let all = Spent { usd: Usd::ZERO, tokens: Limits::default().tokens };
    let spent = Spent { usd: Usd::from_nanos(1_234_567), tokens: 1050 };
    let refused = Reserved::Refused { spent, limits: Limits::default() };
    assert_eq!(journal.reserve(&call(5), all).await.unwrap(), refused);

    // A crash: the lease is lost, and with it what its calls had reserved.
    let fence = ground.lose_lease().await;
    let told = journal.reserve(&call(6), THIRD).await;
    assert!(matches!(told, Err(JournalError::StaleFence)), "{told:?}");
    let next = |call_no| Caller { fence, ..call(call_no) };
    assert_eq!(journal.reserve(&next(1), THIRD).await.unwrap(), Reserved::Held);
    assert_eq!(journal.reserve(&next(2), THIRD).await.unwrap(), Reserved::Held);
    assert_eq!(journal.reserve(&next(3), THIRD).await.unwrap(), Reserved::Wait);
}

#[tokio::test]
async fn calls_in_memory_share_what_is_left() {
    shares(&InMemory(MemoryJournal::new(), caller(RunId::generate(), StepId::generate(), 1))).await;
}

#[tokio::test]
async fn calls_on_postgres_share_what_is_left() {
    shares(&OnPostgres::new().await).await;
}

#[tokio::test]
async fn of_many_reservations_at_once_no_more_are_held_than_fit() {
    let ground = OnPostgres::new().await;
    let most = Spent { usd: Usd::from_nanos(1_100_000_000), tokens: 10 };
    let mut asking = tokio::task::JoinSet::new();
    for call_no in 1..=12 {
        let (journal, caller) = (ground.0.clone(), Caller { call_no, ..ground.caller() });
        asking.spawn(async move { journal.reserve(&caller, most).await });
    }
    let all = asking.join_all().await;
    let held = all.into_iter().filter(|it| matches!(it, Ok(Reserved::Held))).count();
    assert_eq!(held, 4, "of 5 dollars at 1.10 each");
}

proptest::proptest! {
    /// Whatever is decided in whatever order, what is spent and held never passes the limits, and nobody waits forever:
    /// who is told to wait fits as soon as nothing else is held.
    #[test]
    fn reservations_never_pass_the_limits(asked in proptest::collection::vec((0..3_000_000_000_i64, 0..1_200_000_u64, proptest::bool::ANY), 1..40)) {
        let limits = Limits::default();
        let (mut spent, mut held) = (Spent::default(), Vec::<Spent>::new());
        for (nanos, tokens, settles) in asked {
            let most = Spent { usd: Usd::from_nanos(nanos), tokens };
            let sum = held.iter().copied().fold(Spent::default(), Spent::and);
            match decide(limits, spent, sum, most) {
                Reserved::Held => held.push(most),
                Reserved::Wait => proptest::prop_assert_eq!(decide(limits, spent, Spent::default(), most), Reserved::Held),
                Reserved::Refused { .. } => proptest::prop_assert!(spent.and(most).usd > limits.usd || spent.and(most).tokens > limits.tokens),
            }
            if settles && !held.is_empty() {
                let settled = held.remove(0);
                spent = spent.and(settled);
            }
            let sum = held.iter().copied().fold(spent, Spent::and);
            proptest::prop_assert!(sum.usd <= limits.usd && sum.tokens <= limits.tokens);
        }
    }
}
