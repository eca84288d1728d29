"""How bad a weakness is: a name and a weight for every CWE that Bandit 1.9.4 can report.

The weights are ours: a tenth of the CVSS base score that published vulnerabilities of the kind typically get, rounded
to 0.05, so 0.9 and more is what scores call critical (code of a stranger runs), 0.7 to 0.85 high, 0.4 to 0.65 medium,
less is low. They say how bad the kind is, not this one line: a program of ten lines has no network in front of it.
"""

# Number of the weakness (https://cwe.mitre.org) -> (name in our words, weight in (0, 1]).
WEAKNESSES: dict[int, tuple[str, float]] = {
    20: ("input that is not checked", 0.70),
    22: ("a path that leaves its directory", 0.75),
    78: ("a shell command made of input", 1.00),
    79: ("a page made of input", 0.60),
    80: ("script tags in a page", 0.60),
    89: ("a query made of input", 0.95),
    94: ("input that is run as code", 0.95),
    155: ("a wildcard in a command", 0.70),
    259: ("a password in the source", 0.80),
    284: ("access that is not controlled", 0.80),
    295: ("a certificate that is not checked", 0.65),
    319: ("secrets sent in the clear", 0.65),
    326: ("a key that is too short", 0.60),
    327: ("a cipher or hash that is broken", 0.60),
    330: ("random numbers that can be guessed", 0.60),
    377: ("a temporary file that others can replace", 0.50),
    400: ("no bound on time or memory", 0.60),
    494: ("a download that is run unchecked", 0.80),
    502: ("input that is unpickled", 0.95),
    605: ("a socket open to all interfaces", 0.40),
    703: ("an error that nobody notices", 0.30),
    732: ("a file that everyone may write", 0.70),
    838: ("text encoded for another place", 0.50),
}


def weakness_weight(cwe: int) -> float:
    """The weight of a CWE. ValueError for one that is not in the table: it would otherwise be free."""
    if cwe not in WEAKNESSES:
        raise ValueError(f"security: no weight for CWE-{cwe}; add it to WEAKNESSES in rewards/components/weaknesses.py")
    return WEAKNESSES[cwe][1]
