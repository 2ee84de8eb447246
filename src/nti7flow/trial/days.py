"""Day arithmetic: the study day, and which dose a draw comes after, by how many days.

Days are days of the calendar where the patient is. There is no study day 0: day 1 is the day of the first dose and
day -1 the day before. A draw on the day of a dose can be on either side of it, and what serves as baseline hangs on
which: the clock decides, then what was declared, and where neither tells, the draw is no baseline.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

#: Through this day after a dose counts are low because cells have left the blood, not because there are fewer.
BLIND_DAYS = 3
#: What can be declared of a draw on the day of a dose.
PRE_DOSE, POST_DOSE = "pre-dose", "post-dose"


@dataclass(frozen=True, slots=True)
class Timing:
    """Where a moment lies among the doses of its subject.

    Attributes
    ----------
    day : int or None
        Study day: 1 on the day of the first dose, -1 the day before, never 0. None without any dose.
    dose : int
        Number of the latest dose before the moment; 0 before the first.
    day_from_dose : int or None
        Calendar days since that dose; 0 is later on the day of the dose. None before the first.
    sure : bool
        False where nothing tells on which side of a dose of that day the moment lies. It is then taken as after.
    dose_to_come : int or None
        Number of the dose given later on the same day: a draw is its pre-dose draw. None on any other day.
    """

    day: int | None
    dose: int
    day_from_dose: int | None
    sure: bool
    dose_to_come: int | None = None


def local_date(moment: date | datetime, zone: ZoneInfo) -> date:
    """Return the day of the calendar on which a moment falls in the time zone of the study.

    A datetime with an offset from UTC is converted. A date, or a datetime without offset, is local already.
    """
    if not isinstance(moment, datetime):
        return moment
    return (moment if moment.utcoffset() is None else moment.astimezone(zone)).date()


def study_day(on: date, first_dose: date) -> int:
    """Return the study day of CDISC: 1 on the day of the first dose, -1 the day before, never 0.

    Raises
    ------
    TypeError
        One is a datetime: hours apart are not days apart. Use `local_date` first.
    """
    if isinstance(on, datetime) or isinstance(first_dose, datetime):
        raise TypeError("study_day takes dates, found a datetime; convert it with local_date")
    elapsed = (on - first_dose).days
    return elapsed + 1 if elapsed >= 0 else elapsed


def timing(
    collected: date | datetime,
    given: Sequence[tuple[int, date | datetime]],
    *,
    zone: ZoneInfo,
    timepoint: str | None = None,
) -> Timing:
    """Place a moment among the doses of its subject.

    Parameters
    ----------
    collected : date or datetime
        When the specimen was drawn.
    given : sequence of (int, date or datetime)
        Number, from 1, and moment of every dose of the subject, in any order, later ones too.
    zone : ZoneInfo
        Time zone of the study. Moments without offset are local; in the hour that a clock passes twice they tell
        an order only where both readings agree.
    timepoint : str or None
        ``pre-dose`` or ``post-dose`` where declared: the draw is before, or after, at least one dose of that day.
        It says nothing on a day without a dose.

    Returns
    -------
    Timing
        On the day of a dose the times of both decide, then ``timepoint``. Where neither tells, as for equal times,
        the draw is taken as after the dose, with ``sure`` False.

    Raises
    ------
    ValueError
        ``timepoint`` contradicts the times or is no timepoint, or doses are not numbered in the order of time.
    """
    if timepoint not in (None, PRE_DOSE, POST_DOSE):
        raise ValueError(f"timepoint is '{timepoint}'; expected {PRE_DOSE}, {POST_DOSE} or nothing")
    doses = _in_order(given, zone)
    drawn = local_date(collected, zone)
    dates = [local_date(moment, zone) for _, moment in doses]
    # The draw has at least `fewest` and at most `most` doses behind it.
    sides = [side_of(collected, moment, zone) for _, moment in doses]
    fewest = max((n for n, side in enumerate(sides, 1) if side == "after"), default=0)
    most = min((n for n, side in enumerate(sides) if side == "before"), default=len(doses))
    today = [n for n, day in enumerate(dates, 1) if day == drawn]
    if today and timepoint == PRE_DOSE:
        most = min(most, today[-1] - 1)
    elif today and timepoint == POST_DOSE:
        fewest = max(fewest, today[0])
    if fewest > most:
        other = "after" if timepoint == PRE_DOSE else "before"
        raise ValueError(f"declared {timepoint}, but by the clock it is {other} every dose of that day; correct one")
    return Timing(
        day=study_day(drawn, dates[0]) if doses else None,
        dose=doses[most - 1][0] if most else 0,
        day_from_dose=(drawn - dates[most - 1]).days if most else None,
        sure=fewest == most,
        dose_to_come=doses[most][0] if most < len(doses) and dates[most] == drawn else None,
    )


def is_blind(timing: Timing, *, blind_days: int = BLIND_DAYS) -> bool:
    """Whether a moment is after a dose and through day 3 of it, when counts say nothing of the response."""
    return timing.day_from_dose is not None and timing.day_from_dose <= blind_days


def is_baseline(timing: Timing, *, dose: int = 1, blind_days: int = BLIND_DAYS) -> bool:
    """Whether a specimen can serve as baseline of a dose.

    Parameters
    ----------
    timing : Timing
        Where the specimen lies.
    dose : int
        The dose that the baseline is before: 1, or ``other.dose`` for the baseline before the latest dose of another
        specimen.
    blind_days : int
        Last day after the dose before it on which a specimen never serves as baseline.

    Returns
    -------
    bool
        True for specimens between the dose before it and the dose, the pre-dose draw on its day among them. A draw
        that may be after the dose is none: it is taken as after, and thus blind.
    """
    return timing.dose == dose - 1 and not is_blind(timing, blind_days=blind_days)


def _in_order(given: Sequence[tuple[int, date | datetime]], zone: ZoneInfo) -> list[tuple[int, date | datetime]]:
    """Doses by number; numbers that contradict the time would put a draw after a dose that is still to come."""
    doses = sorted(given, key=lambda dose: dose[0])
    if doses and doses[0][0] < 1:
        raise ValueError(f"a dose has the number {doses[0][0]}; doses are numbered from 1")
    for (number, moment), (later, after) in itertools.combinations(doses, 2):
        if number == later:
            raise ValueError(f"two doses have the number {number}; number them in the order of time")
        if side_of(after, moment, zone) == "before":
            raise ValueError(f"dose {later} was given before dose {number}; number them in the order of time")
    return doses


def side_of(moment: date | datetime, other: date | datetime, zone: ZoneInfo) -> Literal["before", "after"] | None:
    """Say on which side of another a moment lies by date and clock; None where they do not tell.

    A date may be any time of that day where the patient is.
    """
    on, other_on = local_date(moment, zone), local_date(other, zone)
    if on != other_on:
        return "before" if on < other_on else "after"
    if not (isinstance(moment, datetime) and isinstance(other, datetime)):
        return None
    ours, theirs = instants(moment, zone), instants(other, zone)
    if max(ours) < min(theirs):
        return "before"
    return "after" if min(ours) > max(theirs) else None


def instants(moment: datetime, zone: ZoneInfo) -> set[datetime]:
    """Return the instants that a clock reading can mean: two in the hour that the clock passes twice.

    In UTC, because Python compares two datetimes of one zone by their clocks and not by time.
    """
    if moment.utcoffset() is not None:
        return {moment.astimezone(UTC)}
    return {moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
