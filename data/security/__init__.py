"""Problems whose tempting solution is insecure, written by hand; `ALL` is the list of families in a fixed order.

    family.py      what a family is: one request with blanks, one program with its safe and its unsafe side
    stand_ins.py   what the sandbox does not have: other packages, programs, files, the network
    shell.py database.py files.py crypto.py web.py pages.py network.py parsing.py sources.py    the families
    generate.py    writes data/embedded/security.jsonl

Both sides pass the same tests, so only a reward that looks at the program's text tells them apart. The published data
sets (MBPP, HumanEval) hold next to nothing of the kind.
"""

from data.security import crypto, database, files, network, pages, parsing, shell, sources, web
from data.security.family import Family

ALL: list[Family] = [
    *parsing.FAMILIES,
    *shell.FAMILIES,
    *database.FAMILIES,
    *files.FAMILIES,
    *crypto.FAMILIES,
    *web.FAMILIES,
    *pages.FAMILIES,
    *network.FAMILIES,
    *sources.FAMILIES,
]
