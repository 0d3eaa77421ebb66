//! `toryo doctor`: whether everything needed is there, and what to do where it is not.

use crate::config::Config;
use crate::{output, wiring};
use anyhow::Result;
use secrecy::ExposeSecret;
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use toryo_bus::{Bus, Subjects};
use toryo_sandbox::DockerSandbox;

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(10);

enum Finding {
    Good(String),
    Note(String),
    Bad(String),
}

/// Checks everything; status 1 where something needed is missing.
pub async fn run(config: &Config) -> Result<ExitCode> {
    let findings = [
        ("git", git().await),
        ("container engine", engine(config).await),
        ("database", database(config).await),
        ("queue", queue(config).await),
        ("models", models(config)?),
        ("data folder", data(config)),
    ];
    let mut good = true;
    for (name, finding) in findings {
        let (sign, text) = match finding {
            Finding::Good(text) => ("ok  ", text),
            Finding::Note(text) => ("note", text),
            Finding::Bad(text) => {
                good = false;
                ("bad ", text)
            }
        };
        output::line(&format!("{sign}  {name:<17} {text}"));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn git() -> Finding {
    let version =
        tokio::process::Command::new("git").arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(PATIENCE, version).await {
        Ok(Ok(output)) if output.status.success() => {
            Finding::Good(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        _ => Finding::Bad("`git` does not run; install Git".to_owned()),
    }
}

async fn engine(config: &Config) -> Finding {
    let sandbox = match DockerSandbox::new(config.sandbox.clone(), |name| std::env::var(name).ok()) {
        Ok(sandbox) => sandbox,
        Err(error) => return Finding::Bad(chain(error)),
    };
    match tokio::time::timeout(PATIENCE, sandbox.check()).await {
        Ok(Ok(check)) => match check.image {
            Some(image) => {
                Finding::Good(format!("version {} at {}, image {}", check.version, check.host, image.name))
            }
            None => Finding::Bad(format!(
                "version {} at {}, but no image {}; run `toryo sandbox build`",
                check.version, check.host, config.sandbox.image
            )),
        },
        Ok(Err(error)) => Finding::Bad(format!("{}; install and start Docker", chain(error))),
        Err(_) => Finding::Bad("does not answer".to_owned()),
    }
}

/// An error and its causes on one line.
fn chain(error: impl std::error::Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

async fn database(config: &Config) -> Finding {
    if config.database.url.is_none() {
        return Finding::Note("none is set: `toryo up` keeps a private one".to_owned());
    }
    match tokio::time::timeout(PATIENCE, wiring::database(config)).await {
        Ok(Ok(db)) => {
            db.close().await;
            Finding::Good("answers".to_owned())
        }
        Ok(Err(error)) => Finding::Bad(format!("{error:#}")),
        Err(_) => Finding::Bad("does not answer".to_owned()),
    }
}

async fn queue(config: &Config) -> Finding {
    let Some(url) = &config.queue.url else {
        return Finding::Note("none is set: `toryo up` keeps a private one".to_owned());
    };
    let asked = async {
        let bus = Bus::connect(url.expose_secret(), Subjects::new(&config.queue.prefix)?).await?;
        bus.ready(PATIENCE).await
    };
    match asked.await {
        Ok(()) => Finding::Good("answers, with JetStream".to_owned()),
        Err(error) => Finding::Bad(chain(error)),
    }
}

fn models(config: &Config) -> Result<Finding> {
    let in_force = config.models.in_force()?;
    let missing: Vec<&str> = in_force
        .routes
        .iter()
        .filter(|(_, route)| {
            // A route answers as long as one of its deployments can.
            !route.deployments.iter().any(|deployment| {
                let provider = in_force.providers.get(&deployment.provider);
                provider.is_some_and(|provider| provider.is_usable())
            })
        })
        .map(|(alias, _)| alias.as_str())
        .collect();
    Ok(if missing.is_empty() {
        Finding::Good(format!("{} routes", in_force.routes.len()))
    } else {
        Finding::Note(format!(
            "no key for the routes {}; set TORYO__MODELS__PROVIDERS__OPENAI__API_KEY, else only the sample runs",
            missing.join(", ")
        ))
    })
}

fn data(config: &Config) -> Finding {
    // A folder that is not there yet is made by whoever needs it; only whether that is possible is looked at.
    let folder = config.data_dir.ancestors().find(|folder| folder.exists()).unwrap_or(&config.data_dir);
    let probe = folder.join(".toryo-doctor");
    match std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => Finding::Good(config.data_dir.display().to_string()),
        Err(error) => Finding::Bad(format!("{} cannot be written: {error}", folder.display())),
    }
}
