//! `add_import` where imports are statements of their own: finds the block in which its neighbours stand, and
//! never doubles one.

use super::Miss;
use super::fit::{Block, Style};
use super::plan::starts_line;
use super::source::{Source, Splice};
use crate::language::{Imported, Imports};
use crate::refusal::Refusal;
use tree_sitter::Node;

/// The longest line that a name is appended to, in characters: what the usual formatters allow.
const LONGEST_LINE: usize = 100;

/// An import statement, or the part of one that imports one module.
struct Statement<'tree> {
    node: Node<'tree>,
    /// Where the whole of it starts, if it is a part that stands alone.
    start: usize,
    imported: Vec<Imported>,
}

/// The splices that add what these import statements import and the file does not.
pub(crate) fn splices(text: &str, source: &Source, imports: &Imports) -> Result<Vec<Splice>, Miss> {
    let unfit = |why: &str| Miss::from(Refusal::Unfit(why.to_owned()));
    let asked = read(text, source, imports)?;
    let (Some(asked_tree), Some(tree)) = (asked.analysis(), source.analysis()) else {
        return Err(unfit("imports of this kind of file are not understood"));
    };
    let (asked_root, root) = (asked_tree.tree.root_node(), tree.tree.root_node());
    let wanted = statements(asked_root, &asked, imports);
    let holds = |node: &Node<'_>, one: &Statement<'_>| node.byte_range().contains(&one.node.start_byte());
    let is_import = |node: &Node<'_>| is_comment(node, source) || wanted.iter().any(|one| holds(node, one));
    if wanted.is_empty() || !asked.faults().is_empty() || !children(asked_root).iter().all(is_import) {
        return Err(unfit("add_import takes import statements only"));
    }
    let mut block = statements(root, source, imports);
    let mut present: Vec<Imported> = block.iter().flat_map(|statement| statement.imported.clone()).collect();
    // What is imported below the first definition is no place for more.
    let defined =
        source.symbols().iter().find(|symbol| symbol.body.is_some()).map(|symbol| symbol.span.start);
    let above =
        |statement: &Statement<'_>| defined.is_none_or(|defined| statement.node.start_byte() < defined);
    if block.iter().any(above) {
        block.retain(above);
    }
    let mut splices: Vec<Splice> = Vec::new();
    for statement in &wanted {
        let missing: Vec<Imported> = statement
            .imported
            .iter()
            .filter(|one| !present.iter().any(|other| other.covers(one)))
            .cloned()
            .collect();
        let Some(first) = missing.first() else { continue };
        let extended = block.iter().rev().find_map(|other| extension(other, &missing, source, imports));
        let whole = missing.len() == statement.imported.len();
        let line = match (imports.write)(&missing) {
            Some(line) if !whole => line,
            _ => asked.text[statement.node.byte_range()].to_owned(),
        };
        splices.push(extended.unwrap_or_else(|| placed(&line, first, &block, source, imports)));
        present.extend(missing);
    }
    // Several additions at one place stay in the order in which they were asked for, in one block.
    splices.sort_by_key(|splice| splice.span.start);
    Ok(joined(splices, source))
}

/// What is asked for as a text of its own. A missing `;` and a missing keyword before a bare name are made up.
fn read(text: &str, source: &Source, imports: &Imports) -> Result<Source, Miss> {
    let text = Block::of(text, source.language).trimmed().at("", Style::Spaces(4)).joined("\n");
    let text = if text.starts_with(['"', '`']) { format!("{}{text}", imports.keyword) } else { text };
    let text = if text.ends_with(imports.end) { text } else { text + imports.end };
    Ok(Source::read(&source.path, format!("{text}\n").as_bytes())?)
}

fn children(root: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = root.walk();
    root.named_children(&mut cursor).collect()
}

fn is_comment(node: &Node<'_>, source: &Source) -> bool {
    source.language.is_some_and(|language| language.comments.contains(&node.kind()))
}

/// The import statements of a file, or their parts.
fn statements<'a>(root: Node<'a>, source: &Source, imports: &Imports) -> Vec<Statement<'a>> {
    let mut found = Vec::new();
    for node in children(root).into_iter().filter(|node| imports.kinds.contains(&node.kind())) {
        let mut parts = Vec::new();
        crate::syntax::walk(node, |inner, _| {
            parts.extend((Some(inner.kind()) == imports.part).then_some(inner));
            crate::syntax::Walk::On
        });
        if imports.part.is_none() {
            parts.push(node);
        }
        let is_alone = parts.len() == 1 && !source.text[node.byte_range()].contains('(');
        let start = |part: Node<'_>| if is_alone { node.start_byte() } else { part.start_byte() };
        let statement =
            |part| Statement { node: part, start: start(part), imported: (imports.read)(part, &source.text) };
        found.extend(parts.into_iter().map(statement));
    }
    found.retain(|statement| !statement.imported.is_empty());
    found
}

/// Names added to the list of a statement that imports from the same module.
fn extension(
    statement: &Statement<'_>,
    missing: &[Imported],
    source: &Source,
    imports: &Imports,
) -> Option<Splice> {
    let list = (imports.list)(statement.node, &source.text, missing)?;
    let last = children(list).into_iter().rfind(|child| !is_comment(child, source))?;
    let names: Vec<&str> = missing.iter().map(|one| one.name.as_str()).collect();
    let own = &source.text[list.byte_range()];
    if own.contains('\n') {
        if !starts_line(last.start_byte(), source) {
            return None;
        }
        let line_break = source.line_break_at(last.start_byte());
        let to = source.indentation_at(last.start_byte());
        let text: String = names.iter().map(|name| format!(",{line_break}{to}{name}")).collect();
        return Some(Splice::at(last.end_byte(), text));
    }
    let lines = source.lines();
    let line = &source.text[lines.start_of_line_at(last.start_byte())..lines.end_of_line_at(last.end_byte())];
    let text = format!(", {}", names.join(", "));
    let fits = line.trim_end().chars().count() + text.chars().count() <= LONGEST_LINE;
    fits.then(|| Splice::at(last.end_byte(), text))
}

/// A new import at its place: below the one whose module is the most alike.
fn placed(
    line: &str,
    imported: &Imported,
    block: &[Statement<'_>],
    source: &Source,
    imports: &Imports,
) -> Splice {
    let lines = source.lines();
    let group = (imports.group)(&imported.module);
    let module_of = |statement: &Statement<'_>| {
        statement.imported.first().map_or("", |one| one.module.as_str()).to_owned()
    };
    let own_lines = || block.iter().filter(|statement| starts_line(statement.start, source));
    let alike = |statement: &&Statement<'_>| {
        let module = module_of(statement);
        let other = (imports.group)(&module);
        // In its own group the more alike the better; else the nearest group that stands before it.
        (other <= group).then(|| (other, if other == group { common(&module, &imported.module) } else { 0 }))
    };
    let after = own_lines().filter(|one| alike(one).is_some()).max_by_key(alike);
    let written = |statement: &Statement<'_>| {
        // Beside a part in parentheses stands a part.
        let is_alone = imports.part.is_none() || statement.start < statement.node.start_byte();
        match line.strip_prefix(imports.keyword) {
            Some(part) if !is_alone && imports.part.is_some() => part.to_owned(),
            None if is_alone && imports.part.is_some() => format!("{}{line}", imports.keyword),
            _ => line.to_owned(),
        }
    };
    if let Some(after) = after {
        let at = lines.end_of_line_at(after.node.end_byte().saturating_sub(1));
        let line_break = source.line_break_at(after.start);
        let to = source.indentation_at(after.start);
        let text = format!("{to}{}", written(after).replace('\n', line_break));
        let open = at == source.text.len() && !source.text.ends_with('\n');
        return Splice::at(at, if open { format!("{line_break}{text}") } else { text + line_break });
    }
    if let Some(before) = own_lines().next() {
        let line_break = source.line_break_at(before.start);
        let to = source.indentation_at(before.start);
        let decorators = source.language.map_or(&[][..], |language| language.decorators);
        let mut top = before.node;
        while let Some(above) = top.prev_sibling().filter(|above| decorators.contains(&above.kind())) {
            top = above;
        }
        let at = lines.start_of_line_at(top.start_byte().min(before.start));
        return Splice::at(at, format!("{to}{}{line_break}", written(before).replace('\n', line_break)));
    }
    let line = if line.starts_with(imports.keyword) || imports.part.is_none() {
        line.to_owned()
    } else {
        format!("{}{line}", imports.keyword)
    };
    first(&line, head_end(source, imports), source)
}

/// The first import of a file: below its head, with a blank line around it.
fn first(line: &str, at: usize, source: &Source) -> Splice {
    let line_break = source.line_break_at(at);
    let (above, below) = (&source.text[..at], &source.text[at..]);
    let open = !above.is_empty() && !above.ends_with('\n');
    let is_apart = above.trim().is_empty() || above.ends_with("\n\n") || above.ends_with("\n\r\n");
    let lead = usize::from(open) + usize::from(!is_apart);
    let is_followed = !below.trim().is_empty() && !below.starts_with(['\n', '\r']);
    let text = line_break.repeat(lead) + &line.replace('\n', line_break) + line_break;
    Splice::at(at, text + if is_followed { line_break } else { "" })
}

/// How many leading parts two modules share.
fn common(one: &str, other: &str) -> usize {
    let parts = |module: &str| module.split(['/', '.', ':']).map(str::to_owned).collect::<Vec<_>>();
    parts(one).iter().zip(parts(other)).take_while(|(a, b)| *a == b).count()
}

/// Where the head of a file ends: its first comments, its package, directives.
fn head_end(source: &Source, imports: &Imports) -> usize {
    let Some(analysis) = source.analysis() else { return 0 };
    let lines = source.lines();
    let mut end = 0;
    let mut pending = None;
    for node in children(analysis.tree.root_node()) {
        let text = source.text[node.byte_range()].trim_end();
        let line_end = lines.end_of_line_at((node.start_byte() + text.len()).saturating_sub(1));
        // A comment belongs to the head unless it stands directly above what is no head.
        let is_head =
            imports.head.contains(&node.kind()) || text.starts_with(['"', '\'']) || text.starts_with("#!");
        if is_head {
            end = line_end;
            pending = None;
        } else if is_comment(&node, source) {
            if pending.is_some_and(|pending| source.text[pending..node.start_byte()].contains('\n')) {
                end = pending.unwrap_or(end);
            }
            pending = Some(line_end);
        } else {
            let apart = |pending: usize| source.text[pending..node.start_byte()].contains('\n');
            return pending.filter(|pending| apart(*pending)).unwrap_or(end);
        }
    }
    pending.unwrap_or(end)
}

/// Splices at one place as one, so that blank lines around the first import stand once.
fn joined(splices: Vec<Splice>, source: &Source) -> Vec<Splice> {
    let mut joined: Vec<Splice> = Vec::new();
    for splice in splices {
        let line_break = source.line_break_at(splice.span.start);
        match joined.last_mut() {
            Some(last) if last.span == splice.span => {
                let blank = format!("{line_break}{line_break}");
                let trail = if last.text.ends_with(&blank) { line_break } else { "" };
                last.text.truncate(last.text.len() - trail.len());
                let added = splice.text.trim_start_matches(['\r', '\n']);
                let open = !last.text.ends_with('\n') && !added.starts_with(',');
                let text = if open { format!("{line_break}{added}") } else { added.to_owned() };
                last.text.push_str(&text);
            }
            _ => joined.push(splice),
        }
    }
    joined
}
