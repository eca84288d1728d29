"""Families about integers."""

from data.embedded.families.family import NUMBER, Family, grid


def one_to(high):
    return lambda rng, p: (rng.randint(1, high),)


def any_number(rng, p):
    return (rng.randint(-12, 40),)


def digits(rng, p):
    return (int("".join(rng.choice(f"0123456789{p.get('d', '')}{p.get('d', '')}") for _ in range(rng.randint(2, 6)))),)


FAMILIES = [
    Family(
        "sum_multiples_to",
        (
            "find the sum of all multiples of $k from 1 to n",
            "add up the numbers from 1 to n that are divisible by $k",
            "return the total of the multiples of $k up to and including n",
        ),
        ("sum_multiples_to", "add_multiples", "multiples_total"),
        NUMBER,
        grid(k=range(2, 25)),
        (
            "return sum(i for i in range(1, $a + 1) if i % $k == 0)",
            "total = 0\nfor i in range(1, $a + 1):\n    if i % $k == 0:\n        total += i\nreturn total",
            "return sum(range($k, $a + 1, $k))",
        ),
        ("return sum(1 for i in range(1, $a + 1) if i % $k == 0)", "return sum(range(1, $a + 1)) % $k"),
        lambda rng, p: (rng.choice((1, 2, 3, 4)) * p["k"] + rng.choice((0, 0, 1, -1)),),
    ),
    Family(
        "count_multiples_to",
        (
            "count the multiples of $k from 1 to n",
            "find how many numbers from 1 to n are divisible by $k",
            "return the number of multiples of $k up to and including n",
        ),
        ("count_multiples", "count_divisible", "how_many_multiples"),
        NUMBER,
        grid(k=range(2, 25)),
        (
            "return sum(1 for i in range(1, $a + 1) if i % $k == 0)",
            "count = 0\nfor i in range(1, $a + 1):\n    if i % $k == 0:\n        count += 1\nreturn count",
            "return $a // $k",
        ),
        ("return sum(i for i in range(1, $a + 1) if i % $k == 0)", "return $a % $k"),
        lambda rng, p: (rng.choice((1, 2, 3, 4)) * p["k"] + rng.choice((0, 0, 1, -1)),),
        unseen=True,
    ),
    Family(
        "count_digit",
        (
            "count how often the digit $d occurs in a number",
            "find the number of digits equal to $d in an integer",
            "return how many times the digit $d appears in a number",
        ),
        ("count_digit", "digit_count", "how_many_digits"),
        NUMBER,
        grid(d=range(0, 10)),
        (
            "return str($a).count('$d')",
            "return sum(1 for ch in str($a) if ch == '$d')",
            "count = 0\nfor ch in str($a):\n    if ch == '$d':\n        count += 1\nreturn count",
        ),
        ("return str($a).find('$d')", "return $a.count($d)", "return '$d' in str($a)"),
        digits,
        fixed=True,
    ),
    Family(
        "power_mod",
        (
            "raise a number to the power $k and take the remainder modulo $m",
            "find the remainder of n to the power $k divided by $m",
            "compute n to the power $k modulo $m",
        ),
        ("power_mod", "mod_power", "power_remainder"),
        NUMBER,
        grid(k=(2, 3, 4, 5), m=(5, 7, 9, 10, 11, 13)),
        ("return $a ** $k % $m", "return pow($a, $k, $m)", "result = $a ** $k\nreturn result % $m"),
        ("return $a * $k % $m", "return $a ** $k // $m", "return $a ** $k"),
        one_to(14),
    ),
    Family(
        "linear",
        ("multiply a number by $k and add $m", "return $k times n plus $m", "compute the value of $k * n + $m"),
        ("linear", "scale_and_add", "times_plus"),
        NUMBER,
        grid(k=range(2, 9), m=(1, 3, 4, 7, 10)),
        ("return $k * $a + $m", "return $a * $k + $m", "result = $a * $k\nreturn result + $m"),
        ("return $k + $a * $m", "return ($a + $m) * $k", "return $k * $a"),
        any_number,
        unseen=True,
    ),
    Family(
        "quadratic",
        (
            "compute $k times the square of a number plus $m",
            "return the square of n multiplied by $k, plus $m",
            "square a number, multiply it by $k and add $m",
        ),
        ("quadratic", "square_formula", "scaled_square"),
        NUMBER,
        grid(k=range(2, 8), m=(1, 2, 5, 6, 9)),
        ("return $k * $a ** 2 + $m", "return $k * $a * $a + $m", "square = $a * $a\nreturn $k * square + $m"),
        ("return ($k * $a) ** 2 + $m", "return $k * $a + $m", "return $k * $a ** 2"),
        any_number,
    ),
    Family(
        "first_multiples",
        (
            "list the first n positive multiples of $k",
            "return the multiples of $k from $k up to n times $k",
            "make a list of n multiples of $k, starting at $k",
        ),
        ("first_multiples", "multiples_list", "times_table"),
        NUMBER,
        grid(k=range(2, 25)),
        (
            "return [$k * i for i in range(1, $a + 1)]",
            "result = []\nfor i in range(1, $a + 1):\n    result.append(i * $k)\nreturn result",
            "return list(range($k, $k * $a + 1, $k))",
        ),
        ("return [$k * i for i in range($a)]", "return [i for i in range(1, $a + 1) if i % $k == 0]"),
        one_to(6),
    ),
    Family(
        "clamp",
        (
            "limit a number to the range $lo to $hi",
            "clamp a number between $lo and $hi",
            "return n, but at least $lo and at most $hi",
        ),
        ("clamp", "limit_number", "bound_value"),
        NUMBER,
        grid(lo=range(-4, 6), hi=(8, 12, 15)),
        (
            "return min(max($a, $lo), $hi)",
            "return max($lo, min($a, $hi))",
            "if $a < $lo:\n    return $lo\nif $a > $hi:\n    return $hi\nreturn $a",
        ),
        ("return max(min($a, $lo), $hi)", "return $lo <= $a <= $hi", "return min($a, $hi)"),
        lambda rng, p: (rng.choice((p["lo"], p["hi"])) + rng.randint(-3, 3),),
    ),
    Family(
        "round_down",
        (
            "round a number down to a multiple of $k",
            "find the largest multiple of $k that is not above n",
            "return n reduced to the nearest lower multiple of $k",
        ),
        ("round_down", "floor_multiple", "lower_multiple"),
        NUMBER,
        grid(k=range(2, 25)),
        ("return $a - $a % $k", "return $a // $k * $k"),
        ("return $a // $k", "return $a % $k", "return $a + $k - $a % $k"),
        lambda rng, p: (rng.randint(0, 5 * p["k"]),),
    ),
    Family(
        "product_skip",
        (
            "find the product of the numbers from 1 to n that are not divisible by $k",
            "multiply all numbers from 1 to n except the multiples of $k",
            "return the product of 1 to n without multiples of $k",
        ),
        ("product_skip", "multiply_some", "product_without"),
        NUMBER,
        grid(k=range(2, 14)),
        (
            "result = 1\nfor i in range(1, $a + 1):\n    if i % $k != 0:\n        result *= i\nreturn result",
            "product = 1\nfor i in range(1, $a + 1):\n    if i % $k:\n        product = product * i\nreturn product",
        ),
        (
            "result = 0\nfor i in range(1, $a + 1):\n    if i % $k != 0:\n        result *= i\nreturn result",
            "result = 1\nfor i in range(1, $a + 1):\n    if i % $k == 0:\n        result *= i\nreturn result",
        ),
        lambda rng, p: (rng.randint(1, p["k"] + 3),),
        tier="hard",
    ),
    Family(
        "sequence_term",
        (
            "find term n of the sequence that starts with $k, $m and adds the two terms before",
            "return the n-th term, counting from 0, of a Fibonacci sequence starting $k, $m",
            "compute element n of the sequence $k, $m in which each term is the sum of the last two",
        ),
        ("sequence_term", "fib_like", "nth_term"),
        ("n|num",),  # not x: the bodies use it
        grid(k=(0, 1, 2, 3, 4), m=(1, 2, 3, 5, 6)),
        (
            "x, y = $k, $m\nfor _ in range($a):\n    x, y = y, x + y\nreturn x",
            "terms = [$k, $m]\nfor i in range($a):\n    terms.append(terms[-1] + terms[-2])\nreturn terms[$a]",
        ),
        (
            "x, y = $k, $m\nfor _ in range($a):\n    x, y = y, x + y\nreturn y",
            "x, y = $m, $k\nfor _ in range($a):\n    x, y = y, x + y\nreturn x",
        ),
        lambda rng, p: (rng.randint(0, 9),),
        tier="hard",
    ),
    Family(
        "power_sum",
        (
            "find the sum of the powers of $k from exponent 0 to n",
            "add up $k to the power i for i from 0 to n",
            "return the sum of the first n plus 1 powers of $k",
        ),
        ("power_sum", "sum_powers", "geometric_sum"),
        NUMBER,
        grid(k=range(2, 14)),
        (
            "return sum($k ** i for i in range($a + 1))",
            "total = 0\nfor i in range($a + 1):\n    total += $k ** i\nreturn total",
        ),
        ("return sum(i ** $k for i in range($a + 1))", "return sum($k * i for i in range($a + 1))"),
        one_to(5),
        unseen=True,
    ),
    Family(
        "divide_pair",
        (
            "return the quotient and the remainder of n divided by $k as a tuple",
            "divide a number by $k and return a tuple of quotient and remainder",
            "split n into full groups of $k and the rest, as a tuple",
        ),
        ("divide_pair", "quotient_rest", "split_number"),
        NUMBER,
        grid(k=range(2, 25)),
        ("return ($a // $k, $a % $k)", "return divmod($a, $k)", "q = $a // $k\nreturn (q, $a - q * $k)"),
        ("return ($a % $k, $a // $k)", "return [$a // $k, $a % $k]", "return $a // $k"),
        lambda rng, p: (rng.randint(0, 6 * p["k"]),),
    ),
    Family(
        "last_digits",
        (
            "return the number formed by the last $k digits of a number",
            "keep only the last $k decimal digits of an integer",
            "find the remainder that consists of the last $k digits of n",
        ),
        ("last_digits", "number_end", "keep_digits"),
        NUMBER,
        grid(k=range(1, 7)),
        ("return $a % 10 ** $k", "return int(str($a)[-$k:])"),
        ("return $a // 10 ** $k", "return str($a)[-$k:]", "return int(str($a)[:$k])"),
        lambda rng, p: (rng.randint(10 ** (p["k"] - 1), 10 ** (p["k"] + 2)),),
    ),
    Family(
        "count_range",
        (
            "count the numbers from a to b, both included, that are divisible by $k",
            "find how many multiples of $k lie between two numbers, ends included",
            "return the number of values in a closed range that $k divides",
        ),
        ("count_range", "multiples_between", "range_count"),
        ("a|lo|start", "b|hi|end"),
        grid(k=range(2, 20)),
        (
            "return sum(1 for i in range($a, $b + 1) if i % $k == 0)",
            "count = 0\nfor i in range($a, $b + 1):\n    if i % $k == 0:\n        count += 1\nreturn count",
            "return len([i for i in range($a, $b + 1) if i % $k == 0])",
        ),
        ("return sum(i for i in range($a, $b + 1) if i % $k == 0)", "return ($b - $a) // $k"),
        lambda rng, p: ((low := rng.randint(1, 12)), low + p["k"] * rng.randint(0, 3) + rng.choice((0, -low % p["k"]))),
        tier="hard",
    ),
    Family(
        "digit_sum_times",
        (
            "multiply the sum of the digits of a number by $k",
            "find $k times the digit sum of a number",
            "add the digits of a number and multiply the result by $k",
        ),
        ("digit_sum_times", "scaled_digits", "digits_times"),
        NUMBER,
        grid(k=range(2, 20)),
        (
            "return $k * sum(int(ch) for ch in str($a))",
            "total = 0\nfor ch in str($a):\n    total += int(ch)\nreturn total * $k",
        ),
        (
            "return $k * len(str($a))",
            "return sum(int(ch) for ch in str($a))",
            "return $k + sum(int(ch) for ch in str($a))",
        ),
        digits,
    ),
    Family(
        "digits_above",
        (
            "count the digits of a number that are greater than $k",
            "find how many digits of a number are above $k",
            "return the number of digits larger than $k in an integer",
        ),
        ("digits_above", "count_big_digits", "large_digits"),
        NUMBER,
        grid(k=range(0, 9)),
        (
            "return sum(1 for ch in str($a) if int(ch) > $k)",
            "return len([ch for ch in str($a) if int(ch) > $k])",
            "count = 0\nfor ch in str($a):\n    if int(ch) > $k:\n        count += 1\nreturn count",
        ),
        ("return sum(int(ch) for ch in str($a) if int(ch) > $k)", "return sum(1 for ch in str($a) if ch > $k)"),
        lambda rng, p: (
            int("".join(rng.choice(f"0123456789{p['k']}{p['k']}{p['k'] + 1}") for _ in range(rng.randint(3, 6)))),
        ),
        tier="hard",
        unseen=True,
        fixed=True,
    ),
]
