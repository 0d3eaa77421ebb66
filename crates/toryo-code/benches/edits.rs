//! The contender of `cargo xtask bench code` that is this crate: it answers requests, one JSON object a line.
//!
//! | request | reply |
//! | --- | --- |
//! | `{"do":"edit","path","symbols":[…],"body","out"}` | `cpu_ms` of applying one edit set that gives each symbol this body; the result is written to `out` |
//! | `{"do":"read","paths":[…]}` | `parse_ms` and `outline_ms` of all files: the parser alone, and the outline |
//!
//! Times are processor time of this thread; reading and writing files is not in them. Files that cannot be read
//! end the program: xtask has just listed them.

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{BufRead, Write};
use toryo_code::{EditSet, EditType, Locator, Operation, Patch, ProposeEdit, Target};
use toryo_domain::RepoPath;

/// The grammar sees the same path for every file, so that only its content counts.
const PATH: &str = "measured.py";

fn main() -> Result<()> {
    if !std::env::args().any(|argument| argument == "serve") {
        let hint = "`cargo xtask bench code` runs this; there is nothing to measure without it";
        return writeln!(std::io::stderr(), "{hint}").map_err(Into::into);
    }
    let mut replies = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?).context("a request is no JSON")?;
        let reply = match request["do"].as_str() {
            Some("edit") => edit(&request)?,
            Some("read") => read(&request)?,
            _ => json!({ "error": "an unknown request" }),
        };
        writeln!(replies, "{reply}")?;
        replies.flush()?;
    }
    Ok(())
}

/// Applies one edit for each symbol as one set.
fn edit(request: &Value) -> Result<Value> {
    let path: RepoPath = PATH.parse()?;
    let text = |key: &str| request[key].as_str().with_context(|| format!("the request has no `{key}`"));
    let body = text("body")?;
    let one = |symbol: &Value| ProposeEdit {
        file_path: PATH.to_owned(),
        edit_type: EditType::AstPatch,
        locator: Locator {
            target: Target::Symbol(symbol.as_str().unwrap_or_default().to_owned()),
            position: None,
        },
        patch: Patch::Operations(vec![Operation::ReplaceBody { text: body.to_owned() }]),
        rationale_summary: String::new(),
    };
    let edits = request["symbols"].as_array().map_or(&[][..], Vec::as_slice).iter().map(one).collect();
    let set = EditSet { edits, summary: String::new() };
    let before = std::fs::read(text("path")?)?;
    let files = BTreeMap::from([(path, before.clone())]);
    let (cpu_ms, applied) = timed(|| toryo_code::apply(&set, &files))?;
    let Some(changes) = applied.changes else {
        return Ok(json!({ "cpu_ms": cpu_ms, "error": format!("{:?}", applied.results) }));
    };
    // A body that was there already changes nothing.
    let after = changes.into_iter().next().map_or(Some(before), |change| change.after);
    std::fs::write(text("out")?, after.context("the file is gone")?)?;
    Ok(json!({ "cpu_ms": cpu_ms }))
}

/// Parses all files with one parser, and outlines them.
fn read(request: &Value) -> Result<Value> {
    let path: RepoPath = PATH.parse()?;
    let paths = request["paths"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_str);
    let texts = paths.map(|path| Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned()));
    let texts = texts.collect::<Result<Vec<String>>>()?;
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into())?;
    let (parse_ms, ()) = timed(|| {
        for text in &texts {
            black_box(parser.parse(text, None));
        }
    })?;
    let (outline_ms, symbols) = timed(|| {
        texts.iter().map(|text| black_box(toryo_code::outline(&path, text)).symbols.len()).sum::<usize>()
    })?;
    Ok(json!({ "parse_ms": parse_ms, "outline_ms": outline_ms, "symbols": symbols }))
}

/// A result, and the milliseconds of processor time that it took.
fn timed<T>(work: impl FnOnce() -> T) -> Result<(f64, T)> {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    let before = now()?;
    let result = work();
    let spent = now()? - before;
    Ok((spent.tv_sec() as f64 * 1e3 + spent.tv_nsec() as f64 / 1e6, result))
}
