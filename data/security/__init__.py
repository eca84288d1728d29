"""Problems whose obvious solution is insecure, written by hand; `ALL` is the list of families in a fixed order.

    family.py      what a family is: one request with blanks, one program with a safe and an unsafe version
    stand_ins.py   replacements for what the sandbox lacks: other packages, programs, files, the network
    shell.py database.py files.py crypto.py web.py pages.py network.py parsing.py sources.py    the families
    generate.py    writes security.jsonl

Both versions pass the same tests, so only a reward that reads the program's text can distinguish them. The published
sets (MBPP, HumanEval) have almost no such problems.
"""

from data.security import crypto, database, files, network, pages, parsing, shell, sources, web

SUBJECTS = (parsing, shell, database, files, crypto, web, pages, network, sources)
ALL = [family for subject in SUBJECTS for family in subject.FAMILIES]
