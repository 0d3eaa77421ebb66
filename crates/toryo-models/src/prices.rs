//! What a call costs: the embedded price table, the cost of a usage, and a careful guess before a call is made.

use crate::config::Price;
use crate::reply::Usage;
use crate::request::Request;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use toryo_domain::Usd;

/// A row of the price table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownModel {
    /// Dollars a million tokens.
    pub price: Price,
    /// Tokens it takes, in and out.
    pub context_tokens: u32,
    /// Output tokens of one call at most.
    pub max_output_tokens: u32,
    /// It thinks in hidden tokens, counted as output, and refuses a temperature.
    #[serde(default)]
    pub reasons: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    as_of: String,
    models: BTreeMap<String, KnownModel>,
}

#[expect(clippy::expect_used, reason = "the table is part of the binary; a test reads it")]
static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(include_str!("prices.toml")).expect("the embedded price table reads"));

/// The day the embedded prices were taken, as `YYYY-MM-DD`.
#[must_use]
pub fn as_of() -> &'static str {
    &TABLE.as_of
}

/// The row of a model; a dated version such as `gpt-4o-2024-08-06` has its model's price.
#[must_use]
pub fn find(model: &str) -> Option<&'static KnownModel> {
    TABLE.models.get(model).or_else(|| TABLE.models.get(undated(model)?))
}

/// The name before `-2024-08-06` or `-20240806`.
fn undated(model: &str) -> Option<&str> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (name, last) = model.rsplit_once('-')?;
    if last.len() == 8 && digits(last) {
        return Some(name);
    }
    let (name, month) = name.rsplit_once('-')?;
    let (name, year) = name.rsplit_once('-')?;
    let dated = year.len() == 4 && month.len() == 2 && last.len() == 2;
    (dated && [year, month, last].into_iter().all(digits)).then_some(name)
}

/// What a usage costs; each part is rounded up to a billionth of a dollar.
#[must_use]
pub fn cost(price: &Price, usage: &Usage) -> Usd {
    let cached = usage.cached_input.min(usage.input);
    let written = usage.cache_write.min(usage.input - cached);
    price.input.per_million(usage.input - cached - written)
        + price.cached_input.per_million(cached)
        + price.cache_write.unwrap_or(price.input).per_million(written)
        + price.output.per_million(usage.output)
}

/// What a usage may cost at most, when it is not known yet what the provider's cache will do.
#[must_use]
pub fn most(price: &Price, usage: &Usage) -> Usd {
    let input = price.cache_write.map_or(price.input, |write| write.max(price.input));
    input.per_million(usage.input) + price.output.per_million(usage.output)
}

/// A careful guess of the prompt's tokens, schema included, before a provider has counted them.
///
/// Common tokenizers take three to four bytes of English or code a token, and one to two tokens a character of
/// other scripts; this guess stays above that. A real tokenizer would need one vocabulary a model and still be
/// wrong for the next one.
#[must_use]
pub fn guess_input_tokens(request: &Request) -> u64 {
    /// Roles and separators of one message.
    const PER_MESSAGE: u64 = 8;
    let messages: u64 = request.messages.iter().map(|m| PER_MESSAGE + guess_tokens(&m.content)).sum();
    messages + guess_tokens(&request.output.name) + guess_tokens(&request.output.schema.to_string())
}

/// The rule of that guess, for a text.
pub(crate) fn guess_tokens(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count() as u64;
    let other = text.chars().filter(|c| !c.is_ascii()).count() as u64;
    ascii.div_ceil(3) + 2 * other
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usage(input: u64, cached_input: u64, output: u64) -> Usage {
        Usage { input, cached_input, output, ..Usage::default() }
    }

    #[test]
    fn the_table_reads_and_is_dated() {
        assert_eq!(as_of().len(), "2025-11-01".len());
        for (name, model) in &TABLE.models {
            assert!(model.price.cached_input <= model.price.input, "{name}");
            assert!(model.price.input > Usd::ZERO && model.price.output > model.price.input, "{name}");
            assert!(model.max_output_tokens < model.context_tokens, "{name}");
        }
    }

    #[test]
    fn a_dated_model_has_its_models_price() {
        assert_eq!(find("gpt-4o-2024-08-06"), find("gpt-4o"));
        assert_eq!(find("claude-sonnet-4-5-20250929"), find("claude-sonnet-4-5"));
        assert!(find("gpt-4o").is_some());
        for unknown in ["gpt-4o-mini-high", "llama", "gpt-4o-2024-8-6", "", "-", "2024-08-06", "gpt-4o-"] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_thousand_tokens_in_and_out_of_the_strong_model() {
        let price = find("gpt-5").unwrap().price;
        // 600 × 1.25 + 400 × 0.125 + 1000 × 10 dollars a million.
        assert_eq!(cost(&price, &usage(1000, 400, 1000)), Usd::from_nanos(10_800_000));
        assert_eq!(cost(&price, &usage(10, 99, 0)), price.cached_input.per_million(10));
    }

    #[test]
    fn a_guess_counts_every_script() {
        assert_eq!(guess_tokens("def parse(text):"), 6);
        assert_eq!(guess_tokens("棟梁"), 4);
        assert_eq!(guess_tokens(""), 0);
    }

    prop_compose! {
        fn any_price()(input in 0..100_000_000_000_i64, cached in 0..100_000_000_000_i64, output in 0..100_000_000_000_i64) -> Price {
            Price { input: Usd::from_nanos(input), cached_input: Usd::from_nanos(cached), cache_write: None, output: Usd::from_nanos(output) }
        }
    }

    prop_compose! {
        fn any_usage()(input in 0..10_000_000_u64, share in 0.0..1.0_f64, output in 0..10_000_000_u64) -> Usage {
            usage(input, (input as f64 * share) as u64, output)
        }
    }

    proptest! {
        #[test]
        fn parts_never_cost_less_than_the_whole(price in any_price(), parts in proptest::collection::vec(any_usage(), 1..6)) {
            let whole = cost(&price, &parts.iter().copied().sum());
            let apart: Usd = parts.iter().map(|part| cost(&price, part)).sum();
            prop_assert!(apart >= whole);
            // Rounding adds less than a billionth for each of three prices a part.
            prop_assert!((apart - whole).nanos() <= 3 * parts.len() as i64);
        }

        #[test]
        fn more_tokens_never_cost_less(price in any_price(), base in any_usage(), more in 0..1_000_u64) {
            let longer_answer = Usage { output: base.output + more, ..base };
            let longer_prompt = Usage { input: base.input + more, ..base };
            prop_assert!(cost(&price, &longer_answer) >= cost(&price, &base));
            prop_assert!(cost(&price, &longer_prompt) >= cost(&price, &base));
        }

        #[test]
        fn a_cost_is_never_negative(price in any_price(), input in any::<u64>(), cached in any::<u64>(), output in any::<u64>()) {
            prop_assert!(cost(&price, &usage(input, cached, output)) >= Usd::ZERO);
        }
    }
}
