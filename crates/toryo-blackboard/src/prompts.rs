//! Words of questions and answers that the policy of their route keeps, and their end.

use crate::{Db, Error, row};
use chrono::{DateTime, Utc};
use toryo_domain::{AccountId, CallId};
use uuid::Uuid;

/// The words of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The call in the ledger.
    pub call: CallId,
    /// When it was admitted.
    pub at: DateTime<Utc>,
    /// The team that asked; `None` for the operator's own key.
    pub team: Option<AccountId>,
    /// The route that was asked for.
    pub route: String,
    /// `masked` or `full`.
    pub policy: String,
    /// What was asked, in the client's protocol.
    pub question: String,
    /// What was answered, its words only.
    pub answer: String,
    /// When it is removed.
    pub keep_until: DateTime<Utc>,
}

/// Keeps the words of calls. Keeping them again changes nothing.
///
/// # Errors
/// The database does not answer.
pub async fn insert(db: &Db, prompts: &[Prompt]) -> Result<(), Error> {
    let column = |of: fn(&Prompt) -> &str| prompts.iter().map(|one| of(one).to_owned()).collect::<Vec<_>>();
    sqlx::query(
        "insert into gateway_prompts (call_id, at, team_id, route, policy, question, answer, keep_until) \
         select * from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], \
         $8::timestamptz[]) on conflict (call_id) do nothing",
    )
    .bind(prompts.iter().map(|one| one.call.uuid()).collect::<Vec<Uuid>>())
    .bind(prompts.iter().map(|one| one.at).collect::<Vec<_>>())
    .bind(prompts.iter().map(|one| one.team.map(AccountId::uuid)).collect::<Vec<Option<Uuid>>>())
    .bind(column(|one| &one.route))
    .bind(column(|one| &one.policy))
    .bind(column(|one| &one.question))
    .bind(column(|one| &one.answer))
    .bind(prompts.iter().map(|one| one.keep_until).collect::<Vec<_>>())
    .execute(db.pool())
    .await?;
    Ok(())
}

/// The words of a call; `None` where none were kept, or not any more.
///
/// # Errors
/// The database does not answer.
pub async fn find(db: &Db, call: CallId) -> Result<Option<Prompt>, Error> {
    let found = sqlx::query(
        "select call_id, at, team_id, route, policy, question, answer, keep_until from gateway_prompts \
         where call_id = $1 and keep_until > now()",
    )
    .bind(call.uuid())
    .fetch_optional(db.pool())
    .await?;
    let Some(found) = found else { return Ok(None) };
    Ok(Some(Prompt {
        call: row::get::<Uuid>(&found, "call_id")?.into(),
        at: row::get(&found, "at")?,
        team: row::get::<Option<Uuid>>(&found, "team_id")?.map(AccountId::from),
        route: row::get(&found, "route")?,
        policy: row::get(&found, "policy")?,
        question: row::get(&found, "question")?,
        answer: row::get(&found, "answer")?,
        keep_until: row::get(&found, "keep_until")?,
    }))
}

/// Removes what has come to its end; how many calls that were.
///
/// # Errors
/// The database does not answer.
pub async fn prune(db: &Db) -> Result<u64, Error> {
    let gone =
        sqlx::query("delete from gateway_prompts where keep_until <= now()").execute(db.pool()).await?;
    Ok(gone.rows_affected())
}
