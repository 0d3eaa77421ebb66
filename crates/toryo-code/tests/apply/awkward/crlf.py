"""Doc."""
import os


def f(a):
    """
    Doc.
    """
    return a


class A:
    def g(self):
        pass