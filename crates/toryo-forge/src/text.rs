//! Making texts of models and people harmless before they become part of Git objects or Markdown.

/// Whether the character changes how text around it is shown: bidirectional controls, zero-width and tag
/// characters. Nobody sees them in a review.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text on one line: white space and control characters become single blanks, invisible ones go.
pub(crate) fn one_line(text: &str) -> String {
    let visible: String =
        text.chars().filter(|c| !is_invisible(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text with its lines, without control characters (tabs stay) and invisible ones.
pub(crate) fn plain_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|c| !is_invisible(*c) && (!c.is_control() || matches!(c, '\n' | '\t')))
        .collect()
}

/// At most `limit` characters; a cut text ends in `…`.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A name or address as Git can store it: one line without `<` and `>`.
pub(crate) fn identity(text: &str) -> String {
    one_line(&text.replace(['<', '>'], " "))
}

/// The text without trailing white space and with one newline at its end.
pub(crate) fn with_final_newline(text: &str) -> String {
    format!("{}\n", text.trim_end())
}
