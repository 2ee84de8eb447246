"""study.yaml: what a study is made of, and its sheets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nti7flow.counting.acceptance_limits import AcceptanceLimits
from nti7flow.counting.settings import CountingSettings
from nti7flow.gating.yaml_source import read_yaml
from nti7flow.study.folders import file_sha256
from nti7flow.trial import SheetPlace, Trial, read_trial
from nti7flow.trial.schedule_file import ScheduleEntry


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
    """A study.yaml that has been read with its sheets."""

    path: Path
    file: StudyFile
    trial: Trial

    @property
    def sheets(self) -> Mapping[str, str]:
        """SHA-256 of each sheet: of the file, and of a workbook the name of the worksheet too."""
        return {name: _sha256(place) for name, place in self.trial.places.items()}


def open_study(path: Path) -> OpenStudy:
    """Read a study.yaml and all of its sheets.

    Raises
    ------
    ConfigError
        Anything in it, or in any sheet, is wrong.
    """
    study = read_yaml(path).validate(StudyFile)
    sheets = {name: path.parent / place for name, place in study.sheets.model_dump().items() if place is not None}
    return OpenStudy(path, study, read_trial(sheets, time_zone=study.time_zone))


def _sha256(place: SheetPlace) -> str:
    digest = file_sha256(place.path)
    return digest if place.worksheet is None else f"{digest}#{place.worksheet}"
