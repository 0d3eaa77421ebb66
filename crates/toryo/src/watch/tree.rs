//! A run as its events tell it: folded into steps, cost and result. Pure.

use chrono::{DateTime, Utc};
use serde_json::Value;
use toryo_domain::{Event, EventType, StepKey, Usd};

/// A run in progress.
#[derive(Debug, Default)]
pub struct Tree {
    /// The Spec-Refiner's title.
    pub title: Option<String>,
    /// The steps in the order in which they became known.
    pub steps: Vec<Step>,
    /// What model calls cost so far.
    pub cost: Usd,
    /// Whether replies come from a recording.
    pub recorded: bool,
    /// The time of the first event.
    pub began: Option<DateTime<Utc>>,
    /// What the run is waiting for, or how it ended.
    pub state: State,
    /// Branch, commit and pull request.
    pub result: Option<Value>,
}

/// Where the run stands.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum State {
    /// On its way.
    #[default]
    Going,
    /// It waits for a person, with the reason.
    Waiting(String),
    /// A pull request stands.
    Succeeded,
    /// It ended without one, with the reason.
    Ended(String),
}

/// A step.
#[derive(Debug)]
pub struct Step {
    /// Its address.
    pub key: StepKey,
    /// Where it stands.
    pub mark: Mark,
    /// What it is doing, or what came of it.
    pub text: String,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Waits for a worker.
    Ready,
    /// Is executed.
    Running,
    /// Ended as it should.
    Good,
    /// Ended, and something has to be mended.
    Mend,
    /// Failed.
    Bad,
}

impl Mark {
    /// A sign that is legible without colour.
    pub const fn sign(self) -> char {
        match self {
            Self::Ready => '·',
            Self::Running => '▸',
            Self::Good => '✓',
            Self::Mend => '↻',
            Self::Bad => '✗',
        }
    }
}

impl Tree {
    /// Takes in the next event.
    pub fn take(&mut self, event: &Event) {
        self.began.get_or_insert(event.at);
        match &event.step_key {
            Some(key) => self.take_step(key, event),
            None => self.take_run(event),
        }
    }

    fn take_run(&mut self, event: &Event) {
        let reason = || text(&event.data, "reason");
        match event.kind {
            EventType::RunWaitingForInput => {
                let questions = event.data["questions"].as_array().cloned().unwrap_or_default();
                let open: Vec<String> = questions
                    .iter()
                    .filter(|question| question["weight"] == "blocking")
                    .map(|question| text(question, "text"))
                    .collect();
                self.state = State::Waiting(format!("an answer to: {}", open.join(" / ")));
            }
            EventType::RunWaitingForApproval => {
                self.state = State::Waiting(format!(
                    "approval of the {}",
                    text(&event.data, "gate").replace('_', " ")
                ));
            }
            EventType::RunNeedsHuman => self.state = State::Waiting(format!("a person: {}", reason())),
            EventType::RunStarted | EventType::RunResumed => self.state = State::Going,
            EventType::RunSucceeded => {
                self.state = State::Succeeded;
                self.result = Some(event.data.clone());
            }
            EventType::RunFailed => self.state = State::Ended(format!("failed: {}", reason())),
            EventType::RunCancelled => self.state = State::Ended(format!("cancelled: {}", reason())),
            _ => {}
        }
    }

    fn take_step(&mut self, key: &StepKey, event: &Event) {
        if event.kind == EventType::ModelCall {
            if !event.data["journalled"].as_bool().unwrap_or(false) {
                self.cost += event.data["cost_usd"].as_f64().and_then(Usd::from_dollars).unwrap_or_default();
            }
            self.recorded |= event.data["recorded"].as_bool().unwrap_or(false);
            return;
        }
        if event.kind == EventType::StepSucceeded && event.data["title"].is_string() {
            self.title = Some(text(&event.data, "title"));
        }
        let step = self.step(key);
        match event.kind {
            EventType::StepReady => step.set(Mark::Ready, String::new()),
            EventType::StepStarted => step.set(Mark::Running, String::new()),
            EventType::StepProgress => step.text = text(&event.data, "text"),
            EventType::StepSucceeded => {
                let (mark, text) = outcome(&event.data);
                step.set(mark, text);
            }
            EventType::StepRetrying => {
                step.set(Mark::Ready, format!("again: {}", text(&event.data, "reason")));
            }
            EventType::StepFailed => step.set(Mark::Bad, text(&event.data, "reason")),
            EventType::EditRejected => step.text = "edits refused; asking again".to_owned(),
            _ => {}
        }
    }

    fn step(&mut self, key: &StepKey) -> &mut Step {
        let at = match self.steps.iter().position(|step| step.key == *key) {
            Some(at) => at,
            None => {
                self.steps.push(Step { key: key.clone(), mark: Mark::Ready, text: String::new() });
                self.steps.len() - 1
            }
        };
        &mut self.steps[at]
    }
}

impl Step {
    fn set(&mut self, mark: Mark, text: String) {
        (self.mark, self.text) = (mark, text);
    }
}

/// The facts of `step.succeeded` in words.
fn outcome(data: &Value) -> (Mark, String) {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let counts =
        |value: &Value| format!("{} passed, {} failed", number(&value["passed"]), number(&value["failed"]));
    if let Some(passed) = data["passed"].as_bool() {
        let mark = if passed { Mark::Good } else { Mark::Mend };
        return (mark, counts(&data["counts"]));
    }
    if let Some(approved) = data["approved"].as_bool() {
        let mark = if approved { Mark::Good } else { Mark::Mend };
        return (mark, format!("{} findings", number(&data["findings"])));
    }
    if let Some(sound) = data["sound"].as_bool() {
        let mark = if sound { Mark::Good } else { Mark::Mend };
        return (mark, format!("{}, {} conflicts", counts(&data["counts"]), number(&data["conflicts"])));
    }
    let words = if let Some(subtasks) = data["subtasks"].as_array() {
        format!("{} subtasks", subtasks.len())
    } else if let Some(files) = data["files"].as_array() {
        format!("{} files", files.len())
    } else if data["edits"].is_u64() {
        format!("{} edits", number(&data["edits"]))
    } else if let Some(tests) = data["tests"].as_array() {
        format!("{} tests written", tests.len())
    } else {
        ["title", "branch"].iter().find_map(|name| data[*name].as_str()).unwrap_or_default().to_owned()
    };
    (Mark::Good, crate::output::plain(&words))
}

fn text(data: &Value, name: &str) -> String {
    crate::output::plain(data[name].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use toryo_domain::RunId;

    fn event(kind: EventType, key: Option<&str>, data: Value) -> Event {
        Event {
            run_id: RunId::generate(),
            seq: 1,
            at: Utc::now(),
            kind,
            step_key: key.map(|key| key.parse().unwrap()),
            attempt: None,
            data,
        }
    }

    #[test]
    fn events_fold_into_a_picture() {
        let mut tree = Tree::default();
        for event in [
            event(EventType::RunCreated, None, json!({})),
            event(EventType::StepStarted, Some("spec"), json!({})),
            event(
                EventType::ModelCall,
                Some("spec"),
                json!({"cost_usd": 0.25, "journalled": false, "recorded": true}),
            ),
            event(EventType::ModelCall, Some("spec"), json!({"cost_usd": 0.25, "journalled": true})),
            event(EventType::StepSucceeded, Some("spec"), json!({"title": "Count the last day"})),
            event(EventType::StepReady, Some("test:a"), json!({})),
            event(
                EventType::StepSucceeded,
                Some("test:a"),
                json!({"passed": false, "counts": {"passed": 3, "failed": 1}}),
            ),
            event(EventType::StepStarted, Some("code:a#2"), json!({})),
            event(EventType::StepProgress, Some("code:a#2"), json!({"text": "reading \u{1b}[31m"})),
        ] {
            tree.take(&event);
        }
        let lines: Vec<String> = tree
            .steps
            .iter()
            .map(|step| format!("{} {} {}", step.mark.sign(), step.key, step.text))
            .collect();
        assert_eq!(
            lines,
            ["✓ spec Count the last day", "↻ test:a 3 passed, 1 failed", "▸ code:a#2 reading  [31m"]
        );
        assert_eq!(tree.cost, Usd::from_nanos(250_000_000));
        assert!(tree.recorded);
    }

    #[test]
    fn a_run_that_waits_says_for_what() {
        let mut tree = Tree::default();
        let questions = json!({"questions": [{"text": "Which zone?", "weight": "blocking"}, {"text": "x", "weight": "minor"}]});
        tree.take(&event(EventType::RunWaitingForInput, None, questions));
        assert_eq!(tree.state, State::Waiting("an answer to: Which zone?".into()));
        tree.take(&event(EventType::RunResumed, None, json!({})));
        assert_eq!(tree.state, State::Going);
    }
}
