"""Reports as plain text."""

from collections import Counter

from hirelog.money import format_amount


def month_totals(book, year, month):
    """Income by tool of the hires that begin in a month, in cents."""
    totals = Counter()
    for hire in book.hires:
        if (hire.span.first.year, hire.span.first.month) == (year, month):
            totals[hire.tool] += book.price(hire.number).total
    return totals


def month_report(book, year, month):
    """A table of a month's income, the best tool first."""
    totals = month_totals(book, year, month)
    rows = [f"Income of {year}-{month:02d}"]
    for code, cents in sorted(totals.items(), key=lambda item: (-item[1], item[0])):
        rows.append(f"  {book.tool(code).name:<28}{format_amount(cents):>14}")
    rows.append(f"  {'Total':<28}{format_amount(sum(totals.values())):>14}")
    return "\n".join(rows) + "\n"


def due_back(book, day):
    """Open hires that end on a day, by customer."""
    due = [hire for hire in book.hires if not hire.returned and hire.span.last == day]
    return sorted(due, key=lambda hire: (hire.customer, hire.number))
