"""Filter × map × aggregate: one family per aggregate, every pair of a filter and a map as its parameters."""

from data.embedded.families.family import LIST, Family, cross, integers

FILTERS = (
    {"which": "even", "test": "x % 2 == 0", "wrong_test": "x % 2 == 1"},
    {"which": "odd", "test": "x % 2 == 1", "wrong_test": "x % 2 == 0"},
    {"which": "positive", "test": "x > 0", "wrong_test": "x >= 0"},
    {"which": "negative", "test": "x < 0", "wrong_test": "x <= 0"},
    *({"which": f"divisible by {k}", "test": f"x % {k} == 0", "wrong_test": f"x % {k} != 0"} for k in (3, 4, 5)),
)
MAPS = (
    {"change": "squares", "made": "x * x", "wrong_made": "x * 2"},
    {"change": "cubes", "made": "x ** 3", "wrong_made": "x * 3"},
    {"change": "doubles", "made": "x * 2", "wrong_made": "x ** 2"},
    {"change": "halves, rounded down,", "made": "x // 2", "wrong_made": "x / 2"},
    {"change": "absolute values", "made": "abs(x)", "wrong_made": "x"},
    {"change": "remainders modulo 7", "made": "x % 7", "wrong_made": "x // 7"},
)
PARAMS = cross(FILTERS, MAPS)


def inputs(rng, p):
    """Zeros, ones and both signs are frequent: there the wrong filters and maps differ."""
    return (integers(rng, near=(0, 1), low=-12, high=20),)


def aggregate(name, texts, names, of, loop, wrong, tier="easy", unseen=False):
    """One aggregate. `of` is the one-line form around a generator; `loop` is (start, step, end) of the loop form."""
    start, step, end = loop
    generator = "$made for x in $a if $test"
    return Family(
        name,
        texts,
        names,
        LIST,
        PARAMS,
        (
            f"return {of.format(generator)}",
            f"result = {start}\nfor x in $a:\n    if $test:\n        {step.format('$made')}\nreturn {end}",
        ),
        (
            f"return {of.format('$made for x in $a if $wrong_test')}",
            f"return {of.format('$wrong_made for x in $a if $test')}",
            f"return {wrong.format(generator)}",
        ),
        inputs,
        tier,
        unseen,
    )


FAMILIES = [
    aggregate(
        "compose_sum",
        (
            "find the sum of the $change of the $which numbers in a list",
            "add up the $change of all $which numbers",
            "return the total of the $change of the elements that are $which",
        ),
        ("sum_of", "total_changed", "add_selected"),
        "sum({})",
        ("0", "result += {}", "result"),
        "list({})",
    ),
    aggregate(
        "compose_list",
        (
            "list the $change of the $which numbers in a list",
            "return the $change of all $which numbers of a list",
            "make a list of the $change of the elements that are $which",
        ),
        ("list_of", "map_selected", "changed_numbers"),
        "[{}]",
        ("[]", "result.append({})", "result"),
        "sum({})",
    ),
    aggregate(
        "compose_max",
        (
            "find the largest of the $change of the $which numbers in a list, or 0 if there are none",
            "return the maximum of the $change of all $which numbers, 0 if none",
            "compute the biggest value among the $change of the $which elements, with 0 as default",
        ),
        ("max_of", "largest_changed", "best_selected"),
        "max([{}], default=0)",
        ("[]", "result.append({})", "max(result, default=0)"),
        "min([{}], default=0)",
        tier="hard",
    ),
    aggregate(
        "compose_distinct",
        (
            "count the different values among the $change of the $which numbers in a list",
            "find how many distinct $change the $which numbers of a list have",
            "return the number of unique $change of the elements that are $which",
        ),
        ("distinct_of", "unique_changed", "count_distinct"),
        "len(set({}))",
        ("[]", "result.append({})", "len(set(result))"),
        "len([{}])",
        unseen=True,
    ),
]
