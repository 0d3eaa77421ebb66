//! Schemas of the closed lists, made from the lists themselves.

use serde_json::Value;
use toryo_domain::{Approval, EventType, FailureClass, Gate, Priority, Role, RunStatus, StepStatus};
use utoipa::openapi::{Object, ObjectBuilder, schema::Type};

fn closed(texts: impl IntoIterator<Item = &'static str>) -> Object {
    let texts: Vec<Value> = texts.into_iter().map(Value::from).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(texts)).build()
}

macro_rules! closed_lists {
    ($($(#[$meta:meta])* $name:ident: $type:ident),+ $(,)?) => {$(
        $(#[$meta])*
        pub fn $name() -> Object {
            closed($type::ALL.iter().map(|it| it.as_str()))
        }
    )+};
}

closed_lists! {
    /// Where a person wants to approve.
    approval: Approval,
    /// Types of events.
    event_type: EventType,
    /// Classes of failures.
    failure_class: FailureClass,
    /// What a person is asked to approve.
    gate: Gate,
    /// How urgent a task is.
    priority: Priority,
    /// Roles of agents.
    role: Role,
    /// Where a run stands.
    run_status: RunStatus,
    /// Where a step stands.
    step_status: StepStatus,
}
