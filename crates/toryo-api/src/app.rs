//! What every handler may reach.

use crate::Config;
use crate::gateway::Door;
use crate::ports::{AgentManifest, Indexer, Readiness, Replayer, RepositoryCheck};
use crate::sse::Feeds;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::{BlobStore, Db};
use toryo_engine::Engine;
use toryo_models::accounts::Accounts;

/// The state of the HTTP side; cheap to clone. It holds nothing of its own that matters.
#[derive(Clone)]
pub struct App {
    pub(crate) engine: Engine,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) ports: Ports,
    pub(crate) config: Arc<Config>,
    /// The model gateway, where this process serves it.
    pub(crate) models: Option<Arc<dyn Door>>,
    /// Keys, limits and the ledger, where this process serves the gateway.
    pub(crate) accounts: Option<Accounts>,
    /// What readers of one run share.
    pub(crate) feeds: Feeds,
    /// Ends when the server stops: streams end with it.
    pub(crate) closing: CancellationToken,
}

/// The adapters that the binary chose.
#[derive(Clone)]
pub struct Ports {
    /// Checks repositories before a task is stored.
    pub repositories: Arc<dyn RepositoryCheck>,
    /// Builds code indexes.
    pub indexer: Arc<dyn Indexer>,
    /// Executes finished runs again, where this process can.
    pub replayer: Option<Arc<dyn Replayer>>,
    /// Says whether everything needed is there.
    pub readiness: Arc<dyn Readiness>,
    /// The agents' manifests.
    pub agents: Arc<[AgentManifest]>,
}

impl App {
    /// The state over these.
    #[must_use]
    pub fn new(engine: Engine, blobs: Arc<dyn BlobStore>, ports: Ports, config: Config) -> Self {
        Self {
            engine,
            blobs,
            ports,
            config: Arc::new(config),
            models: None,
            accounts: None,
            feeds: Feeds::default(),
            closing: CancellationToken::new(),
        }
    }

    /// Serves the model gateway as well.
    #[must_use]
    pub fn with_models(mut self, models: Arc<dyn Door>) -> Self {
        self.models = Some(models);
        self
    }

    /// The state with the gateway's keys, limits and ledger.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Accounts) -> Self {
        self.accounts = Some(accounts);
        self
    }

    pub(crate) const fn db(&self) -> &Db {
        &self.engine.db
    }
}
