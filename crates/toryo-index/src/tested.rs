//! Which test files belong to a file of code: by name, by import, by use of its symbols.

use crate::index::Index;
use crate::kind::FileKind;
use serde::Serialize;
use toryo_domain::RepoPath;

/// A test file that belongs to a file of code.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestLink {
    /// The test file.
    pub path: RepoPath,
    /// How strongly, above 0; only for comparison.
    pub score: f64,
    /// Why.
    pub reasons: Vec<String>,
}

impl Index {
    /// Test files that belong to a file of code, the closest first: by name, by import, by use of its symbols.
    #[must_use]
    pub fn tests_for(&self, path: &RepoPath) -> Vec<TestLink> {
        let Some(code) = self.number(path) else { return Vec::new() };
        let mut links: Vec<TestLink> = self
            .files
            .iter()
            .enumerate()
            .filter(|(file, entry)| entry.kind == FileKind::Test && *file as u32 != code)
            .filter_map(|(file, _)| self.test_link(file as u32, code))
            .collect();
        links.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.path.cmp(&b.path)));
        links
    }

    fn test_link(&self, test: u32, code: u32) -> Option<TestLink> {
        let (path, of) = (&self.files[test as usize].path, &self.files[code as usize].path);
        let mut link = TestLink { path: path.clone(), score: 0.0, reasons: Vec::new() };
        let shared = name_match(path, of);
        if shared > 0.0 {
            link.score += 2.0 * shared;
            link.reasons.push("named after it".to_owned());
        }
        if self.imports[test as usize].binary_search(&code).is_ok() {
            link.score += 1.0;
            link.reasons.push("imports it".to_owned());
        }
        let edges = self.between_files.outgoing(test);
        let uses = edges.binary_search_by_key(&code, |(to, _)| *to).map_or(0.0, |at| f64::from(edges[at].1));
        if uses > 1.0 {
            link.score += uses / (uses + 5.0);
            link.reasons.push("uses its symbols".to_owned());
        }
        (link.score > 0.5).then_some(link)
    }
}

/// 1 where a test is called exactly as the code (`test_http.py`, `http.py`; `CartTest.java`, `Cart.java`;
/// `cart.spec.ts`, `cart.ts`), 0.5 where it begins or ends so (`test_http_parser_lines.py`, `http_parser.py`;
/// `test_utils_url.py`, `utils/url.py`), else 0.
fn name_match(test: &RepoPath, code: &RepoPath) -> f64 {
    let stem = |path: &RepoPath| path.file_name().split('.').next().unwrap_or_default().to_owned();
    let (name, code_name) = (tested_by(&stem(test)), stem(code).to_lowercase());
    let package = code.as_str().rsplit('/').nth(1).unwrap_or_default().to_lowercase();
    let bare = code_name.trim_matches('_');
    match () {
        () if bare.is_empty() || matches!(bare, "init" | "index" | "mod" | "lib") || name.is_empty() => {
            f64::from(u8::from(name == package && !name.is_empty())) * 0.5
        }
        () if name == bare || name == format!("{package}_{bare}") => 1.0,
        () if name.split_once('_').is_some_and(|(head, _)| head == bare)
            || name.starts_with(&format!("{bare}_")) =>
        {
            0.5
        }
        () => 0.0,
    }
}

/// What a test says it tests, in lower case: its name without `test` before or behind.
fn tested_by(stem: &str) -> String {
    let camel = ["Tests", "Test", "Spec", "IT"].iter().find_map(|end| stem.strip_suffix(end));
    let camel = camel.or_else(|| stem.strip_prefix("Test")).filter(|rest| !rest.is_empty()).unwrap_or(stem);
    let lower = camel.to_lowercase();
    lower.trim_start_matches("test_").trim_end_matches("_test").trim_end_matches("_tests").to_owned()
}

#[cfg(test)]
mod tests {
    use super::name_match;
    use crate::fixture::{SHOP, at, index};

    #[test]
    fn tests_are_found_by_name_and_by_import() {
        let index = index(SHOP);
        let links = index.tests_for(&at("src/shop/prices.py"));
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].path, at("tests/test_prices.py"));
        assert_eq!(links[0].reasons, ["named after it", "imports it", "uses its symbols"]);
        assert_eq!(index.tests_for(&at("src/shop/report.py")), []);
    }

    #[test]
    fn names_of_tests_follow_the_customs_of_each_language() {
        let matched = |test: &str, code: &str| name_match(&at(test), &at(code));
        for (test, code, how) in [
            ("tests/test_http.py", "src/http.py", 1.0),
            ("cart/cart_test.go", "cart/cart.go", 1.0),
            ("src/test/java/CartTest.java", "src/main/java/Cart.java", 1.0),
            ("web/cart.spec.ts", "web/cart.ts", 1.0),
            ("web/__tests__/cart.js", "web/cart/index.js", 0.5),
            ("tests/cart.rs", "src/cart/mod.rs", 0.5),
            ("tests/test_http_lines.py", "src/http.py", 0.5),
            ("tests/test_latest.py", "src/test.py", 0.0),
            ("src/Test.java", "src/Cart.java", 0.0),
        ] {
            assert_eq!(matched(test, code), how, "{test} {code}");
        }
    }
}
