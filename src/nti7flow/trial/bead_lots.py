"""Lots of counting beads: the count is printed for the lot, so one tube of it says it for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from nti7flow.errors import did_you_mean
from nti7flow.trial.form import Table
from nti7flow.trial.samples import SampleRow

#: What a lot has one of.
NUMBERS = ("beads_per_tube", "bead_cv")


def with_lot_numbers(rows: Sequence[SampleRow]) -> tuple[SampleRow, ...]:
    """Return the rows with what another row says of their lot; what a row says itself stays."""
    counts, cvs = (_numbers(rows, column) for column in NUMBERS)
    return tuple(
        replace(
            row,
            beads_per_tube=counts.get(row.bead_lot) if row.beads_per_tube is None else row.beads_per_tube,
            bead_cv=cvs.get(row.bead_lot) if row.bead_cv is None else row.bead_cv,
        )
        for row in rows
    )


def _numbers(rows: Iterable[SampleRow], column: str) -> dict[str | None, float]:
    """Return what is said of each lot: the first number, as sheets are refused where there is another."""
    found: dict[str | None, float] = {}
    for row in rows:
        if row.bead_lot and (value := getattr(row, column)) is not None:
            found.setdefault(row.bead_lot, value)
    return found


def check_bead_lots(samples: Table[SampleRow]) -> None:
    """See that every lot has one count, and that beads come with the volume they were added to."""
    for column in NUMBERS:
        _check_one_number(samples, column)
    _check_known(samples)
    _check_volumes(samples)


def _check_one_number(samples: Table[SampleRow], column: str) -> None:
    first: dict[str, tuple[int, float]] = {}
    for line, row in samples.rows:
        value = getattr(row, column)
        if not row.bead_lot or value is None:
            continue
        other, said = first.setdefault(row.bead_lot, (line, value))
        if said != value:
            found = f"{value:.10g} for lot {row.bead_lot!r}, where line {other} has {said:.10g}"
            do = "the same lot has the same count: correct the number or the lot"
            samples.problems.add(line, column, found, expected=f"one {column} for a lot", do=do)


def _check_known(samples: Table[SampleRow]) -> None:
    """See that somewhere in the sheet stands how many beads a tube of the lot has; once for a lot.

    A control that was given beads need not be counted against them.
    """
    known = _numbers((row for _, row in samples.rows), "beads_per_tube")
    # A count that could not be read is told already.
    unread = {row.bead_lot for line, row in samples.rows if samples.problems.at(line, "beads_per_tube")}
    lines: dict[str, list[int]] = {}
    for line, row in samples.rows:
        if row.bead_lot and row.role == "patient" and row.bead_lot not in known and row.bead_lot not in unread:
            lines.setdefault(row.bead_lot, []).append(line)
    for lot, (line, *others) in lines.items():
        tubes = f" (lot of {1 + len(others)} tubes)" if others else ""
        found = f"{lot!r}, of which no row says beads_per_tube{tubes}"
        do = f"fill it in for one tube of the lot, or correct the lot.{did_you_mean(lot, map(str, known))}"
        samples.problems.add(line, "bead_lot", found, expected="a lot whose count is known", do=do)


def _check_volumes(samples: Table[SampleRow]) -> None:
    """See that a tube with beads has a volume where others of its panel have; say where none of the sheet has."""
    rows = with_lot_numbers([row for _, row in samples.rows])
    counted = [
        (line, row)
        for (line, _), row in zip(samples.rows, rows, strict=True)
        if row.role == "patient" and row.beads_per_tube is not None
    ]
    measured = {row.panel: line for line, row in reversed(counted) if row.specimen_volume is not None}
    useless = []
    for line, row in counted:
        if row.specimen_volume is not None or samples.problems.at(line, "specimen_volume"):
            continue
        if row.panel in measured:
            found = f"an empty cell beside beads, where line {measured[row.panel]} has a volume"
            do = "fill it in; if it is not known, clear bead_lot and beads_per_tube"
            samples.problems.add(line, "specimen_volume", found, expected="the volume that beads were added to", do=do)
        else:
            useless.append(line)
    if useless:
        more = f" (and {len(useless) - 1} more)" if len(useless) > 1 else ""
        text = f"beads without a specimen_volume give no concentration{more}"
        samples.problems.remark(useless[0], "beads_per_tube", text)
