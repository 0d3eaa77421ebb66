//! Moving commits between a mirror and a place that the `git` program reaches: look, fetch, push.

use super::command::{Call, Finished, Transport};
use super::{Mirror, commit_id, lock, oid};
use crate::Error;
use git2::Repository;
use std::ffi::OsString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;
use toryo_domain::CommitId;

/// Where fetches put what they fetched, each under a name of its own: a `git` that outlives a killed worker
/// cannot change what another fetch sees.
const FETCHED: &str = "refs/toryo/fetched";

/// Every commit that was fetched keeps a reference of its own: nothing is lost when a branch is rewritten, and
/// Git negotiates with them.
const KEPT: &str = "refs/toryo/commits";

/// A place that `git` reaches.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// What `git` is given: the Git folder of a local repository, or a URL.
    pub(crate) url: OsString,
    /// What people are told.
    pub(crate) name: String,
    /// How it is reached.
    pub(crate) transport: Transport,
}

/// The branches of a place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refs {
    /// The branch that `HEAD` names.
    pub(crate) default: Option<String>,
    /// Every branch with its tip.
    pub(crate) branches: Vec<(String, CommitId)>,
}

impl Refs {
    /// The base branch with its tip.
    pub(crate) fn resolve(&self, repo: &str, wanted: Option<&str>) -> Result<(String, CommitId), Error> {
        let repo = repo.to_owned();
        if self.branches.is_empty() {
            return Err(Error::Empty { repo });
        }
        let Some(branch) = wanted.or(self.default.as_deref()) else {
            return Err(Error::NoDefaultBranch { repo });
        };
        let found = self.tip(branch).cloned();
        let branch = branch.to_owned();
        found.map(|tip| (branch.clone(), tip)).ok_or(Error::UnknownBranch { repo, branch })
    }

    /// The tip of a branch.
    pub(crate) fn tip(&self, branch: &str) -> Option<&CommitId> {
        self.branches.iter().find(|(name, _)| name == branch).map(|(_, tip)| tip)
    }

    /// Reads the output of `git ls-remote --symref`.
    fn parse(output: &str) -> Self {
        let mut refs = Self::default();
        for line in output.lines() {
            let Some((left, name)) = line.split_once('\t') else { continue };
            if let Some(target) = left.strip_prefix("ref: refs/heads/").filter(|_| name == "HEAD") {
                refs.default = Some(target.to_owned());
            } else if let (Some(branch), Ok(tip)) = (name.strip_prefix("refs/heads/"), left.parse()) {
                refs.branches.push((branch.to_owned(), tip));
            }
        }
        refs
    }
}

impl Place {
    /// The branches, without a fetch.
    pub(crate) async fn refs(&self, limit: Duration, cancel: &CancellationToken) -> Result<Refs, Error> {
        let args = ["--symref".into(), "--".into(), self.url.clone(), "HEAD".into(), "refs/heads/*".into()];
        let finished = self.call("ls-remote", None, args.into(), limit).run(cancel).await?;
        self.checked("ls-remote", finished).map(|finished| Refs::parse(&finished.stdout))
    }

    /// Fetches a branch into the mirror and returns its tip. The caller holds the mirror's lock.
    pub(crate) async fn fetch_branch(
        &self,
        mirror: &Mirror,
        branch: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<CommitId, Error> {
        let fetched = fetched_name();
        let finished = self.fetch(mirror, &format!("+refs/heads/{branch}:{fetched}"), limit, cancel).await?;
        if finished.stderr.contains("couldn't find remote ref") {
            return Err(Error::UnknownBranch { repo: self.name.clone(), branch: branch.to_owned() });
        }
        self.checked("fetch", finished)?;
        mirror
            .work(move |repository| {
                let mut fetched = repository.find_reference(&fetched)?;
                let tip = commit_id(fetched.peel_to_commit()?.id())?;
                keep(repository, &tip)?;
                fetched.delete()?;
                Ok(tip)
            })
            .await
    }

    /// Fetches one commit into the mirror, wherever it is reachable from. The caller holds the mirror's lock.
    pub(crate) async fn fetch_commit(
        &self,
        mirror: &Mirror,
        commit: &CommitId,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        // Most servers hand out any commit that a branch reaches; for others every branch is fetched.
        let exact = self.fetch(mirror, &format!("+{commit}:{}", fetched_name()), limit, cancel).await?;
        if !exact.success {
            let all = self.fetch(mirror, "+refs/heads/*:refs/toryo/heads/*", limit, cancel).await?;
            self.checked("fetch", all)?;
        }
        let unknown = Error::UnknownCommit { repo: self.name.clone(), commit: commit.clone() };
        let commit = commit.clone();
        mirror
            .work(move |repository| match repository.find_commit(oid(&commit)?) {
                Ok(_) => keep(repository, &commit),
                Err(_) => Err(unknown),
            })
            .await
    }

    /// Pushes a commit onto a branch whose tip is still `expected` (`None`: there is no such branch); `false`
    /// where somebody else moved it meanwhile.
    pub(crate) async fn push(
        &self,
        mirror: &Mirror,
        branch: &str,
        commit: &CommitId,
        expected: Option<&CommitId>,
        limit: Duration,
    ) -> Result<bool, Error> {
        let expected = expected.map(CommitId::as_str).unwrap_or_default();
        let args = [
            "--quiet".into(),
            "--no-verify".into(),
            "--no-recurse-submodules".into(),
            format!("--force-with-lease=refs/heads/{branch}:{expected}").into(),
            "--".into(),
            self.url.clone(),
            format!("{commit}:refs/heads/{branch}").into(),
        ];
        let call = self.call("push", Some(mirror), args.into(), limit);
        let finished = call.run(&CancellationToken::new()).await?;
        let moved = ["stale info", "fetch first", "cannot lock ref", "reference already exists"];
        if !finished.success && moved.iter().any(|sign| finished.stderr.contains(sign)) {
            return Ok(false);
        }
        self.checked("push", finished).map(|_| true)
    }

    async fn fetch(
        &self,
        mirror: &Mirror,
        refspec: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<Finished, Error> {
        let args = [
            "--quiet".into(),
            "--prune".into(),
            "--no-tags".into(),
            "--no-recurse-submodules".into(),
            "--no-write-fetch-head".into(),
            // A shallow clone is a repository that people work in as well.
            "--update-shallow".into(),
            "--".into(),
            self.url.clone(),
            refspec.into(),
        ];
        self.call("fetch", Some(mirror), args.into(), limit).run(cancel).await
    }

    fn call(
        &self,
        what: &'static str,
        mirror: Option<&Mirror>,
        args: Vec<OsString>,
        limit: Duration,
    ) -> Call {
        let git_dir = mirror.map(|mirror| mirror.path().to_owned());
        Call { what, git_dir, args, transport: self.transport, limit }
    }

    fn checked(&self, what: &'static str, finished: Finished) -> Result<Finished, Error> {
        if finished.success { Ok(finished) } else { Err(finished.error(what, &self.name)) }
    }
}

/// Makes the bare repository of a mirror, or leaves it as it is. The caller holds the mirror's lock.
pub(crate) async fn prepare(mirror: &Mirror) -> Result<(), Error> {
    let path = mirror.path().to_owned();
    super::blocking(move || {
        if super::open(&path).is_err() {
            // Also mends what a killed process left half made: nothing of it was used yet.
            Repository::init_opts(&path, git2::RepositoryInitOptions::new().bare(true))?;
        }
        for name in ["HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"] {
            lock::break_dead(&path.join(name));
        }
        Ok(())
    })
    .await
}

/// Whether this commit was fetched whole.
pub(crate) async fn is_kept(mirror: &Mirror, commit: &CommitId) -> bool {
    let name = format!("{KEPT}/{commit}");
    mirror.work(move |repository| Ok(repository.find_reference(&name).is_ok())).await.unwrap_or(false)
}

/// A reference name that no other fetch uses, on this machine or in another container.
fn fetched_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{FETCHED}/{now}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn keep(repository: &Repository, commit: &CommitId) -> Result<(), Error> {
    let name = format!("{KEPT}/{commit}");
    lock::break_dead(&repository.path().join(format!("{name}.lock")));
    repository.reference(&name, oid(commit)?, true, "fetched")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_branches_is_read() {
        let one = "1".repeat(40);
        let output = format!(
            "ref: refs/heads/main\tHEAD\n{one}\tHEAD\n{one}\trefs/heads/main\n{one}\trefs/tags/x\nnoise\nx\trefs/heads/y\n"
        );
        let refs = Refs::parse(&output);
        assert_eq!(refs.default.as_deref(), Some("main"));
        assert_eq!(refs.branches, [("main".to_owned(), one.parse().unwrap())]);
        assert!(refs.resolve("r", Some("main")).is_ok() && refs.resolve("r", None).is_ok());
        assert!(matches!(refs.resolve("r", Some("dev")), Err(Error::UnknownBranch { .. })));
        assert!(matches!(Refs::default().resolve("r", None), Err(Error::Empty { .. })));
    }
}
