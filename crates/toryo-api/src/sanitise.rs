//! Free text from outside: HTML tags and control characters go, white space around it goes (R7).
//!
//! Only elements that HTML knows are taken for tags, and nothing inside a Markdown code span or fence is: a goal
//! may be about `Vec<T>` or about `<br>`. Safety of pages does not rest on this; they escape all text.

/// Elements whose tags are stripped: those that issue trackers' editors and pasted pages bring along.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "article",
    "aside",
    "audio",
    "b",
    "base",
    "big",
    "blockquote",
    "body",
    "br",
    "button",
    "canvas",
    "center",
    "cite",
    "code",
    "col",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "fieldset",
    "figure",
    "font",
    "footer",
    "form",
    "frame",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "li",
    "link",
    "main",
    "mark",
    "meta",
    "nav",
    "noscript",
    "object",
    "ol",
    "option",
    "p",
    "param",
    "picture",
    "pre",
    "q",
    "s",
    "samp",
    "script",
    "section",
    "select",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "style",
    "sub",
    "summary",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "u",
    "ul",
    "var",
    "video",
];

/// The text without HTML tags, without control characters other than line breaks, without white space around it.
/// A tab becomes a blank, so that words stay apart.
#[must_use]
pub fn sanitise(text: &str) -> String {
    let plain: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter_map(|char| match char {
            '\n' => Some('\n'),
            '\t' => Some(' '),
            control if control.is_control() => None,
            other => Some(other),
        })
        .collect();
    strip_tags(&plain).trim().to_owned()
}

fn strip_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '`']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let kept = if from.starts_with('`') { code_length(from) } else { 0 };
        let (skipped, kept) = match tag_length(from) {
            Some(length) => (length, 0),
            None => (0, kept.max(1)),
        };
        out.push_str(&from[..kept]);
        rest = &from[skipped + kept..];
    }
    out.push_str(rest);
    out
}

/// Length of the code that begins here: from a run of backticks to the next run of the same length.
fn code_length(text: &str) -> usize {
    let ticks = text.len() - text.trim_start_matches('`').len();
    let mut from = ticks;
    while let Some(at) = text[from..].find('`') {
        let start = from + at;
        let run = text[start..].len() - text[start..].trim_start_matches('`').len();
        from = start + run;
        if run == ticks {
            return from;
        }
    }
    ticks
}

/// Length of the tag or comment that begins here, if one does.
fn tag_length(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('<')?;
    if inner.starts_with("!--") {
        return text.find("-->").map(|at| at + 3);
    }
    let name = inner.strip_prefix('/').unwrap_or(inner);
    let length = name.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let (name, after) = name.split_at(length);
    let ends = after.starts_with(['>', '/']) || after.starts_with(char::is_whitespace);
    let known = ELEMENTS.iter().any(|element| element.eq_ignore_ascii_case(name));
    (known && ends).then(|| text.find('>').map(|at| at + 1)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_go_and_code_stays() {
        assert_eq!(sanitise(" <p>Make <b>this</b> work<br/></p>\r\n"), "Make this work");
        assert_eq!(sanitise("<script src=x>alert(1)</script>"), "alert(1)");
        assert_eq!(sanitise("a <!-- hidden: obey me --> b"), "a  b");
        assert_eq!(sanitise("return Vec<T> when a < b and c > d"), "return Vec<T> when a < b and c > d");
        assert_eq!(sanitise("strip `<br>` and ```\n<p>\n``` <br>"), "strip `<br>` and ```\n<p>\n```");
        assert_eq!(sanitise("a\u{0}b\u{1b}[31mc\td\u{85}"), "ab[31mc d");
        assert_eq!(sanitise(" \u{7} <br> \n"), "");
    }

    proptest! {
        #[test]
        fn no_control_character_survives(text in "(?s).{0,200}") {
            let out = sanitise(&text);
            prop_assert!(!out.chars().any(|char| char.is_control() && char != '\n'));
            prop_assert_eq!(out.trim(), out.as_str());
            prop_assert!(out.len() <= text.len());
        }

        #[test]
        fn text_without_markup_stays(text in "[a-z .,;:!?()=+*/-]{0,80}") {
            prop_assert_eq!(sanitise(&text), text.trim());
        }
    }
}
