from hirelog.invoice import invoice
from hirelog.spans import parse_span


def test_an_invoice_of_one_day(shop):
    shop.add_hire("saw", "Imai", parse_span("2025-03-03", "2025-03-03"))
    assert invoice(shop, 1) == (
        "Invoice 00001\n"
        "Customer: Imai\n"
        "Circular saw, 2025-03-03 to 2025-03-03\n"
        "----------------------------------------------\n"
        "1 day at 18.00                           18.00\n"
        "==============================================\n"
        "Total                                    18.00\n"
    )


def test_a_long_hire_shows_the_weekly_rate(shop):
    shop.add_hire("saw", "Imai", parse_span("2025-03-01", "2025-03-31"))
    assert "Weekly rate" in invoice(shop, 1)
