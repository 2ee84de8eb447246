"""What a sheet of a trial is: its name, its columns, and how a row of it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from nti7flow.errors import did_you_mean
from nti7flow.trial.problems import Listing, Problems
from nti7flow.trial.sheet import Sheet, SheetRow, read_sheet

Row = TypeVar("Row")

#: Columns that any sheet may have: they resemble known ones, and mean what they say.
_FREE = ("note", "notes", "comment", "comments", "remark", "remarks")


@dataclass(frozen=True)
class Table(Generic[Row]):
    """A sheet whose rows were read.

    Attributes
    ----------
    sheet : Sheet
        The sheet as text.
    rows : tuple of (int, Row)
        Each row with its line; rows that could not be read are left out.
    unread : tuple of SheetRow
        Those rows: a check that needs all rows cannot conclude from the rest.
    """

    sheet: Sheet
    rows: tuple[tuple[int, Row], ...]
    unread: tuple[SheetRow, ...] = ()

    @property
    def problems(self) -> Problems:
        """Where problems of this sheet are noted."""
        return self.sheet.problems

    def at(self, line: int) -> str:
        """Return a row as other sheets' messages name it."""
        return self.sheet.place.at(line)


def _no_check(table: Table[Row]) -> None:
    """Check nothing beyond the rows."""


@dataclass(frozen=True)
class Form(Generic[Row]):
    """A kind of sheet.

    Attributes
    ----------
    name : str
        Such as ``doses``: the key in study.yaml, and the worksheet that is looked for in a workbook.
    columns, required : tuple of str
        Columns that mean something, and those that must be there.
    read_row : callable
        Makes a row, or None where it cannot be made; notes what is wrong.
    check : callable
        What must hold between the rows of the sheet.
    empty_is : str
        Why a sheet without rows is wrong; empty where it is not.
    """

    name: str
    columns: tuple[str, ...]
    required: tuple[str, ...]
    read_row: Callable[[Sheet, SheetRow], Row | None]
    check: Callable[[Table[Row]], None] = _no_check
    empty_is: str = ""

    def open(self, path: str | Path, listing: Listing) -> Table[Row]:
        """Read and check a sheet; problems and remarks go into the listing.

        Raises
        ------
        ConfigError
            The file is no sheet at all.
        """
        sheet = read_sheet(path, known=self.columns, required=self.required, name=self.name, listing=listing)
        read = [(row, self.read_row(sheet, row)) for row in sheet.rows]
        rows = tuple((row.line, made) for row, made in read if made is not None)
        table = Table(sheet, rows, tuple(row for row, made in read if made is None))
        if not sheet.rows and self.empty_is:
            line, column, found = sheet.header_line, self.required[0], "no rows below the header"
            sheet.problems.add(line, column, found, expected=self.empty_is, do="fill them in")
        for name in sheet.columns:
            # Unknown columns are the lab's own business, but a misspelt one silently loses its values.
            if not name or name in self.columns or name.casefold() in _FREE:
                continue
            if hint := did_you_mean(name, self.columns):
                text = f"the column has no meaning here and is kept as it is.{hint}"
                sheet.problems.remark(sheet.header_line, name, text)
        self.check(table)
        return table

    def read(self, path: str | Path) -> tuple[Row, ...]:
        """Read a sheet by itself; all its problems are raised as one `ConfigError`, remarks are logged."""
        listing = Listing()
        table = self.open(path, listing)
        listing.raise_if_any()
        listing.log_remarks()
        return tuple(row for _, row in table.rows)
