//! Single lines of requirements.

/// Whether a text from a project file is one requirement, and no option or second line of a requirements file.
pub(super) fn is_plain(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_alphanumeric()) && !line.chars().any(char::is_control)
}

/// Whether a line of a requirements file asks for something in the repository itself.
pub(super) fn is_local(line: &str) -> bool {
    let line = line.trim();
    let target = ["--editable=", "--editable", "-e"].iter().find_map(|option| line.strip_prefix(option));
    let target = target.unwrap_or(line).trim().trim_matches(['"', '\'']);
    target.starts_with('.') || target.starts_with("file:") || target.contains("@ file:")
}

/// A distribution's name in its normal form (PEP 503).
pub(super) fn normal(name: &str) -> String {
    let mut normal = String::new();
    for character in name.trim().chars() {
        match character {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            other => normal.extend(other.to_lowercase()),
        }
    }
    normal
}

/// Name and extras of a requirement: `pkg[a, b]>=1` gives `pkg`, `a`, `b`.
pub(super) fn name_and_extras(line: &str) -> (String, Vec<String>) {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let extras =
        rest.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(extras, _)| extras);
    let extras = extras.into_iter().flat_map(|extras| extras.split(',')).map(normal).collect();
    (normal(name), extras)
}
