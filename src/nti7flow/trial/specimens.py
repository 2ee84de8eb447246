"""Blood draws: what the tubes of one specimen say of it, together and without contradiction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from nti7flow.trial.days import instants, local_date, side_of
from nti7flow.trial.form import Table
from nti7flow.trial.samples import SampleRow


@dataclass(frozen=True, slots=True)
class Specimen:
    """One blood draw.

    Attributes
    ----------
    specimen : str
        Its name.
    subject : str or None
        Whose blood it is.
    collected_at : date or datetime or None
        When it was drawn: of what its tubes say, what says most.
    timepoint : str or None
        ``pre-dose`` or ``post-dose``, where declared.
    samples : tuple of str
        Its patient tubes, in the order of the sheet.
    """

    specimen: str
    subject: str | None
    collected_at: date | datetime | None
    timepoint: str | None
    samples: tuple[str, ...]


def surely_after(moment: date | datetime, other: date | datetime, zone: ZoneInfo) -> bool:
    """Whether a moment is after another, as far as both are known."""
    return side_of(moment, other, zone) == "after"


def order_in_time(moment: date | datetime | None, zone: ZoneInfo) -> tuple[date, datetime]:
    """Return a key that sorts moments; a date comes first on its day, what is not known last of all."""
    if moment is None:
        return date.max, datetime.max.replace(tzinfo=UTC)
    start = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    return local_date(moment, zone), min(instants(start, zone))


def specimens_of(rows: Iterable[SampleRow], zone: ZoneInfo) -> tuple[Specimen, ...]:
    """Return the specimens of the patient tubes, by subject and time; tubes that name no specimen are in none."""
    tubes: dict[str, list[SampleRow]] = {}
    for row in rows:
        if row.role == "patient" and row.specimen:
            tubes.setdefault(row.specimen, []).append(row)
    specimens = [
        Specimen(
            name,
            next((row.subject for row in group if row.subject), None),
            said_most(row.collected_at for row in group),
            next((row.timepoint for row in group if row.timepoint), None),
            tuple(row.sample for row in group),
        )
        for name, group in tubes.items()
    ]
    key = {s.specimen: (s.subject or "", *order_in_time(s.collected_at, zone), s.specimen) for s in specimens}
    return tuple(sorted(specimens, key=lambda specimen: key[specimen.specimen]))


def said_most(moments: Iterable[date | datetime | None]) -> date | datetime | None:
    """Return of what several tubes say of one moment what says most; None where none says anything."""
    return max(moments, key=_detail, default=None)


def _detail(moment: date | datetime | None) -> int:
    """How much is said of a moment: nothing, the day, the time, the time and its offset."""
    if moment is None:
        return 0
    if not isinstance(moment, datetime):
        return 1
    return 2 if moment.utcoffset() is None else 3


def check_specimens(table: Table[SampleRow], zone: ZoneInfo) -> None:
    """See that the tubes of a specimen agree on whose blood it is and when it was drawn.

    Controls that were made from a specimen must agree too: they would otherwise be in the wrong patient's name.
    """
    first: dict[tuple[str, str], tuple[int, SampleRow]] = {}
    for line, row in table.rows:
        if not row.specimen:
            continue
        for column in ("subject", "collected_at", "timepoint"):
            value = getattr(row, column)
            if value is None:
                continue
            other_line, other = first.setdefault((row.specimen, column), (line, row))
            said = getattr(other, column)
            if not _differ(value, said, zone):
                if column == "collected_at" and _detail(value) > _detail(said):
                    first[row.specimen, column] = (line, row)
                continue
            found = f"{_shown(value)} for specimen {row.specimen!r}, which line {other_line} says is {_shown(said)}"
            do = "correct one, or give the other draw its own name"
            table.problems.add(line, column, found, expected=f"one {column} for a specimen", do=do)


def _differ(value: str | date | datetime, other: str | date | datetime, zone: ZoneInfo) -> bool:
    if isinstance(value, str) or isinstance(other, str):
        return value != other
    return surely_after(value, other, zone) or surely_after(other, value, zone)


def _shown(value: str | date | datetime) -> str:
    return repr(value) if isinstance(value, str) else value.isoformat()


def check_times(table: Table[SampleRow], zone: ZoneInfo) -> None:
    """See that a tube is collected, then stained, then acquired."""
    steps = ("collected_at", "stained_at", "acquired_at")
    for line, row in table.rows:
        said = [(step, moment) for step in steps if (moment := getattr(row, step)) is not None]
        # All pairs: a date between two times may say nothing against either.
        for (earlier, before), (later, after) in itertools.combinations(said, 2):
            if surely_after(before, after, zone) and not table.problems.at(line, later):
                found = f"{_shown(after)}, before {earlier} {_shown(before)}"
                do = "correct one of them (a time without offset is read in the time zone of the study)"
                table.problems.add(line, later, found, expected=f"a time after {earlier}", do=do)
