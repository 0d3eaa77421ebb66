//! The page of a pull request of the local forge.

use crate::diff::Diff;
use crate::pages::layout::{Here, Shell, ago, command, shell};
use crate::pages::markdown::markdown;
use crate::pages::{diff, words};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use toryo_blackboard::{LocalPullRequest, Run};

/// What the page shows.
pub struct PullPage {
    /// The pull request.
    pub pull: LocalPullRequest,
    /// The run it comes from.
    pub run: Run,
    /// Its change.
    pub diff: Diff,
    /// The present moment.
    pub now: DateTime<Utc>,
}

/// The whole page.
#[must_use]
pub fn page(page: &PullPage) -> Markup {
    let pull = &page.pull;
    let content = html! {
        div.run-head {
            div.run-title {
                h1 { (pull.title) " " span.faint { "#" (pull.number) } }
                span.pill.{ "p-" (pull.state) } { (pull.state) }
                @if pull.draft { span.tag { "draft" } }
                @if page.run.replay { span.tag.replay { "replay of recorded replies" } }
            }
            dl.facts {
                div { dt { "repository" } dd title=(pull.repo_url) { (words::repo_name(&pull.repo_url)) } }
                div { dt { "branch" } dd { code { (pull.head_branch) } " into " code { (pull.base_branch) } } }
                div { dt { "commit" } dd { code title=(pull.head_commit) { (pull.head_commit.short()) } } }
                div { dt { "opened" } dd { (ago(pull.created_at, page.now)) } }
                div { dt { "run" } dd { a href={ "/ui/runs/" (pull.run_id) } { "how it was made" } } }
            }
        }
        div.columns {
            div.main-column {
                section.panel { div.panel-head { h2 { "Description" } } div.pad.prose { (markdown(&pull.body)) } }
                section.panel { (diff::diff(&page.diff, &format!("/runs/{}/diff", pull.run_id))) }
            }
            div.side-column { section.panel { div.panel-head { h2 { "Look at it" } } div.pad { (commands(pull)) } } }
        }
    };
    let title = format!("#{} {}", pull.number, pull.title);
    shell(&Shell { title: &title, here: Some(Here::Runs), script: Some("pull") }, &content)
}

/// What to type in the repository. Branch names come from outside, so they are quoted for a shell.
fn commands(pull: &LocalPullRequest) -> Markup {
    let (head, base) = (quoted(&pull.head_branch), quoted(&pull.base_branch));
    html! {
        p.hint { "In " code { (pull.repo_url) } ":" }
        (command(&format!("git diff {base}...{head}")))
        (command(&format!("git switch {head}")))
        p.hint { "To take it over:" }
        (command(&format!("git switch {base}\ngit merge --no-ff {head}")))
    }
}

/// As one word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_name_is_one_word_of_a_shell() {
        assert_eq!(quoted("toryo/abc-fix"), "toryo/abc-fix");
        assert_eq!(quoted("a;rm -rf 'x'"), "'a;rm -rf '\\''x'\\'''");
        assert_eq!(quoted(""), "''");
    }
}
