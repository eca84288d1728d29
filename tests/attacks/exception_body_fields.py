# Tries: Raise such a SyntaxError from the module body.
# Family: exception
# Mode: tests
# Earns: PARSES 0

error = SyntaxError("x", ("file", 10**100, -(10**30), "text"))
error.lineno, error.offset, error.text = "no line", [error], error
raise error
