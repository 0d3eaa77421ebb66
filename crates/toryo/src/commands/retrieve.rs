//! `toryo retrieve`: the files and symbols a text is about, without a server.

use crate::cli;
use crate::commands::index::Repository;
use crate::output;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;
use std::sync::Arc;
use toryo_index::{FileHit, Hits, Index, RetrieveOptions};

/// A line of a batch.
#[derive(Deserialize)]
struct Question {
    id: String,
    rev: String,
    query: String,
}

/// What is printed for a file.
#[derive(Serialize)]
struct FoundFile<'a> {
    path: &'a str,
    /// Only in repositories of several parts.
    #[serde(skip_serializing_if = "str::is_empty")]
    workspace: &'a str,
    score: f64,
}

/// What is printed for a symbol.
#[derive(Serialize)]
struct FoundSymbol<'a> {
    path: &'a str,
    symbol: &'a str,
    first_line: u32,
    last_line: u32,
    score: f64,
}

/// Answers one text, or a line for each line of a batch.
pub fn run(arguments: &cli::Retrieve) -> Result<ExitCode> {
    let repository = Repository::open(&arguments.repo, &arguments.records)?;
    let options = RetrieveOptions { k: arguments.k as usize, ..RetrieveOptions::default() };
    match (&arguments.batch, &arguments.query) {
        (Some(batch), _) => {
            let file = File::open(batch).with_context(|| format!("{} cannot be read", batch.display()))?;
            for line in BufReader::new(file).lines() {
                let line = line?;
                if line.trim().is_empty() {
                    continue;
                }
                let question: Question =
                    serde_json::from_str(&line).context("a line of the batch is wrong")?;
                let hits = index(&repository, &question.rev)?.retrieve(&question.query, &options);
                let mut answer = shown(&hits);
                answer["id"] = json!(question.id);
                output::json(&answer)?;
            }
        }
        (None, query) => {
            let mut text = query.clone().unwrap_or_default();
            if text == "-" {
                text.clear();
                std::io::stdin().read_to_string(&mut text)?;
            }
            let hits = index(&repository, &arguments.rev)?.retrieve(&text, &options);
            if arguments.json {
                output::json(&shown(&hits))?;
            } else {
                print(&hits);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn index(repository: &Repository, rev: &str) -> Result<Arc<Index>> {
    Ok(repository.index(&repository.resolve(rev)?)?.index)
}

fn shown(hits: &Hits) -> serde_json::Value {
    let found = |file: &FileHit| {
        json!(FoundFile { path: file.path.as_str(), workspace: &file.workspace, score: file.score })
    };
    let files: Vec<_> = hits.files.iter().map(found).collect();
    let symbols: Vec<_> = hits
        .symbols
        .iter()
        .map(|symbol| FoundSymbol {
            path: symbol.path.as_str(),
            symbol: &symbol.symbol,
            first_line: symbol.first_line,
            last_line: symbol.last_line,
            score: symbol.score,
        })
        .collect();
    json!({ "files": files, "symbols": symbols })
}

/// For people: the reasons beside each hit.
fn print(hits: &Hits) {
    for file in &hits.files {
        output::line(&format!(
            "{:6.3}  {}  {}",
            file.score,
            file.path,
            output::plain(&file.reasons.join("; "))
        ));
    }
    for symbol in &hits.symbols {
        let place = format!("{}:{}-{}", symbol.path, symbol.first_line, symbol.last_line);
        output::line(&format!("{:6.3}  {place}  {}", symbol.score, symbol.symbol));
    }
}
