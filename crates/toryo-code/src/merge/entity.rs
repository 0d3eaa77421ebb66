//! Merge by entity: two sides that add methods, functions or imports at one place do not conflict, and changes
//! of neighbouring definitions do not either.

use super::{Clash, Region};
use crate::diff::Hunk;
use crate::language::Language;
use crate::outline::{Outline, SymbolKind, column, outline_of};
use crate::syntax;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tree_sitter::{Node, Tree};

/// What the three versions define.
pub(super) struct Entities {
    language: &'static Language,
    base: Version,
    ours: Version,
    theirs: Version,
}

/// One version of the file.
struct Version {
    language: &'static Language,
    tree: Tree,
    outline: Outline,
    faults: usize,
}

impl Version {
    fn of(language: &'static Language, text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let tree = syntax::parse(language, text).ok()?;
        let faults = syntax::faults(language, text, &tree).ok()?.len();
        Some(Self { language, outline: outline_of(language, text, &tree), tree, faults })
    }

    /// The innermost definition that holds a stretch of lines (0-based).
    fn owner(&self, lines: &Range<usize>) -> Option<usize> {
        let holds = |first: u32, last: u32| first as usize <= lines.start + 1 && lines.end <= last as usize;
        self.outline.symbols.iter().rposition(|symbol| holds(symbol.first_line, symbol.last_line))
    }

    /// The columns at which statements of a module or class may be inserted above a line (0-based): there the
    /// order of definitions does not matter. Inside functions, loops and expressions it may.
    fn open_columns(&self, line: usize) -> BTreeSet<usize> {
        let mut columns = BTreeSet::new();
        let mut container = Some((self.tree.root_node(), 0));
        while let Some((node, at)) = container.take() {
            let mut cursor = node.walk();
            let is_code = |child: &Node<'_>| !self.language.comments.contains(&child.kind());
            let above = |child: &Node<'_>| child.start_position().row < line;
            let child = node.named_children(&mut cursor).filter(is_code).take_while(above).last();
            let Some(child) = child else {
                columns.insert(at);
                break;
            };
            if line > child.end_position().row {
                columns.insert(at);
            }
            let class =
                self.outline.symbols.iter().find(|symbol| {
                    symbol.kind == SymbolKind::Class && symbol.span.start == child.start_byte()
                });
            let Some(body) = class.and_then(|class| class.body) else { break };
            let mut inner =
                self.tree.root_node().descendant_for_byte_range(body.start, body.end.max(body.start + 1) - 1);
            while let Some(block) = inner.filter(|node| !self.language.blocks.contains(&node.kind())) {
                inner = block.parent();
            }
            container = inner
                .filter(|block| block.start_position().row < line)
                .map(|block| (block, block.start_position().column));
        }
        columns
    }

    /// Whether a text may be inserted above a line next to another change.
    fn takes(&self, line: usize, text: &[u8]) -> bool {
        let columns = self.open_columns(line);
        let text = String::from_utf8_lossy(text);
        let indents = text.lines().filter(|line| !line.trim().is_empty());
        let indents: Vec<usize> =
            indents.map(|line| column(&line[..line.len() - line.trim_start().len()])).collect();
        let (Some(first), Some(least)) = (indents.first(), indents.iter().min()) else { return true };
        columns.contains(first) && columns.contains(least)
    }
}

impl Entities {
    /// Reads the three versions; `None` where one cannot be read, so that only lines are compared.
    pub(super) fn of(language: &'static Language, versions: [&[u8]; 3]) -> Option<Self> {
        let [base, ours, theirs] = versions.map(|text| Version::of(language, text));
        Some(Self { language, base: base?, ours: ours?, theirs: theirs? })
    }

    /// The region with both sides' changes, if its entities say how both can stand.
    pub(super) fn join(&self, region: &Region<'_>, base: &[&[u8]]) -> Option<Vec<u8>> {
        let (ours, theirs) = (region.ours.as_ref()?, region.theirs.as_ref()?);
        let base_text = base[region.base.clone()].concat();
        let (our_text, their_text) = (ours.lines.concat(), theirs.lines.concat());
        if let Some(imports) = join_imports(&base_text, &our_text, &their_text) {
            return Some(imports);
        }
        let ours = ours.hunks.iter().map(|hunk| (hunk, true));
        let theirs = theirs.hunks.iter().map(|hunk| (hunk, false));
        let mut changes: Vec<_> = ours.chain(theirs).collect();
        // An insertion stands before a change that starts where it is, our insertion before theirs.
        changes.sort_by_key(|(hunk, is_ours)| (hunk.before.start, hunk.before.end, !is_ours));
        for pair in changes.windows(2) {
            let ((first, first_ours), (second, second_ours)) = (&pair[0], &pair[1]);
            let touch = first_ours != second_ours && first.before.end == second.before.start;
            let text = |hunk: &Hunk, is_ours: &bool| {
                if *is_ours { region.ours.as_ref()? } else { region.theirs.as_ref()? }
                    .text_of(hunk, region.base.start)
            };
            let overlap = first.before.end > second.before.start;
            let (above, below) = (text(first, first_ours)?, text(second, second_ours)?);
            if overlap || touch && !self.may_touch((&first.before, &above), (&second.before, &below)) {
                return None;
            }
        }
        let mut joined = Vec::new();
        let mut at = region.base.start;
        for (hunk, is_ours) in changes {
            base[at..hunk.before.start].iter().for_each(|line| joined.extend_from_slice(line));
            let side = if is_ours { region.ours.as_ref()? } else { region.theirs.as_ref()? };
            joined.extend_from_slice(&side.text_of(hunk, region.base.start)?);
            at = hunk.before.end;
        }
        base[at..region.base.end].iter().for_each(|line| joined.extend_from_slice(line));
        Some(joined)
    }

    /// Whether changes of two sides, each the lines of the base and the new text, may stand next to each other:
    /// insertions between definitions, or changes of different definitions.
    fn may_touch(&self, first: (&Range<usize>, &[u8]), second: (&Range<usize>, &[u8])) -> bool {
        let insertions: Vec<_> = [first, second].into_iter().filter(|(lines, _)| lines.is_empty()).collect();
        if !insertions.is_empty() {
            return insertions.into_iter().all(|(lines, text)| self.base.takes(lines.start, text));
        }
        let (first, second) = (self.base.owner(first.0), self.base.owner(second.0));
        first != second && first.is_some() && second.is_some()
    }

    /// What is wrong with a merged text that neither side had wrong: a fault of syntax, a lost definition, or
    /// one that both sides added.
    pub(super) fn fault(&self, merged: &[u8]) -> Option<Clash> {
        let clash = |line, reason| Some(Clash { line, reason, ours: None, theirs: None });
        let Some(version) = Version::of(self.language, merged) else {
            return clash(1, "the merged text cannot be parsed");
        };
        if version.faults > self.ours.faults.max(self.theirs.faults) {
            return clash(1, "the merged text has a syntax error that neither side has");
        }
        let counts = |version: &Version| -> BTreeMap<String, usize> {
            version.outline.symbols.iter().filter(|symbol| symbol.kind != SymbolKind::Variable).fold(
                BTreeMap::new(),
                |mut counts, symbol| {
                    *counts.entry(without_ordinals(&symbol.path)).or_default() += 1;
                    counts
                },
            )
        };
        let (base, ours, theirs) = (counts(&self.base), counts(&self.ours), counts(&self.theirs));
        let merged = counts(&version);
        let of = |counts: &BTreeMap<String, usize>, path: &String| counts.get(path).copied().unwrap_or(0);
        for path in base.keys().chain(ours.keys()).chain(theirs.keys()) {
            let (base, ours, theirs) = (of(&base, path), of(&ours, path), of(&theirs, path));
            let expected = (ours + theirs).saturating_sub(base);
            let both_added = ours > base && theirs > base;
            let line = || {
                let symbols = &self.ours.outline.symbols;
                symbols
                    .iter()
                    .find(|symbol| without_ordinals(&symbol.path) == *path)
                    .map_or(1, |s| s.first_line)
            };
            if both_added && of(&merged, path) > ours.max(theirs) {
                return clash(line(), "both sides added a definition of one name");
            }
            if !both_added && of(&merged, path) < expected {
                return clash(line(), "a definition would be lost");
            }
        }
        None
    }
}

impl super::Side<'_> {
    /// The lines that one hunk of this side brings.
    fn text_of(&self, hunk: &Hunk, region_start: usize) -> Option<Vec<u8>> {
        let first = self.hunks.first()?;
        let start = first.after.start - (first.before.start - region_start);
        Some(self.lines.get(hunk.after.start - start..hunk.after.end - start)?.concat())
    }
}

/// A symbol's path without the numbers that tell equals apart.
fn without_ordinals(path: &str) -> String {
    path.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect::<Vec<_>>().join(".")
}

/// Merges stretches that hold nothing but one-line imports, as sets of imported names.
fn join_imports(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    let [base, ours, theirs] = [base, ours, theirs].map(|text| std::str::from_utf8(text).ok());
    let (base, ours, theirs) = (imported(base?)?, imported(ours?)?, imported(theirs?)?);
    if ours.is_empty() && theirs.is_empty() {
        return None;
    }
    let all = |lines: &[(&str, BTreeSet<String>)]| -> BTreeSet<(String, String)> {
        let pairs = |(head, names): &(&str, BTreeSet<String>)| -> Vec<(String, String)> {
            names.iter().map(|name| ((*head).to_owned(), name.clone())).collect()
        };
        lines.iter().flat_map(pairs).collect()
    };
    let (in_base, in_ours, in_theirs) = (all(&base), all(&ours), all(&theirs));
    let stays = |head: &str, name: &str| {
        let key = (head.to_owned(), name.to_owned());
        if in_base.contains(&key) { in_ours.contains(&key) && in_theirs.contains(&key) } else { true }
    };
    let mut merged: Vec<(&str, Vec<String>)> = Vec::new();
    let mut written = BTreeSet::new();
    for (head, names) in ours.iter().chain(&theirs) {
        let fresh: Vec<String> = names
            .iter()
            .filter(|name| stays(head, name) && written.insert(((*head).to_owned(), (*name).clone())))
            .cloned()
            .collect();
        match merged.iter_mut().find(|(known, _)| known == head && head.starts_with("from ")) {
            Some((_, known)) => known.extend(fresh),
            None if fresh.is_empty() => {}
            None => merged.push((head, fresh)),
        }
    }
    let mut text = String::new();
    for (head, names) in merged {
        text.push_str(head);
        text.push_str(&names.join(", "));
        text.push('\n');
    }
    Some(text.into_bytes())
}

/// One-line imports at column 0 as the text up to the names, and the names. `None` if a line is anything else.
fn imported(text: &str) -> Option<Vec<(&str, BTreeSet<String>)>> {
    let line = |line: &'_ str| -> Option<(usize, BTreeSet<String>)> {
        let head = if line.starts_with("import ") {
            7
        } else {
            line.starts_with("from ").then(|| line.find(" import "))?? + 8
        };
        let names = &line[head..];
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ',' | ' ' | '*');
        let names_are_plain = names.chars().all(plain) && !names.trim().is_empty();
        names_are_plain.then(|| (head, names.split(',').map(|name| name.trim().to_owned()).collect()))
    };
    text.split_terminator('\n').map(|text| line(text).map(|(head, names)| (&text[..head], names))).collect()
}

#[cfg(test)]
mod tests {
    use crate::merge::merge;

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
        assert_eq!(merged, "import os\nimport re\nfrom m import a, b, c\nimport json\nx = 1\n");
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
        assert!(!joined(8, "        b()\n", "    def g(self): ...\n"));
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
}
