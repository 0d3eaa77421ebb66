//! Awkward places: each edit with the whole text that it makes.

use crate::{at, edit, operate};
use serde_json::{Value, json};

/// One edit of one text: what it is, the text, the edit type, the locator, the patch, the text after.
type Case = (&'static str, &'static str, &'static str, Value, Value, &'static str);

fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (name, before, edit_type, locator, patch, after) in cases {
        let got = edit(before, edit_type, locator.clone(), patch.clone());
        if got != *after {
            wrong.push(format!("{name}:\n{got}\nbut expected:\n{after}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

fn below(first: u32, last: u32) -> Value {
    json!({"line_range": [first, last], "position": "after"})
}

#[test]
fn lines_are_added_below_statements_of_several_lines() {
    let cases: Vec<Case> = vec![
        (
            "a continuation line in brackets",
            "def f():\n    if x:\n        raise E('%s' %\n                (n))\n    return 1\n",
            "insert",
            below(3, 4),
            json!("log()"),
            "def f():\n    if x:\n        raise E('%s' %\n                (n))\n        log()\n    return 1\n",
        ),
        (
            "only the last of its lines",
            "def f():\n    g(a,\n      b)\n    return 1\n",
            "insert",
            below(3, 3),
            json!("log()"),
            "def f():\n    g(a,\n      b)\n    log()\n    return 1\n",
        ),
        (
            "a closing bracket further out",
            "if x:\n    y = [\n        1,\n    ]\nz = 1\n",
            "insert",
            below(2, 4),
            json!("if y:\n    log()"),
            "if x:\n    y = [\n        1,\n    ]\n    if y:\n        log()\nz = 1\n",
        ),
        (
            "a backslash",
            "def f():\n\ta = 1 + \\\n  2\n\treturn a\n",
            "insert",
            below(2, 3),
            json!("log()"),
            "def f():\n\ta = 1 + \\\n  2\n\tlog()\n\treturn a\n",
        ),
        (
            "a string of several lines",
            "def f():\n    s = '''\nraw\n'''\n    return s\n",
            "insert",
            below(2, 4),
            json!("log()"),
            "def f():\n    s = '''\nraw\n'''\n    log()\n    return s\n",
        ),
        (
            "a header of several lines",
            "if (a and\n        b):\n    c()\n",
            "insert",
            below(1, 2),
            json!("log()"),
            "if (a and\n        b):\n    log()\n    c()\n",
        ),
    ];
    check(&cases);
}

#[test]
fn decorators_with_comments_are_known_by_their_names() {
    let text = "@one  # why\n@two.three(1)  # (x)\ndef f():\n    pass\n";
    let remove = |name: &str| operate(text, "f", json!([{"op": "remove_decorator", "name": name}]));
    assert_eq!(remove("one"), text.replace("@one  # why\n", ""));
    assert_eq!(remove("@two.three"), text.replace("@two.three(1)  # (x)\n", ""));
    assert_eq!(operate(text, "f", json!([{"op": "add_decorator", "text": "@one"}])), text);
}

#[test]
fn a_rename_follows_names_into_what_is_evaluated_outside() {
    let rename = |text: &str, symbol: &str| operate(text, symbol, json!([{"op": "rename", "to": "new"}]));
    for (name, text, after) in [
        (
            "a default of a parameter of one name",
            "def old(): pass\ndef f(a, old=old): return old\ng = lambda old=old: old\n",
            "def new(): pass\ndef f(a, old=new): return old\ng = lambda old=new: old\n",
        ),
        (
            "annotations",
            "class old: pass\ndef f(old: old, b: 'x' = 1) -> old: return old\n",
            "class new: pass\ndef f(old: new, b: 'x' = 1) -> new: return old\n",
        ),
        (
            "the first iterable of a comprehension",
            "def old(): pass\nx = [old for old in old() if old for y in old]\n",
            "def new(): pass\nx = [old for old in new() if old for y in old]\n",
        ),
        (
            "bases of a class that binds the name",
            "class old: pass\nclass B(old, m=old):\n    old = 1\n    y = old\n",
            "class new: pass\nclass B(new, m=new):\n    old = 1\n    y = old\n",
        ),
        (
            "a walrus in a comprehension binds outside of it",
            "def old(): pass\ndef f():\n    [old := x for x in y]\n    return old\nz = old\n",
            "def new(): pass\ndef f():\n    [old := x for x in y]\n    return old\nz = new\n",
        ),
    ] {
        assert_eq!(rename(text, "old"), after, "{name}");
    }
    let class = "class A:\n    old = 1\n\n    def f(self, a=old, *, b: old = 2):\n        return old\n";
    assert_eq!(
        rename(class, "A.old"),
        class.replace("old = 1", "new = 1").replace("a=old", "a=new").replace(": old", ": new")
    );
}

#[test]
fn statements_behind_a_line_that_goes_on_and_behind_docstrings() {
    let insert = |before: &str, position: &str| edit(before, "insert", at("f", position), "z()");
    let continued = "def f(): \\\n  pass\n";
    assert_eq!(insert(continued, "body_start"), "def f():\n  z()\n  pass\n");
    assert_eq!(insert(continued, "body_end"), "def f():\n  pass\n  z()\n");
    assert_eq!(insert("def f(): 'Doc.'\n", "body_start"), "def f():\n    'Doc.'\n    z()\n");
    for shared in ["def f(): 'Doc.'; x = 1\n", "def f():\n    'Doc.'; x = 1\n"] {
        assert!(insert(shared, "body_start").contains("the docstring shares its line with statements"));
    }
    let fed = "class A:\n    x = 1\n\n\x0c    def f(self):\n        pass\n";
    let wrapped = operate(fed, "A.f", json!([{"op": "wrap", "before": "if x:", "after": ""}]));
    assert_eq!(wrapped, "class A:\n    x = 1\n\n    if x:\n\x0c        def f(self):\n            pass\n");
}

/// Files of awkward definitions; CPython's parser reads each of them.
const FILES: [(&str, &str); 15] = [
    ("comments", include_str!("awkward/comments.py")),
    ("continued", include_str!("awkward/continued.py")),
    ("crlf", include_str!("awkward/crlf.py")),
    ("decorated", include_str!("awkward/decorated.py")),
    ("documented", include_str!("awkward/documented.py")),
    ("form_feed", include_str!("awkward/form_feed.py")),
    ("generics", include_str!("awkward/generics.py")),
    ("nested", include_str!("awkward/nested.py")),
    ("one_line", include_str!("awkward/one_line.py")),
    ("open_end", include_str!("awkward/open_end.py")),
    ("overloads", include_str!("awkward/overloads.py")),
    ("properties", include_str!("awkward/properties.py")),
    ("semicolons", include_str!("awkward/semicolons.py")),
    ("strings", include_str!("awkward/strings.py")),
    ("tabs", include_str!("awkward/tabs.py")),
];

/// Every way to change a definition, each with a name.
fn ways(symbol: &str, is_class: bool) -> Vec<(&'static str, &'static str, Value, Value)> {
    let here = json!({"symbol": symbol});
    let text = "z = [\n    1,  # z\n]\n";
    let definition = "def new(a):\n    # new\n    return a\n";
    let signature = if is_class { "class Z(Y, m=1)" } else { "async def z(a, *, b: int = 3) -> int" };
    let one = |operation: Value| json!([operation]);
    vec![
        ("delete", "delete", here.clone(), Value::Null),
        ("replace", "replace", here.clone(), json!(definition)),
        ("insert before", "insert", at(symbol, "before"), json!(definition)),
        ("insert after", "insert", at(symbol, "after"), json!(definition)),
        ("insert at the body's start", "insert", at(symbol, "body_start"), json!(text)),
        ("insert at the body's end", "insert", at(symbol, "body_end"), json!(text)),
        ("replace the body", "ast_patch", here.clone(), one(json!({"op": "replace_body", "text": text}))),
        (
            "set the signature",
            "ast_patch",
            here.clone(),
            one(json!({"op": "set_signature", "text": signature})),
        ),
        ("add a decorator", "ast_patch", here.clone(), one(json!({"op": "add_decorator", "text": "z.d(1)"}))),
        (
            "set the docstring",
            "ast_patch",
            here.clone(),
            one(json!({"op": "set_docstring", "text": "Z.\n\nMore."})),
        ),
        ("wrap", "ast_patch", here.clone(), one(json!({"op": "wrap", "before": "if z:", "after": ""}))),
        ("rename", "ast_patch", here, one(json!({"op": "rename", "to": "zz"}))),
    ]
}

#[test]
fn every_edit_of_awkward_definitions() {
    let path = "a.py".parse().expect("a path");
    for (name, before) in FILES {
        let symbols = toryo_code::outline(&path, before.trim_start_matches('\u{feff}')).symbols;
        let mut shown = String::new();
        for symbol in symbols.iter().filter(|symbol| symbol.body.is_some()) {
            let twin = symbols.iter().any(|other| other.path == format!("{}[2]", symbol.path));
            let own = if twin { format!("{}[1]", symbol.path) } else { symbol.path.clone() };
            let is_class = symbol.kind == toryo_code::SymbolKind::Class;
            for (way, edit_type, locator, patch) in ways(&own, is_class) {
                let after = edit(before, edit_type, locator, patch);
                let diff = toryo_code::diff::unified(&path, Some(before.as_bytes()), Some(after.as_bytes()));
                let lines =
                    diff.lines().skip(3).map(|line| line.replace('\r', "␍").replace('\x0c', "␌") + "\n");
                let diff: String = if after.starts_with("refused") { after } else { lines.collect() };
                shown += &format!("=== {own}: {way}\n{diff}");
            }
        }
        insta::assert_snapshot!(name, shown);
    }
}
