//! Where the money goes: the analysis of spending and what it suggests. Pure functions over what each model cost on
//! each day.

use chrono::NaiveDate;
use serde::Serialize;
use std::collections::BTreeMap;
use toryo_domain::Usd;

/// Dollars a month that spending is measured against, where nobody names another sum.
pub const MONTHLY_LIMIT: f64 = 10_000.0;
/// Days of which the trend is taken.
const TREND_DAYS: usize = 7;
/// Weeks that a trend is continued for.
const WEEKS: f64 = 4.0;

/// What one model cost on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct Daily {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// The model.
    pub model: String,
    /// What it cost.
    pub cost: Usd,
}

/// An analysis of spending; all amounts in dollars.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Analysis {
    /// All of it.
    pub total_usd: f64,
    /// A day on which something was spent, on average.
    pub daily_average_usd: f64,
    /// By how much a day's cost grows from one day to the next: the slope of a line through the last seven days with
    /// spending; 0 where there are fewer.
    pub weekly_trend_usd: f64,
    /// The share of the monthly limit that is spent; 1 is all.
    pub burn_rate: f64,
    /// The total if the trend goes on for four weeks: total + 4 · trend.
    pub projected_usd: f64,
    /// What is measured against.
    pub monthly_limit_usd: f64,
    /// What each model cost, dearest first.
    pub models: Vec<ModelCost>,
}

/// What a model cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelCost {
    /// The model.
    pub model: String,
    /// Dollars.
    pub usd: f64,
    /// Of everything; 1 is all.
    pub share: f64,
}

/// How much a suggestion matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// At once.
    Critical,
    /// Soon.
    High,
    /// When there is time.
    Medium,
}

/// What a suggestion is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A model takes more than 40 % of the spending.
    ModelSubstitution,
    /// Spending grows.
    SpendingTrend,
    /// More than 80 % of the month's limit is spent.
    BudgetWarning,
}

/// A suggestion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suggestion {
    /// What it is about.
    pub about: About,
    /// How much it matters.
    pub severity: Severity,
    /// The model it is about.
    pub model: Option<String>,
    /// What it may save, in dollars.
    pub saves_usd: f64,
    /// What to do, for people.
    pub advice: String,
}

/// Analyses what was spent. Days may come in any order, and a model several times a day.
#[must_use]
pub fn analyse(costs: &[Daily], monthly_limit: f64) -> Analysis {
    let mut days: BTreeMap<NaiveDate, Usd> = BTreeMap::new();
    let mut models: BTreeMap<&str, Usd> = BTreeMap::new();
    for cost in costs {
        *days.entry(cost.day).or_default() += cost.cost;
        *models.entry(&cost.model).or_default() += cost.cost;
    }
    let total = days.values().copied().sum::<Usd>().dollars();
    let daily: Vec<f64> = days.values().map(|cost| cost.dollars()).collect();
    let trend = if daily.len() < TREND_DAYS { 0.0 } else { slope(&daily[daily.len() - TREND_DAYS..]) };
    let mut models: Vec<_> = models.into_iter().collect();
    models.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let share = |cost: Usd| if total > 0.0 { cost.dollars() / total } else { 0.0 };
    Analysis {
        total_usd: total,
        daily_average_usd: if daily.is_empty() { 0.0 } else { total / daily.len() as f64 },
        weekly_trend_usd: trend,
        burn_rate: if monthly_limit > 0.0 { total / monthly_limit } else { 0.0 },
        projected_usd: total + WEEKS * trend,
        monthly_limit_usd: monthly_limit,
        models: models
            .into_iter()
            .map(|(model, cost)| ModelCost {
                model: model.to_owned(),
                usd: cost.dollars(),
                share: share(cost),
            })
            .collect(),
    }
}

/// What an analysis suggests, what matters most first.
#[must_use]
pub fn suggest(analysis: &Analysis) -> Vec<Suggestion> {
    let mut suggestions = Vec::new();
    let limit = analysis.monthly_limit_usd;
    if limit > 0.0 && analysis.total_usd > 0.8 * limit {
        suggestions.push(Suggestion {
            about: About::BudgetWarning,
            severity: Severity::Critical,
            model: None,
            saves_usd: analysis.total_usd - 0.7 * limit,
            advice: format!(
                "{:.0} % of the month's limit is spent: cut down, or raise the limit",
                analysis.burn_rate * 100.0
            ),
        });
    }
    for model in analysis.models.iter().filter(|model| model.share > 0.4) {
        suggestions.push(Suggestion {
            about: About::ModelSubstitution,
            severity: Severity::High,
            model: Some(model.model.clone()),
            saves_usd: 0.3 * model.usd,
            advice: format!(
                "`{}` takes {:.0} % of the spending: use a cheaper model where it is good enough",
                model.model,
                model.share * 100.0
            ),
        });
    }
    if analysis.weekly_trend_usd > 0.0 {
        suggestions.push(Suggestion {
            about: About::SpendingTrend,
            severity: Severity::Medium,
            model: None,
            saves_usd: WEEKS * analysis.weekly_trend_usd,
            advice: "spending grows from day to day: look which teams and routes it comes from".into(),
        });
    }
    suggestions
}

/// The slope of the straight line with the least squares through values at 0, 1, 2 …
fn slope(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let (mean_x, mean_y) = ((count - 1.0) / 2.0, values.iter().sum::<f64>() / count);
    let mut above = 0.0;
    let mut below = 0.0;
    for (n, value) in values.iter().enumerate() {
        let x = n as f64 - mean_x;
        above += x * (value - mean_y);
        below += x * x;
    }
    if below == 0.0 { 0.0 } else { above / below }
}

/// Controls that an operator may opt in to, with their usual figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Controls {
    /// Requests an hour.
    pub requests_per_hour: u64,
    /// Tokens an hour.
    pub tokens_per_hour: u64,
    /// Dollars an hour.
    pub usd_per_hour: f64,
    /// The share of a budget that is left when calls go to the cheaper model.
    pub downgrade_below: f64,
    /// Which model takes the place of which.
    pub downgrades: Vec<(&'static str, &'static str)>,
    /// Shares of a budget at which an alert is raised, in percent.
    pub alerts: [u8; 4],
    /// Dollars a day.
    pub daily_budget: f64,
    /// Dollars a month.
    pub monthly_budget: f64,
}

impl Default for Controls {
    fn default() -> Self {
        Self {
            requests_per_hour: 1000,
            tokens_per_hour: 100_000,
            usd_per_hour: 100.0,
            downgrade_below: 0.1,
            downgrades: vec![("gpt-5", "gpt-4o"), ("claude-opus-4.1", "claude-sonnet-3.5")],
            alerts: [50, 80, 90, 100],
            daily_budget: 1000.0,
            monthly_budget: 25_000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn daily(costs: &[(u32, &str, f64)]) -> Vec<Daily> {
        let day = |day| NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
        let cost = |dollars| Usd::from_dollars(dollars).unwrap();
        costs
            .iter()
            .map(|&(n, model, usd)| Daily { day: day(n), model: model.into(), cost: cost(usd) })
            .collect()
    }

    #[test]
    fn growing_spending_of_one_model_is_seen_and_continued() {
        let costs: Vec<_> = (1..=7).map(|n| (n, "gpt-5", 100.0 * f64::from(n))).collect();
        let mut costs = daily(&costs);
        costs.extend(daily(&[(3, "gpt-4o", 200.0), (7, "gpt-4o", 5500.0)]));
        let analysis = analyse(&costs, MONTHLY_LIMIT);
        // By hand: days 100 200 500 400 500 600 6200, mean 8500/7, slope (-300-400-500+0+500+1200+18600)/28.
        assert_eq!(analysis.total_usd, 8500.0);
        assert!((analysis.weekly_trend_usd - 19_100.0 / 28.0).abs() < 1e-9, "{analysis:?}");
        let rounded = |usd: f64| (usd * 1000.0).round() / 1000.0;
        assert_eq!(rounded(analysis.daily_average_usd), 1214.286);
        assert_eq!((analysis.burn_rate, rounded(analysis.projected_usd)), (0.85, 11_228.571));
        let models: Vec<_> =
            analysis.models.iter().map(|it| (it.model.as_str(), it.usd, rounded(it.share))).collect();
        assert_eq!(models, [("gpt-4o", 5700.0, 0.671), ("gpt-5", 2800.0, 0.329)]);
        let suggestions: Vec<_> = suggest(&analysis)
            .into_iter()
            .map(|it| (it.about, it.severity, it.model, rounded(it.saves_usd)))
            .collect();
        assert_eq!(
            suggestions,
            [
                (About::BudgetWarning, Severity::Critical, None, 1500.0),
                (About::ModelSubstitution, Severity::High, Some("gpt-4o".into()), 1710.0),
                (About::SpendingTrend, Severity::Medium, None, 2728.571),
            ]
        );
    }

    #[test]
    fn few_days_have_no_trend_and_nothing_suggests_nothing() {
        let analysis = analyse(
            &daily(&[(1, "a", 1.0), (2, "b", 2.0), (3, "c", 3.0), (4, "a", 1.0), (5, "b", 0.5)]),
            10_000.0,
        );
        assert_eq!((analysis.weekly_trend_usd, analysis.projected_usd), (0.0, 7.5));
        assert_eq!(analysis.daily_average_usd, 1.5);
        assert_eq!(suggest(&analysis), []);
        let nothing = analyse(&[], MONTHLY_LIMIT);
        assert_eq!((nothing.total_usd, nothing.daily_average_usd, nothing.burn_rate), (0.0, 0.0, 0.0));
        assert_eq!(suggest(&nothing), []);
    }

    #[test]
    fn the_usual_controls_are_those_of_the_requirements() {
        let controls = Controls::default();
        assert_eq!((controls.requests_per_hour, controls.tokens_per_hour), (1000, 100_000));
        assert_eq!((controls.usd_per_hour, controls.downgrade_below), (100.0, 0.1));
        assert_eq!((controls.daily_budget, controls.monthly_budget), (1000.0, 25_000.0));
    }

    proptest! {
        #[test]
        fn shares_add_up_and_a_straight_line_has_its_slope(start in 0_i32..1000, step in -100_i32..100) {
            let values: Vec<f64> = (0..7).map(|n| f64::from(start + n * step)).collect();
            prop_assert!((slope(&values) - f64::from(step)).abs() < 1e-6);
            let costs = daily(&[(1, "a", f64::from(start) + 1.0), (2, "b", 3.0), (2, "c", 5.0)]);
            let shares: f64 = analyse(&costs, 1.0).models.iter().map(|model| model.share).sum();
            prop_assert!((shares - 1.0).abs() < 1e-9);
        }
    }
}
