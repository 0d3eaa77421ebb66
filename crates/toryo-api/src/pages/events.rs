//! Events in words, as the log shows them.

use crate::pages::words::{count, plural, span};
use serde_json::Value;
use toryo_domain::{Event, EventType, StepKind};

/// What kind of line an event is in the log; the filter and the colours go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A turn of the run or a step.
    Milestone,
    /// Something good came of it.
    Good,
    /// A problem.
    Bad,
    /// A person is needed, or wrote.
    Person,
    /// A model was called.
    Model,
    /// Work in progress.
    Detail,
    /// Output of a command.
    Output,
    /// What only matters to who looks closely.
    Faint,
}

impl Tone {
    /// The class of the line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Milestone => "milestone",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Person => "person",
            Self::Model => "model",
            Self::Detail => "detail",
            Self::Output => "output",
            Self::Faint => "faint",
        }
    }
}

/// An event as a line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What kind of line.
    pub tone: Tone,
    /// What happened, in a sentence or less.
    pub text: String,
    /// More of it, shown below.
    pub more: Option<String>,
}

/// Longest text of a line and of what is below it, in characters; the rest is in the event.
const LINE: usize = 300;
const MORE: usize = 4_000;

/// An event in words. Its facts may be missing or of another shape; then fewer words are made of them.
#[must_use]
pub fn event(event: &Event) -> Words {
    let facts = Facts(&event.data);
    let (tone, text, more) = match event.kind {
        EventType::RunCreated => (Tone::Milestone, "The task is stored".to_owned(), None),
        EventType::RunStarted => (Tone::Milestone, "A worker began".to_owned(), None),
        EventType::RunWaitingForInput => (Tone::Person, "Waiting for answers".to_owned(), facts.questions()),
        EventType::RunWaitingForApproval => (Tone::Person, waiting(&facts), None),
        EventType::RunResumed => (Tone::Person, resumed(&facts), facts.text("comment")),
        EventType::RunSucceeded => (Tone::Good, "The pull request stands".to_owned(), None),
        EventType::RunFailed => (Tone::Bad, "The run failed".to_owned(), facts.text("reason")),
        EventType::RunCancelled => {
            (Tone::Milestone, format!("Cancelled by {}", facts.or("by", "somebody")), facts.text("reason"))
        }
        EventType::RunNeedsHuman if facts.flag("paused") == Some(true) => {
            (Tone::Person, "Paused".to_owned(), facts.text("reason"))
        }
        EventType::RunNeedsHuman => (Tone::Person, "Stopped for a person".to_owned(), facts.text("reason")),
        EventType::StepReady => (Tone::Faint, "queued".to_owned(), None),
        EventType::StepStarted => (Tone::Detail, started(event), None),
        EventType::StepProgress => (Tone::Detail, facts.or("text", "working"), None),
        EventType::StepLog => (Tone::Output, facts.or("text", &facts.or("line", "")), None),
        EventType::StepSucceeded => succeeded(event, &facts),
        EventType::StepFailed => (Tone::Bad, failed(&facts), facts.text("reason")),
        EventType::StepRetrying => (Tone::Bad, retrying(&facts), facts.text("reason")),
        EventType::ModelCall => (Tone::Model, model_call(&facts), None),
        EventType::EditProposed => (Tone::Detail, edits(&facts, "proposed"), facts.text("summary")),
        EventType::EditApplied => (Tone::Good, edits(&facts, "applied"), facts.text("summary")),
        EventType::EditRejected => (Tone::Bad, edits(&facts, "refused"), facts.reasons()),
        EventType::TestReport => test_report(&facts),
        EventType::ReviewFinding => finding(&facts),
        EventType::PolicyDecision => policy(&facts),
        EventType::BudgetAlert => (Tone::Bad, facts.or("text", "A budget runs low"), facts.text("reason")),
        EventType::PullRequestOpened => (Tone::Good, pull_request(&facts, "opened"), None),
        EventType::PullRequestUpdated => (Tone::Good, pull_request(&facts, "updated"), None),
        EventType::MessageReceived => {
            (Tone::Person, format!("{} wrote", facts.or("author", "Somebody")), facts.text("body"))
        }
    };
    Words {
        tone,
        text: clip(&text, LINE),
        more: more.map(|more| clip(&more, MORE)).filter(|it| !it.is_empty()),
    }
}

fn waiting(facts: &Facts<'_>) -> String {
    match facts.text("gate").as_deref() {
        Some("plan") => "The plan waits for approval".to_owned(),
        _ => "The change waits for approval".to_owned(),
    }
}

fn resumed(facts: &Facts<'_>) -> String {
    let by = facts.or("by", "Somebody");
    if let Some(step) = facts.text("from") {
        return format!("{by} went back to {step}");
    }
    match (facts.flag("approved"), facts.flag("answered")) {
        (Some(true), _) => format!("{by} approved"),
        (Some(false), _) => format!("{by} asked for another round"),
        (None, Some(true)) => format!("{by} answered"),
        (None, _) => format!("{by} let it go on"),
    }
}

fn started(event: &Event) -> String {
    match event.attempt {
        Some(attempt) if attempt > 1 => format!("attempt {attempt} began"),
        _ => "began".to_owned(),
    }
}

fn succeeded(event: &Event, facts: &Facts<'_>) -> (Tone, String, Option<String>) {
    let Some(key) = &event.step_key else { return (Tone::Good, "done".to_owned(), None) };
    match key.kind {
        StepKind::Spec => (Tone::Good, facts.or("title", "specified"), facts.bullets("acceptance_criteria")),
        StepKind::Plan => (Tone::Good, plural(facts.length("subtasks"), "subtask"), facts.text("summary")),
        StepKind::Retrieve => {
            let text = format!(
                "{}, about {} tokens",
                plural(facts.length("files"), "file"),
                count(facts.number("tokens"))
            );
            (Tone::Good, text, facts.bullets("files"))
        }
        StepKind::Reproduce => {
            let seen = if facts.flag("failed_before") == Some(true) { ", seen to fail" } else { "" };
            (Tone::Good, format!("{}{seen}", plural(facts.length("tests"), "test")), facts.text("note"))
        }
        StepKind::Code => (Tone::Good, plural(facts.number("edits"), "edit"), facts.text("summary")),
        StepKind::Test => {
            let tone = if facts.flag("passed") == Some(false) { Tone::Bad } else { Tone::Good };
            (tone, counts(&facts.inner("counts")), facts.inner("analysis").text("root_cause"))
        }
        StepKind::Critic => {
            let (tone, verdict) = match facts.flag("approved") {
                Some(false) => (Tone::Bad, "asks for a revision"),
                _ => (Tone::Good, "approved"),
            };
            let text = format!("{verdict}, {}", plural(facts.number("findings"), "finding"));
            (tone, text, facts.text("patch_verdict"))
        }
        StepKind::Merge if facts.number("conflicts") > 0 => {
            (Tone::Bad, plural(facts.number("conflicts"), "conflict"), None)
        }
        StepKind::Merge => (Tone::Good, format!("joined; {}", counts(&facts.inner("counts"))), None),
        StepKind::Integrate => (Tone::Good, facts.or("branch", "integrated"), None),
        StepKind::Draft => (Tone::Person, facts.or("branch", "kept as a draft"), facts.bullets("missing")),
    }
}

fn counts(facts: &Facts<'_>) -> String {
    let mut text = format!("{} passed, {} failed", facts.number("passed"), facts.number("failed"));
    if facts.number("skipped") > 0 {
        text.push_str(&format!(", {} skipped", facts.number("skipped")));
    }
    text
}

fn failed(facts: &Facts<'_>) -> String {
    let class = facts.or("class", "failure").replace('_', " ");
    if facts.flag("exhausted") == Some(true) {
        format!("gave up: {class}")
    } else {
        format!("failed: {class}")
    }
}

fn retrying(facts: &Facts<'_>) -> String {
    let class = facts.or("class", "failure").replace('_', " ");
    match facts.number("delay_ms") {
        0 => format!("goes to another worker: {class}"),
        ms => format!("again in {}: {class}", span(i64::try_from(ms / 1000).unwrap_or_default())),
    }
}

fn model_call(facts: &Facts<'_>) -> String {
    let replayed = if facts.flag("recorded") == Some(true) { ", recorded reply" } else { "" };
    format!(
        "{} · {} in, {} out · ${:.4} · {:.1} s{replayed}",
        facts.or("model", &facts.or("route", "model")),
        count(facts.number("tokens_in")),
        count(facts.number("tokens_out")),
        facts.float("cost_usd").unwrap_or_default(),
        facts.number("latency_ms") as f64 / 1000.0,
    )
}

fn edits(facts: &Facts<'_>, what: &str) -> String {
    let number = match facts.length("edits") {
        0 => facts.number("edits").max(facts.number("count")),
        length => length,
    };
    match facts.text("file_path").or_else(|| facts.text("path")) {
        Some(path) => format!("edit of {path} {what}"),
        None if number == 0 => format!("edits {what}"),
        None => format!("{} {what}", plural(number, "edit")),
    }
}

fn test_report(facts: &Facts<'_>) -> (Tone, String, Option<String>) {
    let nested = facts.inner("counts");
    let figures = if nested.0.is_object() { nested } else { Facts(facts.0) };
    let failing = figures.bullets("failing").or_else(|| facts.bullets("failing"));
    // Here new tests are meant to fail: it is their proof.
    if facts.text("name").is_some_and(|name| matches!(name.as_str(), "tests-before" | "tests-on-base")) {
        return (Tone::Detail, format!("without the change: {}", counts(&figures)), failing);
    }
    let tone = if figures.number("failed") > 0 { Tone::Bad } else { Tone::Good };
    (tone, counts(&figures), failing)
}

fn finding(facts: &Facts<'_>) -> (Tone, String, Option<String>) {
    let severity = facts.or("severity", "finding");
    let tone = if severity == "blocking" { Tone::Bad } else { Tone::Detail };
    let mut text = format!("{severity}: {}", facts.or("rule", "review"));
    if let Some(path) = facts.text("path") {
        text.push_str(&format!(" in {path}"));
        if facts.number("line") > 0 {
            text.push_str(&format!(":{}", facts.number("line")));
        }
    }
    (tone, text, facts.text("text"))
}

fn policy(facts: &Facts<'_>) -> (Tone, String, Option<String>) {
    match facts.text("decision").as_deref() {
        Some("change_course") => {
            return (Tone::Person, "goes round in circles: another course".to_owned(), facts.text("text"));
        }
        Some("stop") => return (Tone::Person, "A limit was hit".to_owned(), facts.text("text")),
        Some("limits") => return (Tone::Person, facts.or("text", "The limits were changed"), None),
        _ => {}
    }
    let refused = facts.text("decision").is_some_and(|it| it == "refuse");
    let (tone, verdict) =
        if refused { (Tone::Bad, "refused the change") } else { (Tone::Detail, "let it pass") };
    (tone, format!("the guardrails {verdict}"), facts.reasons())
}

fn pull_request(facts: &Facts<'_>, what: &str) -> String {
    match facts.number("number") {
        0 => format!("Pull request {what}"),
        number => format!("Pull request {number} {what}"),
    }
}

/// The facts of an event, read tolerantly: the log must not break on an event of a newer worker.
struct Facts<'a>(&'a Value);

impl<'a> Facts<'a> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(str::to_owned)
    }

    fn or(&self, name: &str, otherwise: &str) -> String {
        self.text(name).unwrap_or_else(|| otherwise.to_owned())
    }

    fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    fn float(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }

    fn length(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_array).map_or(0, Vec::len) as u64
    }

    fn inner(&self, name: &str) -> Facts<'a> {
        Facts(self.0.get(name).unwrap_or(&Value::Null))
    }

    fn bullets(&self, name: &str) -> Option<String> {
        let lines: Vec<_> = self.0.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect();
        (!lines.is_empty())
            .then(|| lines.iter().map(|line| format!("· {line}")).collect::<Vec<_>>().join("\n"))
    }

    fn questions(&self) -> Option<String> {
        let questions = self.0.get("questions")?.as_array()?;
        let lines: Vec<_> = questions.iter().filter_map(|it| it.get("text")?.as_str()).collect();
        Some(lines.iter().map(|line| format!("· {line}")).collect::<Vec<_>>().join("\n"))
    }

    /// `reason`, or the reasons of several refusals.
    fn reasons(&self) -> Option<String> {
        if let Some(reason) = self.text("reason") {
            return Some(reason);
        }
        let list = ["refusals", "findings", "edits"].iter().find_map(|name| self.0.get(name)?.as_array())?;
        let lines: Vec<_> = list
            .iter()
            .filter_map(|it| it.get("reason").or_else(|| it.get("text"))?.as_str())
            .map(|line| format!("· {line}"))
            .collect();
        Some(lines.join("\n"))
    }
}

fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_type_has_words_even_without_facts() {
        let at = "2026-11-21T08:00:00Z".parse().unwrap();
        let mut lines = String::new();
        for kind in EventType::ALL {
            let event = Event {
                run_id: uuid::Uuid::nil().into(),
                seq: 1,
                at,
                kind: *kind,
                step_key: Some("code:a".parse().unwrap()),
                attempt: Some(1),
                data: json!(null),
            };
            let words = super::event(&event);
            lines.push_str(&format!("{kind:>24} [{}] {}\n", words.tone.as_str(), words.text));
        }
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn long_output_is_clipped_at_a_character() {
        assert_eq!(clip("日本語", 2), "日本…");
        assert_eq!(clip("ab", 2), "ab");
    }
}
