//! Unified diffs, read for presentation: files, hunks, numbered lines. Reading never fails: what does not look like a
//! diff is left out, and the raw text stays available.

use crate::wire::runs::DiffFile;

/// A unified diff of several files, as Git writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// The files, in the diff's order.
    pub files: Vec<File>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It is new.
    Added,
    /// It has other content.
    #[default]
    Changed,
    /// It is gone.
    Deleted,
    /// It has another name.
    Renamed,
}

impl State {
    /// The word for people and wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
            Self::Renamed => "renamed",
        }
    }
}

/// One file of a diff.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Its path; the new one where it was renamed.
    pub path: String,
    /// What became of it.
    pub state: State,
    /// Whether it is binary, and the diff holds no lines.
    pub binary: bool,
    /// Its hunks.
    pub hunks: Vec<Hunk>,
}

/// Lines that lie together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hunk {
    /// What Git found to be around it: a function, a class.
    pub section: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Unchanged.
    Context,
    /// New.
    Added,
    /// Gone.
    Removed,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What became of it.
    pub sign: Sign,
    /// Its number in the old file.
    pub old: Option<u32>,
    /// Its number in the new file.
    pub new: Option<u32>,
    /// Its text without the sign.
    pub text: String,
    /// Whether the file ends after it without a line break.
    pub unfinished: bool,
}

impl File {
    /// How many lines have this sign.
    #[must_use]
    pub fn count(&self, sign: Sign) -> usize {
        self.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.sign == sign).count()
    }
}

impl From<&File> for DiffFile {
    fn from(file: &File) -> Self {
        Self {
            path: file.path.clone(),
            state: file.state.as_str(),
            added: file.count(Sign::Added),
            removed: file.count(Sign::Removed),
        }
    }
}

impl Diff {
    /// Reads a unified diff.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut reader = Reader::default();
        for line in text.split('\n') {
            reader.take(line);
        }
        Self { files: reader.files }
    }

    /// New and gone lines of all files.
    #[must_use]
    pub fn totals(&self) -> (usize, usize) {
        let count = |sign| self.files.iter().map(|file| file.count(sign)).sum();
        (count(Sign::Added), count(Sign::Removed))
    }
}

/// Numbers of the next lines and how many of each side a hunk still holds.
#[derive(Default)]
struct Open {
    old: u32,
    new: u32,
    old_left: u32,
    new_left: u32,
}

#[derive(Default)]
struct Reader {
    files: Vec<File>,
    open: Open,
    /// Whether the file's names came from a `diff --git` line.
    headed: bool,
}

impl Reader {
    fn take(&mut self, line: &str) {
        let inside = self.open.old_left > 0 || self.open.new_left > 0;
        if line.starts_with('\\') {
            self.unfinished();
        } else if !inside || !self.content(line) {
            self.open = Open::default();
            self.header(line);
        }
    }

    fn header(&mut self, line: &str) {
        if let Some(names) = line.strip_prefix("diff --git ") {
            let path = names.rsplit_once(" b/").map_or(names, |(_, path)| path);
            self.files.push(File { path: unquote(path), ..File::default() });
            self.headed = true;
        } else if let Some(name) = line.strip_prefix("--- ") {
            if !std::mem::take(&mut self.headed) {
                self.files.push(File::default());
            }
            self.name(name, "a/", State::Added);
        } else if let Some(name) = line.strip_prefix("+++ ") {
            self.name(name, "b/", State::Deleted);
        } else if let Some(range) = line.strip_prefix("@@ ") {
            self.hunk(range);
        } else if let Some(file) = self.files.last_mut() {
            if line.starts_with("new file mode") {
                file.state = State::Added;
            } else if line.starts_with("deleted file mode") {
                file.state = State::Deleted;
            } else if let Some(name) = line.strip_prefix("rename to ") {
                file.state = State::Renamed;
                file.path = unquote(name);
            } else if line.starts_with("Binary files ") || line.starts_with("GIT binary patch") {
                file.binary = true;
            }
        }
    }

    /// A name of `---` or `+++`; `/dev/null` says that the file is not on that side.
    fn name(&mut self, name: &str, prefix: &str, absent: State) {
        let Some(file) = self.files.last_mut() else { return };
        let name = unquote(name.split('\t').next().unwrap_or(name));
        if name == "/dev/null" {
            file.state = absent;
        } else if absent == State::Deleted || file.path.is_empty() {
            file.path = name.strip_prefix(prefix).unwrap_or(&name).to_owned();
        }
    }

    fn hunk(&mut self, range: &str) {
        let Some((numbers, section)) = range.split_once(" @@") else { return };
        let mut sides = numbers.split(' ').map(|side| {
            let side = side.trim_start_matches(['-', '+']);
            let (start, count) = side.split_once(',').unwrap_or((side, "1"));
            Some((start.parse::<u32>().ok()?, count.parse::<u32>().ok()?))
        });
        let (Some(Some(old)), Some(Some(new)), Some(file)) =
            (sides.next(), sides.next(), self.files.last_mut())
        else {
            return;
        };
        self.open = Open { old: old.0, old_left: old.1, new: new.0, new_left: new.1 };
        file.hunks.push(Hunk { section: section.trim().to_owned(), lines: vec![] });
    }

    /// A line of the open hunk; `false` where it cannot be one.
    fn content(&mut self, line: &str) -> bool {
        let (sign, text) = match line.as_bytes().first() {
            Some(b'+') => (Sign::Added, &line[1..]),
            Some(b'-') => (Sign::Removed, &line[1..]),
            Some(b' ') => (Sign::Context, &line[1..]),
            // Some tools drop the blank of an empty context line.
            None => (Sign::Context, ""),
            Some(_) => return false,
        };
        let open = &mut self.open;
        let old = (sign != Sign::Added).then_some(open.old);
        let new = (sign != Sign::Removed).then_some(open.new);
        if (old.is_some() && open.old_left == 0) || (new.is_some() && open.new_left == 0) {
            return false;
        }
        if old.is_some() {
            open.old = open.old.saturating_add(1);
            open.old_left -= 1;
        }
        if new.is_some() {
            open.new = open.new.saturating_add(1);
            open.new_left -= 1;
        }
        let hunk = self.files.last_mut().and_then(|file| file.hunks.last_mut());
        if let Some(hunk) = hunk {
            let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
            hunk.lines.push(Line { sign, old, new, text, unfinished: false });
        }
        true
    }

    fn unfinished(&mut self) {
        let hunk = self.files.last_mut().and_then(|file| file.hunks.last_mut());
        if let Some(line) = hunk.and_then(|hunk| hunk.lines.last_mut()) {
            line.unfinished = true;
        }
    }
}

/// Git quotes names with unusual bytes as C strings; only the quotes matter for reading.
fn unquote(name: &str) -> String {
    let name = name.trim_end_matches('\r');
    let plain = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &str = "diff --git a/src/dates.py b/src/dates.py\nindex 1..2 100644\n--- a/src/dates.py\n\
        +++ b/src/dates.py\n@@ -1,3 +1,4 @@ def days(a, b):\n def days(a, b):\n--- not a header\n+++ nor this\n\
        +    return b - a + 1\n \n\\ No newline at end of file\ndiff --git a/new.py b/new.py\nnew file mode 100644\n\
        --- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x = 1\ndiff --git a/old.bin b/old.bin\n\
        deleted file mode 100644\nBinary files a/old.bin and /dev/null differ\n\
        diff --git a/a.py b/b.py\nsimilarity index 100%\nrename from a.py\nrename to b.py\n";

    #[test]
    fn files_hunks_and_numbers_are_read() {
        let diff = Diff::parse(SAMPLE);
        let files: Vec<_> = diff.files.iter().map(|it| (it.path.as_str(), it.state, it.binary)).collect();
        assert_eq!(
            files,
            [
                ("src/dates.py", State::Changed, false),
                ("new.py", State::Added, false),
                ("old.bin", State::Deleted, true),
                ("b.py", State::Renamed, false),
            ]
        );
        assert_eq!(diff.totals(), (3, 1));
        let hunk = &diff.files[0].hunks[0];
        assert_eq!(hunk.section, "def days(a, b):");
        let lines: Vec<_> = hunk.lines.iter().map(|it| (it.old, it.new, it.text.as_str())).collect();
        assert_eq!(
            lines,
            [
                (Some(1), Some(1), "def days(a, b):"),
                (Some(2), None, "-- not a header"),
                (None, Some(2), "++ nor this"),
                (None, Some(3), "    return b - a + 1"),
                (Some(3), Some(4), ""),
            ]
        );
        assert!(hunk.lines[4].unfinished);
    }

    #[test]
    fn a_diff_without_git_headers_is_read() {
        let diff =
            Diff::parse("--- a/x.py\t2026\n+++ b/x.py\t2026\n@@ -1 +1 @@\n-a\n+b\n--- a/y.py\n+++ b/y.py\n");
        assert_eq!(diff.files.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["x.py", "y.py"]);
        assert_eq!(diff.totals(), (1, 1));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "(?s)((@@ -[0-9]{1,11},[0-9] \\+1,9 @@|--- |\\+\\+\\+ |diff --git |[+ -]|\\\\).{0,9}\n){0,20}") {
            let diff = Diff::parse(&text);
            let lines = diff.files.iter().flat_map(|file| &file.hunks).map(|hunk| hunk.lines.len()).sum::<usize>();
            prop_assert!(lines <= text.split('\n').count());
        }
    }
}
