//! Puts the parts together: settings in, a running service out.

use crate::adapters::{indexer, manifests, pulls, readiness, replayer, repositories, sensitive};
use crate::config::{Config, LogFormat};
use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toryo_agents::meaning::{Meaning, Vectors};
use toryo_agents::{Assets, Tools};
use toryo_api::app::{App, Ports};
use toryo_blackboard::{BlobStore, Db, FolderBlobs};
use toryo_bus::{Bus, Subjects};
use toryo_domain::StepKey;
use toryo_engine::Engine;
use toryo_forge::{Forge, Local};
use toryo_index::vectors::{Near, PostgresVectors};
use toryo_index::{FolderStore, IndexCache};
use toryo_models::accounts::Accounts;
use toryo_models::front::{Embedders, Front};
use toryo_models::journal::postgres::PostgresJournal;
use toryo_models::journal::strict::StrictJournal;
use toryo_models::mask::Mask;
use toryo_models::route::Router;
use toryo_models::{Embedder, Gateway, Providers};
use toryo_policy::Masker;
use toryo_sandbox::DockerSandbox;
use toryo_telemetry::{Logs, Traces};

/// Indexes of commits kept in memory at once, and the most bytes that they, and builds at work, may take.
const INDEXES: usize = 8;
const INDEX_BYTES: usize = 2 * 1024 * 1024 * 1024;
/// Most bytes of the folder that keeps what is known of each file's content.
const RECORD_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Everything a command may work with.
pub struct Parts {
    /// Database and queue.
    pub engine: Engine,
    /// Artifacts and file contents.
    pub blobs: Arc<dyn BlobStore>,
    /// What agents use.
    pub tools: Arc<Tools>,
    /// The container engine.
    pub sandbox: DockerSandbox,
    /// Which deployment of a model answers, for agents and for clients of `/v1`.
    pub router: Arc<Router>,
}

/// Starts logging, with the settings' secrets and whatever looks like one masked.
///
/// # Errors
/// The filter is not one.
pub fn logging(config: &Config) -> Result<()> {
    let masker = masker(config);
    let format = match config.log.format {
        LogFormat::Text => toryo_telemetry::Format::Text,
        LogFormat::Json => toryo_telemetry::Format::Json,
    };
    let mask = Arc::new(move |line: &str| masker.mask(line).into_owned());
    let logs = Logs { format, filter: &config.log.filter, mask, without: toryo_models::route::trace::TARGET };
    Ok(toryo_telemetry::start(logs, traces(config).as_ref())?)
}

/// Where spans go; nowhere without an address.
fn traces(config: &Config) -> Option<Traces> {
    let said = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    let addressed = config.telemetry.otlp_endpoint.is_some()
        || said("OTEL_EXPORTER_OTLP_ENDPOINT")
        || said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    (addressed && !disabled).then(|| Traces {
        endpoint: config.telemetry.otlp_endpoint.clone(),
        headers: config.telemetry.otlp_headers.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// What routes that mask take for sensitive.
fn sensitive(config: &Config) -> Arc<dyn Mask> {
    Arc::new(sensitive::Sensitive::of(config))
}

fn masker(config: &Config) -> Masker {
    Masker::new(config.secrets())
}

fn url<'a>(secret: Option<&'a SecretString>, key: &str, variable: &str) -> Result<&'a str> {
    match secret {
        Some(secret) => Ok(secret.expose_secret()),
        None => bail!("no {key} is set; set {variable}, or use `toryo up`, which keeps servers of its own"),
    }
}

/// Connects to the database.
///
/// # Errors
/// None is set, or it does not answer.
pub async fn database(config: &Config) -> Result<Db> {
    let url = url(config.database.url.as_ref(), "database", "DATABASE_URL")?;
    Db::connect(url, config.database.connections).await.context("cannot use the database")
}

/// Database, queue, tools.
///
/// # Errors
/// Something needed does not answer, or a setting is wrong.
pub async fn parts(config: &Config, replay: Option<Arc<dyn toryo_models::ModelProvider>>) -> Result<Parts> {
    let db = database(config).await?;
    let nats = url(config.queue.url.as_ref(), "queue", "NATS_URL")?;
    let bus = Bus::connect(nats, Subjects::new(&config.queue.prefix)?).await?;
    let engine = Engine::new(db.clone(), bus, config.engine.clone());
    let blobs: Arc<dyn BlobStore> = Arc::new(FolderBlobs::open(&config.data_dir.join("blobs"))?);
    let sandbox = DockerSandbox::new(config.sandbox.clone(), |name| std::env::var(name).ok())?;
    let store = Arc::new(pulls::BlackboardPulls::new(db.clone(), config.public_url()));
    let forge = Local::new(config.data_dir.join("mirrors"), store, config.forge.clone());
    let router = Arc::new(router(config, replay)?);
    let gateway = Gateway::over(Arc::clone(&router), Arc::new(PostgresJournal::new(db.clone())))
        .with_mask(sensitive(config));
    let agents = toryo_agents::Config { public_url: Some(config.public_url()), ..config.agents.clone() };
    let tools = Tools {
        forge: Arc::new(forge),
        sandbox: Arc::new(sandbox.clone()),
        sandbox_limits: config.sandbox.limits.clone(),
        gateway,
        indexes: indexes(config),
        meaning: meaning(config, &db).await?,
        guardrails: config.guardrails.clone(),
        masker: masker(config),
        assets: assets(config)?,
        config: agents,
        baselines: toryo_agents::Baselines::default(),
    };
    Ok(Parts { engine, blobs, tools: Arc::new(tools), sandbox, router })
}

/// The indexes of commits, over records that all workers of the data folder share.
fn indexes(config: &Config) -> IndexCache {
    let records = FolderStore::new(config.data_dir.join("index"), RECORD_BYTES);
    IndexCache::new(INDEXES).with_memory(INDEX_BYTES).with_store(Arc::new(records))
}

/// Manifests, prompts and schemas: built in, single files replaced by those of the settings' folder.
///
/// # Errors
/// A file is wrong; the text says which and why.
pub fn assets(config: &Config) -> Result<Assets> {
    Ok(Assets::load(config.assets_dir.as_deref())?)
}

fn router(config: &Config, replay: Option<Arc<dyn toryo_models::ModelProvider>>) -> Result<Router> {
    let mut providers = Providers::from_config(&config.models)?;
    if let Some(replay) = replay {
        providers = providers.with_replay(replay);
    }
    Ok(Router::new(&config.models.in_force()?, &providers))
}

/// The model of embeddings and its vectors, where one is configured.
async fn meaning(config: &Config, db: &Db) -> Result<Meaning> {
    let Some(embedder) = Embedder::from_config(&config.models)? else { return Ok(Meaning::Off) };
    let store = PostgresVectors::open(db.clone(), &embedder.model(), embedder.dimensions()).await?;
    Ok(Meaning::Live(Box::new(Vectors { embedder, store: Arc::new(store) })))
}

/// Tools for executing a finished run again: replies and what was near from what the run kept, a forge that publishes
/// nothing.
///
/// # Errors
/// A setting is wrong.
pub fn replay_tools(
    config: &Config,
    db: &Db,
    tools: &Tools,
    forge: Arc<dyn Forge>,
    near: HashMap<StepKey, Vec<Near>>,
) -> Result<Tools> {
    let journal = StrictJournal::new(Arc::new(PostgresJournal::new(db.clone())));
    Ok(Tools {
        forge,
        sandbox: tools.sandbox.clone(),
        sandbox_limits: tools.sandbox_limits.clone(),
        gateway: Gateway::new(&config.models, Providers::silent(&config.models)?, Arc::new(journal))?
            .with_mask(sensitive(config)),
        indexes: IndexCache::new(INDEXES),
        meaning: Meaning::Recorded(near),
        guardrails: tools.guardrails.clone(),
        masker: masker(config),
        assets: assets(config)?,
        config: tools.config.clone(),
        baselines: toryo_agents::Baselines::default(),
    })
}

/// Where the gateway keeps its journal, and the operator's key where nobody set one.
pub fn gateway_dir(config: &Config) -> PathBuf {
    config.data_dir.join("gateway")
}

impl Parts {
    /// The keys, limits and the ledger of those who use the models through `/v1`. They have to be
    /// [shut down](Accounts::shutdown), so that what was journalled is written.
    ///
    /// # Errors
    /// The ledger's journal cannot be written under the data folder.
    pub fn accounts(&self, config: &Config) -> Result<Accounts> {
        let folder = gateway_dir(config);
        Accounts::start(self.engine.db.clone(), config.gateway.clone(), &folder)
            .with_context(|| format!("the gateway cannot keep its ledger under {}", folder.display()))
    }

    /// The gateway for clients of `/v1`.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn front(&self, config: &Config, accounts: Accounts) -> Result<Front> {
        let embedder = Embedder::from_config(&config.models)?;
        let embedders = Embedders::of(&config.models.in_force()?)?;
        let front = Front::new(Arc::clone(&self.router), accounts, config.models.cache_bytes, embedder);
        Ok(front.with_embedders(embedders).with_mask(sensitive(config)))
    }

    /// The HTTP side over these parts.
    pub fn app(&self, config: &Config, tasks: &TaskTracker, stop: &CancellationToken) -> App {
        let indexer = indexer::BackgroundIndexer {
            tools: self.tools.clone(),
            db: self.engine.db.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            busy: Arc::default(),
        };
        let ports = Ports {
            repositories: Arc::new(repositories::ForgeCheck(self.tools.forge.clone())),
            indexer: Arc::new(indexer),
            replayer: Some(Arc::new(replayer::LocalReplayer {
                config: config.clone(),
                engine: self.engine.clone(),
                blobs: self.blobs.clone(),
                tools: self.tools.clone(),
                tasks: tasks.clone(),
                stop: stop.clone(),
                busy: Arc::default(),
            })),
            readiness: Arc::new(readiness::Needs {
                engine: self.engine.clone(),
                sandbox: self.sandbox.clone(),
            }),
            agents: manifests::manifests(&self.tools.assets).into(),
        };
        App::new(self.engine.clone(), self.blobs.clone(), ports, config.api.clone())
    }
}

/// The data folder, made where it is missing.
///
/// # Errors
/// It cannot be made.
pub fn data_dir(config: &Config) -> Result<PathBuf> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("the data folder {} cannot be made", config.data_dir.display()))?;
    Ok(config.data_dir.clone())
}
