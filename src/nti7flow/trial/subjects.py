"""``subjects.csv``: who takes part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nti7flow.trial.cells import choice, extras, number, required, whole
from nti7flow.trial.form import Form, Table
from nti7flow.trial.sheet import Sheet, SheetRow

#: Columns of subjects.csv that mean something; any other is kept as it is.
SUBJECT_COLUMNS = ("subject", "sex", "birth_year", "weight_kg")

_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}
# The heaviest person known weighed 635 kg: more is grams or pounds of something else.
_HEAVIEST_KG = 700


@dataclass(frozen=True, slots=True)
class Subject:
    """One row of subjects.csv: a person, under the code the trial gave them.

    Attributes
    ----------
    subject : str
        Code of the person, unique in the sheet.
    sex : str or None
        ``female`` or ``male``: reference ranges differ.
    birth_year : int or None
        Year of birth; a full date of birth is personal data, and is refused.
    weight_kg : float or None
        Body weight, kilograms.
    extra : Mapping of str to str
        Filled cells of other columns.
    """

    subject: str
    sex: str | None = None
    birth_year: int | None = None
    weight_kg: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)


def read_subjects(path: str | Path) -> tuple[Subject, ...]:
    """Read and check subjects.csv, or a worksheet; only the column ``subject`` is required.

    Raises
    ------
    ConfigError
        The sheet cannot be read, or anything in it is wrong; all problems are listed at once.
    """
    return SUBJECTS.read(path)


def _row(sheet: Sheet, row: SheetRow) -> Subject | None:
    subject = required(sheet, row, "subject", expected="the code of a person")
    sex = choice(sheet, row, "sex", _SEXES, expected="female, male (or F, M), or an empty cell where it is not known")
    made = Subject(
        subject=subject,
        sex=sex,
        birth_year=_birth_year(sheet, row),
        weight_kg=number(sheet, row, "weight_kg", above=0, below=_HEAVIEST_KG),
        extra=extras(row, SUBJECT_COLUMNS),
    )
    return made if subject else None


def _birth_year(sheet: Sheet, row: SheetRow) -> int | None:
    text = row.cells.get("birth_year", "")
    if len(re.findall(r"\d+", text)) > 1:  # not quoted: it would tell the birthday to whoever reads the log
        do = "keep the year alone: a date of birth tells who it is"
        sheet.problems.add(row.line, "birth_year", "a date", expected="a year", do=do)
        return None
    return whole(sheet, row, "birth_year", at_least=1880, at_most=2100)


def _check(table: Table[Subject]) -> None:
    """See that every subject is there once."""
    first: dict[str, tuple[int, str]] = {}
    for line, row in table.rows:
        # P1 and p1 are one person to whoever typed them, and two to a computer.
        other, name = first.setdefault(row.subject.casefold(), (line, row.subject))
        if other != line:
            found = f"{row.subject!r}, where line {other} has {name!r}"
            do = "remove or rename one"
            table.problems.add(line, "subject", found, expected="every subject once", do=do)


SUBJECTS = Form("subjects", SUBJECT_COLUMNS, ("subject",), _row, _check)
