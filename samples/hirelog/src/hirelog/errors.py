"""What can go wrong, in words for the person at the counter."""


class HirelogError(Exception):
    """Base of all errors that are shown without a traceback."""


class BadInput(HirelogError):
    """Something typed cannot be understood."""


class UnknownTool(HirelogError):
    """There is no such tool."""

    def __init__(self, code):
        super().__init__(f"there is no tool {code!r}")
        self.code = code


class UnknownHire(HirelogError):
    """There is no such hire."""

    def __init__(self, number):
        super().__init__(f"there is no hire number {number}")
        self.number = number


class NotFree(HirelogError):
    """The tool is out in the wanted time."""

    def __init__(self, code, blocking):
        super().__init__(f"{code!r} is out from {blocking.span.first} to {blocking.span.last}")
        self.code = code
        self.blocking = blocking


class DamagedFile(HirelogError):
    """The file of the book cannot be read."""
