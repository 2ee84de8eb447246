"""``codes.csv``: which file is whose, the code that person gets, and by how many days the dates move.

It leads from a code back to the person: it is the key, and never belongs beside the files it was used for.
"""

from __future__ import annotations

import csv
import fnmatch
import io
import itertools
import random
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nti7flow.trial.sheet import Sheet, SheetRow, read_sheet

CODE_COLUMNS = ("file", "subject", "code", "sample", "date_shift_days")
#: Dates of a new map move back by at least one day and at most this many.
LARGEST_SHIFT = 365

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SAMPLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DAYS = re.compile(r"[+-]?\d{1,5}", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One row of codes.csv.

    Attributes
    ----------
    line : int
        Line of the sheet.
    file : str
        Name of a file, path within the folder that is searched, or a pattern with ``*`` and ``?``; empty for all files
        of the subject.
    subject : str
        What the files call the person; may be empty.
    code : str
        What they call the person afterwards.
    sample : str
        New name of the tube and of its file, without suffix; empty for the code and a number.
    shift_days : int
        Days added to every date.
    """

    line: int
    file: str
    subject: str
    code: str
    sample: str
    shift_days: int

    @property
    def is_pattern(self) -> bool:
        """Whether ``file`` stands for any number of files."""
        return "*" in self.file or "?" in self.file


def read_code_map(path: str | Path) -> tuple[CodeRow, ...]:
    """Read and check codes.csv.

    Raises
    ------
    ConfigError
        The sheet cannot be read, or anything in it is wrong; all problems are listed at once.
    """
    sheet = read_sheet(path, known=CODE_COLUMNS, required=("code", "date_shift_days"))
    rows = [_row(sheet, row) for row in sheet.rows]
    if not rows:
        sheet.problems.add(1, "code", "no rows below the header", expected="one row per subject or file", do="add them")
    _check_same(sheet, rows)
    sheet.problems.raise_if_any()
    return tuple(rows)


def rows_for(rows: Iterable[CodeRow], *, file: str, subject: str) -> list[CodeRow]:
    """Rows that a file matches at the first level at which any does: its path, its name, a pattern, its subject.

    Parameters
    ----------
    rows : iterable of CodeRow
        The map.
    file : str
        Path of the file within the folder that is searched; its last part is its name.
    subject : str
        What the file calls the person; may be empty.
    """
    path, name = file.strip(), file.rpartition("/")[2].strip()
    levels: tuple[list[CodeRow], ...] = ([], [], [], [])
    for row in rows:
        pattern = row.file.replace("[", "[[]")
        if row.file == path:
            levels[0].append(row)
        elif row.file == name:
            levels[1].append(row)
        elif row.is_pattern and (fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(name, pattern)):
            levels[2].append(row)
        elif not row.file and row.subject == subject:
            levels[3].append(row)
    return next((level for level in levels if level), [])


def new_code_map(files: Sequence[tuple[str, str]]) -> tuple[CodeRow, ...]:
    """Make up codes and date shifts for files.

    Parameters
    ----------
    files : sequence of (file, subject)
        Names of the files, and what each calls its subject; a file that does not say is a subject of its own.

    Returns
    -------
    tuple of CodeRow
        One per file. Codes are given out in random order, so that they do not tell the order of the names, and the
        shift of a subject is drawn by the system's source of secrets: whoever could repeat it could undo it.
    """
    whose = [subject or f"\x00{file}" for file, subject in files]
    subjects = sorted(set(whose))
    random.SystemRandom().shuffle(subjects)
    width = max(3, len(str(len(subjects))))
    prefix = _prefix(subject for _, subject in files)
    codes = {subject: f"{prefix}{n:0{width}d}" for n, subject in enumerate(subjects, 1)}
    shifts = {subject: -1 - secrets.randbelow(LARGEST_SHIFT) for subject in subjects}
    count: dict[str, int] = {}
    rows = []
    for line, ((file, subject), key) in enumerate(zip(files, whose, strict=True), 2):
        code = codes[key]
        count[code] = count.get(code, 0) + 1
        rows.append(CodeRow(line, file.strip(), subject, code, f"{code}_{count[code]:03d}", shifts[key]))
    return tuple(rows)


def _prefix(subjects: Iterable[str]) -> str:
    """Return letters that no original name has before a digit, so that no code is somebody's name."""
    names = " ".join(subjects).upper()
    return next(
        letter * n for n in itertools.count(1) for letter in "SCXYZ" if not re.search(rf"{letter * n}\d", names)
    )


def code_map_csv(rows: Iterable[CodeRow]) -> str:
    """Return a map as the text of a sheet; what a spreadsheet would run as a formula starts with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CODE_COLUMNS)
    for row in rows:
        writer.writerow([_safe(row.file), _safe(row.subject), row.code, row.sample, row.shift_days])
    return out.getvalue()


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _unsafe(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _row(sheet: Sheet, row: SheetRow) -> CodeRow:
    """Read one row; what is wrong with it is noted in the sheet's problems."""
    cells = {column: row.cells.get(column, "") for column in CODE_COLUMNS}
    file, subject = _unsafe(cells["file"]).replace("\\", "/"), _unsafe(cells["subject"])
    if not (file or subject):
        do = "say which file or which subject the code is for"
        sheet.problems.add(row.line, "file", "neither a file nor a subject", expected="one of them", do=do)
    if not _CODE.fullmatch(cells["code"]):
        expected = "letters, digits, - and _, at most 64"
        sheet.problems.add(row.line, "code", repr(cells["code"]), expected=expected, do="give a code like S001")
    if cells["sample"] and not _SAMPLE.fullmatch(cells["sample"]):
        expected = "letters, digits, dots, - and _, at most 100"
        sheet.problems.add(row.line, "sample", repr(cells["sample"]), expected=expected, do="rename the sample")
    if subject and cells["code"].casefold() == subject.casefold():
        do = "choose a code that does not tell who it is"
        sheet.problems.add(row.line, "code", "the original name of the subject", expected="a new one", do=do)
    days = cells["date_shift_days"]
    if not _DAYS.fullmatch(days):
        do = "draw one number per subject, such as -137; 0 leaves dates as they are"
        sheet.problems.add(row.line, "date_shift_days", repr(days), expected="a whole number of days", do=do)
        days = "0"
    return CodeRow(row.line, file, subject, cells["code"], cells["sample"], int(days))


def _check_same(sheet: Sheet, rows: Sequence[CodeRow]) -> None:
    """See that a subject has one code, a code one shift, a file and a sample one row."""
    for column, key, value, expected, do in (
        ("code", "subject", "code", "one code for every subject", "give the subject one code"),
        ("date_shift_days", "code", "shift_days", "one shift for every code", "give the code one shift"),
    ):
        first: dict[str, CodeRow] = {}
        for row in rows:
            name = getattr(row, key).casefold()
            other = first.setdefault(name, row) if name else row
            if getattr(other, value) != getattr(row, value):
                found = f"{getattr(row, value)!r}, where line {other.line} has {getattr(other, value)!r}"
                sheet.problems.add(row.line, column, found, expected=expected, do=do)
    for column, expected in (("file", "every file once"), ("sample", "a name of its own for every sample")):
        lines: dict[str, int] = {}
        for row in rows:
            name = getattr(row, column).casefold() if column == "sample" else row.file
            if name and lines.setdefault(name, row.line) != row.line:
                found = f"{getattr(row, column)!r}, which line {lines[name]} has too"
                sheet.problems.add(row.line, column, found, expected=expected, do="correct one")
