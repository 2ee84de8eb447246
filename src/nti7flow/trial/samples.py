"""``samples.csv``: which file is which tube of whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path, PurePosixPath

from nti7flow.errors import did_you_mean
from nti7flow.trial.cells import UL_PER_UNIT, extras, fraction, moment, number, timepoint, volume, whole
from nti7flow.trial.form import Form, Table
from nti7flow.trial.sheet import Sheet, SheetRow

#: Columns of samples.csv that mean something; any other is kept as it is.
SAMPLE_COLUMNS = (
    "file",
    "data_set",
    "sample",
    "specimen",
    "subject",
    "panel",
    "batch",
    "role",
    "collected_at",
    "timepoint",
    "stained_at",
    "acquired_at",
    "specimen_volume",
    "specimen_volume_unit",
    "dilution",
    "bead_lot",
    "beads_per_tube",
    "bead_cv",
    "acquired_volume",
    "acquired_volume_unit",
    "note",
)
_ROLES = ("patient", "control", "unstained")
_FORBIDDEN = frozenset("/\\")
# Nothing can be counted against fewer; 49.87 is what is left of "49,870".
_FEWEST_BEADS = 100
# Makers count their lots ten times better. A haematology count of a few cells may truly be this uncertain.
_UNUSUAL_BEAD_CV = 0.25


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One row of samples.csv: an acquired tube and where it comes from.

    Attributes
    ----------
    file : str
        Path of the FCS file, relative to the folder of the sheet, with forward slashes. Not opened here.
    sample : str
        Name of the tube, unique in the sheet; the stem of the file where the sheet gives none.
    data_set : int
        Which data set of the file, from 0.
    specimen, subject, panel, batch : str or None
        Blood draw, person, panel and staining batch, where given.
    role : str
        ``patient``, ``control``, ``unstained``, or ``fmo:MARKER``.
    collected_at, stained_at, acquired_at : date or datetime or None
        As given: a date alone stays a date, a datetime keeps its offset from UTC or its lack of one.
    timepoint : str or None
        ``pre-dose`` or ``post-dose``, where declared for a draw on a dosing day.
    specimen_volume, acquired_volume : float or None
        Volume stained, and volume drawn by the cytometer, each in its own unit.
    specimen_volume_unit, acquired_volume_unit : str or None
        ``uL`` or ``mL``.
    dilution : float or None
        Factor by which the specimen was diluted before staining; 1 is undiluted.
    bead_lot : str or None
        Lot of the counting beads.
    beads_per_tube : float or None
        Beads in one tube, as printed for the lot.
    bead_cv : float or None
        Coefficient of variation of ``beads_per_tube`` as a fraction: 0.02 is 2 %.
    note : str
        Free text.
    extra : Mapping of str to str
        Columns that mean nothing here, kept as written; empty cells are left out.
    """

    file: str
    sample: str
    data_set: int = 0
    specimen: str | None = None
    subject: str | None = None
    panel: str | None = None
    batch: str | None = None
    role: str = "patient"
    collected_at: date | datetime | None = None
    timepoint: str | None = None
    stained_at: date | datetime | None = None
    acquired_at: date | datetime | None = None
    specimen_volume: float | None = None
    specimen_volume_unit: str | None = None
    dilution: float | None = None
    bead_lot: str | None = None
    beads_per_tube: float | None = None
    bead_cv: float | None = None
    acquired_volume: float | None = None
    acquired_volume_unit: str | None = None
    note: str = ""
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def specimen_volume_ul(self) -> float | None:
        """Volume of specimen stained, microlitres."""
        return _microlitres(self.specimen_volume, self.specimen_volume_unit)

    @property
    def acquired_volume_ul(self) -> float | None:
        """Volume drawn by the cytometer, microlitres."""
        return _microlitres(self.acquired_volume, self.acquired_volume_unit)

    @property
    def left_out(self) -> str | None:
        """The marker left out of an FMO (fluorescence minus one) tube, else None."""
        return self.role[4:] if self.role.startswith("fmo:") else None


def read_samples(path: str | Path) -> tuple[SampleRow, ...]:
    """Read and check samples.csv.

    Only the column ``file`` is required. CSV may be separated by comma, semicolon or tab; with semicolons or tabs,
    decimal commas are read.

    Parameters
    ----------
    path : str or Path
        The sheet: CSV in UTF-8, or an Excel workbook, as ``trial.xlsx`` or ``trial.xlsx#worksheet``.

    Returns
    -------
    tuple of SampleRow
        In the order of the sheet; rows without any content are skipped.

    Raises
    ------
    ConfigError
        The sheet cannot be read, or anything in it is wrong; all problems are listed at once, each with line,
        column, what was found, what was expected and what to do.
    """
    return SAMPLES.read(path)


def _microlitres(value: float | None, unit: str | None) -> float | None:
    return None if value is None or unit is None else value * UL_PER_UNIT[unit]


def _sample(sheet: Sheet, row: SheetRow) -> SampleRow:
    """Read one row; what cannot be read is noted in the sheet's problems and left at its default."""
    file = _file(sheet, row)
    specimen_volume, specimen_volume_unit = volume(sheet, row, "specimen_volume")
    acquired_volume, acquired_volume_unit = volume(sheet, row, "acquired_volume")
    return SampleRow(
        file=file,
        sample=_name(sheet, row, file),
        data_set=whole(sheet, row, "data_set") or 0,
        specimen=row.cells.get("specimen") or None,
        subject=row.cells.get("subject") or None,
        panel=row.cells.get("panel") or None,
        batch=row.cells.get("batch") or None,
        role=_role(sheet, row),
        collected_at=moment(sheet, row, "collected_at"),
        timepoint=timepoint(sheet, row),
        stained_at=moment(sheet, row, "stained_at"),
        acquired_at=moment(sheet, row, "acquired_at"),
        specimen_volume=specimen_volume,
        specimen_volume_unit=specimen_volume_unit,
        dilution=number(sheet, row, "dilution", at_least=1, do="write the factor: one part in two is 2"),
        bead_lot=row.cells.get("bead_lot") or None,
        beads_per_tube=number(sheet, row, "beads_per_tube", at_least=_FEWEST_BEADS),
        bead_cv=fraction(sheet, row, "bead_cv", unusual=_UNUSUAL_BEAD_CV),
        acquired_volume=acquired_volume,
        acquired_volume_unit=acquired_volume_unit,
        note=row.cells.get("note", ""),
        extra=extras(row, SAMPLE_COLUMNS),
    )


def _file(sheet: Sheet, row: SheetRow) -> str:
    text = row.cells.get("file", "")
    if not text and "file" in sheet.columns and not sheet.problems.at(row.line, "file"):
        sheet.problems.add(row.line, "file", "an empty cell", expected="the path of an FCS file", do="fill it in")
    return text.replace("\\", "/")  # sheets written on Windows


def _name(sheet: Sheet, row: SheetRow, file: str) -> str:
    """Name of the tube; results are stored in files of that name."""
    name = row.cells.get("sample") or PurePosixPath(file).stem
    if _FORBIDDEN & set(name) or not name.isprintable() or name.startswith("."):
        expected = "a name without slashes or control characters that does not begin with a dot"
        sheet.problems.add(row.line, "sample", repr(name), expected=expected, do="rename the sample")
    return name


def _role(sheet: Sheet, row: SheetRow) -> str:
    text = row.cells.get("role", "")
    role, colon, marker = text.partition(":")
    role, marker = role.strip().casefold(), marker.strip()
    if role == "fmo" and marker:
        return f"fmo:{marker}"
    if not colon and role in ("", *_ROLES):
        return role or "patient"
    do = (
        "name the marker that was left out, like fmo:CD4"
        if role == "fmo"
        else f"correct it.{did_you_mean(role, _ROLES)}"
    )
    expected = f"{', '.join(_ROLES)} or fmo:MARKER"
    sheet.problems.add(row.line, "role", repr(text), expected=expected, do=do)
    return "patient"


def _check(table: Table[SampleRow]) -> None:
    """No two rows may share a sample name or a (file, data set)."""
    names: dict[str, int] = {}
    tubes: dict[tuple[str, int], int] = {}
    for line, row in table.rows:
        # Names become file names, and some file systems do not tell a from A.
        first = names.setdefault(row.sample.casefold(), line) if row.sample else line
        if first != line:
            found = f"{row.sample!r}, which line {first} has too"
            do = "give each its own in the column 'sample'"
            table.problems.add(line, "sample", found, expected="a name of its own for every tube", do=do)
        unsure = not row.file or table.problems.at(line, "data_set")
        first = line if unsure else tubes.setdefault((row.file, row.data_set), line)
        if first != line:
            found = f"{row.file!r} with data set {row.data_set}, which line {first} has too"
            do = "remove one row, or give each its data_set if the file holds several"
            table.problems.add(line, "file", found, expected="every data set of a file once", do=do)


SAMPLES = Form("samples", SAMPLE_COLUMNS, ("file",), _sample, _check, empty_is="one row per tube")
