//! Money in hundredths. The services use floating point numbers; comparing those would hide a lost cent.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An amount of money, counted in hundredths of its currency's unit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Amount(i64);

/// A number that is not an amount of money.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{0} is not an amount in whole hundredths")]
pub struct AmountError(String);

impl Amount {
    /// So many hundredths.
    #[must_use]
    pub const fn from_hundredths(hundredths: i64) -> Self {
        Self(hundredths)
    }

    /// The amount in hundredths.
    #[must_use]
    pub const fn hundredths(self) -> i64 {
        self.0
    }

    /// Reads a floating point number as the services and their databases keep it. It must be very near to whole
    /// hundredths: a number that is not has been computed wrongly, and rounding would hide that.
    pub fn from_number(number: f64) -> Result<Self, AmountError> {
        let wrong = || AmountError(number.to_string());
        let scaled = number * 100.0;
        let rounded = scaled.round();
        // 2^53 hundredths: up to there every whole number has a floating point number of its own.
        if !number.is_finite() || rounded.abs() > 9_007_199_254_740_992.0 || (scaled - rounded).abs() > 1e-4 {
            return Err(wrong());
        }
        #[allow(clippy::cast_possible_truncation)] // the range was checked above
        Ok(Self(rounded as i64))
    }

    /// The amount as the services take it.
    #[must_use]
    pub fn to_number(self) -> f64 {
        #[allow(clippy::cast_precision_loss)] // amounts beyond 2^53 hundredths are refused where they come in
        let hundredths = self.0 as f64;
        hundredths / 100.0
    }
}

impl std::ops::Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), |sum, amount| sum + amount)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        formatter.pad(&format!("{sign}{}.{:02}", all / 100, all % 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_hundredths_and_back() {
        for (number, hundredths, text) in [
            (100.0, 10_000, "100.00"),
            (0.1 + 0.2, 30, "0.30"),
            (-1.05, -105, "-1.05"),
            (1e9 + 0.01, 100_000_000_001, "1000000000.01"),
        ] {
            let amount = Amount::from_number(number).unwrap();
            assert_eq!(
                (amount.hundredths(), amount.to_string().as_str()),
                (hundredths, text)
            );
        }
        assert_eq!(Amount::from_hundredths(10_025).to_number().to_string(), "100.25");
        assert_eq!(format!("{:>8}", Amount::from_hundredths(1)), "    0.01");
    }

    #[test]
    fn numbers_that_are_no_money_are_refused() {
        for number in [100.005, f64::NAN, f64::INFINITY, 1e18] {
            assert!(Amount::from_number(number).is_err(), "{number}");
        }
    }
}
