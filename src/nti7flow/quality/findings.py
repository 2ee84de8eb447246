"""`Finding`: what one check saw in one tube, and how much it matters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: From no remark to "do not use"; the same words as everywhere in the package.
Severity = Literal["", "info", "review", "invalid"]
ORDER: tuple[Severity, ...] = ("", "info", "review", "invalid")
#: A stretch of time, seconds: the first moment is in it, the last is not.
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw.

    Attributes
    ----------
    check : str
        Name of the check.
    value, limit : float or None
        What was measured, and beyond what it is remarkable; None where there is no number.
    severity : str
        Empty, ``info``, ``review`` (a person should look) or ``invalid`` (do not use).
    n_excluded : int
        Events that are left out for it.
    channel : str
        Detector it is about; empty for the whole tube.
    intervals : tuple of (float, float)
        Stretches of time it is about, seconds, closed-open.
    note : str
        A few words for people.
    """

    check: str
    value: float | None
    limit: float | None
    severity: Severity = ""
    n_excluded: int = 0
    channel: str = ""
    intervals: tuple[Interval, ...] = ()
    note: str = ""


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the worst severity of some findings; empty where there are none."""
    return max((finding.severity for finding in findings), key=ORDER.index, default="")
