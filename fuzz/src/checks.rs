//! What must hold for any input. An input is text in parts, set apart by lines of `====`; a check of a file takes
//! its name from the first part.

use std::collections::BTreeMap;
use toryo_code::{Applied, EditSet, FileChange, apply, diff, merge as merge_files, syntax_errors};
use toryo_domain::RepoPath;

/// The largest input that is looked at, in bytes: what is slow in proportion is found with less.
const LARGEST: usize = 20_000;

/// The parts of an input.
fn parts<const N: usize>(data: &[u8]) -> Option<[&[u8]; N]> {
    const MARK: &[u8] = b"\n====\n";
    let mut parts = [b"".as_slice(); N];
    let mut rest = data.get(..LARGEST).unwrap_or(data);
    for part in parts.iter_mut().take(N - 1) {
        let at = rest.windows(MARK.len()).position(|window| window == MARK)?;
        (*part, rest) = (&rest[..at], &rest[at + MARK.len()..]);
    }
    parts[N - 1] = rest;
    Some(parts)
}

fn path(name: &[u8]) -> Option<RepoPath> {
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// Applies a set to one file; what holds for every answer is checked.
fn applied(set: &EditSet, path: &RepoPath, before: &[u8]) -> Applied {
    let files = BTreeMap::from([(path.clone(), before.to_vec())]);
    let applied = apply(set, &files);
    assert_eq!(applied.results.len(), set.edits.len());
    for change in applied.changes.iter().flatten() {
        assert_eq!(change.inverse().inverse(), *change);
        assert_eq!(change.before.as_deref(), files.get(&change.path).map(Vec::as_slice));
        assert_ne!(change.before, change.after);
        let FileChange { path, before, after } = change;
        if let Some(after) = after {
            let known = before.as_ref().map_or(0, |before| syntax_errors(path, before).len());
            assert!(
                known > 0 || before.is_none() || syntax_errors(path, after).is_empty(),
                "a new syntax error"
            );
        }
    }
    applied
}

/// Any bytes as an edit set: what is read is written so that it is read again, and applies or is refused.
pub fn edit_set(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(set) = EditSet::parse(text) else { return };
    let written = serde_json::to_string(&set).unwrap_or_default();
    assert_eq!(EditSet::parse(&written).as_ref(), Ok(&set));
    let Ok(path) = "a.py".parse() else { return };
    applied(
        &set,
        &path,
        b"@d\nclass A:\n    x = 1\n\n    def f(self):\n        return 1\n\n\ndef g(): pass\n",
    );
}

/// A name, a locator as JSON, a new text, and the file: every way to edit there.
pub fn locator(data: &[u8]) {
    let Some([name, locator, patch, file]) = parts(data) else { return };
    let (Some(path), Ok(locator), Ok(patch)) =
        (path(name), serde_json::from_slice::<serde_json::Value>(locator), std::str::from_utf8(patch))
    else {
        return;
    };
    for edit_type in ["insert", "replace", "delete"] {
        let edit = serde_json::json!({"file_path": path.as_str(), "edit_type": edit_type, "locator": locator, "patch": patch});
        let set = serde_json::json!({"edits": [edit], "summary": ""}).to_string();
        if let Ok(set) = EditSet::parse(&set) {
            applied(&set, &path, file);
        }
    }
}

/// A name, a diff, and the file: a diff that applies gives a text whose own diff leads there as well.
pub fn diff(data: &[u8]) {
    let Some([name, patch, file]) = parts(data) else { return };
    let (Some(path), Ok(patch)) = (path(name), std::str::from_utf8(patch)) else { return };
    let set = |patch: &str| {
        let edit = serde_json::json!({"file_path": path.as_str(), "edit_type": "replace", "locator": {"whole_file": true}, "patch": patch});
        EditSet::parse(&serde_json::json!({"edits": [edit], "summary": ""}).to_string()).ok()
    };
    let Some(first) = set(patch) else { return };
    let applied_once = applied(&first, &path, file);
    let Some(after) = applied_once.changes.and_then(|changes| changes.into_iter().next()?.after) else {
        return;
    };
    let shown = diff::unified(&path, Some(file), Some(&after));
    let is_text = std::str::from_utf8(file).is_ok() && std::str::from_utf8(&after).is_ok();
    // A lone carriage return ends no line, and a diff says nothing of one before a line break that it changes.
    if is_text && !file.contains(&b'\r') && !after.contains(&b'\r') && !after.is_empty() && !file.is_empty() {
        let Some(again) = set(&shown) else { return };
        let answer = applied(&again, &path, file);
        let changes = answer.changes.unwrap_or_else(|| panic!("{:?}\n{shown}", answer.results));
        let again = changes.into_iter().next().and_then(|change| change.after);
        assert_eq!(again.as_deref(), Some(after.as_slice()), "{shown}");
    }
}

/// A name and three versions: the rules of a merge.
pub fn merge(data: &[u8]) {
    let Some([name, base, ours, theirs]) = parts(data) else { return };
    let Some(path) = path(name) else { return };
    let merged = |ours: &[u8], theirs: &[u8]| merge_files(&path, Some(base), Some(ours), Some(theirs));
    assert_eq!(merged(ours, ours), Ok(Some(ours.to_vec())));
    assert_eq!(merged(ours, base), Ok(Some(ours.to_vec())));
    assert_eq!(merged(base, theirs), Ok(Some(theirs.to_vec())));
    let (forth, back) = (merged(ours, theirs), merged(theirs, ours));
    assert_eq!(forth.is_ok(), back.is_ok(), "{forth:?}\n{back:?}");
    if let Ok(Some(text)) = forth {
        let faults = |text: &[u8]| syntax_errors(&path, text).len();
        let is_utf8 = [base, ours, theirs].iter().all(|text| std::str::from_utf8(text).is_ok());
        assert!(!is_utf8 || faults(&text) <= faults(ours).max(faults(theirs)), "a new syntax error");
    }
}
