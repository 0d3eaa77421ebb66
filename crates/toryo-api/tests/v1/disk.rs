//! The disk under the ledger's journal is full: nothing is paid that is not written down.
//!
//! A limit of the size of files stands for the disk, which any user may set, for a process of its own: this test starts
//! itself again under one.

use crate::site::{COMPLETIONS, Plan, Site, events, question, says};
use serde_json::json;
use std::process::Command;
use std::time::Duration;
use toryo_models::accounts::Config;
use toryo_models::ledger::OnFullJournal;
use toryo_testkit::upstream::{Said, Upstream, Wire};

/// Set in the process whose files stay small.
const SMALL: &str = "TORYO_TEST_SMALL_FILES";

/// Starts this test again where no file may grow beyond a kilobyte; whether this is that process.
fn files_are_small(test: &str) -> bool {
    if std::env::var_os(SMALL).is_some() {
        return true;
    }
    // A file that grows too large sends a signal, which ends a process that does not ignore it.
    let script = "trap '' XFSZ; ulimit -S -f 1; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(SMALL, "1")
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// There is room again.
fn make_room() {
    let room = Command::new("prlimit")
        .args([&format!("--pid={}", std::process::id()), "--fsize=unlimited:unlimited"])
        .status();
    assert!(room.unwrap().success());
}

/// A row of the ledger names the model: this one's fits into no small file.
fn routes() -> String {
    let model = "m".repeat(2_000);
    format!(
        "[routes.coder]\nprovider = \"p\"\nmodel = \"{model}\"\nmax_output_tokens = 100\n\
         price = {{ input = 1, cached_input = 1, output = 2 }}\n"
    )
}

async fn site(upstream: &Upstream, on_full_journal: OnFullJournal) -> Site {
    let accounts = Config { on_full_journal, ..Config::default() };
    Site::of(Plan { accounts, ..Plan::new(&[("p", Wire::OpenAi, upstream)], &routes()) }).await
}

impl Site {
    async fn rows(&self, count: i64) {
        for _ in 0..1_000 {
            let found: i64 =
                sqlx::query_scalar("select count(*) from gateway_ledger where cost_nano_usd = 1200000")
                    .fetch_one(self.db.pool())
                    .await
                    .unwrap();
            if found == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there never were {count} rows in the ledger");
    }
}

#[tokio::test]
async fn what_cannot_be_journalled_is_not_answered_and_nothing_more_is_paid_until_there_is_room() {
    let test = "disk::what_cannot_be_journalled_is_not_answered_and_nothing_more_is_paid_until_there_is_room";
    if !files_are_small(test) {
        return;
    }
    let upstream = says(Wire::OpenAi, Said::text("Hello.")).await;
    let site = site(&upstream, OnFullJournal::Refuse).await;
    let mut body = question(COMPLETIONS, "Hi.");
    body["stream"] = true.into();
    let text = site.send(COMPLETIONS, &body).await.text().await.unwrap();
    let last = events(&text).pop().unwrap();
    assert_eq!(last["error"]["code"], "unavailable", "{text}");
    assert!(!text.contains("[DONE]"), "no such answer is whole: {text}");
    // It was paid, so it is written down: Postgres has room.
    site.rows(1).await;
    for _ in 0..5 {
        let (status, answer) = site.ask(COMPLETIONS, &question(COMPLETIONS, "Hi.")).await;
        assert_eq!((status, &answer["error"]["code"]), (503, &json!("unavailable")), "{answer}");
    }
    assert_eq!(upstream.calls().len(), 1, "nobody else was asked");
    make_room();
    let mut again = 503;
    for _ in 0..200 {
        (again, _) = site.ask(COMPLETIONS, &question(COMPLETIONS, "Hi.")).await;
        if again == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(again, 200, "it works again by itself");
    site.rows(2).await;
    site.accounts.shutdown().await;
}

#[tokio::test]
async fn where_the_operator_says_so_calls_go_on_and_their_rows_go_straight_to_postgres() {
    let test = "disk::where_the_operator_says_so_calls_go_on_and_their_rows_go_straight_to_postgres";
    if !files_are_small(test) {
        return;
    }
    let upstream = says(Wire::OpenAi, Said::text("Hello.")).await;
    let site = site(&upstream, OnFullJournal::Allow).await;
    for _ in 0..5 {
        let (status, answer) = site.ask(COMPLETIONS, &question(COMPLETIONS, "Hi.")).await;
        assert_eq!(status, 200, "{answer}");
    }
    site.rows(5).await;
    site.accounts.shutdown().await;
}
