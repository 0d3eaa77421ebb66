//! Who of a route is asked now: those who could answer, have not failed, are of the lowest order, and then by strategy.

use super::member::{Busy, Member};
use super::strategy::{self, Circumstances};
use super::{Question, Route, Router, Wanted, attempt};
use crate::provider::ProviderError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Who is asked now.
pub(super) enum Choice {
    /// The deployment at this place.
    Member(usize),
    /// Everybody who could be asked has failed in this round.
    AllFailed,
    /// Everybody rests.
    Later(Busy),
    /// Nobody could ever answer this.
    Nobody {
        /// Whose endpoint it is that cannot.
        provider: String,
        /// Why.
        why: ProviderError,
    },
}

impl Router {
    /// A second deployment, asked where the first is slow to begin.
    pub(super) fn second<'a>(
        &self,
        route: &'a Route,
        question: &Question<'_>,
        failed: &[usize],
        first: usize,
    ) -> Option<(Duration, &'a Arc<Member>)> {
        let after = Duration::from_millis(route.config.hedge_after_ms?);
        let others: Vec<usize> = failed.iter().copied().chain([first]).collect();
        match self.choose(route, question, &others) {
            Choice::Member(at) => Some((after, &route.members[at])),
            Choice::AllFailed | Choice::Later(_) | Choice::Nobody { .. } => None,
        }
    }

    /// Who is asked now, of those that could answer. Whether a deployment can say the question's parameters is looked at
    /// where it is its turn: the question has to be read for that, and where the client's bytes are passed on nobody
    /// reads it.
    pub(super) fn choose(&self, route: &Route, question: &Question<'_>, failed: &[usize]) -> Choice {
        let mut able = Vec::with_capacity(route.members.len());
        let mut unable = None;
        for (at, member) in route.members.iter().enumerate() {
            match eligible(member, question) {
                Ok(()) => able.push(at),
                Err(why) => drop(unable.get_or_insert((at, why))),
            }
        }
        while !able.is_empty() {
            let choice = self.choose_of(route, question, &able, failed);
            let Choice::Member(chosen) = choice else { return choice };
            match says(&route.members[chosen], question) {
                Ok(()) => return choice,
                Err(why) => {
                    able.retain(|at| *at != chosen);
                    unable = Some((chosen, why));
                }
            }
        }
        let nothing = || (0, ProviderError::unsupported("this route"));
        let (at, why) = unable.unwrap_or_else(nothing);
        let of = route.members.get(at).map_or_else(|| route.config.first(), |member| &member.deployment);
        Choice::Nobody { provider: of.provider.clone(), why }
    }

    fn choose_of(&self, route: &Route, question: &Question<'_>, able: &[usize], failed: &[usize]) -> Choice {
        let now = Instant::now();
        let mut earliest: Option<Busy> = None;
        let mut free: Vec<usize> = Vec::new();
        for at in able.iter().copied().filter(|at| !failed.contains(at)) {
            let member = &route.members[at];
            let tokens =
                question.input_tokens + u64::from(attempt::output_tokens(question, &member.deployment));
            match member.busy(tokens, now) {
                None => free.push(at),
                Some(busy) if earliest.as_ref().is_none_or(|other| busy.until < other.until) => {
                    earliest = Some(busy);
                }
                Some(_) => {}
            }
        }
        let order = |at: &usize| route.members[*at].deployment.order;
        let Some(first) = free.iter().map(order).min() else {
            return match earliest {
                Some(busy) if failed.is_empty() => Choice::Later(busy),
                _ => Choice::AllFailed,
            };
        };
        free.retain(|at| order(at) == first);
        let members: Vec<&Arc<Member>> = free.iter().map(|at| &route.members[*at]).collect();
        let given = Circumstances {
            input_tokens: question.input_tokens,
            output_tokens: u64::from(question.max_output_tokens.unwrap_or(1_000)),
            work: question.work,
            complexity: question.complexity,
            turn: route.turn.fetch_add(1, Ordering::Relaxed),
            chance: self.chance(),
            now,
        };
        Choice::Member(free[strategy::choose(route.config.strategy, &members, &given)])
    }

    /// A number that nobody foresees; good enough to spread load, not for secrets.
    pub(super) fn chance(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014): a counter through a mixer.
        let mut mixed = self.chance.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Whether a deployment's provider can say the question's parameters.
fn says(member: &Member, question: &Question<'_>) -> Result<(), ProviderError> {
    let Some(provider) = &member.provider else { return Ok(()) };
    let model = &member.deployment.model;
    match question.wanted {
        Wanted::Chat(chat) => provider.knows(chat, model),
        Wanted::Inbound(..) if attempt::native(member, question).is_some() => Ok(()),
        // What cannot be read is told where it is asked.
        Wanted::Inbound(_, read) => read().map_or(Ok(()), |chat| provider.knows(&chat, model)),
    }
}

/// Whether a deployment could answer at all.
fn eligible(member: &Member, question: &Question<'_>) -> Result<(), ProviderError> {
    let deployment = &member.deployment;
    if member.provider.is_none() {
        return Err(ProviderError::unsupported(format!("`{}` without a key", deployment.provider)));
    }
    if question.region.is_some_and(|region| deployment.region.as_deref() != Some(region)) {
        return Err(ProviderError::unsupported("this region"));
    }
    if let Some(tag) = question.tags.iter().find(|tag| !deployment.tags.contains(tag)) {
        return Err(ProviderError::unsupported(format!("the tag `{tag}`")));
    }
    // The careful guess is above the true count; what does not fit even at two thirds of it does not fit.
    let surely = question.input_tokens / 3 * 2;
    match deployment.context_tokens {
        Some(room) if surely > u64::from(room) => Err(ProviderError::ContextLength {
            message: format!("about {} tokens for a window of {room}", question.input_tokens),
        }),
        _ => Ok(()),
    }
}
