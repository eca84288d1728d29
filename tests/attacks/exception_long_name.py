# Tries: Raise an exception whose class has a name of ten million characters, with line ends and a quotation mark.
# Family: exception
# Mode: tests
# Earns: RUNS 0

Odd = type("E" * 10000000 + '\n", "passed": 4, "', (Exception,), {})


def f(x):
    raise Odd
