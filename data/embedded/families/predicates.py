"""Families that answer yes or no."""

from data.embedded.families.family import COMPARISONS, LIST, NUMBER, TEXT, Family, cross, grid, integers, word

FAMILIES = [
    Family(
        "divisible_by_both",
        (
            "check whether a number is divisible by both $k and $m",
            "test if $k and $m both divide a number",
            "return whether n is a multiple of $k and of $m",
        ),
        ("divisible_by_both", "is_common_multiple", "both_divide"),
        NUMBER,
        grid(k=(2, 3, 4, 5), m=(6, 7, 9, 10, 11)),
        ("return $a % $k == 0 and $a % $m == 0", "if $a % $k == 0 and $a % $m == 0:\n    return True\nreturn False"),
        ("return $a % $k == 0 or $a % $m == 0", "return $a % ($k + $m) == 0", "return $a % $k == 0"),
        lambda rng, p: (rng.choice((p["k"], p["m"], p["k"] * p["m"], 1)) * rng.randint(1, 5),),
    ),
    Family(
        "divisible_by_one",
        (
            "check whether a number is divisible by $k or by $m",
            "test if $k or $m divides a number",
            "return whether n is a multiple of $k or of $m",
        ),
        ("divisible_by_one", "is_multiple", "one_divides"),
        NUMBER,
        grid(k=(2, 3, 4, 5), m=(6, 7, 9, 11, 13)),
        ("return $a % $k == 0 or $a % $m == 0", "if $a % $k == 0 or $a % $m == 0:\n    return True\nreturn False"),
        ("return $a % $k == 0 and $a % $m == 0", "return $a % ($k * $m) == 0", "return $a % $m == 0"),
        lambda rng, p: (rng.choice((p["k"], p["m"], p["k"] * p["m"], 1)) * rng.randint(1, 7),),
        unseen=True,
    ),
    Family(
        "in_range",
        (
            "check whether a number lies between $lo and $hi, both included",
            "test if a number is at least $lo and at most $hi",
            "return whether n is in the closed range from $lo to $hi",
        ),
        ("in_range", "is_between", "within_limits"),
        NUMBER,
        grid(lo=range(-4, 6), hi=(8, 10, 15)),
        (
            "return $lo <= $a <= $hi",
            "return $a >= $lo and $a <= $hi",
            "if $a >= $lo and $a <= $hi:\n    return True\nreturn False",
        ),
        ("return $a in range($lo, $hi)", "return $a >= $lo or $a <= $hi"),
        lambda rng, p: (rng.choice((p["lo"], p["hi"])) + rng.randint(-2, 2),),
    ),
    Family(
        "any_compare",
        (
            "check whether any number in a list is $word $k",
            "test if a list has an element $word $k",
            "return whether at least one value of a list is $word $k",
        ),
        ("has_value", "any_number", "exists_in"),
        LIST,
        cross(COMPARISONS, grid(k=range(-1, 12))),
        ("return any(x $op $k for x in $a)", "for x in $a:\n    if x $op $k:\n        return True\nreturn False"),
        ("return all(x $op $k for x in $a)", "return $a[0] $op $k"),
        lambda rng, p: (around(rng, p),),
    ),
    Family(
        "all_compare",
        (
            "check whether all numbers in a list are $word $k",
            "test if every element of a list is $word $k",
            "return whether each value of a list is $word $k",
        ),
        ("all_values", "every_number", "check_all"),
        LIST,
        cross(COMPARISONS, grid(k=range(-1, 12))),
        ("return all(x $op $k for x in $a)", "for x in $a:\n    if not x $op $k:\n        return False\nreturn True"),
        ("return any(x $op $k for x in $a)", "return $a[0] $op $k"),
        lambda rng, p: (around(rng, p),),
        unseen=True,
    ),
    Family(
        "has_pair_sum",
        (
            "check whether two different elements of a list add up to $k",
            "test if a list has a pair of numbers whose sum is $k",
            "return whether any two numbers in a list sum to $k",
        ),
        ("has_pair_sum", "pair_exists", "two_sum"),
        LIST,
        grid(k=range(3, 22)),
        (
            "return any($a[i] + $a[j] == $k for i in range(len($a)) for j in range(i + 1, len($a)))",
            "for i in range(len($a)):\n    for j in range(i + 1, len($a)):\n        if $a[i] + $a[j] == $k:\n            return True\nreturn False",
        ),
        ("return $a[0] + $a[-1] == $k", "return any($a[i] + $a[i + 1] == $k for i in range(len($a) - 1))"),
        lambda rng, p: (pair_list(rng, p["k"]),),
        tier="hard",
    ),
    Family(
        "ends_with_text",
        (
            "check whether a string ends with '$t'",
            "test if the last characters of a string are '$t'",
            "return whether a string has the suffix '$t'",
        ),
        ("has_suffix", "ends_in", "check_ending"),
        TEXT,
        grid(t=("ing", "ed", "er", "ly", "s", "es", "ion", "al", "th", "ny", "ar", "um", "ic", "ous", "ful", "ist")),
        ("return $a.endswith('$t')", "return $a[-len('$t'):] == '$t'"),
        ("return '$t' in $a", "return $a.startswith('$t')"),
        lambda rng, p: (
            rng.choice(("{0}{1}", "{1}{0}", "{0}{1}{0}", "{0}")).format(word(rng, least=2, most=4), p["t"]),
        ),
    ),
    Family(
        "contains_digit",
        (
            "check whether the digit $d occurs in a number",
            "test if a number contains the digit $d",
            "return whether $d is one of the digits of a number",
        ),
        ("contains_digit", "has_digit", "digit_in"),
        NUMBER,
        grid(d=range(0, 10)),
        ("return '$d' in str($a)", "for ch in str($a):\n    if ch == '$d':\n        return True\nreturn False"),
        ("return $d in str($a)", "return $a % 10 == $d", "return str($a)[0] == '$d'"),
        lambda rng, p: (int(rng.choice("123456789") + "".join(rng.choice(f"0123456789{p['d']}") for _ in range(3))),),
        fixed=True,
    ),
    Family(
        "gaps_at_least",
        (
            "check whether each element of a list exceeds the one before by at least $k",
            "test if consecutive numbers in a list grow by $k or more",
            "return whether every step from one element to the next is at least $k",
        ),
        ("gaps_at_least", "grows_by", "check_steps"),
        LIST,
        grid(k=range(1, 14)),
        (
            "return all($a[i + 1] - $a[i] >= $k for i in range(len($a) - 1))",
            "for i in range(len($a) - 1):\n    if $a[i + 1] - $a[i] < $k:\n        return False\nreturn True",
        ),
        (
            "return all($a[i + 1] >= $a[i] for i in range(len($a) - 1))",
            "return any($a[i + 1] - $a[i] >= $k for i in range(len($a) - 1))",
            "return $a[-1] - $a[0] >= $k",
        ),
        lambda rng, p: (climb(rng, p["k"]),),
        tier="hard",
    ),
]


def around(rng, p):
    """Values on one side of the threshold with perhaps one exception, so that any and all differ."""
    side = rng.choice((-1, 1))
    values = [p["k"] + side * rng.randint(1, 6) for _ in range(rng.randint(2, 4))]
    if rng.random() < 0.8:
        values.insert(rng.randint(0, len(values)), p["k"] + rng.choice((0, -side)))
    return values


def pair_list(rng, total):
    """A list that may hold a pair with the given sum, neighbours or not, or half of the sum once."""
    values = integers(rng, low=30, high=60, least=2, most=3)
    kind = rng.random()
    if kind < 0.5:
        first = rng.randint(0, total)
        values.insert(rng.randint(0, len(values)), first)
        values.insert(rng.randint(0, len(values)), total - first)
    elif kind < 0.75:
        values.insert(rng.randint(0, len(values)), total // 2)
    return values


def climb(rng, step):
    """A list that climbs by about `step`, sometimes by less once."""
    values = [rng.randint(-3, 5)]
    for _ in range(rng.randint(2, 4)):
        values.append(values[-1] + step + rng.choice((0, 0, 1, 2)))
    if rng.random() < 0.5:
        i = rng.randrange(1, len(values))
        values[i] = values[i - 1] + step - 1
    return values
