//! `toryo dead-letters`: steps that used up their attempts.

use crate::cli::DeadLetters;
use crate::client::Client;
use crate::output;
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Lists, replays or drops.
pub async fn run(what: &DeadLetters) -> Result<ExitCode> {
    match what {
        DeadLetters::List { server, limit, json } => {
            let client = Client::new(&server.server)?;
            list(&client, *limit, *json).await?;
        }
        DeadLetters::Replay { server, id } => {
            let client = Client::new(&server.server)?;
            let answer: Value = client.post(&format!("/dead-letters/{id}/replay"), &json!({})).await?;
            let run = output::plain(answer["run_id"].as_str().unwrap_or_default());
            output::note(&format!("run {run} goes on; follow it with `toryo logs --follow {run}`"));
        }
        DeadLetters::Drop { server, id } => {
            let client = Client::new(&server.server)?;
            client.delete(&format!("/dead-letters/{id}")).await?;
            output::note(&format!("dead letter {id} is dropped; its run stays failed"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, limit: u32, as_json: bool) -> Result<()> {
    let page: Value = client.get(&format!("/dead-letters?limit={limit}")).await?;
    let letters = page["items"].as_array().cloned().unwrap_or_default();
    for letter in &letters {
        if as_json {
            output::json(letter)?;
        } else {
            output::line(&row(letter));
        }
    }
    if letters.is_empty() && !as_json {
        output::note("no dead letters");
    }
    Ok(())
}

fn row(letter: &Value) -> String {
    let text = |name: &str| output::plain(letter[name].as_str().unwrap_or_default());
    let reason: String = text("reason").chars().take(80).collect();
    format!(
        "{}  run {}  {:<20} {} attempts, {:<12} {reason}",
        text("id"),
        text("run_id"),
        text("step_key"),
        letter["attempts"],
        text("class"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_a_line() {
        let letter = json!({
            "id": "0190a000-0000-7000-8000-000000000001", "run_id": "0190a000-0000-7000-8000-000000000002",
            "step_key": "integrate", "attempts": 5, "class": "sandbox", "created_at": "2026-11-21T08:00:00Z",
            "reason": "the container engine\ndoes not \u{1b}[2Janswer",
        });
        insta::assert_snapshot!(row(&letter));
    }
}
