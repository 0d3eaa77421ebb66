//! Statuses, times and sizes in words.

use chrono::{DateTime, Utc};
use toryo_domain::{Role, RunStatus, StepKey, StepKind, StepStatus, SubtaskKind};

/// A status in words.
#[must_use]
pub const fn run_status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "Queued",
        RunStatus::Running => "Running",
        RunStatus::WaitingForInput => "Waiting for answers",
        RunStatus::WaitingForApproval => "Waiting for approval",
        RunStatus::NeedsHuman => "Needs a person",
        RunStatus::Succeeded => "Succeeded",
        RunStatus::Failed => "Failed",
        RunStatus::Cancelled => "Cancelled",
    }
}

/// A step's status in words.
#[must_use]
pub const fn step_status(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "pending",
        StepStatus::Ready => "ready",
        StepStatus::Running => "running",
        StepStatus::Succeeded => "done",
        StepStatus::Failed => "failed",
        StepStatus::Cancelled => "cancelled",
    }
}

/// A role in words.
#[must_use]
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::SpecRefiner => "Spec-Refiner",
        Role::Planner => "Planner",
        Role::Retriever => "Retriever",
        Role::Coder => "Coder",
        Role::Tester => "Tester",
        Role::Critic => "Critic",
        Role::Integrator => "Integrator",
    }
}

/// A kind of step in words.
#[must_use]
pub const fn step_kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Spec => "Specify",
        StepKind::Plan => "Plan",
        StepKind::Retrieve => "Retrieve",
        StepKind::Reproduce => "Reproduce",
        StepKind::Code => "Code",
        StepKind::Test => "Test",
        StepKind::Critic => "Review",
        StepKind::Merge => "Join and test",
        StepKind::Integrate => "Integrate",
        StepKind::Draft => "Draft",
    }
}

/// A kind of subtask in words.
#[must_use]
pub const fn subtask_kind(kind: SubtaskKind) -> &'static str {
    match kind {
        SubtaskKind::BugFix => "bug fix",
        SubtaskKind::Feature => "feature",
        SubtaskKind::Refactoring => "refactoring",
        SubtaskKind::Documentation => "documentation",
        SubtaskKind::Tests => "tests",
    }
}

/// A time span: `8 s`, `4 min 09 s`, `2 h 05 min`.
#[must_use]
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, min, s) => format!("{min} min {s:02} s"),
        (h, min, _) => format!("{h} h {min:02} min"),
    }
}

/// Time between two moments; until now where the second is missing.
#[must_use]
pub fn between(from: DateTime<Utc>, to: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    span((to.unwrap_or(now) - from).num_seconds())
}

/// How long ago: `just now`, `5 min ago`, `3 h ago`, `2 days ago`.
#[must_use]
pub fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (now - at).num_minutes() {
        ..=0 => "just now".to_owned(),
        min @ 1..=59 => format!("{min} min ago"),
        min @ 60..=1439 => format!("{} h ago", min / 60),
        min @ 1440..=2879 => format!("{} day ago", min / 1440),
        min => format!("{} days ago", min / 1440),
    }
}

/// A moment in full, for people who point at it.
#[must_use]
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Bytes: `812 B`, `4.2 kB`, `1.3 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A count that may be large: `812`, `12.4 k`, `3.1 M`.
#[must_use]
pub fn count(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..1_000_000 => format!("{:.1} k", number as f64 / 1e3),
        _ => format!("{:.1} M", number as f64 / 1e6),
    }
}

/// `1 file`, `3 files`.
#[must_use]
pub fn plural(number: u64, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// The last part of a repository's URL or path, for a narrow column.
#[must_use]
pub fn repo_name(url: &str) -> &str {
    let trimmed = url.trim_end_matches('/').trim_end_matches(".git");
    trimmed.rsplit(['/', ':', '\\']).find(|part| !part.is_empty()).unwrap_or(url)
}

/// A step's address in words: `Code “parse-dates”, round 2`.
#[must_use]
pub fn step(key: &StepKey) -> String {
    let mut text = step_kind(key.kind).to_owned();
    if let Some(subtask) = &key.subtask {
        text.push_str(&format!(" “{subtask}”"));
    }
    if key.round > 1 {
        text.push_str(&format!(", round {}", key.round));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_read_well() {
        assert_eq!([span(-3), span(59), span(249), span(7500)], ["0 s", "59 s", "4 min 09 s", "2 h 05 min"]);
        assert_eq!([size(812), size(4_200), size(1_300_000)], ["812 B", "4.2 kB", "1.3 MB"]);
        assert_eq!([count(9_999), count(12_400), count(3_100_000)], ["9999", "12.4 k", "3.1 M"]);
        assert_eq!(repo_name("https://example.org/team/calendar.git"), "calendar");
        assert_eq!(repo_name("/srv/git/calendar/"), "calendar");
        assert_eq!(repo_name("/"), "/");
    }
}
