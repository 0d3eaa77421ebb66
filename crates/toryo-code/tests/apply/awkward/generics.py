type Pair[T] = tuple[T, T]


class A[T: (int, str), **P](Base[T], metaclass=M):
    def f[U](self, a: U, /, *, b: T | None = None) -> dict[str, U]:
        match a:
            case [x, *_] if (n := len(a)) > 1:
                return {"x": x}
            case {"k": v, **rest}:
                def inner(): return v
            case _: pass
        return {}

    def g(self):
        # type: () -> int
        return 1  # type: ignore
