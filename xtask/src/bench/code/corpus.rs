//! The files that are measured where no repository is given: generated, the same on every machine.
//!
//! They hold what editors of Python get wrong: tabs, other line breaks and encodings, form feeds, functions on one
//! line, decorators, equals in branches, strings of several lines, comments at every place.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Files of the corpus; each has about 650 lines.
const FILES: usize = 120;
/// What every fourth file is as large as: the tail of a real repository.
const LARGE: usize = 5;

/// Numbers that look random and are the same in each run (a linear congruential generator, constants of Knuth's MMIX).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

/// Writes the corpus into a folder.
pub(super) fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for number in 0..FILES {
        let path = folder.join(format!("module_{number:03}.py"));
        fs::write(&path, file(number)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// One file: its text, then the bytes that this number's conventions make of it.
fn file(number: usize) -> Vec<u8> {
    let mut dice = Dice::new(number as u64 + 1);
    let mut text = String::from(
        "\"\"\"A generated module.\n\n  Its text stays.\n\"\"\"\nimport os\nfrom typing import Any\n\n",
    );
    let latin = number % 10 == 3;
    if latin {
        text.insert_str(0, "# -*- coding: latin-1 -*-\n");
    }
    let lines = (400 + dice.roll(500)) * if number % 4 == 3 { LARGE } else { 1 };
    while text.lines().count() < lines {
        class(&mut text, &mut dice);
        for _ in 0..2 {
            function(&mut text, 0, &mut dice);
        }
        branches(&mut text, &mut dice);
    }
    match number % 5 {
        1 => text = text.replace("    ", "\t"),
        2 => text = text.replace('\n', "\r\n"),
        3 => text = text.replace("\n\n\n", "\n\n\x0c\n"),
        4 => text.truncate(text.trim_end().len()),
        _ => {}
    }
    if latin { text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect() } else { text.into_bytes() }
}

fn class(text: &mut String, dice: &mut Dice) {
    text.push_str(&format!("\n\n@register(\"{}\")\nclass C{}(Base):\n", dice.roll(99), text.len()));
    text.push_str("    \"\"\"A class – mit Umlauten äöü.\"\"\"\n\n    limit: int = 3\n");
    for _ in 0..2 + dice.roll(5) {
        text.push('\n');
        function(text, 1, dice);
    }
    let at = text.len();
    text.push_str(&format!("\n    @property\n    def p{at}(self):\n        return self._v\n"));
    text.push_str(&format!(
        "\n    @p{at}.setter\n    def p{at}(self, v):\n        self._v = v\n    # below the setter\n"
    ));
}

/// A function with one of the awkward bodies.
fn function(text: &mut String, level: usize, dice: &mut Dice) {
    let to = "    ".repeat(level);
    let name = format!("f{}", text.len());
    let gap = if level == 0 { "\n\n" } else { "" };
    let asynchronous = if dice.roll(6) == 0 { "async " } else { "" };
    text.push_str(&format!("{gap}{to}# above {name}\n"));
    match dice.roll(8) {
        0 => text.push_str(&format!("{to}{asynchronous}def {name}(a): return a  # on one line\n")),
        1 => text.push_str(&format!("{to}{asynchronous}def {name}(a): \"\"\"Says.\"\"\"; return a\n")),
        2 => text.push_str(&format!(
            "{to}@wraps(\n{to}    {name},\n{to})\n{to}# between\n{to}{asynchronous}def {name}(\n{to}    a: int,\n{to}    *b: \"str\",\n{to}) -> dict[str, int]:  # trailing\n{to}    # first\n{to}    return {{}}\n{to}    # last\n"
        )),
        3 => text.push_str(&format!(
            "{to}{asynchronous}def {name}(self):\n{to}    \"\"\"Text.\n\n{to}      More.\n{to}    \"\"\"\n\n{to}    query = '''\nselect *\n  from t -- äöü\n'''\n{to}    def inner(x):\n{to}        return query + x\n{to}    return inner\n"
        )),
        _ => {
            text.push_str(&format!("{to}{asynchronous}def {name}(a, b=None, **rest):\n"));
            for step in 0..3 + dice.roll(9) {
                let other = dice.roll(50);
                text.push_str(&format!(
                    "{to}    if a.value_{other} > {step} and b is not None:  # {step}\n{to}        rest[\"k{other}\"] = [os.path.join(str(x), \"y\") for x in a.items({step})]\n"
                ));
            }
            text.push_str(&format!("{to}    return {{\"a\": a, \"b\": (b, *rest)}}\n"));
        }
    }
}

/// Equals in the branches of a condition.
fn branches(text: &mut String, dice: &mut Dice) {
    let name = format!("g{}", text.len());
    text.push_str(&format!(
        "\n\nif os.name == \"nt\":\n    def {name}():\n        return {}\n",
        dice.roll(9)
    ));
    text.push_str(&format!(
        "elif Any:\n    def {name}(x):\n        pass\n    # of the branch\nelse:\n    def {name}(): ...\n"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_same_in_each_run_and_of_many_kinds() {
        assert_eq!(file(7), file(7));
        assert_ne!(file(7), file(8));
        assert!(file(1).windows(5).any(|bytes| bytes == b"\n\tdef" || bytes == b"\n\t@pr"));
        assert!(file(2).windows(2).any(|bytes| bytes == b"\r\n"));
        assert!(std::str::from_utf8(&file(13)).is_err());
        let mut lines: Vec<usize> =
            (0..FILES).map(|number| file(number).split(|byte| *byte == b'\n').count()).collect();
        lines.sort_unstable();
        assert!((600..900).contains(&lines[FILES / 2]), "{}", lines[FILES / 2]);
    }
}
