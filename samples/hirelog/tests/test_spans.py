from datetime import date

import pytest

from hirelog.errors import BadInput
from hirelog.spans import Span, parse_day, parse_month, parse_span


def test_a_hire_of_one_day_is_one_day():
    assert len(parse_span("2025-03-03", "2025-03-03")) == 1


def test_both_days_belong_to_a_span():
    span = parse_span("2025-03-03", "2025-03-05")
    assert date(2025, 3, 3) in span
    assert date(2025, 3, 5) in span
    assert date(2025, 3, 6) not in span


def test_a_span_does_not_run_backwards():
    with pytest.raises(BadInput):
        parse_span("2025-03-05", "2025-03-03")


@pytest.mark.parametrize("text", ["", "yesterday", "2025-02-30", "03/04/2025"])
def test_a_bad_date_is_named(text):
    with pytest.raises(BadInput, match="is not a date"):
        parse_day(text)


def test_a_month_is_read():
    assert parse_month("2025-12") == (2025, 12)


def test_the_part_of_a_span_within_a_month():
    span = parse_span("2025-11-28", "2026-01-02")
    assert span.within_month(2025, 11) == Span(date(2025, 11, 28), date(2025, 11, 30))
    assert span.within_month(2025, 12) == Span(date(2025, 12, 1), date(2025, 12, 31))
    assert span.within_month(2026, 2) is None
