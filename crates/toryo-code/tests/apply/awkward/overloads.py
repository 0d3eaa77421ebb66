from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from a import B

    def only() -> None: ...
else:
    def only(): pass

@overload
def f(a: int) -> int: ...
@overload
def f(a: str) -> str: ...
def f(a): return a

try:
    def t(): pass
except ImportError:
    def t():
        pass
finally:
    done = True
