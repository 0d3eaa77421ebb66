//! The events of a run, live.

use crate::app::App;
use crate::extract::{Id, Params};
use crate::problem::{Kind, Problem, ProblemBody};
use crate::sse::{self, Stored};
use crate::wire::runs::StreamParams;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use std::convert::Infallible;
use toryo_blackboard::runs;
use toryo_domain::RunId;

/// The events of a run as server-sent events.
///
/// Each has `id` (its number), `event` (its type) and `data` (JSON). `Last-Event-ID` or `?after=` continues after
/// a number without gaps or repeats. A comment comes every 15 seconds. The stream ends after the run's last event.
#[utoipa::path(get, path = "/runs/{id}/stream", tag = "runs",
    params(("id" = String, Path, description = "The run.", format = Uuid), StreamParams,
           ("last-event-id" = Option<u64>, Header, description = "The number of the last event that was seen.")),
    responses((status = 200, description = "Events.", body = String, content_type = "text/event-stream"),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn follow(
    State(app): State<App>,
    Id(id): Id<RunId>,
    Params(wanted): Params<StreamParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = last_event_id(&headers)?.or(wanted.after).unwrap_or(0);
    runs::get(app.db(), id).await?;
    let source = Stored { db: app.db().clone(), blobs: app.blobs.clone(), run: id };
    let feed = app.feeds.of(id, source, app.engine.bus.bell().watch(id));
    let events = sse::follow(feed, after, sse::HEARTBEAT, app.closing.clone()).map(Ok::<_, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // A proxy that collects a response before it hands it on would make the stream stand still.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    match value.to_str().map(str::trim) {
        Ok("") => Ok(None),
        Ok(text) => text.parse().map(Some).map_err(|_| bad_id()),
        Err(_) => Err(bad_id()),
    }
}

fn bad_id() -> Problem {
    Problem::new(Kind::BadHeader, "`Last-Event-ID` is the number of an event")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_id_is_a_number_or_nothing() {
        let read = |value: &'static str| {
            let headers = [(HeaderName::from_static("last-event-id"), HeaderValue::from_static(value))];
            last_event_id(&headers.into_iter().collect())
        };
        assert_eq!(read("41").unwrap(), Some(41));
        assert_eq!(read("").unwrap(), None);
        assert_eq!(last_event_id(&HeaderMap::new()).unwrap(), None);
        assert_eq!(read("-1").unwrap_err().kind, Kind::BadHeader);
        assert_eq!(read("abc").unwrap_err().kind, Kind::BadHeader);
    }
}
