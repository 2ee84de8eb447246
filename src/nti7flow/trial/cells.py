"""One cell of a sheet as a value: number, whole number, moment, volume.

Each function returns None for an empty cell. A cell that cannot be read is noted in the sheet's problems and
gives None as well, so that reading goes on and everything is reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime

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

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"\d+", re.ASCII)


def number(sheet: Sheet, row: SheetRow, column: str, *, above: float, below: float = float("inf")) -> float | None:
    """Read a finite number strictly between two bounds.

    A decimal comma is read only where commas do not separate cells. A thousands mark never is: it cannot be
    told from a decimal mark.
    """
    text = row.cells.get(column, "")
    if not text:
        return None
    expected = f"a number above {above:g}" + (f" and below {below:g}" if below < float("inf") else "")
    if not _NUMBER.fullmatch(text) or ("," in text and not sheet.decimal_comma):
        do = "write digits and one decimal point, without unit or thousands mark"
        sheet.problems.add(row.line, column, repr(text), expected=expected, do=do)
        return None
    value = float(text.replace(",", "."))
    if not above < value < below:
        sheet.problems.add(row.line, column, repr(text), expected=expected, do="correct it")
        return None
    return value


def whole(sheet: Sheet, row: SheetRow, column: str) -> int | None:
    """Read a whole number from 0."""
    text = row.cells.get(column, "")
    if not text:
        return None
    if not _WHOLE.fullmatch(text):
        sheet.problems.add(row.line, column, repr(text), expected="a whole number from 0", do="correct it")
        return None
    return int(text)


def moment(sheet: Sheet, row: SheetRow, column: str) -> date | datetime | None:
    """Read an ISO 8601 date, or date and time, with its offset from UTC where one is given."""
    text = row.cells.get(column, "")
    if not text:
        return None
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    # 03/06/2021 is March here and June there; guessing would move a specimen by months.
    sheet.problems.add(
        row.line,
        column,
        repr(text),
        expected="an ISO 8601 date or date and time, like 2026-03-31 or 2026-03-31T08:15+02:00",
        do="rewrite it so (in a spreadsheet, format the column as text first)",
    )
    return None


def volume(sheet: Sheet, row: SheetRow, column: str) -> tuple[float | None, str | None]:
    """Read a volume and the unit in the column beside it, ``column`` + ``_unit``; both as given."""
    value = number(sheet, row, column, above=0)
    text = row.cells.get(f"{column}_unit", "")
    unit = VOLUME_UNITS.get(text)
    if text and unit is None:
        do = "correct it, or convert the volume"
        sheet.problems.add(row.line, f"{column}_unit", repr(text), expected="uL, µL or mL", do=do)
    elif row.cells.get(column) and not text:
        sheet.problems.add(
            row.line,
            f"{column}_unit",
            "no unit",
            expected="uL, µL or mL",
            do="say in which unit the volume is",
        )
    return value, unit
