//! `toryo pause`, `resume`, `retry`, `limits`, `approve`, `reject`, `message`: what people do with a run, from a terminal.

use crate::cli::Server;
use crate::cli::steer::{Decide, Message, NewLimits, Pause, Resume, Retry, SetLimits};
use crate::client::Client;
use crate::output;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::process::ExitCode;
use toryo_domain::RunId;

/// Makes a run stand still.
pub async fn pause(arguments: &Pause) -> Result<ExitCode> {
    act(&arguments.server, arguments.run, "pause", json!({ "reason": arguments.reason })).await
}

/// Lets a run go on, with new limits where any are given.
pub async fn resume(arguments: &Resume) -> Result<ExitCode> {
    let limits = limits_of(&arguments.limits);
    let body = if limits.is_empty() { json!({}) } else { json!({ "limits": limits }) };
    act(&arguments.server, arguments.run, "resume", body).await
}

/// Tries failed steps again, or goes back to one.
pub async fn retry(arguments: &Retry) -> Result<ExitCode> {
    let body = json!({ "step_key": arguments.step, "from": arguments.from });
    act(&arguments.server, arguments.run, "retry", body).await
}

/// Sets other limits.
pub async fn limits(arguments: &SetLimits) -> Result<ExitCode> {
    let client = Client::new(&arguments.server.server)?;
    let path = format!("/runs/{}/limits", arguments.run);
    let answer: Value = client.patch(&path, &Value::Object(limits_of(&arguments.limits))).await?;
    said(arguments.run, &answer);
    Ok(ExitCode::SUCCESS)
}

/// Approves or rejects what was named, or what the run waits with now; never what it comes to wait with meanwhile.
pub async fn decide(arguments: &Decide, what: &str) -> Result<ExitCode> {
    let mut body = json!({ "comment": arguments.comment, "gate": arguments.gate, "round": arguments.round });
    if arguments.gate.is_none() {
        let client = Client::new(&arguments.server.server)?;
        let run: Value = client.get(&format!("/runs/{}", arguments.run)).await?;
        body["gate"] = run["gate"].clone();
        body["round"] = arguments.round.map_or_else(|| run["gate_round"].clone(), |round| json!(round));
    }
    act(&arguments.server, arguments.run, what, body).await
}

/// Writes to the agents.
pub async fn message(arguments: &Message) -> Result<ExitCode> {
    let mut text = arguments.text.clone();
    if text == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text).context("the text cannot be read from standard input")?;
    }
    let client = Client::new(&arguments.server.server)?;
    let path = format!("/runs/{}/messages", arguments.run);
    let answer: Value = client.post_once(&path, &json!({ "body": text })).await?;
    said(arguments.run, &answer);
    Ok(ExitCode::SUCCESS)
}

async fn act(server: &Server, run: RunId, what: &str, body: Value) -> Result<ExitCode> {
    let client = Client::new(&server.server)?;
    let answer: Value = client.post(&format!("/runs/{run}/{what}"), &body).await?;
    said(run, &answer);
    Ok(ExitCode::SUCCESS)
}

fn said(run: RunId, answer: &Value) {
    output::note(&format!("run {run} is {}", output::plain(answer["status"].as_str().unwrap_or("changed"))));
}

fn limits_of(limits: &NewLimits) -> Map<String, Value> {
    let NewLimits { max_usd, max_tokens, max_minutes, max_repairs } = limits;
    let named = [
        ("usd", max_usd.map(|it| json!(it))),
        ("tokens", max_tokens.map(|it| json!(it))),
        ("minutes", max_minutes.map(|it| json!(it))),
        ("repair_loops", max_repairs.map(|it| json!(it))),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
