//! `toryo up`: everything on this machine, with nothing to configure.

use crate::cli::Up;
use crate::config::Config;
use crate::service::{self, Duty};
use crate::wiring::Parts;
use crate::{keeper, output, shutdown, wiring};
use anyhow::{Context, Result};
use secrecy::SecretString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_agents::sample;
use toryo_blackboard::{RunFilter, runs};
use toryo_embedded::{Options, Stack};
use toryo_models::ModelProvider;
use toryo_models::accounts::master;
use toryo_models::config::WithoutKey;
use toryo_models::provider::replay::Replay;
use toryo_sandbox::{Progress, Update};

/// Between two recorded replies, so that people can follow the sample run.
const PACE: Duration = Duration::from_millis(700);

/// Starts what is missing, serves and works until a signal, then stops what it started.
pub async fn run(mut config: Config, arguments: &Up) -> Result<ExitCode> {
    if let Some(data) = &arguments.data {
        config.data_dir = std::path::absolute(data)?;
    }
    if let Some(listen) = arguments.listen {
        config.server.listen = listen;
    }
    wiring::logging(&config)?;
    let stop = shutdown::token()?;
    // Whoever cannot serve need not start anything else.
    let listener = service::listen(&config).await?;
    config.server.listen = listener.local_addr()?;
    wiring::data_dir(&config)?;
    if config.gateway.master_key.is_none() && config.server.listen.ip().is_loopback() {
        let folder = wiring::gateway_dir(&config);
        let key = master::in_folder(&folder).with_context(|| {
            format!("the gateway's administration needs a key, which cannot be kept in {}", folder.display())
        })?;
        config.gateway.master_key = Some(key);
    }
    let servers = tokio::select! {
        servers = own_servers(&mut config) => servers?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    let outcome = serve(&mut config, arguments, servers.as_ref(), listener, stop).await;
    if let Some(servers) = servers {
        servers.stop().await.context("the private servers did not stop cleanly")?;
    }
    outcome
}

async fn serve(
    config: &mut Config,
    arguments: &Up,
    servers: Option<&Stack>,
    listener: tokio::net::TcpListener,
    stop: CancellationToken,
) -> Result<ExitCode> {
    let replay = replay(config)?;
    let is_replay = replay.is_some();
    let parts = wiring::parts(config, replay).await?;
    parts.engine.db.migrate().await?;
    prepare_sandbox(&parts, &stop).await;
    output::note(&format!("Toryo serves on {}", config.public_url()));
    if is_replay {
        output::note(
            "No model key is set: only the sample task can run, from recorded replies. \
             Set TORYO__MODELS__PROVIDERS__OPENAI__API_KEY to work on your own repositories.",
        );
    }
    if is_replay && !arguments.no_sample && !stop.is_cancelled() {
        submit_sample(config, &parts).await?;
    }
    let ended = CancellationToken::new();
    let keeping = async {
        if let Some(servers) = servers {
            keeper::keep(servers, &parts.engine.bus, &ended).await;
        }
    };
    let serving = async {
        let served = service::run(config, &parts, Duty::Everything, Some(listener), stop).await;
        ended.cancel();
        served
    };
    tokio::join!(keeping, serving).1?;
    output::note("stopped; nothing is lost, and nothing is left running");
    Ok(ExitCode::SUCCESS)
}

/// A private database and queue for whichever the settings do not name.
async fn own_servers(config: &mut Config) -> Result<Option<Stack>> {
    if config.database.url.is_some() && config.queue.url.is_some() {
        return Ok(None);
    }
    let options = Options::new(&config.data_dir).on_progress(output::note);
    let stack = Stack::start(options).await.context("the private database and queue did not start")?;
    config.database.url.get_or_insert_with(|| SecretString::from(stack.database_url().to_owned()));
    config.queue.url.get_or_insert_with(|| SecretString::from(stack.nats_url().to_owned()));
    Ok(Some(stack))
}

/// The recording of the sample task, where no provider has a key.
fn replay(config: &mut Config) -> Result<Option<Arc<dyn ModelProvider>>> {
    let in_force = config.models.in_force()?;
    let usable = in_force.providers.values().any(|provider| provider.is_usable());
    if usable {
        return Ok(None);
    }
    config.models.without_key = WithoutKey::Replay;
    Ok(Some(Arc::new(Replay::from_json(sample::RECORDING)?.paced(PACE))))
}

/// Makes the sandbox's image. Without it pages and API work all the same, and `/ready` says what is missing.
async fn prepare_sandbox(parts: &Parts, stop: &CancellationToken) {
    match parts.sandbox.build_base(&said(), stop).await {
        Ok(image) if !image.existed => output::note(&format!("the sandbox image {} is built", image.name)),
        Ok(_) => {}
        Err(error) => output::error(&format!("no tests can run yet: {:#}", anyhow::Error::from(error))),
    }
}

/// Progress of the sandbox as lines.
pub fn said() -> Progress {
    Progress::new(|update| match update {
        Update::Stage(text) => output::note(&text),
        Update::Output(_) => {}
    })
}

/// Gives a newcomer something to see: once, as long as nothing else was ever run.
async fn submit_sample(config: &Config, parts: &Parts) -> Result<()> {
    let first = RunFilter { limit: 1, ..RunFilter::default() };
    if !runs::list(&parts.engine.db, &first).await?.items.is_empty() {
        return Ok(());
    }
    let folder = config.data_dir.join("sample");
    sample::materialise(&folder).context("the sample repository cannot be written")?;
    let task = sample::task(&folder);
    let submitted = toryo_engine::submit(&parts.engine, &task, None).await?;
    output::note(&format!("The sample task runs: {}/ui/runs/{}", config.public_url(), submitted.run_id));
    Ok(())
}
