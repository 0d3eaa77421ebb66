class A:
    x = 1
    def f(self):
        if self:
            return 1
        # tail