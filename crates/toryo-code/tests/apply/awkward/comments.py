#!/usr/bin/env python
# head

# about f
def f():
    # only
    # comments first
    pass
    # deeper tail
  # odd tail
# next to nothing

class A:  # header
    # in A

    def g(self):  # of g
        pass

    # end of A
# end
