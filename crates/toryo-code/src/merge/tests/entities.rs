//! Merges of entities.

use crate::merge::*;

/// Merges `//- base`, `//- ours` and `//- theirs`; gives the text or the conflict's.
fn check(versions: &str) -> String {
    let part = |name: &str| {
        let from = versions.find(&format!("//- {name}\n")).expect("the version") + name.len() + 5;
        versions[from..].split("//- ").next().expect("a text").as_bytes()
    };
    let path = "a.py".parse().expect("a path");
    match merge(&path, Some(part("base")), Some(part("ours")), Some(part("theirs"))) {
        Ok(merged) => String::from_utf8(merged.expect("a file")).expect("UTF-8"),
        Err(conflict) => conflict.to_string(),
    }
}

#[test]
fn methods_added_at_one_place_stand_one_after_the_other() {
    let merged = check(
        "//- base\nclass A:\n    def a(self):\n        return 1\n\n//- ours\nclass A:\n    def a(self):\n        return 1\n\n    def b(self):\n        return 2\n\n//- theirs\nclass A:\n    def a(self):\n        return 1\n\n    def c(self):\n        return 3\n\n",
    );
    assert_eq!(
        merged,
        "class A:\n    def a(self):\n        return 1\n\n    def b(self):\n        return 2\n\n    def c(self):\n        return 3\n\n"
    );
}

#[test]
fn tests_added_at_the_end_stand_one_after_the_other() {
    let base = "def test_a():\n    assert a()\n";
    let ours = format!("{base}\n\ndef test_b():\n    assert b()\n");
    let theirs = format!("{base}\n\n@mark\ndef test_c():\n    assert c()\n");
    let merged = check(&format!("//- base\n{base}//- ours\n{ours}//- theirs\n{theirs}"));
    assert_eq!(merged, format!("{ours}\n\n@mark\ndef test_c():\n    assert c()\n"));
}

#[test]
fn imports_are_merged_as_sets() {
    let merged = check(
        "//- base\nimport os\nfrom m import a\nx = 1\n//- ours\nimport os\nimport re\nfrom m import a, b\nx = 1\n//- theirs\nimport os\nimport json\nimport re\nfrom m import a, c\nx = 1\n",
    );
    assert_eq!(merged, "import os\nimport re\nimport json\nfrom m import a, b, c\nx = 1\n");
}

#[test]
fn definitions_next_to_each_other_are_apart_whatever_number_of_names_they_have() {
    let merged = check(
        "//- base\nleft, right = 1, 2\nfirst = second = 0\nLAST = 3\n//- ours\nfirst = second = 0\nLAST = 3\n//- theirs\nleft, right = 1, 2\nLAST = 3\n",
    );
    assert_eq!(merged, "LAST = 3\n");
}

#[test]
fn what_cannot_stand_together_is_a_conflict() {
    let base = "def f():\n    return 1\n";
    let same = check(&format!(
        "//- base\n{base}//- ours\ndef f():\n    return 2\n//- theirs\ndef f():\n    return 3\n"
    ));
    assert_eq!(same, "two changes of a.py conflict; at line 2: both sides changed the same lines");
    let twice = check(&format!(
        "//- base\n{base}//- ours\n{base}\n\ndef g():\n    a()\n//- theirs\n{base}\n\ndef g():\n    b()\n"
    ));
    assert!(twice.contains("conflict"), "{twice}");
    let statements = check(
        "//- base\ndef f():\n    a()\n    z()\n//- ours\ndef f():\n    a()\n    b()\n    z()\n//- theirs\ndef f():\n    a()\n    c()\n    z()\n",
    );
    assert_eq!(statements, "two changes of a.py conflict; at line 3: both sides changed the same lines");
}

/// Merges what two sides insert into a base at one line, each given as `line: text`.
fn both(base: &str, line: usize, ours: &str, theirs: &str) -> String {
    let with = |text: &str| {
        let mut lines: Vec<&str> = base.split_inclusive('\n').collect();
        lines.insert(line, text);
        lines.concat()
    };
    check(&format!("//- base\n{base}//- ours\n{}//- theirs\n{}", with(ours), with(theirs)))
}

#[test]
fn only_statements_of_modules_and_classes_are_joined() {
    let base = "import os\nsetup(\n    a,\n)\nclass A:\n    x = 1\n    def f(self):\n        a()\n\nif os:\n    b()\n";
    let joined = |line, ours: &str, theirs: &str| !both(base, line, ours, theirs).contains("conflict");
    assert!(joined(1, "X = 1\n", "Y = 2\n"));
    assert!(joined(6, "    y = 1\n", "    z = 1\n"));
    assert!(joined(8, "    y = 1\n", "    def g(self): ...\n"));
    assert!(joined(11, "def g(): ...\n", "def h(): ...\n"));
    assert!(joined(11, "def g(): ...\n", "X = 1\n"));
    assert!(!joined(3, "    b,\n", "    c,\n"));
    assert!(!joined(8, "        b()\n", "        c()\n"));
    assert!(joined(8, "        b()\n", "    def g(self): ...\n"));
    assert!(!joined(11, "    c()\n", "    d()\n"));
    assert!(!joined(7, "        c()\n", "        d()\n"));
}

#[test]
fn a_new_method_beside_a_changed_one_is_merged() {
    let base = "class A:\n    def f(self): return 1\n    def g(self): return 2\n";
    let ours = base.replace("    def g", "    def new(self): return 0\n    def g");
    let theirs = base.replace("return 2", "return 3");
    let merged = check(&format!("//- base\n{base}//- ours\n{ours}//- theirs\n{theirs}"));
    assert_eq!(merged, ours.replace("return 2", "return 3"));
    let (one, other) = (base.replace("return 1", "return 7"), theirs);
    let merged = check(&format!("//- base\n{base}//- ours\n{one}//- theirs\n{other}"));
    assert_eq!(merged, one.replace("return 2", "return 3"));
}

/// Merges three texts of a file; the text or the conflict's.
fn three(path: &str, base: &str, ours: &str, theirs: &str) -> String {
    let path = path.parse().expect("a path");
    let bytes = |text: &str| text.as_bytes().to_vec();
    match merge(&path, Some(&bytes(base)), Some(&bytes(ours)), Some(&bytes(theirs))) {
        Ok(merged) => String::from_utf8(merged.expect("a file")).expect("UTF-8"),
        Err(conflict) => conflict.to_string(),
    }
}

/// The text with each replacement made once.
fn with(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

/// Both sides' changes of a text merge to both changes.
fn both_stand(path: &str, base: &str, ours: &[(&str, &str)], theirs: &[(&str, &str)]) {
    let merged = three(path, base, &with(base, ours), &with(base, theirs));
    assert_eq!(merged, with(&with(base, ours), theirs), "{path}");
    let other = three(path, base, &with(base, theirs), &with(base, ours));
    assert!(!other.contains("conflict"), "{path}: {other}");
}

const SHOP: &str = "\"\"\"Shop.\"\"\"\nimport os\nimport sys\nfrom typing import Any\n\n\nclass Shop:\n    \"\"\"Sells.\"\"\"\n    limit = 1\n    # buys\n    def buy(self):\n        return 1\n    @property\n    def price(self): return self._price\n    @price.setter\n    def price(self, value): self._price = value\n    class Item:\n        def name(self): return 'a'\n        def size(self): return 1\n\n\ndef main():\n    shop = Shop()\n    return shop\n";

#[test]
fn different_methods_of_a_class_do_not_conflict() {
    both_stand(
        "a.py",
        SHOP,
        &[("        return 1\n", "        return 2\n")],
        &[("return self._price", "return self._price + 1")],
    );
    both_stand(
        "a.py",
        SHOP,
        &[("self): return self._price", "self) -> int: return self._price")],
        &[("self, value): self._price = value", "self, value): self._price = int(value)")],
    );
    both_stand(
        "a.py",
        SHOP,
        &[("limit = 1", "limit = 2")],
        &[("# buys\n    def buy(self):", "# buys\n    @cached\n    def buy(self):")],
    );
    both_stand("a.py", SHOP, &[("return 'a'", "return 'b'")], &[("return 1\n\n\n", "return 2\n\n\n")]);
    both_stand(
        "a.py",
        SHOP,
        &[("def buy(self):", "def buy(self, count):")],
        &[("        return 1\n", "        return 1 + 1\n")],
    );
    both_stand(
        "a.py",
        SHOP,
        &[("    # buys\n", "    # buys things\n")],
        &[("def buy(self):", "def buy(self, count):")],
    );
}

#[test]
fn one_side_adds_beside_what_the_other_one_changes_or_removes() {
    let added = "    def sell(self):\n        return 3\n";
    let add = |before: &str| (before.to_owned(), format!("{added}{before}"));
    let (from, to) = add("    # buys\n");
    both_stand("a.py", SHOP, &[(&from, &to)], &[("        return 1\n", "        return 2\n")]);
    both_stand("a.py", SHOP, &[(&from, &to)], &[("    limit = 1\n", "    limit = 2\n")]);
    both_stand(
        "a.py",
        SHOP,
        &[(
            "        return 1\n    @property",
            "        return 1\n    def sell(self): return 3\n    @property",
        )],
        &[("    def buy(self):\n        return 1\n", "    def buy(self):\n        return 2\n")],
    );
    both_stand(
        "a.py",
        SHOP,
        &[(
            "        return 1\n    @property",
            "        return 1\n    def sell(self): return 3\n    @property",
        )],
        &[("    # buys\n    def buy(self):\n        return 1\n", "")],
    );
    both_stand(
        "a.py",
        SHOP,
        &[("    return shop\n", "    return shop\n\n\ndef new():\n    pass\n")],
        &[("    return shop\n", "    return shop.buy()\n")],
    );
}

#[test]
fn what_both_add_stands_once() {
    let both = "    def sell(self):\n        return 3\n";
    let ours = with(
        SHOP,
        &[("    # buys\n", &format!("{both}    # buys\n")), ("import sys\n", "import re\nimport sys\n")],
    );
    let theirs = with(
        SHOP,
        &[
            ("    class Item:\n", &format!("{both}    class Item:\n")),
            ("from typing", "import re\nfrom typing"),
        ],
    );
    assert_eq!(three("a.py", SHOP, &ours, &theirs), ours);
    let other = with(&theirs, &[("return 3", "return 4")]);
    let conflict = three("a.py", SHOP, &ours, &other);
    assert!(conflict.contains("both sides added a definition of one name"), "{conflict}");
}

#[test]
fn a_renamed_definition_takes_the_other_sides_changes() {
    let ours = with(SHOP, &[("def buy(self)", "def purchase(self)")]);
    let theirs = with(SHOP, &[("        return 1\n", "        return 2\n")]);
    let merged = with(&theirs, &[("def buy(self)", "def purchase(self)")]);
    assert_eq!(three("a.py", SHOP, &ours, &theirs), merged);
    assert_eq!(three("a.py", SHOP, &theirs, &ours), merged);
    let theirs = with(SHOP, &[("def buy(self)", "def acquire(self)")]);
    assert!(three("a.py", SHOP, &ours, &theirs).contains("conflict"));
}

#[test]
fn what_one_removes_and_the_other_changes_is_a_conflict_with_the_text() {
    let path = "a.py".parse().expect("a path");
    let removed = with(SHOP, &[("    # buys\n    def buy(self):\n        return 1\n", "")]);
    let changed = with(SHOP, &[("        return 1\n", "        return 2\n")]);
    let conflict = merge(&path, Some(SHOP.as_bytes()), Some(removed.as_bytes()), Some(changed.as_bytes()));
    let clash = Clash {
        line: 10,
        reason: "our side removed what their side changed",
        ours: None,
        theirs: Some("    # buys\n    def buy(self):\n        return 2\n".into()),
    };
    assert_eq!(conflict.expect_err("a conflict").places, [clash]);
    let conflict = merge(&path, Some(SHOP.as_bytes()), Some(changed.as_bytes()), Some(removed.as_bytes()));
    assert_eq!(
        conflict.expect_err("a conflict").places[0].reason,
        "their side removed what our side changed"
    );
}

#[test]
fn a_new_use_of_what_the_other_side_removed_is_a_conflict() {
    let ours = with(SHOP, &[("import os\n", "")]);
    let theirs = with(SHOP, &[("    return shop\n", "    return os.path\n")]);
    assert!(three("a.py", SHOP, &ours, &theirs).contains("one side uses what the other side removed"));
    let ours = with(SHOP, &[("def main()", "def run()")]);
    let theirs = with(SHOP, &[("        return 1\n", "        return main()\n")]);
    assert!(three("a.py", SHOP, &ours, &theirs).contains("one side uses what the other side removed"));
}

#[test]
fn imports_are_merged_in_order_and_without_doubles() {
    let merged = |base: &str, ours: &str, theirs: &str| three("a.py", base, ours, theirs);
    assert_eq!(
        merged("import a\nimport z\n", "import a\nimport m\nimport z\n", "import a\nimport c\nimport z\n"),
        "import a\nimport c\nimport m\nimport z\n"
    );
    assert_eq!(
        merged("from m import b\n", "from m import a, b\n", "from m import b, c\n"),
        "from m import a, b, c\n"
    );
    assert_eq!(
        merged("from m import b, x\n", "from m import b\n", "from m import b, c, x\n"),
        "from m import b, c\n"
    );
    let (base, ours, theirs) = (
        "from m import (\n    b,\n    z,\n)\n",
        "from m import (\n    b,\n    c,\n    z,\n)\n",
        "from m import (\n    a,\n    b,\n    d,\n    z,\n)\n",
    );
    assert_eq!(merged(base, ours, theirs), "from m import (\n    a,\n    b,\n    c,\n    d,\n    z,\n)\n");
    assert_eq!(
        merged("x = 1\n", "from m import a\nx = 1\n", "from m import b\nx = 1\n"),
        "from m import a, b\nx = 1\n"
    );
    assert_eq!(
        merged(
            "import abc\r\nx = 1\r\n",
            "import abc\r\nimport re\r\nx = 1\r\n",
            "import abc\r\nimport io\r\nx = 1\r\n"
        ),
        "import abc\r\nimport io\r\nimport re\r\nx = 1\r\n"
    );
    let rust = |ours: &str, theirs: &str| three("a.rs", "use a::{b};\nuse c::d;\n", ours, theirs);
    assert_eq!(
        rust("use a::{b, x};\nuse c::d;\n", "use a::{b, y};\nuse c::d;\nuse c::e;\n"),
        "use a::{b, x, y};\nuse c::d;\nuse c::e;\n"
    );
    let js = "import { a, b } from 'm';\nimport c from 'n';\n";
    assert_eq!(
        three("a.ts", js, &with(js, &[("a, b", "a, b, d")]), &with(js, &[("a, b", "a, b, e")])),
        with(js, &[("a, b", "a, b, d, e")])
    );
    let go = "package p\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n";
    assert_eq!(
        three(
            "a.go",
            go,
            &with(go, &[("\t\"os\"\n", "\t\"io\"\n\t\"os\"\n")]),
            &with(go, &[("\t\"os\"\n", "\t\"net\"\n\t\"os\"\n")])
        ),
        with(go, &[("\t\"os\"\n", "\t\"io\"\n\t\"net\"\n\t\"os\"\n")])
    );
}

#[test]
fn entities_of_other_languages_are_merged() {
    let java = "package p;\n\nclass A {\n    int x = 1;\n    /** Says. */\n    int f() {\n        return 1;\n    }\n    int g(int a) { return a; }\n    int g(String a) { return 0; }\n}\n";
    both_stand(
        "A.java",
        java,
        &[("        return 1;", "        return 2;")],
        &[("    int g(int a) { return a; }", "    int g(int a) { return a + 1; }")],
    );
    both_stand("A.java", java, &[("    /** Says. */", "    /** Says it. */")], &[("int x = 1", "int x = 2")]);
    both_stand(
        "A.java",
        java,
        &[("    int g(String", "    int h() { return 1; }\n    int g(String")],
        &[("return 0", "return 7")],
    );
    let ts = "export class A {\n  @Input() x = 1;\n  f(): number { return 1; }\n  g(): number { return 2; }\n}\n\nexport function h() {\n  return 1;\n}\nexport const k = () => 1;\n";
    both_stand("a.ts", ts, &[("return 1; }", "return 3; }")], &[("return 2; }", "return 4; }")]);
    both_stand(
        "a.ts",
        ts,
        &[("export const k = () => 1", "export const k = () => 2")],
        &[("  return 1;\n}\nexport const", "  return 5;\n}\nexport const")],
    );
    let rust = "struct A {\n    x: u8,\n}\n\nimpl A {\n    /// Makes.\n    fn new() -> Self { Self { x: 1 } }\n    #[inline]\n    fn x(&self) -> u8 { self.x }\n}\n\n#[cfg(test)]\nmod tests {\n    fn a() {}\n    fn b() {}\n}\n";
    both_stand("a.rs", rust, &[("x: 1 }", "x: 2 }")], &[("{ self.x }", "{ self.x + 1 }")]);
    both_stand(
        "a.rs",
        rust,
        &[("    fn a() {}\n", "    fn a() { b() }\n")],
        &[("    fn b() {}\n", "    fn b() {}\n    fn c() {}\n")],
    );
    both_stand(
        "a.rs",
        rust,
        &[("    #[inline]\n", "    #[inline]\n    #[must_use]\n")],
        &[("    /// Makes.\n", "    /// Makes one.\n")],
    );
    let go = "package p\n\nfunc (a *A) F() int {\n\treturn 1\n}\nfunc (b *B) F() int {\n\treturn 2\n}\n\nvar x = 1\n";
    both_stand(
        "a.go",
        go,
        &[("return 1\n}", "return 3\n}")],
        &[("func (b *B) F() int {", "func (b *B) F() (n int) {")],
    );
    both_stand(
        "a.go",
        go,
        &[("var x = 1\n", "var x = 1\n\nfunc a() {}\n")],
        &[("\treturn 2\n", "\treturn 4\n")],
    );
}

#[test]
fn new_definitions_of_both_sides_are_set_apart() {
    let base = "def a():\n    pass\n";
    let ours = format!("{base}\n\ndef b():\n    pass\n");
    let theirs = format!("{base}\n\ndef c():\n    pass\n");
    assert_eq!(three("a.py", base, &ours, &theirs), format!("{ours}\n\ndef c():\n    pass\n"));
    let base = "class A:\n    def z(self): pass\n";
    let add = |name: &str| with(base, &[("    def z", &format!("    def {name}(self): pass\n\n    def z"))]);
    assert_eq!(
        three("a.py", base, &add("b"), &add("c")),
        "class A:\n    def b(self): pass\n\n    def c(self): pass\n\n    def z(self): pass\n"
    );
}

#[test]
fn other_encodings_are_merged_by_entity_too() {
    let path = "a.py".parse().expect("a path");
    let file = |a: &[u8], b: &[u8]| {
        [
            b"# coding: shift_jis\nclass A:\n    def f(self): return '".as_slice(),
            a,
            b"'\n    def g(self): return '",
            b,
            b"'\n",
        ]
        .concat()
    };
    let (one, two) = (b"\x83\x5c".as_slice(), b"\x95\x5c".as_slice());
    let merged = merge(&path, Some(&file(one, one)), Some(&file(two, one)), Some(&file(one, two)));
    assert_eq!(merged, Ok(Some(file(two, two))));
}
