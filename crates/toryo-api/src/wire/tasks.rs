//! Tasks over the wire: the request, its checks, the replies.

use crate::Config;
use crate::extract::Object;
use crate::problem::{FieldError, Problem};
use crate::sanitise::sanitise;
use crate::wire::runs::{LimitsView, RunLinks};
use crate::wire::schemas;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use toryo_blackboard::TaskWithRuns;
use toryo_domain::{Approval, Limits, NewTask, Priority, RunId, TaskId, Usd};
use utoipa::ToSchema;

/// Longest goal, in characters.
const LONGEST_GOAL: usize = 65_536;
/// Longest repository URL or path, in characters.
const LONGEST_URL: usize = 2048;
/// Most constraints, and most acceptance criteria.
const MOST_LINES: usize = 50;
/// Longest constraint or criterion, in characters.
const LONGEST_LINE: usize = 4000;
/// Most labels.
const MOST_LABELS: usize = 20;
/// Longest label or issue id, in characters.
const LONGEST_LABEL: usize = 100;

/// A task to do.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTask {
    /// A URL, or a path on the server's own machine.
    #[schema(example = "/srv/git/calendar", max_length = 2048)]
    pub repo_url: String,
    /// What shall be achieved: as you would write it to a colleague. At most 65,536 characters.
    #[schema(example = "Make date ranges include their last day", min_length = 1, max_length = 65536)]
    pub goal: String,
    /// The issue it comes from.
    #[serde(default)]
    pub issue_id: Option<IssueId>,
    /// The branch to start from; the repository's default branch where it is not named.
    #[serde(default)]
    pub base_branch: Option<String>,
    /// What has to be respected.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub constraints: Vec<String>,
    /// What has to hold in the end.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub acceptance_criteria: Vec<String>,
    /// How urgent it is; `normal` where it is not named.
    #[serde(default)]
    #[schema(schema_with = schemas::priority, required = false)]
    pub priority: Option<Priority>,
    /// Where a person wants to approve; `none` where it is not named.
    #[serde(default)]
    #[schema(schema_with = schemas::approval, required = false)]
    pub approval: Option<Approval>,
    /// What it may use; the server's defaults where a limit is not named.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub limits: Option<Object<LimitsRequest>>,
    /// Free labels.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub labels: Vec<String>,
}

/// An issue as its tracker numbers or names it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a number or a text")]
pub enum IssueId {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// What a task may use at most; each limit within what the operator allows.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    /// US dollars for model calls.
    #[serde(default)]
    pub usd: Option<f64>,
    /// Tokens of model calls, in and out.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Minutes of work; waiting for a person is not counted.
    #[serde(default)]
    pub minutes: Option<u32>,
    /// Repairs of one subtask.
    #[serde(default)]
    pub repair_loops: Option<u32>,
}

impl CreateTask {
    /// The task, sanitised and checked; everything wrong with it at once.
    ///
    /// # Errors
    /// A value is blank, too long, too many, or beyond what the operator allows.
    pub fn check(self, config: &Config) -> Result<NewTask, Problem> {
        let mut errors = Errors::default();
        let limits = errors.limits(self.limits.unwrap_or_default().0, config);
        let task = NewTask {
            repo_url: errors.repo_url("/repo_url", &self.repo_url),
            goal: errors.goal(&self.goal),
            issue_id: errors.issue(self.issue_id),
            base_branch: errors.branch(self.base_branch),
            constraints: errors.lines("constraints", &self.constraints, MOST_LINES, LONGEST_LINE),
            acceptance_criteria: errors.lines(
                "acceptance_criteria",
                &self.acceptance_criteria,
                MOST_LINES,
                LONGEST_LINE,
            ),
            priority: self.priority.unwrap_or(Priority::Normal),
            approval: self.approval.unwrap_or(Approval::None),
            limits,
            labels: errors.lines("labels", &self.labels, MOST_LABELS, LONGEST_LABEL),
            source: "api".to_owned(),
        };
        if errors.0.is_empty() { Ok(task) } else { Err(Problem::invalid(errors.0)) }
    }
}

/// The URL or path of a repository, trimmed.
///
/// # Errors
/// It is blank, too long, or holds control characters.
pub fn check_repo_url(pointer: &str, text: &str) -> Result<String, Problem> {
    let mut errors = Errors::default();
    let url = errors.repo_url(pointer, text);
    if errors.0.is_empty() { Ok(url) } else { Err(Problem::invalid(errors.0)) }
}

/// Collects what is wrong.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError::at(pointer, detail));
    }

    fn repo_url(&mut self, pointer: &str, text: &str) -> String {
        let text = text.trim();
        if text.is_empty() {
            self.add(pointer, "a repository is needed: a URL, or a path on the server's machine");
        } else if text.chars().count() > LONGEST_URL {
            self.add(pointer, format!("at most {LONGEST_URL} characters are accepted"));
        } else if text.chars().any(char::is_control) {
            self.add(pointer, "control characters are not accepted");
        }
        text.to_owned()
    }

    fn goal(&mut self, text: &str) -> String {
        let goal = sanitise(text);
        let length = goal.chars().count();
        if goal.is_empty() {
            self.add("/goal", "the goal is blank; say what shall be achieved");
        } else if length > LONGEST_GOAL {
            let detail = format!(
                "the goal has {length} characters, at most {LONGEST_GOAL} are accepted; \
                 put long material into the repository and name it in the goal"
            );
            self.add("/goal", detail);
        }
        goal
    }

    fn issue(&mut self, issue: Option<IssueId>) -> Option<String> {
        let text = match issue? {
            IssueId::Number(number) => number.to_string(),
            IssueId::Text(text) => sanitise(&text),
        };
        if text.is_empty() || text.chars().count() > LONGEST_LABEL || text.contains('\n') {
            self.add("/issue_id", format!("an issue id is one line of 1 to {LONGEST_LABEL} characters"));
        }
        Some(text)
    }

    /// The rules of `git check-ref-format` that matter for a branch.
    fn branch(&mut self, branch: Option<String>) -> Option<String> {
        let branch = branch?.trim().to_owned();
        let banned = |char: char| {
            char.is_control()
                || char.is_whitespace()
                || matches!(char, '~' | '^' | ':' | '?' | '*' | '[' | '\\')
        };
        let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
        let fine = branch.len() <= 255
            && !branch.starts_with('-')
            && !branch.ends_with('.')
            && !branch.contains("..")
            && !branch.contains("@{")
            && branch != "@"
            && !branch.contains(banned)
            && !branch.split('/').any(bad_part);
        if !fine {
            self.add("/base_branch", "this is not a name that Git accepts for a branch");
        }
        Some(branch)
    }

    fn lines(&mut self, field: &str, lines: &[String], most: usize, longest: usize) -> Vec<String> {
        if lines.len() > most {
            self.add(format!("/{field}"), format!("at most {most} are accepted"));
            return vec![];
        }
        let mut clean = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let line = sanitise(line);
            if line.is_empty() {
                self.add(format!("/{field}/{index}"), "it is blank");
            } else if line.chars().count() > longest {
                self.add(format!("/{field}/{index}"), format!("at most {longest} characters are accepted"));
            }
            clean.push(line);
        }
        clean
    }

    fn limits(&mut self, wanted: LimitsRequest, config: &Config) -> Limits {
        let (usual, most) = (config.default_limits, config.max_limits);
        let usd = match wanted.usd.map(Usd::from_dollars) {
            None => usual.usd,
            Some(Some(usd)) if usd > Usd::ZERO && usd <= most.usd => usd,
            Some(_) => {
                self.add(
                    "/limits/usd",
                    format!("more than 0 and at most {} is accepted", most.usd.dollars()),
                );
                usual.usd
            }
        };
        Limits {
            usd,
            tokens: self.limit("tokens", wanted.tokens, 1, usual.tokens, most.tokens),
            minutes: self.limit("minutes", wanted.minutes, 1, usual.minutes, most.minutes),
            repair_loops: self.limit(
                "repair_loops",
                wanted.repair_loops,
                0,
                usual.repair_loops,
                most.repair_loops,
            ),
        }
    }

    fn limit<N>(&mut self, name: &str, wanted: Option<N>, least: N, usual: N, most: N) -> N
    where
        N: PartialOrd + Copy + std::fmt::Display,
    {
        match wanted {
            None => usual,
            Some(value) if value >= least && value <= most => value,
            Some(_) => {
                self.add(format!("/limits/{name}"), format!("{least} to {most} is accepted"));
                usual
            }
        }
    }
}

/// The reply to a task that is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The task.
    #[schema(value_type = String, format = Uuid)]
    pub task_id: TaskId,
    /// Its first run.
    #[schema(value_type = String, format = Uuid)]
    pub run_id: RunId,
    /// Where the run is.
    pub links: RunLinks,
}

/// A task and its runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub struct TaskView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: TaskId,
    /// A URL, or a path on the server's own machine.
    repo_url: String,
    /// What shall be achieved.
    goal: String,
    /// The issue it comes from.
    issue_id: Option<String>,
    /// The branch to start from.
    base_branch: Option<String>,
    /// What has to be respected.
    constraints: Vec<String>,
    /// What has to hold in the end.
    acceptance_criteria: Vec<String>,
    /// How urgent it is.
    #[schema(schema_with = schemas::priority)]
    priority: Priority,
    /// Where a person wants to approve.
    #[schema(schema_with = schemas::approval)]
    approval: Approval,
    /// What a run of it may use.
    #[schema(inline, value_type = LimitsView)]
    limits: Limits,
    /// Free labels.
    labels: Vec<String>,
    /// Where it came from: `api`, `github_issue` …
    source: String,
    /// When it was stored.
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
    /// Its runs, oldest first.
    #[schema(value_type = Vec<String>)]
    runs: Vec<RunId>,
}

impl From<TaskWithRuns> for TaskView {
    fn from(found: TaskWithRuns) -> Self {
        let wish = found.task.wish;
        Self {
            id: found.task.id,
            repo_url: wish.repo_url,
            goal: wish.goal,
            issue_id: wish.issue_id,
            base_branch: wish.base_branch,
            constraints: wish.constraints,
            acceptance_criteria: wish.acceptance_criteria,
            priority: wish.priority,
            approval: wish.approval,
            limits: wish.limits,
            labels: wish.labels,
            source: wish.source,
            created_at: found.task.created_at,
            runs: found.runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parse;

    fn check(body: &str) -> Result<NewTask, Problem> {
        parse::<CreateTask>(body.as_bytes())?.check(&Config::default())
    }

    #[test]
    fn a_small_task_gets_the_defaults() {
        let task = check(r#"{"repo_url":" /srv/git/a ","goal":"<p>Do it</p>"}"#).unwrap();
        insta::assert_json_snapshot!(task);
    }

    #[test]
    fn a_full_task_is_taken_as_it_is() {
        let task = check(
            r#"{"repo_url":"https://example.org/a.git","goal":"g","issue_id":42,"base_branch":"release/1.x",
                "constraints":["no new dependency"],"acceptance_criteria":["tests pass"],"priority":"high",
                "approval":"all","limits":{"usd":0.5,"tokens":1000,"minutes":5,"repair_loops":0},"labels":["bug"]}"#,
        )
        .unwrap();
        insta::assert_json_snapshot!(task);
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let problem = check(
            r#"{"repo_url":" ","goal":" \n <br> ","issue_id":"","base_branch":"-x","constraints":["ok"," "],
                "limits":{"usd":-1,"tokens":0,"minutes":99999,"repair_loops":21},"labels":["a\u0000"]}"#,
        )
        .unwrap_err();
        insta::assert_json_snapshot!(problem.body());
    }

    #[test]
    fn wrong_shapes_are_pointed_at() {
        let bodies = [
            r#"{"repo_url":"a"}"#,
            r#"{"repo_url":"a","goal":1}"#,
            r#"{"repo_url":"a","goal":"g","colour":"red"}"#,
            r#"{"repo_url":"a","goal":"g","approval":"maybe"}"#,
            r#"{"repo_url":"a","goal":"g","limits":{"usd":"5"}}"#,
            r#"{"repo_url":"a","goal":"g","limits":{"cents":5}}"#,
            r#"{"repo_url":"a","goal":"g","limits":[1,2,3,4]}"#,
            r#"["a","g"]"#,
            r#"{"repo_url":"a","goal":"g","issue_id":[]}"#,
            r#"{"repo_url":"a","goal":"g","constraints":["a",2]}"#,
            r#"{"repo_url":"a","goal":"g","limits":{"minutes":-1}}"#,
        ];
        let answers: Vec<String> = bodies
            .iter()
            .map(|body| {
                let problem = check(body).unwrap_err();
                format!("{body}\n  {} {:?}", problem.kind.status().as_u16(), problem.errors)
            })
            .collect();
        insta::assert_snapshot!(answers.join("\n"));
    }

    #[test]
    fn a_goal_of_a_megabyte_is_refused_with_what_to_do_instead() {
        let goal = "x".repeat(1_000_000);
        let problem = check(&serde_json::json!({ "repo_url": "a", "goal": goal }).to_string()).unwrap_err();
        assert_eq!(problem.errors[0].pointer, "/goal");
        assert!(problem.detail.contains("at most 65536 are accepted"), "{}", problem.detail);
    }

    #[test]
    fn branches_are_those_git_accepts() {
        let fine = |name: &str| {
            let mut errors = Errors::default();
            errors.branch(Some(name.to_owned()));
            errors.0.is_empty()
        };
        for name in ["main", "release/1.x", "toryo/abc-fix", "日本語"] {
            assert!(fine(name), "{name}");
        }
        for name in ["", "-x", "a..b", "a b", "a~1", "a/", "/a", "a.lock", "a/.b", "@", "a@{1}", "a\\b", "x."]
        {
            assert!(!fine(name), "{name}");
        }
    }
}
