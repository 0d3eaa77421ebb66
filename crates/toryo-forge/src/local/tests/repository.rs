//! A repository of a test, and a forge beside it.

use crate::{Change, Config, Content, Identity, InMemoryPulls, Local, Mirror, NewCommit};
use chrono::DateTime;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use toryo_domain::{CommitId, RunId};

/// Runs `git` as nobody in particular and returns its output.
pub(super) fn git(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    let output = command
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=Tess",
            "-c",
            "user.email=tess@example.org",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
        .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A folder with a repository in it and room for mirrors.
pub(super) struct World {
    folder: TempDir,
    pub(super) repo: PathBuf,
}

impl World {
    /// A repository without a commit.
    pub(super) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("project");
        std::fs::create_dir(&repo).unwrap();
        git(&repo, &["init", "--quiet", "--initial-branch=main"]);
        Self { folder, repo }
    }

    /// A repository with two commits on `main`.
    pub(super) fn with_history() -> Self {
        let world = Self::empty();
        world.write("README.md", "# Sample\n");
        world.write("src/app.py", "def end(a, b):\n    return range(a, b)\n");
        world.write("tests/test_app.py", "def test_end():\n    pass\n");
        world.commit("first");
        world.write("src/app.py", "def end(a, b):\n    return list(range(a, b))\n");
        world.commit("second: a list\n\nWith a body.");
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn url(&self) -> String {
        self.repo.display().to_string()
    }

    pub(super) fn write(&self, path: &str, content: &str) {
        let path = self.repo.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(super) fn commit(&self, message: &str) -> CommitId {
        git(&self.repo, &["add", "--all"]);
        git(&self.repo, &["commit", "--quiet", "--message", message]);
        self.rev("HEAD")
    }

    pub(super) fn rev(&self, name: &str) -> CommitId {
        git(&self.repo, &["rev-parse", name]).parse().unwrap()
    }

    pub(super) fn forge(&self) -> Local {
        self.forge_with(Config::default())
    }

    pub(super) fn forge_with(&self, config: Config) -> Local {
        Local::new(self.path("mirrors"), Arc::new(InMemoryPulls::default()), config)
    }

    /// Every file of the work tree and of `.git` with its bytes.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut queue = vec![self.repo.clone()];
        while let Some(folder) = queue.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    queue.push(path);
                } else {
                    files.insert(
                        path.strip_prefix(&self.repo).unwrap().to_owned(),
                        std::fs::read(&path).unwrap(),
                    );
                }
            }
        }
        files
    }
}

pub(super) fn never() -> CancellationToken {
    CancellationToken::new()
}

pub(super) fn run(digit: u8) -> RunId {
    format!("01890a5d-ac96-774b-bcce-b302099a805{digit}").parse().unwrap()
}

pub(super) fn change(path: &str, content: Option<&str>) -> Change {
    let content = content.map(|text| Content { bytes: text.as_bytes().to_vec(), executable: false });
    Change { path: path.parse().unwrap(), content }
}

/// A commit as a run makes it.
pub(super) fn new_commit(base: &CommitId, run: RunId, changes: Vec<Change>) -> NewCommit {
    NewCommit {
        base: base.clone(),
        changes,
        message: format!("fix: make the range inclusive\n\nToryo-Run: {run}\n"),
        author: Identity { name: "Toryo".into(), email: "toryo@localhost".into() },
        when: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
    }
}

/// Commits one changed file on top of `base`.
pub(super) async fn fixed(mirror: &Mirror, base: &CommitId, run: RunId, content: &str) -> CommitId {
    let changes = vec![change("src/app.py", Some(content))];
    mirror.commit(new_commit(base, run, changes)).await.unwrap()
}
