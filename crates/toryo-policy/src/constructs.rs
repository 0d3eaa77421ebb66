//! Constructs that a change should not bring in without a person's look (requirements R110 and R111).

use crate::secrets::constant;
use regex::{Regex, RegexSet};
use std::sync::LazyLock;

/// A construct of a language.
struct Construct {
    rule: &'static str,
    extensions: &'static [&'static str],
    expression: &'static str,
    text: &'static str,
}

const PYTHON: &[&str] = &["py", "pyi", "pyw"];
const JAVASCRIPT: &[&str] = &["js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts"];

/// A call of `eval` is none of `model.eval()` or `literal_eval()`: no letter, digit or dot stands before it.
const CONSTRUCTS: &[Construct] = &[
    Construct {
        rule: "construct.shell_true",
        extensions: PYTHON,
        expression: r"\bshell\s*=\s*True\b",
        text: "a command goes through a shell; pass a list of arguments without `shell=True`",
    },
    Construct {
        rule: "construct.os_system",
        extensions: PYTHON,
        expression: r"\bos\s*\.\s*(?:system|popen)\s*\(",
        text: "a command goes through a shell; use `subprocess.run` with a list of arguments",
    },
    Construct {
        rule: "construct.eval",
        extensions: PYTHON,
        expression: r"(?:^|[^.\w])(?:eval|exec|__import__)\s*\(",
        text: "text is run as code; parse it, for example with `ast.literal_eval`",
    },
    Construct {
        rule: "construct.pickle_load",
        extensions: PYTHON,
        expression: r"\b(?:c?[pP]ickle|dill|shelve|marshal)\s*\.\s*(?:loads?|open|Unpickler)\s*\(|\bimport\s+(?:loads?)\b.*\bpickle|\bfrom\s+pickle\s+import\b",
        text: "unpickling runs code that the data names; use a format such as JSON for data from outside",
    },
    Construct {
        rule: "construct.yaml_load",
        extensions: PYTHON,
        expression: r"\byaml\s*\.\s*(?:unsafe_load|full_load|load)\s*\(",
        text: "loading YAML may build any object; use `yaml.safe_load`",
    },
    Construct {
        rule: "construct.eval",
        extensions: JAVASCRIPT,
        expression: r"(?:^|[^.\w$])eval\s*\(|\bnew\s+Function\s*\(",
        text: "text is run as code; parse it instead",
    },
    Construct {
        rule: "construct.child_process",
        extensions: JAVASCRIPT,
        expression: r"\bchild_process\b|\bexecSync\s*\(",
        text: "a command is run; use `execFile` with a list of arguments where one is needed",
    },
];

static SET: LazyLock<RegexSet> =
    LazyLock::new(|| constant(RegexSet::new(CONSTRUCTS.iter().map(|construct| construct.expression))));
static DEFINITION: LazyLock<Regex> =
    LazyLock::new(|| constant(Regex::new(r"^\s*(?:async\s+)?(?:def|function|#|//)")));

/// Rule and text of every construct in one line of a file with this extension.
pub(crate) fn find(extension: Option<&str>, line: &str) -> Vec<(&'static str, &'static str)> {
    // A definition of that name or a comment calls nothing.
    if DEFINITION.is_match(line) {
        return Vec::new();
    }
    let known =
        |construct: &&Construct| extension.is_some_and(|extension| construct.extensions.contains(&extension));
    let found = SET.matches(line).into_iter().map(|index| &CONSTRUCTS[index]).filter(known);
    found.map(|construct| (construct.rule, construct.text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(extension: &str, line: &str) -> Vec<&'static str> {
        find(Some(extension), line).into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn every_expression_compiles() {
        assert_eq!(SET.len(), CONSTRUCTS.len());
    }

    #[test]
    fn dangerous_constructs_are_found() {
        for (line, rule) in [
            ("subprocess.run(cmd, shell = True)", "construct.shell_true"),
            ("    os.system('ls')", "construct.os_system"),
            ("x = os . popen(c)", "construct.os_system"),
            ("eval(text)", "construct.eval"),
            ("x = [exec (c)]", "construct.eval"),
            ("m = __import__('os')", "construct.eval"),
            ("pickle.loads(data)", "construct.pickle_load"),
            ("from pickle import loads", "construct.pickle_load"),
            ("yaml.load(f)", "construct.yaml_load"),
        ] {
            assert_eq!(rules("py", line), [rule], "{line}");
        }
        assert_eq!(rules("ts", "const f = new Function(code)"), ["construct.eval"]);
        assert_eq!(rules("js", "require('child_process')"), ["construct.child_process"]);
    }

    #[test]
    fn their_likenesses_are_not() {
        for line in [
            "model.eval()",
            "ast.literal_eval(x)",
            "cursor.exec(x)",
            "def eval(self):",
            "# eval(x) is not used",
            "evaluate(x)",
            "shell=False",
            "pickle.dumps(x)",
            "yaml.safe_load(f)",
        ] {
            assert_eq!(rules("py", line), [""; 0], "{line}");
        }
        assert_eq!(rules("js", "const m = /a/.exec(text)"), [""; 0]);
        assert_eq!(rules("md", "os.system('ls')"), [""; 0]);
    }
}
