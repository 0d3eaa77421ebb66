import pytest

from hirelog.errors import BadInput
from hirelog.money import format_amount, parse_amount, percentage


@pytest.mark.parametrize(("text", "cents"), [("12.50", 1250), ("0.005", 1), ("7", 700), (" 3.1 ", 310)])
def test_amounts_are_read(text, cents):
    assert parse_amount(text) == cents


@pytest.mark.parametrize("text", ["", "12,50", "much", "NaN", "Infinity"])
def test_bad_amounts_are_refused(text):
    with pytest.raises(BadInput):
        parse_amount(text)


def test_amounts_are_written():
    assert format_amount(125000) == "1,250.00"
    assert format_amount(-5) == "-0.05"


def test_half_a_cent_is_rounded_up():
    assert percentage(1255, 10) == 126
