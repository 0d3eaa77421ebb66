//! What can be typed.

pub mod gateway;
pub mod steer;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use toryo_domain::{Approval, DeadLetterId, Priority, RunId, RunStatus};

/// Toryo turns an issue into a tested, reviewed pull request.
///
/// `toryo up` starts everything on this machine. Then `toryo run --repo PATH --goal TEXT --watch` gives it work.
#[derive(Debug, Parser)]
#[command(name = "toryo", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// Settings file; by default `toryo.toml` in the current folder, where there is one
    #[arg(long, global = true, value_name = "FILE", env = "TORYO_CONFIG")]
    pub config: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts everything on this machine: database, queue, API, worker, pages
    Up(Up),
    /// Serves API and pages; needs a database and a queue
    Serve,
    /// Executes steps; needs a database and a queue
    Worker,
    /// Applies the database's migrations
    Migrate,
    /// Submits a task
    Run(Run),
    /// Lists runs
    Runs(Runs),
    /// Prints the events of a run
    Logs(Logs),
    /// Ends a run
    Cancel(Cancel),
    /// Makes a run stand still
    Pause(steer::Pause),
    /// Lets a run go on that was paused or stopped
    Resume(steer::Resume),
    /// Tries failed steps again, or goes back to a step
    Retry(steer::Retry),
    /// Sets other limits of a run
    Limits(steer::SetLimits),
    /// Approves what a run waits with
    Approve(steer::Decide),
    /// Rejects what a run waits with
    Reject(steer::Decide),
    /// Writes to the agents of a run, or answers its questions
    Message(steer::Message),
    /// Continues a run from a step as a new one, with another model, prompt or message; compares both
    Fork(steer::Fork),
    /// Executes a finished run again without a model and compares every outcome
    Replay(steer::Replay),
    /// Steps that used up their attempts
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// How many steps an owner of repositories may have running at once
    #[command(subcommand)]
    Tenants(Tenants),
    /// Keys of the model gateway; the one that administers is read from TORYO_KEY
    #[command(subcommand)]
    Keys(gateway::Keys),
    /// Teams of the model gateway, their members and limits
    #[command(subcommand)]
    Teams(gateway::Teams),
    /// Users of the model gateway
    #[command(subcommand)]
    Users(gateway::Users),
    /// What organisations, teams, users and keys may spend
    #[command(subcommand)]
    Budgets(gateway::Budgets),
    /// What was called through the model gateway and what it cost
    Usage(gateway::Usage),
    /// Looks whether everything needed is there, and says what to do where it is not
    Doctor,
    /// The sandbox's base image, and commands in it
    #[command(subcommand)]
    Sandbox(Sandbox),
    /// The settings
    #[command(subcommand)]
    Config(Config),
    /// Models and their routes, without a server
    #[command(subcommand)]
    Models(Models),
    /// Edits of a working tree, without a server
    #[command(subcommand)]
    Edit(Edit),
    /// Builds the code index of a repository, without a server
    Index(Index),
    /// Finds the files and symbols a text is about, without a server
    Retrieve(Retrieve),
}

/// Arguments of `toryo up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Where database, queue, packages, mirrors and artifacts are kept
    #[arg(long, value_name = "DIR", env = "TORYO_DATA")]
    pub data: Option<PathBuf>,
    /// Address to serve on, in place of the settings' one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<std::net::SocketAddr>,
    /// Does not submit the sample task, even where no model key is set and no run exists
    #[arg(long)]
    pub no_sample: bool,
}

/// Where the server is.
#[derive(Debug, Args)]
pub struct Server {
    /// The server's address
    #[arg(long, value_name = "URL", env = "TORYO_SERVER", default_value = "http://127.0.0.1:8080")]
    pub server: String,
}

/// Arguments of `toryo run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub server: Server,
    /// The repository: a path on the server's machine, or a URL
    #[arg(long, value_name = "PATH|URL")]
    pub repo: String,
    /// What shall be achieved; `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    pub goal: String,
    /// The branch to start from; by default the repository's own
    #[arg(long, value_name = "BRANCH")]
    pub base: Option<String>,
    /// Something that has to hold in the end; may be given several times
    #[arg(long = "criterion", value_name = "TEXT")]
    pub criteria: Vec<String>,
    /// Something to respect; may be given several times
    #[arg(long = "constraint", value_name = "TEXT")]
    pub constraints: Vec<String>,
    /// How urgent it is: high, normal or low
    #[arg(long, default_value_t = Priority::Normal)]
    pub priority: Priority,
    /// Where a person approves: none, plan, pr or all
    #[arg(long, default_value_t = Approval::None)]
    pub approval: Approval,
    /// Dollars that model calls may cost
    #[arg(long, value_name = "DOLLARS")]
    pub max_usd: Option<f64>,
    /// Minutes it may take
    #[arg(long, value_name = "MINUTES")]
    pub max_minutes: Option<u32>,
    /// Stays and shows the run until it ends
    #[arg(long)]
    pub watch: bool,
    /// Prints the run's events as JSON lines until it ends
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `toryo runs`.
#[derive(Debug, Args)]
pub struct Runs {
    #[command(flatten)]
    pub server: Server,
    /// Only those in this status
    #[arg(long)]
    pub status: Option<RunStatus>,
    /// Most runs to list
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `toryo logs`.
#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    pub server: Server,
    /// The run
    pub run: RunId,
    /// Stays until the run ends
    #[arg(long, short)]
    pub follow: bool,
    /// Prints the events as JSON lines
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `toryo cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    pub server: Server,
    /// The run
    pub run: RunId,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// What `toryo dead-letters` does.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// Lists them, newest first
    List {
        #[command(flatten)]
        server: Server,
        /// Most letters to list
        #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Tries the step of one again; its run goes on from there
    Replay {
        #[command(flatten)]
        server: Server,
        /// The dead letter
        id: DeadLetterId,
    },
    /// Forgets one; its run stays as it is
    Drop {
        #[command(flatten)]
        server: Server,
        /// The dead letter
        id: DeadLetterId,
    },
}

/// What `toryo tenants` does.
#[derive(Debug, Subcommand)]
pub enum Tenants {
    /// Lists tenants that have work or a limit
    List {
        #[command(flatten)]
        server: Server,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Sets a tenant's limit, or takes it away; steps that run already are not stopped
    Limit {
        #[command(flatten)]
        server: Server,
        /// The owner of repositories: `github.com/acme`; `local` for those on the server's machine
        #[arg(value_name = "TENANT")]
        name: String,
        /// Steps that may run at once; 0 stops the tenant, without a number the operator's default holds
        #[arg(value_name = "STEPS")]
        max_steps: Option<u32>,
    },
}

/// What `toryo sandbox` does.
#[derive(Debug, Subcommand)]
pub enum Sandbox {
    /// Builds the base image: from an image registry where one can be reached, else from Debian packages
    Build,
    /// Runs a command in a sandbox over the files of a folder, without network; the folder is not changed
    Exec {
        /// The folder whose files go in
        #[arg(long, value_name = "DIR", default_value = ".")]
        repo: PathBuf,
        /// Seconds it may take
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        timeout: u64,
        /// Program and arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

/// What `toryo config` does.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Checks the settings and prints those in force, secrets masked
    Check,
}

/// What `toryo models` does.
#[derive(Debug, Subcommand)]
pub enum Models {
    /// Prints the section `[models]` of `toryo.toml` for a configuration of LiteLLM's proxy; keys are not copied
    Import {
        /// Its `config.yaml`; `-` reads standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What `toryo edit` does.
#[derive(Debug, Subcommand)]
pub enum Edit {
    /// Applies an edit set, whole or not at all; one JSON line an edit
    Apply {
        /// The working tree
        #[arg(long, value_name = "PATH")]
        repo: PathBuf,
        /// The edit set; `-` reads standard input
        #[arg(long, value_name = "FILE.json")]
        edits: PathBuf,
        /// Only says what would happen
        #[arg(long)]
        check: bool,
    },
}

/// Where what is known of files is kept between calls.
#[derive(Debug, Args)]
pub struct Records {
    /// Keeps what is known of each file here, by content, and takes it from here; by default
    /// `toryo/index` under $XDG_CACHE_HOME or ~/.cache. It may be deleted at any time
    #[arg(long, value_name = "DIR", env = "TORYO_INDEX_CACHE")]
    pub cache: Option<PathBuf>,
    /// Keeps nothing and takes nothing
    #[arg(long, conflicts_with = "cache")]
    pub no_cache: bool,
}

/// Arguments of `toryo index`.
#[derive(Debug, Args)]
pub struct Index {
    #[command(flatten)]
    pub records: Records,
    /// The repository
    #[arg(long, value_name = "PATH")]
    pub repo: PathBuf,
    /// The revision; `HEAD` by default
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub rev: String,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `toryo retrieve`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["query", "batch"])))]
pub struct Retrieve {
    #[command(flatten)]
    pub records: Records,
    /// The repository
    #[arg(long, value_name = "PATH")]
    pub repo: PathBuf,
    /// The revision; `HEAD` by default
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub rev: String,
    /// The text; `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
    /// Lines of `{"id","rev","query"}`; answers a line each
    #[arg(long, value_name = "FILE.jsonl")]
    pub batch: Option<PathBuf>,
    /// Most files and most symbols
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub k: u32,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_query_or_a_batch_is_asked_for() {
        let parsed = |arguments: &[&str]| {
            Cli::try_parse_from([&["toryo", "retrieve", "--repo", "."], arguments].concat())
        };
        assert!(parsed(&["--query", "x", "-k", "3", "--json"]).is_ok());
        assert!(parsed(&["--batch", "x.jsonl"]).is_ok());
        assert!(parsed(&[]).is_err());
        assert!(parsed(&["--query", "x", "--batch", "x.jsonl"]).is_err());
    }

    #[test]
    fn the_help_is_worth_reading() {
        insta::assert_snapshot!(Cli::command().render_long_help().to_string());
    }
}
