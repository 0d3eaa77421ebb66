//! Tenants: who shares the workers, and how many steps each may have running at once.

use crate::app::App;
use crate::extract::Body;
use crate::problem::{Problem, ProblemBody};
use crate::wire::lists::List;
use crate::wire::tenants::{PutTenant, TenantView};
use axum::Json;
use axum::extract::State;
use toryo_blackboard::tenants;

/// Tenants that have work or a limit of their own, by name.
#[utoipa::path(get, path = "/tenants", tag = "operation",
    responses((status = 200, description = "Tenants.", body = List<TenantView>)))]
pub async fn list(State(app): State<App>) -> Result<Json<List<TenantView>>, Problem> {
    let tenants = tenants::list(app.db()).await?;
    Ok(Json(List::whole(tenants.into_iter().map(Into::into).collect())))
}

/// Sets how many steps of a tenant may run at once. Steps that run already are not stopped.
///
/// A limit of one repository is its setting `max_steps`.
#[utoipa::path(put, path = "/tenants", tag = "operation", request_body = PutTenant,
    responses((status = 200, description = "Stored.", body = TenantView),
              (status = 422, description = "The name or the number cannot be accepted.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn put(State(app): State<App>, Body(body): Body<PutTenant>) -> Result<Json<TenantView>, Problem> {
    let (name, max_steps) = body.check()?;
    tenants::set_limit(app.db(), &name, max_steps).await?;
    // What waited under the old limit may be due now.
    app.engine.sweep_soon();
    Ok(Json(tenants::get(app.db(), &name).await?.into()))
}
