//! Notifications of changes and of limits that are wanted elsewhere.

use super::CHANNEL;
use crate::{Db, Error};
use sqlx::postgres::PgListener;
use toryo_domain::{AccountId, InstanceId};

/// What was notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// An account, its keys, members or budgets changed.
    Changed {
        /// Which.
        account: AccountId,
        /// How many changes there were; one more than the time before, or some were missed.
        version: i64,
    },
    /// A process needs what others hold of an account's limits without using it.
    Recall {
        /// Whose limits.
        account: AccountId,
        /// Who needs them.
        instance: InstanceId,
    },
    /// The connection was lost; what was notified meanwhile is not known.
    Lost,
}

/// A connection that hears notifications.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Takes a connection of the pool for good.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn connect(db: &Db) -> Result<Self, Error> {
        let mut listener = PgListener::connect_with(db.pool()).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// The next notice. One that cannot be read is left out: it comes from a newer version.
    ///
    /// # Errors
    /// The database does not answer; make another listener.
    pub async fn next(&mut self) -> Result<Notice, Error> {
        loop {
            let Some(notification) = self.0.try_recv().await? else { return Ok(Notice::Lost) };
            if let Some(notice) = read(notification.payload()) {
                return Ok(notice);
            }
        }
    }
}

fn read(payload: &str) -> Option<Notice> {
    let mut words = payload.split(' ');
    let (kind, account) = (words.next()?, words.next()?.parse().ok()?);
    match kind {
        "changed" => Some(Notice::Changed { account, version: words.next()?.parse().ok()? }),
        "recall" => Some(Notice::Recall { account, instance: words.next()?.parse().ok()? }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_read_and_others_left_out() {
        let (account, instance) = (AccountId::generate(), InstanceId::generate());
        assert_eq!(read(&format!("changed {account} 7")), Some(Notice::Changed { account, version: 7 }));
        assert_eq!(read(&format!("recall {account} {instance}")), Some(Notice::Recall { account, instance }));
        for other in ["", "changed", "changed x 1", "hello world 1"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
