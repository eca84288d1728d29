"""Tasks of two and three steps."""

from data.embedded.families.family import LIST, TEXT, WORD_LIST, Family, grid, integers, word, words


def plain(rng, p):
    return (integers(rng, least=4, most=7),)


FAMILIES = [
    Family(
        "sort_drop_sum",
        (
            "sort a list, drop the $k smallest numbers and return the sum of the rest",
            "leave out the $k smallest elements of a list and add up the others",
            "find the sum of a list without its $k smallest values",
        ),
        ("sum_without_smallest", "drop_and_sum", "trimmed_sum"),
        LIST,
        grid(k=range(1, 10)),
        ("return sum(sorted($a)[$k:])", "$a = sorted($a)\nreturn sum($a[$k:])"),
        ("return sum($a[$k:])", "return sum(sorted($a)[:$k])", "return sorted($a)[$k:]"),
        lambda rng, p: (integers(rng, least=p["k"] + 1, most=p["k"] + 3),),
    ),
    Family(
        "filter_scale_take",
        (
            "keep the even numbers of a list, multiply them by $k and return the first $m",
            "take the first $m even numbers of a list, each multiplied by $k",
            "return at most $m of the even elements of a list, times $k",
        ),
        ("scale_evens", "even_start", "take_even"),
        LIST,
        grid(k=range(2, 9), m=range(1, 5)),
        (
            "return [x * $k for x in $a if x % 2 == 0][:$m]",
            "result = []\nfor x in $a:\n    if x % 2 == 0:\n        result.append(x * $k)\nreturn result[:$m]",
        ),
        (
            "return [x * $k for x in $a[:$m] if x % 2 == 0]",
            "return [x * $k for x in $a if x % 2 == 0]",
            "return [x * $m for x in $a if x % 2 == 0][:$k]",
        ),
        plain,
        tier="hard",
    ),
    Family(
        "unique_descending",
        (
            "remove duplicates from a list, sort it from large to small and return the first $k",
            "return the $k largest different values of a list in descending order",
            "find the top $k distinct numbers of a list, largest first",
        ),
        ("unique_top", "distinct_largest", "top_values"),
        LIST,
        grid(k=range(1, 10)),
        (
            "return sorted(set($a), reverse=True)[:$k]",
            "values = list(set($a))\nvalues.sort(reverse=True)\nreturn values[:$k]",
        ),
        (
            "return sorted($a, reverse=True)[:$k]",
            "return sorted(set($a))[:$k]",
            "return sorted(set($a), reverse=True)[$k:]",
        ),
        lambda rng, p: (integers(rng, low=0, high=p["k"] + 3, least=p["k"] + 2, most=p["k"] + 4),),
    ),
    Family(
        "long_words_joined",
        (
            "take the words longer than $k letters, make them upper case and join them with '$sep'",
            "join the upper-case words of a list that have more than $k letters with '$sep'",
            "filter words with more than $k letters, raise them to upper case, join with '$sep'",
        ),
        ("join_long_words", "shout_long", "long_upper"),
        WORD_LIST,
        grid(k=(2, 3, 4), sep=("-", "_", "/", "+", ":", " ", ".")),
        (
            "return '$sep'.join(w.upper() for w in $a if len(w) > $k)",
            "result = []\nfor w in $a:\n    if len(w) > $k:\n        result.append(w.upper())\nreturn '$sep'.join(result)",
        ),
        ("return '$sep'.join(w for w in $a if len(w) > $k)", "return [w.upper() for w in $a if len(w) > $k]"),
        lambda rng, p: (words(rng, least=3, most=5),),
        tier="hard",
    ),
    Family(
        "count_squares_above",
        (
            "square each number of a list and count the squares greater than $k",
            "count how many squares of the elements of a list are above $k",
            "find the number of elements whose square is larger than $k",
        ),
        ("count_squares", "big_squares", "squares_above"),
        LIST,
        grid(k=(1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144, 10, 20, 30, 40, 50)),
        (
            "return sum(1 for x in $a if x * x > $k)",
            "count = 0\nfor x in $a:\n    if x ** 2 > $k:\n        count += 1\nreturn count",
            "return len([x for x in $a if x ** 2 > $k])",
        ),
        ("return sum(1 for x in $a if x > $k)", "return sum(x * x for x in $a if x * x > $k)"),
        lambda rng, p: (integers(rng, near=(round(p["k"] ** 0.5), -round(p["k"] ** 0.5)), low=-12, high=12),),
    ),
    Family(
        "add_then_multiples",
        (
            "add $k to each number of a list and return the largest result divisible by $m, or 0",
            "after adding $k to every element, find the largest multiple of $m, 0 if none",
            "increase all values by $k and return the biggest that $m divides, or 0 if there is none",
        ),
        ("largest_multiple", "add_and_find", "shifted_max"),
        LIST,
        grid(k=range(1, 8), m=(2, 3, 4, 5)),
        (
            "return max([x + $k for x in $a if (x + $k) % $m == 0], default=0)",
            "result = 0\nfor x in $a:\n    if (x + $k) % $m == 0:\n        result = max(result, x + $k)\nreturn result",
        ),
        (
            "return max([x + $k for x in $a if x % $m == 0], default=0)",
            "return max([x for x in $a if (x + $k) % $m == 0], default=0)",
        ),
        lambda rng, p: (integers(rng, low=0, high=25),),
        tier="hard",
        unseen=True,
    ),
    Family(
        "reverse_step_sum",
        (
            "reverse a list, take the items at indexes that are multiples of $k and return their sum",
            "sum one element out of every $k of a reversed list, starting with the first",
            "add up the items at positions 0, $k and so on of a list read backwards",
        ),
        ("reverse_step_sum", "backward_sum", "step_total"),
        LIST,
        grid(k=range(2, 12)),
        ("return sum($a[::-1][::$k])", "$a = $a[::-1]\nreturn sum($a[::$k])"),
        ("return sum($a[::$k])", "return sum($a[::-1][:$k])", "return $a[::-1][::$k]"),
        lambda rng, p: (integers(rng, least=p["k"] + 1, most=p["k"] + 4),),
        unseen=True,
    ),
    Family(
        "split_sort_join",
        (
            "split a string at '$sep', sort the parts and join them with '$to'",
            "sort the fields of a string separated by '$sep' and join them with '$to'",
            "return the sorted parts of a '$sep' separated string, joined by '$to'",
        ),
        ("split_sort_join", "sort_fields", "order_parts"),
        TEXT,
        grid(sep=(",", "-", "_", "/", ";"), to=("+", ":", "|", "*", " ")),
        (
            "return '$to'.join(sorted($a.split('$sep')))",
            "parts = $a.split('$sep')\nparts.sort()\nreturn '$to'.join(parts)",
        ),
        (
            "return '$to'.join($a.split('$sep'))",
            "return '$sep'.join(sorted($a.split('$to')))",
            "return sorted($a.split('$sep'))",
        ),
        lambda rng, p: (p["sep"].join(words(rng, least=3, most=4)),),
    ),
    Family(
        "running_totals",
        (
            "compute the running totals of a list and return those greater than $k",
            "list the cumulative sums of a list that are above $k",
            "return all prefix sums of a list larger than $k",
        ),
        ("running_totals", "big_prefix_sums", "totals_above"),
        LIST,
        grid(k=range(2, 20)),
        (
            "total = 0\nresult = []\nfor x in $a:\n    total += x\n    if total > $k:\n        result.append(total)\nreturn result",
            "sums = [sum($a[:i + 1]) for i in range(len($a))]\nreturn [s for s in sums if s > $k]",
        ),
        (
            "total = 0\nresult = []\nfor x in $a:\n    total += x\n    if x > $k:\n        result.append(total)\nreturn result",
            "return [x for x in $a if x > $k]",
        ),
        lambda rng, p: (prefix_list(rng, p["k"]),),
        tier="hard",
    ),
    Family(
        "frequent_values",
        (
            "return the sorted different values that occur at least $k times in a list",
            "find the numbers that appear $k or more times in a list, each once and sorted",
            "list in order the values whose count in a list is at least $k",
        ),
        ("frequent_values", "common_values", "repeated_values"),
        LIST,
        grid(k=range(2, 7)),
        (
            "return sorted(x for x in set($a) if $a.count(x) >= $k)",
            "result = []\nfor x in sorted(set($a)):\n    if $a.count(x) >= $k:\n        result.append(x)\nreturn result",
        ),
        ("return [x for x in $a if $a.count(x) >= $k]", "return sorted(x for x in set($a) if $a.count(x) == $k)"),
        lambda rng, p: (shuffled(rng, [9] * (p["k"] + 1) + [4] * p["k"] + [6] * (p["k"] - 1) + [rng.randint(0, 9)]),),
    ),
    Family(
        "reverse_words",
        (
            "reverse each word of a list and keep its first $k letters",
            "return the first $k characters of every word written backwards",
            "write each word of a list backwards and cut it after $k letters",
        ),
        ("reverse_words", "backward_words", "flip_and_cut"),
        WORD_LIST,
        grid(k=range(1, 10)),
        (
            "return [w[::-1][:$k] for w in $a]",
            "result = []\nfor w in $a:\n    result.append(w[::-1][:$k])\nreturn result",
        ),
        ("return [w[:$k][::-1] for w in $a]", "return [w[:$k] for w in $a]", "return [w[::-1] for w in $a]"),
        lambda rng, p: ([word(rng, least=p["k"] + 1, most=p["k"] + 3) for _ in range(rng.randint(2, 3))],),
        unseen=True,
    ),
    Family(
        "largest_gap",
        (
            "find the largest difference between neighbours in a list that is not above $k, or 0",
            "return the biggest gap between consecutive elements that is at most $k, 0 if none",
            "compute the greatest adjacent distance of at most $k in a list, or 0 if there is none",
        ),
        ("largest_gap", "best_gap", "limited_gap"),
        LIST,
        grid(k=range(3, 16)),
        (
            "gaps = [abs($a[i + 1] - $a[i]) for i in range(len($a) - 1)]\nreturn max([g for g in gaps if g <= $k], default=0)",
            "result = 0\nfor i in range(len($a) - 1):\n    gap = abs($a[i + 1] - $a[i])\n    if gap <= $k:\n        result = max(result, gap)\nreturn result",
        ),
        (
            "gaps = [$a[i + 1] - $a[i] for i in range(len($a) - 1)]\nreturn max([g for g in gaps if g <= $k], default=0)",
            "gaps = [abs($a[i + 1] - $a[i]) for i in range(len($a) - 1)]\nreturn max(gaps)",
        ),
        lambda rng, p: (gap_list(rng, p["k"]),),
        tier="hard",
    ),
]


def prefix_list(rng, total):
    """Numbers whose running total passes `total`, sometimes through it exactly."""
    first = rng.randint(0, total)
    tail = [rng.randint(-4, 6) for _ in range(rng.randint(2, 4))]
    return [first, total - first + rng.choice((0, 0, 1)), *tail]


def shuffled(rng, values):
    rng.shuffle(values)
    return values[: rng.randint(len(values) - 2, len(values))]


def gap_list(rng, limit):
    """Neighbours whose distances lie around the limit, up and down."""
    values = [rng.randint(0, 9)]
    for _ in range(rng.randint(3, 5)):
        values.append(values[-1] + rng.choice((-1, 1)) * rng.choice((limit, limit + 1, limit - 1, limit + 4, 2)))
    return values
