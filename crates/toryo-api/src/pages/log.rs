//! The log of a run: its events in words.

use crate::pages::layout::coded;
use crate::pages::{events, words};
use maud::{Markup, html};
use toryo_domain::Event;

/// The lines of these events.
#[must_use]
pub fn lines(events: &[Event]) -> Markup {
    html! { @for event in events { (line(event)) } }
}

fn line(event: &Event) -> Markup {
    let words = events::event(event);
    let key = event.step_key.as_ref().map(ToString::to_string);
    html! {
        li.line.{ "t-" (words.tone.as_str()) } data-seq=(event.seq) data-tone=(words.tone.as_str()) data-step=[key.as_deref()] {
            time datetime=(event.at.to_rfc3339()) title={ "event " (event.seq) ", " (words::moment(event.at)) } {
                (event.at.format("%H:%M:%S"))
            }
            div {
                @if let Some(step) = &event.step_key { span.who { (words::step(step)) ":" } " " }
                span.what { (coded(&words.text)) }
                @if let Some(more) = &words.more { p.more-text { (coded(more)) } }
            }
        }
    }
}

/// The log with its filter; `first` is the number of the earliest event shown.
#[must_use]
pub fn log(events: &[Event]) -> Markup {
    let first = events.first().map_or(0, |event| event.seq);
    html! {
        div.panel-head {
            h2 { "Log" }
            span.step-filter hidden { button.tag type="button" data-clear-step { span data-step-name {} " ×" } }
            label.visually-hidden for="log-filter" { "Show" }
            select id="log-filter" data-log-filter {
                option value="all" { "Everything" }
                option value="turns" selected { "Without output" }
                option value="bad" { "Problems" }
                option value="model" { "Model calls" }
                option value="person" { "People" }
            }
            button.quiet type="button" data-follow aria-pressed="true" { "Follow" }
        }
        div.log-box tabindex="0" aria-label="Log of the run" role="region" data-log-box {
            @if first > 1 { button.quiet.earlier type="button" data-earlier=(first) { "Show earlier lines" } }
            ol.log id="log" data-filter="turns" { (lines(events)) }
            p.faint.log-empty { "Nothing yet." }
        }
    }
}
