//! Comparing what is stored with what came of a step this time.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Display;
use toryo_blackboard::BlobStore;
use toryo_domain::{Digest, Event, EventType, NewEvent, Output};

/// Longest text of a value that is shown, in characters.
const SHOWN: usize = 200;

/// Names of values that hold time: they differ from one execution to the next.
const TIME: [&str; 6] = ["duration_ms", "duration_seconds", "latency_ms", "log", "cost_usd", "journalled"];

/// Types of events that a step's agent reports and that say what it did; those left out show progress and logs.
const COMPARED: [EventType; 9] = [
    EventType::ModelCall,
    EventType::EditProposed,
    EventType::EditApplied,
    EventType::EditRejected,
    EventType::TestReport,
    EventType::ReviewFinding,
    EventType::PolicyDecision,
    EventType::PullRequestOpened,
    EventType::PullRequestUpdated,
];

/// One place where two executions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where: a path into the outcome or into an event.
    pub place: String,
    /// What is stored.
    pub stored: String,
    /// What came of it this time.
    pub replayed: String,
}

impl Difference {
    /// At this place.
    pub fn at(place: impl Into<String>, stored: impl Display, replayed: impl Display) -> Self {
        let shown = |value: &dyn Display| value.to_string().chars().take(SHOWN).collect();
        Self { place: place.into(), stored: shown(&stored), replayed: shown(&replayed) }
    }
}

/// Where two outcomes differ. Reports of tests are compared by their contents, because their bytes hold durations.
pub(super) async fn outputs(stored: &Output, replayed: &Output, blobs: &dyn BlobStore) -> Vec<Difference> {
    let (Ok(mut left), Ok(mut right)) = (serde_json::to_value(stored), serde_json::to_value(replayed)) else {
        return vec![Difference::at("output", "cannot be read", "")];
    };
    unfold(&mut left, blobs).await;
    unfold(&mut right, blobs).await;
    let mut found = Vec::new();
    differ("output", &left, &right, &mut found);
    found
}

/// Puts the contents of test reports in place of their digests.
async fn unfold(output: &mut Value, blobs: &dyn BlobStore) {
    for pointer in ["/summary/report", "/test/summary/report"] {
        let digest =
            output.pointer(pointer).and_then(Value::as_str).and_then(|text| text.parse::<Digest>().ok());
        if let (Some(digest), Some(place)) = (digest, output.pointer_mut(pointer))
            && let Ok(bytes) = blobs.get(&digest).await
            && let Ok(report) = serde_json::from_slice(&bytes)
        {
            *place = report;
        }
    }
}

/// Where the events of two attempts differ, in their order.
pub(super) fn events(stored: &[&Event], replayed: &[NewEvent]) -> Vec<Difference> {
    let stored = stored.iter().map(|event| (event.kind, &event.data));
    let stored: Vec<(EventType, &Value)> = stored.filter(|(kind, _)| COMPARED.contains(kind)).collect();
    let replayed = replayed.iter().map(|event| (event.kind, &event.data));
    let replayed: Vec<(EventType, &Value)> = replayed.filter(|(kind, _)| COMPARED.contains(kind)).collect();
    let mut found = Vec::new();
    if stored.len() != replayed.len() {
        found.push(Difference::at("events", stored.len(), replayed.len()));
    }
    for (number, (left, right)) in stored.iter().zip(&replayed).enumerate() {
        // Whether a pull request was there before is the world's to say.
        let opens = |kind| matches!(kind, EventType::PullRequestOpened | EventType::PullRequestUpdated);
        if left.0 != right.0 && !(opens(left.0) && opens(right.0)) {
            found.push(Difference::at(format!("events/{number}"), left.0, right.0));
        } else {
            let skipped = if left.0 == EventType::TestReport { &["report"][..] } else { &[] };
            let (left_data, right_data) = (without(left.1, skipped), without(right.1, skipped));
            differ(&format!("events/{number} {}", left.0), &left_data, &right_data, &mut found);
        }
    }
    found
}

fn without(data: &Value, names: &[&str]) -> Value {
    match data {
        Value::Object(map) => {
            let kept = map.iter().filter(|(name, _)| !names.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn differ(place: &str, stored: &Value, replayed: &Value, found: &mut Vec<Difference>) {
    match (stored, replayed) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names.into_iter().filter(|name| !TIME.contains(&name.as_str())) {
                let value = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
                differ(&format!("{place}/{name}"), &value(left), &value(right), found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (number, (left, right)) in left.iter().zip(right).enumerate() {
                differ(&format!("{place}/{number}"), left, right, found);
            }
        }
        (left, right) if left == right => {}
        (left, right) => found.push(Difference::at(place, left, right)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn time_does_not_count_and_everything_else_does() {
        let seen = |left: Value, right: Value| {
            let mut found = Vec::new();
            differ("output", &left, &right, &mut found);
            found.into_iter().map(|it| it.place).collect::<Vec<_>>().join(" ")
        };
        let stored =
            json!({ "a": 1, "duration_ms": 5, "log": "x", "list": [1, { "b": true }], "gone": null });
        assert_eq!(seen(stored.clone(), json!({ "a": 1, "duration_ms": 9, "list": [1, { "b": true }] })), "");
        assert_eq!(
            seen(stored.clone(), json!({ "a": 2, "list": [1, { "b": false }] })),
            "output/a output/list/1/b"
        );
        assert_eq!(seen(stored, json!({ "a": 1, "list": [1] })), "output/list");
    }

    #[test]
    fn events_are_compared_by_what_the_agent_did() {
        let event = |kind, data| NewEvent::of_run(kind, data);
        let stored = |kind, data| Event {
            run_id: toryo_domain::RunId::generate(),
            seq: 1,
            at: chrono::DateTime::UNIX_EPOCH,
            kind,
            step_key: None,
            attempt: None,
            data,
        };
        let call =
            stored(EventType::ModelCall, json!({ "model": "m", "latency_ms": 3, "journalled": false }));
        let started = stored(EventType::StepStarted, json!({}));
        let again = event(EventType::ModelCall, json!({ "model": "m", "latency_ms": 9, "journalled": true }));
        assert_eq!(events(&[&started, &call], std::slice::from_ref(&again)), vec![]);
        let other = event(EventType::ModelCall, json!({ "model": "n" }));
        assert_eq!(events(&[&call], &[other])[0].place, "events/0 model.call/model");
        assert_eq!(events(&[&call], &[again.clone(), again])[0].place, "events");
    }
}
