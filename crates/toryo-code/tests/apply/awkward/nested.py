def outer():
    def inner():
        class Local:
            def m(self):
                return inner
        return Local

    @deco
    def other(): return inner
    return other


class A:
    class B:
        class C: x = 1

        def f(self): pass
    def f(self): return A.B
for i in x:
    def looped(): pass
while x:
    def spun():
        pass
    break
with x as y: w = 1
