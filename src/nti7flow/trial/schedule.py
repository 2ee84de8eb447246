"""Nominal visits: windows of days around a schedule that starts again at each dose."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nti7flow.trial.days import PRE_DOSE, Timing

#: Names of visits that are no windows. The third, `PRE_DOSE`, is the draw before a dose on its day.
SCREENING, UNSCHEDULED = "screening", "unscheduled"
_RESERVED = (SCREENING, PRE_DOSE, UNSCHEDULED)


@dataclass(frozen=True, slots=True)
class VisitWindow:
    """Days from the latest dose on which a visit may be.

    Attributes
    ----------
    name : str
        Name of the visit, such as ``month 2``.
    day : int
        Nominal day; 0 is the day of the dose, after the dose.
    earliest, latest : int
        First and last day, both included.
    blood : bool
        False where no blood is drawn, as on the telephone: no specimen belongs to such a visit, and none is missing.
    """

    name: str
    day: int
    earliest: int
    latest: int
    blood: bool = True

    def __post_init__(self) -> None:
        if not self.name.strip() or self.name in _RESERVED:
            raise ValueError(f"a visit is named '{self.name}'; expected a name other than {', '.join(_RESERVED)}")
        if not 0 <= self.earliest <= self.day <= self.latest:
            raise ValueError(
                f"visit '{self.name}' has earliest {self.earliest}, day {self.day}, latest {self.latest}; "
                "expected 0 <= earliest <= day <= latest"
            )


@dataclass(frozen=True, slots=True)
class Visit:
    """A nominal visit of one subject: where a specimen belongs, or where one is expected.

    Attributes
    ----------
    dose : int
        Dose whose calendar it is in, from 1. What is before the first dose is in the calendar of the first.
    name : str
        Name of the window, or ``screening``, ``pre-dose`` or ``unscheduled``.
    day : int or None
        Days from that dose: actual of a specimen, nominal of an expected visit; negative before the first dose, None
        where no dose was given yet.
    """

    dose: int
    name: str
    day: int | None


@dataclass(frozen=True)
class Schedule:
    """The visits of a protocol, in days from the latest dose.

    Attributes
    ----------
    windows : tuple of VisitWindow
        Visits after each dose, kept by day. Windows with blood do not overlap, and no two have one name.
    screening_from_day : int
        First day of screening, in days from the first dose: negative.
    """

    windows: tuple[VisitWindow, ...]
    screening_from_day: int = -42

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows", tuple(sorted(self.windows, key=lambda w: (w.day, w.name))))
        problems = [*_same_names(self.windows), *_overlaps(self.windows)]
        if self.screening_from_day >= 0:
            problems.append(f"screening is from day {self.screening_from_day}; expected a day before 0")
        if problems:
            raise ValueError("; ".join(problems))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Schedule:
        """Return the schedule that a study.yaml says under ``schedule``; what it does not say is as in `NCT04781309`.

        Raises
        ------
        ConfigError
            With every problem.
        """
        # Pydantic is not loaded by whoever only uses a schedule.
        from nti7flow.trial.schedule_file import read_schedule

        return read_schedule(mapping)

    def window_for(self, day_from_dose: int) -> VisitWindow | None:
        """Return the window in which a specimen of that day belongs; None if it is unscheduled."""
        inside = (w for w in self.windows if w.blood and w.earliest <= day_from_dose <= w.latest)
        return next(inside, None)

    def visit_of(self, timing: Timing) -> Visit:
        """Return the one visit that a specimen belongs to.

        A specimen before a dose on the day of that dose is the dose's ``pre-dose`` visit, though the calendar of the
        previous dose still runs (``timing.dose`` and ``timing.day_from_dose`` say where in it). The day before is a day
        of the previous dose like any other.
        """
        if timing.dose_to_come is not None:
            return Visit(timing.dose_to_come, PRE_DOSE, 0)
        if timing.day_from_dose is None:  # a study day before day 1 is that many days from the first dose
            screened = timing.day is None or timing.day >= self.screening_from_day
            return Visit(1, SCREENING if screened else UNSCHEDULED, timing.day)
        window = self.window_for(timing.day_from_dose)
        return Visit(timing.dose, window.name if window else UNSCHEDULED, timing.day_from_dose)

    def expected_visits(self, dose_days: Sequence[int], end_day: int | None = None) -> tuple[Visit, ...]:
        """Return the visits with blood that a subject should have had.

        Parameters
        ----------
        dose_days : sequence of int
            Day of each dose in any order: study days, or days from the first dose.
        end_day : int or None
            Last day of follow-up (death, withdrawal, or the last day that the data reach), counted like the doses.
            None where follow-up went through the last window.

        Returns
        -------
        tuple of Visit
            The pre-dose visit of every dose, and every window that had closed before the next dose or the end: a visit
            that could still have been is not missing. Telephone visits and screening are never expected. So a draw
            before a dose on its day is never looked for in the calendar of the previous dose.
        """
        days = sorted(day for day in dose_days if end_day is None or day <= end_day)
        closed: list[Visit] = []
        for number, day in enumerate(days, 1):
            ends = [end for end in (*days[number : number + 1], end_day) if end is not None]
            closed.append(Visit(number, PRE_DOSE, 0))
            closed += (
                Visit(number, window.name, window.day)
                for window in self.windows
                if window.blood and all(day + window.latest < end for end in ends)
            )
        return tuple(closed)

    def missing_visits(
        self, attended: Iterable[Visit], dose_days: Sequence[int], end_day: int | None = None
    ) -> tuple[Visit, ...]:
        """Return the `expected_visits` that none of the attended ones is."""
        seen = {(visit.dose, visit.name) for visit in attended}
        return tuple(v for v in self.expected_visits(dose_days, end_day) if (v.dose, v.name) not in seen)


def _same_names(windows: Iterable[VisitWindow]) -> list[str]:
    names = [window.name for window in windows]
    return [f"{names.count(n)} visits are named '{n}'" for n in dict.fromkeys(names) if names.count(n) > 1]


def _overlaps(windows: Iterable[VisitWindow]) -> list[str]:
    """Say which windows with blood share days: a specimen there would belong to both."""
    blood = sorted((w for w in windows if w.blood), key=lambda w: (w.earliest, w.latest))
    return [
        f"visits '{a.name}' (days {a.earliest} to {a.latest}) and '{b.name}' ({b.earliest} to {b.latest}) overlap"
        for a, b in itertools.combinations(blood, 2)
        if b.earliest <= a.latest
    ]


#: Visits of NCT04781309 after each dose. The registry names the days; the windows are ours. Months have 30.4 days. Any
#: day of the first stay is accepted. The second stay is by day 21, when counts peak. From month 2 windows with blood
#: meet in the middle, a tie going to the earlier, and the last is as wide on both sides.
NCT04781309 = Schedule(
    (
        VisitWindow("day 1", 1, 1, 1),
        VisitWindow("day 3", 3, 2, 4),
        VisitWindow("day 7", 7, 5, 9),
        VisitWindow("day 21", 21, 10, 35),
        VisitWindow("month 2", 61, 36, 76),
        VisitWindow("month 3", 91, 77, 136),
        VisitWindow("month 4", 122, 107, 136, blood=False),
        VisitWindow("month 5", 152, 137, 167, blood=False),
        VisitWindow("month 6", 182, 137, 228),
        VisitWindow("month 7", 213, 198, 228, blood=False),
        VisitWindow("month 8", 243, 229, 258, blood=False),
        VisitWindow("month 9", 274, 229, 319),
        VisitWindow("month 12", 365, 320, 410),
    )
)
