//! The strategy `auto`: quality, speed and price of models in one number (requirements R97–R102; the tables of
//! prices, performance and token estimates are theirs, and the real price table counts where it knows better).

use serde::Serialize;

/// What is asked of the choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wish<'a> {
    /// `code_generation`, `security_analysis`, `performance_testing`; anything else counts as `general`.
    pub task: &'a str,
    /// 0 to 1. Default .5.
    pub complexity: f64,
    /// How much quality counts, 0 to 1. Default .7.
    pub quality: f64,
    /// How much speed counts, 0 to 1. Default .3.
    pub speed: f64,
    /// Dollars that the request may cost at most.
    pub budget_usd: Option<f64>,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Self { task: "general", complexity: 0.5, quality: 0.7, speed: 0.3, budget_usd: None }
    }
}

/// A model's rating.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rating {
    /// The model.
    pub model: String,
    /// Tokens of the prompt, estimated.
    pub input_tokens: u64,
    /// Tokens of the answer, estimated.
    pub output_tokens: u64,
    /// Dollars, estimated.
    pub cost_usd: f64,
    /// The higher, the better.
    pub score: f64,
}

/// What is known of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Dollars a thousand tokens of the prompt (R97).
    pub input_price: f64,
    /// Dollars a thousand tokens of the answer (R97).
    pub output_price: f64,
    /// 0 to 1 (R98).
    pub quality: f64,
    /// 0 to 1 (R98).
    pub speed: f64,
    /// How many tokens it takes for the same (R99).
    pub efficiency: f64,
}

/// The models that the requirements rate.
pub const PROFILES: [(&str, Profile); 5] = [
    ("gpt-5", profile(0.002, 0.006, 0.95, 0.8, 1.0)),
    ("gpt-4o", profile(0.0015, 0.002, 0.9, 0.9, 1.1)),
    ("claude-opus-4.1", profile(0.015, 0.075, 0.92, 0.7, 0.9)),
    ("claude-sonnet-3.5", profile(0.003, 0.015, 0.88, 0.85, 1.0)),
    ("gemini-2.0-flash", profile(0.001, 0.002, 0.85, 0.95, 1.2)),
];

const fn profile(input_price: f64, output_price: f64, quality: f64, speed: f64, efficiency: f64) -> Profile {
    Profile { input_price, output_price, quality, speed, efficiency }
}

/// The rating of a model that nobody rated: middling, free (R97: an unknown model costs 0).
const UNRATED: Profile = profile(0.0, 0.0, 0.8, 0.8, 1.0);

/// What is known of a model, by the longest name of the table that it begins with.
#[must_use]
pub fn profile_of(model: &str) -> Profile {
    let model = model.rsplit('/').next().unwrap_or(model);
    let known =
        PROFILES.iter().filter(|(name, _)| model.starts_with(name)).max_by_key(|(name, _)| name.len());
    known.map_or(UNRATED, |(_, profile)| *profile)
}

/// R99: tokens in and out, cut to whole numbers.
#[must_use]
pub fn estimate(task: &str, complexity: f64, efficiency: f64) -> (u64, u64) {
    let (input, output) = match task {
        "code_generation" => (500.0, 2000.0),
        "security_analysis" => (1000.0, 1500.0),
        "performance_testing" | "performance_test" => (800.0, 1200.0),
        _ => (300.0, 800.0),
    };
    let factor = (0.5 + complexity * 1.5) * efficiency;
    (whole(input * factor), whole(output * factor))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a token count below 10,000, cut to a whole number as R99 wants it"
)]
const fn whole(tokens: f64) -> u64 {
    tokens as u64
}

/// R101.
#[must_use]
pub fn rate(model: &str, profile: &Profile, wish: &Wish<'_>) -> Rating {
    let (input_tokens, output_tokens) = estimate(wish.task, wish.complexity, profile.efficiency);
    let cost_usd =
        thousands(input_tokens) * profile.input_price + thousands(output_tokens) * profile.output_price;
    let score = profile.quality * wish.quality * (0.5 + wish.complexity)
        + profile.speed * wish.speed
        + (1.0 - wish.quality - wish.speed) / (1.0 + cost_usd);
    Rating { model: model.to_owned(), input_tokens, output_tokens, cost_usd, score }
}

#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
fn thousands(tokens: u64) -> f64 {
    tokens as f64 / 1000.0
}

/// R100, R101: the models within the budget, best first; none where none is.
#[must_use]
pub fn recommend<'a>(models: impl IntoIterator<Item = (&'a str, Profile)>, wish: &Wish<'_>) -> Vec<Rating> {
    let mut ratings: Vec<Rating> = models
        .into_iter()
        .map(|(model, profile)| rate(model, &profile, wish))
        .filter(|rating| wish.budget_usd.is_none_or(|limit| rating.cost_usd <= limit))
        .collect();
    ratings.sort_by(|left, right| right.score.total_cmp(&left.score));
    ratings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(ratings: &[Rating]) -> Vec<(&str, f64)> {
        ratings.iter().map(|rating| (rating.model.as_str(), (rating.score * 1e4).round() / 1e4)).collect()
    }

    /// R102.
    #[test]
    fn the_golden_vectors_hold() {
        let wish =
            Wish { task: "code_generation", complexity: 0.7, quality: 0.8, speed: 0.2, budget_usd: None };
        let ratings = recommend(PROFILES, &wish);
        assert_eq!(
            rounded(&ratings),
            [
                ("gpt-5", 1.0720),
                ("gpt-4o", 1.0440),
                ("claude-opus-4.1", 1.0232),
                ("claude-sonnet-3.5", 1.0148),
                ("gemini-2.0-flash", 1.0060)
            ]
        );
        let best = &ratings[0];
        assert_eq!((best.input_tokens, best.output_tokens), (774, 3099));
        assert!((best.cost_usd - 0.020_142).abs() < 1e-9, "{}", best.cost_usd);
        assert_eq!(
            rounded(&recommend(PROFILES, &Wish::default())),
            [
                ("gpt-5", 0.905),
                ("gpt-4o", 0.9),
                ("gemini-2.0-flash", 0.88),
                ("claude-sonnet-3.5", 0.871),
                ("claude-opus-4.1", 0.854)
            ]
        );
    }

    #[test]
    fn what_is_beyond_the_budget_is_left_out() {
        let wish = Wish { budget_usd: Some(0.003), ..Wish::default() };
        let models: Vec<_> = recommend(PROFILES, &wish).into_iter().map(|rating| rating.model).collect();
        assert_eq!(models, ["gpt-4o", "gemini-2.0-flash"]);
        assert!(recommend(PROFILES, &Wish { budget_usd: Some(0.0), ..wish }).is_empty());
    }

    #[test]
    fn names_are_found_with_a_version_and_a_vendor() {
        assert_eq!(profile_of("gpt-4o-2024-08-06"), PROFILES[1].1);
        assert_eq!(profile_of("openai/gpt-5"), PROFILES[0].1);
        assert_eq!(profile_of("home-made"), UNRATED);
    }
}
