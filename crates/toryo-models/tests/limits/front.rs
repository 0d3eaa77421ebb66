//! Whole calls of clients: a key, a body, a provider over HTTP, an answer in the client's dialect, a row in the ledger.

use crate::world::{World, until};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use toryo_blackboard::accounts::Limits;
use toryo_blackboard::prompts;
use toryo_models::accounts::{Accounts, Principal};
use toryo_models::allowance::Limit;
use toryo_models::config::{CacheBytes, Config};
use toryo_models::dialect::{Refused, RefusedKind, read_head};
use toryo_models::front::{Body, CacheControl, Front, Options, Served};
use toryo_models::inbound::Dialect;
use toryo_models::ledger::CacheState;
use toryo_models::provider::Providers;
use toryo_models::route::Router;
use toryo_testkit::openai::{Gate, Usage};
use toryo_testkit::upstream::{API_KEY, Fault, Reply, Said, Upstream, Wire};

const DIALECTS: [Dialect; 3] = [Dialect::Completions, Dialect::Responses, Dialect::Messages];
/// A thousand tokens in and a hundred out at the price below.
const COST: i64 = 1_000 * 1_000 + 100 * 2_000;

struct Bed {
    world: World,
    accounts: Accounts,
    front: Front,
    who: Arc<Principal>,
}

/// One route, `coder`, to one upstream, at 1 dollar a million tokens in and 2 out.
async fn bed(upstream: &Upstream, kind: &str, route: &str) -> Bed {
    let world = World::new().await;
    let accounts = world.process().await;
    let (_, secret) = world.key(Limits::default()).await;
    let text = format!(
        "[retry]\nfirst_delay_ms = 1\n[providers.p]\nkind = \"{kind}\"\nbase_url = \"{}\"\napi_key = \"{API_KEY}\"\n\
         [routes.coder]\nprovider = \"p\"\nmodel = \"m\"\nmax_output_tokens = 1000\n\
         price = {{ input = 1, cached_input = 1, output = 2 }}\n{route}",
        upstream.base_url(),
    );
    let config: Config = toml::from_str(&text).unwrap();
    let providers = Providers::from_config(&config).unwrap();
    let router = Arc::new(Router::new(&config.in_force().unwrap(), &providers));
    let front = Front::new(router, accounts.clone(), CacheBytes::default(), None);
    let who = front.authenticate(&secret).await.unwrap();
    Bed { world, accounts, front, who }
}

impl Bed {
    async fn ask(&self, dialect: Dialect, stream: bool) -> Result<Served, Refused> {
        self.ask_with(dialect, stream, &Options::default()).await
    }

    async fn ask_with(&self, dialect: Dialect, stream: bool, options: &Options) -> Result<Served, Refused> {
        let inbound = read_head(dialect, question(dialect, stream)).unwrap();
        self.front.ask(&self.who, inbound, options).await
    }

    /// All rows of the ledger, once what was journalled is written.
    async fn rows(&self) -> Vec<(String, i64, i64, i64)> {
        self.accounts.shutdown().await;
        sqlx::query_as(
            "select status, input_tokens::bigint, output_tokens::bigint, cost_nano_usd from gateway_ledger order by id",
        )
        .fetch_all(self.world.db.pool())
        .await
        .unwrap()
    }
}

fn question(dialect: Dialect, stream: bool) -> Bytes {
    let messages = json!([{ "role": "user", "content": "Say hello." }]);
    let body = match dialect {
        Dialect::Completions => json!({ "model": "coder", "messages": messages, "stream": stream }),
        Dialect::Responses => {
            json!({ "model": "coder", "input": "Say hello.", "stream": stream, "store": false })
        }
        Dialect::Messages => {
            json!({ "model": "coder", "messages": messages, "stream": stream, "max_tokens": 500 })
        }
    };
    Bytes::from(body.to_string())
}

async fn text(served: Served) -> String {
    let bytes = match served.body {
        Body::Whole(bytes) => bytes.to_vec(),
        Body::Events(events) => events.collect::<Vec<_>>().await.concat(),
    };
    String::from_utf8(bytes).unwrap()
}

/// The words of an answer, as a client of the dialect puts them together.
fn words(dialect: Dialect, stream: bool, answer: &str) -> String {
    if stream {
        let data = answer.lines().filter_map(|line| line.strip_prefix("data: "));
        let values = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        let piece = |value: Value| match dialect {
            Dialect::Completions => value["choices"][0]["delta"]["content"].as_str().map(str::to_owned),
            Dialect::Responses if value["type"] == "response.output_text.delta" => {
                value["delta"].as_str().map(str::to_owned)
            }
            Dialect::Responses => None,
            Dialect::Messages => value["delta"]["text"].as_str().map(str::to_owned),
        };
        return values.filter_map(piece).collect();
    }
    let value: Value = serde_json::from_str(answer).unwrap();
    let words = match dialect {
        Dialect::Completions => &value["choices"][0]["message"]["content"],
        Dialect::Responses => &value["output"][0]["content"][0]["text"],
        Dialect::Messages => &value["content"][0]["text"],
    };
    words.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_dialect_is_answered_by_every_provider_and_every_call_has_its_row() {
    for (wire, kind) in [(Wire::OpenAi, "openai"), (Wire::Anthropic, "anthropic")] {
        let says = || Reply::Says(Said::text("Hello to you, and to all others."));
        let upstream = Upstream::start(wire, std::iter::repeat_with(says).take(6)).await;
        let bed = bed(&upstream, kind, "").await;
        for dialect in DIALECTS {
            for stream in [false, true] {
                let served = bed.ask(dialect, stream).await.unwrap();
                let cost = served.about.cost.map(|cost| cost.nanos());
                assert_eq!(cost, (!stream).then_some(COST), "{wire:?} {dialect:?}");
                let answer = text(served).await;
                let said = words(dialect, stream, &answer);
                assert_eq!(said, "Hello to you, and to all others.", "{wire:?} {dialect:?}:\n{answer}");
            }
        }
        assert_eq!(upstream.take_violations(), Vec::<String>::new());
        let expected = ("ok".to_owned(), 1_000, 100, COST);
        assert_eq!(bed.rows().await, vec![expected; 6], "{wire:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_request_and_pays_for_what_it_was_told() {
    let gate = Gate::new();
    let upstream = Upstream::start(Wire::OpenAi, [Reply::Fails(Fault::Stall(gate))]).await;
    let bed = bed(&upstream, "openai", "").await;
    let Body::Events(mut events) = bed.ask(Dialect::Completions, true).await.unwrap().body else {
        panic!("not a stream")
    };
    assert!(events.next().await.is_some());
    drop(events);
    upstream.until_abandoned(1).await;
    let rows = bed.rows().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].0, "cancelled");
    assert!(rows[0].3 > 0 && rows[0].3 < COST, "what was said is paid, nothing more: {rows:?}");
}

#[tokio::test]
async fn five_hundred_calls_against_the_last_cents_spend_no_more_than_these() {
    // No more tokens than such a question has: a provider that charges for others cannot be reserved for.
    let usage = Usage { input: 20, output: 100, ..Usage::default() };
    let cost = 20 * 1_000 + 100 * 2_000;
    let says = || Reply::Says(Said::text("Hello.").with_usage(usage));
    let upstream = Upstream::start(Wire::OpenAi, std::iter::repeat_with(says).take(500)).await;
    let bed = Arc::new(bed(&upstream, "openai", "at_limit = \"refuse\"\n").await);
    // Two cents: each call may cost a tenth of that and costs a hundredth.
    bed.world.budget(bed.world.team, Limit::Total, 2).await;
    let secret = bed.world.key(Limits::default()).await.1;
    let who = bed.front.authenticate(&secret).await.unwrap();
    let calls = (0..500).map(|at| {
        let (bed, who) = (Arc::clone(&bed), Arc::clone(&who));
        tokio::spawn(async move {
            let dialect = DIALECTS[at % 3];
            let inbound = read_head(dialect, question(dialect, at % 2 == 0)).unwrap();
            match bed.front.ask(&who, inbound, &Options::default()).await {
                Ok(served) => {
                    text(served).await;
                    true
                }
                Err(refused) => {
                    assert!(
                        matches!(refused.kind, RefusedKind::OverBudget | RefusedKind::RateLimited),
                        "{refused:?}"
                    );
                    false
                }
            }
        })
    });
    let answered =
        futures::future::join_all(calls).await.into_iter().filter(|done| *done.as_ref().unwrap()).count();
    let spent: i64 = bed.rows().await.iter().map(|row| row.3).sum();
    assert!(spent <= 20_000_000, "{spent} of 20,000,000 nanodollars");
    assert_eq!(spent, i64::try_from(answered).unwrap() * cost);
    assert!(answered >= 5, "most of the budget is used: {answered} calls");
}

#[tokio::test]
async fn an_equal_question_is_answered_from_what_is_kept_in_any_form() {
    let says = || Reply::Says(Said::text("Hello."));
    let upstream = Upstream::start(Wire::OpenAi, std::iter::repeat_with(says).take(3)).await;
    let bed = bed(&upstream, "openai", "cache = { ttl_seconds = 600 }\n").await;
    let first = bed.ask(Dialect::Completions, true).await.unwrap();
    assert_eq!(first.about.cache, CacheState::None);
    assert_eq!(words(Dialect::Completions, true, &text(first).await), "Hello.");
    for (dialect, stream) in
        [(Dialect::Completions, false), (Dialect::Completions, true), (Dialect::Responses, false)]
    {
        let again = bed.ask(dialect, stream).await.unwrap();
        assert_eq!(
            (again.about.cache, again.about.cost.map(|cost| cost.nanos())),
            (CacheState::Exact, Some(0))
        );
        assert_eq!(words(dialect, stream, &text(again).await), "Hello.");
    }
    assert_eq!(upstream.calls().len(), 1);
    let fresh = Options { cache: CacheControl { no_cache: true, no_store: false }, ..Options::default() };
    let asked = bed.ask_with(Dialect::Completions, false, &fresh).await.unwrap();
    assert_eq!(asked.about.cache, CacheState::None);
    assert_eq!(upstream.calls().len(), 2);
    let rows = bed.rows().await;
    let paid: Vec<i64> = rows.iter().map(|row| row.3).collect();
    assert_eq!(paid, [COST, 0, 0, 0, COST]);
}

#[tokio::test]
async fn equal_questions_at_once_are_asked_once() {
    let gate = Gate::new();
    let upstream = Upstream::start(Wire::OpenAi, [Reply::Waits(gate.clone(), Said::text("Hello."))]).await;
    let bed = Arc::new(bed(&upstream, "openai", "cache = {}\n").await);
    let asking: Vec<_> = (0..5)
        .map(|_| {
            let bed = Arc::clone(&bed);
            tokio::spawn(async move { text(bed.ask(Dialect::Completions, false).await.unwrap()).await })
        })
        .collect();
    upstream.until_waiting(1).await;
    gate.open();
    for answer in asking {
        assert_eq!(words(Dialect::Completions, false, &answer.await.unwrap()), "Hello.");
    }
    assert_eq!(upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_broken_stream_ends_with_an_error_in_the_dialect_and_is_not_called_whole() {
    for dialect in DIALECTS {
        let upstream = Upstream::start(Wire::OpenAi, [Reply::Fails(Fault::ResetInside)]).await;
        let bed = bed(&upstream, "openai", "cache = {}\n").await;
        let answer = text(bed.ask(dialect, true).await.unwrap()).await;
        let error = match dialect {
            Dialect::Completions => "\"error\"",
            Dialect::Responses => "response.failed",
            Dialect::Messages => "event: error",
        };
        assert!(answer.contains(error), "{dialect:?}:\n{answer}");
        for end in ["[DONE]", "response.completed", "message_stop"] {
            assert!(!answer.contains(end), "{dialect:?} called whole:\n{answer}");
        }
        let rows = bed.rows().await;
        assert_eq!((rows.len(), rows[0].0.as_str()), (1, "error"));
    }
}

#[tokio::test]
async fn a_cheaper_route_answers_while_a_budget_runs_low() {
    let says = || Reply::Says(Said::text("Hello."));
    let upstream = Upstream::start(Wire::OpenAi, std::iter::repeat_with(says).take(200)).await;
    let light = "downgrade_to = \"light\"\n[routes.light]\nprovider = \"p\"\nmodel = \"light-model\"\n\
                 max_output_tokens = 10\nprice = { input = 0, cached_input = 0, output = 0 }\n";
    let bed = bed(&upstream, "openai", light).await;
    // A tenth of it is more than one call may cost, so that calls are still admitted when it runs low.
    bed.world.budget(bed.world.user, Limit::Day, 5).await;
    let secret = bed.world.key(Limits::default()).await.1;
    let who = bed.front.authenticate(&secret).await.unwrap();
    let ask = || async {
        let inbound = read_head(Dialect::Completions, question(Dialect::Completions, false)).unwrap();
        bed.front.ask(&who, inbound, &Options::default()).await
    };
    assert_eq!(ask().await.unwrap().about.deployment, "p/m");
    until("the budget is low and the cheaper model answers", || async {
        ask().await.is_ok_and(|served| served.about.deployment == "p/light-model")
    })
    .await;
}

#[tokio::test]
async fn words_are_kept_where_the_route_says_so_and_end() {
    let says = || Reply::Says(Said::text("Hello."));
    let upstream = Upstream::start(Wire::OpenAi, std::iter::repeat_with(says).take(2)).await;
    let bed = bed(&upstream, "openai", "words = { log = \"full\", days = 1 }\n").await;
    let mut calls = Vec::new();
    for stream in [false, true] {
        let served = bed.ask(Dialect::Completions, stream).await.unwrap();
        calls.push(served.about.call);
        text(served).await;
    }
    for call in calls {
        until("the words are written", || async {
            prompts::find(&bed.world.db, call).await.unwrap().is_some()
        })
        .await;
        let kept = prompts::find(&bed.world.db, call).await.unwrap().unwrap();
        assert!(kept.question.contains("Say hello."), "{}", kept.question);
        assert_eq!((kept.answer.as_str(), kept.team), ("Hello.", Some(bed.world.team)));
        let ended = "update gateway_prompts set keep_until = now() where call_id = $1";
        sqlx::query(ended).bind(call.uuid()).execute(bed.world.db.pool()).await.unwrap();
        assert_eq!(prompts::find(&bed.world.db, call).await.unwrap(), None, "what has ended is not shown");
    }
    assert_eq!(prompts::prune(&bed.world.db).await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_before_anything_is_sent() {
    let upstream = Upstream::start(Wire::OpenAi, []).await;
    let bed = bed(&upstream, "openai", "max_prompt_tokens = 1000\nmax_call_usd = 0.01\n").await;
    let only = Limits { routes: Some(vec!["other".into()]), ..Limits::default() };
    let narrow = bed.front.authenticate(&bed.world.key(only).await.1).await.unwrap();
    let inbound = read_head(Dialect::Completions, question(Dialect::Completions, false)).unwrap();
    let refused = bed.front.ask(&narrow, inbound, &Options::default()).await.err().unwrap();
    assert_eq!(refused.kind, RefusedKind::Forbidden);
    let long =
        json!({ "model": "coder", "messages": [{ "role": "user", "content": "word ".repeat(1_000) }] });
    let unknown = json!({ "model": "nobody", "messages": [{ "role": "user", "content": "hi" }] });
    for (body, kind) in [(long, RefusedKind::ContextLength), (unknown, RefusedKind::NotFound)] {
        let inbound = read_head(Dialect::Completions, body.to_string().into()).unwrap();
        let refused = bed.front.ask(&bed.who, inbound, &Options::default()).await.err().unwrap();
        assert_eq!(refused.kind, kind, "{refused}");
    }
    let wrong = bed.front.authenticate("tk-nobody").await.unwrap_err();
    assert_eq!(wrong.kind, RefusedKind::KeyRefused);
    assert_eq!(upstream.connections(), 0);
    assert_eq!(bed.rows().await, []);
}
