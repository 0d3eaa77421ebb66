"""The JSON file of a book."""

import json
import os
from pathlib import Path

from hirelog.book import Book
from hirelog.errors import DamagedFile, HirelogError
from hirelog.models import Hire, Tool
from hirelog.spans import parse_span

FORMAT = 1


def to_data(book):
    """The book as plain data."""
    return {
        "format": FORMAT,
        "tools": [
            {"code": tool.code, "name": tool.name, "day_rate": tool.day_rate, "tags": list(tool.tags)}
            for tool in book.tools
        ],
        "hires": [
            {
                "number": hire.number,
                "tool": hire.tool,
                "customer": hire.customer,
                "first": hire.span.first.isoformat(),
                "last": hire.span.last.isoformat(),
                "returned": hire.returned,
            }
            for hire in book.hires
        ],
    }


def from_data(data):
    """The book from plain data."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DamagedFile("this is not a book of hirelog, or one of another version")
    try:
        tools = [
            Tool(entry["code"], entry["name"], entry["day_rate"], tuple(entry.get("tags", ())))
            for entry in data["tools"]
        ]
        hires = [
            Hire(
                entry["number"],
                entry["tool"],
                entry["customer"],
                parse_span(entry["first"], entry["last"]),
                entry["returned"],
            )
            for entry in data["hires"]
        ]
    except (KeyError, TypeError, HirelogError) as error:
        raise DamagedFile(f"the book is damaged: {error}") from error
    return Book(tools, hires)


def load(path):
    """The book in a file; an empty one where there is no file yet."""
    path = Path(path)
    if not path.exists():
        return Book()
    try:
        return from_data(json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise DamagedFile(f"{path} is not JSON: {error}") from error


def save(book, path):
    """Writes the book so that a crash leaves the old file or the new one."""
    path = Path(path)
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(to_data(book), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)
