@one  # why
# between
@two(
    "x",  # y
)
async def f(
    a,
    *args: int,
):  # trailing
    # first
    return a


class A:
    @staticmethod
    def s(): pass

    # above
    @classmethod

    # odd
    def c(cls): pass
    # below c
