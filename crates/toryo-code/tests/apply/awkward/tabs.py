class A:
	def f(self):
		if self:
			return 1
		# tail

	def g(self): return 2


class B:
  def h(self):
	  return 3
