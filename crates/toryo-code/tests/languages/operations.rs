//! Operations on definitions in braces, one language after the other.

use crate::change;
use serde_json::{Value, json};

/// The text after operations on a symbol of a file.
fn operate(path: &str, before: &str, symbol: &str, operations: Value) -> String {
    change(path, before, "ast_patch", json!({"symbol": symbol}), operations)
}

fn sign(path: &str, before: &str, symbol: &str, text: &str) -> String {
    operate(path, before, symbol, json!([{"op": "set_signature", "text": text}]))
}

fn body(path: &str, before: &str, symbol: &str, text: &str) -> String {
    operate(path, before, symbol, json!([{"op": "replace_body", "text": text}]))
}

fn decorate(path: &str, before: &str, symbol: &str, text: &str) -> String {
    operate(path, before, symbol, json!([{"op": "add_decorator", "text": text}]))
}

fn undecorate(path: &str, before: &str, symbol: &str, name: &str) -> String {
    operate(path, before, symbol, json!([{"op": "remove_decorator", "name": name}]))
}

fn document(path: &str, before: &str, symbol: &str, text: &str) -> String {
    operate(path, before, symbol, json!([{"op": "set_docstring", "text": text}]))
}

fn rename(path: &str, before: &str, symbol: &str) -> String {
    operate(path, before, symbol, json!([{"op": "rename", "to": "fresh"}]))
}

fn import(path: &str, before: &str, text: &str) -> String {
    change(
        path,
        before,
        "ast_patch",
        json!({"whole_file": true}),
        json!([{"op": "add_import", "text": text}]),
    )
}

#[test]
fn what_follows_a_last_expression_in_rust_does_not_change_the_functions_value() {
    let below = |before: &str| {
        change("a.rs", before, "insert", json!({"symbol": "f", "position": "body_end"}), json!("log();"))
    };
    for (before, after) in [
        ("fn f() {\n    g()\n}\n", "fn f() {\n    g();\n    log();\n}\n"),
        ("fn f() {\n    g() // last\n}\n", "fn f() {\n    g(); // last\n    log();\n}\n"),
        ("fn f() { g() }\n", "fn f() {\n    g();\n    log();\n}\n"),
        ("fn f() {\n    if a { b() }\n}\n", "fn f() {\n    if a { b() }\n    log();\n}\n"),
        ("fn f() -> u8 {\n    return 1;\n}\n", "fn f() -> u8 {\n    return 1;\n    log();\n}\n"),
        ("fn f() -> u8 {\n    fn g() {}\n}\n", "fn f() -> u8 {\n    fn g() {}\n    log();\n}\n"),
        ("fn f() {}\n", "fn f() {\n    log();\n}\n"),
    ] {
        assert_eq!(below(before), after);
    }
    let value = "refused: the body of `f` ends with its value; insert above that by line_range, or give the whole body by replace_body. Nothing was applied.";
    for body in [
        "1",
        "g();\n    x // value",
        "if a { 1 } else { 2 }",
        "loop { break 1 }",
        "vec![1]",
        "match a { _ => 1 }",
    ] {
        assert_eq!(below(&format!("fn f() -> u8 {{\n    {body}\n}}\n")), value, "{body}");
    }
}

#[test]
fn bodies_are_replaced_with_and_without_braces() {
    let f = "function f(a) { // header\n  old();\n  // tail\n}\n";
    let new = "function f(a) { // header\n  if (a) {\n    b();\n  }\n}\n";
    for text in
        ["if (a) {\n  b();\n}", "{\n  if (a) {\n    b();\n  }\n}", "    if (a) {\n      b();\n    }\n"]
    {
        assert_eq!(body("a.js", f, "f", text), new, "{text}");
    }
    assert_eq!(body("a.js", "const f = (a) => a + 1;\n", "f", "a * 2"), "const f = (a) => a * 2;\n");
    assert_eq!(
        body("a.js", "const f = (a) => a + 1;\n", "f", "log();\nreturn a;"),
        "const f = (a) => {\n  log();\n  return a;\n};\n"
    );
    assert_eq!(body("a.rs", "fn f() -> u8 { 1 }\n", "f", "2"), "fn f() -> u8 {\n    2\n}\n");
    assert_eq!(
        body("a.go", "func f() {\n\treturn\n}\n", "f", "if a {\n    b()\n}\nreturn"),
        "func f() {\n\tif a {\n\t\tb()\n\t}\n\treturn\n}\n"
    );
    assert_eq!(
        body("A.java", "class A {\r\n  void f() {}\r\n}\r\n", "A.f", "g();"),
        "class A {\r\n  void f() {\r\n    g();\r\n  }\r\n}\r\n"
    );
    assert_eq!(
        body("A.java", "abstract class A { abstract void f(); }", "A.f", "g();"),
        "refused: `A.f` has no body. Nothing was applied."
    );
}

#[test]
fn signatures_are_replaced_alone() {
    let ts = "@Injectable()\nexport class A {\n  /** Doc. */\n  @Log()\n  async run(a: string): Promise<void> {\n    a;\n  }\n}\n";
    assert_eq!(
        sign("a.ts", ts, "A.run", "run(a: string, b = 1): void {"),
        ts.replace("async run(a: string): Promise<void>", "run(a: string, b = 1): void")
    );
    assert_eq!(sign("a.ts", ts, "A", "class A<T> extends B"), ts.replace("class A", "class A<T> extends B"));
    assert_eq!(sign("a.ts", ts, "A", "export class A<T>"), ts.replace("class A", "class A<T>"));
    let arrow = "export const f = (a) => {\n  a;\n};\n";
    assert_eq!(sign("a.js", arrow, "f", "const f = async (a, b) =>"), arrow.replace("(a)", "async (a, b)"));
    let trait_ = "trait T {\n    fn f(&self);\n    fn g(&self) {}\n}\n";
    assert_eq!(
        sign("a.rs", trait_, "T.f", "fn f(&mut self, n: usize) -> u8;"),
        trait_.replace("fn f(&self)", "fn f(&mut self, n: usize) -> u8")
    );
    assert_eq!(
        sign(
            "a.go",
            "type S struct{}\n\nfunc (s *S) F() {\n}\n",
            "S.F",
            "func (s *S) F(\n\tctx context.Context,\n) error"
        ),
        "type S struct{}\n\nfunc (s *S) F(\n\tctx context.Context,\n) error {\n}\n"
    );
    let java = "class A {\n    @Override public int f() { return 1; }\n}\n";
    assert_eq!(
        sign("A.java", java, "A.f", "protected int f() throws E"),
        java.replace("public int f()", "protected int f() throws E")
    );
    for bad in ["f(", "class B {} class A", "", "int f() { return 2; } int g()"] {
        let refused = sign("A.java", java, "A.f", bad);
        assert!(refused.starts_with("refused: "), "{bad}: {refused}");
    }
}

#[test]
fn decorators_annotations_and_attributes_are_added_once_and_removed_by_name() {
    let ts = "/** Doc. */\nexport class A {\n  @Log run() {}\n}\n";
    assert_eq!(decorate("a.ts", ts, "A", "Injectable()"), ts.replace("export", "@Injectable()\nexport"));
    assert_eq!(decorate("a.ts", ts, "A.run", "@Log"), ts);
    assert_eq!(undecorate("a.ts", ts, "A.run", "Log"), ts.replace("@Log ", ""));
    let rs = "/// Doc.\n#[derive(Debug)]\npub struct A;\n";
    assert_eq!(decorate("a.rs", rs, "A", "#[non_exhaustive]"), rs.replace("#[d", "#[non_exhaustive]\n#[d"));
    assert_eq!(decorate("a.rs", "/// Doc.\nfn f() {}\n", "f", "inline"), "/// Doc.\n#[inline]\nfn f() {}\n");
    assert_eq!(decorate("a.rs", rs, "A", "derive(Debug)"), rs);
    assert_eq!(undecorate("a.rs", rs, "A", "derive"), rs.replace("#[derive(Debug)]\n", ""));
    let java = "class A {\n    /** Doc. */\n    @Override\n    @Named(value = \"a\") public int f() { return 1; }\n}\n";
    assert_eq!(
        decorate("A.java", java, "A.f", "@Deprecated"),
        java.replace("@Override", "@Deprecated\n    @Override")
    );
    assert_eq!(undecorate("A.java", java, "A.f", "@Override"), java.replace("    @Override\n", ""));
    assert_eq!(undecorate("A.java", java, "A.f", "Named"), java.replace("@Named(value = \"a\") ", ""));
    assert_eq!(
        undecorate("A.java", java, "A.f", "Other"),
        "refused: no decorator is called `Other`; the decorators of `A.f`: Override, Named. Nothing was applied."
    );
    assert_eq!(
        decorate("a.go", "func f() {}\n", "f", "x"),
        "refused: Go has no decorators. Nothing was applied."
    );
}

#[test]
fn documentation_is_set_or_added_as_the_language_writes_it() {
    let two = "Sum.\n\nMore: */ end";
    assert_eq!(
        document("a.js", "export function f() {}\n", "f", "Sum."),
        "/** Sum. */\nexport function f() {}\n"
    );
    assert_eq!(
        document("a.ts", "class A {\n  @Log\n  f() {}\n}\n", "A.f", two),
        "class A {\n  /**\n   * Sum.\n   *\n   * More: *\\/ end\n   */\n  @Log\n  f() {}\n}\n"
    );
    assert_eq!(
        document("a.js", "/** Old. */\nfunction f() {}\n", "f", "/** New. */"),
        "/** New. */\nfunction f() {}\n"
    );
    assert_eq!(
        document("a.rs", "/// Old.\n///\n/// Older.\n#[inline]\nfn f() {}\n", "f", "New.\n\nMore."),
        "/// New.\n///\n/// More.\n#[inline]\nfn f() {}\n"
    );
    assert_eq!(
        document("a.rs", "impl A {\n    fn f() {}\n}\n", "A.f", "/// New."),
        "impl A {\n    /// New.\n    fn f() {}\n}\n"
    );
    assert_eq!(
        document("a.go", "// Old is old.\n// It is.\nfunc Old() {}\n", "Old", "Old is new."),
        "// Old is new.\nfunc Old() {}\n"
    );
    assert_eq!(
        document("A.java", "class A {\n\t@Override\n\tint f;\n}\n", "A.f", "A number."),
        "class A {\n\t/** A number. */\n\t@Override\n\tint f;\n}\n"
    );
}

#[test]
fn script_imports_find_their_block_and_are_not_doubled() {
    let head = "'use strict';\nimport React, { useState } from 'react';\nimport {\n  a,\n  b,\n} from './a';\nimport type { T } from './t';\n\nf();\n";
    let add = |text: &str| import("a.tsx", head, text);
    for present in [
        "import { useState } from \"react\"",
        "import React from 'react'",
        "import { a, b } from './a'",
        "import type { T } from './t'",
    ] {
        assert_eq!(add(present), head, "{present}");
    }
    assert_eq!(
        add("import { useMemo, useState } from 'react';"),
        head.replace("{ useState }", "{ useState, useMemo }")
    );
    assert_eq!(add("import { c as d } from './a';"), head.replace("  b,\n", "  b,\n  c as d,\n"));
    assert_eq!(add("import type { U } from './t';"), head.replace("{ T }", "{ T, U }"));
    assert_eq!(
        add("import { T } from './t';"),
        head.replace("from './t';\n", "from './t';\nimport { T } from './t';\n")
    );
    assert_eq!(
        add("import fs from 'node:fs';"),
        head.replace("'react';\n", "'react';\nimport fs from 'node:fs';\n")
    );
    assert_eq!(
        import("a.js", "#!/usr/bin/env node\n'use strict';\nf();\n", "import 'x';"),
        "#!/usr/bin/env node\n'use strict';\n\nimport 'x';\n\nf();\n"
    );
    assert_eq!(
        import("a.js", "f();\n", "import a from 'a';\nimport b from './b';"),
        "import a from 'a';\nimport b from './b';\n\nf();\n"
    );
    let cjs = "const fs = require('fs');\n\nmodule.exports = {};\n";
    assert_eq!(import("a.cjs", cjs, "const fs = require('fs');"), cjs);
    assert_eq!(
        import("a.cjs", cjs, "const path = require('path');"),
        cjs.replace("('fs');\n", "('fs');\nconst path = require('path');\n")
    );
    assert_eq!(
        import("a.js", "", "const x = 1;"),
        "refused: add_import takes import statements only. Nothing was applied."
    );
}

#[test]
fn rust_imports_find_their_block_and_are_not_doubled() {
    let head = "//! Doc.\n#![warn(x)]\n\nuse std::collections::HashMap;\nuse std::io::{self, Read};\n\nuse serde::Deserialize;\n\nuse crate::a::B;\n\nfn f() {}\n";
    let add = |text: &str| import("a.rs", head, text);
    for present in ["use std::io;", "use std::collections::HashMap", "use std::io::Read;", "use crate::a::B;"]
    {
        assert_eq!(add(present), head, "{present}");
    }
    assert_eq!(add("use std::io::{Read, Write};"), head.replace("{self, Read}", "{self, Read, Write}"));
    assert_eq!(add("use std::fmt;"), head.replace("Read};\n", "Read};\nuse std::fmt;\n"));
    assert_eq!(
        add("use serde_json::Value;"),
        head.replace("Deserialize;\n", "Deserialize;\nuse serde_json::Value;\n")
    );
    assert_eq!(add("use crate::a::C;"), head.replace("a::B;\n", "a::B;\nuse crate::a::C;\n"));
    assert_eq!(
        import("a.rs", "//! Doc.\n#![warn(x)]\n\nfn f() {}\n", "use std::fmt;"),
        "//! Doc.\n#![warn(x)]\n\nuse std::fmt;\n\nfn f() {}\n"
    );
    assert_eq!(
        import("a.rs", "#[cfg(x)]\nuse super::a;\n", "use std::fmt;"),
        "use std::fmt;\n#[cfg(x)]\nuse super::a;\n"
    );
}

#[test]
fn go_imports_find_their_block_and_are_not_doubled() {
    let head = "// Copyright.\n\n// Package a is a.\npackage a\n\nimport (\n\t\"context\"\n\t\"fmt\"\n\n\tlog \"example.org/log\"\n)\n\nfunc f() {}\n";
    let add = |text: &str| import("a.go", head, text);
    assert_eq!(add("import \"fmt\""), head);
    assert_eq!(add("\"os\""), head.replace("\t\"fmt\"\n", "\t\"fmt\"\n\t\"os\"\n"));
    assert_eq!(
        add("import (\n\t\"os\"\n\tx \"example.org/x\"\n)"),
        head.replace("\t\"fmt\"\n", "\t\"fmt\"\n\t\"os\"\n")
            .replace("log\"\n", "log\"\n\tx \"example.org/x\"\n")
    );
    assert_eq!(
        import("a.go", "package a\n\nimport \"fmt\"\n", "import \"os\""),
        "package a\n\nimport \"fmt\"\nimport \"os\"\n"
    );
    assert_eq!(
        import("a.go", "// Package a is a.\npackage a\n\nfunc f() {}\n", "\"os\""),
        "// Package a is a.\npackage a\n\nimport \"os\"\n\nfunc f() {}\n"
    );
}

#[test]
fn java_imports_find_their_block_and_are_not_doubled() {
    let head = "/* Copyright. */\npackage a.b;\n\nimport java.util.List;\nimport org.junit.Test;\n\nimport static org.junit.Assert.fail;\n\nclass A {}\n";
    let add = |text: &str| import("A.java", head, text);
    for present in ["import java.util.List;", "import static org.junit.Assert.fail"] {
        assert_eq!(add(present), head, "{present}");
    }
    assert_eq!(add("import java.util.Map;"), head.replace("List;\n", "List;\nimport java.util.Map;\n"));
    assert_eq!(add("import org.junit.Rule;"), head.replace("Test;\n", "Test;\nimport org.junit.Rule;\n"));
    assert_eq!(
        add("import static org.junit.Assert.*;"),
        head.replace("fail;\n", "fail;\nimport static org.junit.Assert.*;\n")
    );
    assert_eq!(
        import("A.java", "package a;\n\nclass A {}\n", "import java.util.List;"),
        "package a;\n\nimport java.util.List;\n\nclass A {}\n"
    );
}

#[test]
fn members_of_types_without_code_are_edited_by_their_symbols() {
    let replaced = |path: &str, before: &str, symbol: &str, text: &str| {
        change(path, before, "replace", json!({"symbol": symbol}), json!(text))
    };
    let rs = "pub struct A {\n    /// Doc.\n    pub a: u8,\n    b: u8,\n}\n\nenum E {\n    One,\n    Two { c: u8 },\n}\n";
    assert_eq!(replaced("a.rs", rs, "A.b", "b: u16,"), rs.replace("b: u8", "b: u16"));
    assert_eq!(replaced("a.rs", rs, "E.Two.c", "c: u16"), rs.replace("c: u8", "c: u16"));
    let without = change("a.rs", rs, "delete", json!({"symbol": "E.One"}), json!(""));
    assert_eq!(without, rs.replace("    One,\n", ""));
    let after = json!({"symbol": "A.a", "position": "after"});
    let with = change("a.rs", rs, "insert", after, json!("d: bool,"));
    assert_eq!(with, rs.replace("a: u8,\n", "a: u8,\n    d: bool,\n"));
    let ts = "enum E {\n  A,\n  B = 'b',\n}\ntype T = {\n  c?: string;\n};\n";
    assert_eq!(replaced("a.ts", ts, "E.A", "A = 1,"), ts.replace("A,", "A = 1,"));
    assert_eq!(replaced("a.ts", ts, "T.c", "c: number;"), ts.replace("c?: string", "c: number"));
}

#[test]
fn a_field_of_rust_leaves_its_name_to_the_method() {
    let rs = "struct A {\n    old: u8,\n    other: u8,\n}\nimpl A {\n    fn old(&self) -> u8 { fn inner() {} self.old }\n    fn f(&mut self) { self.other += self.old(); }\n}\n";
    let text = json!([{"op": "replace_body", "text": "1"}]);
    assert_eq!(
        operate("a.rs", rs, "A.old", text),
        rs.replace("{ fn inner() {} self.old }", "{\n        1\n    }")
    );
    let paths = toryo_code::outline(&"a.rs".parse().expect("a path"), rs).symbols;
    let paths: Vec<_> = paths.iter().map(|symbol| symbol.path.as_str()).collect();
    assert_eq!(paths, ["A", "A.old[2]", "A.other", "impl A", "A.old", "A.old.inner", "A.f"]);
    assert!(rename("a.rs", rs, "A.old").starts_with("refused: `old` is a field and a method"));
    assert_eq!(rename("a.rs", rs, "A.other"), rs.replace("other", "fresh"));
}

#[test]
fn a_rename_covers_the_definition_and_what_certainly_means_it() {
    let js = "export function old(a) { return old(a - 1); }\nfunction other(old) { return old; }\nconst x = { old: 1, y: old };\nfunction local() { const old = 1; return old + x.old; }\nfunction nested() { function old() {} return old(); }\nold();\n";
    assert_eq!(
        rename("a.js", js, "old"),
        "export function fresh(a) { return fresh(a - 1); }\nfunction other(old) { return old; }\nconst x = { old: 1, y: fresh };\nfunction local() { const old = 1; return old + x.old; }\nfunction nested() { function old() {} return old(); }\nfresh();\n"
    );
    let class = "class A {\n  old() { return this.old() + other.old() + old(); }\n  static s() { return A.old; }\n}\nclass B { old() { this.old(); } }\n";
    assert_eq!(
        rename("a.ts", class, "A.old"),
        class.replacen("old()", "fresh()", 2).replace("A.old", "A.fresh")
    );
    assert!(
        rename("a.js", "function old() {}\nf({ old });\n", "old")
            .starts_with("refused: `old` names a key and its value")
    );
    let rs = "struct A;\nimpl A {\n    fn old(&self) { self.old(); Self::old(self); other.old(); }\n}\nfn old() { A::old(&A); let old = 1; old; }\nfn g() { old(); match x { Some(old) => old, _ => old() } }\n";
    assert_eq!(
        rename("a.rs", rs, "A.old"),
        rs.replace(
            "fn old(&self) { self.old(); Self::old(self)",
            "fn fresh(&self) { self.fresh(); Self::fresh(self)"
        )
        .replace("A::old", "A::fresh")
    );
    assert_eq!(
        rename("a.rs", rs, "old"),
        rs.replace("fn old() {", "fn fresh() {")
            .replace("g() { old()", "g() { fresh()")
            .replace("_ => old()", "_ => fresh()")
    );
    let go = "type S struct{}\n\nfunc (s *S) Old() { s.Old(); t.Old() }\n\nfunc Old(Old2 int) { x := S{Old: 1}; y := map[F]int{Old: 1}; pkg.Old() }\n";
    assert_eq!(
        rename("a.go", go, "S.Old"),
        go.replace("func (s *S) Old() { s.Old()", "func (s *S) fresh() { s.fresh()")
    );
    assert_eq!(
        rename("a.go", go, "Old"),
        go.replace("func Old(", "func fresh(").replace("int{Old", "int{fresh")
    );
    let java = "class A {\n    int old;\n    A(int old) { this.old = old; }\n    int old() { return old + other.old; }\n    int g() { return old() + this.old() + b.old(); }\n}\n";
    assert_eq!(
        rename("A.java", java, "A.old[1]"),
        java.replace("int old;", "int fresh;")
            .replace("this.old =", "this.fresh =")
            .replace("return old +", "return fresh +")
    );
    assert_eq!(
        rename("A.java", java, "A.old[2]"),
        java.replace("int old()", "int fresh()")
            .replace("return old() + this.old()", "return fresh() + this.fresh()")
    );
}
