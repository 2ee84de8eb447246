"""The redosing rule of the protocol, as data, and what it finds on the counts after one dose.

The finding is advice with its evidence, never an order: who doses a patient sees more than counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from nti7flow.trial.days import BLIND_DAYS


class Finding(StrEnum):
    """What the rule finds."""

    #: No usable count after the blind days, or none around the peak and no later one at the target.
    NOT_ASSESSABLE = "not_assessable"
    #: The last usable count is from before the peak can be over.
    TOO_EARLY = "too_early"
    #: No usable count was at the target.
    TARGET_NOT_REACHED = "target_not_reached"
    #: One was, and the last is below.
    NOT_SUSTAINED = "not_sustained"
    #: The last one is at the target.
    SUSTAINED = "sustained"
    #: Not reached or not sustained, and every dose of the protocol is given.
    NO_DOSE_LEFT = "no_dose_left"


_NEXT_AMOUNT: Mapping[Finding, Literal["higher", "same"]] = {
    Finding.TARGET_NOT_REACHED: "higher",
    Finding.NOT_SUSTAINED: "same",
}


@dataclass(frozen=True, slots=True)
class RedosingRule:
    """The rule of NCT04781309; its days are those of the peak after interleukin-7.

    Attributes
    ----------
    target_alc_per_ul : float
        Absolute lymphocyte count to reach, cells/µL; a count equal to it has.
    max_doses : int
        Doses that a subject may have.
    blind_days : int
        Through this day after a dose no count is used.
    peak_from_day : int
        First day on which a count below the target tells that the peak is low.
    final_from_day : int
        Only with a count from this day on is anything found, as until then the peak may be to come.
    peak_to_day : int
        Last day on which a count still tells the peak: the last of the visit window ``day 21``, when a week of decay
        is still within the error of a count. Later counts alone cannot tell a low peak from a peak that is over.
    """

    target_alc_per_ul: float = 1000.0
    max_doses: int = 3
    blind_days: int = BLIND_DAYS
    peak_from_day: int = 14
    final_from_day: int = 28
    peak_to_day: int = 35

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target_alc_per_ul) and self.target_alc_per_ul > 0 and self.max_doses >= 1):
            raise ValueError(
                f"redosing rule needs a target above 0 and a dose, found {self.target_alc_per_ul:g}, {self.max_doses}"
            )
        if not 0 <= self.blind_days < self.peak_from_day <= self.final_from_day <= self.peak_to_day:
            raise ValueError(
                "redosing rule needs 0 <= blind_days < peak_from_day <= final_from_day <= peak_to_day, found "
                f"{self.blind_days}, {self.peak_from_day}, {self.final_from_day}, {self.peak_to_day}"
            )


@dataclass(frozen=True, slots=True)
class AlcValue:
    """An absolute lymphocyte count, from haematology, after a dose.

    Attributes
    ----------
    day_from_dose : int
        Calendar days since the dose.
    cells_per_ul : float
        The count.
    lower, upper : float or None
        Its interval, where known; cells/µL.
    usable : bool
        False for a count with a flag of severity ``review`` or ``invalid``.
    reason : str
        Why it is not usable.
    """

    day_from_dose: int
    cells_per_ul: float
    lower: float | None = None
    upper: float | None = None
    usable: bool = True
    reason: str = ""

    def __post_init__(self) -> None:
        lower, upper = self.bounds
        if not 0 <= lower <= self.cells_per_ul <= upper or math.isinf(self.cells_per_ul):
            raise ValueError(
                f"ALC {self.cells_per_ul} has the interval {self.lower} to {self.upper}; "
                "expected 0 <= lower <= cells_per_ul <= upper"
            )

    @property
    def bounds(self) -> tuple[float, float]:
        """Ends of the interval, the count itself where one is not known; cells/µL."""
        lower = self.cells_per_ul if self.lower is None else self.lower
        return lower, self.cells_per_ul if self.upper is None else self.upper

    def straddles(self, target_per_ul: float) -> bool:
        """Whether the count cannot be told from a target, as its interval reaches from below to it."""
        lower, upper = self.bounds
        return lower < target_per_ul <= upper


@dataclass(frozen=True, slots=True)
class RedosingAdvice:
    """What the rule finds.

    Attributes
    ----------
    finding : Finding
        The finding.
    next_amount : {"higher", "same"} or None
        Amount of the dose that may be considered, against the last one; None where none is.
    reached, sustained : bool or None
        Whether the target was reached, and whether the last count is at it; None where that cannot be told.
    evidence : str
        The counts that decided, and what follows, in one line.
    decided_by : AlcValue or None
        The count that decided: the highest where the target was not reached, else the last.
    ignored : tuple of (AlcValue, str)
        Counts that were not used, by day, each with why.
    """

    finding: Finding
    next_amount: Literal["higher", "same"] | None
    reached: bool | None
    sustained: bool | None
    evidence: str
    decided_by: AlcValue | None
    ignored: tuple[tuple[AlcValue, str], ...]


def advise(rule: RedosingRule, *, dose: int, values: Iterable[AlcValue]) -> RedosingAdvice:
    """Apply the rule to the counts after one dose and before the next.

    Parameters
    ----------
    rule : RedosingRule
        The rule.
    dose : int
        Number of that dose, from 1.
    values : iterable of AlcValue
        Counts in any order. Of several on one day the lowest is the count of that day: a day is at the target only if
        all its counts are.

    Returns
    -------
    RedosingAdvice
        Counts through ``rule.blind_days`` and counts that are not usable change nothing in it but ``ignored``. An
        interval that reaches to the target is told in the evidence; the finding goes by the count itself.
    """
    if dose < 1:
        raise ValueError(f"the redosing rule is about what follows a dose, found dose {dose}; expected 1 or more")
    days: dict[int, AlcValue] = {}
    ignored: list[tuple[AlcValue, str]] = []
    # By day, then count, then whatever else differs, so that the order of the input never matters.
    for value in sorted(values, key=lambda v: (v.day_from_dose, v.cells_per_ul, *v.bounds, repr(v))):
        if why := _why_ignored(rule, value):
            ignored.append((value, why))
        else:
            days.setdefault(value.day_from_dose, value)
    usable = tuple(days.values())
    finding, reached, sustained, decided_by = _find(rule, usable)
    amount = _NEXT_AMOUNT.get(finding)
    if amount and dose >= rule.max_doses:
        finding, amount = Finding.NO_DOSE_LEFT, None
    told = _told(rule, usable, decided_by) + _consequence(rule, finding, decided_by)
    evidence = f"{told}; dose {dose} of {rule.max_doses}"
    return RedosingAdvice(finding, amount, reached, sustained, evidence, decided_by, tuple(ignored))


def _why_ignored(rule: RedosingRule, value: AlcValue) -> str:
    if value.day_from_dose < 0:
        return "before the dose"
    if value.day_from_dose <= rule.blind_days:
        return f"through day {rule.blind_days} after the dose"
    return "" if value.usable else value.reason or "not usable"


def _find(rule: RedosingRule, days: Sequence[AlcValue]) -> tuple[Finding, bool | None, bool | None, AlcValue | None]:
    """Return the finding, whether the target was reached, whether it lasts, and the count that says so."""
    if not days:
        return Finding.NOT_ASSESSABLE, None, None, None
    highest, last = max(days, key=lambda value: value.cells_per_ul), days[-1]
    reached = highest.cells_per_ul >= rule.target_alc_per_ul
    if last.day_from_dose < rule.final_from_day:
        return Finding.TOO_EARLY, True if reached else None, None, last
    if reached:
        sustained = last.cells_per_ul >= rule.target_alc_per_ul
        return Finding.SUSTAINED if sustained else Finding.NOT_SUSTAINED, True, sustained, last
    if not any(rule.peak_from_day <= value.day_from_dose <= rule.peak_to_day for value in days):
        return Finding.NOT_ASSESSABLE, None, None, highest
    return Finding.TARGET_NOT_REACHED, False, False, highest


def _told(rule: RedosingRule, days: Sequence[AlcValue], decided_by: AlcValue | None) -> str:
    """Say the deciding count, after the highest where that reached the target and this is below."""
    if decided_by is None:
        return f"no usable ALC after day {rule.blind_days}"
    target, highest = rule.target_alc_per_ul, max(days, key=lambda value: value.cells_per_ul)
    decisive = _compared(decided_by, target)
    if highest.cells_per_ul >= target > decided_by.cells_per_ul:
        return f"ALC {_compared(highest, target)}, then {decisive}"
    return f"ALC {decisive}"


def _consequence(rule: RedosingRule, finding: Finding, decided_by: AlcValue | None) -> str:
    """Say what follows from the finding."""
    if finding == Finding.NOT_ASSESSABLE and decided_by is not None:
        peak = f"days {rule.peak_from_day} to {rule.peak_to_day}"
        return f", and no usable ALC on {peak}: whether the target was reached cannot be told"
    return {
        Finding.NOT_ASSESSABLE: ": not assessable",
        Finding.TOO_EARLY: f": too early, the peak may come until day {rule.final_from_day}",
        Finding.TARGET_NOT_REACHED: ": a higher dose may be considered",
        Finding.NOT_SUSTAINED: ": the same dose may be considered",
        Finding.SUSTAINED: ": no further dose by this rule",
        Finding.NO_DOSE_LEFT: ": no dose is left",
    }[finding]


def _compared(value: AlcValue, target: float) -> str:
    """Return ``640 [590–695] at day 28 < 1000``."""
    interval = ""
    if value.lower is not None and value.upper is not None:
        interval = f" [{_count(value.lower, target)}–{_count(value.upper, target)}]"
    sign = "≥" if value.cells_per_ul >= target else "<"
    doubt = " (cannot be told from the target)" if value.straddles(target) else ""
    count = _count(value.cells_per_ul, target)
    return f"{count}{interval} at day {value.day_from_dose} {sign} {target:.10g}{doubt}"


def _count(cells_per_ul: float, target: float) -> str:
    """Write a count in whole cells, or with as many decimals as it takes not to look as if on the other side."""
    texts = (f"{cells_per_ul:.{decimals}f}" for decimals in range(4))
    right = (text for text in texts if (float(text) >= target) == (cells_per_ul >= target))
    return next(right, repr(cells_per_ul))
