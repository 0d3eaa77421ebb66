//! What can be typed about keys, teams, users, budgets and usage of the model gateway.
//!
//! The key that administers is never an argument, where other users of the machine could read it.

use super::Server;
use clap::{Args, Subcommand, ValueEnum};

/// Where the server is, and how the answer is printed.
#[derive(Debug, Args)]
pub struct Asked {
    #[command(flatten)]
    pub server: Server,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// Limits of an account's own; those of the accounts above hold as well.
#[derive(Debug, Args)]
pub struct Limits {
    /// A route that may be used; may be given several times. Without one, all that the accounts above allow
    #[arg(long = "route", value_name = "ALIAS")]
    pub routes: Vec<String>,
    /// Requests a minute
    #[arg(long, value_name = "NUMBER")]
    pub rpm: Option<u32>,
    /// Tokens a minute
    #[arg(long, value_name = "NUMBER")]
    pub tpm: Option<u64>,
    /// Calls at once
    #[arg(long, value_name = "NUMBER")]
    pub parallel: Option<u32>,
}

/// A limit that can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lifted {
    Routes,
    Rpm,
    Tpm,
    Parallel,
}

/// What `toryo keys` does.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Makes a key and prints its secret, this once
    Create {
        #[command(flatten)]
        asked: Asked,
        /// Its name, for people
        name: String,
        /// Its team: an id or a name
        #[arg(long, value_name = "TEAM")]
        team: Option<String>,
        /// Its user, who has to be in the team: an id or a name
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// What it may administer: member (nothing), team_admin or organisation_admin
        #[arg(long, value_name = "ROLE", default_value = "member")]
        role: String,
        #[command(flatten)]
        limits: Limits,
        /// When it ends, such as 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Lists keys, newest first
    List {
        #[command(flatten)]
        asked: Asked,
        /// Only those of this team: an id or a name
        #[arg(long, value_name = "TEAM")]
        team: Option<String>,
        /// Revoked ones as well
        #[arg(long)]
        removed: bool,
    },
    /// Changes limits of a key, at once and everywhere
    Set {
        #[command(flatten)]
        asked: Asked,
        /// The key's id
        key: String,
        #[command(flatten)]
        limits: Limits,
        /// Takes a limit away; may be given several times
        #[arg(long, value_name = "LIMIT")]
        lift: Vec<Lifted>,
    },
    /// Gives a key another secret and prints it, this once
    Rotate {
        #[command(flatten)]
        asked: Asked,
        /// The key's id
        key: String,
        /// Seconds for which the old secret goes on working
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        overlap: u64,
    },
    /// Revokes a key, at once and everywhere
    Revoke {
        #[command(flatten)]
        asked: Asked,
        /// The key's id
        key: String,
    },
}

/// What `toryo teams` does.
#[derive(Debug, Subcommand)]
pub enum Teams {
    /// Makes a team
    Create {
        #[command(flatten)]
        asked: Asked,
        /// Its name
        name: String,
        /// Somebody in it; `NAME:admin` leads it. May be given several times
        #[arg(long = "member", value_name = "USER[:admin]")]
        members: Vec<String>,
        #[command(flatten)]
        limits: Limits,
    },
    /// Lists teams, newest first
    List {
        #[command(flatten)]
        asked: Asked,
    },
    /// Shows a team and who is in it
    Show {
        #[command(flatten)]
        asked: Asked,
        /// An id or a name
        team: String,
    },
    /// Changes limits of a team, at once and everywhere
    Set {
        #[command(flatten)]
        asked: Asked,
        /// An id or a name
        team: String,
        #[command(flatten)]
        limits: Limits,
        /// Takes a limit away; may be given several times
        #[arg(long, value_name = "LIMIT")]
        lift: Vec<Lifted>,
    },
    /// Puts a user into a team
    Add {
        #[command(flatten)]
        asked: Asked,
        /// An id or a name
        team: String,
        /// An id or a name; a name that is not known yet becomes a user
        user: String,
        /// The user leads the team
        #[arg(long)]
        admin: bool,
    },
    /// Takes a user out of a team; the user's keys for it work no more
    Leave {
        #[command(flatten)]
        asked: Asked,
        /// An id or a name
        team: String,
        /// An id or a name
        user: String,
    },
    /// Removes a team; its keys work no more
    Remove {
        #[command(flatten)]
        asked: Asked,
        /// An id or a name
        team: String,
    },
}

/// What `toryo users` does.
#[derive(Debug, Subcommand)]
pub enum Users {
    /// Makes a user
    Create {
        #[command(flatten)]
        asked: Asked,
        /// The name
        name: String,
        #[command(flatten)]
        limits: Limits,
    },
    /// Lists users, newest first
    List {
        #[command(flatten)]
        asked: Asked,
    },
    /// Changes limits of a user, at once and everywhere
    Set {
        #[command(flatten)]
        asked: Asked,
        /// An id or a name
        user: String,
        #[command(flatten)]
        limits: Limits,
        /// Takes a limit away; may be given several times
        #[arg(long, value_name = "LIMIT")]
        lift: Vec<Lifted>,
    },
    /// Removes a user; the user's keys work no more
    Remove {
        #[command(flatten)]
        asked: Asked,
        /// An id or a name
        user: String,
    },
}

/// Whose budget.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// An organisation: an id or a name
    #[arg(long)]
    pub organisation: Option<String>,
    /// A team: an id or a name
    #[arg(long)]
    pub team: Option<String>,
    /// A user: an id or a name
    #[arg(long)]
    pub user: Option<String>,
    /// A key's id
    #[arg(long)]
    pub key: Option<String>,
}

/// What `toryo budgets` does.
#[derive(Debug, Subcommand)]
pub enum Budgets {
    /// Lists budgets with what is spent of them, newest first
    List {
        #[command(flatten)]
        asked: Asked,
    },
    /// Sets what an account may spend in a period; calls beyond it are refused before they are sent
    Set {
        #[command(flatten)]
        asked: Asked,
        #[command(flatten)]
        whose: Whose,
        /// The period in UTC: day, week, month or total
        #[arg(long, default_value = "month")]
        period: String,
        /// Dollars
        #[arg(long, value_name = "DOLLARS")]
        usd: f64,
        /// Dollars that raise an alert and refuse nothing
        #[arg(long, value_name = "DOLLARS")]
        soft: Option<f64>,
    },
    /// Takes a budget away
    Drop {
        #[command(flatten)]
        asked: Asked,
        /// The budget's id
        budget: String,
    },
}

/// Arguments of `toryo usage`.
#[derive(Debug, Args)]
pub struct Usage {
    #[command(flatten)]
    pub asked: Asked,
    /// By what is added up, between commas: organisation, team, user, key, run, agent, route, deployment, provider,
    /// model, region, account, dialect, status, cache
    #[arg(long, value_name = "NAMES", default_value = "team,model")]
    pub by: String,
    /// The grain of time in UTC: hour, day, week or month
    #[arg(long, value_name = "GRAIN")]
    pub grain: Option<String>,
    /// The first moment, such as 2026-11-01T00:00:00Z; 30 days ago by default
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// The moment after the last; now by default
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Only what reads so, such as `team=core`; may be given several times
    #[arg(long = "only", value_name = "NAME=VALUE")]
    pub only: Vec<String>,
    /// Prints CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Says how spending develops and what could be saved, instead
    #[arg(long, conflicts_with_all = ["csv", "by", "grain", "only"])]
    pub analysis: bool,
}
