//! Figures of the queue and the workers in Prometheus' text format: what an autoscaler and an alert go by.

use crate::app::App;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use std::fmt::Write as _;
use toryo_blackboard::steps::{self, Depth};
use toryo_blackboard::{Worker, outbox, workers};

/// Version 0.0.4 is what every scraper reads.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Steps by priority and state, workers and their places, messages that wait for the queue.
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, description = "Figures.", body = String, content_type = "text/plain")))]
pub async fn show(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let depth = steps::depth(app.db()).await?;
    let live = workers::live(app.db()).await?;
    let waiting = outbox::len(app.db()).await?;
    Ok(([(header::CONTENT_TYPE, TEXT)], text(&depth, &live, waiting)))
}

fn text(depth: &[Depth], live: &[Worker], waiting: u64) -> String {
    let mut out =
        String::from("# HELP toryo_steps Steps that wait or are executed.\n# TYPE toryo_steps gauge\n");
    for Depth { priority, ready, delayed, leased } in depth {
        for (state, count) in [("ready", ready), ("delayed", delayed), ("leased", leased)] {
            let _ = writeln!(out, "toryo_steps{{state=\"{state}\",priority=\"{priority}\"}} {count}");
        }
    }
    let taking: Vec<&Worker> = live.iter().filter(|worker| !worker.draining).collect();
    let capacity: u32 = taking.iter().map(|worker| worker.capacity).sum();
    let busy: u32 = live.iter().map(|worker| worker.running).sum();
    for (name, help, value) in [
        ("toryo_workers", "Workers that take steps.", taking.len() as u64),
        ("toryo_workers_draining", "Workers that stop.", (live.len() - taking.len()) as u64),
        ("toryo_worker_places", "Steps that workers may execute at once.", u64::from(capacity)),
        ("toryo_worker_places_taken", "Steps that workers execute.", u64::from(busy)),
        ("toryo_outbox_messages", "Messages that were decided and not sent yet.", waiting),
    ] {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use toryo_domain::{Priority, WorkerId};

    #[test]
    fn figures_read_as_a_scraper_expects_them() {
        let depth = |priority, ready| Depth { priority, ready, delayed: 1, leased: 2 };
        let worker = |draining| Worker {
            id: WorkerId::generate(),
            host: "a".into(),
            version: "0".into(),
            capacity: 4,
            running: 3,
            draining,
            engine_version: 1,
            started_at: chrono::DateTime::UNIX_EPOCH,
            last_heartbeat: chrono::DateTime::UNIX_EPOCH,
        };
        let depth = [depth(Priority::High, 0), depth(Priority::Normal, 7), depth(Priority::Low, 9)];
        insta::assert_snapshot!(text(&depth, &[worker(false), worker(true)], 5));
    }
}
