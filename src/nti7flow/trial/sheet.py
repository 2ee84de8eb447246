"""A sheet as text: encoding, separator, header, and rows that know their line.

Sheets come out of spreadsheet programs, so a byte order mark, semicolons, Windows line ends, a ``sep=;`` line
and empty rows are ordinary here. Whatever is wrong is collected and reported at once: a lab corrects a sheet
in one sitting, not one error at a time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nti7flow.errors import ConfigError, did_you_mean

_SEPARATORS = (",", ";", "\t")
_WORKBOOKS = {b"PK\x03\x04": "an Excel workbook", b"\xd0\xcf\x11\xe0": "an old Excel workbook"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Problems:
    """Everything wrong with one sheet, reported as a single `ConfigError`."""

    path: Path
    found: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, line: int, column: str, found: str, *, expected: str, do: str) -> None:
        """Note a problem: what stands at (line, column), what should stand there, and the way out."""
        text = f"{self.path.name}:{line} {column}: found {found}; expected {expected}; {do}"
        self.found.append((line, column, text if text[-1] in ".?" else f"{text}."))

    def at(self, line: int, column: str) -> bool:
        """Whether a problem was noted for this cell."""
        return any(problem[:2] == (line, column) for problem in self.found)

    def raise_if_any(self) -> None:
        """Raise one `ConfigError` that lists all problems in the order of the lines."""
        if not self.found:
            return
        lines = [text for _, _, text in sorted(self.found, key=lambda problem: problem[0])]
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise ConfigError("\n  ".join([f"{self.path}: {count}", *lines]))


@dataclass(frozen=True)
class SheetRow:
    """The cells of one row, stripped, by column name; an absent cell is an empty one.

    Attributes
    ----------
    line : int
        Line of the file on which the row begins, from 1.
    cells : Mapping of str to str
        Known columns under their proper name, all others as written.
    """

    line: int
    cells: Mapping[str, str]


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
    """

    columns: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    decimal_comma: bool
    problems: Problems


def read_sheet(path: str | Path, *, known: Collection[str], required: Collection[str]) -> Sheet:
    """Read a CSV sheet as text.

    Parameters
    ----------
    path : str or Path
        Comma, semicolon or tab separated, UTF-8 with or without byte order mark.
    known : collection of str
        Columns that mean something. A header matches whatever its case, with spaces for underscores.
    required : collection of str
        Columns that must be there; a missing one is noted in ``problems``.

    Returns
    -------
    Sheet
        Not yet checked beyond its shape; call ``problems.raise_if_any()`` when done.

    Raises
    ------
    ConfigError
        The file cannot be read as a CSV at all, or holds no header.
    """
    path = Path(path)
    problems = Problems(path)
    text = _text(path)
    separator, lines_before = _separator(text)
    records = _records(path, text, separator)
    records = [(line, cells) for line, cells in records if line > lines_before and any(cells)]
    if not records:
        raise ConfigError(f"{path}: found an empty sheet; expected a header row and one row per entry; fill it in.")
    header_line, header = records[0]
    columns = _header(header_line, header, known, problems)
    _require(header_line, columns, known, required, problems)
    rows = [_row(line, cells, columns, problems) for line, cells in records[1:]]
    return Sheet(columns, tuple(rows), separator != ",", problems)


def _text(path: Path) -> str:
    if path.suffix.casefold() in (".xlsx", ".xls", ".ods"):
        raise _workbook(path, "a workbook")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such sheet; correct the path, or create the sheet.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    for magic, name in _WORKBOOKS.items():
        if content.startswith(magic):
            raise _workbook(path, name)
    encoding = "utf-16" if content.startswith(_UTF16) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: found a byte that is not UTF-8; expected a UTF-8 text file; "
            "save the sheet again as 'CSV UTF-8'."
        ) from None


def _workbook(path: Path, found: str) -> ConfigError:
    return ConfigError(
        f"{path}: found {found}; expected a CSV file (workbooks are not read yet); "
        "save the sheet as 'CSV UTF-8' and name that file."
    )


def _separator(text: str) -> tuple[str, int]:
    """Return the separator and the number of lines before the header (1 if the first says ``sep=;``)."""
    lines = text.splitlines() or [""]
    if lines[0].startswith("sep=") and lines[0][4:5] in _SEPARATORS:
        return lines[0][4], 1
    first = next((line for line in lines if line.strip(" ,;\t")), "")
    return max(_SEPARATORS, key=first.count), 0


def _records(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Split into records of stripped cells, each with the line on which it begins."""
    # strict: otherwise a quote that is never closed swallows the rest of the sheet without a word.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records: list[tuple[int, list[str]]] = []
    start = 1
    try:
        for cells in reader:
            records.append((start, [cell.strip() for cell in cells]))
            start = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(
            f"{path}:{start}: found a row that is not valid CSV ({error}); expected quotes in pairs; "
            "correct the quotes."
        ) from None
    return records


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


def _row(line: int, cells: Sequence[str], columns: Sequence[str], problems: Problems) -> SheetRow:
    padded = [*cells, *[""] * (len(columns) - len(cells))]
    for name, cell in zip([*columns, *[""] * (len(padded) - len(columns))], padded, strict=True):
        if cell and not name:
            problems.add(
                line,
                "(no column)",
                repr(cell),
                expected="nothing outside the named columns",
                do="name its column or clear it",
            )
    return SheetRow(line, {name: cell for name, cell in zip(columns, padded, strict=False) if name})
