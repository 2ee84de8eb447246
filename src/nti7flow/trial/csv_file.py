"""CSV as spreadsheet programs write it: a byte order mark, semicolons, ``sep=;``, UTF-16, Windows line ends."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from nti7flow.errors import ConfigError
from nti7flow.trial.grid import Grid

_SEPARATORS = (",", ";", "\t")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_csv(path: Path, content: bytes) -> Grid:
    """Split the content of a CSV file into rows of stripped cells; raises `ConfigError` where it is none."""
    text = _text(path, content)
    separator, lines_before = _separator(text)
    records = [record for record in _records(path, text, separator) if record[0] > lines_before and any(record[1])]
    return Grid(records, decimal_comma=separator != ",")


def _text(path: Path, content: bytes) -> str:
    encoding = "utf-16" if content.startswith(_UTF16) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: found a byte that is not UTF-8; expected a UTF-8 text file; "
            "save the sheet again as 'CSV UTF-8'."
        ) from None


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
