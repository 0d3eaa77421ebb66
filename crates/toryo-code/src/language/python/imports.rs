//! `add_import` in Python: finds the block where imports of the same kind stand, and never doubles one.

use crate::apply::fit::{Block, Style};
use crate::apply::{Miss, Source, Splice};
use crate::refusal::Refusal;
use tree_sitter::Node;

/// The longest line that a name is appended to, in characters (Black's limit).
const LONGEST_LINE: usize = 88;

/// One imported name: `import module` has no name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Imported {
    module: String,
    /// `name` or `name as alias`, with single spaces; for `import a as b` it is ` as b` of the module.
    name: Option<String>,
}

/// An import statement of a text.
#[derive(Debug)]
struct Statement {
    start: usize,
    end: usize,
    imported: Vec<Imported>,
}

/// The splices that add what these import statements import and the file does not.
pub(super) fn splices(text: &str, source: &Source) -> Result<Vec<Splice>, Miss> {
    let unfit = |why: &str| Miss::from(Refusal::Unfit(why.to_owned()));
    let text = Block::of(text, source.language).trimmed().at("", Style::Spaces(4)).joined("\n");
    let asked = Source::read(&source.path, format!("{text}\n").as_bytes())?;
    let (Some(asked_tree), Some(tree)) = (asked.analysis(), source.analysis()) else {
        return Err(unfit("imports of this kind of file are not understood"));
    };
    let statements = statements(asked_tree.tree.root_node(), &asked.text);
    let whole =
        children(asked_tree.tree.root_node()).iter().all(|node| is_import(*node) || node.kind() == "comment");
    if statements.is_empty() || !whole || !asked.faults().is_empty() {
        return Err(unfit("add_import takes import statements only"));
    }
    let root = tree.tree.root_node();
    let mut present = Vec::new();
    for node in children(root) {
        // A `try` around an import makes it no less imported; `if TYPE_CHECKING` does.
        let inner = if node.kind() == "try_statement" { Some(node) } else { None };
        present.extend(inner.map(|node| nested_statements(node, &source.text)).unwrap_or_default());
    }
    let top = self::statements(root, &source.text);
    present.extend(top.iter().flat_map(|statement| statement.imported.clone()));
    let mut splices: Vec<Splice> = Vec::new();
    for statement in &statements {
        let missing: Vec<&Imported> =
            statement.imported.iter().filter(|one| !present.contains(one)).collect();
        if missing.is_empty() {
            continue;
        }
        splices.push(addition(&missing, statement, &asked, &top, source));
        present.extend(missing.into_iter().cloned());
    }
    // Several additions at one place stay in the order in which they were asked for.
    splices.sort_by_key(|splice| splice.span.start);
    Ok(splices)
}

/// How one statement's missing names are added: to a line of the same module, or as a line of their own.
fn addition(
    missing: &[&Imported],
    statement: &Statement,
    asked: &Source,
    top: &[Statement],
    source: &Source,
) -> Splice {
    let module = missing.first().map_or("", |one| one.module.as_str());
    let names: Vec<&str> = missing.iter().filter_map(|one| one.name.as_deref()).collect();
    let is_from = asked.text[statement.start..].starts_with("from");
    let names_only = is_from && !names.contains(&"*");
    let extendable = top.iter().rfind(|present| {
        let text = &source.text[present.start..present.end];
        let room = text.chars().count() + names.join(", ").chars().count() + 2 <= LONGEST_LINE;
        let same = text.starts_with("from") && present.imported.iter().all(|one| one.module == module);
        names_only && same && room && !text.contains(['\n', '(', '*', '\\', ';'])
    });
    if let Some(present) = extendable {
        return Splice::at(present.end, format!(", {}", names.join(", ")));
    }
    let line = if missing.len() == statement.imported.len() {
        asked.text[statement.start..statement.end].to_owned()
    } else if is_from {
        format!("from {module} import {}", names.join(", "))
    } else {
        let plain = |one: &&Imported| format!("{}{}", one.module, one.name.as_deref().unwrap_or_default());
        format!("import {}", missing.iter().map(plain).collect::<Vec<_>>().join(", "))
    };
    placed(&line, module, top, source)
}

/// A new import line at its place.
fn placed(line: &str, module: &str, top: &[Statement], source: &Source) -> Splice {
    let lines = source.lines();
    let root = |module: &str| module.split('.').next().unwrap_or_default().to_owned();
    let leading = leading_end(source);
    let block: Vec<&Statement> = match top.iter().take_while(|statement| statement.start < leading).count() {
        0 => top.iter().take(1).collect(),
        count => top.iter().take(count).collect(),
    };
    let of = |statement: &&&Statement, test: &dyn Fn(&str) -> bool| {
        statement.imported.iter().any(|one| test(&one.module))
    };
    let is_future = module == "__future__";
    let last_where =
        |test: &dyn Fn(&str) -> bool| block.iter().rfind(|statement| of(statement, test)).copied();
    let not_future = |other: &str| other != "__future__";
    let after = if is_future {
        last_where(&|other| other == "__future__")
    } else if module.starts_with('.') {
        last_where(&|other| other.starts_with('.')).or_else(|| last_where(&not_future))
    } else {
        let same_root = || last_where(&|other| root(other) == root(module));
        let same_kind = || {
            last_where(&|other| {
                !other.starts_with('.') && not_future(other) && is_standard(other) == is_standard(module)
            })
        };
        same_root()
            .or_else(same_kind)
            .or_else(|| last_where(&|other| !other.starts_with('.') && not_future(other)))
    };
    let before = block.iter().find(|statement| is_future || of(statement, &not_future)).copied();
    let line_break = source.line_break_at(after.or(before).map_or(0, |statement| statement.start));
    let line = line.replace('\n', line_break);
    if let Some(after) = after {
        let at = lines.end_of_line_at(after.end.saturating_sub(1));
        let open = at == source.text.len() && !source.text.ends_with('\n');
        return Splice::at(at, if open { format!("{line_break}{line}") } else { line + line_break });
    }
    if let Some(before) = before {
        return Splice::at(lines.start_of_line_at(before.start), line + line_break);
    }
    // No imports yet: below the file's head, with a blank line around, two above definitions.
    let future = block.last().map(|statement| lines.end_of_line_at(statement.end.saturating_sub(1)));
    let at = future.unwrap_or_else(|| head_end(source));
    let rest = &source.text[at..];
    let blank = rest.split_inclusive('\n').take_while(|line| line.trim().is_empty()).count();
    let want = if rest.trim_start().starts_with(['@', 'd', 'c', 'a']) { 2 } else { 1 };
    let trail =
        if rest.trim().is_empty() { 0 } else { (want - want.min(blank)).max(usize::from(blank == 0)) };
    let open = at > 0 && !source.text[..at].ends_with('\n');
    let lead = usize::from(at > 0 && !source.text[..at].ends_with("\n\n")) + usize::from(open);
    Splice::at(at, line_break.repeat(lead) + &line + line_break + &line_break.repeat(trail))
}

fn children(root: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = root.walk();
    root.named_children(&mut cursor).collect()
}

fn is_import(node: Node<'_>) -> bool {
    matches!(node.kind(), "import_statement" | "import_from_statement" | "future_import_statement")
}

fn statements(root: Node<'_>, text: &str) -> Vec<Statement> {
    children(root).into_iter().filter(|node| is_import(*node)).map(|node| statement(node, text)).collect()
}

/// What a compound statement's blocks import.
fn nested_statements(node: Node<'_>, text: &str) -> Vec<Imported> {
    let mut found = Vec::new();
    crate::syntax::walk(node, |inner, _| {
        if is_import(inner) {
            found.extend(statement(inner, text).imported);
        }
        if inner.kind().ends_with("_definition") {
            crate::syntax::Walk::Skip
        } else {
            crate::syntax::Walk::On
        }
    });
    found
}

fn statement(node: Node<'_>, text: &str) -> Statement {
    let plain = |node: Node<'_>| text[node.byte_range()].split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cursor = node.walk();
    let names = node.children_by_field_name("name", &mut cursor);
    let imported = if node.kind() == "import_statement" {
        let one = |name: Node<'_>| {
            let name = plain(name);
            match name.split_once(" as ") {
                Some((module, alias)) => {
                    Imported { module: module.to_owned(), name: Some(format!(" as {alias}")) }
                }
                None => Imported { module: name, name: None },
            }
        };
        names.map(one).collect()
    } else {
        let module = node
            .child_by_field_name("module_name")
            .map_or("__future__".to_owned(), |node| plain(node).replace(' ', ""));
        let star = text[node.byte_range()].trim_end().ends_with('*').then(|| "*".to_owned());
        names
            .map(plain)
            .chain(star)
            .map(|name| Imported { module: module.clone(), name: Some(name) })
            .collect()
    };
    Statement { start: node.start_byte(), end: node.end_byte(), imported }
}

/// Where the first statement starts that belongs to no head of a module: no docstring, import, `if` or `try`.
fn leading_end(source: &Source) -> usize {
    let Some(analysis) = source.analysis() else { return 0 };
    let head = |node: &Node<'_>| {
        is_import(*node)
            || matches!(node.kind(), "comment" | "if_statement" | "try_statement")
            || node
                .named_child(0)
                .is_some_and(|child| child.kind() == "string" && node.kind() == "expression_statement")
    };
    let first = children(analysis.tree.root_node()).into_iter().find(|node| !head(node));
    first.map_or(source.text.len(), |node| node.start_byte())
}

/// Where a module's comments at its start and its docstring end.
fn head_end(source: &Source) -> usize {
    let lines = source.lines();
    let doc = source.analysis().and_then(|analysis| {
        let doc = source.language?.inner_doc(analysis.tree.root_node())?;
        Some(lines.end_of_line_at(doc.end_byte().saturating_sub(1)))
    });
    let comments =
        || source.text.split_inclusive('\n').take_while(|line| line.starts_with('#')).map(str::len).sum();
    doc.unwrap_or_else(comments)
}

/// Whether a module is one of the common ones of the standard library.
fn is_standard(module: &str) -> bool {
    const STANDARD: &str = " abc argparse array ast asyncio atexit base64 bisect builtins calendar collections \
        concurrent configparser contextlib contextvars copy csv ctypes dataclasses datetime decimal difflib dis email \
        enum errno fcntl filecmp fnmatch fractions functools gc getpass gettext glob graphlib gzip hashlib heapq hmac \
        html http importlib inspect io ipaddress itertools json keyword linecache locale logging lzma math mimetypes \
        multiprocessing numbers operator os pathlib pickle pkgutil platform plistlib pprint profile queue random re \
        reprlib resource runpy sched secrets select selectors shelve shlex shutil signal site smtplib socket \
        socketserver sqlite3 ssl stat statistics string struct subprocess sys sysconfig tarfile tempfile textwrap \
        threading time timeit tkinter token tokenize tomllib traceback tracemalloc types typing unicodedata unittest \
        urllib uuid venv warnings wave weakref webbrowser xml zipfile zipimport zlib zoneinfo ";
    let root = module.split('.').next().unwrap_or_default();
    !root.is_empty() && STANDARD.contains(&format!(" {root} "))
}
