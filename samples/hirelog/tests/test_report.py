from datetime import date

from hirelog.report import due_back, month_report, month_totals
from hirelog.spans import parse_span


def test_a_month_counts_hires_that_begin_in_it(shop):
    shop.add_hire("drill", "Imai", parse_span("2025-03-31", "2025-03-31"))
    shop.add_hire("saw", "Ono", parse_span("2025-04-01", "2025-04-01"))
    assert month_totals(shop, 2025, 3) == {"drill": 1250}


def test_the_best_tool_stands_first(shop):
    shop.add_hire("drill", "Imai", parse_span("2025-03-03", "2025-03-03"))
    shop.add_hire("saw", "Ono", parse_span("2025-03-03", "2025-03-03"))
    rows = month_report(shop, 2025, 3).splitlines()
    assert rows[0] == "Income of 2025-03"
    assert rows[1].split() == ["Circular", "saw", "18.00"]
    assert rows[-1].split() == ["Total", "30.50"]


def test_what_is_due_back(shop):
    shop.add_hire("drill", "Imai", parse_span("2025-03-03", "2025-03-05"))
    shop.add_hire("saw", "Abe", parse_span("2025-03-04", "2025-03-05"))
    assert [hire.customer for hire in due_back(shop, date(2025, 3, 5))] == ["Abe", "Imai"]
    assert due_back(shop, date(2025, 3, 4)) == []
