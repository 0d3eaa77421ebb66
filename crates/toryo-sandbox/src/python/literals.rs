//! `setup.cfg` and `setup.py`: what stands in them as literals. Nothing is executed, so lists that a script computes
//! are not seen.

use super::TEST_EXTRAS;
use super::requirement::normal;

/// `install_requires` and the extras for tests of a `setup.cfg`.
pub(super) fn of_setup_cfg(text: &str) -> Vec<String> {
    let (mut wanted, mut section, mut key) = (Vec::new(), "", String::new());
    for line in text.lines() {
        let bare = line.split(" #").next().unwrap_or(line).trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        let value = if line.starts_with([' ', '\t']) {
            bare
        } else if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            (section, key) = (name, String::new());
            continue;
        } else if let Some((name, value)) = bare.split_once('=') {
            key = normal(name);
            value.trim()
        } else {
            continue;
        };
        let counts = match section {
            "options" => matches!(key.as_str(), "install-requires" | "tests-require"),
            "options.extras_require" => TEST_EXTRAS.contains(&key.as_str()),
            _ => false,
        };
        if counts && !value.is_empty() {
            wanted.push(value.to_owned());
        }
    }
    wanted
}

/// `install_requires`, `tests_require` and the extras for tests of a `setup.py`, where they are lists of literals.
pub(super) fn of_setup_py(text: &str) -> Vec<String> {
    let mut wanted = Vec::new();
    for name in ["install_requires", "tests_require"] {
        wanted.extend(assigned(text, name, '=').map(list).unwrap_or_default());
    }
    if let Some(extras) = assigned(text, "extras_require", '=') {
        for extra in TEST_EXTRAS {
            for quote in ['\'', '"'] {
                let key = format!("{quote}{extra}{quote}");
                wanted.extend(assigned(extras, &key, ':').map(list).unwrap_or_default());
            }
        }
    }
    wanted
}

/// The text after the first `name =` (or `name :`).
fn assigned<'a>(text: &'a str, name: &str, sign: char) -> Option<&'a str> {
    let (_, rest) = text.split_once(name)?;
    Some(rest.trim_start().strip_prefix(sign)?.trim_start())
}

/// The string literals of a list, up to its end; none where it holds anything else.
fn list(text: &str) -> Vec<String> {
    let Some(mut rest) = text.strip_prefix('[') else { return Vec::new() };
    let mut items = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if let Some(comment) = rest.strip_prefix('#') {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            // The closing bracket, or something that only Python could evaluate.
            return if rest.starts_with(']') { items } else { Vec::new() };
        };
        let Some((item, after)) = rest[1..].split_once(quote) else { return Vec::new() };
        items.push(item.to_owned());
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn computed_lists_are_left_alone() {
        assert_eq!(of_setup_py("setup(install_requires=read('requirements.txt'))"), Vec::<String>::new());
        assert_eq!(of_setup_py("setup(install_requires=['a', B])"), Vec::<String>::new());
        assert_eq!(of_setup_py("setup(install_requires=[\n  'a>=1', # why\n  \"b\",\n])"), ["a>=1", "b"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(install_requires *= *)?[\\[\\]'\",#a-z\n =é]{0,40}") {
            let _ = of_setup_py(&text);
            let _ = of_setup_cfg(&text);
        }
    }
}
