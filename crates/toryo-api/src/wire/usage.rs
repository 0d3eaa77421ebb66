//! Usage over the wire: JSON, and CSV that no spreadsheet mistakes for formulas.

use crate::problem::{FieldError, Problem};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use toryo_blackboard::prompts::Prompt;
use toryo_blackboard::usage::{Dimension, Grain, Line, Of, Question, Sums};
use toryo_domain::CallId;
use toryo_models::usage::{Analysis, Suggestion};
use utoipa::{IntoParams, ToSchema};

/// How far an answer goes back where nobody says.
const USUAL_DAYS: i64 = 30;

/// The words of a call.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CallWords {
    /// The call in the ledger.
    #[schema(value_type = String, format = Uuid)]
    pub call_id: CallId,
    /// When it was admitted.
    pub at: DateTime<Utc>,
    /// The route that was asked for.
    pub route: String,
    /// Whether what is sensitive was taken out: `masked` or `full`.
    #[schema(example = "masked")]
    pub policy: String,
    /// What was asked, in the client's protocol; cut at 256 KiB.
    pub question: String,
    /// What was answered, its words only; cut at 256 KiB.
    pub answer: String,
    /// When they are removed.
    pub keep_until: DateTime<Utc>,
}

impl From<Prompt> for CallWords {
    fn from(prompt: Prompt) -> Self {
        let Prompt { call, at, team: _, route, policy, question, answer, keep_until } = prompt;
        Self { call_id: call, at, route, policy, question, answer, keep_until }
    }
}

/// What of the ledger is added up. Any dimension may be named as a filter as well: `team=core&status=error`.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct UsageParams {
    /// By what is added up, between commas: organisation, team, user, key, run, step, agent, route, deployment, provider, model,
    /// region, account, dialect, status, error_class, cache, counted_by.
    #[param(example = "team,model")]
    pub by: Option<String>,
    /// The grain of time, in UTC: hour, day, week or month; all in one where it is not named.
    #[param(value_type = Option<String>)]
    pub grain: Option<Grain>,
    /// The first moment; 30 days ago where it is not named.
    pub from: Option<DateTime<Utc>>,
    /// The moment after the last; now where it is not named.
    pub to: Option<DateTime<Utc>>,
    /// `csv` or `json`; what `Accept` says where it is not named.
    pub format: Option<String>,
    /// Only this organisation.
    pub organisation: Option<String>,
    /// Only this team.
    pub team: Option<String>,
    /// Only this user.
    pub user: Option<String>,
    /// Only this key, by its name.
    pub key: Option<String>,
    /// Only this run.
    pub run: Option<String>,
    /// Only this step.
    pub step: Option<String>,
    /// Only this agent.
    pub agent: Option<String>,
    /// Only this route.
    pub route: Option<String>,
    /// Only this deployment.
    pub deployment: Option<String>,
    /// Only this provider.
    pub provider: Option<String>,
    /// Only this model.
    pub model: Option<String>,
    /// Only this region.
    pub region: Option<String>,
    /// Only this cloud account.
    pub account: Option<String>,
    /// Only this protocol.
    pub dialect: Option<String>,
    /// Only what became this: ok, error or cancelled.
    pub status: Option<String>,
    /// Only failures of this class.
    pub error_class: Option<String>,
    /// Only what a cache did this with: none, exact, semantic or provider.
    pub cache: Option<String>,
}

/// What is analysed.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct AnalysisParams {
    /// The first moment; 30 days ago where it is not named.
    pub from: Option<DateTime<Utc>>,
    /// The moment after the last; now where it is not named.
    pub to: Option<DateTime<Utc>>,
    /// Dollars a month that spending is measured against; 10,000 where it is not named.
    pub monthly_limit: Option<f64>,
}

/// The span of time, checked.
///
/// # Errors
/// It ends before it begins.
pub fn span(
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), Problem> {
    let to = to.unwrap_or_else(Utc::now);
    let from = from.unwrap_or_else(|| to - Duration::days(USUAL_DAYS));
    if from < to {
        return Ok((from, to));
    }
    Err(Problem::invalid(vec![FieldError::at("/from", "has to be before `to`")]))
}

impl UsageParams {
    /// The question, checked.
    ///
    /// # Errors
    /// A dimension is not known, or the span ends before it begins.
    pub fn check(self, of: Of) -> Result<Question, Problem> {
        let (from, to) = span(self.from, self.to)?;
        let mut by = Vec::new();
        for name in
            self.by.iter().flat_map(|names| names.split(',')).map(str::trim).filter(|it| !it.is_empty())
        {
            let known = Dimension::ALL.iter().find(|dimension| dimension.as_str() == name);
            let unknown = || Problem::invalid(vec![FieldError::at("/by", format!("there is no `{name}`"))]);
            let dimension = *known.ok_or_else(unknown)?;
            if !by.contains(&dimension) {
                by.push(dimension);
            }
        }
        let only = [
            (Dimension::Organisation, self.organisation),
            (Dimension::Team, self.team),
            (Dimension::User, self.user),
            (Dimension::Key, self.key),
            (Dimension::Run, self.run),
            (Dimension::Step, self.step),
            (Dimension::Agent, self.agent),
            (Dimension::Route, self.route),
            (Dimension::Deployment, self.deployment),
            (Dimension::Provider, self.provider),
            (Dimension::Model, self.model),
            (Dimension::Region, self.region),
            (Dimension::Account, self.account),
            (Dimension::Dialect, self.dialect),
            (Dimension::Status, self.status),
            (Dimension::ErrorClass, self.error_class),
            (Dimension::Cache, self.cache),
        ];
        let only = only.into_iter().filter_map(|(dimension, value)| Some((dimension, value?))).collect();
        Ok(Question { of, from, to, by, grain: self.grain, only })
    }
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    /// The first moment.
    pub from: DateTime<Utc>,
    /// The moment after the last.
    pub to: DateTime<Utc>,
    /// A line for each grain and combination: `at`, the dimensions by their names, and the sums.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Map<String, Value>>,
    /// The sums of everything, of lines that were left out as well.
    #[schema(value_type = Object)]
    pub totals: Map<String, Value>,
    /// Lines were left out: ask for a shorter span or a coarser grain.
    pub truncated: bool,
}

/// An analysis of spending, and what it suggests.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageAnalysis {
    /// The first moment.
    pub from: DateTime<Utc>,
    /// The moment after the last.
    pub to: DateTime<Utc>,
    /// The analysis.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub analysis: Analysis,
    /// What it suggests, what matters most first.
    #[schema(value_type = Vec<Object>)]
    pub suggestions: Vec<Suggestion>,
}

fn named(sums: &Sums) -> Vec<(&'static str, Value)> {
    vec![
        ("calls", json!(sums.calls)),
        ("errors", json!(sums.errors)),
        ("input_tokens", json!(sums.input_tokens)),
        ("output_tokens", json!(sums.output_tokens)),
        ("cached_input_tokens", json!(sums.cached_input_tokens)),
        ("cache_write_tokens", json!(sums.cache_write_tokens)),
        ("reasoning_tokens", json!(sums.reasoning_tokens)),
        ("cost_usd", json!(sums.cost)),
        ("mean_latency_ms", json!(rounded(sums.mean_latency_ms))),
        ("mean_first_token_ms", json!(sums.mean_first_token_ms.map(rounded))),
    ]
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn cells(question: &Question, line: &Line) -> Vec<(&'static str, Value)> {
    let at = question.grain.map(|_| ("at", json!(line.at)));
    let by =
        question.by.iter().zip(&line.values).map(|(dimension, value)| (dimension.as_str(), json!(value)));
    at.into_iter().chain(by).chain(named(&line.sums)).collect()
}

fn object(cells: Vec<(&'static str, Value)>) -> Map<String, Value> {
    cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Usage {
    /// As JSON.
    #[must_use]
    pub fn of(question: &Question, lines: &[Line], totals: &Sums, truncated: bool) -> Self {
        Self {
            from: question.from,
            to: question.to,
            items: lines.iter().map(|line| object(cells(question, line))).collect(),
            totals: object(named(totals)),
            truncated,
        }
    }
}

/// As CSV (RFC 4180), with a heading, without totals.
#[must_use]
pub fn csv(question: &Question, lines: &[Line]) -> String {
    let blank = Line { at: None, values: vec![None; question.by.len()], sums: Sums::default() };
    let heading: Vec<_> = cells(question, &blank).into_iter().map(|(name, _)| name).collect();
    let mut text = heading.join(",") + "\r\n";
    for line in lines {
        let cells: Vec<_> = cells(question, line).iter().map(|(_, value)| cell(value)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A text that a spreadsheet would take for a formula gets an apostrophe before it.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => return other.to_string(),
    };
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(by: &str) -> Result<Question, Problem> {
        let params = UsageParams { by: Some(by.into()), grain: Some(Grain::Day), ..UsageParams::default() };
        params.check(Of::Everybody)
    }

    #[test]
    fn dimensions_are_known_names() {
        let asked = question("team, model,team").unwrap();
        assert_eq!(asked.by, [Dimension::Team, Dimension::Model]);
        assert_eq!(question("team;drop table").unwrap_err().errors[0].pointer, "/by");
        let (from, to) = (asked.to, asked.from);
        assert!(span(Some(from), Some(to)).is_err());
    }

    #[test]
    fn a_spreadsheet_reads_no_formula() {
        let asked = question("team,model").unwrap();
        let line = |team: &str| Line {
            at: "2026-03-01T00:00:00Z".parse().ok(),
            values: vec![Some(team.into()), None],
            sums: Sums { calls: 2, mean_latency_ms: 12.345, ..Sums::default() },
        };
        let lines = ["core", "=cmd|' /C calc'!A0", "@x", "-1+1", "a,\"b\"\nc"].map(line);
        insta::assert_snapshot!(csv(&asked, &lines).replace('\r', ""));
    }
}
