"""Invoices as plain text."""

from hirelog.money import format_amount

WIDTH = 46


def line(label, amount):
    """A label on the left, an amount on the right."""
    text = format_amount(amount)
    return f"{label}{text:>{WIDTH - len(label)}}"


def invoice(book, number):
    """The invoice of a hire."""
    hire = book.hire(number)
    tool = book.tool(hire.tool)
    price = book.price(number)
    unit = "day" if price.days == 1 else "days"
    rows = [
        f"Invoice {number:05d}",
        f"Customer: {hire.customer}",
        f"{tool.name}, {hire.span.first} to {hire.span.last}",
        "-" * WIDTH,
        line(f"{price.days} {unit} at {format_amount(price.day_rate)}", price.gross),
    ]
    if price.discount:
        rows.append(line("Weekly rate", -price.discount))
    rows += ["=" * WIDTH, line("Total", price.total)]
    return "\n".join(rows) + "\n"
