//! What runs in processes of its own: a worker with relay and sweeper, and the errands that a person would do.

use crate::ports::{Asked, Noted, Notes, Published, Put};
use crate::pulls::BlackboardPulls;
use crate::sandbox::Reader;
use crate::site::Site;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toryo_agents::{Assets, Baselines, Tools, agents, sample};
use toryo_blackboard::{FolderBlobs, Idempotency};
use toryo_domain::{Approval, Digest, NewTask};
use toryo_engine::{Engine, Worker, control, relay, submit, sweep};
use toryo_forge::Local;
use toryo_index::IndexCache;
use toryo_models::journal::postgres::PostgresJournal;
use toryo_models::provider::openai::OpenAi;
use toryo_models::{Gateway, Providers};
use toryo_policy::{Guardrails, Masker};
use toryo_testkit::openai::API_KEY;

/// Does what the arguments say: `SITE worker`, `SITE submit KEY REPOSITORY APPROVAL`, `SITE approve|pause|resume RUN`.
pub async fn run(arguments: &[String]) -> Result<()> {
    // Whatever ends the suite ends its processes, stopped ones too.
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    let [site, errand, rest @ ..] = arguments else { bail!("no errand") };
    let site = Site::read(Path::new(site))?;
    let logs = toryo_telemetry::Logs {
        format: toryo_telemetry::Format::Text,
        filter: "info",
        mask: Arc::new(str::to_owned),
        without: toryo_models::route::trace::TARGET,
    };
    toryo_telemetry::start(logs, None)?;
    match (errand.as_str(), rest) {
        ("worker", []) => work(&site).await,
        ("submit", [key, repository, approval]) => {
            let engine = site.engine().await?;
            let approval: Approval = approval.parse()?;
            let labels = vec![key.clone()];
            let wish = NewTask { approval, labels, ..sample::task(Path::new(repository)) };
            let once = Idempotency { key: key.clone(), digest: Digest::of(key) };
            submit(&engine, &wish, Some(&once)).await?;
            Ok(())
        }
        ("approve" | "pause" | "resume", [run]) => {
            let (engine, run) = (site.engine().await?, run.parse()?);
            let done = match errand.as_str() {
                "approve" => control::approve(&engine, run, "tester", None).await,
                "pause" => control::pause(&engine, run, "tester", None).await,
                _ => control::resume(&engine, run, "tester").await,
            };
            match done {
                // An earlier errand did it and did not live to say so.
                Ok(_) | Err(control::Error::NotPossible(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        _ => bail!("no such errand: {arguments:?}"),
    }
}

async fn work(site: &Site) -> Result<()> {
    let stop = CancellationToken::new();
    let (mut asked, asked_to_stop) = (signal(SignalKind::terminate())?, stop.clone());
    tokio::spawn(async move {
        asked.recv().await;
        asked_to_stop.cancel();
    });
    let engine = site.engine().await?;
    let tools = Arc::new(tools(site, &engine)?);
    let blobs = Arc::new(Put(FolderBlobs::open(&site.blobs)?));
    let (tasks, servants) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(relay::run(engine.clone(), servants.clone()));
    tasks.spawn(sweep::run(engine.clone(), servants.clone()));
    Worker::new(engine.clone(), agents(tools), blobs).run("here", "0", stop).await;
    servants.cancel();
    tasks.close();
    tasks.wait().await;
    engine.db.close().await;
    Ok(())
}

fn tools(site: &Site, engine: &Engine) -> Result<Tools> {
    let notes = Notes::open(&site.notes)?;
    let models: toryo_models::config::Config = serde_json::from_value(serde_json::json!({
        "retry": { "attempts": 3, "first_delay_ms": 20 },
        "providers": { "openai": { "base_url": site.model_url, "api_key": API_KEY, "timeout_seconds": 10 } },
    }))?;
    let in_force = models.in_force()?;
    let settings = in_force.providers.get("openai").context("there is no provider")?;
    let provider = Asked { provider: Arc::new(OpenAi::new("openai", settings)?), notes: notes.clone() };
    let journal = Noted { journal: PostgresJournal::new(engine.db.clone()), notes };
    let gateway =
        Gateway::new(&models, Providers::new().with("openai", Arc::new(provider)), Arc::new(journal))?;
    let pulls = Arc::new(BlackboardPulls::new(engine.db.clone(), "http://127.0.0.1:1".into()));
    let forge = Local::new(site.data.join("mirrors"), pulls, toryo_forge::Config::default());
    Ok(Tools {
        forge: Arc::new(Published(forge)),
        sandbox: Arc::new(Reader),
        sandbox_limits: toryo_sandbox::Limits::default(),
        gateway,
        meaning: toryo_agents::Meaning::Off,
        indexes: IndexCache::new(8),
        guardrails: Guardrails::default(),
        masker: Masker::new(Vec::<String>::new()),
        assets: Assets::load(None)?,
        config: toryo_agents::Config::default(),
        baselines: Baselines::default(),
    })
}
