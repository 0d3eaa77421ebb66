//! Which records can be read: those that this program would make.

use super::{Content, FORMAT, Maker};
use std::sync::LazyLock;
use toryo_domain::RepoPath;

/// A bit of everything that an outline and a word's terms can differ in.
const SAMPLES: [(&str, &str); 7] = [
    (
        "a.py",
        "\"\"\"Doc.\"\"\"\nfrom .a import (b as c, d)\nimport e.f as g\nLIMIT: int = 1\n\n\n@deco(1)\nclass A(B):\n    \"\"\"Of A.\"\"\"\n    x = 1\n\n    @property\n    async def parsedHeaders(self, *args, k=c):\n        def inner():\n            return self.x(LIMIT)\n        raise ValueError(\"not a valid header\")\n\n    @parsedHeaders.setter\n    def parsedHeaders(self, v): pass\n",
    ),
    (
        "a.ts",
        "import D, { a as b } from './c';\nexport * from '../d';\nexport interface I { m(): void }\n/** Doc. */\nexport default class C<T> extends D {\n  private x = 1;\n  get size(): number { return b(this.x); }\n}\nexport const f = async (v: number) => v + 1;\nenum E { A }\ntype T = string;\nnamespace N { export function g() {} }\n",
    ),
    (
        "a.jsx",
        "const r = require('r');\nfunction View({ a }) { return <p>{a}</p>; }\nmodule.exports = { View };\n",
    ),
    (
        "a.rs",
        "//! Doc.\nuse a::{b as c, d::*};\nmod inner;\n/// Of S.\n#[derive(Debug)]\npub struct S<T> { f: T }\nimpl<T> Display for S<T> {\n    fn fmt(&self) -> R { c(self.f) }\n}\ntrait Tr { fn m(&self) {} }\nenum E { A }\nconst K: u8 = 1;\nmacro_rules! m { () => {} }\nmod tests { fn t() {} }\n",
    ),
    (
        "a.go",
        "package p\n\nimport (\n\tx \"a/b\"\n\t. \"c\"\n)\n\n// S is.\ntype S struct{ f int }\n\nfunc (s *S) M(a int) int { return x.F(s.f) }\n\nvar V, W = 1, 2\n\nfunc f() {}\n",
    ),
    (
        "A.java",
        "package a.b;\nimport c.D;\nimport static e.F.*;\n/** Doc. */\n@Ann\npublic class A<T> extends D {\n  int x = 1;\n  A() {}\n  int m(int v) { return new D().n(x); }\n  enum E { Q }\n  interface I { void k(); }\n  record R(int a) {}\n}\n",
    ),
    ("notes.md", "HTTPServer parses headers; see `utf8_names` and \"an invoice was never sent\".\n"),
];

/// The format, and what this program makes of some samples. A grammar, a query or a rule for words that changes
/// records changes it, without anybody having to think of it; what no sample shows needs a new [`FORMAT`].
pub(super) static VERSION: LazyLock<u32> = LazyLock::new(|| {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&FORMAT.to_le_bytes());
    let mut maker = Maker::default();
    for (path, text) in SAMPLES {
        if let Ok(path) = path.parse::<RepoPath>() {
            let content: Content = maker.make(&path, text.as_bytes().to_vec());
            hash.update(&postcard::to_stdvec(&content).unwrap_or_default());
        }
    }
    hash.finalize()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_read_in_its_language() {
        for (path, text) in SAMPLES {
            let path: RepoPath = path.parse().expect("a path");
            let outline = toryo_code::outline(&path, text);
            assert_eq!(outline.symbols.is_empty(), toryo_code::language_name(&path).is_none(), "{path}");
        }
    }
}
