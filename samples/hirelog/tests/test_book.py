import pytest

from hirelog.errors import BadInput, NotFree, UnknownHire, UnknownTool
from hirelog.spans import parse_span


def test_hires_are_numbered(shop):
    first = shop.add_hire("drill", "Imai", parse_span("2025-03-03", "2025-03-03"))
    second = shop.add_hire("saw", "Ono", parse_span("2025-03-03", "2025-03-03"))
    assert [first.number, second.number] == [1, 2]
    assert shop.hires == [first, second]


def test_a_tool_that_is_out_cannot_be_hired(shop):
    shop.add_hire("drill", "Imai", parse_span("2025-03-03", "2025-03-07"))
    with pytest.raises(NotFree, match="is out from 2025-03-03 to 2025-03-07"):
        shop.add_hire("drill", "Ono", parse_span("2025-03-05", "2025-03-10"))


def test_a_tool_is_free_after_it_came_back(shop):
    hire = shop.add_hire("drill", "Imai", parse_span("2025-03-03", "2025-03-07"))
    shop.take_back(hire.number)
    assert shop.add_hire("drill", "Ono", parse_span("2025-03-05", "2025-03-10")).number == 2
    with pytest.raises(BadInput):
        shop.take_back(hire.number)


def test_free_tools_are_listed(shop):
    shop.add_hire("drill", "Imai", parse_span("2025-03-03", "2025-03-07"))
    assert [tool.code for tool in shop.free_tools(parse_span("2025-03-05", "2025-03-06"))] == ["saw"]


def test_unknown_things_are_named(shop):
    with pytest.raises(UnknownTool):
        shop.tool("crane")
    with pytest.raises(UnknownHire):
        shop.hire(7)
    with pytest.raises(BadInput):
        shop.add_tool("drill", "Another drill", 900)
