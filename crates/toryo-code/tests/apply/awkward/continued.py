def f(a, \
      b):
    x = a + \
        b
    if a and \
       b: return x
    return \
  x

class A(B, \
  C): \
  pass

y = [
    1,
]; z = (
  2)
