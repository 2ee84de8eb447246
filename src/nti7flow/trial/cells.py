"""One cell of a sheet as a value: text, choice, number, whole number, moment, volume.

Each function returns None for an empty cell. A cell that cannot be read is noted in the sheet's problems and
gives None as well, so that reading goes on and everything is reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date, datetime

from nti7flow.errors import did_you_mean
from nti7flow.trial.sheet import Sheet, SheetRow

#: Units of volume: every accepted spelling, and the proper one.
VOLUME_UNITS: Mapping[str, str] = {
    "uL": "uL",
    "ul": "uL",
    "\N{MICRO SIGN}L": "uL",
    "\N{MICRO SIGN}l": "uL",
    "\N{GREEK SMALL LETTER MU}L": "uL",
    "\N{GREEK SMALL LETTER MU}l": "uL",
    "mL": "mL",
    "ml": "mL",
}
UL_PER_UNIT: Mapping[str, float] = {"uL": 1.0, "mL": 1000.0}
#: When a draw was, where the dosing day alone does not say.
TIMEPOINTS = ("pre-dose", "post-dose")
#: A date before or after these years is a slip of the pen. Today is not asked for: a sheet reads the same any day.
FIRST_YEAR, LAST_YEAR = 1990, 2100

# More than a tube holds.
_UNUSUAL_UL = 5000.0

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_SLASHED = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})([T ].*)?", re.ASCII)


def extras(row: SheetRow, columns: Collection[str]) -> dict[str, str]:
    """Return the filled cells of columns that mean nothing here."""
    return {name: cell for name, cell in row.cells.items() if cell and name not in columns}


def required(sheet: Sheet, row: SheetRow, column: str, *, expected: str) -> str:
    """Return the text of a cell that may not be empty; an empty one is noted, and given back as empty text."""
    text = row.cells.get(column, "")
    if not text and column in sheet.columns and not sheet.problems.at(row.line, column):
        sheet.problems.add(row.line, column, "an empty cell", expected=expected, do="fill it in")
    return text


def choice(sheet: Sheet, row: SheetRow, column: str, known: Mapping[str, str], *, expected: str) -> str | None:
    """Read one of several words in any case, by the ``known`` casefolded spellings and their proper one."""
    text = row.cells.get(column, "")
    if not text:
        return None
    proper = known.get(" ".join(text.casefold().split()))
    if proper is None:
        do = f"correct it.{did_you_mean(text, known.values())}"
        sheet.problems.add(row.line, column, repr(text), expected=expected, do=do)
    return proper


def timepoint(sheet: Sheet, row: SheetRow) -> str | None:
    """Read whether a draw was before or after the dose of its day: ``pre-dose``, ``post-dose`` or None."""
    known = {name.replace("-", mark): name for name in TIMEPOINTS for mark in ("-", " ", "")}
    return choice(sheet, row, "timepoint", known, expected=" or ".join(TIMEPOINTS))


def number(
    sheet: Sheet,
    row: SheetRow,
    column: str,
    *,
    above: float = float("-inf"),
    at_least: float = float("-inf"),
    below: float = float("inf"),
    do: str = "correct it",
) -> float | None:
    """Read a finite number within bounds; ``do`` is the way out where it is beyond them.

    A decimal comma is read only where commas do not separate cells. A thousands mark never is: it cannot be
    told from a decimal mark.
    """
    text = row.cells.get(column, "")
    if not text:
        return None
    lowest = f" above {above:g}" if above > at_least else f" from {at_least:g}" if at_least > above else ""
    expected = f"a number{lowest}" + (f" and below {below:g}" if below < float("inf") else "")
    if not _NUMBER.fullmatch(text) or ("," in text and not sheet.decimal_comma):
        plain = "write digits and one decimal point, without unit or thousands mark"
        sheet.problems.add(row.line, column, repr(text), expected=expected, do=plain)
        return None
    value = float(text.replace(",", "."))
    if not (above < value < below and value >= at_least):
        sheet.problems.add(row.line, column, repr(text), expected=expected, do=do)
        return None
    return value


def fraction(sheet: Sheet, row: SheetRow, column: str, *, unusual: float = 1.0) -> float | None:
    """Read a coefficient of variation: above 0 and below 1, as 0.02 is 2 %; what is above ``unusual`` is told."""
    value = number(sheet, row, column, above=0, below=1, do="write it as a fraction: 2 % is 0.02")
    if value is not None and column in row.percent:
        sheet.problems.remark(row.line, column, f"the cell shows {100 * value:g} % and is read as {value:g}")
    elif value is not None and value > unusual:
        sheet.problems.remark(row.line, column, f"{value:g} is {100 * value:g} %; was {value:g} % meant?")
    return value


def whole(sheet: Sheet, row: SheetRow, column: str, *, at_least: int = 0, at_most: int | None = None) -> int | None:
    """Read a whole number within bounds, both included."""
    text = row.cells.get(column, "")
    if not text:
        return None
    if not _WHOLE.fullmatch(text) or int(text) < at_least or (at_most is not None and int(text) > at_most):
        expected = f"a whole number from {at_least}" + ("" if at_most is None else f" to {at_most}")
        sheet.problems.add(row.line, column, repr(text), expected=expected, do="correct it")
        return None
    return int(text)


def moment(sheet: Sheet, row: SheetRow, column: str) -> date | datetime | None:
    """Read an ISO 8601 date, or date and time, with its offset from UTC where one is given."""
    text = row.cells.get(column, "")
    if not text:
        return None
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            value = read(text)
        except ValueError:
            continue
        if FIRST_YEAR <= value.year <= LAST_YEAR:
            return value
        expected = f"a date in the years {FIRST_YEAR} to {LAST_YEAR}"
        sheet.problems.add(row.line, column, repr(text), expected=expected, do="correct the year")
        return None
    # 03/06/2021 is March here and June there; guessing would move a specimen by months.
    do = "rewrite it so (in a spreadsheet, format the column as text first)"
    if _TIME.fullmatch(text):
        do = "write the date and the time in one cell"
    elif re.fullmatch(r"\d{5}(\.\d+)?", text):
        do = "format the cell as a date: a spreadsheet counts days, and this may be such a number"
    elif (parts := _SLASHED.fullmatch(text)) and (readings := _readings(parts)):
        do = f"write {readings} (in a spreadsheet, format the column as text first)"
    sheet.problems.add(
        row.line,
        column,
        repr(text),
        expected="an ISO 8601 date or date and time, like 2026-03-31 or 2026-03-31T08:15+02:00",
        do=do,
    )
    return None


def _readings(parts: re.Match[str]) -> str:
    """Return the days that 03/06/2021 may be, as they should be written."""
    one, other, year = int(parts[1]), int(parts[3]), int(parts[4])
    found = []
    for month, day in ((one, other), (other, one)):
        with suppress(ValueError):
            found.append(date(year, month, day).isoformat())
    return " or ".join(sorted(set(found))) + (", whichever is meant" if len(set(found)) > 1 else "")


def required_moment(sheet: Sheet, row: SheetRow, column: str) -> date | datetime | None:
    """Read a moment that may not be empty."""
    required(sheet, row, column, expected="a date, or a date and time")
    return moment(sheet, row, column)


def volume(sheet: Sheet, row: SheetRow, column: str) -> tuple[float | None, str | None]:
    """Read a volume and the unit in the column beside it, ``column`` + ``_unit``; both as given."""
    value = number(sheet, row, column, above=0)
    unit = unit_beside(sheet, row, column, VOLUME_UNITS, what="volume", expected="uL, µL or mL")
    if value is not None and unit is not None and value * UL_PER_UNIT[unit] > _UNUSUAL_UL:
        text = f"{value:g} {unit} is more than a tube holds; was another unit meant?"
        sheet.problems.remark(row.line, column, text)
    return value, unit


def unit_beside(
    sheet: Sheet, row: SheetRow, column: str, units: Mapping[str, str], *, what: str, expected: str
) -> str | None:
    """Read the unit of a number in the column beside it, ``column`` + ``_unit``; a number needs one."""
    beside = f"{column}_unit"
    text = row.cells.get(beside, "")
    unit = units.get(text)
    if text and unit is None:
        do = f"correct it, or convert the {what}"
        sheet.problems.add(row.line, beside, repr(text), expected=expected, do=do)
    elif row.cells.get(column) and not text and not sheet.problems.at(row.line, beside):
        do = f"say in which unit the {what} is"
        sheet.problems.add(row.line, beside, "no unit", expected=expected, do=do)
    return unit
