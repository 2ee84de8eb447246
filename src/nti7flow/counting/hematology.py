"""The absolute lymphocyte count (ALC) that haematology measured in the blood of a specimen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from nti7flow.counting.settings import CountingSettings
from nti7flow.trial.days import instants, local_date, timing
from nti7flow.trial.hematology import Hematology


@dataclass(frozen=True, slots=True)
class Alc:
    """An absolute lymphocyte count.

    Attributes
    ----------
    cells_per_ul : float
        The count; 0 is one.
    cv : float
        Its coefficient of variation, as a fraction.
    source : str
        ``ALC``, or ``WBC x lymphocyte_percent``.
    draw : str
        Subject and moment of the draw: what rests on the same one is wrong together.
    hours_apart : float or None
        Hours from the specimen; None where one of them has a date alone.
    others : tuple of str
        Other draws that are as near by what the sheets say, and counted something else.
    """

    cells_per_ul: float
    cv: float
    source: str
    draw: str
    hours_apart: float | None
    others: tuple[str, ...] = ()


def alc_of(
    collected_at: date | datetime | None,
    timepoint: str | None,
    counts: Iterable[Hematology],
    settings: CountingSettings,
    zone: ZoneInfo,
    doses: Sequence[tuple[int, date | datetime]] = (),
) -> Alc | None:
    """Return the count of the draw nearest to a specimen; None where none is near enough.

    A draw on the other side of a dose is not of the same blood, however near: lymphocytes leave it within hours.

    Parameters
    ----------
    collected_at : date or datetime or None
        When the specimen was drawn. A date alone goes with counts of that day.
    timepoint : str or None
        ``pre-dose`` or ``post-dose``, where declared; a count that is declared to be on the other side is another draw.
    counts : iterable of Hematology
        All rows of the subject.
    settings : CountingSettings
        How many hours may be between them, and the coefficient of variation where the sheet states none.
    zone : ZoneInfo
        Time zone of the study.
    doses : sequence of (int, date or datetime), optional
        Number and moment of each dose of the subject.
    """
    if collected_at is None:
        return None
    draws: dict[tuple[date | datetime, str | None], list[Hematology]] = {}
    for row in counts:
        draws.setdefault((row.collected_at, row.timepoint), []).append(row)
    ours = _doses_before(collected_at, timepoint, doses, zone)
    near: list[tuple[float, str, Alc]] = []
    for (moment, side), rows in draws.items():
        hours = _hours(collected_at, moment, zone)
        if hours is None or hours > settings.hematology_hours:
            continue
        theirs = _doses_before(moment, side, doses, zone)
        declared_apart = None not in (timepoint, side) and timepoint != side
        if declared_apart or (None not in (ours, theirs) and ours != theirs):
            continue
        known = isinstance(collected_at, datetime) and isinstance(moment, datetime)
        draw = " ".join(filter(None, (rows[0].subject, moment.isoformat(), side)))
        found = _alc(rows, settings, draw, hours if known else None)
        if found is not None:
            near.append((hours, draw, found))
    if not near:
        return None
    hours, _, nearest = min(near, key=lambda each: each[:2])
    rivals = [alc.draw for at, _, alc in near if at == hours and alc.cells_per_ul != nearest.cells_per_ul]
    return replace(nearest, others=tuple(sorted(rivals)))


def _doses_before(
    moment: date | datetime, timepoint: str | None, doses: Sequence[tuple[int, date | datetime]], zone: ZoneInfo
) -> int | None:
    """Return the latest dose before a moment, 0 before the first; None where nothing tells."""
    try:
        placed = timing(moment, doses, zone=zone, timepoint=timepoint)
    except ValueError:  # contradictions are refused in the sheets; those of controls are not looked at there
        return None
    return placed.dose if placed.sure else None


def _hours(moment: date | datetime, other: date | datetime, zone: ZoneInfo) -> float | None:
    """Hours between two moments; 0 on one day where one is a date alone, None on different ones."""
    if isinstance(moment, datetime) and isinstance(other, datetime):
        return abs(min(instants(moment, zone)) - min(instants(other, zone))) / timedelta(hours=1)
    return 0.0 if local_date(moment, zone) == local_date(other, zone) else None


def _alc(rows: Sequence[Hematology], settings: CountingSettings, draw: str, hours: float | None) -> Alc | None:
    """Read the count of one draw: as it was reported, else the product of white cells and their percentage."""
    of = {row.analyte: row for row in rows}
    default = settings.hematology_cv
    alc, wbc, percent = (of.get(analyte) for analyte in ("ALC", "WBC", "lymphocyte_percent"))
    if alc is not None and alc.cells_per_ul is not None:
        return Alc(alc.cells_per_ul, default if alc.cv is None else alc.cv, "ALC", draw, hours)
    if wbc is None or percent is None or wbc.cells_per_ul is None:
        return None
    cvs = [default if row.cv is None else row.cv for row in (wbc, percent)]
    value = wbc.cells_per_ul * percent.value / 100
    return Alc(value, math.hypot(*cvs), "WBC x lymphocyte_percent", draw, hours)
