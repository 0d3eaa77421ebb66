//! Which of several deployments is asked: a choice among those that may be.

use super::member::Member;
use super::optimise::{self, Wish};
use super::score::{self, Work};
use crate::config::Strategy;
use crate::prices;
use crate::reply::Usage;
use std::sync::Arc;
use tokio::time::Instant;
use toryo_domain::Usd;

/// What a choice depends on beside the deployments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// Tokens of the prompt, guessed.
    pub input_tokens: u64,
    /// Tokens of the answer at most.
    pub output_tokens: u64,
    pub work: Work,
    /// 0 to 1.
    pub complexity: f64,
    /// How often this route chose before.
    pub turn: usize,
    /// Any number.
    pub chance: u64,
    pub now: Instant,
}

/// The place of the chosen one; `members` is not empty.
pub(crate) fn choose(strategy: Strategy, members: &[&Arc<Member>], given: &Circumstances) -> usize {
    if members.len() == 1 {
        return 0;
    }
    match strategy {
        Strategy::SimpleShuffle => by_weight(members, given.chance),
        Strategy::RoundRobin => given.turn % members.len(),
        Strategy::LeastBusy => least(members, given, |member| {
            f64::from(member.under_way()) / f64::from(member.deployment.capacity)
        }),
        Strategy::Latency => least(members, given, |member| member.first_token_seconds()),
        Strategy::LowestCost => least(members, given, |member| cost(member, given)),
        Strategy::Usage => least(members, given, |member| -member.head_room(given.now)),
        Strategy::Scored => {
            least(members, given, |member| -score::score(&member.standing(), given.work, given.complexity))
        }
        Strategy::Auto => least(members, given, |member| -rating(member, given)),
    }
}

fn by_weight(members: &[&Arc<Member>], chance: u64) -> usize {
    let weight = |member: &Arc<Member>| u64::from(member.deployment.weight);
    let total: u64 = members.iter().map(|member| weight(member)).sum();
    // Where only deployments without weight are left they are better than nothing.
    let Some(mut left) = chance.checked_rem(total) else { return place(chance, members.len()) };
    for (at, member) in members.iter().enumerate() {
        match left.checked_sub(weight(member)) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    0
}

/// The one with the lowest measure; of equals, each in its turn.
fn least(members: &[&Arc<Member>], given: &Circumstances, measure: impl Fn(&Member) -> f64) -> usize {
    let measures: Vec<f64> = members.iter().map(|member| measure(member)).collect();
    let lowest = measures.iter().copied().fold(f64::INFINITY, f64::min);
    let equals: Vec<usize> = (0..members.len()).filter(|at| measures[*at] <= lowest).collect();
    equals.get(given.turn % equals.len().max(1)).copied().unwrap_or(0)
}

fn place(chance: u64, among: usize) -> usize {
    usize::try_from(chance % among as u64).unwrap_or(0)
}

/// A model whose price is not known counts as the dearest: it is nobody's bargain.
fn cost(member: &Member, given: &Circumstances) -> f64 {
    let usage = Usage { input: given.input_tokens, output: given.output_tokens, ..Usage::default() };
    member.price().map_or(f64::MAX, |price| dollars(prices::cost(&price, &usage)))
}

#[expect(clippy::cast_precision_loss, reason = "compared only")]
fn dollars(amount: Usd) -> f64 {
    amount.nanos() as f64 / 1e9
}

fn rating(member: &Member, given: &Circumstances) -> f64 {
    let task = match given.work {
        Work::CodeGeneration => "code_generation",
        Work::SecurityAnalysis => "security_analysis",
        Work::PerformanceTest => "performance_testing",
        Work::Unknown => "general",
    };
    let wish = Wish { task, complexity: given.complexity, ..Wish::default() };
    let mut profile = optimise::profile_of(&member.deployment.model);
    // The dated table knows today's prices; the requirements' table is the measure for those it does not know.
    if let Some(price) = member.price() {
        profile.input_price = dollars(price.input) / 1000.0;
        profile.output_price = dollars(price.output) / 1000.0;
    }
    optimise::rate(&member.deployment.model, &profile, &wish).score
}
