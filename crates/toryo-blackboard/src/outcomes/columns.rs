//! Outcomes as the statement takes them: an array a column.

use super::{Heir, Kept, Outcome};
use crate::{Error, row};
use serde_json::Value;
use toryo_domain::StepStatus;
use uuid::Uuid;

macro_rules! columns {
    ($($name:ident: $type:ty,)+) => {
        /// What the statement takes, an array a column, in this order.
        #[derive(Default)]
        pub(super) struct Columns { $($name: Vec<$type>),+ }

        impl Columns {
            pub(super) fn statement(self, version: i16) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
                sqlx::query(concat!(
                    "select * from store_outcomes($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, ",
                    "$16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, ",
                    "$35, $36, $37, $38)"
                ))
                .bind(version)
                $(.bind(self.$name))+
            }
        }
    };
}

columns! {
    runs: Uuid,
    controls: Value,
    graphs: String,
    steps: Uuid,
    fences: i64,
    outputs: Value,
    base_branches: Option<String>,
    base_commits: Option<String>,
    titles: Option<String>,
    best_diffs: Option<String>,
    branches: Option<String>,
    commits: Option<String>,
    pull_requests: Option<Value>,
    ends: bool,
    event_counts: i32,
    heirs: Option<Uuid>,
    heir_keys: Option<String>,
    heir_workers: Option<Uuid>,
    heir_leases: Option<f64>,
    heir_places: Option<i32>,
    heir_data: Option<Value>,
    new_of: i32,
    new_ids: Uuid,
    new_keys: String,
    new_roles: &'static str,
    new_depends: String,
    new_ready: bool,
    unblocked_of: i32,
    unblocked: Uuid,
    waking_of: i32,
    waking: Uuid,
    event_of: i32,
    event_places: i32,
    event_types: &'static str,
    event_keys: Option<String>,
    event_attempts: Option<i32>,
    event_data: Value,
}

impl Columns {
    pub(super) fn push(&mut self, place: i32, new: &Outcome) -> Result<(), Error> {
        self.runs.push(new.run().uuid());
        self.controls.push(new.control.clone());
        self.graphs.push(new.graph.clone());
        self.steps.push(new.claim.step_id.uuid());
        self.fences.push(new.claim.fence);
        self.outputs.push(new.output.clone());
        self.ends.push(new.is_end);
        let count = i32::try_from(new.events.len()).map_err(|error| Error::corrupt("events", error))?;
        self.event_counts.push(count);
        self.push_kept(&new.kept);
        self.push_heir(new.heir.as_ref())?;
        for step in &new.append {
            let depends: Vec<String> = step.depends_on.iter().map(ToString::to_string).collect();
            self.new_of.push(place);
            self.new_ids.push(step.id.uuid());
            self.new_keys.push(step.key.to_string());
            self.new_roles.push(step.role.as_str());
            self.new_depends.push(depends.join("\n"));
            self.new_ready.push(step.status == StepStatus::Ready);
        }
        for step in &new.waking {
            self.waking_of.push(place);
            self.waking.push(step.uuid());
            if new.append.iter().all(|appended| appended.id != *step) {
                self.unblocked_of.push(place);
                self.unblocked.push(step.uuid());
            }
        }
        for (number, event) in (1..).zip(&new.events) {
            self.event_of.push(place);
            self.event_places.push(number);
            self.event_types.push(event.kind.as_str());
            self.event_keys.push(event.step_key.as_ref().map(ToString::to_string));
            self.event_attempts.push(event.attempt.and_then(|attempt| i32::try_from(attempt).ok()));
            self.event_data.push(row::without_nul(&event.data));
        }
        Ok(())
    }

    fn push_kept(&mut self, kept: &Kept) {
        let [branch, commit, title] = of(kept.base.clone());
        self.base_branches.push(branch);
        self.base_commits.push(commit);
        self.titles.push(title.map(|title| row::storable(&title)));
        self.best_diffs.push(kept.best_diff.clone());
        let (names, pull_request) = kept.result.clone().unzip();
        let [branch, commit] = of(names);
        self.branches.push(branch);
        self.commits.push(commit);
        self.pull_requests.push(pull_request.as_ref().map(row::without_nul));
    }

    fn push_heir(&mut self, heir: Option<&Heir>) -> Result<(), Error> {
        let place = heir.map(|heir| i32::try_from(heir.place)).transpose();
        self.heirs.push(heir.map(|heir| heir.step.uuid()));
        self.heir_keys.push(heir.map(|heir| heir.key.to_string()));
        self.heir_workers.push(heir.map(|heir| heir.worker.uuid()));
        self.heir_leases.push(heir.map(|heir| heir.lease.as_secs_f64()));
        self.heir_places.push(place.map_err(|error| Error::corrupt("event", error))?);
        self.heir_data.push(heir.map(|heir| heir.started.clone()));
        Ok(())
    }
}

/// All of them or none.
fn of<const N: usize>(all: Option<[String; N]>) -> [Option<String>; N] {
    all.map_or([const { None }; N], |all| all.map(Some))
}
