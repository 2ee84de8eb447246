"""One blood draw under two names: it would stand in a trajectory twice, and replicates of it would not be pooled.

Several tubes of one specimen, of one panel or of several, are what a laboratory does. They share the name of the
specimen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from nti7flow.trial.form import Table
from nti7flow.trial.samples import SampleRow
from nti7flow.trial.specimens import Specimen, order_in_time, specimens_of


@dataclass(frozen=True)
class _Draw:
    """A specimen, its first line, and the panels of its patient tubes."""

    line: int
    specimen: Specimen
    panels: frozenset[str | None]


def check_same_draw(table: Table[SampleRow], zone: ZoneInfo) -> None:
    """See that a draw has one name, however it is spelt; tell of draws that only their names tell apart."""
    spelt = _check_spelling(table)
    apart = []
    for one, other in _pairs(_draws(table, zone)):
        if one.specimen.specimen.casefold() == other.specimen.specimen.casefold() or other.line in spelt:
            continue
        sure = _same_moment(one.specimen, other.specimen, zone)
        if sure and one.panels & other.panels:
            _note(table, one, other)
        elif sure:
            text = f"drawn at the moment of specimen {one.specimen.specimen!r} in line {one.line}: {_SHARE}"
            apart.append((other.line, text))
        elif one.panels & other.panels and _same_day(one.specimen, other.specimen, zone):
            text = (
                f"drawn on the day of specimen {one.specimen.specimen!r} in line {one.line}, and nothing tells them "
                "apart but their names; give the times of both, or one name to tubes of one draw"
            )
            apart.append((other.line, text))
    for line, text in dict(reversed(apart)).items():  # the first that is told of a line
        table.problems.remark(line, "specimen", text)


_SHARE = "tubes of one draw share its name, or they are not counted together"


def _check_spelling(table: Table[SampleRow]) -> set[int]:
    """See that a specimen is spelt in one way: P1_Day0 and P1_day0 are two to a computer alone; returns their lines."""
    first: dict[str, tuple[int, str]] = {}
    told: dict[str, int] = {}
    for line, row in table.rows:
        if not row.specimen:
            continue
        other, name = first.setdefault(row.specimen.casefold(), (line, row.specimen))
        if name != row.specimen and row.specimen not in told:
            told[row.specimen] = line
            found = f"{row.specimen!r}, where line {other} has {name!r}"
            do = "write it in one way, or give the other draw its own name"
            table.problems.add(line, "specimen", found, expected="one spelling of a specimen", do=do)
    return set(told.values())


def _draws(table: Table[SampleRow], zone: ZoneInfo) -> Iterator[_Draw]:
    """Yield the draws whose subject and moment are known, in the order of the sheet."""
    lines: dict[str, int] = {}
    panels: dict[str, set[str | None]] = {}
    for line, row in table.rows:
        if row.role == "patient" and row.specimen:
            lines.setdefault(row.specimen, line)
            panels.setdefault(row.specimen, set()).add(row.panel)
    specimens = {specimen.specimen: specimen for specimen in specimens_of((row for _, row in table.rows), zone)}
    for name, line in lines.items():
        if specimens[name].subject and specimens[name].collected_at is not None:
            yield _Draw(line, specimens[name], frozenset(panels[name]))


def _pairs(draws: Iterator[_Draw]) -> Iterator[tuple[_Draw, _Draw]]:
    """Pairs of draws of one subject, the one that is first in the sheet first."""
    of: dict[str | None, list[_Draw]] = {}
    for draw in draws:
        of.setdefault(draw.specimen.subject, []).append(draw)
    for group in of.values():
        yield from itertools.combinations(group, 2)


def _declared_apart(one: Specimen, other: Specimen) -> bool:
    """Whether one is said to be from before a dose and the other from after it."""
    return None not in (one.timepoint, other.timepoint) and one.timepoint != other.timepoint


def _same_moment(one: Specimen, other: Specimen, zone: ZoneInfo) -> bool:
    """Whether both have a time, and it is the same."""
    if not (isinstance(one.collected_at, datetime) and isinstance(other.collected_at, datetime)):
        return False
    same = order_in_time(one.collected_at, zone) == order_in_time(other.collected_at, zone)
    return same and not _declared_apart(one, other)


def _same_day(one: Specimen, other: Specimen, zone: ZoneInfo) -> bool:
    """Whether both are of one day, and one of them has no time."""
    if isinstance(one.collected_at, datetime) and isinstance(other.collected_at, datetime):
        return False
    same = order_in_time(one.collected_at, zone)[0] == order_in_time(other.collected_at, zone)[0]
    return same and one.timepoint == other.timepoint


def _note(table: Table[SampleRow], one: _Draw, other: _Draw) -> None:
    name, moment = other.specimen.specimen, other.specimen.collected_at
    assert moment is not None  # only such draws are compared
    of = f"subject {other.specimen.subject!r}, panel and time ({moment.isoformat()})"
    found = f"{name!r}, of the same {of} as specimen {one.specimen.specimen!r} in line {one.line}"
    do = "give replicates of one draw its one name, or correct the subject or the time"
    table.problems.add(other.line, "specimen", found, expected="one name for a draw", do=do)
