import pytest

from hirelog.cli import main


@pytest.fixture
def run(tmp_path, capsys):
    def call(*words):
        status = main(["--book", str(tmp_path / "book.json"), *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_from_a_tool_to_an_invoice(run):
    assert run("add-tool", "drill", "Hammer drill", "--rate", "12.50")[0] == 0
    status, out, _ = run("hire", "drill", "2025-03-03", "2025-03-03", "--customer", "Imai")
    assert (status, out) == (0, "hire 1: drill until 2025-03-03\n")
    assert run("invoice", "1")[1].endswith("12.50\n")
    assert run("due", "2025-03-03")[1] == "1: drill from Imai\n"
    assert run("return", "1")[1] == "drill is back\n"
    assert run("due", "2025-03-03")[1] == "nothing\n"


def test_an_error_is_one_line(run):
    status, out, err = run("hire", "crane", "2025-03-03", "2025-03-03", "--customer", "Imai")
    assert (status, out, err) == (1, "", "hirelog: there is no tool 'crane'\n")


def test_free_tools(run):
    run("add-tool", "drill", "Hammer drill", "--rate", "12.50")
    assert run("free", "2025-03-03", "2025-03-04")[1] == "drill: Hammer drill\n"
    run("hire", "drill", "2025-03-01", "2025-03-09", "--customer", "Imai")
    assert run("free", "2025-03-03", "2025-03-04")[1] == "nothing is free\n"
