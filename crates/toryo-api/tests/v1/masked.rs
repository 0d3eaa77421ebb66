//! A masked call from end to end: what is sensitive is nowhere but in the client's question and in its answer.

use crate::site::{COMPLETIONS, MESSAGES, Plan, RESPONSES, Site, events, question};
use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex};
use toryo_models::mask::{Found, Mask};
use toryo_policy::pii::Finder;
use toryo_testkit::upstream::{Reply, Said, Upstream, Wire};
use tracing_subscriber::fmt::format::FmtSpan;

const ADDRESS: &str = "hanna.lindqvist@example.org";
const SECRET: &str = "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8";
const ROUTES: &str = "[routes.coder]\nprovider = \"p\"\nmodel = \"m\"\nmask = \"restore\"\n\
    words = { log = \"masked\", days = 1 }\nprice = { input = 1, cached_input = 1, output = 2 }\n";

/// The policy's own finder, as the service wires it.
#[derive(Debug)]
struct Sensitive(Finder);

impl Mask for Sensitive {
    fn find(&self, text: &str) -> Vec<Found> {
        let found = self.0.find(text).into_iter();
        found.map(|found| Found { range: found.range, kind: found.kind.as_str() }).collect()
    }
}

/// Everything that is logged, spans included, however fine.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn everything_is_logged() -> Lines {
    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || sink.clone());
    // The only test of this process that logs.
    subscriber.init();
    lines
}

/// The words of an answer, whole or streamed.
fn words(path: &str, stream: bool, text: &str) -> String {
    let values = if stream { events(text) } else { vec![serde_json::from_str(text).unwrap()] };
    let place = match (path, stream) {
        (COMPLETIONS, false) => "/choices/0/message/content",
        (COMPLETIONS, true) => "/choices/0/delta/content",
        (RESPONSES, false) => "/output/0/content/0/text",
        (RESPONSES, true) => "/delta",
        (_, false) => "/content/0/text",
        (_, true) => "/delta/text",
    };
    let words = values.iter().filter_map(|value| value.pointer(place).and_then(Value::as_str));
    words.collect()
}

/// Every row of every table, as JSON.
async fn rows(site: &Site) -> String {
    let mut all = String::new();
    for table in ["gateway_ledger", "gateway_prompts", "gateway_counters"] {
        let statement = format!("select coalesce(json_agg(t), '[]')::text from {table} t");
        let text: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(site.db.pool()).await.unwrap();
        all += &text;
    }
    all
}

#[tokio::test]
async fn what_is_masked_is_nowhere_but_in_the_question_and_the_answer() {
    let logged = everything_is_logged();
    // The model repeats the placeholders, the streamed ones in pieces.
    let says = || Reply::Says(Said::text("I wrote to [EMAIL_1] about [SECRET_1]; done."));
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let upstream = Upstream::start(wire, [says()]).await;
        let mask = Sensitive(Finder::default());
        let providers = [("p", wire, &upstream)];
        let site = Site::of(Plan { mask: Some(Arc::new(mask)), ..Plan::new(&providers, ROUTES) }).await;
        let asked = format!("Write to {ADDRESS} that the token {SECRET} has to be changed.");
        for path in [COMPLETIONS, RESPONSES, MESSAGES] {
            for stream in [false, true] {
                let mut body = question(path, &asked);
                body["stream"] = stream.into();
                let answer = site.send(path, &body).await;
                let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
                assert_eq!(status, 200, "{text}");
                let said = words(path, stream, &text);
                assert_eq!(said, format!("I wrote to {ADDRESS} about {SECRET}; done."), "{path}: {text}");
            }
        }
        for call in upstream.calls() {
            let sent = String::from_utf8_lossy(&call.raw).into_owned() + &call.path;
            assert!(!sent.contains(ADDRESS) && !sent.contains(SECRET), "{sent}");
            assert!(sent.contains("[EMAIL_1]") && sent.contains("[SECRET_1]"), "{sent}");
        }
        site.accounts.shutdown().await;
        let kept = async || rows(&site).await.matches("[EMAIL_1]").count() >= 6;
        for _ in 0..500 {
            if kept().await {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let rows = rows(&site).await;
        assert!(rows.contains("[EMAIL_1]"), "the masked words are kept");
        assert!(!rows.contains(ADDRESS) && !rows.contains(SECRET), "{rows}");
        for file in std::fs::read_dir(site.folder.path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(ADDRESS) && !text.contains(SECRET), "{}", path.display());
        }
    }
    let logged = String::from_utf8_lossy(&logged.0.lock().unwrap()).into_owned();
    assert!(logged.contains("gen_ai.request.model"), "spans are logged as well");
    assert!(!logged.contains(ADDRESS) && !logged.contains(SECRET), "a line or a span holds it");
}
