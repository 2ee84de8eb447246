"""``doses.csv``: what was given to whom, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from nti7flow.trial.cells import extras, number, required, required_moment, unit_beside, whole
from nti7flow.trial.form import Form, Table
from nti7flow.trial.sheet import Sheet, SheetRow

#: Columns of doses.csv that mean something; any other is kept as it is.
DOSE_COLUMNS = ("subject", "dose", "given_at", "amount", "amount_unit", "route")
#: Units of an amount: every accepted spelling, and the proper one.
AMOUNT_UNITS: Mapping[str, str] = {
    spelling + per: proper + per
    for proper, spellings in (
        ("ug", ("ug", "mcg", "\N{MICRO SIGN}g", "\N{GREEK SMALL LETTER MU}g")),
        ("mg", ("mg",)),
    )
    for spelling in spellings
    for per in ("", "/kg")
}
# Efineptakin alfa has been given at 60 to 1,440 µg/kg: milligrams per kilogram are micrograms, mistyped.
_HIGHEST_MG_PER_KG = 10


@dataclass(frozen=True, slots=True)
class Dose:
    """One row of doses.csv.

    Attributes
    ----------
    subject : str
        Code of the person.
    dose : int
        Number of the dose, from 1, in order of time.
    given_at : date or datetime
        As given: a date alone stays a date, a datetime keeps its offset from UTC or its lack of one.
    amount : float or None
        Amount, in ``amount_unit``.
    amount_unit : str or None
        ``ug/kg``, ``mg/kg``, ``ug`` or ``mg``.
    route : str or None
        Such as ``IM``.
    extra : Mapping of str to str
        Filled cells of other columns.
    """

    subject: str
    dose: int
    given_at: date | datetime
    amount: float | None = None
    amount_unit: str | None = None
    route: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)


def read_doses(path: str | Path) -> tuple[Dose, ...]:
    """Read and check doses.csv, or a worksheet; ``subject``, ``dose`` and ``given_at`` are required.

    Raises
    ------
    ConfigError
        The sheet cannot be read, or anything in it is wrong; all problems are listed at once. That doses follow each
        other in time is checked by `read_trial`, which knows the time zone.
    """
    return DOSES.read(path)


def _row(sheet: Sheet, row: SheetRow) -> Dose | None:
    subject = required(sheet, row, "subject", expected="the code of a person")
    required(sheet, row, "dose", expected="the number of the dose, from 1")
    dose = whole(sheet, row, "dose", at_least=1)
    given_at = required_moment(sheet, row, "given_at")
    amount = number(sheet, row, "amount", above=0)
    expected = "ug/kg, µg/kg, mg/kg, ug or mg"
    unit = unit_beside(sheet, row, "amount", AMOUNT_UNITS, what="amount", expected=expected)
    if amount is not None and unit == "mg/kg" and amount > _HIGHEST_MG_PER_KG:
        sheet.problems.remark(row.line, "amount", f"{amount:g} mg/kg is {amount:g}000 ug/kg; was ug/kg meant?")
    if not subject or dose is None or given_at is None:
        return None
    route = row.cells.get("route") or None
    return Dose(subject, dose, given_at, amount, unit, route, extras(row, DOSE_COLUMNS))


def _check(table: Table[Dose]) -> None:
    """See that doses of a subject are numbered 1, 2, 3 … and each is there once."""
    lines: dict[str, dict[int, int]] = {}
    for line, row in table.rows:
        other = lines.setdefault(row.subject, {}).setdefault(row.dose, line)
        if other != line:
            found = f"dose {row.dose} of {row.subject!r}, which line {other} has too"
            table.problems.add(line, "dose", found, expected="every dose once", do="remove or renumber one")
    # A row that could not be read may be the dose that is missing.
    unsure = {row.cells.get("subject", "") for row in table.unread}
    for subject, doses in lines.items():
        if subject in unsure or "" in unsure:
            continue
        for expected, dose in enumerate(sorted(doses), 1):
            if dose != expected:
                found = f"dose {dose} of {subject!r} and no dose {expected}"
                do = "number the doses in order of time, or add the one that is missing"
                table.problems.add(doses[dose], "dose", found, expected="numbers from 1 without a gap", do=do)
                break


DOSES = Form("doses", DOSE_COLUMNS, ("subject", "dose", "given_at"), _row, _check)
