"""Security: what Bandit finds. The term R_sec of SecureCodeRL (Sijwali and Saha, arXiv 2601.01184), and a finer one.

    V = sum of severities, HIGH 1.0, MEDIUM 0.5, LOW `low` (0 in the paper, which runs Bandit with -ll)

    security      1 - min(1, V)   the paper's final form
    security_exp  exp(-V)         the form of its draft: never 0; one HIGH finding leaves 0.37
    security_cwe  by weakness (below)

The published code pays 1.0 for a program that does not parse, as Bandit finds nothing in it. Here such a program earns
`unparsed`, 0 by default.

Not covered: what Bandit does not see. It looks at names in the source, so it misses `getattr(os, "sys" + "tem")(x)`.
"""

import math
from collections.abc import Callable

from rewards.answer import Answer, Finding, Value
from rewards.components.findings import charge, is_payable

CONFIDENCES = {"HIGH": 1.0, "MEDIUM": 0.6, "LOW": 0.3}  # factor for Bandit's own confidence, in security_cwe

# The weight in (0, 1] of every CWE (https://cwe.mitre.org) that Bandit 1.9.4 can report. The weights are ours: a tenth
# of the CVSS base score that published vulnerabilities of the kind typically get, rounded to 0.05.
WEAKNESSES: dict[int, float] = {
    20: 0.70,  # input that is not checked
    22: 0.75,  # a path that leaves its directory
    78: 1.00,  # a shell command made of input
    79: 0.60,  # a page made of input
    80: 0.60,  # script tags in a page
    89: 0.95,  # a query made of input
    94: 0.95,  # input that is run as code
    155: 0.70,  # a wildcard in a command
    259: 0.80,  # a password in the source
    284: 0.80,  # access that is not controlled
    295: 0.65,  # a certificate that is not checked
    319: 0.65,  # secrets sent unencrypted
    326: 0.60,  # a key that is too short
    327: 0.60,  # a broken cipher or hash
    330: 0.60,  # predictable random numbers
    377: 0.50,  # a temporary file that others can replace
    400: 0.60,  # no bound on time or memory
    494: 0.80,  # a download that is run unchecked
    502: 0.95,  # input that is unpickled
    605: 0.40,  # a socket open to all interfaces
    703: 0.30,  # an error that is ignored
    732: 0.70,  # a file that everyone may write
    838: 0.50,  # text with the wrong encoding for its place
}


def security(answer: Answer, *, low: float = 0.0, unparsed: float = 0.0) -> Value:
    """1 - min(1, V), in [0, 1]: one HIGH or two MEDIUM findings cost everything; further ones cost nothing.

    A program that does not parse, was not analysed or does not define the entry point earns `unparsed`. The loss lies
    at the findings, by severity. ValueError for an answer without analysis, or for `low` outside [0, 1].
    """
    return _priced(answer, "security", severity_weight, lambda weights: 1.0 - min(1.0, sum(weights)), low, unparsed)


def security_exp(answer: Answer, *, low: float = 0.0, unparsed: float = 0.0) -> Value:
    """exp(-V), in (0, 1]: each removed finding pays something. Otherwise like `security`."""
    return _priced(answer, "security_exp", severity_weight, lambda weights: math.exp(-sum(weights)), low, unparsed)


def security_cwe(answer: Answer, *, low: float = 0.0, unparsed: float = 0.0) -> Value:
    """1 - sum_k w_k / 2^k over the findings from the worst, w_1 >= w_2 >= ..., in (0, 1]. Otherwise like `security`.

    w = weight of the CWE (WEAKNESSES) * severity (HIGH 1.0, MEDIUM 0.5, LOW `low`) * confidence (CONFIDENCES). The
    worst finding decides: the loss is between w_1 / 2 and w_1. Removing the j-th finding moves later ones up and pays

        D_j = w_j / 2^j - sum_{k > j} w_k / 2^k

    With n findings D_j >= w_j / 2^n, so each removal pays; D_j - D_(j+1) = (w_j - w_(j+1)) / 2^j, so removing a worse
    finding pays more. (In floating point both hold for up to about 50 findings.) Example: weights 1.0 and 0.3 earn
    1 - 0.5 - 0.075 = 0.425; without the worst 0.85, without the other 0.5.
    """
    return _priced(answer, "security_cwe", cwe_weight, staged_value, low, unparsed)


def staged_value(weights: list[float]) -> float:
    """1 - sum_k w_k / 2^k, from the largest weight."""
    return 1.0 - sum(weight / 2.0**k for k, weight in enumerate(sorted(weights, reverse=True), start=1))


def cwe_weight(finding: Finding, low: float = 0.0) -> float:
    """The weight of a finding in `security_cwe`, in [0, 1]. ValueError for an unknown CWE, severity or confidence."""
    if finding.confidence not in CONFIDENCES:
        raise ValueError(f"security: {finding.rule} has the confidence {finding.confidence!r}, not one of Bandit's")
    if finding.cwe not in WEAKNESSES:
        raise ValueError(f"security: no weight for CWE-{finding.cwe}; add it to WEAKNESSES in {__name__}")
    return WEAKNESSES[finding.cwe] * severity_weight(finding, low) * CONFIDENCES[finding.confidence]


def severity_weight(finding: Finding, low: float = 0.0) -> float:
    """HIGH 1.0, MEDIUM 0.5, LOW `low`. ValueError for another."""
    weights = {"HIGH": 1.0, "MEDIUM": 0.5, "LOW": low}
    if finding.severity not in weights:
        raise ValueError(f"security: {finding.rule} has the severity {finding.severity!r}, not one of Bandit's")
    return weights[finding.severity]


def _priced(
    answer: Answer,
    component: str,
    weigh: Callable[[Finding, float], float],
    price: Callable[[list[float]], float],
    low: float,
    unparsed: float,
) -> Value:
    if not 0 <= low <= 1:
        raise ValueError(f"security: low {low}: a LOW finding weighs 0 to 1, as HIGH weighs 1")
    if not is_payable(answer, component):
        return Value(unparsed)
    return charge(answer, answer.analysis.security, lambda finding: weigh(finding, low), price)
