import json

import pytest

from hirelog import storage
from hirelog.errors import DamagedFile
from hirelog.spans import parse_span


def test_a_book_survives_the_file(shop, tmp_path):
    hire = shop.add_hire("drill", "Imai", parse_span("2025-03-03", "2025-03-05"))
    shop.take_back(hire.number)
    path = tmp_path / "book.json"
    storage.save(shop, path)
    again = storage.load(path)
    assert again.tools == shop.tools
    assert again.hires == shop.hires
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_an_empty_book(tmp_path):
    assert storage.load(tmp_path / "none.json").hires == []


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 1, "tools": [{}], "hires": []}'])
def test_a_damaged_file_is_refused(text, tmp_path):
    path = tmp_path / "book.json"
    path.write_text(text)
    with pytest.raises(DamagedFile):
        storage.load(path)


def test_the_file_is_readable(shop):
    data = json.loads(json.dumps(storage.to_data(shop)))
    assert [tool["code"] for tool in data["tools"]] == ["drill", "saw"]
