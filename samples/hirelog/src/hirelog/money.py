"""Amounts in whole cents."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from hirelog.errors import BadInput


def parse_amount(text):
    """Cents from a text like 12.50."""
    try:
        amount = Decimal(text.strip())
    except InvalidOperation as error:
        raise BadInput(f"{text!r} is not an amount like 12.50") from error
    if not amount.is_finite():
        raise BadInput(f"{text!r} is not an amount like 12.50")
    return int((amount * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def format_amount(cents):
    """A text like 1,250.00 from cents."""
    sign = "-" if cents < 0 else ""
    units, rest = divmod(abs(cents), 100)
    return f"{sign}{units:,}.{rest:02d}"


def percentage(cents, percent):
    """So many per cent of an amount, half a cent rounded up."""
    return int((Decimal(cents) * percent / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))
