//! Publishing to a URL with the `git` program.

use super::publish::is_earlier_of_ours;
use crate::git::transfer::Place;
use crate::git::{Mirror, oid};
use crate::{Config, Error};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_domain::CommitId;

/// How often a branch that moves under our hands is looked at again.
const TRIES: u32 = 3;

/// Makes `branch` at the place point to `commit`. The caller holds the mirror's lock.
pub(super) async fn publish(
    place: &Place,
    mirror: &Mirror,
    branch: &str,
    commit: &CommitId,
    config: &Config,
) -> Result<(), Error> {
    let never = CancellationToken::new();
    let (look, push) =
        (Duration::from_secs(config.check_timeout_seconds), Duration::from_secs(config.push_timeout_seconds));
    for _ in 0..TRIES {
        let tip = place.refs(look, &never).await?.tip(branch).cloned();
        match &tip {
            Some(tip) if tip == commit => return Ok(()),
            Some(_) => {
                let fetched = place.fetch_branch(mirror, branch, push, &never).await?;
                let (old, new) = (oid(&fetched)?, oid(commit)?);
                let ours =
                    mirror.work(move |repository| Ok(is_earlier_of_ours(repository, old, new))).await?;
                if !ours {
                    return Err(Error::BranchTaken { branch: branch.to_owned() });
                }
            }
            None => {}
        }
        if place.push(mirror, branch, commit, tip.as_ref(), push).await? {
            return Ok(());
        }
    }
    Err(Error::Locked { what: format!("the branch `{branch}`") })
}
