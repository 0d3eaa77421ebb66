//! Budgets: what an account may spend in a day, a week, a month or ever.

use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::extract::{Body, Id, Params};
use crate::problem::{FieldError, Problem, ProblemBody};
use crate::wire::budgets::{BudgetView, PutBudget};
use crate::wire::lists::{List, PageParams};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use toryo_blackboard::accounts::{self, Account};
use toryo_blackboard::db;
use toryo_domain::BudgetId;

/// Budgets with what is spent of them in the present period, newest first.
#[utoipa::path(get, path = "/budgets", tag = "gateway", params(PageParams), security(("key" = [])),
    responses((status = 200, description = "A page of budgets.", body = List<BudgetView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(page): Params<PageParams>,
) -> Result<Json<List<BudgetView>>, Problem> {
    let (limit, cursor) = page.check()?;
    let (organisation, team) = match caller.scope()? {
        Scope::All => (None, None),
        Scope::Organisation(organisation) => (Some(organisation), None),
        Scope::Team { organisation, team } => (Some(organisation), Some(team)),
    };
    let budgets = accounts::list_budgets(app.db(), organisation, team, limit, cursor).await?;
    Ok(Json(List::of(budgets, BudgetView::from)))
}

/// Sets a budget, in place of the account's older one of the same period. It holds at once, everywhere.
#[utoipa::path(put, path = "/budgets", tag = "gateway", request_body = PutBudget, security(("key" = [])),
    responses((status = 200, description = "Set.", body = BudgetView),
              (status = 403, description = "The caller may not.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 404, description = "There is no such account.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "A value cannot be accepted.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn put(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<PutBudget>,
) -> Result<Json<BudgetView>, Problem> {
    let (scope, budget) = (caller.scope()?, body.check()?);
    let mut tx = app.db().begin().await?;
    let account: Account = scope.see(accounts::find(&mut tx, budget.account).await?)?;
    scope.change(&account)?;
    if let Scope::Team { team, .. } = scope {
        let own = accounts::budgets_of(app.db(), &[team]).await?;
        let own = own.iter().find(|own| own.budget.set.limit == budget.limit);
        if let Some(own) = own.filter(|own| own.budget.set.most < budget.most) {
            let detail = format!("the team has {}", own.budget.set.most);
            return Err(Problem::invalid(vec![FieldError::at("/usd", detail)]));
        }
    }
    let id = accounts::put_budget(&mut tx, &budget).await?;
    db::commit(tx).await?;
    Ok(Json(accounts::get_budget(app.db(), id).await?.into()))
}

/// Takes a budget away.
#[utoipa::path(delete, path = "/budgets/{id}", tag = "gateway", security(("key" = [])),
    params(("id" = String, Path, description = "The budget.", format = Uuid)),
    responses((status = 204, description = "Gone."),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn drop_budget(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BudgetId>,
) -> Result<StatusCode, Problem> {
    let scope = caller.scope()?;
    let budget = accounts::get_budget(app.db(), id).await?;
    let mut tx = app.db().begin().await?;
    let account = accounts::find(&mut tx, budget.budget.set.account).await?;
    scope.see(account).and_then(|account| scope.change(&account))?;
    accounts::drop_budget(&mut tx, id).await?;
    db::commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}
