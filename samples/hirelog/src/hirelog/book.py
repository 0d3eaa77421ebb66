"""The book: tools, hires, and the rules when something is added."""

from dataclasses import replace

from hirelog.availability import blocking_hire, is_free
from hirelog.errors import BadInput, NotFree, UnknownHire, UnknownTool
from hirelog.models import Hire, Tool
from hirelog.pricing import price_of


class Book:
    """All tools and hires of a shop."""

    def __init__(self, tools=(), hires=()):
        self._tools = {tool.code: tool for tool in tools}
        self._hires = {hire.number: hire for hire in hires}

    @property
    def tools(self):
        """All tools, by code."""
        return [self._tools[code] for code in sorted(self._tools)]

    @property
    def hires(self):
        """All hires, in the order of their numbers."""
        return [self._hires[number] for number in sorted(self._hires)]

    def tool(self, code):
        """The tool of this code."""
        try:
            return self._tools[code]
        except KeyError:
            raise UnknownTool(code) from None

    def hire(self, number):
        """The hire of this number."""
        try:
            return self._hires[number]
        except KeyError:
            raise UnknownHire(number) from None

    def add_tool(self, code, name, day_rate, tags=()):
        """Adds a tool."""
        if code in self._tools:
            raise BadInput(f"there is a tool {code!r} already")
        tool = Tool(code, name, day_rate, tuple(tags))
        self._tools[code] = tool
        return tool

    def add_hire(self, code, customer, span):
        """Adds a hire, unless the tool is out in that time."""
        tool = self.tool(code)
        blocking = blocking_hire(self.hires, tool.code, span)
        if blocking is not None:
            raise NotFree(tool.code, blocking)
        number = max(self._hires, default=0) + 1
        hire = Hire(number, tool.code, customer, span)
        self._hires[number] = hire
        return hire

    def take_back(self, number):
        """Marks a hire as returned."""
        hire = self.hire(number)
        if hire.returned:
            raise BadInput(f"hire number {number} is back already")
        self._hires[number] = replace(hire, returned=True)
        return self._hires[number]

    def free_tools(self, span):
        """The tools that can be hired for the whole span."""
        return [tool for tool in self.tools if is_free(self.hires, tool.code, span)]

    def price(self, number):
        """What a hire costs."""
        hire = self.hire(number)
        return price_of(self.tool(hire.tool), hire.span)
