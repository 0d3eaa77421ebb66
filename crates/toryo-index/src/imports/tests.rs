//! Imports of each language, told by what a file imports and whom a function calls.

use crate::Index;
use crate::fixture::{at, index};

fn imported(index: &Index, path: &str) -> Vec<String> {
    index.imports_of(&at(path)).map(ToString::to_string).collect()
}

/// `path::symbol` of everything that a symbol uses.
fn used(index: &Index, path: &str, symbol: &str) -> Vec<String> {
    let symbol = index.symbol(&at(path), symbol).unwrap_or_else(|| panic!("no {symbol} in {path}"));
    index.callees(symbol).map(|one| format!("{}::{}", index.path_of(one), one.path)).collect()
}

#[test]
fn python_finds_modules_absolutely_relatively_and_below_src() {
    let index = index(
        "//- src/app/__init__.py\n//- src/app/http.py\nfrom . import wsgi\nfrom ... import nothing\n//- src/app/wsgi.py\nfrom ..app import http\n\
         //- src/app/sub/__init__.py\nfrom .. import http\n//- tests/test_http.py\nimport app, http\nfrom app.http import x\n",
    );
    assert_eq!(imported(&index, "src/app/http.py"), ["src/app/__init__.py", "src/app/wsgi.py"]);
    assert_eq!(imported(&index, "src/app/sub/__init__.py"), ["src/app/__init__.py", "src/app/http.py"]);
    // The standard library's `http` is not `app/http.py`; that one comes from the last line.
    assert_eq!(imported(&index, "tests/test_http.py"), ["src/app/__init__.py", "src/app/http.py"]);
}

#[test]
fn python_follows_aliases_re_exports_and_stars() {
    let index = index(
        "//- app/__init__.py\nfrom .http import parse as read\nfrom .forms import *\n//- app/http.py\ndef parse(): pass\n\
         //- app/forms.py\ndef fill(): pass\n//- other.py\ndef parse(): pass\ndef fill(): pass\ndef y(): pass\n\
         //- main.py\nfrom app import read, fill as z\n\ndef run():\n    read()\n\ndef go():\n    z()\n",
    );
    assert_eq!(used(&index, "main.py", "run"), ["app/http.py::parse"]);
    assert_eq!(used(&index, "main.py", "go"), ["app/forms.py::fill"]);
}

#[test]
fn a_module_of_the_own_workspace_comes_first() {
    let index = index(
        "//- a/pyproject.toml\n[project]\nname = \"a\"\n//- a/src/shop/util.py\ndef cents(): pass\n//- a/src/shop/main.py\nfrom shop.util import cents\n\ndef f():\n    cents()\n\
         //- b/pyproject.toml\n[project]\nname = \"b\"\n//- b/src/shop/util.py\ndef cents(): pass\n//- b/src/shop/main.py\nfrom shop.util import cents\n\ndef f():\n    cents()\n",
    );
    assert_eq!(used(&index, "a/src/shop/main.py", "f"), ["a/src/shop/util.py::cents"]);
    assert_eq!(used(&index, "b/src/shop/main.py", "f"), ["b/src/shop/util.py::cents"]);
}

#[test]
fn scripts_find_relative_files_indexes_and_packages_of_the_repository() {
    let index = index(
        "//- packages/core/package.json\n{\"name\": \"@shop/core\"}\n//- packages/core/src/index.ts\nexport { total } from './total.js'\nexport * from './cart'\n\
         //- packages/core/src/total.ts\nexport function total() {}\n//- packages/core/src/cart/index.tsx\nexport function Cart() {}\n\
         //- packages/web/package.json\n{\"name\": \"web\"}\n//- packages/web/src/app.js\nimport { total as sum, Cart } from '@shop/core'\nimport Page from '@/page'\nconst log = require('../log')\n\
         export function App() { return sum(Cart()) + Page() }\n//- packages/web/src/page.jsx\nexport default function Page() {}\n//- packages/web/log.cjs\nmodule.exports = {}\n//- other/total.ts\nexport function total() {}\nexport function Cart() {}\nexport function Page() {}\n",
    );
    assert_eq!(
        imported(&index, "packages/web/src/app.js"),
        ["packages/core/src/index.ts", "packages/web/log.cjs", "packages/web/src/page.jsx"]
    );
    assert_eq!(
        used(&index, "packages/web/src/app.js", "App"),
        [
            "packages/core/src/cart/index.tsx::Cart",
            "packages/core/src/total.ts::total",
            "packages/web/src/page.jsx::Page"
        ]
    );
}

#[test]
fn rust_finds_modules_by_path_and_crates_by_name() {
    let index = index(
        "//- crates/core/Cargo.toml\n[package]\nname = \"shop-core\"\n//- crates/core/src/lib.rs\nmod cart;\npub use cart::Cart;\n\
         //- crates/core/src/cart.rs\nmod line;\nuse self::line::Line;\npub struct Cart;\n//- crates/core/src/cart/line.rs\nuse super::Cart;\nuse crate::cart;\npub struct Line;\n\
         //- crates/app/Cargo.toml\n[package]\nname = \"app\"\n//- crates/app/src/main.rs\nuse shop_core::Cart;\nuse std::fmt::Cart as No;\nfn main() { let _ = Cart; }\n",
    );
    assert_eq!(imported(&index, "crates/core/src/lib.rs"), ["crates/core/src/cart.rs"]);
    assert_eq!(imported(&index, "crates/core/src/cart.rs"), ["crates/core/src/cart/line.rs"]);
    assert_eq!(imported(&index, "crates/core/src/cart/line.rs"), ["crates/core/src/cart.rs"]);
    assert_eq!(imported(&index, "crates/app/src/main.rs"), ["crates/core/src/lib.rs"]);
    assert_eq!(used(&index, "crates/app/src/main.rs", "main"), ["crates/core/src/cart.rs::Cart"]);
}

#[test]
fn go_packages_are_folders_and_see_their_own_files() {
    let index = index(
        "//- svc/go.mod\nmodule example.org/svc\n//- svc/cart/cart.go\npackage cart\n\nfunc Total() int { return line() }\n//- svc/cart/line.go\npackage cart\n\nfunc line() int { return 1 }\n\
         //- svc/cart/cart_test.go\npackage cart\n\nfunc TestTotal() { Total() }\n//- svc/main.go\npackage main\n\nimport (\n\t\"fmt\"\n\t\"example.org/svc/cart\"\n)\n\nfunc main() { fmt.Println(cart.Total()) }\n\
         //- svc/other/other.go\npackage other\n\nfunc line() {}\nfunc Total() {}\n",
    );
    assert_eq!(imported(&index, "svc/main.go"), ["svc/cart/cart.go", "svc/cart/line.go"]);
    assert_eq!(used(&index, "svc/main.go", "main"), ["svc/cart/cart.go::Total"]);
    assert_eq!(used(&index, "svc/cart/cart.go", "Total"), ["svc/cart/line.go::line"]);
    let tests = index.tests_for(&at("svc/cart/cart.go"));
    assert_eq!(tests.iter().map(|link| link.path.as_str()).collect::<Vec<_>>(), ["svc/cart/cart_test.go"]);
}

#[test]
fn java_classes_are_files_below_their_package() {
    let index = index(
        "//- app/src/main/java/org/shop/Cart.java\npackage org.shop;\npublic class Cart { int total() { return new Line().price(); } }\n\
         //- app/src/main/java/org/shop/Line.java\npackage org.shop;\nclass Line { int price() { return 1; } }\n\
         //- app/src/main/java/org/web/App.java\npackage org.web;\nimport org.shop.Cart;\nimport org.shop.*;\nimport java.util.List;\nclass App { int run(Cart c) { return c.total(); } }\n\
         //- app/src/test/java/org/shop/CartTest.java\npackage org.shop;\nclass CartTest { void adds() { new Cart().total(); } }\n//- x/Other.java\nclass Other { int total() { return 2; } int price() { return 2; } }\n",
    );
    assert_eq!(
        imported(&index, "app/src/main/java/org/web/App.java"),
        ["app/src/main/java/org/shop/Cart.java", "app/src/main/java/org/shop/Line.java"]
    );
    let calls = used(&index, "app/src/main/java/org/web/App.java", "App.run");
    assert!(calls.contains(&"app/src/main/java/org/shop/Cart.java::Cart.total".to_owned()), "{calls:?}");
    assert!(!calls.iter().any(|one| one.starts_with("x/")), "{calls:?}");
    let tests = index.tests_for(&at("app/src/main/java/org/shop/Cart.java"));
    assert_eq!(tests.len(), 1);
}
