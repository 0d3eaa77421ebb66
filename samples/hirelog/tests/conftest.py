"""A small shop for the tests."""

import pytest

from hirelog import Book


@pytest.fixture
def shop():
    book = Book()
    book.add_tool("drill", "Hammer drill", 1250)
    book.add_tool("saw", "Circular saw", 1800)
    return book
