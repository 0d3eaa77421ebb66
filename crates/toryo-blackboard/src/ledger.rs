//! The gateway's ledger: one row a call, and what every account spent in every period.

use crate::allowances::{Limit, Window};
use crate::db::Connection;
use crate::model_calls::NewModelCall;
use crate::{Error, row};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use toryo_domain::{AccountId, CallId, InstanceId, RunId, StepId, Usd};
use uuid::Uuid;

/// Whom a call belongs to. All of it is `None` for the operator's own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Who {
    /// The organisation.
    pub organisation: Option<AccountId>,
    /// The team.
    pub team: Option<AccountId>,
    /// The person or service.
    pub user: Option<AccountId>,
    /// The key that was shown.
    pub key: Option<AccountId>,
}

impl Who {
    /// The accounts that pay, widest first.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> {
        [self.organisation, self.team, self.user, self.key].into_iter().flatten()
    }
}

/// What a call was and what became of it, as its caller knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The run that asked, where it was one of Toryo's own.
    pub run_id: Option<RunId>,
    /// Its step.
    pub step_id: Option<StepId>,
    /// Its agent.
    pub agent: Option<Arc<str>>,
    /// The alias that was asked for.
    pub route: Arc<str>,
    /// The deployment that answered last; empty where none was asked.
    pub deployment: Arc<str>,
    /// Its provider's name in the configuration; empty where none was asked.
    pub provider: Arc<str>,
    /// The model as the provider names it; empty where none was asked.
    pub model: Arc<str>,
    /// The region of the deployment, where it has one.
    pub region: Option<Arc<str>>,
    /// The cloud account of the deployment, where it has one.
    pub account: Option<Arc<str>>,
    /// The client's protocol, such as `chat_completions` or `embeddings`.
    pub dialect: Arc<str>,
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// Tokens of the prompt that the provider had cached.
    pub cached_input_tokens: u64,
    /// Tokens of the prompt that the provider put into its cache for this call.
    pub cache_write_tokens: u64,
    /// Tokens of hidden reasoning.
    pub reasoning_tokens: u64,
    /// Who counted the tokens.
    pub counted_by: CountedBy,
    /// What it cost; what is charged to every account of the caller.
    #[serde(serialize_with = "as_nanos", deserialize_with = "from_nanos")]
    pub cost: Usd,
    /// The day of the price table, as `YYYY-MM-DD`; `None` where the model has no price.
    pub priced_as_of: Option<Arc<str>>,
    /// From the request to the end of the answer, in milliseconds.
    pub latency_ms: u64,
    /// From the request to the first piece of the answer, in milliseconds; streams only.
    pub first_token_ms: Option<u64>,
    /// What became of it.
    pub status: CallStatus,
    /// The class of the failure, such as `rate_limit`; `None` where there was none.
    pub error_class: Option<Arc<str>>,
    /// What the client was answered.
    pub http_status: u16,
    /// How often providers were asked.
    pub attempts: u32,
    /// Whether a cache answered.
    pub cache: CacheState,
    /// The answer was sent in pieces.
    pub stream: bool,
}

/// One row: a call, who made it, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Its id; writing a row twice changes nothing.
    pub id: CallId,
    /// When the call was admitted, by the database's clock. It decides which period pays.
    pub at: DateTime<Utc>,
    /// Who pays.
    pub who: Who,
    /// The owner of the repository, where one of Toryo's own agents called.
    pub tenant: Option<Arc<str>>,
    /// The process whose grants cover the cost; `None` where nothing was reserved for it.
    pub instance: Option<InstanceId>,
    /// What it was.
    pub call: Call,
}

/// A budget of which a threshold was passed; raised once a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Whose budget, and which period of it.
    pub window: Window,
    /// The share of the limit that was passed, in percent; 0 is the soft limit.
    pub threshold: u8,
    /// What is spent.
    pub spent: Usd,
    /// The limit.
    pub limit: Usd,
}

/// What these rows charge to each account in each period, by the process that held it.
#[must_use]
pub fn charges<'a>(
    rows: impl IntoIterator<Item = &'a LedgerRow>,
) -> BTreeMap<(Window, Option<InstanceId>), i64> {
    let mut charges = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.call.cost != Usd::ZERO) {
        for account in row.who.accounts() {
            for limit in Limit::MONEY {
                let window = Window { account, limit, starts_at: limit.window(row.at) };
                *charges.entry((window, row.instance)).or_default() += row.call.cost.nanos();
            }
        }
    }
    charges
}

/// Stores rows and charges those that were not stored before. Several processes may store the same row.
///
/// # Errors
/// The database does not answer; nothing is stored then.
pub async fn insert(db: &mut Connection, rows: &[LedgerRow]) -> Result<Vec<Alert>, Error> {
    let new = insert_rows(db, rows).await?;
    charge(db, &charges(rows.iter().filter(|row| new.contains(&row.id.uuid())))).await
}

/// Stores the row of a call that one of Toryo's own agents made, in the transaction that stores its reply. The organisation
/// that has the name of the run's tenant pays, where there is one.
///
/// # Errors
/// The database does not answer.
pub async fn insert_of_run(db: &mut Connection, call: &NewModelCall) -> Result<Vec<Alert>, Error> {
    let statement = "insert into gateway_ledger (id, at, organisation_id, tenant, run_id, step_id, agent, route, \
         deployment, provider, model, dialect, input_tokens, output_tokens, cached_input_tokens, cache_write_tokens, \
         reasoning_tokens, counted_by, cost_nano_usd, latency_ms, status, http_status, attempts, cache, stream) \
         select $1, now(), (select id from gateway_accounts where kind = 'organisation' and name = steps.tenant \
         and removed_at is null), steps.tenant, $2, $3, $4, $5, $6, $6, $7, 'agent', $8, $9, $10, 0, $11, 'provider', \
         $12, $13, 'ok', 200, $14, case when $10 > 0 then 'provider' else 'none' end, false \
         from steps where steps.id = $3 returning organisation_id, at";
    let stored = sqlx::query(statement)
        .bind(CallId::generate().uuid())
        .bind(call.run_id.uuid())
        .bind(call.step_id.uuid())
        .bind(call.role.as_str())
        .bind(&call.route)
        .bind(&call.provider)
        .bind(&call.model)
        .bind(count(call.input_tokens))
        .bind(count(call.output_tokens))
        .bind(count(call.cached_input_tokens))
        .bind(count(call.reasoning_tokens))
        .bind(call.cost.nanos())
        .bind(count(call.latency_ms))
        .bind(i64::from(call.attempt))
        .fetch_optional(&mut *db)
        .await?;
    let Some(stored) = stored else { return Ok(vec![]) };
    let organisation: Option<Uuid> = row::get(&stored, "organisation_id")?;
    let at = row::get(&stored, "at")?;
    let Some(account) = organisation.map(AccountId::from).filter(|_| call.cost != Usd::ZERO) else {
        return Ok(vec![]);
    };
    let windows = Limit::MONEY.map(|limit| Window { account, limit, starts_at: limit.window(at) });
    let charges = windows.into_iter().map(|window| ((window, None), call.cost.nanos())).collect();
    charge(db, &charges).await
}

/// One statement for all rows; answers with the ids of those that were not there.
async fn insert_rows(db: &mut Connection, rows: &[LedgerRow]) -> Result<HashSet<Uuid>, Error> {
    let statement = "insert into gateway_ledger (id, at, organisation_id, team_id, user_id, key_id, tenant, run_id, step_id, agent, route, \
         deployment, provider, model, region, account, dialect, input_tokens, output_tokens, \
         cached_input_tokens, cache_write_tokens, reasoning_tokens, counted_by, cost_nano_usd, \
         priced_as_of, latency_ms, first_token_ms, status, error_class, http_status, attempts, cache, \
         stream) \
         select * from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], \
         $8::uuid[], $9::uuid[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], \
         $15::text[], $16::text[], $17::text[], $18::bigint[], $19::bigint[], $20::bigint[], \
         $21::bigint[], $22::bigint[], $23::text[], $24::bigint[], $25::text[], $26::bigint[], \
         $27::bigint[], $28::text[], $29::text[], $30::integer[], $31::bigint[], $32::text[], \
         $33::boolean[]) \
         on conflict (id) do nothing returning id";
    let new: Vec<Uuid> = sqlx::query_scalar(statement)
        .bind(column(rows, |row| row.id.uuid()))
        .bind(column(rows, |row| row.at))
        .bind(column(rows, |row| row.who.organisation.map(AccountId::uuid)))
        .bind(column(rows, |row| row.who.team.map(AccountId::uuid)))
        .bind(column(rows, |row| row.who.user.map(AccountId::uuid)))
        .bind(column(rows, |row| row.who.key.map(AccountId::uuid)))
        .bind(column(rows, |row| opt(&row.tenant)))
        .bind(column(rows, |row| row.call.run_id.map(RunId::uuid)))
        .bind(column(rows, |row| row.call.step_id.map(StepId::uuid)))
        .bind(column(rows, |row| opt(&row.call.agent)))
        .bind(column(rows, |row| text(&row.call.route)))
        .bind(column(rows, |row| text(&row.call.deployment)))
        .bind(column(rows, |row| text(&row.call.provider)))
        .bind(column(rows, |row| text(&row.call.model)))
        .bind(column(rows, |row| opt(&row.call.region)))
        .bind(column(rows, |row| opt(&row.call.account)))
        .bind(column(rows, |row| text(&row.call.dialect)))
        .bind(column(rows, |row| count(row.call.input_tokens)))
        .bind(column(rows, |row| count(row.call.output_tokens)))
        .bind(column(rows, |row| count(row.call.cached_input_tokens)))
        .bind(column(rows, |row| count(row.call.cache_write_tokens)))
        .bind(column(rows, |row| count(row.call.reasoning_tokens)))
        .bind(column(rows, |row| row.call.counted_by.as_str()))
        .bind(column(rows, |row| row.call.cost.nanos()))
        .bind(column(rows, |row| opt(&row.call.priced_as_of)))
        .bind(column(rows, |row| count(row.call.latency_ms)))
        .bind(column(rows, |row| row.call.first_token_ms.map(count)))
        .bind(column(rows, |row| row.call.status.as_str()))
        .bind(column(rows, |row| opt(&row.call.error_class)))
        .bind(column(rows, |row| i32::from(row.call.http_status)))
        .bind(column(rows, |row| i64::from(row.call.attempts)))
        .bind(column(rows, |row| row.call.cache.as_str()))
        .bind(column(rows, |row| row.call.stream))
        .fetch_all(db)
        .await?;
    Ok(new.into_iter().collect())
}

fn column<'a, T>(rows: &'a [LedgerRow], value: impl Fn(&'a LedgerRow) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Names in a row may come from clients; a NUL character would make Postgres refuse the whole batch.
fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(row::storable(text)) } else { Cow::Borrowed(text) }
}

fn opt(value: &Option<Arc<str>>) -> Option<Cow<'_, str>> {
    value.as_deref().map(text)
}

async fn charge(
    db: &mut Connection,
    charges: &BTreeMap<(Window, Option<InstanceId>), i64>,
) -> Result<Vec<Alert>, Error> {
    if charges.is_empty() {
        return Ok(vec![]);
    }
    let raised = sqlx::query("select * from gateway_charge($1, $2, $3, $4, $5)")
        .bind(charges.keys().map(|(window, _)| window.account.uuid()).collect::<Vec<_>>())
        .bind(charges.keys().map(|(window, _)| window.limit.code()).collect::<Vec<_>>())
        .bind(charges.keys().map(|(window, _)| window.starts_at).collect::<Vec<_>>())
        .bind(charges.keys().map(|(_, instance)| instance.map(InstanceId::uuid)).collect::<Vec<_>>())
        .bind(charges.values().copied().collect::<Vec<_>>())
        .fetch_all(&mut *db)
        .await?;
    let alerts: Vec<Alert> = raised.iter().map(alert).collect::<Result<_, _>>()?;
    for Alert { window, threshold, .. } in &alerts {
        let period = window.limit.period().unwrap_or_default();
        sqlx::query("select pg_notify($1, $2)")
            .bind(crate::accounts::CHANNEL)
            .bind(format!("alert {} {period} {threshold}", window.account))
            .execute(&mut *db)
            .await?;
    }
    Ok(alerts)
}

fn alert(found: &sqlx::postgres::PgRow) -> Result<Alert, Error> {
    let kind = row::get(found, "kind")?;
    let limit = Limit::of_code(kind).ok_or_else(|| Error::corrupt("kind", "of no limit"))?;
    let threshold: i16 = row::get(found, "threshold")?;
    Ok(Alert {
        window: Window {
            account: row::get::<Uuid>(found, "account_id")?.into(),
            limit,
            starts_at: row::get(found, "starts_at")?,
        },
        threshold: u8::try_from(threshold).map_err(|error| Error::corrupt("threshold", error))?,
        spent: Usd::from_nanos(row::get(found, "spent_nano_usd")?),
        limit: Usd::from_nanos(row::get(found, "limit_nano_usd")?),
    })
}

macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$item])* $variant),+ }

        impl $name {
            /// As tables and lists name it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

text_enum! {
    /// Who counted the tokens.
    CountedBy {
        /// The provider said them.
        Provider = "provider",
        /// The gateway counted, because the provider did not say.
        Estimate = "estimate",
    }
}

text_enum! {
    /// What became of a call.
    CallStatus {
        /// Answered to its end.
        Ok = "ok",
        /// Failed or refused.
        Error = "error",
        /// The client went away.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Whether a cache answered.
    CacheState {
        /// No cache.
        None = "none",
        /// An equal request was answered before.
        Exact = "exact",
        /// A similar request was answered before.
        Semantic = "semantic",
        /// The provider had a part of the prompt cached.
        Provider = "provider",
    }
}

fn as_nanos<S: Serializer>(amount: &Usd, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(amount.nanos())
}

fn from_nanos<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
    i64::deserialize(deserializer).map(Usd::from_nanos)
}
