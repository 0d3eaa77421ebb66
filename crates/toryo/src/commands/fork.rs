//! `toryo fork`: continues a run from a step as a new one, and shows both side by side.

use crate::cli::steer::Fork;
use crate::client::Client;
use crate::output;
use anyhow::{Context, Result, ensure};
use futures::{StreamExt, pin_mut};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use toryo_domain::{EventType, RunId, Usd};

/// Forks, or shows a fork.
pub async fn run(arguments: &Fork) -> Result<ExitCode> {
    let client = Client::new(&arguments.server.server)?;
    let Some(at) = &arguments.at else {
        return show(&client, arguments.run, arguments.json).await;
    };
    let mut prompts = BTreeMap::new();
    for (name, file) in &arguments.prompts {
        let text = std::fs::read_to_string(file).with_context(|| format!("`{file}` cannot be read"))?;
        prompts.insert(name, text);
    }
    let routes: BTreeMap<&String, &String> = arguments.routes.iter().map(|(from, to)| (from, to)).collect();
    let body = json!({ "at": at, "routes": routes, "prompts": prompts, "message": arguments.message });
    let forked: Value = client.post_once(&format!("/runs/{}/forks", arguments.run), &body).await?;
    let run: RunId =
        forked["run_id"].as_str().unwrap_or_default().parse().context("the server named no run")?;
    if !arguments.watch {
        if arguments.json {
            output::json(&forked)?;
        } else {
            output::line(&run.to_string());
            let page = client.url(forked["links"]["compare"].as_str().unwrap_or_default());
            output::note(&format!("Both runs side by side: {page}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let events = client.events(run, 0);
    pin_mut!(events);
    while let Some(event) = events.next().await {
        // Whoever watches decides what to do with a run that waits; this command only compares.
        if event?.kind == EventType::RunNeedsHuman {
            break;
        }
    }
    show(&client, run, arguments.json).await
}

/// A fork and the run it comes from, side by side. Status 0 where the fork succeeded.
async fn show(client: &Client, fork: RunId, as_json: bool) -> Result<ExitCode> {
    let right = Side::read(client, &fork.to_string()).await?;
    let from = right.run["fork_of"]["run_id"].as_str().map(str::to_owned);
    ensure!(from.is_some(), "run {fork} is no fork; fork a run with --at STEP");
    let left = Side::read(client, &from.unwrap_or_default()).await?;
    if as_json {
        output::json(&json!({ "run": left.facts(), "fork": right.facts() }))?;
    } else {
        for line in table(&left, &right) {
            output::line(&line);
        }
    }
    let done = right.run["status"] == "succeeded";
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A run with what is compared.
struct Side {
    run: Value,
    steps: BTreeMap<String, Value>,
    files: Vec<Value>,
}

impl Side {
    async fn read(client: &Client, run: &str) -> Result<Self> {
        let steps: Value = client.get(&format!("/runs/{run}/steps")).await?;
        let diff: Value = client.get(&format!("/runs/{run}/diff")).await?;
        let items = steps["items"].as_array().cloned().unwrap_or_default();
        let key = |step: &Value| step["step_key"].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            run: client.get(&format!("/runs/{run}")).await?,
            steps: items.into_iter().map(|step| (key(&step), step)).collect(),
            files: diff["files"].as_array().cloned().unwrap_or_default(),
        })
    }

    fn text(&self, name: &str) -> String {
        output::plain(self.run[name].as_str().unwrap_or("-"))
    }

    fn lines(&self) -> (u64, u64) {
        let sum = |name: &str| self.files.iter().filter_map(|file| file[name].as_u64()).sum();
        (sum("added"), sum("removed"))
    }

    /// Counts of the last test run: of the join, else of any subtask.
    fn tests(&self) -> Option<(u64, u64)> {
        let counts = |step: &Value| {
            let output = &step["output"];
            let summary =
                if output["kind"] == "merge" { &output["test"]["summary"] } else { &output["summary"] };
            Some((summary["passed"].as_u64()?, summary["failed"].as_u64()?))
        };
        let ended = |step: &&Value| step["finished_at"].as_str().unwrap_or_default().to_owned();
        self.steps.values().filter(|step| counts(step).is_some()).max_by_key(ended).and_then(counts)
    }

    fn facts(&self) -> Value {
        let (added, removed) = self.lines();
        json!({
            "run_id": self.run["id"], "status": self.run["status"], "cost": self.run["cost"],
            "tokens": self.run["tokens_in"].as_u64().unwrap_or(0) + self.run["tokens_out"].as_u64().unwrap_or(0),
            "active_ms": self.run["active_ms"], "steps": self.steps.len(), "files": self.files.len(),
            "added": added, "removed": removed, "tests": self.tests().map(|(passed, failed)| json!({ "passed": passed, "failed": failed })),
            "result": self.run["result"],
        })
    }
}

fn table(left: &Side, right: &Side) -> Vec<String> {
    let row = |name: &str, show: &dyn Fn(&Side) -> String| [name.to_owned(), show(left), show(right)];
    let mut rows = vec![
        row("", &|side| side.text("id")),
        row("status", &|side| side.text("status")),
        row("cost", &|side| {
            side.run["cost"].as_f64().and_then(Usd::from_dollars).unwrap_or_default().to_string()
        }),
        row("tokens in, out", &|side| format!("{}, {}", side.run["tokens_in"], side.run["tokens_out"])),
        row("active", &|side| format!("{} s", side.run["active_ms"].as_u64().unwrap_or(0) / 1000)),
        row("steps", &|side| side.steps.len().to_string()),
        row("change", &|side| {
            let (added, removed) = side.lines();
            format!("{} files, +{added} -{removed}", side.files.len())
        }),
        row("tests", &|side| match side.tests() {
            Some((passed, failed)) => format!("{passed} passed, {failed} failed"),
            None => "-".to_owned(),
        }),
        row("branch", &|side| output::plain(side.run["result"]["branch"].as_str().unwrap_or("-"))),
    ];
    let keys: BTreeSet<&String> = left.steps.keys().chain(right.steps.keys()).collect();
    for key in keys {
        let (one, two) = (left.steps.get(key), right.steps.get(key));
        let same =
            one.zip(two).is_some_and(|(one, two)| !one["output"].is_null() && one["output"] == two["output"]);
        let status = |side: &Side| match side.steps.get(key) {
            Some(step) => output::plain(step["status"].as_str().unwrap_or("-")),
            None => "-".to_owned(),
        };
        let mut row = row(key, &status);
        if same {
            row[2].push_str(" (same)");
        }
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, lefts) = (width(0), width(1));
    rows.iter().map(|[name, left, right]| format!("{name:<names$}  {left:<lefts$}  {right}")).collect()
}
