def f(): return 1
class A: x = 1; y = 2
class B(A): pass  # tail
async def g(a=(1, 2)): await a; return a
if f: h = 1; k = 2
