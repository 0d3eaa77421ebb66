//! The contender of `cargo xtask bench index` that is this crate. It prints one JSON object and ends.
//!
//! | arguments | object |
//! | --- | --- |
//! | `cold FOLDER` | size of the index, and the processor and wall time of one build from the bytes on one thread |
//! | `stored FOLDER STORE` | the same with a folder of records, which it fills: started again it loads them |
//! | `refresh FOLDER COUNT` | times of a refresh after a change of one file, and after a new file |
//! | `query FOLDER QUERIES` | times of the queries, one a line of a file |
//! | `floor FOLDER` | time of parsing the Python files with tree-sitter and nothing else, and of their outlines |
//!
//! `cold` and `stored` read a file when the build asks for it, as the program does, so that `peak_bytes` is what a
//! build needs; reading them is part of both times.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is its result")]

use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;
use toryo_domain::RepoPath;
use toryo_index::{
    Build, BuildOptions, ContentId, FolderStore, Index, RecordStore, RetrieveOptions, SourceFile, Sources,
};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["cold", folder] => cold(Path::new(folder), None)?,
        ["stored", folder, store] => cold(Path::new(folder), Some(&FolderStore::new(*store, u64::MAX)))?,
        ["refresh", folder, count] => refresh(Path::new(folder), count.parse()?)?,
        ["query", folder, queries] => query(Path::new(folder), Path::new(queries))?,
        ["floor", folder] => floor(Path::new(folder))?,
        _ => {
            eprintln!("`cargo xtask bench index` runs this; there is nothing to measure without it");
            return Ok(());
        }
    };
    println!("{answer}");
    Ok(())
}

/// The files of a folder and what they hold.
struct Corpus {
    root: PathBuf,
    files: Vec<SourceFile>,
}

impl Corpus {
    fn open(root: &Path) -> Result<Self> {
        let mut corpus = Self { root: root.to_owned(), files: Vec::new() };
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() && entry.file_name() != ".git" {
                    folders.push(entry.path());
                }
                let relative = entry.path().strip_prefix(root)?.to_str().and_then(|path| path.parse().ok());
                if let (true, Some(path)) = (kind.is_file(), relative) {
                    let bytes = fs::read(entry.path())?;
                    corpus.files.push(SourceFile {
                        path,
                        content: ContentId::of(&bytes),
                        bytes: bytes.len() as u64,
                    });
                }
            }
        }
        Ok(corpus)
    }

    fn read(&self, paths: &[RepoPath]) -> io::Result<BTreeMap<RepoPath, Vec<u8>>> {
        paths.iter().map(|path| Ok((path.clone(), fs::read(self.root.join(path.as_str()))?))).collect()
    }

    fn build(&self, build: Build<'_>) -> Result<(Index, Sources)> {
        Ok(build.run(self.files.clone(), &|paths| self.read(paths))?)
    }
}

fn options() -> BuildOptions {
    BuildOptions { threads: 1, ..BuildOptions::default() }
}

/// Processor and wall time of some work, in milliseconds.
fn timed<T>(work: impl FnOnce() -> T) -> Result<(f64, f64, T)> {
    let (cpu, wall) = (cpu_ms()?, Instant::now());
    let result = work();
    Ok((cpu_ms()? - cpu, wall.elapsed().as_secs_f64() * 1e3, result))
}

fn cpu_ms() -> Result<f64> {
    let now = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(now.tv_sec() as f64 * 1e3 + now.tv_nsec() as f64 / 1e6)
}

fn cold(folder: &Path, store: Option<&FolderStore>) -> Result<Value> {
    let corpus = Corpus::open(folder)?;
    let before = memory("VmRSS:")?;
    let options = options();
    let store = store.map(|store| store as &dyn RecordStore);
    let (cpu, wall, built) = timed(|| corpus.build(Build { store, ..Build::new(&options) }))?;
    let (index, sources) = built?;
    let size = index.statistics();
    let bytes: u64 = index.files().iter().map(|file| u64::from(file.bytes)).sum();
    Ok(json!({
        "cpu_ms": cpu, "wall_ms": wall, "files": size.files, "lines": size.lines, "bytes": bytes,
        "symbols": size.symbols, "terms": size.terms, "references": size.references, "loaded": sources.loaded,
        "made": sources.made, "index_bytes": index.bytes(), "peak_bytes": memory("VmHWM:")? - before,
    }))
}

/// A line of the kernel's account of this process, in bytes; 0 on systems without one.
fn memory(line: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|one| one.strip_prefix(line));
    let kib: u64 = found.map_or(Ok(0), |value| value.trim().trim_end_matches(" kB").parse())?;
    Ok(kib * 1024)
}

/// Changes one file after the other, evenly chosen; each refresh follows the one before.
fn refresh(folder: &Path, count: usize) -> Result<Value> {
    let mut corpus = Corpus::open(folder)?;
    let options = options();
    let (mut index, _) = corpus.build(Build::new(&options))?;
    let code: Vec<usize> = (0..corpus.files.len()).filter(|at| is_python(&corpus.files[*at])).collect();
    if code.is_empty() {
        bail!("there is no Python file to change in {}", folder.display());
    }
    let (mut changed, mut added) = (Vec::new(), Vec::new());
    for number in 0..count {
        let at = code[number * code.len() / count];
        let mut text = fs::read(corpus.root.join(corpus.files[at].path.as_str()))?;
        text.extend_from_slice(format!("\n\ndef added_{number}(value):\n    return value\n").as_bytes());
        corpus.files[at].content = ContentId::of(&text);
        let read = |paths: &[RepoPath]| -> io::Result<_> {
            Ok(paths.iter().map(|path| (path.clone(), text.clone())).collect())
        };
        let mut next = |times: &mut Vec<Value>, corpus: &Corpus| -> Result<()> {
            let build = Build { before: Some(&index), ..Build::new(&options) };
            let (cpu, wall, built) = timed(|| build.run(corpus.files.clone(), &read))?;
            times.push(json!({ "cpu_ms": cpu, "wall_ms": wall }));
            index = built?.0;
            Ok(())
        };
        next(&mut changed, &corpus)?;
        let path = format!("{}.new_{number}.py", corpus.files[at].path).parse()?;
        let bytes = text.len() as u64;
        corpus.files.push(SourceFile { path, content: ContentId::of(&[&text[..], b"#"].concat()), bytes });
        next(&mut added, &corpus)?;
    }
    Ok(json!({ "changed": changed, "added": added }))
}

fn is_python(file: &SourceFile) -> bool {
    file.path.extension() == Some("py")
}

fn query(folder: &Path, queries: &Path) -> Result<Value> {
    let corpus = Corpus::open(folder)?;
    let options = options();
    let (index, _) = corpus.build(Build::new(&options))?;
    let (ask, mut times) = (RetrieveOptions::default(), Vec::new());
    for text in fs::read_to_string(queries)?.lines() {
        let (cpu, wall, hits) = timed(|| index.retrieve(&text.replace("\\n", "\n"), &ask))?;
        times.push(json!({ "cpu_ms": cpu, "wall_ms": wall, "files": black_box(hits).files.len() }));
    }
    Ok(json!(times))
}

fn floor(folder: &Path) -> Result<Value> {
    let corpus = Corpus::open(folder)?;
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into())?;
    let (mut cpu_ms, mut outline_ms, mut lines) = (0.0, 0.0, 0);
    for file in corpus.files.iter().filter(|file| is_python(file)) {
        let text = fs::read(corpus.root.join(file.path.as_str()))?;
        lines += text.iter().filter(|byte| **byte == b'\n').count();
        let (cpu, _, tree) = timed(|| parser.parse(&text, None))?;
        black_box(tree);
        cpu_ms += cpu;
        let text = String::from_utf8_lossy(&text);
        let (cpu, _, outline) = timed(|| toryo_code::outline(&file.path, &text))?;
        black_box(outline);
        outline_ms += cpu;
    }
    Ok(json!({ "cpu_ms": cpu_ms, "outline_ms": outline_ms, "lines": lines }))
}
