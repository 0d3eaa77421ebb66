//! Awkward places: each edit with the whole text that it makes.

use crate::{edit, operate};
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
