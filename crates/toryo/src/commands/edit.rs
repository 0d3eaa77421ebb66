//! `toryo edit apply`: an edit set on a working tree, whole or not at all, without a server.

use crate::output;
use anyhow::{Context, Result};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use toryo_code::EditSet;
use toryo_code::worktree::WorkTree;

/// Largest edit set that is read, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// One JSON line an edit; status 1 where one was refused, and then nothing was written.
pub fn apply(repo: &Path, edits: &Path, check: bool) -> Result<ExitCode> {
    let edits: EditSet = serde_json::from_str(&read(edits)?).context("the edit set is not one")?;
    let applied = WorkTree::open(repo)?.apply(&edits, check)?;
    for result in &applied.results {
        output::json(result)?;
    }
    Ok(if applied.changes.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let named = || format!("{} cannot be read", path.display());
    let size = if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text))
    };
    anyhow::ensure!(size.with_context(named)? as u64 <= LARGEST, "the edit set is larger than 16 MiB");
    Ok(text)
}
