//! Usage and cost, by any dimension of the ledger.

use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::extract::{Id, Params};
use crate::problem::{FieldError, Problem, ProblemBody};
use crate::wire::usage::{AnalysisParams, CallWords, Usage, UsageAnalysis, UsageParams, csv, span};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use toryo_blackboard::accounts::{self, Kind};
use toryo_blackboard::prompts;
use toryo_blackboard::usage::{self, Of};
use toryo_domain::CallId;
use toryo_models::usage::{Daily, MONTHLY_LIMIT, analyse, suggest};

/// What was used, by dimension and grain of time; a key that administers nothing sees its own.
///
/// With `format=csv`, or `Accept: text/csv`, the lines come as CSV.
#[utoipa::path(get, path = "/usage", tag = "gateway", params(UsageParams), security(("key" = [])),
    responses((status = 200, description = "The sums.", body = Usage),
              (status = 422, description = "A value cannot be accepted.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Params(params): Params<UsageParams>,
) -> Result<Response, Problem> {
    let accepts_csv = || {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        accept.is_some_and(|accept| accept.contains("text/csv"))
    };
    let as_csv = match params.format.as_deref() {
        Some("csv") => true,
        Some("json") => false,
        None => accepts_csv(),
        Some(_) => return Err(Problem::invalid(vec![FieldError::at("/format", "is `csv` or `json`")])),
    };
    let question = params.check(of(&caller)?)?;
    let (lines, truncated) = usage::lines(app.db(), &question).await?;
    if as_csv {
        let name = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"usage.csv\""),
        ];
        return Ok((name, csv(&question, &lines)).into_response());
    }
    let totals = usage::totals(app.db(), &question).await?;
    Ok(Json(Usage::of(&question, &lines, &totals, truncated)).into_response())
}

/// The words of a call, where the policy of its route keeps them; for those who administer its team.
#[utoipa::path(get, path = "/usage/calls/{id}/words", tag = "gateway", params(("id" = String, Path, description = "The call, as `x-toryo-call-id` says it.", format = Uuid)), security(("key" = [])),
    responses((status = 200, description = "The words.", body = CallWords),
              (status = 404, description = "None were kept, or not any more.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn words(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CallId>,
) -> Result<Json<CallWords>, Problem> {
    let scope = caller.scope()?;
    let none = || Problem::not_found(format!("words of call {id}"));
    let prompt = prompts::find(app.db(), id).await?.ok_or_else(none)?;
    match (scope, prompt.team) {
        (Scope::All, _) => {}
        (_, Some(team)) => {
            let mut tx = app.db().begin().await?;
            let team = accounts::get(&mut tx, Kind::Team, team).await?;
            scope.see(team).map_err(|_| none())?;
        }
        (Scope::Organisation(_) | Scope::Team { .. }, None) => return Err(none()),
    }
    Ok(Json(prompt.into()))
}

/// How spending develops, and what could be saved.
#[utoipa::path(get, path = "/usage/analysis", tag = "gateway", params(AnalysisParams), security(("key" = [])),
    responses((status = 200, description = "The analysis.", body = UsageAnalysis),
              (status = 422, description = "A value cannot be accepted.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn analysis(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<AnalysisParams>,
) -> Result<Json<UsageAnalysis>, Problem> {
    let (from, to) = span(params.from, params.to)?;
    let limit = params.monthly_limit.unwrap_or(MONTHLY_LIMIT);
    if !limit.is_finite() || limit <= 0.0 {
        return Err(Problem::invalid(vec![FieldError::at(
            "/monthly_limit",
            "is a number of dollars above 0",
        )]));
    }
    let costs = usage::daily(app.db(), of(&caller)?, from, to).await?;
    let costs: Vec<_> = costs.into_iter().map(|(day, model, cost)| Daily { day, model, cost }).collect();
    let analysis = analyse(&costs, limit);
    let suggestions = suggest(&analysis);
    Ok(Json(UsageAnalysis { from, to, analysis, suggestions }))
}

/// Whose rows a caller sees: those it administers, or its own.
fn of(caller: &Caller) -> Result<Of, Problem> {
    match (caller.scope(), caller.0.who().key) {
        (Ok(Scope::All), _) => Ok(Of::Everybody),
        (Ok(Scope::Organisation(organisation)), _) => Ok(Of::Organisation(organisation)),
        (Ok(Scope::Team { team, .. }), _) => Ok(Of::Team(team)),
        (Err(_), Some(key)) => Ok(Of::Key(key)),
        (Err(problem), None) => Err(problem),
    }
}
