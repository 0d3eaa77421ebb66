"""The things a book holds."""

from dataclasses import dataclass, field

from hirelog.errors import BadInput
from hirelog.spans import Span


@dataclass(frozen=True)
class Tool:
    """Something that can be hired."""

    code: str
    name: str
    day_rate: int
    tags: tuple = field(default=())

    def __post_init__(self):
        if not self.code or not self.code.replace("-", "").isalnum():
            raise BadInput(f"{self.code!r} cannot be a tool's code: use letters, digits and hyphens")
        if self.day_rate <= 0:
            raise BadInput(f"the day rate of {self.code!r} has to be above zero")


@dataclass(frozen=True)
class Hire:
    """A tool that is out with a customer for a span of days."""

    number: int
    tool: str
    customer: str
    span: Span
    returned: bool = False

    def __post_init__(self):
        if not self.customer.strip():
            raise BadInput("a hire needs a customer")
