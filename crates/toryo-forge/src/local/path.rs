//! Repositories on this machine: which may be used, and what they say about themselves. Reads only.

use crate::Error;
use crate::git::commit_id;
use crate::git::transfer::Refs;
use git2::{BranchType, ErrorCode, Repository, RepositoryOpenFlags};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// The folder with objects and references of the repository at `path`: of the main one for a linked work tree.
pub(super) fn git_dir(path: &Path, roots: &[PathBuf]) -> Result<PathBuf, Error> {
    let repo = path.display().to_string();
    let real = match path.canonicalize() {
        Ok(real) => real,
        // Whether something exists outside the allowed folders is nobody's business.
        Err(_) if !lies_under(path, roots) => return Err(Error::NotAllowed { repo }),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(Error::Denied { repo }),
        Err(_) => return Err(Error::NotFound { repo }),
    };
    if !lies_under(&real, roots) {
        return Err(Error::NotAllowed { repo });
    }
    let opened = open(&real, &repo)?;
    // A `.git` file may point anywhere.
    let git_dir = opened.commondir().canonicalize().map_err(Error::Folder)?;
    if lies_under(&git_dir, roots) { Ok(git_dir) } else { Err(Error::NotAllowed { repo }) }
}

/// Opens exactly this repository: no search in the folders above, no settings from the environment.
pub(super) fn open(path: &Path, repo: &str) -> Result<Repository, Error> {
    let nowhere_above: [&str; 0] = [];
    Repository::open_ext(path, RepositoryOpenFlags::NO_SEARCH, nowhere_above)
        .map_err(|error| refused(error, repo.to_owned()))
}

fn refused(error: git2::Error, repo: String) -> Error {
    match error.code() {
        ErrorCode::Owner => Error::ForeignOwner { repo },
        ErrorCode::NotFound => Error::NotARepository { repo },
        _ => error.into(),
    }
}

/// Default branch and branches.
pub(super) fn refs(git_dir: &Path) -> Result<Refs, Error> {
    let repository = open(git_dir, &git_dir.display().to_string())?;
    let default = repository.find_reference("HEAD").ok().and_then(|head| {
        let target = head.symbolic_target().ok().flatten()?;
        target.strip_prefix("refs/heads/").map(str::to_owned)
    });
    let mut branches = Vec::new();
    for branch in repository.branches(Some(BranchType::Local))? {
        let (branch, _) = branch?;
        // A name that is not UTF-8 cannot be asked for; a broken reference has no tip.
        if let (Ok(Some(name)), Ok(tip)) = (branch.name(), branch.get().peel_to_commit()) {
            branches.push((name.to_owned(), commit_id(tip.id())?));
        }
    }
    Ok(Refs { default, branches })
}

fn lies_under(path: &Path, roots: &[PathBuf]) -> bool {
    let climbs = path.components().any(|part| part == Component::ParentDir);
    let below = |root: &PathBuf| {
        path.starts_with(root) || root.canonicalize().is_ok_and(|real| path.starts_with(real))
    };
    roots.is_empty() || (!climbs && roots.iter().any(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_owner_is_named_with_its_remedy() {
        let error = git2::Error::new(ErrorCode::Owner, git2::ErrorClass::Config, "not owned by current user");
        let message = refused(error, "/srv/repo".to_owned()).to_string();
        assert!(message.contains("safe.directory /srv/repo"), "{message}");
    }

    #[test]
    fn roots_are_folders_and_not_prefixes() {
        let roots = [PathBuf::from("/srv/repos")];
        assert!(lies_under(Path::new("/srv/repos/a"), &roots));
        assert!(!lies_under(Path::new("/srv/repos-private/a"), &roots));
        assert!(!lies_under(Path::new("/srv/repos/../secret"), &roots));
        assert!(lies_under(Path::new("/anywhere"), &[]));
    }
}
