//! Markdown of models as HTML: raw HTML is shown as text, links lead only to the web or into these pages, pictures
//! are links.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Markdown as safe HTML.
#[must_use]
pub fn markdown(text: &str) -> Markup {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(text, options).filter(|event| !is_comment(event)).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: safe(dest_url), title, id })
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: safe(dest_url), title, id })
        }
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        // The page has one first heading, its title.
        Event::Start(Tag::Heading { level, id, classes, attrs }) => {
            Event::Start(Tag::Heading { level: lower(level), id, classes, attrs })
        }
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        other => other,
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    PreEscaped(out)
}

/// A comment is meant for programs, such as the hidden marker of a pull request.
fn is_comment(event: &Event<'_>) -> bool {
    match event {
        Event::Html(raw) | Event::InlineHtml(raw) => {
            let inner = raw.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
            inner.is_some_and(|inner| !inner.contains("-->"))
        }
        _ => false,
    }
}

const fn lower(level: pulldown_cmark::HeadingLevel) -> pulldown_cmark::HeadingLevel {
    use pulldown_cmark::HeadingLevel::{H1, H2, H3, H4, H5, H6};
    match level {
        H1 => H2,
        H2 => H3,
        H3 => H4,
        H4 => H5,
        H5 | H6 => H6,
    }
}

fn safe(address: CowStr<'_>) -> CowStr<'_> {
    let web = ["https://", "http://", "mailto:"].iter().any(|scheme| address.starts_with(scheme));
    let inside = address.starts_with('#')
        || (address.starts_with('/') && !address.starts_with("//") && !address.starts_with("/\\"));
    if web || inside { address } else { "#".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_not_shown_and_hides_nothing_else() {
        let shown = |text| markdown(text).into_string();
        assert_eq!(shown("<!-- toryo:run=1 -->\n"), "");
        assert!(shown("<!-- a --> <b>bold</b> <!-- c -->\n").contains("&lt;b&gt;"));
    }

    #[test]
    fn raw_html_and_hostile_links_do_nothing() {
        let text = "# Title\n\n<script>alert(1)</script> a <img src=x onerror=alert(1)> b\n\n\
                    [x](javascript:alert(1)) [y](JaVaScript:alert(1)) [z](data:text/html,x) [ok](https://e.example/a?b=c&d)\n\n\
                    ![p](https://track.example/x.png) [w](//evil.example) <javascript:alert(1)>\n\n- [x] done\n\n\
                    | a | b |\n| - | - |\n| 1 | `<b>` |\n\n```html\n<script>\n```\n";
        insta::assert_snapshot!(markdown(text).into_string());
    }
}
