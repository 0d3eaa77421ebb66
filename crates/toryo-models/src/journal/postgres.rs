//! The journal on the blackboard.

use super::{CallKey, CallRecord, Journal, JournalError, Reserved, Spent, StoredReply, decide};
use crate::request::Caller;
use async_trait::async_trait;
use toryo_blackboard::model_calls::{self, NewModelCall};
use toryo_blackboard::reservations::{self, NewReservation};
use toryo_blackboard::{Db, Error, db, ledger, runs, steps};
use toryo_domain::RunId;

/// The journal on the blackboard; cheap to clone.
#[derive(Debug, Clone)]
pub struct PostgresJournal(Db);

impl PostgresJournal {
    /// Uses this pool.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// One transaction: the reply and its cost. Then, without undoing it, whether the lease still holds.
    async fn store(&self, caller: &Caller, call: &NewModelCall) -> Result<Result<(), Error>, Error> {
        let mut tx = self.0.begin().await?;
        model_calls::insert(&mut tx, call).await?;
        let alerts = ledger::insert_of_run(&mut tx, call).await?;
        let fence = steps::check_fence(&mut tx, caller.step_id, caller.fence).await;
        db::commit(tx).await?;
        alerts.iter().for_each(crate::ledger::tell);
        Ok(fence)
    }
}

#[async_trait]
impl Journal for PostgresJournal {
    async fn find(&self, key: &CallKey) -> Result<Option<StoredReply>, JournalError> {
        let stored = model_calls::find(&self.0, key.step_id, key.call_no, &key.request_digest).await?;
        let read =
            |value| serde_json::from_value(value).map_err(|error| Error::corrupt("model reply", error));
        Ok(stored.map(read).transpose()?)
    }

    async fn record(&self, caller: &Caller, record: &CallRecord) -> Result<(), JournalError> {
        let failed = match self.store(caller, &row(caller, record)?).await {
            Ok(fence) => return Ok(fence?),
            Err(failed) => failed,
        };
        // The key is unique: what is stored under it tells a repeated call from a foreign one, and both from a
        // fault.
        match self.find(&record.key).await? {
            Some(stored) if stored == record.reply => Ok(()),
            Some(_) => Err(JournalError::AnsweredAlready),
            None => Err(failed.into()),
        }
    }

    /// Under the lock of the run's row, with the limits as they are now: a person may have changed them since the step
    /// began.
    async fn reserve(&self, caller: &Caller, most: Spent) -> Result<Reserved, JournalError> {
        let mut tx = self.0.begin().await?;
        let run = runs::lock(&mut tx, caller.run_id).await?;
        steps::check_fence(&mut tx, caller.step_id, caller.fence).await?;
        let held =
            reservations::held_by_others(&mut tx, caller.run_id, caller.step_id, caller.call_no).await?;
        let held = Spent { usd: held.cost, tokens: held.tokens };
        let spent = Spent { usd: run.cost, tokens: run.tokens_in.saturating_add(run.tokens_out) };
        let decision = decide(run.allowance(), spent, held, most);
        if decision == Reserved::Held {
            let new = NewReservation {
                run_id: caller.run_id,
                step_id: caller.step_id,
                call_no: caller.call_no,
                fence: caller.fence,
                most: model_calls::Spent { cost: most.usd, tokens: most.tokens },
            };
            reservations::put(&mut tx, &new).await?;
        }
        db::commit(tx).await?;
        Ok(decision)
    }

    async fn release(&self, caller: &Caller) -> Result<(), JournalError> {
        let mut tx = self.0.begin().await?;
        reservations::remove(&mut tx, caller.step_id, caller.call_no, caller.fence).await?;
        Ok(db::commit(tx).await?)
    }

    async fn spent(&self, run: RunId) -> Result<Spent, JournalError> {
        let spent = model_calls::spent(&self.0, run).await?;
        Ok(Spent { usd: spent.cost, tokens: spent.tokens })
    }
}

fn row(caller: &Caller, record: &CallRecord) -> Result<NewModelCall, Error> {
    let reply = &record.reply;
    Ok(NewModelCall {
        run_id: caller.run_id,
        step_id: record.key.step_id,
        fence: caller.fence,
        attempt: caller.attempt,
        call_no: record.key.call_no,
        request_digest: record.key.request_digest,
        role: caller.agent,
        route: record.route.clone(),
        provider: reply.provider.clone(),
        model: reply.model.clone(),
        reply: serde_json::to_value(reply).map_err(|error| Error::corrupt("model reply", error))?,
        input_tokens: reply.usage.input,
        cached_input_tokens: reply.usage.cached_input,
        output_tokens: reply.usage.output,
        reasoning_tokens: reply.usage.reasoning,
        cost: reply.cost,
        latency_ms: u64::try_from(reply.latency.as_millis()).unwrap_or(u64::MAX),
        recorded: reply.recorded,
    })
}

impl From<Error> for JournalError {
    fn from(error: Error) -> Self {
        match error {
            Error::StaleFence => Self::StaleFence,
            other => Self::Store { class: other.class(), source: Box::new(other) },
        }
    }
}
