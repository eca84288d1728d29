# Tries: Return sets and dicts whose keys choose their own hash and equality.
# Family: equality
# Mode: check
# Earns: OUTPUT 0

class Key(str):
    def __hash__(self):
        return 0

    def __eq__(self, other):
        return True


def f(n):
    return {Key("a"): 1, Key("b"): 2} if n % 2 else {Key("a")}
