//! Operations on definitions.

use crate::{edit, operate};
use serde_json::json;

const F: &str = "@deco\ndef f(a):  # header\n    \"\"\"Doc.\"\"\"\n\n    # first\n    return a\n\n\nx = 1\n";

#[test]
fn a_body_is_replaced_and_its_docstring_stays() {
    let body = |text: &str| operate(F, "f", json!([{"op": "replace_body", "text": text}]));
    assert_eq!(body("return 2"), F.replace("    # first\n    return a", "    return 2"));
    assert_eq!(
        body("    if a:\n        return 2\n    return 3\n"),
        F.replace("    # first\n    return a", "    if a:\n        return 2\n    return 3")
    );
    assert_eq!(
        body("\"\"\"New.\"\"\"\nreturn 2"),
        "@deco\ndef f(a):  # header\n    \"\"\"New.\"\"\"\n    return 2\n\n\nx = 1\n"
    );
    let replace = |before: &str| operate(before, "f", json!([{"op": "replace_body", "text": "return 2"}]));
    assert_eq!(replace("def f(): return 1\n"), "def f():\n    return 2\n");
    assert_eq!(replace("def f():\n    'Doc.'\n"), "def f():\n    'Doc.'\n    return 2\n");
    assert_eq!(replace("def f():\r\n\treturn 1"), "def f():\r\n\treturn 2");
    assert_eq!(replace("def f():\n    # old\n    g()\n    # tail\n# x\n"), "def f():\n    return 2\n# x\n");
}

#[test]
fn a_signature_is_replaced_alone() {
    let sign = |text: &str| operate(F, "f", json!([{"op": "set_signature", "text": text}]));
    let header = |header: &str| F.replace("def f(a):", header);
    assert_eq!(sign("def f(a, b: int = 1) -> int:"), header("def f(a, b: int = 1) -> int:"));
    assert_eq!(sign("async def f(a)"), header("async def f(a):"));
    assert_eq!(sign("def f(\n    a,\n)"), header("def f(\n    a,\n):"));
    for bad in ["f(a)", "def f(a): return 1", "def f(a", "@x\ndef f(a):", "", "def f(a):\n    pass\ndef g()"]
    {
        assert!(sign(bad).starts_with("refused: the signature must be one header"), "{bad}: {}", sign(bad));
    }
}

#[test]
fn decorators_are_added_once_and_removed_by_name() {
    let add = |text: &str| operate(F, "f", json!([{"op": "add_decorator", "text": text}]));
    assert_eq!(add("@cache(maxsize=1)"), format!("@cache(maxsize=1)\n{F}"));
    assert_eq!(add("cache"), format!("@cache\n{F}"));
    assert_eq!(add("@ deco"), F);
    let remove = |name: &str| operate(F, "f", json!([{"op": "remove_decorator", "name": name}]));
    assert_eq!(remove("@deco"), F.replace("@deco\n", ""));
    assert_eq!(
        remove("other"),
        "refused: no decorator is called `other`; the decorators of `f`: deco. Nothing was applied.\n"
    );
    let method = "class A:\n    @a.b(\n        1\n    )  # c\n    @d\n    def m(self): pass\n";
    assert_eq!(
        operate(
            method,
            "A.m",
            json!([{"op": "remove_decorator", "name": "b"}, {"op": "add_decorator", "text": "e"}])
        ),
        "class A:\n    @e\n    @d\n    def m(self): pass\n"
    );
}

#[test]
fn imports_find_their_block_and_are_not_doubled() {
    let add = |before: &str, text: &str| {
        edit(before, "ast_patch", json!({"whole_file": true}), json!([{"op": "add_import", "text": text}]))
    };
    let head = "\"\"\"Doc.\"\"\"\nfrom __future__ import annotations\n\nimport os\nfrom typing import Any\n\nimport requests\n\nfrom . import local\nfrom .a import b\n\nx = 1\n";
    assert_eq!(add(head, "import os"), head);
    assert_eq!(add(head, "from .a import b"), head);
    assert_eq!(add(head, "import json"), head.replace("import Any\n", "import Any\nimport json\n"));
    assert_eq!(add(head, "from typing import Any, cast"), head.replace("import Any\n", "import Any, cast\n"));
    assert_eq!(add(head, "import numpy as np"), head.replace("requests\n", "requests\nimport numpy as np\n"));
    assert_eq!(add(head, "from .c import d"), head.replace("a import b\n", "a import b\nfrom .c import d\n"));
    assert_eq!(
        add(head, "from __future__ import division"),
        head.replace("import annotations\n", "import annotations, division\n")
    );
    assert_eq!(
        add(head, "import json\nimport sys"),
        head.replace("import Any\n", "import Any\nimport json\nimport sys\n")
    );
    assert_eq!(add("\"\"\"Doc.\"\"\"\n\nx = 1\n", "import os"), "\"\"\"Doc.\"\"\"\n\nimport os\n\nx = 1\n");
    assert_eq!(add("x = 1\n", "import os"), "import os\n\nx = 1\n");
    assert_eq!(
        add("#!/usr/bin/python\ndef f():\n    pass\n", "import os"),
        "#!/usr/bin/python\n\nimport os\n\n\ndef f():\n    pass\n"
    );
    assert_eq!(add("", "import os"), "import os\n");
    assert_eq!(add("import os", "import sys"), "import os\nimport sys");
    let guarded = "import typing\n\nif typing.TYPE_CHECKING:\n    import os\ntry:\n    import fast\nexcept ImportError:\n    fast = None\n";
    assert_eq!(add(guarded, "import os"), guarded.replacen("typing\n", "typing\nimport os\n", 1));
    assert_eq!(add(guarded, "import fast"), guarded);
    let wrapped = "from a import (\n    b,\n    c,\n)\n";
    assert_eq!(add(wrapped, "from a import c, d"), format!("{wrapped}from a import d\n"));
    assert!(add("", "x = 1").starts_with("refused: add_import takes import statements only"));
}

#[test]
fn a_rename_covers_the_definition_and_its_uses() {
    let rename = |before: &str, symbol: &str| operate(before, symbol, json!([{"op": "rename", "to": "new"}]));
    let text = "__all__ = ['old', 'older']\n\n\ndef old(x):\n    return old(x - 1)\n\n\ndef shadow(old):\n    return old\n\n\ndef local():\n    old = 1\n    return old, a.old, f(old=old)\n\n\ndef uses():\n    global other\n    return [old(y) for y in z], lambda: old, f(old=old)\n";
    let after = rename(text, "old");
    assert_eq!(
        after,
        "__all__ = ['new', 'older']\n\n\ndef new(x):\n    return new(x - 1)\n\n\ndef shadow(old):\n    return old\n\n\ndef local():\n    old = 1\n    return old, a.old, f(old=old)\n\n\ndef uses():\n    global other\n    return [new(y) for y in z], lambda: new, f(old=new)\n"
    );
    let class = "class A:\n    old = 1\n\n    @property\n    def p(self):\n        return self.p_old, A.old, self.old, other.old, old\n\n    other = old + 1\n\n\nclass B:\n    def f(self):\n        return self.old\n";
    assert_eq!(
        rename(class, "A.old"),
        class
            .replacen("    old = 1", "    new = 1", 1)
            .replace("A.old, self.old", "A.new, self.new")
            .replace("other = old", "other = new")
    );
    let property =
        "class A:\n    @property\n    def v(self): return 1\n\n    @v.setter\n    def v(self, x): pass\n";
    assert_eq!(rename(property, "A.v[2]"), property.replace("def v", "def new").replace("@v.", "@new."));
    let state = "count = 0\n\n\ndef f():\n    global count\n    count += 1\n";
    assert_eq!(rename(state, "count"), state.replace("count", "new"));
    assert_eq!(
        rename("old = 1\nnew = 2\n", "old"),
        "refused: `new` is defined already. Nothing was applied.\n"
    );
    let bad = operate("old = 1\n", "old", json!([{"op": "rename", "to": "class"}]));
    assert_eq!(bad, "refused: `class` is not a name. Nothing was applied.\n");
}

#[test]
fn a_definition_is_wrapped() {
    let text = "x = 1\n\n\n@deco\ndef f():\n    s = '''\nraw\n'''\n\n    return s\n\n\ny = 2\n";
    let wrap = |before: &str, after: &str| {
        operate(text, "f", json!([{"op": "wrap", "before": before, "after": after}]))
    };
    assert_eq!(
        wrap("if x:", "else:\n    f = None"),
        "x = 1\n\n\nif x:\n    @deco\n    def f():\n        s = '''\nraw\n'''\n\n        return s\nelse:\n    f = None\n\n\ny = 2\n"
    );
    assert_eq!(
        wrap("# fmt: off", "# fmt: on"),
        text.replace("@deco", "# fmt: off\n@deco").replace("return s\n", "return s\n# fmt: on\n")
    );
    assert!(
        wrap("try:", "").starts_with("refused: the changed file would have a syntax error"),
        "{}",
        wrap("try:", "")
    );
}

#[test]
fn a_docstring_is_set_or_added() {
    let set = |before: &str, symbol: &str, text: &str| {
        operate(before, symbol, json!([{"op": "set_docstring", "text": text}]))
    };
    assert_eq!(set(F, "f", "New."), F.replace("Doc.", "New."));
    assert_eq!(set(F, "f", "'''New.'''"), F.replace("\"\"\"Doc.\"\"\"", "'''New.'''"));
    assert_eq!(
        set("def f():\n    pass\n", "f", "Sum.\n\nMore:\n    deep\n"),
        "def f():\n    \"\"\"Sum.\n\n    More:\n        deep\n    \"\"\"\n    pass\n"
    );
    assert_eq!(set("def f(): pass\n", "f", "Sum."), "def f():\n    \"\"\"Sum.\"\"\"\n    pass\n");
    assert_eq!(
        set("class A:\n    def f(self): pass\n", "A", "Sum."),
        "class A:\n    \"\"\"Sum.\"\"\"\n\n    def f(self): pass\n"
    );
    assert_eq!(set("def f(): pass\n", "f", "A \\d."), "def f():\n    r\"\"\"A \\d.\"\"\"\n    pass\n");
    assert_eq!(set("def f(): pass\n", "f", "say \"x\""), "def f():\n    \"\"\"say \"x\\\"\"\"\"\n    pass\n");
}

#[test]
fn several_operations_follow_the_definition() {
    let after = operate(
        "x = 1\n\n\ndef f(a):\n    return f(a)\n",
        "f",
        json!([
            {"op": "add_import", "text": "import os"},
            {"op": "rename", "to": "g"},
            {"op": "set_docstring", "text": "Doc."},
            {"op": "set_signature", "text": "async def g(a, b)"},
            {"op": "add_decorator", "text": "@d"},
            {"op": "wrap", "before": "if x:", "after": ""},
            {"op": "replace_body", "text": "return os.getcwd()"},
        ]),
    );
    assert_eq!(
        after,
        "import os\n\nx = 1\n\n\nif x:\n    @d\n    async def g(a, b):\n        \"\"\"Doc.\"\"\"\n        return os.getcwd()\n"
    );
    let text = edit("x = 1\n", "ast_patch", json!({"symbol": "x"}), "y");
    assert_eq!(text, "refused: an ast_patch needs a list of operations as its patch. Nothing was applied.\n");
    let body = operate("x = 1\n", "x", json!([{"op": "replace_body", "text": "y"}]));
    assert_eq!(body, "refused: `x` has no body. Nothing was applied.\n");
}
