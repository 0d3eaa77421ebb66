//! Answers that were given before: to an equal question, or to a similar one where the route allows it.
//!
//! What is kept is an answer in neutral words, so that every dialect, streamed or whole, can be served from it. A key
//! holds the team: what one team asked is never shown to another. Equal questions that are under way at the same time
//! wait for the first of them ([`Turn`]).

use crate::chat::{Chat, Completion, Output, Part, Stop, Turn as Said};
use crate::config::RouteCache;
use crate::ledger::Who;
use moka::Expiry;
use moka::sync::Cache as Kept;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use toryo_domain::Digest;

/// Similar questions that are compared for one conversation, the newest ones.
const COMPARED: usize = 256;
/// What an entry takes beside its texts.
const OVERHEAD: u64 = 512;

/// The answers of a process.
#[derive(Clone)]
pub(super) struct Cache(Arc<Inner>);

struct Inner {
    answers: Kept<Digest, Arc<Entry>>,
    similar: Kept<Digest, Arc<Mutex<Vec<Similar>>>>,
    under_way: Mutex<HashMap<Digest, Weak<Notify>>>,
}

/// A kept answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) completion: Completion,
    /// Who answered.
    pub(super) deployment: String,
    ttl: Duration,
}

/// A question that was answered, by the vector of its last message.
struct Similar {
    vector: Arc<[f32]>,
    question: Digest,
}

/// Names of a question: of all of it, and of all but its last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) exact: Digest,
    pub(super) but_last: Digest,
}

impl Names {
    pub(super) fn of(who: Who, route: &str, max_output_tokens: Option<u32>, chat: &Chat) -> Self {
        let owner = who.team.or(who.organisation).or(who.user).or(who.key);
        let owner = owner.map(|account| account.to_string()).unwrap_or_default();
        let limit = max_output_tokens.map(|tokens| tokens.to_string()).unwrap_or_default();
        let name = |chat: &Chat| {
            let digest = chat.digest().to_string();
            Digest::of_parts([owner.as_bytes(), route.as_bytes(), limit.as_bytes(), digest.as_bytes()])
        };
        let mut others = chat.clone();
        if let Some(last) = others.turns.last_mut() {
            last.parts_mut().retain(|part| !matches!(part, Part::Text(_)));
        }
        Self { exact: name(chat), but_last: name(&others) }
    }
}

/// The text of the last message, where a person said it.
pub(super) fn last_words(chat: &Chat) -> Option<String> {
    let Said::User(parts) = chat.turns.last()? else { return None };
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    Some(texts.collect::<String>()).filter(|text| !text.trim().is_empty())
}

impl Cache {
    pub(super) fn new(max_bytes: u64) -> Self {
        let answers = Kept::builder()
            .max_capacity(max_bytes)
            .weigher(|_, entry: &Arc<Entry>| u32::try_from(entry.bytes()).unwrap_or(u32::MAX))
            .expire_after(ByRoute)
            .build();
        let similar = Kept::builder().max_capacity(10_000).time_to_idle(Duration::from_secs(86_400)).build();
        Self(Arc::new(Inner { answers, similar, under_way: Mutex::default() }))
    }

    pub(super) fn exact(&self, names: &Names) -> Option<Arc<Entry>> {
        self.0.answers.get(&names.exact)
    }

    /// The answer to the most similar question, where it is similar enough.
    pub(super) fn similar(&self, names: &Names, vector: &[f32], at_least: f32) -> Option<Arc<Entry>> {
        let known = self.0.similar.get(&names.but_last)?;
        let known = locked(&known);
        let cosines = known.iter().map(|other| (cosine(vector, &other.vector), other.question));
        let best = cosines.filter(|(cosine, _)| *cosine >= at_least).max_by(|a, b| a.0.total_cmp(&b.0));
        self.0.answers.get(&best?.1)
    }

    /// Keeps an answer that is worth it: one that came to its end.
    pub(super) fn keep(
        &self,
        names: &Names,
        completion: Completion,
        deployment: &str,
        rules: RouteCache,
        vector: Option<Arc<[f32]>>,
    ) {
        if !matches!(completion.stop, Stop::End | Stop::Sequence(_) | Stop::ToolUse) {
            return;
        }
        let ttl = Duration::from_secs(rules.ttl_seconds);
        let entry = Entry { completion, deployment: deployment.to_owned(), ttl };
        self.0.answers.insert(names.exact, Arc::new(entry));
        if let Some(vector) = vector {
            let known = self.0.similar.get_with(names.but_last, Arc::default);
            let mut known = locked(&known);
            known.retain(|other| other.question != names.exact);
            if known.len() >= COMPARED {
                known.remove(0);
            }
            known.push(Similar { vector, question: names.exact });
        }
    }

    /// The turn to ask this question: at once, or after whoever asks it now.
    pub(super) async fn turn(&self, names: &Names) -> Turn {
        loop {
            let waiting = {
                let mut under_way = locked(&self.0.under_way);
                match under_way.get(&names.exact).and_then(Weak::upgrade) {
                    Some(other) => {
                        // Registered before the lock is given up: a turn that ends in between is not missed.
                        let mut ended = Box::pin(Arc::clone(&other).notified_owned());
                        ended.as_mut().enable();
                        drop(other);
                        ended
                    }
                    None => {
                        let mine = Arc::new(Notify::new());
                        under_way.insert(names.exact, Arc::downgrade(&mine));
                        return Turn { cache: self.clone(), question: names.exact, mine };
                    }
                }
            };
            waiting.await;
            if self.0.answers.contains_key(&names.exact) {
                // Many may be answered from what is kept; nobody needs a turn for that.
                return Turn { cache: self.clone(), question: names.exact, mine: Arc::new(Notify::new()) };
            }
        }
    }
}

/// The right to ask a question. Its end lets those go on that wait for the answer.
pub(super) struct Turn {
    cache: Cache,
    question: Digest,
    mine: Arc<Notify>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = locked(&self.cache.0.under_way);
        if under_way.get(&self.question).is_some_and(|held| held.as_ptr() == Arc::as_ptr(&self.mine)) {
            under_way.remove(&self.question);
        }
        drop(under_way);
        self.mine.notify_waiters();
    }
}

impl Entry {
    fn bytes(&self) -> u64 {
        let texts = self.completion.output.iter().map(|output| match output {
            Output::Text(text) | Output::Refusal(text) => text.len(),
            Output::ToolCall(call) => call.id.len() + call.name.len() + call.arguments.len(),
            Output::Reasoning { text, native } => {
                text.len() + native.as_ref().map_or(0, |value| value.to_string().len())
            }
        });
        OVERHEAD + texts.sum::<usize>() as u64
    }
}

/// Every entry counts as long as its route said.
struct ByRoute;

impl Expiry<Digest, Arc<Entry>> for ByRoute {
    fn expire_after_create(&self, _: &Digest, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        Some(entry.ttl)
    }

    fn expire_after_update(
        &self,
        _: &Digest,
        entry: &Arc<Entry>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.ttl)
    }
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let dot: f32 = left.iter().zip(right).map(|(left, right)| left * right).sum();
    let length = |vector: &[f32]| vector.iter().map(|one| one * one).sum::<f32>().sqrt();
    let lengths = length(left) * length(right);
    if left.len() == right.len() && lengths > 0.0 { dot / lengths } else { 0.0 }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use toryo_domain::AccountId;

    fn chat(words: &str) -> Chat {
        Chat { turns: vec![Said::User(vec![Part::Text(words.into())])], ..Chat::default() }
    }

    fn answer(words: &str) -> Completion {
        Completion {
            id: "1".into(),
            model: "m".into(),
            output: vec![Output::Text(words.into())],
            stop: Stop::End,
            usage: None,
        }
    }

    fn team() -> Who {
        Who { team: Some(AccountId::generate()), ..Who::default() }
    }

    const RULES: RouteCache = RouteCache { ttl_seconds: 60, semantic_threshold: Some(0.9) };

    #[test]
    fn an_equal_question_of_the_same_team_is_found_and_no_other() {
        let (cache, who) = (Cache::new(1 << 20), team());
        let names = Names::of(who, "coder", None, &chat("hi"));
        cache.keep(&names, answer("hello"), "d", RULES, None);
        assert_eq!(cache.exact(&names).unwrap().completion.text(), "hello");
        for other in [
            Names::of(team(), "coder", None, &chat("hi")),
            Names::of(who, "light", None, &chat("hi")),
            Names::of(who, "coder", Some(5), &chat("hi")),
            Names::of(who, "coder", None, &chat("ho")),
        ] {
            assert!(cache.exact(&other).is_none());
        }
    }

    #[test]
    fn half_an_answer_is_not_kept() {
        let cache = Cache::new(1 << 20);
        let names = Names::of(team(), "coder", None, &chat("hi"));
        for stop in [Stop::Length, Stop::ContentFilter, Stop::Refusal] {
            cache.keep(&names, Completion { stop, ..answer("hel") }, "d", RULES, None);
            assert!(cache.exact(&names).is_none());
        }
    }

    #[test]
    fn a_similar_question_is_found_where_the_rest_is_equal() {
        let (cache, who) = (Cache::new(1 << 20), team());
        let first = Names::of(who, "coder", None, &chat("how do I sort a list"));
        cache.keep(&first, answer("use sort"), "d", RULES, Some(Arc::from([1.0, 0.0])));
        let second = Names::of(who, "coder", None, &chat("how can I sort a list"));
        assert_eq!(second.but_last, first.but_last);
        assert!(cache.similar(&second, &[0.95, 0.1], 0.9).is_some());
        assert!(cache.similar(&second, &[0.1, 0.95], 0.9).is_none());
        let mut system = chat("how can I sort a list");
        system.turns.insert(0, Said::System(vec![Part::Text("Answer in French.".into())]));
        let other = Names::of(who, "coder", None, &system);
        assert!(cache.similar(&other, &[1.0, 0.0], 0.9).is_none(), "another conversation");
    }

    #[test]
    fn the_bound_holds() {
        let (cache, who) = (Cache::new(10_000), team());
        for at in 0..100 {
            let names = Names::of(who, "coder", None, &chat(&at.to_string()));
            cache.keep(&names, answer(&"x".repeat(1_000)), "d", RULES, None);
        }
        cache.0.answers.run_pending_tasks();
        assert!(cache.0.answers.weighted_size() <= 10_000);
    }

    #[tokio::test]
    async fn equal_questions_wait_for_the_first_and_go_on_where_it_fails() {
        let (cache, who) = (Cache::new(1 << 20), team());
        let names = Names::of(who, "coder", None, &chat("hi"));
        let first = cache.turn(&names).await;
        let second = tokio::spawn({
            let cache = cache.clone();
            async move { cache.turn(&names).await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        let second = second.await.unwrap();
        assert!(cache.exact(&names).is_none(), "the first one failed: the second has the turn");
        let mut others: Vec<_> = (0..3)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move { cache.turn(&names).await })
            })
            .collect();
        tokio::task::yield_now().await;
        cache.keep(&names, answer("hello"), "d", RULES, None);
        drop(second);
        for other in others.drain(..) {
            other.await.unwrap();
        }
        assert!(locked(&cache.0.under_way).is_empty());
    }
}
