def f():
    s = """
class Not:
  def g(self):
	raw
"""
    t = '''a
    # no comment
    ''' + s
    return s, t


class A:
    r"""
    Odd.
  less
    """
    x = f"""{
  1 + 2
}"""

    def m(self):
        """Doc \""""
        return f"{f'{self.x!r:>{10}}'}"
