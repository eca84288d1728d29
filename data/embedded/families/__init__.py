"""The hand-written task families, one list per subject; `ALL` is their sum in a fixed order."""

from data.embedded.families import compose, dicts, lists, numbers, predicates, steps, strings

SUBJECTS = (lists, strings, numbers, predicates, dicts, compose, steps)
ALL = [family for subject in SUBJECTS for family in subject.FAMILIES]
