"""A small book of tool hires."""

from hirelog.book import Book
from hirelog.models import Hire, Tool
from hirelog.spans import Span

__all__ = ["Book", "Hire", "Span", "Tool"]
