//! Who administers the gateway: the key of a request, and what it may see and change.

use crate::app::App;
use crate::problem::{Kind, Problem};
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use std::sync::Arc;
use toryo_blackboard::accounts::{Account, Kind as AccountKind};
use toryo_domain::AccountId;
use toryo_models::accounts::{Accounts, KeyError, Principal, Role};

/// The key that a request of the administration carries, as `Authorization: Bearer …`.
#[derive(Debug, Clone)]
pub struct Caller(pub Arc<Principal>);

/// What a key may see and change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// One organisation.
    Organisation(AccountId),
    /// One team: its keys and members.
    Team {
        /// The team's organisation.
        organisation: AccountId,
        /// The team.
        team: AccountId,
    },
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let accounts = open(app)?;
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, secret) = value.and_then(|value| value.split_once(' ')).unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("bearer") || secret.trim().is_empty() {
            return Err(Problem::new(
                Kind::Unauthenticated,
                "send a key as `Authorization: Bearer …`: the operator's, or one that may administer",
            ));
        }
        accounts.authenticate(secret.trim()).await.map(Self).map_err(|error| match error {
            KeyError::Unknown | KeyError::Expired | KeyError::Revoked => {
                Problem::new(Kind::Unauthenticated, error.to_string())
            }
            KeyError::Unavailable => Problem::new(Kind::Unavailable, error.to_string()),
        })
    }
}

/// The accounts of this server, where the administration is open.
///
/// # Errors
/// No operator's key is set.
pub fn open(app: &App) -> Result<&Accounts, Problem> {
    app.accounts.as_ref().filter(|accounts| accounts.has_master_key()).ok_or_else(|| {
        Problem::new(
            Kind::AdministrationClosed,
            "no operator's key is set: put one into `gateway.master_key`, or into the environment as \
             `TORYO__GATEWAY__MASTER_KEY`, and start the server again",
        )
    })
}

impl Caller {
    /// What it may see and change.
    ///
    /// # Errors
    /// Nothing.
    pub fn scope(&self) -> Result<Scope, Problem> {
        let who = self.0.who();
        match (self.0.role(), who.organisation, who.team) {
            (Role::Master, ..) => Ok(Scope::All),
            (Role::OrganisationAdmin, Some(organisation), _) => Ok(Scope::Organisation(organisation)),
            (Role::TeamAdmin, Some(organisation), Some(team)) => Ok(Scope::Team { organisation, team }),
            (Role::OrganisationAdmin | Role::TeamAdmin | Role::Member, ..) => {
                Err(Problem::new(Kind::NotAllowed, "the key calls models and administers nothing"))
            }
        }
    }
}

impl Scope {
    /// Whether an account is in it. One that is not is answered as if it did not exist.
    #[must_use]
    pub fn holds(self, account: &Account) -> bool {
        match self {
            Self::All => true,
            Self::Organisation(organisation) => {
                account.id == organisation || account.organisation == Some(organisation)
            }
            Self::Team { team, .. } => account.id == team || account.team == Some(team),
        }
    }

    /// The account, where it is in the scope.
    ///
    /// # Errors
    /// It is not.
    pub fn see(self, account: Account) -> Result<Account, Problem> {
        if self.holds(&account) {
            return Ok(account);
        }
        Err(Problem::not_found(format!("{} {}", account.kind.as_str(), account.id)))
    }

    /// Whether limits of this account may be changed: a lead does not change those of the own team.
    ///
    /// # Errors
    /// They may not.
    pub fn change(self, account: &Account) -> Result<(), Problem> {
        let above = match self {
            Self::All => true,
            Self::Organisation(own) => account.id != own,
            Self::Team { .. } => account.kind == AccountKind::Key,
        };
        if above {
            return Ok(());
        }
        Err(Problem::new(Kind::NotAllowed, "an account is changed by who administers the one above it"))
    }

    /// The organisation that something new belongs to: the named one, or the caller's own.
    ///
    /// # Errors
    /// The named one is another's.
    pub fn organisation(self, named: Option<AccountId>) -> Result<Option<AccountId>, Problem> {
        let own = match self {
            Self::All => return Ok(named),
            Self::Organisation(organisation) | Self::Team { organisation, .. } => organisation,
        };
        match named {
            Some(other) if other != own => Err(Problem::not_found(format!("organisation {other}"))),
            Some(_) | None => Ok(Some(own)),
        }
    }

    /// Only whoever administers more than a team.
    ///
    /// # Errors
    /// The caller leads a team.
    pub fn above_teams(self) -> Result<(), Problem> {
        match self {
            Self::All | Self::Organisation(_) => Ok(()),
            Self::Team { .. } => Err(Problem::new(Kind::NotAllowed, "a lead administers the own team only")),
        }
    }

    /// Only the operator.
    ///
    /// # Errors
    /// The caller is somebody else.
    pub fn operator(self) -> Result<(), Problem> {
        match self {
            Self::All => Ok(()),
            Self::Organisation(_) | Self::Team { .. } => {
                Err(Problem::new(Kind::NotAllowed, "only the operator's key may do this"))
            }
        }
    }
}
