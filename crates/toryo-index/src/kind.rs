//! Which files are indexed, and what kind each is.
//!
//! What cannot be source that people edit is passed over with a note. What merely looks copied or generated is
//! kept, flagged and weighted down: a folder `vendor` may be about vendors.

use serde::{Deserialize, Serialize};
use toryo_domain::RepoPath;

/// Largest file that is indexed, in bytes. Hand-written files beyond it are not known to us; data files are.
pub const LARGEST_FILE_BYTES: usize = 1024 * 1024;

/// What a file is for; it decides its weight in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Code that is run.
    Code,
    /// Tests, their fixtures and helpers.
    Test,
    /// Examples, benchmarks and scripts beside the product.
    Example,
    /// Prose.
    Documentation,
    /// Configuration, data and anything else that is text.
    Other,
    /// Written by a program, by its own header.
    Generated,
    /// Copied from another project, by its folder.
    Vendored,
}

/// A file that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Which.
    pub path: RepoPath,
    /// Why.
    pub why: SkipReason,
}

/// Why a file was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Holds null bytes or is not text in a known encoding.
    Binary,
    /// Over the size limit.
    Huge,
    /// Lines too long to be written by hand.
    Minified,
    /// A lock file or another file that only programs write.
    Generated,
    /// In a folder of installed packages.
    Vendored,
    /// More files than the options allow.
    TooMany,
}

impl SkipReason {
    /// The reason in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Huge => "too large",
            Self::Minified => "minified",
            Self::Generated => "generated",
            Self::Vendored => "installed packages",
            Self::TooMany => "over the limit of files",
        }
    }
}

/// Folders that package managers fill; nobody edits what lies there.
const INSTALLED: &[&str] =
    &["node_modules", "bower_components", "site-packages", "dist-packages", ".venv", ".tox", "__pycache__"];
/// Folders in which projects keep copies of others.
const COPIED: &[&str] =
    &["vendor", "vendored", "_vendor", "_vendored", "third_party", "third-party", "thirdparty", "extern"];
const TEST_FOLDERS: &[&str] =
    &["test", "tests", "testing", "__tests__", "__mocks__", "spec", "specs", "e2e", "testdata", "fixtures"];
const EXAMPLE_FOLDERS: &[&str] = &[
    "example",
    "examples",
    "demo",
    "demos",
    "benchmark",
    "benchmarks",
    "bench",
    "benches",
    "samples",
    "tutorial",
    "extras",
];
const LOCK_FILES: &[&str] = &[
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "Cargo.lock",
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "go.sum",
    "composer.lock",
    "Gemfile.lock",
    "pdm.lock",
];
const PROSE: &[&str] = &["md", "rst", "txt", "adoc", "markdown", "po", "pot", "tex"];
const CODE: &[&str] = &[
    "py", "pyi", "pyx", "pxd", "rs", "go", "java", "kt", "js", "jsx", "mjs", "cjs", "ts", "tsx", "mts",
    "cts", "c", "h", "cc", "cpp", "hpp", "cs", "rb", "php", "swift", "scala", "sh", "sql", "vue", "svelte",
    "lua", "ex", "exs", "erl", "hs", "ml", "r", "pl", "dart", "zig", "m", "mm", "jl",
];

/// Why a file is passed over for its path alone, if it is.
pub(crate) fn passed_over(path: &RepoPath) -> Option<SkipReason> {
    if path.as_str().split('/').any(|part| INSTALLED.contains(&part)) {
        return Some(SkipReason::Vendored);
    }
    let name = path.file_name();
    if LOCK_FILES.contains(&name) {
        return Some(SkipReason::Generated);
    }
    let bundled = name.ends_with(".map") || name.contains(".min.") || name.ends_with(".svg");
    bundled.then_some(SkipReason::Minified)
}

/// The text of a content that can be indexed, or why it is passed over. Latin-1 files count as text.
pub(crate) fn text_of(bytes: Vec<u8>) -> Result<String, SkipReason> {
    if bytes.contains(&0) {
        return Err(SkipReason::Binary);
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // Latin-1 maps each byte to the character of its number; binary data shows itself by control characters.
        Err(not_utf8) => {
            let bytes = not_utf8.into_bytes();
            let control = bytes.iter().filter(|b| b.is_ascii_control() && !b.is_ascii_whitespace()).count();
            if control * 100 > bytes.len() {
                return Err(SkipReason::Binary);
            }
            bytes.into_iter().map(char::from).collect()
        }
    };
    if is_minified(&text) { Err(SkipReason::Minified) } else { Ok(text) }
}

fn is_minified(text: &str) -> bool {
    let lines = text.bytes().filter(|b| *b == b'\n').count() + 1;
    text.len() > 4096 && text.len() / lines > 400
}

/// What kind of file it is, by its path and by whether its text [says that it is generated](says_generated).
pub(crate) fn kind_of(path: &RepoPath, generated: bool) -> FileKind {
    let lower = path.as_str().to_lowercase();
    let (folders, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let in_any = |names: &[&str]| folders.split('/').any(|folder| names.contains(&folder));
    let extension = path.extension().unwrap_or_default().to_lowercase();
    if in_any(COPIED) {
        FileKind::Vendored
    } else if is_test_name(name) || is_test_class(path.file_name()) || in_any(TEST_FOLDERS) {
        FileKind::Test
    } else if PROSE.contains(&extension.as_str()) || (in_any(&["docs", "doc"]) && extension != "py") {
        FileKind::Documentation
    } else if !CODE.contains(&extension.as_str()) {
        FileKind::Other
    } else if generated {
        FileKind::Generated
    } else if in_any(EXAMPLE_FOLDERS) || in_any(&["docs", "doc"]) || name == "setup.py" {
        FileKind::Example
    } else {
        FileKind::Code
    }
}

/// Test files by the naming rules of pytest, Go, Java and JavaScript.
fn is_test_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || stem == "conftest"
        || stem == "tests"
        || name.contains(".test.")
        || name.contains(".spec.")
        || name.contains("-spec.")
}

/// Classes of tests by the naming rules of Maven and Gradle, where capitals tell `ListTest` from `Latest`.
fn is_test_class(name: &str) -> bool {
    let Some((stem, "java" | "kt" | "scala" | "cs")) = name.rsplit_once('.') else { return false };
    let is_mark = |rest: &str| rest.chars().next().is_none_or(char::is_uppercase);
    ["Test", "Tests", "TestCase", "IT"].iter().any(|mark| stem.ends_with(mark))
        || stem.strip_prefix("Test").is_some_and(is_mark)
}

/// The headers that generators are asked to write stand in the first lines.
pub(crate) fn says_generated(text: &str) -> bool {
    text.lines().take(5).any(|line| {
        let line = line.to_lowercase();
        (line.contains("generated by") || line.contains("@generated") || line.contains("autogenerated"))
            && (line.contains("do not edit") || line.contains("@generated") || line.contains("automatically"))
            || line.contains("code generated") && line.contains("do not edit")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        text.parse().expect("a plain path")
    }

    #[test]
    fn kinds_follow_names_and_headers() {
        for (name, text, kind) in [
            ("src/app/http.py", "", FileKind::Code),
            ("tests/app/http.py", "", FileKind::Test),
            ("src/test_http.py", "", FileKind::Test),
            ("web/list.spec.ts", "", FileKind::Test),
            ("src/app/latest.py", "", FileKind::Code),
            ("server/run_test.go", "", FileKind::Test),
            ("app/src/test/java/a/Helper.java", "", FileKind::Test),
            ("src/a/ListTest.java", "", FileKind::Test),
            ("src/a/TestList.java", "", FileKind::Test),
            ("src/a/Latest.java", "", FileKind::Code),
            ("src/a/Testimony.java", "", FileKind::Code),
            ("web/__tests__/list.tsx", "", FileKind::Test),
            ("web/login.e2e-spec.ts", "", FileKind::Test),
            ("crates/a/tests/it.rs", "", FileKind::Test),
            ("crates/a/src/tests.rs", "", FileKind::Test),
            ("crates/a/benches/speed.rs", "", FileKind::Example),
            ("web/index.mts", "", FileKind::Code),
            ("docs/usage.rst", "", FileKind::Documentation),
            ("docs/conf.py", "", FileKind::Example),
            ("pyproject.toml", "", FileKind::Other),
            ("src/_vendor/six.py", "", FileKind::Vendored),
            ("src/proto_pb2.py", "# Code generated by protoc. DO NOT EDIT.\n", FileKind::Generated),
        ] {
            assert_eq!(kind_of(&path(name), says_generated(text)), kind, "{name}");
        }
    }

    #[test]
    fn what_nobody_edits_is_passed_over() {
        for (name, why) in [
            ("poetry.lock", SkipReason::Generated),
            ("web/node_modules/a/index.js", SkipReason::Vendored),
            ("app.min.js", SkipReason::Minified),
        ] {
            assert_eq!(passed_over(&path(name)), Some(why), "{name}");
        }
        assert_eq!(passed_over(&path("src/lock.py")), None);
        assert_eq!(text_of(vec![0x89, 0, 1]), Err(SkipReason::Binary));
        assert_eq!(text_of(vec![0xff, 0x01, 0x02, 0x03]), Err(SkipReason::Binary));
        assert_eq!(text_of("x".repeat(5000).into_bytes()), Err(SkipReason::Minified));
        assert_eq!(text_of(vec![b'#', 0xe9, b'\n']), Ok("#é\n".into()));
    }
}
