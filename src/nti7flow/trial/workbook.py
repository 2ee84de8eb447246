"""A worksheet of an Excel workbook as rows of text, with what a CSV of the same sheet would say, or would lose.

A spreadsheet stores what it shows in another form: a date is a number of days with a format, subject 1 is 1.0, a
formula is text with a result beside it. What is stored is read; what cannot be known from it is said by its cell.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.trial.grid import CellTrouble, Grid

SUFFIXES = (".xlsx", ".xlsm", ".xltx", ".xltm")
_OTHER_SUFFIXES = (".xls", ".xlsb", ".ods", ".numbers")
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
#: Unpacked size at which a file is refused: a sheet of a trial has kilobytes, a zip bomb has many gigabytes.
_LARGEST_BYTES = 1 << 30

_NOT_FORMAT = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')  # literals, colours and fillers of a number format
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')


def is_workbook(path: Path, content: bytes) -> bool:
    """Whether a file is, or claims to be, a workbook of any kind: then it is no CSV."""
    return path.suffix.casefold() in SUFFIXES + _OTHER_SUFFIXES or content.startswith((_ZIP, _OLE))


def read_workbook(path: Path, content: bytes, *, worksheet: str | None, name: str) -> tuple[str, Grid]:
    """Read one worksheet.

    Parameters
    ----------
    path : Path
        For messages.
    content : bytes
        The file.
    worksheet : str or None
        Name of the worksheet. None: the one called like the sheet, else the only one.
    name : str
        What the sheet is called, like ``samples``.

    Returns
    -------
    str, Grid
        Name of the worksheet that was read, and its cells.

    Raises
    ------
    ConfigError
        Not a workbook that can be read, or no such worksheet.
    """
    _check_archive(path, content)
    try:
        # What openpyxl warns of (data validation, headers and footers it drops) is nothing that is read here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(path, content, worksheet, name)
    except ConfigError:
        raise
    except Exception as error:  # a damaged workbook makes openpyxl, zlib or XML fail in any way
        raise ConfigError(
            f"{path}: found a workbook that is damaged, or not one that Excel would write ({type(error).__name__}); "
            "open it in a spreadsheet program and save it again as .xlsx."
        ) from None


def _check_archive(path: Path, content: bytes) -> None:
    """Refuse what is no .xlsx by what it is."""
    if content.startswith(_OLE):
        # A password turns an .xlsx into a file of the old kind with this stream in it.
        if "EncryptedPackage".encode("utf-16-le") in content:
            raise _refused(path, "a workbook with a password", "save it without one")
        raise _refused(path, "an old Excel workbook (.xls)", "save it as .xlsx or as 'CSV UTF-8', and name that file")
    if not content.startswith(_ZIP):
        do = "save the sheet as .xlsx or as 'CSV UTF-8', and name the file accordingly"
        raise _refused(path, f"a file that is called {path.suffix} and is no workbook", do)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            names = {entry.filename for entry in entries}
            kind = archive.read("mimetype")[:99] if "mimetype" in names else b""
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError):
        raise _refused(path, "a damaged workbook", "copy it again, or save it again") from None
    do = "save it as .xlsx or as 'CSV UTF-8', and name that file"
    if b"opendocument" in kind:
        raise _refused(path, "an OpenDocument spreadsheet (.ods)", do)
    if any(name.endswith("workbook.bin") for name in names):
        raise _refused(path, "a binary workbook (.xlsb)", do)
    if "[Content_Types].xml" not in names:
        raise _refused(path, "a zip archive that is no workbook", do)
    if sum(entry.file_size for entry in entries) > _LARGEST_BYTES:
        raise _refused(path, "a workbook of more than 1 GB unpacked", "save the sheet alone as 'CSV UTF-8'")


def _refused(path: Path, found: str, do: str) -> ConfigError:
    return ConfigError(f"{path}: found {found}; expected an Excel workbook (.xlsx) or a CSV file; {do}.")


def _read(path: Path, content: bytes, worksheet: str | None, name: str) -> tuple[str, Grid]:
    from openpyxl import load_workbook

    # Formulas first: with results only, a formula that was never calculated looks like an empty cell.
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=False)
    sheets = {sheet.title: sheet for sheet in book.worksheets}  # hidden ones too
    chosen = _choose(path, list(sheets), worksheet, name)
    cells = {place: cell for place, cell in _filled(sheets[chosen]) if cell.value != ""}
    merged = _merged(content, sheets[chosen])
    book.close()
    if any(cell.data_type == "f" for cell in cells.values()):
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        results = {place: cell for place, cell in _filled(book[chosen]) if place in cells}
        book.close()
    else:
        results = cells
    return chosen, _grid(cells, results, merged)


def _choose(path: Path, names: Sequence[str], wanted: str | None, name: str) -> str:
    """Return the name of the worksheet to read."""
    listed = ", ".join(names)
    plain = {_plain(title): title for title in names}
    if wanted is not None:
        if wanted in names or _plain(wanted) in plain:
            return wanted if wanted in names else plain[_plain(wanted)]
        raise ConfigError(
            f"{path}: found the worksheets {listed}; expected one called '{wanted}'; correct the name after the #."
            f"{did_you_mean(wanted, names)}"
        )
    if name and name in plain:
        return plain[name]
    if len(names) == 1:
        return names[0]
    called = f"one called '{name}', or " if name else ""
    example = f"{path.name}#{names[0] if names else 'Sheet1'}"
    raise ConfigError(
        f"{path}: found the worksheets {listed or '(none)'}; expected {called}the name of one after a #; "
        f"write for example '{example}'."
    )


def _plain(title: str) -> str:
    return "_".join(title.casefold().split())


def _filled(sheet: Any) -> Iterator[tuple[tuple[int, int], Any]]:
    """Cells that exist, with (row number from 1, index from 0)."""
    # The stored dimensions are a claim of whoever wrote the file, and wrong ones would cut off columns.
    sheet.reset_dimensions()
    for line, row in enumerate(sheet.iter_rows(), 1):
        for index, cell in enumerate(row):
            if cell.value is not None or cell.data_type == "str":  # "str": a formula whose result is no text
                yield (line, index), cell


def _merged(content: bytes, sheet: Any) -> list[tuple[int, int, int, int]]:
    """First column, first row, last column and last row, from 1, of cells that were merged."""
    from openpyxl.utils.cell import range_boundaries

    # The reader that does not keep the whole sheet in memory passes over them.
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found = _MERGED.findall(archive.read(sheet._worksheet_path))
    return [range_boundaries(ref.decode()) for ref in found]


def _grid(
    cells: dict[tuple[int, int], Any], results: dict[tuple[int, int], Any], merged: list[tuple[int, int, int, int]]
) -> Grid:
    """Cells as text by rows; a formula as its result."""
    rows: dict[int, dict[int, str]] = {}
    percent: set[tuple[int, int]] = set()
    troubles: dict[tuple[int, int], CellTrouble] = {}
    for place, cell in cells.items():
        result = results.get(place)
        if result is None:
            do = "open it in a spreadsheet program and save it, or write the value"
            troubles[place] = CellTrouble("a formula without a result", "a value", do)
            text = str(getattr(cell.value, "text", cell.value))
        else:
            text = cell_text(result.value, result.number_format)
            if result.data_type == "e":
                troubles[place] = CellTrouble(f"the error {text}", "a value", "correct the formula, or write the value")
            elif isinstance(result.value, (int, float)) and "%" in _NOT_FORMAT.sub("", result.number_format):
                percent.add(place)
        if text:
            rows.setdefault(place[0], {})[place[1]] = text
    for line, index, first in _covered(rows, merged):
        do = "unmerge the cells and fill in each"
        troubles[line, index] = CellTrouble(f"a cell merged with that of row {first}", "every cell by itself", do)
    records = [(line, [row.get(index, "") for index in range(max(row) + 1)]) for line, row in sorted(rows.items())]
    return Grid(records, percent=frozenset(percent), troubles=troubles)


def _covered(
    rows: dict[int, dict[int, str]], merged: list[tuple[int, int, int, int]]
) -> Iterator[tuple[int, int, int]]:
    """Cells of filled rows that are empty only because they were merged with a filled one, and the row of that."""
    for left, top, right, bottom in merged:
        if not rows.get(top, {}).get(left - 1):
            continue
        for line in (line for line in rows if top <= line <= bottom):
            for index in range(left - 1, min(right, left + 99)):
                if (line, index) != (top, left - 1):
                    yield line, index, top


def cell_text(value: object, number_format: str = "General") -> str:
    """Return a cell's value as it would be written in a CSV sheet: ISO dates, whole numbers without a point.

    Parameters
    ----------
    value : object
        None, text, number, bool, date, datetime, time or timedelta.
    number_format : str
        How the spreadsheet shows it. ``000`` is how labs write subject 1 as 001, and is followed.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        # Midnight is what programs write that know no time. A date says less than 00:00, so it is never wrong; taken
        # for a time, it would put a draw before the dose of its day and make a baseline of it.
        if value.time() == time():
            return value.date().isoformat()
        return value.isoformat(timespec="auto" if value.second or value.microsecond else "minutes")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (int, float)):
        if value != int(value) or abs(value) >= 1e16:
            return repr(value)
        return f"{int(value):0{len(number_format)}d}" if re.fullmatch("0+", number_format) else str(int(value))
    return str(value).strip()
