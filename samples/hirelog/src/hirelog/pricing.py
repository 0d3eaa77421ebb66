"""What a hire costs."""

from dataclasses import dataclass

from hirelog.money import percentage

WEEK = 7
WEEKLY_DISCOUNT = 10


@dataclass(frozen=True)
class Price:
    """A price with the steps that led to it; all amounts in cents."""

    days: int
    day_rate: int
    gross: int
    discount: int

    @property
    def total(self):
        """What the customer pays."""
        return self.gross - self.discount


def price_for_days(day_rate, days):
    """The price of so many days, with the weekly rate where it applies."""
    gross = day_rate * days
    discount = percentage(gross, WEEKLY_DISCOUNT) if days >= WEEK else 0
    return Price(days=days, day_rate=day_rate, gross=gross, discount=discount)


def price_of(tool, span):
    """The price of a tool for a span of days."""
    return price_for_days(tool.day_rate, len(span))
