from datetime import date

from hirelog.availability import is_free, next_free_day, overlaps
from hirelog.models import Hire
from hirelog.spans import parse_span

OUT = Hire(1, "drill", "Imai", parse_span("2025-03-10", "2025-03-14"))


def test_spans_apart_do_not_overlap():
    assert not overlaps(OUT.span, parse_span("2025-03-17", "2025-03-18"))
    assert not overlaps(parse_span("2025-03-01", "2025-03-04"), OUT.span)


def test_a_span_inside_another_overlaps():
    assert overlaps(OUT.span, parse_span("2025-03-11", "2025-03-13"))


def test_a_tool_that_is_out_is_not_free():
    assert not is_free([OUT], "drill", parse_span("2025-03-12", "2025-03-20"))
    assert is_free([OUT], "saw", parse_span("2025-03-12", "2025-03-20"))


def test_a_tool_that_came_back_is_free():
    back = Hire(1, "drill", "Imai", OUT.span, returned=True)
    assert is_free([back], "drill", parse_span("2025-03-12", "2025-03-20"))


def test_the_next_free_day_follows_the_return():
    assert next_free_day([OUT], "drill", date(2025, 3, 12)) == date(2025, 3, 15)
    assert next_free_day([OUT], "drill", date(2025, 3, 9)) == date(2025, 3, 9)
