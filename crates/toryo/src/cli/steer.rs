//! What people do with a run, as it is typed.

use super::Server;
use clap::Args;
use toryo_domain::{Gate, RunId, StepKey};

/// Arguments of `toryo pause`.
#[derive(Debug, Args)]
pub struct Pause {
    #[command(flatten)]
    pub server: Server,
    /// The run
    pub run: RunId,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Limits of a run as a whole.
#[derive(Debug, Args)]
pub struct NewLimits {
    /// Dollars that model calls may cost
    #[arg(long, value_name = "DOLLARS")]
    pub max_usd: Option<f64>,
    /// Tokens of model calls, in and out
    #[arg(long, value_name = "TOKENS")]
    pub max_tokens: Option<u64>,
    /// Minutes of work
    #[arg(long, value_name = "MINUTES")]
    pub max_minutes: Option<u32>,
    /// Repairs of one subtask
    #[arg(long, value_name = "NUMBER")]
    pub max_repairs: Option<u32>,
}

/// Arguments of `toryo resume`.
#[derive(Debug, Args)]
pub struct Resume {
    #[command(flatten)]
    pub server: Server,
    /// The run
    pub run: RunId,
    #[command(flatten)]
    pub limits: NewLimits,
}

/// Arguments of `toryo limits`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("some").required(true).multiple(true).args(["max_usd", "max_tokens", "max_minutes", "max_repairs"])))]
pub struct SetLimits {
    #[command(flatten)]
    pub server: Server,
    /// The run
    pub run: RunId,
    #[command(flatten)]
    pub limits: NewLimits,
}

/// Arguments of `toryo retry`.
#[derive(Debug, Args)]
pub struct Retry {
    #[command(flatten)]
    pub server: Server,
    /// The run
    pub run: RunId,
    /// Only this failed step
    #[arg(long, value_name = "STEP", conflicts_with = "from")]
    pub step: Option<StepKey>,
    /// This step once more, whatever came of it, and all that follows on it
    #[arg(long, value_name = "STEP")]
    pub from: Option<StepKey>,
}

/// Arguments of `toryo approve` and `toryo reject`.
#[derive(Debug, Args)]
pub struct Decide {
    #[command(flatten)]
    pub server: Server,
    /// The run
    pub run: RunId,
    /// What the agents should heed; a rejection without it ends the run
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// What is decided about: plan or pull_request; by default what the run waits with. Name it where the command may
    /// be repeated: it then never opens the next gate
    #[arg(long)]
    pub gate: Option<Gate>,
    /// The round of the gate, as `gate_round` of the run shows it
    #[arg(long, value_name = "NUMBER")]
    pub round: Option<u32>,
}

/// Arguments of `toryo message`.
#[derive(Debug, Args)]
pub struct Message {
    #[command(flatten)]
    pub server: Server,
    /// The run
    pub run: RunId,
    /// The text; `-` reads it from standard input
    pub text: String,
}

/// Arguments of `toryo fork`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["at", "show"])))]
pub struct Fork {
    #[command(flatten)]
    pub server: Server,
    /// The run; with `--show` the fork
    pub run: RunId,
    /// The first step that is executed anew, such as `code:parse-dates`
    #[arg(long, value_name = "STEP")]
    pub at: Option<StepKey>,
    /// Another model route for an agent, such as `coder=planner`; may be given several times
    #[arg(long = "route", value_name = "AGENT=ROUTE", value_parser = pair)]
    pub routes: Vec<(String, String)>,
    /// Another text of a prompt, such as `code=FILE`; may be given several times
    #[arg(long = "prompt", value_name = "PROMPT=FILE", value_parser = pair)]
    pub prompts: Vec<(String, String)>,
    /// A message to the agents
    #[arg(long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Stays until the fork has ended, and shows both outcomes side by side
    #[arg(long, conflicts_with = "show")]
    pub watch: bool,
    /// Shows the fork and the run it comes from side by side
    #[arg(long)]
    pub show: bool,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `toryo replay`.
#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    pub server: Server,
    /// The run
    pub run: RunId,
    /// Prints JSON lines
    #[arg(long)]
    pub json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("it has the form NAME=VALUE".to_owned()),
    }
}
