//! Unified diffs in Git's form.

use crate::language::Language;
use imara_diff::{Algorithm, Diff, InternedInput, sources::byte_lines};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;
use toryo_domain::RepoPath;

/// Lines of context around a change, as in Git.
const CONTEXT: usize = 3;

/// A run of changed lines: 0-based line numbers before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hunk {
    pub(crate) before: Range<usize>,
    pub(crate) after: Range<usize>,
}

/// The lines of a content, each with its line break.
pub(crate) fn split_lines(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').collect()
}

/// The runs of lines in which two contents differ, in order.
pub(crate) fn hunks(before: &[u8], after: &[u8]) -> Vec<Hunk> {
    hunks_by(Algorithm::Histogram, before, after)
}

/// The runs of lines in which two contents differ, as this algorithm sees them.
pub(crate) fn hunks_by(algorithm: Algorithm, before: &[u8], after: &[u8]) -> Vec<Hunk> {
    let input = InternedInput::new(byte_lines(before), byte_lines(after));
    let mut diff = Diff::compute(algorithm, &input);
    diff.postprocess_lines(&input);
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    diff.hunks().map(|hunk| Hunk { before: range(hunk.before), after: range(hunk.after) }).collect()
}

/// Lines added and removed; binary contents count none.
#[must_use]
pub fn stats(before: Option<&[u8]>, after: Option<&[u8]>) -> (usize, usize) {
    let [before, after] = [before, after].map(|content| shown(None, content.unwrap_or_default()));
    if is_binary(&before) || is_binary(&after) {
        return (0, 0);
    }
    let hunks = hunks(&before, &after);
    (hunks.iter().map(|hunk| hunk.after.len()).sum(), hunks.iter().map(|hunk| hunk.before.len()).sum())
}

/// The change of one file as a diff that `git apply` accepts; empty where nothing differs. `None` is a file
/// that is not there. A file in another encoding is shown in UTF-8: such a diff is to be read, and [`apply`]
/// takes it, but Git does not. Bytes of no known encoding are shown as `\xNN`, and a line in the head says so.
///
/// [`apply`]: crate::apply()
#[must_use]
pub fn unified(path: &RepoPath, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
    if before == after {
        return String::new();
    }
    let (old, new) = (quoted("a/", path), quoted("b/", path));
    let mut out = format!("diff --git {old} {new}\n");
    match (before, after) {
        (None, _) => out.push_str("new file mode 100644\n"),
        (_, None) => out.push_str("deleted file mode 100644\n"),
        _ => {}
    }
    let old = if before.is_none() { "/dev/null" } else { &old };
    let new = if after.is_none() { "/dev/null" } else { &new };
    let language = crate::language::of(path);
    let [before, after] = [before, after].map(|content| shown(language, content.unwrap_or_default()));
    if is_binary(&before) || is_binary(&after) {
        let _ = writeln!(out, "Binary files {old} and {new} differ");
        return out;
    }
    // Compared as bytes, so that two contents which look the same differ.
    let hunks = hunks(&before, &after);
    if hunks.is_empty() {
        return out;
    }
    if [&before, &after].iter().any(|content| std::str::from_utf8(content).is_err()) {
        out.push_str("bytes of no known encoding are shown as \\xNN\n");
    }
    // Git ends a name that holds a space with a tab, or readers would cut it.
    let end = |name: &str| if name.contains(' ') && !name.starts_with('"') { "\t" } else { "" };
    let _ = write!(out, "--- {old}{}\n+++ {new}{}\n", end(old), end(new));
    let (before, after) = (split_lines(&before), split_lines(&after));
    let mut rest = hunks.as_slice();
    while !rest.is_empty() {
        let near = |pair: &[Hunk]| pair[1].before.start - pair[0].before.end <= 2 * CONTEXT;
        let together = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        write_group(&mut out, &rest[..together], &before, &after);
        rest = &rest[together..];
    }
    out
}

/// Writes hunks that share their context under one `@@` header.
fn write_group(out: &mut String, group: &[Hunk], before: &[&[u8]], after: &[&[u8]]) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    let lead = first.before.start.min(CONTEXT);
    let tail = (before.len() - last.before.end).min(CONTEXT);
    let old = first.before.start - lead..last.before.end + tail;
    let new = first.after.start - lead..last.after.end + tail;
    let _ = writeln!(out, "@@ -{} +{} @@", range(&old), range(&new));
    let mut at = old.start;
    for hunk in group {
        before[at..hunk.before.start].iter().for_each(|line| write_line(out, ' ', line));
        before[hunk.before.clone()].iter().for_each(|line| write_line(out, '-', line));
        after[hunk.after.clone()].iter().for_each(|line| write_line(out, '+', line));
        at = hunk.before.end;
    }
    before[at..old.end].iter().for_each(|line| write_line(out, ' ', line));
}

/// `start,count` with the rules of the format: 1-based, the line before an empty range, a count of 1 left out.
fn range(lines: &Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        count => format!("{},{count}", lines.start + 1),
    }
}

fn write_line(out: &mut String, sign: char, line: &[u8]) {
    out.push(sign);
    for chunk in line.utf8_chunks() {
        out.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| {
            let _ = write!(out, "\\x{byte:02x}");
        });
    }
    if !line.ends_with(b"\n") {
        out.push_str("\n\\ No newline at end of file\n");
    }
}

/// A name as Git writes it: in quotes with octal escapes if it holds anything unusual.
fn quoted(prefix: &str, path: &RepoPath) -> String {
    let path = path.as_str();
    if path.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\') {
        return format!("{prefix}{path}");
    }
    let mut name = format!("\"{prefix}");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => name.extend(['\\', char::from(byte)]),
            b' '..0x7f => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "\\{byte:03o}");
            }
        }
    }
    name.push('"');
    name
}

/// A content as it is shown: what is not UTF-8 decoded, if its encoding is known.
fn shown<'a>(language: Option<&Language>, content: &'a [u8]) -> Cow<'a, [u8]> {
    if !is_binary(content) && std::str::from_utf8(content).is_ok() {
        return Cow::Borrowed(content);
    }
    let text = crate::apply::text_of(language, content);
    text.map_or(Cow::Borrowed(content), |text| Cow::Owned(text.into_bytes()))
}

/// Git's rule: a NUL among the first 8,000 bytes.
pub(crate) fn is_binary(content: &[u8]) -> bool {
    content.iter().take(8000).any(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn path(text: &str) -> RepoPath {
        text.parse().expect("a path")
    }

    #[test]
    fn a_diff_reads_as_git_writes_it() {
        let before = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15";
        let after = b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n13\n14\n15\n";
        insta::assert_snapshot!(unified(&path("src/a b.py"), Some(before), Some(after)));
        assert_eq!(stats(Some(before), Some(after)), (2, 2));
        assert_eq!(unified(&path("a"), Some(b"x"), Some(b"x")), "");
        let binary = unified(&path("é"), Some(b"\0"), None);
        assert_eq!(
            binary,
            "diff --git \"a/\\303\\251\" \"b/\\303\\251\"\ndeleted file mode 100644\nBinary files \"a/\\303\\251\" and /dev/null differ\n"
        );
    }

    #[test]
    fn other_encodings_are_shown_as_text_and_unknown_bytes_as_numbers() {
        let body = |name: &str, before: &[u8], after: &[u8]| {
            let diff = unified(&path(name), Some(before), Some(after));
            diff.lines()
                .skip(1)
                .filter(|line| !line.starts_with("---") && !line.starts_with("+++"))
                .collect::<Vec<_>>()
                .join("|")
        };
        let head = b"# coding: shift_jis\n".as_slice();
        let diff = body("a.py", &[head, b"x = '\x83\x5c'\n"].concat(), &[head, b"x = '\x95\x5c'\n"].concat());
        assert_eq!(diff, "@@ -1,2 +1,2 @@| # coding: shift_jis|-x = 'ソ'|+x = '表'");
        assert_eq!(body("a.txt", b"\xff\xfea\0\n\0", b"\xff\xfe\xe9\0\n\0"), "@@ -1 +1 @@|-a|+é");
        let unknown = "bytes of no known encoding are shown as \\xNN|@@ -1 +1 @@|-é\\xe9|+é\\xea";
        assert_eq!(body("a.txt", b"\xc3\xa9\xe9\n", b"\xc3\xa9\xea\n"), unknown);
        assert_eq!(stats(Some(b"\xff\xfea\0\n\0"), Some(b"\xff\xfe")), (0, 1));
    }

    /// Applies a diff with Git and returns what becomes of the file.
    fn applied_by_git(name: &str, before: Option<&str>, after: Option<&str>) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        if let Some(before) = before {
            std::fs::write(folder.path().join(name), before).expect("written");
        }
        let diff = unified(&path(name), before.map(str::as_bytes), after.map(str::as_bytes));
        std::fs::write(folder.path().join("the.diff"), &diff).expect("written");
        let mut git = Command::new("git");
        git.args(["apply", "--whitespace=nowarn", "the.diff"]).current_dir(folder.path());
        let output = git.env("GIT_CEILING_DIRECTORIES", folder.path()).output().expect("git runs");
        assert!(output.status.success(), "{}\n{diff}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(folder.path().join(name)).ok()
    }

    #[test]
    fn git_applies_every_shape_of_diff() {
        for (before, after) in [
            (None, Some("a\n")),
            (None, Some("a")),
            (None, Some("")),
            (Some("a\r\nb"), None),
            (Some(""), None),
            (Some(""), Some("x\n")),
            (Some("a\nb\n"), Some("")),
            (Some("a\nb"), Some("a\nb\n")),
            (Some("a\n\n\n\n\n\n\n\nb\n"), Some("c\n\n\n\n\n\n\n\nd")),
        ] {
            for name in ["a b", "é\".py"] {
                assert_eq!(applied_by_git(name, before, after).as_deref(), after, "{before:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_diff_brings_before_to_after(before in "([ab]\n|\n){0,30}[ab]?", after in "([ab]\n|\n){0,30}[ab]?") {
            let diff = unified(&path("a"), Some(before.as_bytes()), Some(after.as_bytes()));
            let body = diff.find("--- ").map_or("", |at| &diff[at..]);
            let patch = diffy::Patch::from_str(body).expect("a patch");
            prop_assert_eq!(diffy::apply(&before, &patch).expect("applies"), after);
        }
    }
}
