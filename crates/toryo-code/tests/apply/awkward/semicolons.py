a = 1; b = 2; c = 3
def f():
    x = 1; y = 2;
    return x; # tail
class A:
    p = 1; q = 2
    def m(self): self.x = 1; return self
