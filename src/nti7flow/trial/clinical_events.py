"""``events.csv``: what else happened to a subject: death, withdrawal, steroids, rituximab, an infection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nti7flow.errors import did_you_mean
from nti7flow.trial.cells import extras, moment, required, required_moment
from nti7flow.trial.form import Form, Table
from nti7flow.trial.sheet import Sheet, SheetRow

#: Columns of events.csv that mean something; any other is kept as it is.
EVENT_COLUMNS = ("subject", "date", "kind", "until")
#: Kinds of event that mean something here; others are kept.
EVENT_KINDS = ("death", "withdrawal", "steroid", "rituximab", "infection")


@dataclass(frozen=True, slots=True)
class ClinicalEvent:
    """One row of events.csv; the events of a tube are something else.

    Attributes
    ----------
    subject : str
        Code of the person.
    date : datetime.date
        Day of the event, or its first day.
    kind : str
        ``death``, ``withdrawal``, ``steroid``, ``rituximab``, ``infection``, or as written.
    until : datetime.date or None
        Last day, of a course of steroids for example.
    extra : Mapping of str to str
        Filled cells of other columns.
    """

    subject: str
    date: dt.date
    kind: str
    until: dt.date | None = None
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)


def read_events(path: str | Path) -> tuple[ClinicalEvent, ...]:
    """Read and check events.csv, or a worksheet; ``subject``, ``date`` and ``kind`` are required.

    A time beside the date is dropped: an event is of a day.

    Raises
    ------
    ConfigError
        The sheet cannot be read, or anything in it is wrong; all problems are listed at once.
    """
    return EVENTS.read(path)


def _row(sheet: Sheet, row: SheetRow) -> ClinicalEvent | None:
    subject = required(sheet, row, "subject", expected="the code of a person")
    on = _day(required_moment(sheet, row, "date"))
    until = _day(moment(sheet, row, "until"))
    written = required(sheet, row, "kind", expected=f"{', '.join(EVENT_KINDS)} or another")
    plain = written.casefold()
    kind = plain if plain in EVENT_KINDS else written
    if kind not in EVENT_KINDS and (hint := did_you_mean(kind, EVENT_KINDS)):
        sheet.problems.remark(row.line, "kind", f"{kind!r} has no meaning here and is kept as it is.{hint}")
    if on and until and until < on:
        found = f"{until}, before the date {on}"
        sheet.problems.add(row.line, "until", found, expected="the last day", do="correct one of them")
    if not subject or on is None or not kind:
        return None
    return ClinicalEvent(subject, on, kind, until, extras(row, EVENT_COLUMNS))


def _day(value: dt.date | dt.datetime | None) -> dt.date | None:
    return value.date() if isinstance(value, dt.datetime) else value


def _check(table: Table[ClinicalEvent]) -> None:
    """See that nobody dies on two days, and say what is there twice."""
    deaths: dict[str, tuple[int, dt.date]] = {}
    seen: dict[tuple[str, str, dt.date], int] = {}
    for line, row in table.rows:
        first = seen.setdefault((row.subject, row.kind, row.date), line)
        if first != line:
            table.problems.remark(line, "kind", f"the same {row.kind} is in line {first} too")
        if row.kind == "death":
            other, on = deaths.setdefault(row.subject, (line, row.date))
            if on != row.date:
                found = f"a death of {row.subject!r} on {row.date}, where line {other} has one on {on}"
                table.problems.add(line, "date", found, expected="one date of death", do="remove or correct one")


EVENTS = Form("events", EVENT_COLUMNS, ("subject", "date", "kind"), _row, _check)
