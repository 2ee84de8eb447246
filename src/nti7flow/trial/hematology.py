"""``hematology.csv``: what the haematology analyser counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from nti7flow.errors import did_you_mean
from nti7flow.trial.cells import choice, extras, fraction, number, required, required_moment, timepoint
from nti7flow.trial.form import Form
from nti7flow.trial.sheet import Sheet, SheetRow
from nti7flow.trial.units import CELLS_PER_UL, PERCENT, concentration_unit, per_decilitre, to_cells_per_ul

#: Columns of hematology.csv that mean something; any other is kept as it is.
HEMATOLOGY_COLUMNS = ("subject", "collected_at", "timepoint", "analyte", "value", "unit", "cv")
#: Absolute lymphocyte count, white blood cells, and lymphocytes in percent of white blood cells.
ANALYTES = ("ALC", "WBC", "lymphocyte_percent")

_SPELLINGS = {spelling: name for name in ANALYTES for spelling in (name.casefold(), name.casefold().replace("_", " "))}
# The largest counts on record are those of leukaemias: more is a count per µL under the unit of 10^9/L.
_HIGHEST_PER_UL = {"ALC": 500_000, "WBC": 1_000_000}
# Above this only a leukaemia is as high: possible, and worth a second look.
_UNUSUAL_PER_UL = {"ALC": 20_000, "WBC": 100_000}


@dataclass(frozen=True, slots=True)
class Hematology:
    """One row of hematology.csv: one analyte of one blood draw.

    Attributes
    ----------
    subject : str
        Code of the person.
    collected_at : date or datetime
        When the blood was drawn, as given.
    analyte : str
        ``ALC``, ``WBC`` or ``lymphocyte_percent``.
    value : float
        In ``unit``; 0 is a count.
    unit : str
        Proper spelling of a unit of concentration (`CELLS_PER_UL`), or ``%`` for ``lymphocyte_percent``.
    cv : float or None
        Coefficient of variation of the value as a fraction: 0.05 is 5 %.
    timepoint : str or None
        ``pre-dose`` or ``post-dose``, where declared for a draw on a dosing day.
    extra : Mapping of str to str
        Filled cells of other columns.
    """

    subject: str
    collected_at: date | datetime
    analyte: str
    value: float
    unit: str
    cv: float | None = None
    timepoint: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def cells_per_ul(self) -> float | None:
        """The count in cells/µL; None for a percentage."""
        return None if self.unit == PERCENT else to_cells_per_ul(self.value, self.unit)


def read_hematology(path: str | Path) -> tuple[Hematology, ...]:
    """Read and check hematology.csv, or a worksheet; all but ``timepoint`` and ``cv`` are required.

    Raises
    ------
    ConfigError
        The sheet cannot be read, or anything in it is wrong; all problems are listed at once.
    """
    return HEMATOLOGY.read(path)


def _row(sheet: Sheet, row: SheetRow) -> Hematology | None:
    subject = required(sheet, row, "subject", expected="the code of a person")
    collected_at = required_moment(sheet, row, "collected_at")
    listed = ", ".join(ANALYTES)
    required(sheet, row, "analyte", expected=listed)
    analyte = choice(sheet, row, "analyte", _SPELLINGS, expected=listed)
    required(sheet, row, "value", expected="a number from 0")
    value = number(sheet, row, "value", at_least=0)
    unit = _unit(sheet, row, analyte) if analyte else None
    cv, when = fraction(sheet, row, "cv"), timepoint(sheet, row)
    if analyte and value is not None and unit:
        _check_value(sheet, row, analyte, value, unit)
    if not subject or collected_at is None or analyte is None or value is None or unit is None:
        return None
    return Hematology(subject, collected_at, analyte, value, unit, cv, when, extras(row, HEMATOLOGY_COLUMNS))


def _unit(sheet: Sheet, row: SheetRow, analyte: str) -> str | None:
    """Read the unit of an analyte; there is no default."""
    text = row.cells.get("unit", "")
    expected = PERCENT if analyte == "lymphocyte_percent" else f"{', '.join(CELLS_PER_UL)} or another spelling of one"
    unit = PERCENT if text == PERCENT else concentration_unit(text)
    if unit is not None and (unit == PERCENT) == (analyte == "lymphocyte_percent"):
        return unit
    if sheet.problems.at(row.line, "unit") or "unit" not in sheet.columns:
        return None
    found, do = repr(text), f"correct it.{did_you_mean(text, CELLS_PER_UL)}"
    if not text:
        found, do = "no unit", "say in which unit the value is: no unit is taken for granted"
    elif per_decilitre(text):
        found = f"{text!r} (200 cells/dL are 0.002 cells/uL, which nothing can measure)"
        do = "write cells/uL if that is meant, as it is where a registry entry prints cells/dL"
    elif unit is not None:
        do = f"correct the unit, or the analyte {analyte}"
    sheet.problems.add(row.line, "unit", found, expected=expected, do=do)
    return None


def _check_value(sheet: Sheet, row: SheetRow, analyte: str, value: float, unit: str) -> None:
    """Refuse what cannot be in this unit; remark on what hardly is.

    A factor of 1000 between units is the mistake to find, and a true count of a patient in aplasia the one to let
    pass. Refusing costs little: a count that is truly so can be written in another unit.
    """
    found = f"{analyte} {value:g} {unit}"
    if unit == PERCENT:
        if value > 100:
            sheet.problems.add(row.line, "value", found, expected="at most 100 %", do="correct the value or its unit")
        elif "value" in row.percent:
            # Stored 0.25, shown 25 %: the one says a quarter of a percent, the other a quarter.
            found = f"{value:g}, which the spreadsheet shows as {100 * value:g} %, beside the unit %"
            do = "format the cell as a number, and write it in percent"
            sheet.problems.add(row.line, "value", found, expected="a number of percent", do=do)
        elif 0 < value < 1:
            sheet.problems.remark(row.line, "value", f"{found} is read as it is written; was a fraction meant?")
        return
    per_ul = to_cells_per_ul(value, unit)
    as_per_ul = f"{found} is {per_ul:,.10g} cells/uL"
    if per_ul > _HIGHEST_PER_UL[analyte]:
        expected = f"at most {_HIGHEST_PER_UL[analyte]:,} cells/uL"
        do = f"correct the unit: cells/uL may be meant ({value:g} cells/uL)"
        sheet.problems.add(row.line, "value", as_per_ul, expected=expected, do=do)
    elif per_ul > _UNUSUAL_PER_UL[analyte]:
        sheet.problems.remark(row.line, "value", f"{as_per_ul}, as high as in a leukaemia; was cells/uL meant?")
    elif 0 < per_ul < 1 and CELLS_PER_UL[unit] < 1e3:
        do = "correct the unit: " + ("10^9/L" if CELLS_PER_UL[unit] == 1 else "cells/uL") + " may be meant"
        sheet.problems.add(row.line, "value", as_per_ul, expected="0, or at least 1 cells/uL", do=do)
    elif CELLS_PER_UL[unit] == 1 and value < 10 and value != int(value):
        expected = "a whole number of cells/uL, as counts this small are reported"
        do = f"correct the unit: 10^9/L may be meant ({value:g} 10^9/L); if it is truly so, write it in 10^9/L"
        sheet.problems.add(row.line, "value", found, expected=expected, do=do)
    elif 0 < per_ul < 10:
        sheet.problems.remark(row.line, "value", f"{as_per_ul}, as low as in aplasia; was another unit meant?")


HEMATOLOGY = Form("hematology", HEMATOLOGY_COLUMNS, ("subject", "collected_at", "analyte", "value", "unit"), _row)
