"""The hand-written task families, one list per subject; `ALL` is their sum in a fixed order."""

from data.embedded.families import compose, dicts, lists, numbers, predicates, steps, strings
from data.embedded.families.family import Family

ALL: list[Family] = [
    *lists.FAMILIES,
    *strings.FAMILIES,
    *numbers.FAMILIES,
    *predicates.FAMILIES,
    *dicts.FAMILIES,
    *compose.FAMILIES,
    *steps.FAMILIES,
]
