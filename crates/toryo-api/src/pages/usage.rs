//! Usage and budgets of the gateway. The frame only: what it shows is fetched by the reader's browser with the reader's
//! own key, which this server never sees in an address and never stores.

use crate::assets::ASSETS;
use crate::pages::layout::{Here, Shell, shell};
use maud::{Markup, html};

/// The tables: what is added up, as `/usage` names it, and as people read it.
const TABLES: [(&str, &str); 4] =
    [("day", "By day"), ("team", "By team"), ("route", "By route"), ("model", "By model")];

/// The page.
#[must_use]
pub fn page() -> Markup {
    let content = html! {
        div.head.usage-head { h1 { "Usage" } (controls()) }
        (key())
        p.error data-usage-error role="alert" hidden {}
        div.usage data-usage hidden {
            section.panel.totals aria-label="In all" { dl.tiles data-usage-totals {} }
            div.usage-tables {
                @for (name, title) in TABLES {
                    section.panel {
                        div.panel-head { h2 id={ "usage-" (name) } { (title) } }
                        div.scroll tabindex="0" role="region" aria-labelledby={ "usage-" (name) } {
                            table.costs data-usage-by=(name) { (head(title)) tbody {} }
                        }
                    }
                }
            }
            section.panel {
                div.panel-head { h2 id="usage-budgets" { "Budgets" } }
                div.scroll tabindex="0" role="region" aria-labelledby="usage-budgets" {
                    table.costs data-usage-budgets {
                        thead { tr {
                            th scope="col" { "Of" } th scope="col" { "Period" } th.num scope="col" { "Spent" }
                            th.num scope="col" { "Held" } th.num scope="col" { "Budget" }
                            th scope="col" { span.visually-hidden { "Share" } } th scope="col" { "Alerts" }
                        } }
                        tbody {}
                    }
                }
            }
        }
        script type="module" src=(ASSETS.usage.path()) {}
    };
    shell(&Shell { title: "Usage", here: Some(Here::Usage), script: None }, &content)
}

fn head(title: &str) -> Markup {
    html! {
        thead { tr {
            th scope="col" { (title.trim_start_matches("By ")) } th.num scope="col" { "Calls" } th.num scope="col" { "Failed" }
            th.num scope="col" { "Tokens" } th.num scope="col" { "Cost" }
            th scope="col" { span.visually-hidden { "Share" } }
        } }
    }
}

/// The field has no name and the form no address: without the script nothing is sent anywhere.
fn key() -> Markup {
    html! {
        form.panel.usage-key.narrow data-usage-key method="post" {
            label for="usage-key" { "Your key" }
            div.row {
                input id="usage-key" type="password" autocomplete="off" spellcheck="false" required placeholder="tk-…"
                    aria-describedby="usage-key-hint";
                button.primary type="submit" { "Show" }
            }
            p.hint id="usage-key-hint" {
                "A key that administers a team, an organisation or everything; any other one shows its own calls. "
                "It stays in this tab until you close it, and is sent to this server only."
            }
        }
    }
}

fn controls() -> Markup {
    html! {
        div.buttons data-usage-controls hidden {
            label.visually-hidden for="usage-days" { "Time" }
            select id="usage-days" {
                option value="7" { "7 days" }
                option value="30" selected { "30 days" }
                option value="90" { "90 days" }
                option value="365" { "365 days" }
            }
            button type="button" data-usage-refresh { "Refresh" }
            button.quiet type="button" data-usage-forget { "Forget key" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_script_no_key_can_leave() {
        let page = page().into_string();
        let (form, _) = page.split_once("data-usage-key").unwrap().1.split_once("</form>").unwrap();
        assert!(!form.contains("action=") && !form.contains(" name="), "{form}");
        assert!(form.contains("type=\"password\""), "{form}");
    }
}
