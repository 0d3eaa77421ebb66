from hirelog.models import Tool
from hirelog.pricing import price_for_days, price_of
from hirelog.spans import parse_span

DRILL = Tool("drill", "Hammer drill", 1250)


def test_days_are_charged_one_by_one():
    assert price_for_days(1250, 3).total == 3750


def test_a_week_gets_the_weekly_rate():
    price = price_for_days(1250, 7)
    assert (price.gross, price.discount, price.total) == (8750, 875, 7875)
    assert price_for_days(1250, 6).discount == 0


def test_a_hire_of_one_day_costs_the_day_rate():
    assert price_of(DRILL, parse_span("2025-03-03", "2025-03-03")).total == 1250
