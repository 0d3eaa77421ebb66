//! Accounts as they are shown; no secret but that of a new key, once.

use chrono::{DateTime, Utc};
use serde::Serialize;
use toryo_blackboard::accounts::{Account, KeyRole, Kind, Member, MemberRole, Secret};
use toryo_domain::AccountId;
use utoipa::ToSchema;

/// An organisation, team, user or key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountView {
    #[schema(value_type = String, format = Uuid)]
    id: AccountId,
    #[schema(value_type = String, example = "team")]
    kind: Kind,
    name: String,
    #[schema(value_type = Option<String>, format = Uuid)]
    organisation_id: Option<AccountId>,
    /// The team of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    team_id: Option<AccountId>,
    /// The user of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    user_id: Option<AccountId>,
    /// What a key may administer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    role: Option<KeyRole>,
    /// Routes it may use; null for all that the accounts above allow.
    routes: Option<Vec<String>>,
    /// Requests a minute of its own; null where those of the accounts above hold alone.
    rpm: Option<i64>,
    /// Tokens a minute of its own.
    tpm: Option<i64>,
    /// Calls at once of its own.
    parallel: Option<i64>,
    /// When a key ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    /// When it was removed or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_at: Option<DateTime<Utc>>,
    /// How the secrets of a key are recognised, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<SecretView>,
    /// Who is in a team; only where one team is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<MemberView>>,
}

/// How a secret is recognised.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret)]
pub struct SecretView {
    /// Its beginning.
    #[schema(example = "tk-3fWq0aZb")]
    prefix: String,
    created_at: DateTime<Utc>,
    /// When it ends, because another one takes over.
    expires_at: Option<DateTime<Utc>>,
}

/// Somebody in a team.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberView {
    #[schema(value_type = String, format = Uuid)]
    user_id: AccountId,
    name: String,
    #[schema(value_type = String)]
    role: MemberRole,
}

/// A key with its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewKey {
    /// The secret. It is kept as a digest: nobody can show it again.
    #[schema(example = "tk-…")]
    pub secret: String,
    /// The key.
    pub key: AccountView,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            kind: account.kind,
            name: account.name,
            organisation_id: account.organisation,
            team_id: account.team,
            user_id: account.user,
            role: account.role,
            routes: account.limits.routes,
            rpm: account.limits.requests_per_minute,
            tpm: account.limits.tokens_per_minute,
            parallel: account.limits.parallel,
            expires_at: account.expires_at,
            created_at: account.created_at,
            removed_at: account.removed_at,
            secrets: vec![],
            members: None,
        }
    }
}

impl AccountView {
    /// With what its secrets are recognised by.
    #[must_use]
    pub fn with_secrets(mut self, secrets: &[(AccountId, Secret)]) -> Self {
        let own = secrets.iter().filter(|(key, _)| *key == self.id);
        self.secrets = own
            .map(|(_, secret)| SecretView {
                prefix: secret.prefix.clone(),
                created_at: secret.created_at,
                expires_at: secret.expires_at,
            })
            .collect();
        self
    }

    /// With who is in it.
    #[must_use]
    pub fn with_members(mut self, members: Vec<Member>) -> Self {
        let view = |member: Member| MemberView { user_id: member.user, name: member.name, role: member.role };
        self.members = Some(members.into_iter().map(view).collect());
        self
    }
}
