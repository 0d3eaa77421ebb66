class A:
    """Only a docstring."""


def f():
    """Doc."""


def g():
    """Doc."""; x = 1
    return x


class B:

    """Doc after a blank line."""

    x = 1


async def h():
    # before
    "a" "b"
    yield
