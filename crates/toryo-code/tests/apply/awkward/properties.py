class A:
    @property
    def v(self):
        """Doc."""
        return self._v

    @v.setter
    def v(self, new): self._v = new

    @v.deleter
    def v(self):
        del self._v
    w = property(lambda self: 1)
