# Tries: Raise exceptions whose causes go round in a circle, in a group of groups.
# Family: exception
# Mode: tests
# Earns: RUNS 0

def f(x):
    first, second = ValueError("a"), TypeError("b")
    first.__cause__, second.__cause__ = second, first
    first.__context__, second.__context__ = second, first
    group = ExceptionGroup("g", [first, second])
    for _ in range(5000):
        group = ExceptionGroup("g", [group])
    raise group
