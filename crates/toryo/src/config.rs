//! The settings: `toryo.toml`, then the environment. Two stages: as written, then in force.

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Settings that are lists; in the environment their items stand between commas.
const LISTS: [&str; 6] = [
    "api.allowed_hosts",
    "forge.allowed_roots",
    "forge.allowed_hosts",
    "guardrails.allow",
    "guardrails.deny",
    "sandbox.prepare.pass_env",
];

/// All settings. Each key is also `TORYO__SECTION__KEY` in the environment, which wins over the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where database, queue, packages, mirrors and artifacts are kept.
    pub data_dir: PathBuf,
    /// A folder whose `agents/`, `prompts/` and `schemas/` replace single built-in files.
    pub assets_dir: Option<PathBuf>,
    /// The HTTP server.
    pub server: Server,
    /// Postgres.
    pub database: Database,
    /// NATS.
    pub queue: Queue,
    /// Logging.
    pub log: Log,
    /// Traces of model calls.
    pub telemetry: Telemetry,
    /// What requests may do.
    pub api: toryo_api::Config,
    /// How steps are executed.
    pub engine: toryo_engine::Config,
    /// What becomes of old runs.
    pub retention: toryo_engine::retention::Config,
    /// How agents work.
    pub agents: toryo_agents::Config,
    /// Models and keys.
    pub models: toryo_models::Config,
    /// Keys and limits of those who use the models through `/v1`.
    pub gateway: toryo_models::accounts::Config,
    /// Where a repository's commands run.
    pub sandbox: toryo_sandbox::Config,
    /// Which repositories may be worked on.
    pub forge: toryo_forge::Config,
    /// What a change may do.
    pub guardrails: toryo_policy::Guardrails,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: default_data_dir(),
            assets_dir: None,
            server: Server::default(),
            database: Database::default(),
            queue: Queue::default(),
            log: Log::default(),
            telemetry: Telemetry::default(),
            api: toryo_api::Config::default(),
            engine: toryo_engine::Config::default(),
            retention: toryo_engine::retention::Config::default(),
            agents: toryo_agents::Config::default(),
            models: toryo_models::Config::default(),
            gateway: toryo_models::accounts::Config::default(),
            sandbox: toryo_sandbox::Config::default(),
            forge: toryo_forge::Config::default(),
            guardrails: toryo_policy::Guardrails::default(),
        }
    }
}

/// The HTTP server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port. Loopback by default: pages, tasks and runs have no authentication yet, so do not open it to a network.
    pub listen: SocketAddr,
    /// Where people reach the pages; by default `http://` and the address.
    pub public_url: Option<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), public_url: None }
    }
}

/// Postgres.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://user:password@host/name`; also `DATABASE_URL`. Unset: `toryo up` keeps a private one.
    #[serde(serialize_with = "masked")]
    pub url: Option<SecretString>,
    /// Connections of one process at most for ordinary work. Two more bounds stand beside it: as many again for what is
    /// hottest (outcomes and submissions, each one statement; opened as they are needed, and rarely more than four), and
    /// three for writes that need not wait for the disk. So a server has to allow `2 * connections + 3` a process; 35 by
    /// default.
    pub connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, connections: 16 }
    }
}

/// NATS.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// `nats://user:password@host:4222`; also `NATS_URL`. Unset: `toryo up` keeps a private one.
    #[serde(serialize_with = "masked")]
    pub url: Option<SecretString>,
    /// Before every subject and stream, so that several installations may share a server.
    pub prefix: String,
}

impl Default for Queue {
    fn default() -> Self {
        Self { url: None, prefix: "toryo".into() }
    }
}

/// Traces of model calls by OpenTelemetry's conventions, without a word of prompts or answers. The variables
/// `OTEL_EXPORTER_OTLP_*`, `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` hold as well; without an address nothing
/// is traced.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// A receiver of OTLP over HTTP, such as `http://localhost:4318`; `/v1/traces` is added.
    pub otlp_endpoint: Option<String>,
    /// Headers of every request to it, such as `authorization`. Shown as `***`.
    #[serde(serialize_with = "all_masked")]
    pub otlp_headers: BTreeMap<String, SecretString>,
}

/// Logging.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// For whom lines are written.
    pub format: LogFormat,
    /// What is logged, for example `info` or `toryo_engine=debug,info`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info,async_nats=warn,sqlx=warn".into() }
    }
}

/// For whom log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// People.
    Text,
    /// Machines: one JSON object a line.
    Json,
}

impl Config {
    /// Reads the file, if there is one, and the environment over it.
    ///
    /// # Errors
    /// A key is unknown, a value is of the wrong type, or a named file is not there; the text says which.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let mut sources = config::Config::builder();
        sources = match file {
            Some(file) => sources.add_source(config::File::from(file).format(config::FileFormat::Toml)),
            None => {
                let usual = config::File::from(Path::new("toryo.toml")).format(config::FileFormat::Toml);
                sources.add_source(usual.required(false))
            }
        };
        let written = sources.add_source(environment(None)).build().context("the settings cannot be read")?;
        let mut config: Self = written.try_deserialize().context("the settings are wrong")?;
        // The usual names of the two servers (design §6).
        let usual = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty()).map(SecretString::from);
        config.database.url = config.database.url.or_else(|| usual("DATABASE_URL"));
        config.queue.url = config.queue.url.or_else(|| usual("NATS_URL"));
        config.data_dir = std::path::absolute(&config.data_dir).context("the data folder is not a path")?;
        Ok(config)
    }

    /// Where people reach the pages, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> String {
        match &self.server.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.server.listen),
        }
    }

    /// The secrets among the settings, so that logs can be kept free of them.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let urls = [&self.database.url, &self.queue.url].into_iter().flatten();
        let keys = self.models.providers.values().filter_map(|provider| provider.api_key.as_ref());
        let own = self.gateway.master_key.as_ref();
        let headers = self.telemetry.otlp_headers.values();
        urls.chain(keys).chain(own).chain(headers).map(|secret| secret.expose_secret().to_owned()).collect()
    }
}

/// The environment as a source of settings; `variables` in place of the process' own for tests.
fn environment(variables: Option<config::Map<String, String>>) -> config::Environment {
    let environment = config::Environment::with_prefix("TORYO")
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true)
        .list_separator(",")
        .source(variables);
    LISTS.iter().fold(environment, |environment, key| environment.with_list_parse_key(key))
}

/// `$XDG_DATA_HOME/toryo`, else `~/.local/share/toryo`, else `toryo-data` in the current folder.
fn default_data_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map_or_else(|| PathBuf::from("toryo-data"), |base| base.join("toryo"))
}

fn masked<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some("***"),
        None => serializer.serialize_none(),
    }
}

fn all_masked<S: Serializer>(
    secrets: &BTreeMap<String, SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(secrets.keys().map(|name| (name, "***")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<Config> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("toryo.toml");
        std::fs::write(&file, text)?;
        Config::load(Some(&file))
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = format!("{:#}", written("[server]\nport = 1").unwrap_err());
        assert!(error.contains("port"), "{error}");
    }

    #[test]
    fn every_kind_of_value_can_stand_in_the_environment() {
        let variables = [
            ("TORYO__SERVER__LISTEN", "127.0.0.1:9000"),
            ("TORYO__ENGINE__CAPACITY", "7"),
            ("TORYO__FORGE__ALLOWED_HOSTS", "a.example,b.example"),
            ("TORYO__MODELS__PROVIDERS__OPENAI__API_KEY", "sk-1"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let written = config::Config::builder().add_source(environment(Some(variables))).build().unwrap();
        let config: Config = written.try_deserialize().unwrap();
        assert_eq!(config.server.listen.port(), 9000);
        assert_eq!(config.engine.capacity, 7);
        assert_eq!(config.forge.allowed_hosts, ["a.example", "b.example"]);
        assert_eq!(config.secrets(), ["sk-1"]);
    }

    #[test]
    fn a_file_that_was_named_has_to_be_there() {
        assert!(Config::load(Some(Path::new("/nowhere/toryo.toml"))).is_err());
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let config = written(
            "[database]\nurl = \"postgres://u:hunter2@h/d\"\n\
             [telemetry]\notlp_headers = { authorization = \"Basic hunter2\" }",
        )
        .unwrap();
        let shown = toml::to_string(&config).unwrap();
        assert!(!shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{shown}");
        assert_eq!(config.secrets(), ["postgres://u:hunter2@h/d", "Basic hunter2"]);
    }

    /// Whoever copies an example gets what it promises.
    #[test]
    fn the_examples_of_the_documents_hold() {
        let documents = [
            ("README.md", include_str!("../../../README.md"), 4),
            ("docs/gateway.md", include_str!("../../../docs/gateway.md"), 1),
        ];
        for (name, text, count) in documents {
            let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
            // The others are a repository's own file.
            let ours: Vec<&str> = blocks.filter(|block| !block.contains("[sandbox]")).collect();
            assert_eq!(ours.len(), count, "{name}");
            for block in ours {
                let config = written(block).unwrap_or_else(|error| panic!("{name}: {error:#}\n{block}"));
                if let Err(error) = config.models.in_force() {
                    panic!("{name}: {error}\n{block}");
                }
            }
        }
    }
}
