//! Money: US dollars in whole billionths, because one token may cost less than a millionth of a dollar.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// An amount in US dollars, exact to 10⁻⁹; at most about 9.2 thousand million dollars either way.
/// In JSON it is a number of dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Usd(i64);

const NANOS: f64 = 1e9;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From billionths of a dollar.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// In billionths of a dollar, as tables keep it.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// From dollars, rounded to the nearest billionth; `None` where it is not finite or too large.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let nanos = (dollars * NANOS).round();
        // 2^63 is exactly representable, so the comparison is exact as well.
        (nanos.is_finite() && nanos.abs() < 9_223_372_036_854_775_808.0).then_some(Self(nanos as i64))
    }

    /// In dollars, for people and JSON.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANOS
    }

    /// What `count` units cost at this price a million units, rounded up: a budget errs on the safe side.
    #[must_use]
    pub fn per_million(self, count: u64) -> Self {
        let nanos = (i128::from(self.0) * i128::from(count)).div_euclid(1_000_000)
            + i128::from((i128::from(self.0) * i128::from(count)).rem_euclid(1_000_000) != 0);
        Self(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = self.dollars();
        if self.0 != 0 && dollars.abs() < 0.01 {
            write!(f, "${dollars:.4}")
        } else {
            write!(f, "${dollars:.2}")
        }
    }
}

impl Serialize for Usd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_dollars(f64::deserialize(deserializer)?)
            .ok_or_else(|| serde::de::Error::custom("not an amount in dollars"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_price_per_million_is_rounded_up() {
        let price = Usd::from_dollars(0.15).unwrap_or_default();
        assert_eq!(price.per_million(1), Usd::from_nanos(150));
        assert_eq!(Usd::from_nanos(1).per_million(1), Usd::from_nanos(1));
        assert_eq!(Usd::from_nanos(1).per_million(0), Usd::ZERO);
    }

    #[test]
    fn small_amounts_show_more_places() {
        assert_eq!(Usd::from_nanos(1_234_000).to_string(), "$0.0012");
        assert_eq!(Usd::from_nanos(1_234_000_000).to_string(), "$1.23");
        assert_eq!(Usd::ZERO.to_string(), "$0.00");
    }

    proptest! {
        #[test]
        fn cents_survive_json(cents in -1_000_000_i64..1_000_000) {
            let amount = Usd::from_nanos(cents * 10_000_000);
            let json = serde_json::to_string(&amount).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).ok(), Some(amount));
        }
    }
}
