//! What a run cost, by agent, and the artifacts it left.

use crate::pages::words;
use maud::{Markup, html};
use toryo_blackboard::model_calls::RoleCost;
use toryo_blackboard::{Artifact, Run};

/// Cost by agent.
#[must_use]
pub fn panel(run: &Run, costs: &[RoleCost]) -> Markup {
    let most = costs.iter().map(|it| it.cost.nanos()).max().unwrap_or_default().max(1);
    html! {
        div.panel-head { h2 { "Cost" } span.figures { (run.cost) " of " (run.limits.usd) } }
        @if costs.is_empty() { p.faint.pad { "No model was called yet." } }
        @else {
            table.costs {
                thead { tr { th scope="col" { "Agent" } th.num scope="col" { "Calls" } th.num scope="col" { "Tokens" } th.num scope="col" { "Cost" } th scope="col" { span.visually-hidden { "Share" } } } }
                tbody {
                    @for it in costs {
                        tr {
                            th scope="row" { (words::role(it.role)) }
                            td.num { (it.calls) }
                            td.num title={ (it.tokens_in) " in, " (it.tokens_out) " out" } { (words::count(it.tokens_in + it.tokens_out)) }
                            td.num { (it.cost) }
                            td.share { meter min="0" max=(most) value=(it.cost.nanos()) { } }
                        }
                    }
                }
            }
        }
    }
}

/// Artifacts, newest first.
#[must_use]
pub fn artifacts(artifacts: &[Artifact]) -> Markup {
    html! {
        div.panel-head { h2 { "Artifacts" } span.figures { (artifacts.len()) } }
        @if artifacts.is_empty() { p.faint.pad { "None yet." } }
        @else {
            details.fold data-key="artifacts" {
                summary { (words::plural(artifacts.len() as u64, "file")) }
                ul.artifacts {
                    @for it in artifacts.iter().rev() {
                        li {
                            a href={ "/artifacts/" (it.id) } download { (it.name) }
                            span.faint { (it.kind) " · " (words::size(it.size_bytes)) @if let Some(key) = &it.step_key { " · " (key) } }
                        }
                    }
                }
            }
        }
    }
}
