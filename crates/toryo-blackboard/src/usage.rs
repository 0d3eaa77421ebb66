//! What was called and what it cost: the ledger, added up by any of its dimensions and grain of time. Of days whose rows
//! were rolled up ([`ledger_days`](crate::ledger_days)) run, step and hour are not known any more: all of such a day
//! counts for its first moment.

use crate::{Db, Error, row};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder};
use toryo_domain::{AccountId, Usd};

/// Rows of one answer at most.
pub const MOST_ROWS: usize = 10_000;

macro_rules! names {
    ($(#[$meta:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal $sql:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$item])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As requests and answers name it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            const fn sql(self) -> &'static str {
                match self { $(Self::$variant => $sql),+ }
            }
        }
    };
}

names! {
    /// By what is added up.
    Dimension {
        /// The organisation's name; for runs the owner of the repository.
        Organisation = "organisation" "coalesce(o.name, l.tenant)",
        /// The team's name.
        Team = "team" "t.name",
        /// The user's name.
        User = "user" "u.name",
        /// The key's name.
        Key = "key" "k.name",
        /// The run.
        Run = "run" "l.run_id::text",
        /// The step.
        Step = "step" "l.step_id::text",
        /// The agent.
        Agent = "agent" "l.agent",
        /// The route.
        Route = "route" "l.route",
        /// The deployment.
        Deployment = "deployment" "l.deployment",
        /// The provider.
        Provider = "provider" "l.provider",
        /// The model.
        Model = "model" "l.model",
        /// The region.
        Region = "region" "l.region",
        /// The cloud account.
        Account = "account" "l.account",
        /// The client's protocol.
        Dialect = "dialect" "l.dialect",
        /// What became of it.
        Status = "status" "l.status",
        /// The class of the failure.
        ErrorClass = "error_class" "l.error_class",
        /// Whether a cache answered.
        Cache = "cache" "l.cache",
        /// Who counted the tokens.
        CountedBy = "counted_by" "l.counted_by",
    }
}

names! {
    /// A grain of time, in UTC.
    Grain {
        /// Hours.
        Hour = "hour" "date_trunc('hour', l.at, 'UTC')",
        /// Days.
        Day = "day" "date_trunc('day', l.at, 'UTC')",
        /// Weeks from Monday.
        Week = "week" "date_trunc('week', l.at, 'UTC')",
        /// Months.
        Month = "month" "date_trunc('month', l.at, 'UTC')",
    }
}

/// Whose rows may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Everybody's.
    Everybody,
    /// Those of an organisation.
    Organisation(AccountId),
    /// Those of a team.
    Team(AccountId),
    /// Those of a key.
    Key(AccountId),
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Whose rows.
    pub of: Of,
    /// The first moment.
    pub from: DateTime<Utc>,
    /// The moment after the last.
    pub to: DateTime<Utc>,
    /// By what is added up.
    pub by: Vec<Dimension>,
    /// By which grain of time; `None` adds all up.
    pub grain: Option<Grain>,
    /// Only rows whose dimension reads so.
    pub only: Vec<(Dimension, String)>,
}

/// Sums of some rows of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sums {
    /// Calls.
    pub calls: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// Tokens of prompts that providers had cached.
    pub cached_input_tokens: u64,
    /// Tokens of prompts that providers put into their caches.
    pub cache_write_tokens: u64,
    /// Tokens of hidden reasoning.
    pub reasoning_tokens: u64,
    /// Money.
    pub cost: Usd,
    /// Mean time of a call, in milliseconds.
    pub mean_latency_ms: f64,
    /// Mean time to the first token of streams, in milliseconds.
    pub mean_first_token_ms: Option<f64>,
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// When the grain began.
    pub at: Option<DateTime<Utc>>,
    /// What the dimensions read, in the order they were asked.
    pub values: Vec<Option<String>>,
    /// The sums.
    pub sums: Sums,
}

const SUMS: &str = "coalesce(sum(l.calls), 0)::bigint as calls, \
     coalesce(sum(l.calls) filter (where l.status = 'error'), 0)::bigint as errors, \
     coalesce(sum(l.input_tokens), 0)::bigint as input_tokens, \
     coalesce(sum(l.output_tokens), 0)::bigint as output_tokens, \
     coalesce(sum(l.cached_input_tokens), 0)::bigint as cached_input_tokens, \
     coalesce(sum(l.cache_write_tokens), 0)::bigint as cache_write_tokens, \
     coalesce(sum(l.reasoning_tokens), 0)::bigint as reasoning_tokens, \
     coalesce(sum(l.cost_nano_usd), 0)::bigint as cost, \
     coalesce(sum(l.latency_ms) / nullif(sum(l.calls), 0), 0)::float8 as latency, \
     (sum(l.first_token_ms) / nullif(sum(l.first_tokens), 0))::float8 as first_token";

/// The lines, oldest and dearest first, and whether some were left out.
///
/// # Errors
/// The database does not answer.
pub async fn lines(db: &Db, question: &Question) -> Result<(Vec<Line>, bool), Error> {
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(question.grain.map_or("null::timestamptz", Grain::sql)).push(" as at, array[");
    for (n, dimension) in question.by.iter().enumerate() {
        query.push(if n == 0 { "" } else { ", " }).push(dimension.sql());
    }
    query.push("]::text[] as values, ").push(SUMS);
    rest(&mut query, question);
    query.push(" group by 1, 2 order by 1, cost desc, 2 limit ").push_bind(MOST_ROWS as i64 + 1);
    let rows = query.build().fetch_all(db.pool()).await?;
    let lines = rows.iter().take(MOST_ROWS).map(|found| {
        Ok(Line { at: row::get(found, "at")?, values: row::get(found, "values")?, sums: sums(found)? })
    });
    Ok((lines.collect::<Result<_, Error>>()?, rows.len() > MOST_ROWS))
}

/// The sums of everything that was asked for.
///
/// # Errors
/// The database does not answer.
pub async fn totals(db: &Db, question: &Question) -> Result<Sums, Error> {
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(SUMS);
    rest(&mut query, question);
    sums(&query.build().fetch_one(db.pool()).await?)
}

/// What each model cost on each day (UTC), in the order of days.
///
/// # Errors
/// The database does not answer.
pub async fn daily(
    db: &Db,
    of: Of,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<(NaiveDate, String, Usd)>, Error> {
    let (by, grain) = (vec![Dimension::Model], Some(Grain::Day));
    let (lines, _) = lines(db, &Question { of, from, to, by, grain, only: vec![] }).await?;
    let day = |line: Line| {
        let model = line.values.into_iter().next().flatten().unwrap_or_default();
        Some((line.at?.date_naive(), model, line.sums.cost))
    };
    Ok(lines.into_iter().filter_map(day).collect())
}

fn rest(query: &mut QueryBuilder<Postgres>, question: &Question) {
    query.push(
        " from gateway_usage l left join gateway_accounts o on o.id = l.organisation_id \
         left join gateway_accounts t on t.id = l.team_id left join gateway_accounts u on u.id = l.user_id \
         left join gateway_accounts k on k.id = l.key_id where l.at >= ",
    );
    query.push_bind(question.from).push(" and l.at < ").push_bind(question.to);
    let of = match question.of {
        Of::Everybody => None,
        Of::Organisation(id) => Some(("l.organisation_id", id)),
        Of::Team(id) => Some(("l.team_id", id)),
        Of::Key(id) => Some(("l.key_id", id)),
    };
    if let Some((column, id)) = of {
        query.push(" and ").push(column).push(" = ").push_bind(id.uuid());
    }
    for (dimension, value) in &question.only {
        query.push(" and ").push(dimension.sql()).push(" = ").push_bind(row::storable(value));
    }
}

fn sums(found: &PgRow) -> Result<Sums, Error> {
    Ok(Sums {
        calls: row::unsigned(found, "calls")?,
        errors: row::unsigned(found, "errors")?,
        input_tokens: row::unsigned(found, "input_tokens")?,
        output_tokens: row::unsigned(found, "output_tokens")?,
        cached_input_tokens: row::unsigned(found, "cached_input_tokens")?,
        cache_write_tokens: row::unsigned(found, "cache_write_tokens")?,
        reasoning_tokens: row::unsigned(found, "reasoning_tokens")?,
        cost: Usd::from_nanos(row::get(found, "cost")?),
        mean_latency_ms: row::get(found, "latency")?,
        mean_first_token_ms: row::get(found, "first_token")?,
    })
}
