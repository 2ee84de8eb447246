"""A trial: all of its sheets, read together and checked against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo, available_timezones

from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.trial.bead_lots import with_lot_numbers
from nti7flow.trial.checks import Tables, check_trial
from nti7flow.trial.clinical_events import EVENTS, ClinicalEvent
from nti7flow.trial.doses import DOSES, Dose
from nti7flow.trial.form import Form, Table
from nti7flow.trial.hematology import HEMATOLOGY, Hematology
from nti7flow.trial.problems import Listing, SheetPlace
from nti7flow.trial.reagents import REAGENTS, Reagent
from nti7flow.trial.samples import SAMPLES, SampleRow
from nti7flow.trial.sheet import sheet_path
from nti7flow.trial.specimens import Specimen, specimens_of
from nti7flow.trial.subjects import SUBJECTS, Subject

Row = TypeVar("Row")

#: The sheets of a trial, as study.yaml names them.
SHEETS = ("samples", "subjects", "doses", "hematology", "events", "reagents")
# Names that a system has for a time zone of its own: elsewhere they are another, or none.
_NOT_ANYWHERE = frozenset({"localtime", "posixrules", "Factory"})


@dataclass(frozen=True)
class Trial:
    """What the sheets of a trial say; a sheet that there is not is empty here.

    Attributes
    ----------
    samples, subjects, doses, hematology, events, reagents : tuple of rows
        Each in the order of its sheet. In ``samples``, what one row says of a lot of beads is said of all its rows.
    specimens : tuple of Specimen
        Blood draws of the patient tubes, by subject and time.
    time_zone : str
        Where the patients are: local times are of this zone.
    remarks : tuple of str
        What is odd in the sheets and may well be meant, each with its sheet and row.
    places : Mapping of str to SheetPlace
        File and worksheet of each sheet that was read.
    """

    samples: tuple[SampleRow, ...] = ()
    subjects: tuple[Subject, ...] = ()
    doses: tuple[Dose, ...] = ()
    hematology: tuple[Hematology, ...] = ()
    events: tuple[ClinicalEvent, ...] = ()
    reagents: tuple[Reagent, ...] = ()
    specimens: tuple[Specimen, ...] = ()
    time_zone: str = "UTC"
    remarks: tuple[str, ...] = ()
    places: Mapping[str, SheetPlace] = field(default_factory=dict, hash=False)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone, for day arithmetic."""
        return ZoneInfo(self.time_zone)

    def doses_of(self, subject: str) -> tuple[Dose, ...]:
        """Return the doses of a subject, ordered by time."""
        return tuple(sorted((dose for dose in self.doses if dose.subject == subject), key=lambda dose: dose.dose))


def read_trial(
    sheets: Mapping[str, Path | str],
    *,
    time_zone: str = "UTC",
    check_samples: Callable[[Table[SampleRow]], None] | None = None,
) -> Trial:
    """Read all sheets of a trial and check them against each other.

    Parameters
    ----------
    sheets : Mapping of str to path
        Any of ``samples``, ``subjects``, ``doses``, ``hematology``, ``events`` and ``reagents``; each a CSV file, or an
        Excel workbook as ``trial.xlsx`` or ``trial.xlsx#worksheet``.
    time_zone : str
        IANA name of where the patients are, like ``America/New_York``: times without an offset are local there.
    check_samples : callable, optional
        What the tubes must be for whoever reads the sheets: notes what is wrong in ``problems`` of the table.

    Returns
    -------
    Trial
        Its remarks are logged as warnings too.

    Raises
    ------
    ConfigError
        Anything in any sheet is wrong; all problems of all sheets are in one listing, each with sheet, row and column,
        what was found, what was expected and what to do.
    """
    listing = Listing()
    zone = _zone(time_zone, listing)
    for name in sheets:
        if name not in SHEETS:
            listing.add_text(f"sheets: found '{name}'; expected {', '.join(SHEETS)}.{did_you_mean(name, SHEETS)}")
    tables = Tables(
        _table(SAMPLES, sheets, listing),
        _table(SUBJECTS, sheets, listing),
        _table(DOSES, sheets, listing),
        _table(HEMATOLOGY, sheets, listing),
        _table(EVENTS, sheets, listing),
        _table(REAGENTS, sheets, listing),
    )
    check_trial(tables, zone, subjects_named="subjects" in sheets)
    if check_samples is not None and tables.samples is not None:
        check_samples(tables.samples)
    listing.raise_if_any()
    assert zone is not None  # else it was raised
    listing.log_remarks()
    samples = with_lot_numbers(_rows(tables.samples))
    return Trial(
        samples=samples,
        subjects=_rows(tables.subjects),
        doses=_rows(tables.doses),
        hematology=_rows(tables.hematology),
        events=_rows(tables.events),
        reagents=_rows(tables.reagents),
        specimens=specimens_of(samples, zone),
        time_zone=time_zone,
        remarks=listing.remarks,
        places={name: table.sheet.place for name in SHEETS if (table := getattr(tables, name)) is not None},
    )


def _zone(name: str, listing: Listing) -> ZoneInfo | None:
    """Return a time zone by its IANA name; None where there is none of that name, which is noted."""
    known = available_timezones() - _NOT_ANYWHERE
    if name in known:
        return ZoneInfo(name)
    expected = "the IANA name of a time zone, like America/New_York or Europe/Berlin"
    listing.add_text(f"time_zone: found '{name}'; expected {expected}; correct it.{did_you_mean(name, known)}")
    return None


def _table(form: Form[Row], sheets: Mapping[str, Path | str], listing: Listing) -> Table[Row] | None:
    """Open a sheet, where there is one; one that cannot be opened at all is one problem, and the others are read."""
    if form.name not in sheets:
        return None
    path = sheets[form.name]
    try:
        return form.open(path, listing)
    except ConfigError as error:
        listing.add_text(str(error), path=sheet_path(path)[0])
        return None


def _rows(table: Table[Row] | None) -> tuple[Row, ...]:
    rows: Iterable[tuple[int, Row]] = () if table is None else table.rows
    return tuple(row for _, row in rows)
