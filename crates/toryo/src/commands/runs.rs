//! `toryo runs`, `toryo logs`, `toryo cancel`: what a server knows, on a terminal.

use crate::cli::{Cancel, Logs, Runs};
use crate::client::Client;
use crate::output;
use anyhow::Result;
use futures::{StreamExt, pin_mut};
use serde_json::{Value, json};
use std::process::ExitCode;
use toryo_domain::{Event, Usd};

/// Lists runs, newest first.
pub async fn list(arguments: &Runs) -> Result<ExitCode> {
    let client = Client::new(&arguments.server.server)?;
    let status = arguments.status.map(|status| format!("&status={status}")).unwrap_or_default();
    let page: Value = client.get(&format!("/runs?limit={}{status}", arguments.limit)).await?;
    let runs = page["items"].as_array().cloned().unwrap_or_default();
    for run in &runs {
        if arguments.json {
            output::json(run)?;
        } else {
            output::line(&row(run));
        }
    }
    if runs.is_empty() && !arguments.json {
        output::note("no runs; give it work with `toryo run --repo PATH --goal TEXT --watch`");
    }
    Ok(ExitCode::SUCCESS)
}

fn row(run: &Value) -> String {
    let text = |name: &str| output::plain(run[name].as_str().unwrap_or_default());
    let title = if run["title"].is_string() { text("title") } else { text("goal") };
    let cost = run["cost"].as_f64().and_then(Usd::from_dollars).unwrap_or_default();
    let short: String = title.chars().take(60).collect();
    format!("{}  {:<20} {:>8}  {short}", text("id"), text("status"), cost.to_string())
}

/// Prints the events of a run.
pub async fn logs(arguments: &Logs) -> Result<ExitCode> {
    let client = Client::new(&arguments.server.server)?;
    let show = |event: &Event| {
        if arguments.json {
            return output::json(event);
        }
        output::line(&sentence(event));
        Ok(())
    };
    if arguments.follow {
        let events = client.events(arguments.run, 0);
        pin_mut!(events);
        while let Some(event) = events.next().await {
            show(&event?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut after = 0;
    loop {
        let path = format!("/runs/{}/events?after={after}&limit=100", arguments.run);
        let page: Value = client.get(&path).await?;
        let events: Vec<Event> = serde_json::from_value(page["items"].clone())?;
        for event in &events {
            show(event)?;
        }
        match events.last() {
            Some(last) => after = last.seq,
            None => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// An event on a line: time, step, type, and its most telling fact.
fn sentence(event: &Event) -> String {
    let step = event.step_key.as_ref().map(ToString::to_string).unwrap_or_default();
    let facts = ["text", "line", "reason", "summary", "title", "model", "message"];
    let fact = facts.iter().find_map(|name| event.data[*name].as_str()).unwrap_or_default();
    format!("{} {:<28} {:<22} {}", event.at.format("%H:%M:%S"), step, event.kind, output::plain(fact))
        .trim_end()
        .to_owned()
}

/// Ends a run.
pub async fn cancel(arguments: &Cancel) -> Result<ExitCode> {
    let client = Client::new(&arguments.server.server)?;
    let path = format!("/runs/{}/cancel", arguments.run);
    let _status: Value = client.post(&path, &json!({ "reason": arguments.reason })).await?;
    output::note(&format!("run {} is cancelled", arguments.run));
    Ok(ExitCode::SUCCESS)
}
