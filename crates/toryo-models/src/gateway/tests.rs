//! The road of a call: journal, limits, retries, record. Time is tokio's paused clock, so that waits are exact and
//! take none.

mod masking;

use super::*;
use crate::config::{Price, Retry, Route, WithoutKey};
use crate::journal::Spent;
use crate::journal::memory::Fault;
use crate::provider::ProviderError;
use crate::provider::fake::{Answer, FakeProvider};
use crate::provider::replay::Replay;
use crate::request::{Message, OutputSchema};
use serde_json::json;
use toryo_domain::{FailureClass, Limits, Role, RunId, StepId, StepKey, StepKind};

struct Bench {
    gateway: Gateway,
    journal: Arc<MemoryJournal>,
    provider: Arc<FakeProvider>,
    caller: Caller,
    cancel: CancellationToken,
}

fn caller() -> Caller {
    Caller {
        run_id: RunId::generate(),
        step_id: StepId::generate(),
        step_key: StepKey::of_subtask(StepKind::Code, "parse-dates", 1),
        attempt: 1,
        fence: 7,
        agent: Role::Coder,
        call_no: 1,
        limits: Limits::default(),
    }
}

fn request() -> Request {
    Request {
        route: "coder".into(),
        output: OutputSchema { name: "edit_set".into(), schema: json!({"type": "object"}) },
        messages: vec![Message::system("You edit code."), Message::user("Make the range inclusive.")],
        max_output_tokens: 1000,
        temperature: Some(0.2),
    }
}

/// A model at 1, 0.5 and 2 dollars a million, without reasoning.
fn config() -> Config {
    let usd = |dollars| Usd::from_dollars(dollars).unwrap();
    let price = Price { input: usd(1.0), cached_input: usd(0.5), cache_write: None, output: usd(2.0) };
    let route = Route { price: Some(price), ..Route::to("test-model") };
    Config { routes: [("default".to_owned(), route)].into(), ..Config::default() }
}

impl Bench {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::with(&config(), answers)
    }

    fn with(config: &Config, answers: impl IntoIterator<Item = Answer>) -> Self {
        let provider = FakeProvider::in_order(answers);
        let journal = Arc::new(MemoryJournal::new());
        let providers = Providers::new().with("openai", Arc::clone(&provider) as Arc<dyn ModelProvider>);
        let gateway = Gateway::new(config, providers, Arc::clone(&journal) as Arc<dyn Journal>).unwrap();
        Self { gateway, journal, provider, caller: caller(), cancel: CancellationToken::new() }
    }

    async fn call(&self) -> Result<Reply, Error> {
        self.gateway.complete(&self.caller, &request(), &self.cancel).await
    }

    fn asked(&self) -> usize {
        self.provider.requests().len()
    }
}

fn rate_limited(seconds: Option<u64>) -> Answer {
    let retry_after = seconds.map(Duration::from_secs);
    Answer::Fail(ProviderError::RateLimited { retry_after, message: "slow down".into() })
}

fn unavailable() -> Answer {
    Answer::Fail(ProviderError::Unavailable { status: Some(503), retry_after: None, message: "busy".into() })
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_priced_journalled_and_returned() {
    let bench = Bench::new([Answer::text("{}")]);
    let reply = bench.call().await.unwrap();
    assert_eq!((reply.content.as_str(), reply.journalled, reply.recorded), ("{}", false, false));
    // 100 × 1 + 10 × 2 dollars a million.
    assert_eq!(reply.cost, Usd::from_nanos(120_000));
    let [record] = &bench.journal.records()[..] else { panic!("not one record") };
    assert_eq!((record.route.as_str(), record.priced, record.provider_attempts), ("coder", true, 1));
    let spent = bench.journal.spent(bench.caller.run_id).await.unwrap();
    assert_eq!(spent, Spent { usd: reply.cost, tokens: 110 });
    let asked = &bench.provider.requests()[0];
    assert_eq!(
        (asked.model.as_str(), asked.max_output_tokens, asked.temperature),
        ("test-model", 1000, Some(0.2))
    );
}

#[tokio::test(start_paused = true)]
async fn the_journal_answers_the_next_attempt_and_nothing_is_paid() {
    let mut bench = Bench::new([Answer::text("first"), Answer::text("second")]);
    bench.call().await.unwrap();
    bench.caller.attempt = 2;
    bench.caller.fence = 8;
    let again = bench.call().await.unwrap();
    assert_eq!((again.content.as_str(), again.journalled, again.cost), ("first", true, Usd::ZERO));
    assert_eq!(bench.asked(), 1);
    bench.caller.call_no = 2;
    assert_eq!(bench.call().await.unwrap().content, "second", "another call is another reply");
    assert_eq!(bench.journal.spent(bench.caller.run_id).await.unwrap().tokens, 220);
}

#[tokio::test(start_paused = true)]
async fn the_journal_answers_without_a_key_and_beyond_the_budget() {
    let mut bench = Bench::new([Answer::text("paid")]);
    bench.call().await.unwrap();
    bench.caller.limits.usd = Usd::ZERO;
    bench.caller.limits.tokens = 0;
    let journal = Arc::clone(&bench.journal) as Arc<dyn Journal>;
    bench.gateway = Gateway::new(&config(), Providers::new(), journal).unwrap();
    assert!(bench.call().await.unwrap().journalled);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_to_the_second() {
    let bench = Bench::new([rate_limited(Some(17)), Answer::text("{}")]);
    let started = Instant::now();
    let reply = bench.call().await.unwrap();
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(17) && waited < Duration::from_millis(17_050), "{waited:?}");
    assert_eq!(reply.latency, waited);
    assert_eq!(bench.journal.records()[0].provider_attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn without_retry_after_the_waits_double_and_differ_between_steps() {
    let mut waits = Vec::new();
    for _ in 0..2 {
        let bench = Bench::new([unavailable()]);
        let started = Instant::now();
        let error = bench.call().await.unwrap_err();
        waits.push(started.elapsed());
        assert_eq!(error.class(), FailureClass::Transient);
        assert_eq!(error.to_string(), "model provider `openai` failed (attempts: 6)");
        assert_eq!(bench.asked(), 6);
    }
    // 0.5 + 1 + 2 + 4 + 8 s, and up to as much again.
    let whole = Duration::from_millis(15_500);
    assert!(waits.iter().all(|wait| (whole..whole * 2).contains(wait)), "{waits:?}");
    assert_ne!(waits[0], waits[1]);
}

#[tokio::test(start_paused = true)]
async fn a_longer_wait_than_ours_is_handed_to_the_engine() {
    let bench = Bench::new([rate_limited(Some(3600))]);
    let started = Instant::now();
    let error = bench.call().await.unwrap_err();
    assert_eq!(
        (error.class(), error.retry_after()),
        (FailureClass::RateLimited, Some(Duration::from_secs(3600)))
    );
    assert_eq!((bench.asked(), started.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_waiting_early() {
    let retry = Retry { total_seconds: 30, ..Retry::default() };
    let bench = Bench::with(&Config { retry, ..config() }, [rate_limited(Some(20))]);
    let started = Instant::now();
    let error = bench.call().await.unwrap_err();
    assert_eq!(error.class(), FailureClass::RateLimited);
    assert_eq!(bench.asked(), 2);
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn nothing_until_the_timeout_is_transient() {
    let retry = Retry { attempts: 2, ..Retry::default() };
    let bench = Bench::with(&Config { retry, ..config() }, [Answer::Hang]);
    let started = Instant::now();
    let error = bench.call().await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Transient);
    // Two requests of 300 s and one wait of at most a second.
    let took = started.elapsed();
    assert!(took > Duration::from_secs(600) && took < Duration::from_secs(602), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_no_retry_mends_is_not_retried() {
    for (error, class) in [
        (ProviderError::KeyRefused { status: 401 }, FailureClass::Input),
        (ProviderError::Rejected { status: 404, message: "no such model".into() }, FailureClass::Input),
        (ProviderError::ContextLength { message: "too long".into() }, FailureClass::Input),
        (ProviderError::QuotaExhausted { message: "no credit".into() }, FailureClass::Budget),
    ] {
        let bench = Bench::new([Answer::Fail(error)]);
        let failed = bench.call().await.unwrap_err();
        assert_eq!((failed.class(), bench.asked()), (class, 1), "{failed}");
        assert!(bench.journal.records().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_ends_a_hanging_request_and_a_wait_at_once() {
    for answer in [Answer::Hang, rate_limited(Some(50))] {
        let bench = Bench::new([answer]);
        let started = Instant::now();
        let cancel = bench.cancel.clone();
        let (reply, ()) = tokio::join!(bench.call(), async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            cancel.cancel();
        });
        assert_eq!(reply.unwrap_err().class(), FailureClass::Cancelled);
        assert_eq!(started.elapsed(), Duration::from_secs(3));
        assert!(matches!(bench.call().await, Err(Error::Cancelled)), "and nothing begins afterwards");
        assert_eq!(bench.asked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_arrives_with_the_cancellation_is_still_journalled() {
    let cancel = CancellationToken::new();
    let trigger = cancel.clone();
    let provider = FakeProvider::new(move |_, _| {
        trigger.cancel();
        Answer::text("paid")
    });
    let journal = Arc::new(MemoryJournal::new());
    journal.fail_next([Fault::Unavailable]);
    let providers = Providers::new().with("openai", provider);
    let gateway = Gateway::new(&config(), providers, Arc::clone(&journal) as Arc<dyn Journal>).unwrap();
    let reply = gateway.complete(&caller(), &request(), &cancel).await.unwrap();
    assert_eq!((reply.content.as_str(), journal.records().len()), ("paid", 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_money_is_refused_before_it_is_sent() {
    let mut bench = Bench::new([Answer::text("{}")]);
    // The worst case: 1000 tokens out at 2 dollars a million, and the prompt.
    bench.caller.limits.usd = Usd::from_dollars(0.01).unwrap();
    let spent = |dollars| Spent { usd: Usd::from_dollars(dollars).unwrap(), tokens: 0 };
    bench.journal.set_spent(bench.caller.run_id, spent(0.0081));
    let error = bench.call().await.unwrap_err();
    assert!(matches!(error, Error::BudgetUsd { .. }), "{error}");
    assert_eq!((error.class(), bench.asked()), (FailureClass::Budget, 0));
    bench.journal.set_spent(bench.caller.run_id, spent(0.0079));
    bench.call().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_tokens_is_refused_before_it_is_sent() {
    let mut bench = Bench::new([Answer::text("{}")]);
    bench.caller.limits.tokens = 10_000;
    bench.journal.set_spent(bench.caller.run_id, Spent { usd: Usd::ZERO, tokens: 9_001 });
    let error = bench.call().await.unwrap_err();
    assert!(matches!(error, Error::BudgetTokens { .. }), "{error}");
    assert_eq!((error.class(), bench.asked()), (FailureClass::Budget, 0));
    bench.journal.set_spent(bench.caller.run_id, Spent { usd: Usd::ZERO, tokens: 8_900 });
    bench.call().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_price_costs_nothing_and_is_marked() {
    let config =
        Config { routes: [("default".to_owned(), Route::to("home-made"))].into(), ..Config::default() };
    let bench = Bench::with(&config, [Answer::text("{}")]);
    assert_eq!(bench.call().await.unwrap().cost, Usd::ZERO);
    assert!(!bench.journal.records()[0].priced);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_the_record_and_the_return_pays_nothing_again() {
    let mut bench = Bench::new([Answer::text("paid")]);
    // The first worker dies while it waits for the answer of the journal, which has the reply.
    bench.journal.fail_next([Fault::AnswerLost]);
    let journal = Arc::clone(&bench.journal);
    tokio::select! {
        biased;
        _ = bench.call() => panic!("the journal's answer was lost"),
        () = async { while journal.records().is_empty() { tokio::task::yield_now().await; } } => {}
    }
    bench.caller.attempt = 2;
    let reply = bench.call().await.unwrap();
    assert_eq!((reply.content.as_str(), reply.journalled, bench.asked()), ("paid", true, 1));
    assert_eq!(bench.journal.spent(bench.caller.run_id).await.unwrap().usd, Usd::from_nanos(120_000));
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_comes_back_gets_the_paid_reply_once() {
    for faults in [vec![Fault::Unavailable; 3], vec![Fault::AnswerLost, Fault::Unavailable]] {
        let bench = Bench::new([Answer::text("paid")]);
        bench.journal.fail_next(faults);
        assert!(!bench.call().await.unwrap().journalled);
        assert_eq!((bench.asked(), bench.journal.records().len()), (1, 1));
        assert_eq!(bench.journal.spent(bench.caller.run_id).await.unwrap().tokens, 110);
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_stays_away_hands_out_nothing() {
    let bench = Bench::new([Answer::text("paid")]);
    bench.journal.fail_next([Fault::Unavailable; 9]);
    let error = bench.call().await.unwrap_err();
    assert!(matches!(error, Error::Journal(_)), "{error}");
    assert_eq!(error.class(), FailureClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_before_the_call_sends_nothing() {
    let bench = Bench::new([Answer::text("never")]);
    bench.journal.set_fence(bench.caller.step_id, 8);
    let error = bench.call().await.unwrap_err();
    assert!(matches!(error, Error::Journal(JournalError::StaleFence)), "{error}");
    assert_eq!(bench.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_during_the_call_stops_the_caller_and_keeps_what_is_paid() {
    let (journal, mut asker) = (Arc::new(MemoryJournal::new()), caller());
    let (held, step) = (Arc::clone(&journal), asker.step_id);
    let provider = FakeProvider::new(move |_, _| {
        held.set_fence(step, 8);
        Answer::text("paid")
    });
    let providers = Providers::new().with("openai", Arc::clone(&provider) as Arc<dyn ModelProvider>);
    let gateway = Gateway::new(&config(), providers, journal as Arc<dyn Journal>).unwrap();
    let cancel = CancellationToken::new();
    let error = gateway.complete(&asker, &request(), &cancel).await.unwrap_err();
    assert!(matches!(error, Error::Journal(JournalError::StaleFence)), "{error}");
    (asker.fence, asker.attempt) = (8, 2);
    let reply = gateway.complete(&asker, &request(), &cancel).await.unwrap();
    assert_eq!((reply.content.as_str(), reply.journalled, provider.requests().len()), ("paid", true, 1));
}

#[tokio::test(start_paused = true)]
async fn of_two_answers_to_one_call_the_first_counts() {
    let journal = Arc::new(MemoryJournal::new());
    let asker = caller();
    let foreign = {
        let bench = Bench::new([Answer::text("first")]);
        let gateway = Gateway::new(
            &config(),
            Providers::new().with("openai", Arc::clone(&bench.provider) as Arc<dyn ModelProvider>),
            Arc::clone(&journal) as Arc<dyn Journal>,
        );
        (gateway.unwrap(), asker.clone())
    };
    // While the second worker waits for its model, the first one's reply is journalled.
    let slow =
        FakeProvider::new(|_, before| if before == 0 { unavailable() } else { Answer::text("second") });
    let providers = Providers::new().with("openai", slow);
    let gateway = Gateway::new(&config(), providers, Arc::clone(&journal) as Arc<dyn Journal>).unwrap();
    let cancel = CancellationToken::new();
    let request = request();
    let (second, first) = tokio::join!(
        gateway.complete(&asker, &request, &cancel),
        foreign.0.complete(&foreign.1, &request, &cancel)
    );
    assert_eq!(first.unwrap().content, "first");
    let second = second.unwrap();
    assert_eq!((second.content.as_str(), second.journalled), ("first", true));
}

#[tokio::test(start_paused = true)]
async fn what_postgres_cannot_store_is_replaced_before_it_is_used() {
    let bench = Bench::new([Answer::text("a\0b")]);
    let fresh = bench.call().await.unwrap();
    assert_eq!(fresh.content, "a\u{FFFD}b");
    assert_eq!(bench.call().await.unwrap().content, fresh.content);
}

#[tokio::test(start_paused = true)]
async fn models_that_reason_get_room_for_it_and_no_temperature() {
    let bench = Bench::with(&Config::default(), [Answer::text("{}")]);
    bench.call().await.unwrap();
    let asked = &bench.provider.requests()[0];
    assert_eq!((asked.model.as_str(), asked.max_output_tokens, asked.temperature), ("gpt-5", 17_384, None));
}

#[tokio::test(start_paused = true)]
async fn without_a_key_the_configuration_decides() {
    let recording = r#"{"repository_commit": "abc", "replies": [{"step": "code:parse-dates", "call": 1,
        "name": "edit_set", "reply": {"edits": []}, "usage": {"input": 900, "output": 90}}]}"#;
    let replay = Arc::new(Replay::from_json(recording).unwrap().paced(Duration::from_secs(2)));
    let providers = || Providers::new().with_replay(Arc::clone(&replay) as Arc<dyn ModelProvider>);
    let cancel = CancellationToken::new();
    let refusing = Gateway::new(&config(), providers(), Arc::new(MemoryJournal::new())).unwrap();
    let error = refusing.complete(&caller(), &request(), &cancel).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Input);
    assert!(error.to_string().contains("models.providers.openai.api_key"), "{error}");

    let config = Config { without_key: WithoutKey::Replay, ..config() };
    let playing = Gateway::new(&config, providers(), Arc::new(MemoryJournal::new())).unwrap();
    assert_eq!(playing.facts("coder").unwrap().recording_of.as_deref(), Some("abc"));
    let started = Instant::now();
    let mut asker = caller();
    let reply = playing.complete(&asker, &request(), &cancel).await.unwrap();
    assert_eq!((reply.recorded, reply.cost, reply.provider.as_str()), (true, Usd::ZERO, "replay"));
    assert_eq!((reply.content.as_str(), reply.usage.total()), (r#"{"edits":[]}"#, 990));
    assert_eq!(started.elapsed(), Duration::from_secs(2));

    asker.call_no = 2;
    let error = playing.complete(&asker, &request(), &cancel).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Input);
    let chain = std::error::Error::source(&error).unwrap().to_string();
    assert!(chain.contains("code:parse-dates") && chain.contains("configure a model key"), "{chain}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_makes_no_sense_is_the_agents_fault() {
    let bench = Bench::new([Answer::text("{}")]);
    let whole = (caller(), request());
    for (caller, request) in [
        (Caller { call_no: 0, ..whole.0.clone() }, whole.1.clone()),
        (whole.0.clone(), Request { messages: Vec::new(), ..whole.1.clone() }),
        (whole.0.clone(), Request { max_output_tokens: 0, ..whole.1.clone() }),
        (
            whole.0.clone(),
            Request { output: OutputSchema { name: String::new(), schema: json!({}) }, ..whole.1.clone() },
        ),
    ] {
        let error = bench.gateway.complete(&caller, &request, &bench.cancel).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::Bug, "{error}");
    }
    let lost = Request { route: "poet".into(), ..whole.1 };
    let error = bench.gateway.complete(&whole.0, &lost, &bench.cancel).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Input);
    assert_eq!(bench.asked(), 0);
}

#[test]
fn conversions_keep_the_class() {
    for class in FailureClass::ALL {
        let error = JournalError::Store { class: *class, source: "x".into() };
        assert_eq!(Error::from(error).class(), *class);
    }
    let provider = |source| Error::Provider { provider: "p".into(), attempts: 1, source };
    for source in [
        ProviderError::RateLimited { retry_after: None, message: String::new() },
        ProviderError::TimedOut { limit: Duration::ZERO },
        ProviderError::KeyRefused { status: 403 },
        ProviderError::Cancelled,
    ] {
        let class = source.class();
        assert_eq!(provider(source).class(), class);
    }
}
