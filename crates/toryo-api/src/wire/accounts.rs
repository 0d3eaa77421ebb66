//! Keys, teams, users, organisations over the wire: what is asked here, what is shown in [`view`].

mod view;

pub use view::{AccountView, NewKey};

use crate::problem::{FieldError, Problem};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use toryo_blackboard::accounts::{Change, KeyRole, Kind, Limits, MemberRole};
use toryo_domain::AccountId;
use utoipa::{IntoParams, ToSchema};

/// Longest name, in characters.
const LONGEST_NAME: usize = 200;
/// Most routes an account may name.
const MOST_ROUTES: usize = 200;
/// Longest overlap of an old secret with a new one: a week.
const LONGEST_OVERLAP: u64 = 7 * 24 * 3600;

/// Reads a field that is there, null or not; one that is missing stays `None`.
fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// Its name, for people.
    #[schema(example = "Ann's laptop")]
    pub name: String,
    /// Its organisation; that of its team or user, or the default one, where it is not named.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub organisation_id: Option<AccountId>,
    /// Its team.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub team_id: Option<AccountId>,
    /// Its user, who has to be in the team where one is named.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub user_id: Option<AccountId>,
    /// What it may administer: `member` (the default) nothing, `team_admin` its team, `organisation_admin` its organisation.
    #[schema(value_type = Option<String>, example = "member")]
    pub role: Option<KeyRole>,
    /// Aliases of routes it may use; all that the accounts above allow, where they are not named.
    pub routes: Option<Vec<String>>,
    /// Requests a minute.
    pub rpm: Option<u32>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Calls at once.
    pub parallel: Option<u32>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A team, user or organisation to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAccount {
    /// Its name, unique in its organisation.
    pub name: String,
    /// Its organisation; the default one where it is not named. Not for organisations.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub organisation_id: Option<AccountId>,
    /// Aliases of routes it may use; all that the accounts above allow, where they are not named.
    pub routes: Option<Vec<String>>,
    /// Requests a minute.
    pub rpm: Option<u32>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Calls at once.
    pub parallel: Option<u32>,
    /// Who is in it; teams only.
    #[serde(default)]
    pub members: Vec<PutMember>,
}

/// Somebody in a team.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutMember {
    /// The user: an id, or a name, under which a user is made where there is none.
    #[schema(example = "ann@example.com")]
    pub user: String,
    /// `admin` leads the team.
    #[serde(default = "member")]
    #[schema(value_type = String, example = "member")]
    pub role: MemberRole,
}

const fn member() -> MemberRole {
    MemberRole::Member
}

/// A team in the shape that other gateways take.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// The team's name.
    pub team_alias: String,
    /// Who is in it.
    #[serde(default)]
    pub members_with_roles: Vec<NewTeamMember>,
    /// Requests a minute.
    pub rpm_limit: Option<u32>,
    /// Tokens a minute.
    pub tpm_limit: Option<u64>,
    /// Calls at once.
    pub max_parallel_requests: Option<u32>,
    /// Aliases of routes it may use.
    pub models: Option<Vec<String>>,
}

/// Somebody in such a team.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeamMember {
    /// `admin` or `user`.
    pub role: NewTeamRole,
    /// The user: an id or a name.
    pub user_id: String,
}

/// What somebody is in such a team.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NewTeamRole {
    /// Leads it.
    Admin,
    /// Is in it.
    User,
}

impl From<NewTeam> for CreateAccount {
    fn from(team: NewTeam) -> Self {
        let members = team.members_with_roles.into_iter().map(|member| PutMember {
            user: member.user_id,
            role: match member.role {
                NewTeamRole::Admin => MemberRole::Admin,
                NewTeamRole::User => MemberRole::Member,
            },
        });
        Self {
            name: team.team_alias,
            organisation_id: None,
            // There, an empty list means every model.
            routes: team.models.filter(|models| !models.is_empty()),
            rpm: team.rpm_limit,
            tpm: team.tpm_limit,
            parallel: team.max_parallel_requests,
            members: members.collect(),
        }
    }
}

/// A change; what is not named stays, `null` takes a limit away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchAccount {
    /// Another name.
    pub name: Option<String>,
    /// Other routes.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    pub routes: Option<Option<Vec<String>>>,
    /// Other requests a minute.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    pub rpm: Option<Option<u32>>,
    /// Other tokens a minute.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    pub tpm: Option<Option<u64>>,
    /// Other calls at once.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    pub parallel: Option<Option<u32>>,
    /// Another end; keys only.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// How a key gets another secret.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rotate {
    /// How long the old secret goes on working, in seconds; 0 where it is not named, a week at most.
    #[schema(minimum = 0, maximum = 604_800)]
    pub overlap_seconds: u64,
}

/// Which accounts to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AccountParams {
    /// Items a page, 1 to 200; 50 where it is not named.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Those of this organisation.
    #[param(value_type = Option<String>)]
    pub organisation_id: Option<AccountId>,
    /// Those of this team.
    #[param(value_type = Option<String>)]
    pub team_id: Option<AccountId>,
    /// Keys of this user.
    #[param(value_type = Option<String>)]
    pub user_id: Option<AccountId>,
    /// Removed ones as well.
    #[serde(default)]
    pub removed: bool,
}

impl Rotate {
    /// The overlap, checked.
    ///
    /// # Errors
    /// It is too long.
    pub fn check(&self) -> Result<std::time::Duration, Problem> {
        if self.overlap_seconds > LONGEST_OVERLAP {
            let detail = format!("at most {LONGEST_OVERLAP} seconds are accepted");
            return Err(Problem::invalid(vec![FieldError::at("/overlap_seconds", detail)]));
        }
        Ok(std::time::Duration::from_secs(self.overlap_seconds))
    }
}

/// The name, without blanks around it.
///
/// # Errors
/// It is blank, too long, or holds control characters.
pub fn check_name(pointer: &str, name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        let detail = format!("a name has 1 to {LONGEST_NAME} characters and no control characters");
        return Err(Problem::invalid(vec![FieldError::at(pointer, detail)]));
    }
    Ok(name.to_owned())
}

fn check_routes(routes: Option<Vec<String>>) -> Result<Option<Vec<String>>, Problem> {
    let Some(routes) = routes else { return Ok(None) };
    if routes.len() > MOST_ROUTES {
        let detail = format!("at most {MOST_ROUTES} routes are accepted");
        return Err(Problem::invalid(vec![FieldError::at("/routes", detail)]));
    }
    for (n, route) in routes.iter().enumerate() {
        check_name(&format!("/routes/{n}"), route)?;
    }
    Ok(Some(routes))
}

fn limits(
    routes: Option<Vec<String>>,
    rpm: Option<u32>,
    tpm: Option<u64>,
    parallel: Option<u32>,
) -> Result<Limits, Problem> {
    Ok(Limits {
        routes: check_routes(routes)?,
        requests_per_minute: rpm.map(i64::from),
        tokens_per_minute: tpm.map(tokens),
        parallel: parallel.map(i64::from),
    })
}

fn tokens(tokens: u64) -> i64 {
    // More than this no provider serves; sums of it still fit.
    i64::try_from(tokens).unwrap_or(i64::MAX).min(1_000_000_000_000_000)
}

impl CreateKey {
    /// Its own limits, checked.
    ///
    /// # Errors
    /// A route cannot be one.
    pub fn limits(&self) -> Result<Limits, Problem> {
        limits(self.routes.clone(), self.rpm, self.tpm, self.parallel)
    }
}

impl CreateAccount {
    /// Its own limits, checked.
    ///
    /// # Errors
    /// A route cannot be one.
    pub fn limits(&self) -> Result<Limits, Problem> {
        limits(self.routes.clone(), self.rpm, self.tpm, self.parallel)
    }
}

impl PatchAccount {
    /// What changes, checked.
    ///
    /// # Errors
    /// A value cannot be accepted.
    pub fn check(self, kind: Kind) -> Result<Change, Problem> {
        if self.expires_at.is_some() && kind != Kind::Key {
            return Err(Problem::invalid(vec![FieldError::at("/expires_at", "only keys end by themselves")]));
        }
        Ok(Change {
            name: self.name.map(|name| check_name("/name", &name)).transpose()?,
            routes: self.routes.map(check_routes).transpose()?,
            requests_per_minute: self.rpm.map(|rpm| rpm.map(i64::from)),
            tokens_per_minute: self.tpm.map(|tpm| tpm.map(tokens)),
            parallel: self.parallel.map(|parallel| parallel.map(i64::from)),
            expires_at: self.expires_at,
        })
    }
}

/// What a lead may not do: give more than the team has.
///
/// # Errors
/// A limit is above the team's.
pub fn within(own: &Limits, team: &Limits) -> Result<(), Problem> {
    let mut errors = Vec::new();
    let numbers = [
        ("/rpm", own.requests_per_minute, team.requests_per_minute),
        ("/tpm", own.tokens_per_minute, team.tokens_per_minute),
        ("/parallel", own.parallel, team.parallel),
    ];
    for (pointer, own, team) in numbers {
        if let (Some(own), Some(team)) = (own, team)
            && own > team
        {
            errors.push(FieldError::at(pointer, format!("the team has {team}")));
        }
    }
    if let (Some(own), Some(team)) = (&own.routes, &team.routes) {
        for (n, route) in own.iter().enumerate().filter(|(_, route)| !team.contains(route)) {
            errors.push(FieldError::at(format!("/routes/{n}"), format!("the team may not use `{route}`")));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parse;

    #[test]
    fn null_takes_a_limit_away_and_silence_leaves_it() {
        let patch: PatchAccount = parse(br#"{"rpm":null,"tpm":5}"#).unwrap();
        let change = patch.check(Kind::Key).unwrap();
        assert_eq!(change.requests_per_minute, Some(None));
        assert_eq!(change.tokens_per_minute, Some(Some(5)));
        assert_eq!(change.parallel, None);
        assert!(parse::<PatchAccount>(br#"{"rpms":1}"#).is_err());
        let ends: PatchAccount = parse(br#"{"expires_at":"2026-01-01T00:00:00Z"}"#).unwrap();
        assert!(ends.check(Kind::Team).is_err());
    }

    #[test]
    fn a_lead_gives_no_more_than_the_team_has() {
        let limits = |rpm, routes: Option<&[&str]>| Limits {
            requests_per_minute: rpm,
            routes: routes.map(|all| all.iter().map(|&name| name.to_owned()).collect()),
            ..Limits::default()
        };
        let team = limits(Some(10), Some(&["light"]));
        assert!(within(&limits(Some(10), Some(&["light"])), &team).is_ok());
        assert!(within(&limits(None, None), &team).is_ok(), "what the team has holds anyway");
        let problem = within(&limits(Some(11), Some(&["light", "strong"])), &team).unwrap_err();
        let pointers: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/rpm", "/routes/1"]);
    }

    #[test]
    fn a_team_in_the_shape_of_other_gateways_is_understood() {
        let body = br#"{"team_alias":"core","members_with_roles":[{"role":"admin","user_id":"ann"}],"rpm_limit":99}"#;
        let team = CreateAccount::from(parse::<NewTeam>(body).unwrap());
        assert_eq!((team.name.as_str(), team.rpm), ("core", Some(99)));
        assert_eq!((team.members[0].user.as_str(), team.members[0].role), ("ann", MemberRole::Admin));
    }
}
