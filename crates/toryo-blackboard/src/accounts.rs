//! Who may call the gateway: organisations, teams, users, keys and their budgets.
//!
//! All four are accounts with the same limits. A change bumps a version and notifies every process in its transaction,
//! so that it holds everywhere at once.

mod budgets;
mod edit;
mod listen;
mod principal;

pub use budgets::{
    Budget, BudgetState, PutBudget, budgets_of, drop_budget, get_budget, list_budgets, put_budget,
};
pub use edit::{
    Change, Filter, Member, NewAccount, add_secret, change, create, default_organisation, drop_member, find,
    get, list, member_role, members, put_member, remove, secrets, user_named,
};
pub use listen::{Listener, Notice};
pub use principal::{Found, KeyRecord, Level, Secret, find_key, version};

use crate::db::Connection;
use crate::{Error, row};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use toryo_domain::AccountId;
use uuid::Uuid;

/// The channel of notifications: `changed ID VERSION`, `recall ID INSTANCE`, `alert ID PERIOD PERCENT`.
pub const CHANNEL: &str = "toryo_gateway";

macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$item])* $variant),+ }

        impl $name {
            /// As tables and lists name it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownName),
                }
            }
        }
    };
}

/// Not a name of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the names it may have")]
pub struct UnknownName;

text_enum! {
    /// What an account is.
    Kind {
        /// The widest.
        Organisation = "organisation",
        /// A part of an organisation.
        Team = "team",
        /// A person or a service of an organisation.
        User = "user",
        /// What calls are made with.
        Key = "key",
    }
}

text_enum! {
    /// What a key may administer.
    KeyRole {
        /// Its organisation.
        OrganisationAdmin = "organisation_admin",
        /// Its team.
        TeamAdmin = "team_admin",
        /// Nothing.
        Member = "member",
    }
}

text_enum! {
    /// What a user is in a team.
    MemberRole {
        /// Its lead.
        Admin = "admin",
        /// One of it.
        Member = "member",
    }
}

/// Limits of an account's own; where one is `None`, those of the accounts above hold alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Aliases of routes that may be used.
    pub routes: Option<Vec<String>>,
    /// Requests in a minute of the clock.
    pub requests_per_minute: Option<i64>,
    /// Tokens in a minute of the clock.
    pub tokens_per_minute: Option<i64>,
    /// Calls at once.
    pub parallel: Option<i64>,
}

/// An organisation, team, user or key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The organisation it belongs to; `None` for an organisation.
    pub organisation: Option<AccountId>,
    /// The team of a key.
    pub team: Option<AccountId>,
    /// The user of a key.
    pub user: Option<AccountId>,
    /// What a key may administer.
    pub role: Option<KeyRole>,
    /// Its own limits.
    pub limits: Limits,
    /// When it ends; keys only.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was removed or revoked.
    pub removed_at: Option<DateTime<Utc>>,
}

pub(crate) const COLUMNS: &str = "id, kind, name, organisation_id, team_id, user_id, role, routes, \
     requests_per_minute, tokens_per_minute, parallel, expires_at, created_at, removed_at";

pub(crate) fn from_row(row: &PgRow) -> Result<Account, Error> {
    let id = |column| row::get::<Option<Uuid>>(row, column).map(|id| id.map(AccountId::from));
    Ok(Account {
        id: row::get::<Uuid>(row, "id")?.into(),
        kind: row::parse(row, "kind")?,
        name: row::get(row, "name")?,
        organisation: id("organisation_id")?,
        team: id("team_id")?,
        user: id("user_id")?,
        role: row::parse_opt(row, "role")?,
        limits: Limits {
            routes: row::get(row, "routes")?,
            requests_per_minute: row::get(row, "requests_per_minute")?,
            tokens_per_minute: row::get(row, "tokens_per_minute")?,
            parallel: row::get(row, "parallel")?,
        },
        expires_at: row::get(row, "expires_at")?,
        created_at: row::get(row, "created_at")?,
        removed_at: row::get(row, "removed_at")?,
    })
}

/// Tells every process that an account changed, when the transaction commits. The version stands in the notification, so
/// that a process sees whether it missed one.
pub(crate) async fn announce(db: &mut Connection, account: AccountId) -> Result<(), Error> {
    let statement = "with next as (update gateway_version set version = version + 1 returning version) \
                     select pg_notify($1, $2 || version) from next";
    sqlx::query(statement).bind(CHANNEL).bind(format!("changed {account} ")).execute(db).await?;
    Ok(())
}
