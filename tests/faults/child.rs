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
use toryo_blackboard::{FolderBlobs, Idempotency, steps};
use toryo_domain::{Approval, Digest, NewTask, Variant};
use toryo_engine::control::{self, Fork};
use toryo_engine::{Engine, Worker, relay, submit, sweep};
use toryo_forge::Local;
use toryo_index::IndexCache;
use toryo_models::journal::postgres::PostgresJournal;
use toryo_models::provider::openai::OpenAi;
use toryo_models::{Gateway, Providers};
use toryo_policy::{Guardrails, Masker};
use toryo_testkit::openai::API_KEY;

/// Does what the arguments say: `SITE worker`, `SITE submit KEY REPOSITORY KIND`, `SITE approve|pause|resume RUN`,
/// `SITE rewind RUN STEP`, `SITE fork RUN STEP KEY`.
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
        ("submit", [key, repository, kind]) => {
            let engine = site.engine().await?;
            let mut wish = NewTask { labels: vec![key.clone()], ..sample::task(Path::new(repository)) };
            match kind.as_str() {
                "plan" => wish.approval = Approval::Plan,
                "rewound" => wish.approval = Approval::Pr,
                "draft" => wish.limits.repair_loops = 0,
                _ => {}
            }
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
        ("rewind", [run, step]) => {
            let (engine, run, step) = (site.engine().await?, run.parse()?, step.parse()?);
            let before = steps::of_run(&engine.db, run).await?;
            // An earlier errand did it and did not live to say so.
            if before.iter().all(|row| row.key != step || row.epoch == 0) {
                control::retry_from(&engine, run, "tester", &step).await?;
            }
            Ok(())
        }
        ("fork", [run, step, key]) => {
            let engine = site.engine().await?;
            let wanted = Fork { at: step.parse()?, variant: Variant::default(), message: None };
            control::fork(&engine, run.parse()?, "tester", &wanted, Some(key)).await?;
            Ok(())
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
