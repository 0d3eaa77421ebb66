//! `toryo run`: submits a task, and shows its run where asked to.

use crate::cli::Run;
use crate::client::Client;
use crate::{output, watch};
use anyhow::{Context, Result, ensure};
use futures::{StreamExt, pin_mut};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Read;
use std::process::ExitCode;
use toryo_domain::{EventType, RunId};

#[derive(Deserialize)]
struct Accepted {
    run_id: RunId,
    links: Links,
}

#[derive(Deserialize)]
struct Links {
    page: String,
}

/// Submits, and follows where asked to.
pub async fn run(arguments: &Run) -> Result<ExitCode> {
    let client = Client::new(&arguments.server.server)?;
    let accepted: Accepted = client.post_once("/tasks", &body(arguments)?).await?;
    let page = if accepted.links.page.starts_with('/') {
        client.url(&accepted.links.page)
    } else {
        accepted.links.page
    };
    if arguments.json {
        return events(&client, accepted.run_id).await;
    }
    if !arguments.watch {
        output::line(&accepted.run_id.to_string());
        output::note(&format!("Follow it at {page}"));
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!("Run {} · {page}", accepted.run_id));
    Ok(status(watch::watch(&client, accepted.run_id).await?))
}

/// Prints the events as JSON lines until the run ends.
async fn events(client: &Client, run: RunId) -> Result<ExitCode> {
    let events = client.events(run, 0);
    pin_mut!(events);
    let mut done = false;
    while let Some(event) = events.next().await {
        let event = event?;
        output::json(&event)?;
        done = event.kind == EventType::RunSucceeded;
    }
    Ok(status(done))
}

fn status(done: bool) -> ExitCode {
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn body(arguments: &Run) -> Result<Value> {
    let mut goal = arguments.goal.clone();
    if goal == "-" {
        goal.clear();
        std::io::stdin().read_to_string(&mut goal).context("the goal cannot be read from standard input")?;
    }
    ensure!(!goal.trim().is_empty(), "the goal is blank: say what shall be achieved");
    let mut body = json!({
        "repo_url": repository(&arguments.repo)?, "goal": goal, "priority": arguments.priority,
        "approval": arguments.approval, "constraints": arguments.constraints,
        "acceptance_criteria": arguments.criteria,
    });
    if let Some(base) = &arguments.base {
        body["base_branch"] = json!(base);
    }
    if let Some(usd) = arguments.max_usd {
        body["limits"]["usd"] = json!(usd);
    }
    if let Some(minutes) = arguments.max_minutes {
        body["limits"]["minutes"] = json!(minutes);
    }
    Ok(body)
}

/// A path is made absolute here, because the server's current folder is another one.
fn repository(repo: &str) -> Result<String> {
    if repo.contains("://") || (repo.contains('@') && repo.contains(':')) {
        return Ok(repo.to_owned());
    }
    let path = std::fs::canonicalize(repo).with_context(|| format!("there is no folder `{repo}`"))?;
    path.into_os_string().into_string().ok().context("the path of the repository is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_stays_and_a_path_becomes_absolute() {
        assert_eq!(repository("https://example.org/a.git").unwrap(), "https://example.org/a.git");
        assert_eq!(repository("git@example.org:a.git").unwrap(), "git@example.org:a.git");
        assert!(repository(".").unwrap().starts_with('/'));
        assert!(repository("./no/such/folder").is_err());
    }
}
