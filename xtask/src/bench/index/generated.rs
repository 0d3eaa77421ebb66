//! A large repository that is the same on every machine: Python packages that import and call each other.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};

/// Lines of a module, about.
const MODULE: usize = 250;
/// Modules of a package.
const PACKAGE: usize = 20;

const VERBS: [&str; 12] = [
    "parse", "build", "merge", "load", "store", "check", "render", "split", "join", "find", "close", "apply",
];
const NOUNS: [&str; 16] = [
    "header", "invoice", "cart", "session", "token", "record", "report", "window", "packet", "schema",
    "filter", "cursor", "bucket", "ledger", "route", "widget",
];

/// Numbers that look random and are always the same.
struct Dice(u64);

impl Dice {
    fn roll<'a>(&mut self, words: &[&'a str]) -> &'a str {
        // Knuth's MMIX constants; the upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words[(self.0 >> 33) as usize % words.len()]
    }
}

/// Writes at least so many lines of code and tests below a folder.
pub(super) fn write(folder: &Path, lines: usize) -> Result<()> {
    let mut dice = Dice(7);
    let (mut written, mut number) = (0, 0);
    while written < lines {
        let package = folder.join(format!("src/package_{}", number / PACKAGE));
        let text = module(&mut dice, number);
        written += text.lines().count();
        put(&package.join(format!("module_{number}.py")), &text)?;
        put(&package.join("__init__.py"), "")?;
        if number % 4 == 0 {
            let test = format!(
                "from package_{0}.module_{number} import Service{number}\n\n\ndef test_service_{number}():\n    assert Service{number}(1).value == 1\n",
                number / PACKAGE
            );
            put(&folder.join(format!("tests/test_module_{number}.py")), &test)?;
        }
        number += 1;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn module(dice: &mut Dice, number: usize) -> String {
    let mut text = format!("\"\"\"The {} of part {number}.\"\"\"\n\nimport logging\n", dice.roll(&NOUNS));
    let before = number.saturating_sub(1);
    if number > 0 {
        text += &format!("from package_{0}.module_{before} import Service{before}\n", before / PACKAGE);
    }
    text += &format!(
        "\nlog = logging.getLogger(__name__)\n\n\nclass Service{number}:\n    \"\"\"Keeps a {}.\"\"\"\n\n    def __init__(self, value):\n        self.value = value\n",
        dice.roll(&NOUNS)
    );
    let mut count = 0;
    while text.lines().count() < MODULE {
        let (verb, noun, other) = (dice.roll(&VERBS), dice.roll(&NOUNS), dice.roll(&NOUNS));
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "\n    def {verb}_{noun}_{count}(self, {other}, limit=10):\n        \"\"\"{verb}s the {noun} of a {other}, at most `limit` of them.\"\"\"\n        found = []\n        for position, entry in enumerate({other}):\n            if position >= limit:\n                raise ValueError(\"too many entries in the {noun}\")\n            # The {noun} may be empty.\n            found.append(self.{verb}_{noun}_{count}(entry, limit - 1))\n        log.debug(\"{verb} gave %d\", len(found))\n        return found\n"
        );
        count += 1;
    }
    if number > 0 {
        text +=
            &format!("\n\ndef make_{number}(value):\n    return Service{number}(Service{before}(value))\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_long_enough_and_always_the_same() {
        let text = module(&mut Dice(7), 3);
        assert_eq!(text, module(&mut Dice(7), 3));
        assert!((MODULE..MODULE + 30).contains(&text.lines().count()), "{}", text.lines().count());
        assert!(text.contains("from package_0.module_2 import Service2"));
    }
}
