//! Postgres is away: keys that are known go on, nobody is called a stranger, and no call is lost.

use crate::site::{COMPLETIONS, Plan, Site, question, says};
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use toryo_blackboard::accounts::Limits;
use toryo_models::accounts::{Config, OnOutage, secret};
use toryo_testkit::upstream::{Said, Wire};

const ROUTES: &str = "[routes.coder]\nprovider = \"p\"\nmodel = \"m\"\nmax_output_tokens = 100\nat_limit = \"refuse\"\n\
    price = { input = 1, cached_input = 1, output = 2 }\n";
/// Longer than the lease of ten seconds under which a process holds what it was granted. After it nothing changes with
/// time until `grace_seconds`, which is 300 here: an outage of sixty seconds is this one, only longer.
const OUTAGE: Duration = Duration::from_secs(12);

#[tokio::test]
async fn known_keys_work_through_an_outage_that_outlives_the_lease_and_no_call_is_lost() {
    let upstream = says(Wire::OpenAi, Said::text("Hello.")).await;
    let providers = [("p", Wire::OpenAi, &upstream)];
    let plan = Plan {
        limits: Limits { requests_per_minute: Some(6_000), ..Limits::default() },
        accounts: Config { on_outage: OnOutage::Allow, ..Config::default() },
        behind_a_proxy: true,
        ..Plan::new(&providers, ROUTES)
    };
    let site = Site::of(plan).await;
    let ask = async || site.ask(COMPLETIONS, &question(COMPLETIONS, "Hi.")).await;
    let (status, answer) = ask().await;
    assert_eq!(status, 200, "{answer}");
    let proxy = site.proxy.as_ref().unwrap();
    proxy.cut();
    let mut calls = 1;
    let ends = Instant::now() + OUTAGE;
    let mut turns = interval(Duration::from_millis(250));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < ends {
        turns.tick().await;
        let (status, answer) = ask().await;
        assert_eq!(status, 200, "call {calls}: {answer}");
        calls += 1;
    }
    let stranger = secret::generate().unwrap();
    let stranger = stranger.text.expose_secret();
    let answer = site.post_with(stranger, COMPLETIONS, &question(COMPLETIONS, "Hi.")).send().await.unwrap();
    assert_eq!(answer.status(), 503, "nobody can say that the key is wrong");
    proxy.mend();
    let rows = "select count(*) from gateway_ledger where cost_nano_usd = 1200000 and status = 'ok'";
    let mut written = 0_i64;
    for _ in 0..3_000 {
        written = sqlx::query_scalar(rows).fetch_one(site.db.pool()).await.unwrap();
        if written == calls {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(written, calls, "every call has its row");
    assert_eq!(upstream.calls().len() as i64, calls);
    site.accounts.shutdown().await;
}
