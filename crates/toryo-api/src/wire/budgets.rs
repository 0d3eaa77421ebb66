//! Budgets over the wire.

use crate::problem::{FieldError, Problem};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use toryo_blackboard::accounts::{self, BudgetState, Kind};
use toryo_blackboard::allowances::Limit;
use toryo_domain::{AccountId, BudgetId, Usd};
use utoipa::ToSchema;

/// Shares of a budget at which an alert is raised, in percent, where none are named.
const USUAL_ALERTS: [u8; 4] = [50, 80, 90, 100];

/// A budget to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutBudget {
    /// Whose: an organisation, a team, a user or a key.
    #[schema(value_type = String, format = Uuid)]
    pub account_id: AccountId,
    /// `day`, `week` (from Monday), `month`, all in UTC, or `total`.
    pub period: Period,
    /// Dollars that may be spent; calls beyond are refused before they are sent.
    #[schema(value_type = f64, minimum = 0, example = 100.0)]
    pub usd: Usd,
    /// Dollars that raise an alert and refuse nothing.
    #[schema(value_type = Option<f64>)]
    pub soft_usd: Option<Usd>,
    /// Shares at which an alert is raised, in percent; 50, 80, 90 and 100 where they are not named.
    pub alerts: Option<Vec<u8>>,
}

/// The period of a budget.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day of UTC.
    Day,
    /// A week of UTC, from Monday.
    Week,
    /// A month of UTC.
    Month,
    /// For ever.
    Total,
}

impl PutBudget {
    /// The budget, checked.
    ///
    /// # Errors
    /// A value cannot be accepted.
    pub fn check(self) -> Result<accounts::PutBudget, Problem> {
        let mut errors = Vec::new();
        for (pointer, usd) in [("/usd", Some(self.usd)), ("/soft_usd", self.soft_usd)] {
            if usd.is_some_and(|usd| usd < Usd::ZERO) {
                errors.push(FieldError::at(pointer, "dollars are not negative"));
            }
        }
        let alerts = self.alerts.unwrap_or_else(|| USUAL_ALERTS.to_vec());
        if alerts.len() > 20 || alerts.iter().any(|share| !(1..=100).contains(share)) {
            errors.push(FieldError::at("/alerts", "at most 20 shares of 1 to 100 percent are accepted"));
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        let limit = match self.period {
            Period::Day => Limit::Day,
            Period::Week => Limit::Week,
            Period::Month => Limit::Month,
            Period::Total => Limit::Total,
        };
        let (account, most, soft) = (self.account_id, self.usd, self.soft_usd);
        Ok(accounts::PutBudget { account, limit, most, soft, alerts })
    }
}

/// A budget and what became of it in the present period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
pub struct BudgetView {
    #[schema(value_type = String, format = Uuid)]
    id: BudgetId,
    #[schema(value_type = String, format = Uuid)]
    account_id: AccountId,
    /// What kind of account has it.
    #[schema(value_type = String)]
    account_kind: Kind,
    account_name: String,
    /// `day`, `week`, `month` or `total`.
    period: &'static str,
    /// When the present period began; 1970 for `total`.
    starts_at: DateTime<Utc>,
    /// Dollars that may be spent.
    #[schema(value_type = f64)]
    usd: Usd,
    #[schema(value_type = Option<f64>)]
    soft_usd: Option<Usd>,
    /// Dollars that are spent and charged; charging is a fraction of a second behind.
    #[schema(value_type = f64)]
    spent_usd: Usd,
    /// Dollars that processes hold for calls.
    #[schema(value_type = f64)]
    held_usd: Usd,
    alerts: Vec<u8>,
    /// Alerts that were raised in this period; 0 is the soft limit.
    raised: Vec<u8>,
}

impl From<BudgetState> for BudgetView {
    fn from(state: BudgetState) -> Self {
        let set = state.budget.set;
        Self {
            id: state.budget.id,
            account_id: set.account,
            account_kind: state.kind,
            account_name: state.name,
            period: set.limit.period().unwrap_or_default(),
            starts_at: state.starts_at,
            usd: set.most,
            soft_usd: set.soft,
            spent_usd: state.spent,
            held_usd: state.held,
            alerts: set.alerts,
            raised: state.raised,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parse;

    #[test]
    fn a_budget_is_checked() {
        let id = AccountId::generate();
        let check = |rest: &str| {
            let body = format!(r#"{{"account_id":"{id}","period":"month",{rest}}}"#);
            parse::<PutBudget>(body.as_bytes()).and_then(PutBudget::check)
        };
        let budget = check(r#""usd":12.5"#).unwrap();
        assert_eq!((budget.limit, budget.most.to_string()), (Limit::Month, "$12.50".into()));
        assert_eq!(budget.alerts, [50, 80, 90, 100]);
        for wrong in [r#""usd":-1"#, r#""usd":1,"alerts":[0]"#, r#""usd":1,"alerts":[101]"#, r#""euro":1"#] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
