//! The web pages: reads what they show and hands it to [`crate::pages`].

use crate::app::App;
use crate::diff::Diff;
use crate::extract::{Id, Params};
use crate::pages::layout::{Shell, shell};
use crate::pages::list::RunList;
use crate::pages::pull::PullPage;
use crate::pages::run::RunPage;
use crate::pages::tests::Tests;
use crate::pages::{compare as compare_page, list, log, pull, run as run_page, usage as usage_page, words};
use crate::problem::{Kind, Problem};
use crate::routes::runs::diff_of;
use crate::wire::lists::check;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use maud::{Markup, html};
use serde::Deserialize;
use toryo_blackboard::{
    RunFilter, StepRow, archive, artifacts, model_calls, pull_requests, repos, runs, steps,
};
use toryo_domain::output::TestOutput;
use toryo_domain::{Event, Output, PullRequestId, RunId, RunStatus};

/// Lines of the log that a page begins with.
const LOG: u64 = 400;
/// Most lines of the log fetched at once.
const LOG_PAGE: u32 = 1000;

/// A problem as a page.
pub struct Failed(Problem);

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<toryo_blackboard::Error> for Failed {
    fn from(error: toryo_blackboard::Error) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        problem(&self.0)
    }
}

/// Which runs the list shows.
#[derive(Debug, Deserialize)]
pub struct ListParams {
    status: Option<RunStatus>,
    cursor: Option<String>,
}

/// Which parts of a run's page are wanted.
#[derive(Debug, Deserialize)]
pub struct PartParams {
    /// Without it all of them; with `live` those that change all the time.
    only: Option<String>,
}

/// Which lines of the log are wanted.
#[derive(Debug, Deserialize)]
pub struct LogParams {
    after: Option<u64>,
    before: Option<u64>,
}

/// `GET /`.
pub async fn home(State(app): State<App>, Params(wanted): Params<ListParams>) -> Result<Markup, Failed> {
    Ok(list::page(&read_list(&app, wanted).await?))
}

/// `GET /ui/runs`: the list's changing part.
pub async fn run_list(State(app): State<App>, Params(wanted): Params<ListParams>) -> Result<Markup, Failed> {
    Ok(list::table(&read_list(&app, wanted).await?))
}

/// `GET /ui/usage`: the frame; the reader's browser fetches what it shows.
pub async fn usage() -> Markup {
    usage_page::page()
}

async fn read_list(app: &App, wanted: ListParams) -> Result<RunList, Problem> {
    let (limit, cursor) = check(None, wanted.cursor.as_deref())?;
    let cursor = cursor.map(str::to_owned);
    let filter = RunFilter { status: wanted.status, repo: None, since: None, limit, cursor: cursor.clone() };
    let page = runs::list(app.db(), &filter).await?;
    let repos = repos::list(app.db(), 20, None).await?.items.into_iter().map(|repo| repo.url).collect();
    let limits = app.config.default_limits;
    Ok(RunList { page, status: wanted.status, cursor, repos, limits, now: Utc::now() })
}

/// `GET /ui/runs/{id}`.
pub async fn run(State(app): State<App>, Id(id): Id<RunId>) -> Result<Markup, Failed> {
    let mut page = read_run(&app, id, true).await?;
    let from = page.run.last_seq.saturating_sub(LOG);
    page.events = archive::events_after(app.db(), &*app.blobs, id, from, LOG_PAGE).await?;
    Ok(run_page::page(&page))
}

/// `GET /ui/runs/{id}/parts`: what changed since.
pub async fn run_parts(
    State(app): State<App>,
    Id(id): Id<RunId>,
    Params(wanted): Params<PartParams>,
) -> Result<Markup, Failed> {
    if wanted.only.as_deref() == Some("live") {
        Ok(run_page::live_parts(&read_run(&app, id, false).await?))
    } else {
        Ok(run_page::all_parts(&read_run(&app, id, true).await?))
    }
}

/// `GET /ui/runs/{id}/log`: lines after one number, or those before another.
pub async fn run_log(
    State(app): State<App>,
    Id(id): Id<RunId>,
    Params(wanted): Params<LogParams>,
) -> Result<Markup, Failed> {
    let found: Vec<Event> = match wanted.before {
        None => archive::events_after(app.db(), &*app.blobs, id, wanted.after.unwrap_or(0), LOG_PAGE).await?,
        Some(before) => {
            let from = before.saturating_sub(LOG + 1);
            let mut found = archive::events_after(app.db(), &*app.blobs, id, from, LOG_PAGE).await?;
            found.retain(|event| event.seq < before);
            found
        }
    };
    Ok(log::lines(&found))
}

/// Everything a run's page shows but its log; without `all` only what changes all the time.
async fn read_run(app: &App, id: RunId, all: bool) -> Result<RunPage, Problem> {
    let run = runs::get(app.db(), id).await?;
    let steps = steps::of_run(app.db(), id).await?;
    let costs = model_calls::by_role(app.db(), id).await?;
    let (mut diff, mut tests, mut kept) = (Diff::default(), None, vec![]);
    if all {
        diff = Diff::parse(&String::from_utf8_lossy(&diff_of(app, &run).await?));
        tests = newest_tests(app, &steps).await?;
        kept = artifacts::of_run(app.db(), id).await?;
    }
    let forks = if all { runs::forks(app.db(), id).await? } else { vec![] };
    Ok(RunPage { run, steps, events: vec![], diff, tests, costs, artifacts: kept, forks, now: Utc::now() })
}

/// The test run that ended last, with its report where that is kept.
async fn newest_tests(app: &App, steps: &[StepRow]) -> Result<Option<Tests>, Problem> {
    let newest = steps.iter().filter(|step| test_output(step).is_some()).max_by_key(|step| step.finished_at);
    let Some((step, output)) = newest.and_then(|step| Some((step, test_output(step)?.clone()))) else {
        return Ok(None);
    };
    let report = match &output.summary.report {
        None => None,
        Some(digest) => serde_json::from_slice(&app.blobs.get(digest).await?).ok(),
    };
    Ok(Some(Tests { step: words::step(&step.key), output, report }))
}

const fn test_output(step: &StepRow) -> Option<&TestOutput> {
    match &step.output {
        Some(Output::Test(output)) => Some(output),
        Some(Output::Merge(output)) => output.test.as_ref(),
        _ => None,
    }
}

/// `GET /ui/pulls/{id}`.
pub async fn pull_request(State(app): State<App>, Id(id): Id<PullRequestId>) -> Result<Markup, Failed> {
    let pull = pull_requests::get(app.db(), id).await?;
    let run = runs::get(app.db(), pull.run_id).await?;
    let diff = Diff::parse(&String::from_utf8_lossy(&diff_of(&app, &run).await?));
    Ok(pull::page(&PullPage { pull, run, diff, now: Utc::now() }))
}

/// `GET /ui/runs/{id}/compare/{other}`: two runs side by side.
pub async fn compare(
    State(app): State<App>,
    Path((left, right)): Path<(String, String)>,
) -> Result<Markup, Failed> {
    let (left, right) = (side(&app, &left).await?, side(&app, &right).await?);
    Ok(compare_page::page(&left, &right, Utc::now()))
}

async fn side(app: &App, id: &str) -> Result<compare_page::Side, Problem> {
    let id: RunId = id.parse().map_err(|_| Problem::not_found("the run"))?;
    let run = runs::get(app.db(), id).await?;
    let diff = Diff::parse(&String::from_utf8_lossy(&diff_of(app, &run).await?));
    Ok(compare_page::Side { steps: steps::of_run(app.db(), id).await?, diff, run })
}

/// Whether a browser asks for a page.
#[must_use]
pub fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.starts_with("text/html"))
}

/// A problem as a page with the same status.
#[must_use]
pub fn problem(problem: &Problem) -> Response {
    let content = html! {
        section.empty {
            h2 { (problem.kind.title()) }
            p { (problem.detail) }
            @if problem.kind == Kind::Unavailable { p.faint { (problem.kind.help()) } }
            p { a href="/" { "Show all runs" } }
        }
    };
    let page = shell(&Shell { title: problem.kind.title(), here: None, script: None }, &content);
    (problem.kind.status(), page).into_response()
}
