"""Spans of days: from the day of pick-up to the day of return."""

from dataclasses import dataclass
from datetime import date, timedelta

from hirelog.errors import BadInput


@dataclass(frozen=True, order=True)
class Span:
    """The days from `first` to `last`; both belong to it."""

    first: date
    last: date

    def __post_init__(self):
        if self.last < self.first:
            raise BadInput(f"a hire cannot end on {self.last}, before it begins on {self.first}")

    def __len__(self):
        """How many days are charged."""
        return max(1, (self.last - self.first).days)

    def __contains__(self, day):
        return self.first <= day <= self.last

    def within_month(self, year, month):
        """The part of the span that lies in a month, or None."""
        start = date(year, month, 1)
        following = date(year + month // 12, month % 12 + 1, 1)
        end = following - timedelta(days=1)
        if self.last < start or self.first > end:
            return None
        return Span(max(self.first, start), min(self.last, end))


def parse_day(text):
    """A date written as 2025-03-31."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(f"{text!r} is not a date like 2025-03-31") from error


def parse_span(first, last):
    """A span from two written dates."""
    return Span(parse_day(first), parse_day(last))


def parse_month(text):
    """Year and month written as 2025-03."""
    day = parse_day(f"{text.strip()}-01")
    return day.year, day.month
