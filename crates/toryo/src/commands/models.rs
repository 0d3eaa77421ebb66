//! `toryo models import`: another gateway's settings as a section of `toryo.toml`, without a server.

use crate::output;
use anyhow::{Context, Result};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use toryo_models::config::litellm;

/// Largest file that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The section to standard output, what was not understood to standard error; status 1 where nothing was.
pub fn import(path: &Path) -> Result<ExitCode> {
    let imported = litellm::import(&read(path)?).with_context(|| path.display().to_string())?;
    for note in &imported.notes {
        output::note(&format!("not taken: {}", output::plain(note)));
    }
    if imported.routes == 0 {
        output::error("no model of the file can be used here");
        return Ok(ExitCode::FAILURE);
    }
    output::line(imported.toml.trim_end());
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let named = || format!("{} cannot be read", path.display());
    let size = if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text))
    };
    anyhow::ensure!(size.with_context(named)? as u64 <= LARGEST, "the file is larger than 4 MiB");
    Ok(text)
}
