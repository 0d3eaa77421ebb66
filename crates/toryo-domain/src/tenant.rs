//! Whose work a task is.

/// The tenant of repositories on the server's own machine.
pub const LOCAL: &str = "local";

/// Longest name of a tenant, in characters.
const LONGEST: usize = 200;

/// The tenant of a task: host and owner of its repository, such as `github.com/acme`, in lower case; [`LOCAL`] for a
/// path. Groups below the owner (GitLab's subgroups) belong to it.
#[must_use]
pub fn of_repository(repo_url: &str) -> String {
    owner(repo_url).unwrap_or_else(|| LOCAL.to_owned())
}

fn owner(repo_url: &str) -> Option<String> {
    let (rest, separator) = match repo_url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => (rest, '/'),
        // `git@host:owner/name`, as scp writes it; a path has no colon before its first slash.
        None if repo_url.split('/').next()?.contains(':') => (repo_url, ':'),
        None => return None,
    };
    let (authority, path) = rest.split_once(separator)?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let owner = path.trim_start_matches('/').split('/').next()?;
    if host.is_empty() || owner.is_empty() {
        return None;
    }
    Some(format!("{host}/{owner}").to_lowercase().chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_host_and_owner() {
        for (url, tenant) in [
            ("https://github.com/Acme/shop.git", "github.com/acme"),
            ("https://user:secret@github.com:8443/acme/shop", "github.com/acme"),
            ("ssh://git@host.example/acme/group/shop", "host.example/acme"),
            ("git@github.com:acme/shop.git", "github.com/acme"),
            ("/srv/repositories/shop", LOCAL),
            ("./shop", LOCAL),
            ("file:///srv/shop", LOCAL),
            ("https://", LOCAL),
            ("", LOCAL),
        ] {
            assert_eq!(of_repository(url), tenant, "{url}");
        }
    }
}
