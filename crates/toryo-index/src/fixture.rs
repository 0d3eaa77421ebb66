//! Small repositories for tests, several files in one text.

use crate::build::BuildOptions;
use crate::index::Index;
use crate::past::PastCommit;
use std::collections::BTreeMap;
use toryo_domain::RepoPath;

/// A shop: two modules of one package, a caller, tests, prose and copied code.
pub(crate) const SHOP: &str = r#"
//- src/shop/__init__.py
from .prices import total
//- src/shop/prices.py
"""Prices and discounts."""
from decimal import Decimal

from .money import round_half_up

LIMIT = Decimal("0.5")


class Cart:
    """Things that somebody is about to buy."""

    def __init__(self, lines):
        self.lines = lines

    def apply_discount(self, percent):
        """Lower every price by a percentage."""
        if percent > 100:
            raise ValueError("a discount may not exceed the price")
        return Cart([round_half_up(line * (100 - percent) / 100) for line in self.lines])

    @property
    def size(self):
        return len(self.lines)

    @size.setter
    def size(self, value):
        self.lines = self.lines[:value]


def total(cart):
    """The sum of a cart."""
    return round_half_up(sum(cart.lines))
//- src/shop/money.py
def round_half_up(amount):
    """Round to cents, half a cent upwards."""
    return amount.quantize(CENT)
//- src/shop/report.py
from shop import total


def print_report(cart):
    print("Total", total(cart))
//- src/shop/_vendor/rounding.py
def round_half_up(amount):
    return amount
//- tests/test_prices.py
from shop.prices import Cart, total


def test_discount_lowers_each_line():
    assert total(Cart([10]).apply_discount(50)) == 5


def test_total_of_nothing():
    assert total(Cart([])) == 0
//- docs/discounts.md
How a discount is applied to a cart, and how totals are rounded.
"#;

/// The files of a text in which `//- path` starts each.
pub(crate) fn files(text: &str) -> BTreeMap<RepoPath, String> {
    let parts = text.split("//- ").skip(1);
    let file = |part: &str| {
        let (path, text) = part.split_once('\n').expect("a path and a text");
        (path.trim().parse().expect("a plain path"), text.to_owned())
    };
    parts.map(file).collect()
}

/// The index of such files.
pub(crate) fn index(text: &str) -> Index {
    index_with(text, &[])
}

/// The index of such files with a history of subjects and paths.
pub(crate) fn index_with(text: &str, history: &[(&str, &str)]) -> Index {
    let commit =
        |(subject, path): &(&str, &str)| PastCommit { subject: (*subject).into(), paths: vec![at(path)] };
    let options = BuildOptions { history: history.iter().map(commit).collect(), ..BuildOptions::default() };
    Index::build(files(text).into_iter().map(|(path, text)| (path, text.into_bytes())), &options)
}

/// A path of a test.
pub(crate) fn at(path: &str) -> RepoPath {
    path.parse().expect("a plain path")
}
