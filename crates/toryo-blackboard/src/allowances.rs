//! Limits of the gateway: what a process draws of them, holds, and hands back.
//!
//! A process lives under a lease. While it holds, what the process was granted is its own to spend; afterwards others
//! may be given it, so a process whose lease ran out takes a new id and says anew what it holds.

use crate::{Db, Error, row};
use chrono::{DateTime, Datelike, Duration as Span, SubsecRound, Timelike, Utc};
use std::time::Duration;
use toryo_domain::{AccountId, InstanceId};

/// A kind of limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// Requests in a minute of the clock (UTC).
    Requests,
    /// Tokens in a minute of the clock (UTC).
    Tokens,
    /// Calls at once.
    Parallel,
    /// Money in a day (UTC), in billionths of a dollar.
    Day,
    /// Money in a week from Monday (UTC), in billionths of a dollar.
    Week,
    /// Money in a month (UTC), in billionths of a dollar.
    Month,
    /// Money ever, in billionths of a dollar.
    Total,
}

impl Limit {
    /// Those that count money.
    pub const MONEY: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Total];

    /// As tables number it.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Requests => 0,
            Self::Tokens => 1,
            Self::Parallel => 2,
            Self::Day => 3,
            Self::Week => 4,
            Self::Month => 5,
            Self::Total => 6,
        }
    }

    /// The one of this number.
    #[must_use]
    pub const fn of_code(code: i16) -> Option<Self> {
        Some(match code {
            0 => Self::Requests,
            1 => Self::Tokens,
            2 => Self::Parallel,
            3 => Self::Day,
            4 => Self::Week,
            5 => Self::Month,
            6 => Self::Total,
            _ => return None,
        })
    }

    /// Whether it counts money.
    #[must_use]
    pub const fn is_money(self) -> bool {
        match self {
            Self::Requests | Self::Tokens | Self::Parallel => false,
            Self::Day | Self::Week | Self::Month | Self::Total => true,
        }
    }

    /// Whether it begins anew every minute.
    #[must_use]
    pub const fn is_of_a_minute(self) -> bool {
        match self {
            Self::Requests | Self::Tokens => true,
            Self::Parallel | Self::Day | Self::Week | Self::Month | Self::Total => false,
        }
    }

    /// The period of a budget, as lists name it; `None` for what is no money.
    #[must_use]
    pub const fn period(self) -> Option<&'static str> {
        match self {
            Self::Requests | Self::Tokens | Self::Parallel => None,
            Self::Day => Some("day"),
            Self::Week => Some("week"),
            Self::Month => Some("month"),
            Self::Total => Some("total"),
        }
    }

    /// When the window began that holds this moment; the same as the database's `gateway_window`.
    #[must_use]
    pub fn window(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let minute = at.trunc_subsecs(0) - Span::seconds(i64::from(at.second()));
        let day = minute - Span::minutes(i64::from(at.minute())) - Span::hours(i64::from(at.hour()));
        match self {
            Self::Requests | Self::Tokens => minute,
            Self::Day => day,
            Self::Week => day - Span::days(i64::from(at.weekday().num_days_from_monday())),
            Self::Month => day - Span::days(i64::from(at.day0())),
            Self::Parallel | Self::Total => DateTime::UNIX_EPOCH,
        }
    }

    /// When the window ends that holds this moment; `None` where it never does.
    #[must_use]
    pub fn ends(self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = self.window(at);
        match self {
            Self::Requests | Self::Tokens => Some(start + Span::minutes(1)),
            Self::Day => Some(start + Span::days(1)),
            Self::Week => Some(start + Span::days(7)),
            Self::Month => Some(Self::Month.window(start + Span::days(31))),
            Self::Parallel | Self::Total => None,
        }
    }
}

/// One limit of one account in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// Whose.
    pub account: AccountId,
    /// Which limit.
    pub limit: Limit,
    /// When it began.
    pub starts_at: DateTime<Utc>,
}

/// How long leases last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leases {
    /// A process that does not renew within this time loses what it holds.
    pub lease: Duration,
    /// How long money stays held after that, so that its journal can be read first.
    pub hold: Duration,
}

/// What the database said about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// Its clock.
    pub at: DateTime<Utc>,
    /// Counts changes of keys and accounts.
    pub version: i64,
    /// Processes whose leases hold.
    pub live: u32,
}

/// One limit to draw from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Whose.
    pub account: AccountId,
    /// Which limit.
    pub limit: Limit,
    /// What is needed.
    pub need: i64,
    /// What would be welcome, so that the next calls need not ask.
    pub want: i64,
}

/// The answer about one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// The window from which was drawn.
    pub window: Window,
    /// How much; 0 where an item of the ask did not fit.
    pub granted: i64,
    /// The limit.
    pub most: i64,
    /// What is settled.
    pub used: i64,
    /// What processes hold, this grant included.
    pub held: i64,
}

/// Enters a process, with what it holds already, past the limits if need be.
///
/// # Errors
/// The database does not answer.
pub async fn enter(
    db: &Db,
    instance: InstanceId,
    leases: Leases,
    holds: &[(Window, i64)],
) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    sqlx::query("insert into gateway_instances (id, expires_at) values ($1, clock_timestamp() + $2)")
        .bind(instance.uuid())
        .bind(leases.lease)
        .execute(&mut *tx)
        .await?;
    hold_in(&mut tx, instance, leases, holds).await?;
    crate::db::commit(tx).await
}

/// Extends the lease.
///
/// # Errors
/// [`Error::StaleFence`] where it ran out.
pub async fn renew(db: &Db, instance: InstanceId, leases: Leases) -> Result<Renewed, Error> {
    let statement = "select gateway_renew($1, $2) as renewed, clock_timestamp() as at, \
         (select version from gateway_version) as version, \
         (select count(*) from gateway_instances where reaped_at is null and expires_at > clock_timestamp()) as live";
    let found =
        sqlx::query(statement).bind(instance.uuid()).bind(leases.lease).fetch_one(db.relaxed()).await?;
    if !row::get::<bool>(&found, "renewed")? {
        return Err(Error::StaleFence);
    }
    let live = row::unsigned(&found, "live")?;
    Ok(Renewed {
        at: row::get(&found, "at")?,
        version: row::get(&found, "version")?,
        live: u32::try_from(live).unwrap_or(u32::MAX).max(1),
    })
}

/// Draws for several asks, each all or nothing, in their order; renews the lease. Answers item by item.
/// With `recall` other processes are asked to hand back what they do not use, where that would help.
///
/// # Errors
/// [`Error::StaleFence`] where the lease ran out.
pub async fn draw(
    db: &Db,
    instance: InstanceId,
    leases: Leases,
    recall: bool,
    asks: &[Vec<Item>],
) -> Result<(DateTime<Utc>, Vec<Vec<Drawn>>), Error> {
    let items = || asks.iter().flatten();
    let numbers = asks.iter().enumerate().flat_map(|(n, ask)| ask.iter().map(move |_| n as i32));
    let statement =
        "select clock_timestamp() as at, d.* from gateway_draw($1, $2, $3, $4, $5, $6, $7, $8, $9) d";
    let rows = sqlx::query(statement)
        .bind(instance.uuid())
        .bind(leases.lease)
        .bind(leases.hold)
        .bind(recall)
        .bind(numbers.collect::<Vec<i32>>())
        .bind(items().map(|item| item.account.uuid()).collect::<Vec<_>>())
        .bind(items().map(|item| item.limit.code()).collect::<Vec<_>>())
        .bind(items().map(|item| item.need).collect::<Vec<_>>())
        .bind(items().map(|item| item.want.max(item.need)).collect::<Vec<_>>())
        .fetch_all(db.pool())
        .await
        .map_err(fenced)?;
    let mut answers: Vec<Vec<Drawn>> = asks.iter().map(|ask| Vec::with_capacity(ask.len())).collect();
    let mut at = DateTime::UNIX_EPOCH;
    for (row, item) in rows.iter().zip(items()) {
        at = row::get(row, "at")?;
        let ask = usize::try_from(row::get::<i32>(row, "ask")?).unwrap_or(usize::MAX);
        let answer = answers.get_mut(ask).ok_or_else(|| Error::corrupt("grant", "of no ask"))?;
        answer.push(Drawn {
            window: Window {
                account: item.account,
                limit: item.limit,
                starts_at: row::get(row, "starts_at")?,
            },
            granted: row::get(row, "granted")?,
            most: row::get(row, "most")?,
            used: row::get(row, "used")?,
            held: row::get(row, "held")?,
        });
    }
    Ok((at, answers))
}

/// Says what the process holds of these windows from now on; 0 hands all back.
///
/// # Errors
/// [`Error::StaleFence`] where the lease ran out.
pub async fn hold(
    db: &Db,
    instance: InstanceId,
    leases: Leases,
    holds: &[(Window, i64)],
) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    hold_in(&mut tx, instance, leases, holds).await?;
    crate::db::commit(tx).await
}

async fn hold_in(
    db: &mut crate::db::Connection,
    instance: InstanceId,
    leases: Leases,
    holds: &[(Window, i64)],
) -> Result<(), Error> {
    if holds.is_empty() {
        return Ok(());
    }
    sqlx::query("select gateway_hold($1, $2, $3, $4, $5, $6)")
        .bind(instance.uuid())
        .bind(leases.lease)
        .bind(holds.iter().map(|(window, _)| window.account.uuid()).collect::<Vec<_>>())
        .bind(holds.iter().map(|(window, _)| window.limit.code()).collect::<Vec<_>>())
        .bind(holds.iter().map(|(window, _)| window.starts_at).collect::<Vec<_>>())
        .bind(holds.iter().map(|(_, held)| *held).collect::<Vec<_>>())
        .execute(db)
        .await
        .map_err(fenced)?;
    Ok(())
}

/// Ends a process that is known to be gone and whose journal was read: everything it held is free, but for what it
/// held of the present minute, which it may have used.
///
/// # Errors
/// The database does not answer.
pub async fn leave(db: &Db, instance: InstanceId) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    let ended = "update gateway_instances set expires_at = least(expires_at, clock_timestamp()), \
                 reaped_at = coalesce(reaped_at, clock_timestamp()) where id = $1";
    sqlx::query(ended).bind(instance.uuid()).execute(&mut *tx).await?;
    sqlx::query("delete from gateway_grants where instance_id = $1 and kind >= 2")
        .bind(instance.uuid())
        .execute(&mut *tx)
        .await?;
    crate::db::commit(tx).await
}

/// Removes what no limit looks at any more: minutes long past, and processes long gone. Returns how many rows.
///
/// # Errors
/// The database does not answer.
pub async fn purge(db: &Db) -> Result<u64, Error> {
    let mut removed = 0;
    for statement in [
        "delete from gateway_grants where kind in (0, 1) and starts_at < now() - interval '10 minutes'",
        "delete from gateway_counters where kind in (0, 1) and starts_at < now() - interval '10 minutes'",
        "delete from gateway_instances where reaped_at < now() - interval '1 day'",
    ] {
        removed += sqlx::query(statement).execute(db.relaxed()).await?.rows_affected();
    }
    Ok(removed)
}

/// The code is raised by `gateway_draw` and `gateway_hold`.
fn fenced(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database) if database.code().is_some_and(|code| code == "TY001") => {
            Error::StaleFence
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_where_the_clock_says() {
        let at: DateTime<Utc> = "2026-03-01T13:14:15.678Z".parse().unwrap();
        let all: Vec<_> = (0..7)
            .filter_map(Limit::of_code)
            .map(|limit| {
                let ends = limit.ends(at).map_or("never".to_owned(), |it| it.to_rfc3339());
                format!("{limit:?} {} .. {ends}", limit.window(at).to_rfc3339())
            })
            .collect();
        assert_eq!(
            all,
            [
                "Requests 2026-03-01T13:14:00+00:00 .. 2026-03-01T13:15:00+00:00",
                "Tokens 2026-03-01T13:14:00+00:00 .. 2026-03-01T13:15:00+00:00",
                "Parallel 1970-01-01T00:00:00+00:00 .. never",
                "Day 2026-03-01T00:00:00+00:00 .. 2026-03-02T00:00:00+00:00",
                "Week 2026-02-23T00:00:00+00:00 .. 2026-03-02T00:00:00+00:00",
                "Month 2026-03-01T00:00:00+00:00 .. 2026-04-01T00:00:00+00:00",
                "Total 1970-01-01T00:00:00+00:00 .. never",
            ]
        );
        let december: DateTime<Utc> = "2026-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(Limit::Month.ends(december), "2027-01-01T00:00:00Z".parse().ok());
    }
}
