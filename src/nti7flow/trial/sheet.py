"""A sheet as text: header, and rows that know their line, from a CSV file or a worksheet.

Sheets come out of spreadsheet programs, so a byte order mark, semicolons, Windows line ends, a ``sep=;`` line
and empty rows are ordinary here. Whatever is wrong is collected and reported at once: a lab corrects its sheets
in one sitting, not one error at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.trial.csv_file import read_csv
from nti7flow.trial.grid import Grid
from nti7flow.trial.problems import Listing, Problems, SheetPlace
from nti7flow.trial.workbook import is_workbook, read_workbook


@dataclass(frozen=True)
class SheetRow:
    """The cells of one row, stripped, by column name; an absent cell is an empty one.

    Attributes
    ----------
    line : int
        Line of the file on which the row begins, or row of the worksheet, from 1.
    cells : Mapping of str to str
        Known columns under their proper name, all others as written.
    percent : frozenset of str
        Columns whose cell holds a fraction that the spreadsheet shows as a percentage.
    """

    line: int
    cells: Mapping[str, str]
    percent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sheet:
    """A sheet read as text.

    Attributes
    ----------
    columns : tuple of str
        Header, known columns under their proper name, all others as written.
    rows : tuple of SheetRow
        Rows that hold anything.
    decimal_comma : bool
        A comma may be a decimal mark, because it does not separate cells.
    problems : Problems
        What is wrong so far; the reader of the sheet adds to it and raises.
    header_line : int
        Line of the header, from 1.
    """

    columns: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    decimal_comma: bool
    problems: Problems
    header_line: int = 1

    @property
    def place(self) -> SheetPlace:
        """File and worksheet that were read."""
        return self.problems.place


def read_sheet(
    path: str | Path,
    *,
    known: Collection[str],
    required: Collection[str],
    name: str = "",
    listing: Listing | None = None,
) -> Sheet:
    """Read a CSV file or a worksheet of an Excel workbook as text.

    Parameters
    ----------
    path : str or Path
        CSV: comma, semicolon or tab separated, UTF-8 with or without byte order mark. Or an Excel workbook; a
        worksheet may be named after ``#``, as in ``trial.xlsx#doses``.
    known : collection of str
        Columns that mean something. A header matches whatever its case, with spaces for underscores.
    required : collection of str
        Columns that must be there; a missing one is noted in ``problems``.
    name : str, optional
        What the sheet is called, like ``doses``: the worksheet of that name is read where ``path`` names none.
    listing : Listing, optional
        Where problems are noted; by default one for this sheet alone.

    Returns
    -------
    Sheet
        Not yet checked beyond its shape; call ``problems.raise_if_any()`` when done.

    Raises
    ------
    ConfigError
        The file cannot be read as a sheet at all, or holds no header.
    """
    place, grid = _open(Path(path), name)
    problems = (listing or Listing()).sheet(place)
    if not grid.records:
        where = place.path if place.worksheet is None else f"{place.path}[{place.worksheet}]"
        raise ConfigError(f"{where}: found an empty sheet; expected a header row and one row per entry; fill it in.")
    header_line, header = grid.records[0]
    columns = _header(header_line, header, known, problems)
    _require(header_line, columns, known, required, problems)
    rows = tuple(_row(grid, line, cells, columns, known, problems) for line, cells in grid.records[1:])
    return Sheet(columns, rows, grid.decimal_comma, problems, header_line)


def sheet_path(path: str | Path) -> tuple[Path, str | None]:
    """Split ``trial.xlsx#doses`` into the file and the worksheet; a file whose name has a # is itself."""
    path = Path(path)
    file, mark, worksheet = path.name.rpartition("#")
    if mark and file and worksheet and not path.exists():
        return path.with_name(file), worksheet
    return path, None


def _open(path: Path, name: str) -> tuple[SheetPlace, Grid]:
    path, worksheet = sheet_path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such sheet; correct the path, or create the sheet.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    if is_workbook(path, content):
        chosen, grid = read_workbook(path, content, worksheet=worksheet, name=name)
        return SheetPlace(path, chosen), grid
    if worksheet is not None:
        raise ConfigError(f"{path}: found a CSV file; a worksheet ('#{worksheet}') is of a workbook; leave it out.")
    return SheetPlace(path), read_csv(path, content)


def _header(line: int, header: Sequence[str], known: Collection[str], problems: Problems) -> tuple[str, ...]:
    """Column names: known ones under their proper name, all others as written, nameless ones as empty."""
    proper = {name.casefold(): name for name in known}
    columns = [proper.get("_".join(name.casefold().split()), name) for name in header]
    for name in dict.fromkeys(columns):
        if name and columns.count(name) > 1:
            problems.add(line, name, "the column twice", expected="every column once", do="remove or rename one")
    return tuple(columns)


def _require(
    line: int, columns: Sequence[str], known: Collection[str], required: Collection[str], problems: Problems
) -> None:
    strange = [name for name in columns if name and name not in known]
    for name in (name for name in required if name not in columns):
        alike = [other for other in strange if did_you_mean(other, [name])]
        do = f"rename the column '{alike[0]}' to '{name}'" if alike else f"add a column '{name}'"
        problems.add(line, name, f"no such column among {', '.join(columns)}", expected="this column", do=do)


def _row(
    grid: Grid, line: int, cells: Sequence[str], columns: Sequence[str], known: Collection[str], problems: Problems
) -> SheetRow:
    width = max(len(cells), len(columns))
    padded = [*cells, *[""] * (width - len(cells))]
    names = [*columns, *[""] * (width - len(columns))]
    for index, (name, cell) in enumerate(zip(names, padded, strict=True)):
        trouble = grid.troubles.get((line, index))
        if trouble is not None and name in known:
            padded[index] = ""
            problems.add(line, name, trouble.found, expected=trouble.expected, do=trouble.do)
        elif cell and not name:
            problems.add(
                line,
                "(no column)",
                repr(cell),
                expected="nothing outside the named columns",
                do="name its column or clear it",
            )
    percent = frozenset(name for index, name in enumerate(names) if name and (line, index) in grid.percent)
    return SheetRow(line, {name: cell for name, cell in zip(names, padded, strict=True) if name}, percent)
