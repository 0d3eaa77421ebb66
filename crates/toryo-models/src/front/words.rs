//! What is kept of the words of questions and answers, by the policy of their route: nothing, the words without what is
//! sensitive, or all of them; and for how long.
//!
//! Words are a convenience for whoever looks into a call later, not a part of its account: they wait in memory to be
//! written in batches, and where the database cannot keep up the newest ones are left out, with a line in the log.

use crate::accounts::Accounts;
use crate::config::{KeepWords, PromptLog};
use crate::mask::Mask;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use toryo_blackboard::Db;
use toryo_blackboard::prompts::{self, Prompt};
use toryo_domain::{AccountId, CallId};

/// Calls whose words wait to be written, at most.
const WAITING: usize = 512;
/// Calls of one write at most.
const BATCH: usize = 64;
/// Bytes of a question or an answer that are kept; what is longer is cut.
const LONGEST: usize = 256 * 1024;
/// How long the database may take for a batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often ended words are removed.
const SWEEP: Duration = Duration::from_secs(3_600);

/// Takes the words of calls; cheap to clone.
#[derive(Clone)]
pub(super) struct Words {
    queue: mpsc::Sender<Prompt>,
    mask: Option<Arc<dyn Mask>>,
}

/// The words of one call, until it ends.
pub(super) struct Kept {
    words: Words,
    rules: KeepWords,
    team: Option<AccountId>,
    route: String,
}

impl Words {
    /// Begins to write. It ends when all of its copies are gone and what waits is written.
    pub(super) fn start(accounts: &Accounts, mask: Option<Arc<dyn Mask>>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        tokio::spawn(write(accounts.db().clone(), waiting));
        Self { queue, mask }
    }

    /// What is to be kept of a call; `None` where its route keeps nothing.
    pub(super) fn of(&self, rules: KeepWords, team: Option<AccountId>, route: &str) -> Option<Kept> {
        let route = route.to_owned();
        (rules.log != PromptLog::None).then(|| Kept { words: self.clone(), rules, team, route })
    }
}

impl Kept {
    /// The call has ended.
    pub(super) fn keep(&self, call: CallId, at: DateTime<Utc>, question: &[u8], answer: &str) {
        let question = String::from_utf8_lossy(question);
        let prompt = Prompt {
            call,
            at,
            team: self.team,
            route: self.route.clone(),
            policy: self.rules.log.as_str().to_owned(),
            question: self.shown(&question),
            answer: self.shown(answer),
            keep_until: at + chrono::Duration::days(i64::from(self.rules.days)),
        };
        if self.words.queue.try_send(prompt).is_err() {
            tracing::warn!(%call, "the words of a call are not kept: the database does not keep up");
        }
    }

    fn shown(&self, text: &str) -> String {
        // Postgres stores no NUL.
        let text = text.replace('\0', "\u{FFFD}");
        let text = match (self.rules.log, &self.words.mask) {
            (PromptLog::Masked, Some(mask)) => without(&text, &**mask),
            // Nothing says what is sensitive: then all of it is.
            (PromptLog::Masked, None) | (PromptLog::None, _) => String::new(),
            (PromptLog::Full, _) => text,
        };
        cut(text)
    }
}

/// A text with the kind of everything sensitive in its place.
fn without(text: &str, mask: &dyn Mask) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for found in mask.find(text) {
        shown.push_str(&text[from..found.range.start]);
        shown.push('[');
        shown.push_str(found.kind);
        shown.push(']');
        from = found.range.end;
    }
    shown.push_str(&text[from..]);
    shown
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

async fn write(db: Db, mut waiting: mpsc::Receiver<Prompt>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut swept: Option<Instant> = None;
    loop {
        let came = timeout(SWEEP, waiting.recv_many(&mut batch, BATCH)).await;
        if came == Ok(0) {
            return;
        }
        if !batch.is_empty() {
            match timeout(PATIENCE, prompts::insert(&db, &batch)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, calls = batch.len(), "words of calls are not kept"),
                Err(_) => {
                    tracing::warn!(calls = batch.len(), "words of calls are not kept: the database is slow")
                }
            }
            batch.clear();
        }
        if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            swept = Some(Instant::now());
            match timeout(PATIENCE, prompts::prune(&db)).await {
                Ok(Ok(gone)) => tracing::debug!(gone, "words of calls came to their end"),
                Ok(Err(error)) => tracing::warn!(%error, "ended words of calls are not removed yet"),
                Err(_) => tracing::warn!("ended words of calls are not removed yet: the database is slow"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Found;

    #[derive(Debug)]
    struct Digits;

    impl Mask for Digits {
        fn find(&self, text: &str) -> Vec<Found> {
            let places = text.match_indices(|c: char| c.is_ascii_digit());
            places.map(|(at, _)| Found { range: at..at + 1, kind: "DIGIT" }).collect()
        }
    }

    #[tokio::test]
    async fn the_policy_decides_what_is_shown() {
        let (queue, mut waiting) = mpsc::channel(4);
        let words = Words { queue, mask: Some(Arc::new(Digits)) };
        let rules = |log| KeepWords { log, days: 7 };
        assert!(words.of(rules(PromptLog::None), None, "coder").is_none());
        let at = Utc::now();
        for (log, expected) in [(PromptLog::Masked, "a[DIGIT]\u{FFFD}"), (PromptLog::Full, "a1\u{FFFD}")] {
            let kept = words.of(rules(log), None, "coder").unwrap();
            kept.keep(CallId::generate(), at, b"a1\0", &"x".repeat(LONGEST + 5));
            let prompt = waiting.recv().await.unwrap();
            assert_eq!(prompt.question, expected);
            assert_eq!(prompt.answer.len(), LONGEST + '…'.len_utf8());
            assert_eq!(prompt.keep_until, at + chrono::Duration::days(7));
        }
        let blind = Words { mask: None, ..words };
        blind.of(rules(PromptLog::Masked), None, "coder").unwrap().keep(CallId::generate(), at, b"a1", "b");
        assert_eq!(waiting.recv().await.unwrap().question, "", "what cannot be masked is not kept");
    }
}
