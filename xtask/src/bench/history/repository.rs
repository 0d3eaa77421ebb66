//! What is read of a repository, with `git` and without a checkout.

use std::{
    collections::HashMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use toryo_domain::RepoPath;
use toryo_index::PastCommit;

/// A repository, bare or not. Only read.
pub(super) struct Repository {
    git_dir: PathBuf,
    /// Subject and paths of each commit without merges.
    past: HashMap<String, PastCommit>,
}

/// A commit with one parent.
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) message: String,
}

impl Repository {
    /// The repository at this folder.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let found =
            Command::new("git").arg("-C").arg(path).args(["rev-parse", "--absolute-git-dir"]).output()?;
        ensure!(found.status.success(), "{} is no Git repository", path.display());
        let git_dir = PathBuf::from(String::from_utf8(found.stdout)?.trim());
        let mut repository = Self { git_dir, past: HashMap::new() };
        repository.past = repository.read_past()?;
        Ok(repository)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.git_dir).args(arguments).env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    fn git(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let done = self.command(arguments).output().context("git cannot be run")?;
        let why = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "git {} failed: {}", arguments.join(" "), why.trim());
        Ok(done.stdout)
    }

    fn text(&self, arguments: &[&str]) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.git(arguments)?).into_owned())
    }

    fn read_past(&self) -> Result<HashMap<String, PastCommit>> {
        let log =
            self.text(&["log", "--no-merges", "--no-renames", "--name-only", "--format=%x01%H %s", "HEAD"])?;
        let mut past = HashMap::new();
        for entry in log.split('\u{1}').skip(1) {
            let (head, paths) = entry.split_once('\n').unwrap_or((entry, ""));
            let (id, subject) = head.split_once(' ').unwrap_or((head, ""));
            let paths = paths.lines().filter_map(|path| path.parse().ok()).collect();
            past.insert(id.to_owned(), PastCommit { subject: subject.to_owned(), paths });
        }
        Ok(past)
    }

    /// Commits that are no merges, newest first.
    pub(super) fn commits(&self, newest: usize) -> Result<Vec<Commit>> {
        let most = format!("-{newest}");
        let log = self.text(&["log", &most, "--no-merges", "--format=%x01%H%x00%P%x00%B", "HEAD"])?;
        let commit = |entry: &str| {
            let mut parts = entry.splitn(3, '\0').map(str::to_owned);
            Some(Commit { id: parts.next()?, parent: parts.next()?, message: parts.next()? })
        };
        Ok(log.split('\u{1}').skip(1).filter_map(commit).filter(|commit| !commit.parent.is_empty()).collect())
    }

    /// Files that a commit changed, each with whether the parent has it. A renamed file is one gone and one new.
    pub(super) fn changes(&self, commit: &Commit) -> Result<Vec<(RepoPath, bool)>> {
        let arguments =
            ["diff-tree", "-r", "-z", "--no-renames", "--name-status", &commit.parent, &commit.id];
        let listed = self.text(&arguments)?;
        let parts: Vec<&str> = listed.split('\0').collect();
        let change = |pair: &[&str]| Some((pair.get(1)?.parse().ok()?, *pair.first()? != "A"));
        Ok(parts.chunks(2).filter_map(change).collect())
    }

    /// The text of a file at a commit; empty where there is none.
    pub(super) fn file(&self, commit: &str, path: &RepoPath) -> String {
        self.text(&["cat-file", "blob", &format!("{commit}:{path}")]).unwrap_or_default()
    }

    /// All regular files of a commit.
    pub(super) fn files(&self, commit: &str) -> Result<Vec<(RepoPath, Vec<u8>)>> {
        let listed = self.text(&["ls-tree", "-r", "-z", commit])?;
        let entry = |line: &str| {
            let (facts, path) = line.split_once('\t')?;
            let regular = facts.starts_with("100");
            Some((facts.rsplit(' ').next()?.to_owned(), path.parse::<RepoPath>().ok()?)).filter(|_| regular)
        };
        let entries: Vec<(String, RepoPath)> = listed.split('\0').filter_map(entry).collect();
        let mut git = self
            .command(&["cat-file", "--batch=%(objectsize)"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = git.stdin.take().context("no pipe to git")?;
        let wanted: String = entries.iter().map(|(id, _)| format!("{id}\n")).collect();
        let writing = std::thread::spawn(move || input.write_all(wanted.as_bytes()));
        let answer = git.wait_with_output()?.stdout;
        writing.join().ok().context("git was not fed")??;
        let mut rest = &answer[..];
        let mut files = Vec::with_capacity(entries.len());
        for (_, path) in entries {
            let end = rest.iter().position(|byte| *byte == b'\n').context("git answered too little")?;
            let size: usize = std::str::from_utf8(&rest[..end])?.parse().context("git answered no size")?;
            let bytes = rest.get(end + 1..end + 1 + size).context("git answered too little")?;
            files.push((path, bytes.to_vec()));
            rest = &rest[end + 2 + size..];
        }
        Ok(files)
    }

    /// A commit and its ancestors without merges, newest first.
    pub(super) fn past(&self, commit: &str, most: usize) -> Result<Vec<PastCommit>> {
        let listed = self.text(&["rev-list", "--no-merges", "--topo-order", &format!("-{most}"), commit])?;
        Ok(listed.lines().filter_map(|id| self.past.get(id).cloned()).collect())
    }
}
