"""study.yaml: what it may say, and what it asks of the sample sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nti7flow.counting.acceptance.limits import AcceptanceLimits
from nti7flow.counting.settings import CountingSettings
from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.gating.yaml_source import read_yaml
from nti7flow.study.folders import LONGEST_NAME, check_name, file_sha256
from nti7flow.trial import SampleRow, SheetPlace, Trial, read_trial
from nti7flow.trial.form import Table
from nti7flow.trial.schedule_file import ScheduleEntry

#: In place of a template in study.yaml: tubes of that panel are not gated.
NO_TEMPLATE = "none"


class Sheets(BaseModel):
    """Where the sheets are, relative to study.yaml: CSV files or workbooks, as ``trial.xlsx#worksheet``."""

    model_config = ConfigDict(extra="forbid")
    samples: str
    subjects: str | None = None
    doses: str | None = None
    hematology: str | None = None
    events: str | None = None
    reagents: str | None = None


class StudyFile(BaseModel):
    """The content of a study.yaml."""

    model_config = ConfigDict(extra="forbid")
    study_schema: Literal["nti7flow/study/1"] = Field(alias="schema", description="`nti7flow/study/1`.")
    study: str = Field(description="Name of the study.")
    title: str = Field("", description="Its title, for people.")
    time_zone: str = Field("UTC", description="IANA name of where the patients are; `UTC` if left out.")
    templates: dict[str, str] = Field(
        min_length=1, description="Template (name@version or path) per panel; none: tubes of that panel are not gated."
    )
    compensation: str = Field("keyword", description="keyword, none, or the path of a spillover CSV.")
    sheets: Sheets = Field(description="[Sheets](sheets.md), relative to this file; `samples` is required.")
    schedule: ScheduleEntry = Field(ScheduleEntry(), description="[Visits](schedule.md#your-own-windows).")
    thresholds: dict[str, Any] = Field({}, description="Not used yet.")
    endpoints: dict[str, Any] = Field({}, description="Not used yet.")
    # These two change no gate, so they are in no recipe of gating.
    counting: CountingSettings = Field(CountingSettings(), description="How concentrations are computed, see below.")
    acceptance: AcceptanceLimits = Field(AcceptanceLimits(), description="Limits of the acceptance checks, see below.")


@dataclass(frozen=True)
class OpenStudy:
    """A study.yaml that has been read with its sheets.

    ``sheets`` are the SHA-256 of each as it was read: of the file, and of a workbook the name of the worksheet too.
    """

    path: Path
    file: StudyFile
    trial: Trial
    sheets: Mapping[str, str]


def open_study(path: Path, *, any_panel: bool = False) -> OpenStudy:
    """Read a study.yaml and all of its sheets.

    Parameters
    ----------
    path : Path
        The file.
    any_panel : bool
        Panels need no template: gates are from elsewhere, or were placed before.

    Raises
    ------
    ConfigError
        Anything in it, or in any sheet, is wrong.
    """
    study = read_yaml(path).validate(StudyFile)
    trial = read_trial(
        {name: path.parent / place for name, place in study.sheets.model_dump().items() if place is not None},
        time_zone=study.time_zone,
        check_samples=partial(check_tubes, study=study, study_file=path.name, any_panel=any_panel),
    )
    return OpenStudy(path, study, trial, {name: _sha256(place) for name, place in trial.places.items()})


def _sha256(place: SheetPlace) -> str:
    digest = file_sha256(place.path)
    return digest if place.worksheet is None else f"{digest}#{place.worksheet}"


def panel_of(row: SampleRow, study: StudyFile) -> str:
    """Return the panel of a tube: as its row says, or the only one there is; empty where neither tells."""
    return row.panel or (next(iter(study.templates)) if len(study.templates) == 1 else "")


def check_tubes(samples: Table[SampleRow], *, study: StudyFile, study_file: str, any_panel: bool) -> None:
    """Note what keeps tubes of the sheet from being gated: no template, a name too long, a file that is there twice."""
    folder = samples.sheet.place.path.parent
    tubes: dict[tuple[Path, int], tuple[int, SampleRow]] = {}
    for line, row in samples.rows:
        panel = panel_of(row, study)
        if not any_panel and panel not in study.templates:
            found = f"{panel!r}, which has no template in {study_file}" if panel else "an empty cell"
            do = f"correct it, or give it one (or none) there.{did_you_mean(panel, study.templates)}"
            samples.problems.add(line, "panel", found, expected=f"one of {', '.join(study.templates)}", do=do)
        if len(row.sample.encode()) > LONGEST_NAME:
            expected = f"at most {LONGEST_NAME} bytes"
            samples.problems.add(
                line, "sample", f"a name of {len(row.sample.encode())} bytes", expected=expected, do="shorten it"
            )
        if not row.file:
            continue
        try:
            check_name(Path(row.file))
        except ConfigError:
            expected = "a name in UTF-8 without control characters"
            samples.problems.add(line, "file", repr(row.file), expected=expected, do="rename the file")
            continue
        # Rows with the same text are told by the sheet itself, but a/../b.fcs and b.fcs, or a link, are one file too.
        other_line, other = tubes.setdefault(((folder / row.file).resolve(), row.data_set), (line, row))
        if other.file != row.file:
            found = f"{row.file!r} with data set {row.data_set}, the same file as {other.file!r} in line {other_line}"
            do = "remove one row, or give each its data_set if the file holds several"
            samples.problems.add(line, "file", found, expected="every data set of a file once", do=do)
