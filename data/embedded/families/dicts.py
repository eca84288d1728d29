"""Families about dictionaries and counting."""

from data.embedded.families.family import COMPARISONS, LIST, Family, cross, dictionary, grid, integers, words

DICT = ("d|data|scores|table",)


def near_k(rng, p):
    return (dictionary(rng, near=(p["k"],)),)


FAMILIES = [
    Family(
        "keys_by_value",
        (
            "list the keys of a dictionary whose value is $word $k, in sorted order",
            "return the sorted keys with a value $word $k",
            "find all keys of a dictionary with values $word $k and sort them",
        ),
        ("keys_by_value", "select_keys", "find_keys"),
        DICT,
        cross(COMPARISONS, grid(k=range(1, 12))),
        (
            "return sorted(k for k, v in $a.items() if v $op $k)",
            "return sorted([k for k in $a if $a[k] $op $k])",
            "result = []\nfor k, v in $a.items():\n    if v $op $k:\n        result.append(k)\nreturn sorted(result)",
        ),
        ("return sorted(v for k, v in $a.items() if v $op $k)", "return [k for k, v in $a.items() if v $op $k]"),
        near_k,
    ),
    Family(
        "filter_dict",
        (
            "keep the items of a dictionary whose value is $word $k",
            "return a dictionary of the entries with a value $word $k",
            "filter a dictionary to the values $word $k",
        ),
        ("filter_dict", "keep_items", "select_items"),
        DICT,
        cross(COMPARISONS, grid(k=range(1, 12))),
        (
            "return {k: v for k, v in $a.items() if v $op $k}",
            "result = {}\nfor k, v in $a.items():\n    if v $op $k:\n        result[k] = v\nreturn result",
        ),
        ("return {k for k, v in $a.items() if v $op $k}", "return [v for k, v in $a.items() if v $op $k]"),
        near_k,
        unseen=True,
    ),
    Family(
        "change_values",
        (
            "$phrase every value of a dictionary",
            "return a dictionary with the same keys: $phrase each value",
            "$phrase all values of a dictionary",
        ),
        ("change_values", "update_dict", "map_values"),
        DICT,
        tuple(
            {"phrase": phrase.format(k=k), "op": op, "k": k}
            for phrase, op in (("add {k} to", "+"), ("subtract {k} from", "-"), ("multiply by {k}", "*"))
            for k in range(2, 14)
        ),
        (
            "return {k: v $op $k for k, v in $a.items()}",
            "result = {}\nfor k, v in $a.items():\n    result[k] = v $op $k\nreturn result",
        ),
        ("return {k: $k for k, v in $a.items()}", "return [v $op $k for k, v in $a.items()]"),
        near_k,
    ),
    Family(
        "count_by_remainder",
        (
            "count the numbers of a list by their remainder modulo $k, in a dictionary",
            "return a dictionary from remainder modulo $k to how many numbers have it",
            "make a dictionary that counts the values of x % $k in a list",
        ),
        ("count_by_mod", "remainder_counts", "group_counts"),
        LIST,
        grid(k=range(2, 12)),
        (
            "result = {}\nfor x in $a:\n    result[x % $k] = result.get(x % $k, 0) + 1\nreturn result",
            "counts = {}\nfor x in $a:\n    r = x % $k\n    if r not in counts:\n        counts[r] = 0\n    counts[r] += 1\nreturn counts",
        ),
        (
            "result = {}\nfor x in $a:\n    result[x % $k] = 1\nreturn result",
            "result = {}\nfor x in $a:\n    result[x] = result.get(x, 0) + 1\nreturn result",
        ),
        lambda rng, p: (integers(rng, low=0, high=15, least=4, most=6),),
        tier="hard",
    ),
    Family(
        "get_or_default",
        (
            "look up a key in a dictionary and return $k if it is missing",
            "return the value of a key, or $k when the dictionary does not have it",
            "get a value from a dictionary with $k as the default",
        ),
        ("get_or_default", "look_up", "safe_get"),
        ("d|data|table", "key|name"),
        grid(k=(-1, 0, 1, 2, 3, 5, 7, 9, 10, 12, 15, 20, 50, 99, 100)),
        ("return $a.get($b, $k)", "return $a[$b] if $b in $a else $k", "if $b in $a:\n    return $a[$b]\nreturn $k"),
        ("return $a[$b]", "return $a.get($b)", "return $a.get($k, $b)"),
        lambda rng, p: (dictionary(rng), rng.choice("abcdefgh")),
    ),
    Family(
        "sum_values_above",
        (
            "add up the values of a dictionary that are $word $k",
            "find the sum of all dictionary values $word $k",
            "return the total of the values $word $k in a dictionary",
        ),
        ("sum_dict", "total_values", "add_values"),
        DICT,
        cross(COMPARISONS, grid(k=range(1, 12))),
        (
            "return sum(v for v in $a.values() if v $op $k)",
            "total = 0\nfor v in $a.values():\n    if v $op $k:\n        total += v\nreturn total",
        ),
        ("return sum(1 for v in $a.values() if v $op $k)", "return sum(v for v in $a if v $op $k)"),
        near_k,
    ),
    Family(
        "top_keys",
        (
            "return the $k keys of a dictionary with the $which values, $which first",
            "list the keys of the $k $which values of a dictionary, sorted by value with the $which first",
            "find the $k keys of a dictionary that have the $which values, $which first",
        ),
        ("top_keys", "ranked_keys", "leading_keys"),
        DICT,
        cross(({"which": "largest", "flag": True}, {"which": "smallest", "flag": False}), grid(k=range(1, 5))),
        (
            "return sorted($a, key=lambda k: $a[k], reverse=$flag)[:$k]",
            "keys = sorted($a, key=$a.get, reverse=$flag)\nreturn keys[:$k]",
        ),
        ("return sorted($a, key=lambda k: $a[k], reverse=not $flag)[:$k]", "return sorted($a, reverse=$flag)[:$k]"),
        lambda rng, p: (dict(zip(rng.sample("abcdefgh", p["k"] + 1), rng.sample(range(20), p["k"] + 1), strict=True)),),
        tier="hard",
        fixed=True,
    ),
    Family(
        "word_lengths",
        (
            "map each word of a list with $word $k letters to its length, in a dictionary",
            "return a dictionary from word to length for the words whose length is $word $k",
            "make a dictionary of the lengths of all words with $word $k letters",
        ),
        ("word_lengths", "length_table", "lengths_of"),
        ("words|items|names",),
        cross(COMPARISONS, grid(k=range(3, 6))),
        (
            "return {w: len(w) for w in $a if len(w) $op $k}",
            "result = {}\nfor w in $a:\n    if len(w) $op $k:\n        result[w] = len(w)\nreturn result",
        ),
        ("return {len(w): w for w in $a if len(w) $op $k}", "return [len(w) for w in $a if len(w) $op $k]"),
        lambda rng, p: (words(rng),),
        tier="hard",
        unseen=True,
    ),
]
