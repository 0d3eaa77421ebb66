"""The command line."""

import argparse
import sys

from hirelog import storage
from hirelog.errors import HirelogError
from hirelog.invoice import invoice
from hirelog.money import format_amount, parse_amount
from hirelog.report import due_back, month_report
from hirelog.spans import parse_day, parse_month, parse_span


def add_tool(book, args):
    """add-tool CODE NAME --rate AMOUNT"""
    tool = book.add_tool(args.code, args.name, parse_amount(args.rate))
    return f"{tool.code}: {tool.name}, {format_amount(tool.day_rate)} a day\n"


def hire(book, args):
    """hire CODE FIRST LAST --customer NAME"""
    made = book.add_hire(args.code, args.customer, parse_span(args.first, args.last))
    return f"hire {made.number}: {made.tool} until {made.span.last}\n"


def take_back(book, args):
    """return NUMBER"""
    return f"{book.take_back(args.number).tool} is back\n"


def free(book, args):
    """free FIRST LAST"""
    tools = book.free_tools(parse_span(args.first, args.last))
    return "".join(f"{tool.code}: {tool.name}\n" for tool in tools) or "nothing is free\n"


def show_invoice(book, args):
    """invoice NUMBER"""
    return invoice(book, args.number)


def report(book, args):
    """report MONTH"""
    return month_report(book, *parse_month(args.month))


def due(book, args):
    """due DAY"""
    hires = due_back(book, parse_day(args.day))
    return "".join(f"{hire.number}: {hire.tool} from {hire.customer}\n" for hire in hires) or "nothing\n"


def build_parser():
    """The parser of the command line."""
    parser = argparse.ArgumentParser(prog="hirelog", description="A small book of tool hires")
    parser.add_argument("--book", default="hires.json", help="the file of the book")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, run, *arguments):
        sub = commands.add_parser(name, help=run.__doc__)
        for argument in arguments:
            options = {"type": int} if argument == "number" else {}
            options |= {"required": True} if argument.startswith("-") else {}
            sub.add_argument(argument, **options)
        sub.set_defaults(run=run)

    command("add-tool", add_tool, "code", "name", "--rate")
    command("hire", hire, "code", "first", "last", "--customer")
    command("return", take_back, "number")
    command("free", free, "first", "last")
    command("invoice", show_invoice, "number")
    command("report", report, "month")
    command("due", due, "day")
    return parser


def main(argv=None):
    """Runs one command; the exit status."""
    args = build_parser().parse_args(argv)
    try:
        book = storage.load(args.book)
        sys.stdout.write(args.run(book, args))
        storage.save(book, args.book)
    except HirelogError as error:
        sys.stderr.write(f"hirelog: {error}\n")
        return 1
    return 0
