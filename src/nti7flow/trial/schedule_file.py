"""What study.yaml may say under ``schedule``: pydantic models, checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError, model_validator

from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.trial.schedule import NCT04781309, Schedule, VisitWindow


class VisitEntry(BaseModel):
    """One visit after each dose."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: StrictStr
    day: StrictInt = Field(description="Nominal day, from the latest dose.")
    earliest: StrictInt | None = Field(None, description="First day of the window; the nominal day if left out.")
    latest: StrictInt | None = Field(None, description="Last day of the window; the nominal day if left out.")
    blood: StrictBool = Field(True, description="Whether blood is drawn; false for telephone visits.")

    @model_validator(mode="after")
    def _possible(self) -> VisitEntry:
        self.window()
        return self

    def window(self) -> VisitWindow:
        """Return the window; raises ValueError where there is none."""
        earliest = self.day if self.earliest is None else self.earliest
        latest = self.day if self.latest is None else self.latest
        return VisitWindow(self.name, self.day, earliest, latest, self.blood)


class ScheduleEntry(BaseModel):
    """The ``schedule`` of a study.yaml; what it leaves out is as in NCT04781309."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    screening_from_day: StrictInt = NCT04781309.screening_from_day
    visits: list[VisitEntry] | None = Field(None, min_length=1, description="All visits after each dose.")

    @model_validator(mode="after")
    def _possible(self) -> ScheduleEntry:
        self.schedule()
        return self

    def schedule(self) -> Schedule:
        """Return the schedule; raises ValueError where visits contradict each other."""
        windows = NCT04781309.windows if self.visits is None else tuple(visit.window() for visit in self.visits)
        return Schedule(windows, self.screening_from_day)


def read_schedule(mapping: Mapping[str, Any]) -> Schedule:
    """Return the schedule that a mapping says; raises one `ConfigError` with every problem."""
    try:
        return ScheduleEntry.model_validate(mapping).schedule()
    except ValidationError as error:
        known = (*ScheduleEntry.model_fields, *VisitEntry.model_fields)
        problems = []
        for item in error.errors():
            where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in item["loc"])
            said = item["msg"].removeprefix("Value error, ")
            if item["type"] == "extra_forbidden":
                said = "no such key." + did_you_mean(str(item["loc"][-1]), known)
            elif item["type"] not in ("value_error", "missing"):
                said += f"; found {item['input']!r}"
            problems.append(f"schedule{where}: {said}" + ("" if said.endswith((".", "?")) else "."))
        raise ConfigError("\n".join(problems)) from None
