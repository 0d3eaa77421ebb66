//! The frame of every page, and small parts that several pages use.

use crate::assets::ASSETS;
use crate::pages::words;
use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};
use toryo_domain::RunStatus;

/// What the frame needs of a page.
pub struct Shell<'a> {
    /// The title of window and tab.
    pub title: &'a str,
    /// Which entry of the navigation is this page.
    pub here: Option<Here>,
    /// What the script does on this page: `runs`, `run` or nothing.
    pub script: Option<&'static str>,
}

/// The entries of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// The list of runs.
    Runs,
    /// Usage of the model gateway.
    Usage,
    /// The API's documentation.
    Docs,
}

/// A whole page around `content`.
#[must_use]
pub fn shell(page: &Shell<'_>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-page=[page.script] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · Toryo" }
                link rel="icon" type="image/svg+xml" href=(ASSETS.icon.path());
                link rel="stylesheet" href=(ASSETS.style.path());
                script src=(ASSETS.theme.path()) {}
                script type="module" src=(ASSETS.script.path()) {}
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header.bar {
                    a.brand href="/" aria-label="Toryo, list of runs" { (mark()) span.brand-name { "Toryo" } }
                    nav aria-label="Main" {
                        a href="/" aria-current=[current(page.here, Here::Runs)] { "Runs" }
                        a href="/ui/usage" aria-current=[current(page.here, Here::Usage)] { "Usage" }
                        a href="/docs" aria-current=[current(page.here, Here::Docs)] { "API" }
                    }
                    button.quiet.theme type="button" data-theme-toggle aria-label="Switch between light and dark" {
                        (icon("theme"))
                    }
                }
                main id="main" tabindex="-1" { (content) }
                p.visually-hidden role="status" aria-live="polite" id="announcer" {}
                noscript { p.banner.warn { "Live updates and buttons need JavaScript; what you see is the state at loading." } }
            }
        }
    }
}

fn current(here: Option<Here>, entry: Here) -> Option<&'static str> {
    (here == Some(entry)).then_some("page")
}

/// 棟梁, the master carpenter, in straight strokes.
#[must_use]
pub fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 52 26" aria-hidden="true" focusable="false" {
            // 棟: tree and east, the ridge of a roof.
            path d="M1.5 8H9M5.2 2.5V23.5M5.2 9 1.5 16M5.4 10.5 9 14.5" {}
            path d="M11 5.5H24M17.5 2.5V23.5M12.8 9H22.2V16H12.8ZM12.8 12.5H22.2M17 16.5 10.5 22M18 16.5 24.5 22" {}
            // 梁: water, blade and tree, the beam.
            path d="M29.5 3 32 5M28.5 8 31 9.8M29 15 32.5 11.5" {}
            path d="M35 4.5H48.5L47.6 12.5H45.4M40.5 4.5 39 9.2 35 13.5M37.4 7 36.4 9.6M43.2 7.6 44.6 9.8M50 6.5 51 9" {}
            path d="M28 17.5H51.5M39.7 14V25M39.2 18 30 24.5M40.2 18 49.5 24.5" {}
        }
    }
}

/// An icon of one stroke's width; its meaning stands in words beside it.
#[must_use]
pub fn icon(name: &str) -> Markup {
    let path = match name {
        "theme" => "M8 2.2a5.8 5.8 0 1 0 0 11.6zM8 2.2a5.8 5.8 0 0 1 0 11.6",
        "done" => "m3.2 8.6 3.1 3.2 6.5-7.4",
        "failed" => "m4 4 8 8m0-8-8 8",
        "running" => "M8 2.5a5.5 5.5 0 1 1-5.5 5.5",
        "ready" => "M8 4.2V8l2.6 1.8M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2",
        "pending" => "M8 3.6a4.4 4.4 0 1 0 0 8.8 4.4 4.4 0 0 0 0-8.8",
        "cancelled" => "M3.5 8h9",
        "objection" => "M8 3.2v6M8 12.6v.1",
        "person" => {
            "M8 8.2a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6M2.8 13.6c.7-2.6 2.6-3.8 5.2-3.8s4.5 1.2 5.2 3.8"
        }
        "copy" => "M5.5 5.5h7v8h-7zM10.5 5.5v-3h-7v8h2",
        "plus" => "M8 3v10M3 8h10",
        _ => "M8 8h.01",
    };
    html! {
        svg.icon.{ "i-" (name) } viewBox="0 0 16 16" aria-hidden="true" focusable="false" { path d=(path) {} }
    }
}

/// A run's status as a pill: colour, icon and word.
#[must_use]
pub fn pill(status: RunStatus) -> Markup {
    let icon_name = match status {
        RunStatus::Queued => "ready",
        RunStatus::Running => "running",
        RunStatus::WaitingForInput | RunStatus::WaitingForApproval | RunStatus::NeedsHuman => "person",
        RunStatus::Succeeded => "done",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    };
    html! { span.pill.{ "s-" (status) } { (icon(icon_name)) (words::run_status(status)) } }
}

/// A time span that the script keeps counting while it is open.
#[must_use]
pub fn elapsed(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Markup {
    html! {
        @match from {
            None => { span.faint { "–" } },
            Some(from) => {
                span.elapsed data-from=(from.timestamp_millis()) data-to=[to.map(|to| to.timestamp_millis())]
                    title={ "since " (words::moment(from)) } { (words::between(from, to, now)) }
            },
        }
    }
}

/// How long ago something was, with the moment in full.
#[must_use]
pub fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! {
        time.ago datetime=(at.to_rfc3339()) data-at=(at.timestamp_millis()) title=(words::moment(at)) {
            (words::ago(at, now))
        }
    }
}

/// A command with a button that copies it.
#[must_use]
pub fn command(text: &str) -> Markup {
    html! {
        div.command {
            pre tabindex="0" { code { (text) } }
            button.quiet type="button" data-copy=(text) aria-label="Copy the command" { (icon("copy")) span { "Copy" } }
        }
    }
}

/// Text of one paragraph, with what stands between backticks as code.
#[must_use]
pub fn coded(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd backtick at the end is one that nothing closes.
    let closed = parts.len() - usize::from(parts.len().is_multiple_of(2));
    html! {
        @for (index, part) in parts.iter().enumerate() {
            @if index % 2 == 1 && index < closed && !part.is_empty() { code { (part) } }
            @else if index % 2 == 1 { "`" (part) @if index < closed { "`" } }
            @else { (part) }
        }
    }
}

/// A link where the address is one that a browser should follow, and text otherwise.
#[must_use]
pub fn link(address: &str, text: &str) -> Markup {
    let inside = address.starts_with('/') && !address.starts_with("//") && !address.starts_with("/\\");
    let safe = inside || address.starts_with("https://") || address.starts_with("http://");
    html! {
        @if safe { a href=(address) rel="noreferrer" { (text) } } @else { span { (text) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_make_code_and_nothing_else() {
        let text = |text: &str| coded(text).into_string();
        assert_eq!(text("a `b` <c> ``"), "a <code>b</code> &lt;c&gt; ``");
        assert_eq!(text("a `<b>`"), "a <code>&lt;b&gt;</code>");
        assert_eq!(text("odd ` tick"), "odd ` tick");
        assert_eq!(text("`a` and ` odd"), "<code>a</code> and ` odd");
    }

    #[test]
    fn links_of_runs_cannot_execute() {
        for hostile in
            ["javascript:alert(1)", "data:text/html,x", " javascript:x", "//evil.example", "/\\evil.example"]
        {
            assert!(!link(hostile, "x").into_string().contains("href"), "{hostile}");
        }
        assert!(link("/ui/pulls/1", "x").into_string().contains("href=\"/ui/pulls/1\""));
        let quoted = link("https://e.example/\"onclick=\"x", "<b>").into_string();
        assert!(!quoted.contains("\"onclick") && !quoted.contains("<b>"), "{quoted}");
    }
}
