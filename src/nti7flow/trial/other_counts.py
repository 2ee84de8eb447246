"""A table of counts made by another method: by hand, by another program, in another laboratory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nti7flow.trial.cells import number, required
from nti7flow.trial.form import Form
from nti7flow.trial.sheet import Sheet, SheetRow, read_sheet
from nti7flow.trial.units import CELLS_PER_UL, concentration_unit, per_decilitre, to_cells_per_ul

Quantity = Literal["cells_per_ul", "n_events", "percent_parent", "percent_lymphocytes"]
#: What can be compared, and its unit for people.
QUANTITIES: Mapping[Quantity, str] = {
    "cells_per_ul": "cells/µL",
    "n_events": "events",
    "percent_parent": "% of parent",
    "percent_lymphocytes": "% of lymphocytes",
}
OTHER_COUNT_COLUMNS = ("specimen", "sample", "population", "value", "unit")
_SHARES: Mapping[str, Quantity] = {
    "events": "n_events",
    **dict.fromkeys(("%parent", "%ofparent", "percent_parent"), "percent_parent"),
    **dict.fromkeys(("%lymphocytes", "%oflymphocytes", "percent_lymphocytes"), "percent_lymphocytes"),
}
_EXPECTED = "cells/uL or another unit of concentration, events, '% of parent' or '% of lymphocytes'"


@dataclass(frozen=True, slots=True)
class OtherCount:
    """One row: one population of one specimen or tube.

    Attributes
    ----------
    specimen, sample : str
        Blood draw and tube; one of them may be empty.
    population : str
        As written.
    quantity : str
        What the value is.
    value : float
        In cells/µL, events or percent.
    """

    specimen: str
    sample: str
    population: str
    quantity: Quantity
    value: float


def is_hematology(path: str | Path) -> bool:
    """Whether a sheet is what a haematology analyser counted, by its columns."""
    columns = read_sheet(path, known=("analyte", "population"), required=(), name="counts").columns
    return "analyte" in columns and "population" not in columns


def _row(sheet: Sheet, row: SheetRow) -> OtherCount | None:
    specimen, sample = row.cells.get("specimen", ""), row.cells.get("sample", "")
    named = bool(specimen or sample)
    if not named:
        found, do = "neither a specimen nor a sample", "fill in one"
        sheet.problems.add(row.line, "specimen", found, expected="which specimen or tube was counted", do=do)
    population = required(sheet, row, "population", expected="a population, such as CD4")
    required(sheet, row, "value", expected="a number from 0")
    value, quantity, factor = number(sheet, row, "value", at_least=0), *_unit(sheet, row)
    if value is not None and quantity is not None and quantity.startswith("percent"):
        value = _percent(sheet, row, value)
    if not (named and population) or value is None or quantity is None:
        return None
    return OtherCount(specimen, sample, population, quantity, to_cells_per_ul(value, factor) if factor else value)


def _unit(sheet: Sheet, row: SheetRow) -> tuple[Quantity | None, str]:
    """Tell what a value is and, of a concentration, its unit; there is no default."""
    text = row.cells.get("unit", "")
    unit = concentration_unit(text)
    if unit is not None:
        return "cells_per_ul", unit
    quantity = _SHARES.get("".join(text.split()).casefold())
    if quantity is not None:
        return quantity, ""
    if "unit" in sheet.columns and not sheet.problems.at(row.line, "unit"):
        found, do = repr(text), "correct it"
        if not text:
            found, do = "no unit", "say in which unit the value is: no unit is taken for granted"
        elif text in ("%", "percent"):
            do = "say of what: laboratories report CD4 in percent of lymphocytes, gates count it in percent of T cells"
        elif per_decilitre(text):
            do = f"write one of {', '.join(CELLS_PER_UL)}; nothing is counted per decilitre"
        sheet.problems.add(row.line, "unit", found, expected=_EXPECTED, do=do)
    return None, ""


def _percent(sheet: Sheet, row: SheetRow, value: float) -> float | None:
    if "value" in row.percent:
        found, do = f"{value:g}, which the spreadsheet shows as {100 * value:g} %", "format the cell as a number"
        sheet.problems.add(row.line, "value", found, expected="a number of percent", do=do)
    elif value > 100:
        sheet.problems.add(row.line, "value", f"{value:g} %", expected="at most 100 %", do="correct it or its unit")
    else:
        return value
    return None


OTHER_COUNTS = Form("counts", OTHER_COUNT_COLUMNS, ("population", "value", "unit"), _row, empty_is="one row per count")
