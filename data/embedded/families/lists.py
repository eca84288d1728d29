"""Families about lists of numbers (and of tuples)."""

from data.embedded.families.family import COMPARISONS, LIST, Family, cross, grid, integers


def near_k(rng, p):
    return (integers(rng, near=(p["k"],)),)


def plain(rng, p):
    return (integers(rng),)


def longer_than_k(rng, p):
    return (integers(rng, low=-3, high=9, least=p["k"] + 1, most=p["k"] + 3),)


def multiples(rng, p):
    """Multiples of k are frequent, so that divisibility is really tested."""
    return ([x * p["k"] if rng.random() < 0.4 else x for x in integers(rng, low=-6, high=15)],)


FAMILIES = [
    Family(
        "count_compare",
        (
            "count the numbers in a list that are $word $k",
            "find how many elements of a list are $word $k",
            "return the number of values $word $k in a list",
        ),
        ("count_values", "how_many", "count_elements"),
        LIST,
        cross(COMPARISONS, grid(k=range(-2, 13))),
        (
            "return sum(1 for x in $a if x $op $k)",
            "return len([x for x in $a if x $op $k])",
            "count = 0\nfor x in $a:\n    if x $op $k:\n        count += 1\nreturn count",
        ),
        ("return sum(x for x in $a if x $op $k)", "return [x for x in $a if x $op $k]"),
        near_k,
    ),
    Family(
        "keep_compare",
        (
            "keep the numbers of a list that are $word $k",
            "return the elements of a list that are $word $k",
            "filter a list to the values $word $k",
        ),
        ("keep_values", "select_numbers", "filter_list"),
        LIST,
        cross(COMPARISONS, grid(k=range(-2, 13))),
        (
            "return [x for x in $a if x $op $k]",
            "result = []\nfor x in $a:\n    if x $op $k:\n        result.append(x)\nreturn result",
            "return list(filter(lambda x: x $op $k, $a))",
        ),
        ("return [x for x in $a if not x $op $k]", "return len([x for x in $a if x $op $k])"),
        near_k,
    ),
    Family(
        "sum_compare",
        (
            "add up the numbers of a list that are $word $k",
            "find the sum of the elements $word $k in a list",
            "return the total of all values $word $k",
        ),
        ("sum_values", "total_of", "sum_selected"),
        LIST,
        cross(COMPARISONS, grid(k=range(-2, 11))),
        (
            "return sum(x for x in $a if x $op $k)",
            "total = 0\nfor x in $a:\n    if x $op $k:\n        total += x\nreturn total",
            "return sum([x for x in $a if x $op $k])",
        ),
        ("return sum(1 for x in $a if x $op $k)", "return sum($a) $op $k"),
        near_k,
        unseen=True,
    ),
    Family(
        "drop_multiples",
        (
            "remove all multiples of $k from a list",
            "delete the numbers divisible by $k from a list",
            "return the elements of a list that are not divisible by $k",
        ),
        ("drop_multiples", "remove_divisible", "without_multiples"),
        LIST,
        grid(k=range(2, 30)),
        (
            "return [x for x in $a if x % $k != 0]",
            "result = []\nfor x in $a:\n    if x % $k != 0:\n        result.append(x)\nreturn result",
            "return [x for x in $a if x % $k]",
        ),
        ("return [x for x in $a if x % $k == 0]", "return [x for x in $a if x != $k]"),
        multiples,
    ),
    Family(
        "sum_multiples",
        (
            "find the sum of the numbers in a list divisible by $k",
            "add up all multiples of $k in a list",
            "return the total of the elements that are multiples of $k",
        ),
        ("sum_multiples", "add_divisible", "total_multiples"),
        LIST,
        grid(k=range(2, 30)),
        (
            "return sum(x for x in $a if x % $k == 0)",
            "total = 0\nfor x in $a:\n    if x % $k == 0:\n        total += x\nreturn total",
        ),
        ("return sum(1 for x in $a if x % $k == 0)", "return sum(x for x in $a if x % $k != 0)"),
        multiples,
    ),
    Family(
        "kth_largest",
        (
            "find the element at rank $k from the largest in a list",
            "return number $k of a list sorted from large to small, counting from 1",
            "find the largest number of rank $k in a list",
        ),
        ("kth_largest", "rank_value", "nth_biggest"),
        LIST,
        grid(k=range(1, 13)),
        (
            "return sorted($a, reverse=True)[$k - 1]",
            "$a = sorted($a, reverse=True)\nreturn $a[$k - 1]",
            "return sorted($a)[-$k]",
        ),
        ("return sorted($a)[$k - 1]", "return sorted($a, reverse=True)[$k]", "return $a[$k - 1]"),
        longer_than_k,
    ),
    Family(
        "first_k",
        (
            "get the first $k elements of a list",
            "return the first $k items from a list",
            "take $k elements from the start of a list",
        ),
        ("first_items", "take_first", "head_of"),
        LIST,
        grid(k=range(1, 10)),
        ("return $a[:$k]", "result = $a[:$k]\nreturn result", "return [$a[i] for i in range(min($k, len($a)))]"),
        ("return $a[:$k - 1]", "return $a[$k:]", "return $a[$k]"),
        longer_than_k,
    ),
    Family(
        "last_k",
        (
            "get the last $k elements of a list",
            "return the last $k items from a list",
            "take $k elements from the end of a list",
        ),
        ("last_items", "take_last", "tail_of"),
        LIST,
        grid(k=range(1, 10)),
        ("return $a[-$k:]", "result = $a[-$k:]\nreturn result", "return $a[len($a) - $k:]"),
        ("return $a[:-$k]", "return $a[-$k]", "return $a[$k:]"),
        longer_than_k,
        unseen=True,
    ),
    Family(
        "every_kth",
        (
            "take every element of a list whose index is a multiple of $k",
            "return the items at positions 0, $k and so on in a list",
            "pick one element out of every $k from a list, starting with the first",
        ),
        ("every_nth", "pick_steps", "step_items"),
        LIST,
        grid(k=range(2, 11)),
        ("return $a[::$k]", "return [$a[i] for i in range(0, len($a), $k)]"),
        ("return $a[$k::$k]", "return $a[:$k]", "return [x for x in $a if x % $k == 0]"),
        longer_than_k,
    ),
    Family(
        "rotate_left",
        (
            "rotate a list to the left by $k positions",
            "move the first $k elements of a list to its end",
            "shift a list left by $k places with wrap around",
        ),
        ("rotate_left", "rotate_list", "shift_left"),
        LIST,
        grid(k=range(1, 9)),
        ("return $a[$k:] + $a[:$k]", "head = $a[:$k]\ntail = $a[$k:]\nreturn tail + head"),
        ("return $a[-$k:] + $a[:-$k]", "return $a[:$k] + $a[$k:]", "return $a[$k:]"),
        longer_than_k,
    ),
    Family(
        "apply_to_each",
        ("$phrase each number of a list", "$phrase every element of a list", "$phrase all values in a list"),
        ("apply_all", "change_list", "update_values"),
        LIST,
        tuple(
            {"phrase": phrase.format(k=k), "op": op, "k": k}
            for phrase, op in (("add {k} to", "+"), ("subtract {k} from", "-"), ("multiply by {k}", "*"))
            for k in range(2, 21)
        ),
        (
            "return [x $op $k for x in $a]",
            "result = []\nfor x in $a:\n    result.append(x $op $k)\nreturn result",
            "return list(map(lambda x: x $op $k, $a))",
        ),
        ("return [$k for x in $a]", "return sum(x $op $k for x in $a)"),
        plain,
    ),
    Family(
        "chunk",
        (
            "split a list into chunks of size $k",
            "divide a list into parts of $k elements",
            "group a list into pieces of length $k",
        ),
        ("chunk_list", "split_list", "make_chunks"),
        LIST,
        grid(k=range(2, 8)),
        (
            "return [$a[i:i + $k] for i in range(0, len($a), $k)]",
            "result = []\nfor i in range(0, len($a), $k):\n    result.append($a[i:i + $k])\nreturn result",
        ),
        ("return [$a[:$k], $a[$k:]]", "return [$a[i:i + $k] for i in range(len($a))]"),
        longer_than_k,
    ),
    Family(
        "replace_value",
        (
            "replace every $k in a list with $m",
            "change all values $k of a list to $m",
            "substitute $m for each $k in a list",
        ),
        ("replace_value", "swap_values", "change_value"),
        LIST,
        grid(k=range(0, 9), m=(0, 1, 5, 10, 99)),
        (
            "return [$m if x == $k else x for x in $a]",
            "result = []\nfor x in $a:\n    if x == $k:\n        result.append($m)\n    else:\n        result.append(x)\nreturn result",
        ),
        ("return [$k if x == $m else x for x in $a]", "return [x for x in $a if x != $k]"),
        lambda rng, p: (integers(rng, near=(p["k"], p["m"])),),
    ),
    Family(
        "positions_of",
        (
            "find all indexes of the value $k in a list",
            "return the positions where a list holds $k",
            "list the indices of every $k in a list",
        ),
        ("find_indexes", "positions_of", "index_list"),
        LIST,
        grid(k=range(-3, 16)),
        (
            "return [i for i, x in enumerate($a) if x == $k]",
            "return [i for i in range(len($a)) if $a[i] == $k]",
            "result = []\nfor i in range(len($a)):\n    if $a[i] == $k:\n        result.append(i)\nreturn result",
        ),
        ("return $a.index($k)", "return [x for i, x in enumerate($a) if x == $k]"),
        near_k,
        unseen=True,
    ),
    Family(
        "insert_at",
        (
            "insert $m at index $k of a list",
            "put the value $m into a list at position $k",
            "return a list with $m added at index $k",
        ),
        ("insert_value", "put_at", "add_at_index"),
        LIST,
        grid(k=range(0, 6), m=(0, 7, 42)),
        ("return $a[:$k] + [$m] + $a[$k:]", "result = list($a)\nresult.insert($k, $m)\nreturn result"),
        ("return $a + [$m]", "return $a[:$k] + [$m] + $a[$k + 1:]", "return $a.insert($k, $m)"),
        longer_than_k,
    ),
    Family(
        "window_sums",
        (
            "find the sums of all windows of $k neighbours in a list",
            "return the sum of each run of $k consecutive elements",
            "compute the moving sums of width $k of a list",
        ),
        ("window_sums", "moving_sums", "sum_windows"),
        LIST,
        grid(k=range(2, 9)),
        (
            "return [sum($a[i:i + $k]) for i in range(len($a) - $k + 1)]",
            "result = []\nfor i in range(len($a) - $k + 1):\n    result.append(sum($a[i:i + $k]))\nreturn result",
        ),
        ("return [sum($a[i:i + $k]) for i in range(len($a))]", "return sum($a[:$k])"),
        longer_than_k,
        tier="hard",
    ),
    Family(
        "clip_list",
        (
            "limit every number of a list to the range $lo to $hi",
            "clip the values of a list between $lo and $hi",
            "clamp each element of a list to at least $lo and at most $hi",
        ),
        ("clip_list", "clamp_all", "limit_values"),
        LIST,
        grid(lo=range(-3, 4), hi=(5, 8, 10, 12)),
        (
            "return [min(max(x, $lo), $hi) for x in $a]",
            "return [max($lo, min(x, $hi)) for x in $a]",
            "result = []\nfor x in $a:\n    result.append(max($lo, min(x, $hi)))\nreturn result",
        ),
        ("return [x for x in $a if $lo <= x <= $hi]", "return [max(min(x, $lo), $hi) for x in $a]"),
        lambda rng, p: (integers(rng, near=(p["lo"], p["hi"])),),
        tier="hard",
    ),
    Family(
        "sum_k_largest",
        (
            "find the sum of the $k largest numbers in a list",
            "add up the $k biggest elements of a list",
            "return the total of the top $k values in a list",
        ),
        ("sum_largest", "top_total", "sum_of_top"),
        LIST,
        grid(k=range(2, 14)),
        (
            "return sum(sorted($a, reverse=True)[:$k])",
            "$a = sorted($a, reverse=True)\nreturn sum($a[:$k])",
            "return sum(sorted($a)[-$k:])",
        ),
        ("return sum(sorted($a)[:$k])", "return sum($a[:$k])"),
        longer_than_k,
        unseen=True,
    ),
    Family(
        "remove_index",
        (
            "remove the element at index $k from a list",
            "delete item number $k of a list, counting from 0",
            "return a list without the value at position $k",
        ),
        ("remove_index", "delete_at", "drop_item"),
        LIST,
        grid(k=range(0, 8)),
        (
            "return $a[:$k] + $a[$k + 1:]",
            "result = list($a)\nresult.pop($k)\nreturn result",
            "return [x for i, x in enumerate($a) if i != $k]",
        ),
        ("return $a[:$k] + $a[$k:]", "return $a.pop($k)", "return [x for x in $a if x != $k]"),
        longer_than_k,
    ),
    Family(
        "repeat_each",
        (
            "repeat each element of a list $k times",
            "return a list in which every item appears $k times in a row",
            "copy each value of a list $k times",
        ),
        ("repeat_each", "repeat_items", "stretch_list"),
        LIST,
        grid(k=range(2, 7)),
        (
            "return [x for x in $a for _ in range($k)]",
            "result = []\nfor x in $a:\n    result.extend([x] * $k)\nreturn result",
        ),
        ("return $a * $k", "return [x * $k for x in $a]"),
        lambda rng, p: (integers(rng, least=1, most=3),),
    ),
    Family(
        "pick_from_tuples",
        (
            "extract item $k of each tuple in a list",
            "return the elements at index $k of a list of tuples",
            "get the value at position $k from every tuple",
        ),
        ("pick_items", "extract_column", "get_items"),
        ("pairs|rows|tuples",),
        grid(k=range(0, 7)),
        ("return [t[$k] for t in $a]", "result = []\nfor t in $a:\n    result.append(t[$k])\nreturn result"),
        ("return $a[$k]", "return [t[$k - 1] for t in $a]", "return [t[$k:] for t in $a]"),
        lambda rng, p: ([tuple(integers(rng, least=p["k"] + 1, most=p["k"] + 2)) for _ in range(rng.randint(1, 3))],),
    ),
    Family(
        "sort_by_remainder",
        (
            "sort a list of numbers by their remainder after division by $k",
            "order the elements of a list by remainder modulo $k",
            "sort numbers by the value of each modulo $k",
        ),
        ("sort_by_mod", "order_by_remainder", "mod_sort"),
        LIST,
        grid(k=range(2, 16)),
        (
            "return sorted($a, key=lambda x: x % $k)",
            "result = list($a)\nresult.sort(key=lambda x: x % $k)\nreturn result",
        ),
        ("return sorted(x % $k for x in $a)", "return sorted($a)", "return sorted($a, key=lambda x: x // $k)"),
        plain,
    ),
    Family(
        "count_pairs",
        (
            "count the neighbours in a list that differ by $word $k",
            "find how many consecutive elements have a difference of $word $k",
            "return the number of adjacent pairs whose distance is $word $k",
        ),
        ("count_gaps", "count_pairs", "neighbour_gaps"),
        LIST,
        cross(COMPARISONS, grid(k=range(2, 9))),
        (
            "return sum(1 for i in range(len($a) - 1) if abs($a[i] - $a[i + 1]) $op $k)",
            "count = 0\nfor i in range(len($a) - 1):\n    if abs($a[i] - $a[i + 1]) $op $k:\n        count += 1\nreturn count",
        ),
        (
            "return sum(1 for i in range(len($a) - 1) if $a[i] - $a[i + 1] $op $k)",
            "return sum(1 for i in range(len($a)) if abs($a[i] - $a[0]) $op $k)",
        ),
        lambda rng, p: (walk(rng, p["k"]),),
        tier="hard",
    ),
]


def walk(rng, step):
    """A list whose neighbours differ by about `step`, so that the boundary is met."""
    values = [rng.randint(0, 9)]
    for _ in range(rng.randint(3, 6)):
        values.append(values[-1] + rng.choice((-1, 1)) * (step + rng.choice((-1, 0, 0, 1))))
    return values
