"""`AcceptanceLimits`: every limit of the acceptance checks, with its default and what it means.

A check with two limits has an optimal one and an outer one: beyond the first a count carries ``info``, beyond the
second ``review``. A check with one limit is for ``review`` beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

#: Fewer events than these are told (``info``), with what longer acquisition would buy. 100 events have a CV of 10 %,
#: which is what an assay may have; 50 are the limit of quantification of EuroFlow (14 %), for B and NK cells, which
#: treatment makes rare.
MINIMUM_EVENTS: Mapping[str, int] = {"t_cells": 100, "cd4_t": 100, "cd8_t": 100, "b_cells": 50, "nk_cells": 50}


def _two(value: Any) -> Any:
    """Refuse what is not two numbers; else pydantic would tell of tuples and of their items."""
    items = value if isinstance(value, list | tuple) else ()
    if len(items) != 2 or any(isinstance(item, bool) or not isinstance(item, int | float) for item in items):
        raise ValueError(f"found {value!r}; two numbers in brackets were expected, like [5, 10]")
    return value


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"found {_shown(pair)}; the first (information) may not be above the second (review)")
    return pair


def _falling(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] < pair[1]:
        raise ValueError(f"found {_shown(pair)}; the first (information) may not be below the second (review)")
    return pair


def _range(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError(f"found {_shown(pair)}; the lowest and the highest value were expected, in this order")
    return pair


def _shown(pair: tuple[float, float]) -> str:
    return f"[{pair[0]:g}, {pair[1]:g}]"


_Percent = Annotated[float, Field(ge=0, le=100)]
_Positive = Annotated[float, Field(gt=0)]
_Fold = Annotated[float, Field(ge=1)]
_CellsPerUl = Annotated[float, Field(ge=0)]
#: Limits of a value that should be low, optimal and outer, and of one that should be high.
AtMostPercent = Annotated[tuple[_Percent, _Percent], AfterValidator(_rising), BeforeValidator(_two)]
AtLeastPercent = Annotated[tuple[_Percent, _Percent], AfterValidator(_falling), BeforeValidator(_two)]
AtMost = Annotated[tuple[_Positive, _Positive], AfterValidator(_rising), BeforeValidator(_two)]
AtMostFold = Annotated[tuple[_Fold, _Fold], AfterValidator(_rising), BeforeValidator(_two)]
Range = Annotated[tuple[_CellsPerUl, _CellsPerUl], AfterValidator(_range), BeforeValidator(_two)]


class ReferenceRanges(BaseModel):
    """Lowest and highest count of healthy adults of one sex, cells/µL, by population."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    alc: Range
    t_cells: Range
    cd4_t: Range
    cd8_t: Range
    b_cells: Range
    nk_cells: Range


class MaleRanges(ReferenceRanges):
    """Reference ranges of men."""

    alc: Range = (1147, 3727)
    t_cells: Range = (701, 2517)
    cd4_t: Range = (313, 1361)
    cd8_t: Range = (228, 1243)
    b_cells: Range = (109, 802)
    nk_cells: Range = (140, 1103)


class FemaleRanges(ReferenceRanges):
    """Reference ranges of women."""

    alc: Range = (1342, 3859)
    t_cells: Range = (800, 2751)
    cd4_t: Range = (399, 1489)
    cd8_t: Range = (254, 1193)
    b_cells: Range = (138, 645)
    nk_cells: Range = (96, 998)


class RangesBySex(BaseModel):
    """Reference ranges by ``sex`` of subjects.csv; a range that is left out is the default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    male: MaleRanges = MaleRanges()
    female: FemaleRanges = FemaleRanges()

    def of(self, sex: str | None) -> ReferenceRanges | None:
        """Return the ranges of a sex; None where it is not known."""
        return self.male if sex == "male" else self.female if sex == "female" else None


class AcceptanceLimits(BaseModel):
    """What study.yaml may say under ``acceptance``; docs/reference/study_file.md says why each is what it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    unassigned_percent: AtMostPercent = Field(
        (5, 10), description="Lymphocytes that are neither T, B nor NK cells, % of lymphocytes."
    )
    overlap_percent: AtMostPercent = Field(
        (2, 5),
        description="Overlaps of lineages, each % of lymphocytes: CD3+CD19+ cells, and CD3+CD19− cells that are "
        "positive for CD16/CD56 as NK cells are.",
    )
    cd4_cd8_vs_cd3_points: AtMostPercent = Field(
        (5, 10), description="Distance of CD4 + CD8 T cells from all T cells, percentage points of lymphocytes."
    )
    cd3_between_tubes_points: _Percent = Field(
        3, description="Distance of CD3 between tubes of one specimen, percentage points of lymphocytes."
    )
    purity_percent: AtLeastPercent = Field((90, 85), description="Lymphocytes among the events of their gate, %.")
    recovery_percent: _Percent = Field(95, description="Lymphocytes that are in their gate, % of all of them.")
    bead_events: int = Field(1000, ge=0, description="Beads acquired.")
    specimen_age_hours: AtMost = Field((48, 72), description="From the draw to the acquisition, hours.")
    assay_cv_percent: AtMost = Field(
        (10, 25), description="CV of a concentration, %; the second is what is allowed near the LLOQ."
    )
    minimum_events: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Annotated[int, Field(ge=0)]] = Field(
        dict(MINIMUM_EVENTS),
        description="Events by population; fewer are for information, with what longer acquisition would buy. A "
        "population that is left out keeps its default, and 0 asks for none.",
    )
    qc_loss_percent: AtMostPercent = Field((10, 30), description="Events taken out by gates of quality, %.")
    hematology_ratio: AtMostFold = Field(
        (1.3, 1.6),
        description="Flow lymphocytes against the ALC of the same draw, as a fold in either direction, beyond what "
        "their intervals explain.",
    )
    reference_ranges: RangesBySex = Field(
        RangesBySex(), description="Counts of healthy adults by sex, cells/µL; outside of them is for information."
    )

    @field_validator("minimum_events", mode="before")
    @classmethod
    def _with_defaults(cls, value: Any) -> Any:
        return {**MINIMUM_EVENTS, **value} if isinstance(value, Mapping) else value
