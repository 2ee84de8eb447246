"""``reagents.csv``: which antibody stains which marker of a panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nti7flow.trial.cells import extras, number, required
from nti7flow.trial.form import Form, Table
from nti7flow.trial.sheet import Sheet, SheetRow

#: Columns of reagents.csv that mean something; any other is kept as it is.
REAGENT_COLUMNS = ("panel", "marker", "fluorochrome", "clone", "maker", "catalogue", "lot", "volume_ul")


@dataclass(frozen=True, slots=True)
class Reagent:
    """One row of reagents.csv: one lot of one antibody; a marker may have several.

    Attributes
    ----------
    panel, marker : str
        Panel, as in samples.csv, and what the antibody binds.
    fluorochrome, clone, maker, catalogue, lot : str or None
        As printed on the vial, where given.
    volume_ul : float or None
        Microlitres per tube.
    extra : Mapping of str to str
        Filled cells of other columns.
    """

    panel: str
    marker: str
    fluorochrome: str | None = None
    clone: str | None = None
    maker: str | None = None
    catalogue: str | None = None
    lot: str | None = None
    volume_ul: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)


def read_reagents(path: str | Path) -> tuple[Reagent, ...]:
    """Read and check reagents.csv, or a worksheet; ``panel`` and ``marker`` are required.

    Raises
    ------
    ConfigError
        The sheet cannot be read, or anything in it is wrong; all problems are listed at once.
    """
    return REAGENTS.read(path)


def _row(sheet: Sheet, row: SheetRow) -> Reagent | None:
    panel = required(sheet, row, "panel", expected="a panel, as in samples.csv")
    marker = required(sheet, row, "marker", expected="what the antibody binds, like CD4")
    volume_ul = number(sheet, row, "volume_ul", above=0)
    if not panel or not marker:
        return None
    texts = {name: row.cells.get(name) or None for name in REAGENT_COLUMNS[2:-1]}
    return Reagent(panel, marker, volume_ul=volume_ul, extra=extras(row, REAGENT_COLUMNS), **texts)


def _check(table: Table[Reagent]) -> None:
    """Say which rows are there twice."""
    first: dict[tuple[str | None, ...], int] = {}
    for line, row in table.rows:
        other = first.setdefault((row.panel, row.marker, row.fluorochrome, row.clone, row.lot), line)
        if other != line:
            table.problems.remark(
                line, "marker", f"the same lot of {row.marker} for {row.panel} is in line {other} too"
            )


REAGENTS = Form("reagents", REAGENT_COLUMNS, ("panel", "marker"), _row, _check)
