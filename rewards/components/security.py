"""Security: what Bandit finds. The term R_sec of SecureCodeRL (Sijwali and Saha, arXiv 2601.01184), and a finer one.

    V = sum of severities, HIGH 1.0, MEDIUM 0.5, LOW `low` (0 in the paper, which runs Bandit with -ll)

    security      1 - min(1, V)   the paper's final form
    security_exp  exp(-V)         the form of its draft: never 0, and one HIGH finding leaves 0.37
    security_cwe  by weakness (below)

The published code pays 1.0 for what does not parse, since nothing is found in it: 0.4 of its reward for any garbage.
Here such a program gets `unparsed`, 0; `unparsed=1.0` is the published behaviour.

Not covered: what Bandit does not see. It looks at names in the source, so `getattr(os, "sys" + "tem")(x)` passes it by.
"""

import math

from rewards.answer import Answer, Finding, Value
from rewards.components.findings import charge, is_payable
from rewards.components.weaknesses import weakness_weight

CONFIDENCES = {"HIGH": 1.0, "MEDIUM": 0.6, "LOW": 0.3}  # how much Bandit's own doubt takes off, in security_cwe


def security(answer: Answer, *, low: float = 0.0, unparsed: float = 0.0) -> Value:
    """1 - min(1, V), in [0, 1]: one HIGH or two MEDIUM findings cost everything, and further ones nothing.

    A program that does not parse, could not be analysed or does not define what was asked is paid `unparsed`. The loss
    lies at the findings, by severity. ValueError where the program was not analysed, or for a `low` outside [0, 1].
    """
    return _by_severity(answer, "security", lambda v: 1.0 - min(1.0, v), low, unparsed)


def security_exp(answer: Answer, *, low: float = 0.0, unparsed: float = 0.0) -> Value:
    """exp(-V), in (0, 1]: each finding removed pays something. All else as `security`."""
    return _by_severity(answer, "security_exp", lambda v: math.exp(-v), low, unparsed)


def security_cwe(answer: Answer, *, low: float = 0.0, unparsed: float = 0.0) -> Value:
    """1 - sum_k w_k / 2^k over the findings from the worst, w_1 >= w_2 >= ..., in (0, 1].

    w = weight of the CWE (weaknesses.py) * severity (HIGH 1.0, MEDIUM 0.5, LOW `low`) * confidence (1.0, 0.6,
    0.3). The worst finding decides: the loss is between w_1 / 2 and w_1, whatever else is found. Removing the j-th lets
    all behind it move up, and pays

        D_j = w_j / 2^j - sum_{k > j} w_k / 2^k

    With n findings D_j >= w_j / 2^n, so each removal pays; D_j - D_(j+1) = (w_j - w_(j+1)) / 2^j, so the worse the
    finding, the more. (In floating point both hold up to some 50 findings.) Example: weights 1.0 and 0.3 are
    1 - 0.5 - 0.075 = 0.425; without the worst 0.85, without the other 0.5. All else as `security`.
    """
    _check(low)
    if not is_payable(answer, "security_cwe"):
        return Value(unparsed)
    weights = [(finding, cwe_weight(finding, low)) for finding in answer.analysis.security]
    return charge(answer, staged_value([weight for _, weight in weights]), weights)


def staged_value(weights: list[float]) -> float:
    """1 - sum_k w_k / 2^k, the weights taken from the largest."""
    return 1.0 - sum(weight / 2.0**k for k, weight in enumerate(sorted(weights, reverse=True), start=1))


def cwe_weight(finding: Finding, low: float = 0.0) -> float:
    """How much a finding weighs in `security_cwe`, in [0, 1]. ValueError for an unknown CWE, severity or confidence."""
    if finding.confidence not in CONFIDENCES:
        raise ValueError(f"security: {finding.rule} has the confidence {finding.confidence!r}, not one of Bandit's")
    return weakness_weight(finding.cwe) * severity_weight(finding, low) * CONFIDENCES[finding.confidence]


def severity_weight(finding: Finding, low: float = 0.0) -> float:
    """HIGH 1.0, MEDIUM 0.5, LOW `low`. ValueError for another."""
    weights = {"HIGH": 1.0, "MEDIUM": 0.5, "LOW": low}
    if finding.severity not in weights:
        raise ValueError(f"security: {finding.rule} has the severity {finding.severity!r}, not one of Bandit's")
    return weights[finding.severity]


def profile(findings: tuple[Finding, ...]) -> dict[str, int]:
    """How many findings of each severity and of each CWE, for the log.

    Example: {"HIGH": 1, "MEDIUM": 0, "LOW": 0, "CWE-78": 1}; a severity is always there, a CWE where it was found.
    """
    counts = dict.fromkeys(("HIGH", "MEDIUM", "LOW"), 0)
    for key in [finding.severity for finding in findings] + [f"CWE-{finding.cwe}" for finding in findings]:
        counts[key] = counts.get(key, 0) + 1
    return counts


def _by_severity(answer: Answer, component: str, price, low: float, unparsed: float) -> Value:
    _check(low)
    if not is_payable(answer, component):
        return Value(unparsed)
    weights = [(finding, severity_weight(finding, low)) for finding in answer.analysis.security]
    return charge(answer, price(sum(weight for _, weight in weights)), weights)


def _check(low: float) -> None:
    if not 0 <= low <= 1:
        raise ValueError(f"security: low {low}: a LOW finding weighs 0 to 1, as HIGH weighs 1")
