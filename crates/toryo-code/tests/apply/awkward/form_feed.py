import os

def f():
    a = 1

    return a

class A:
    x = 1

    def g(self):
        return 2

# last
