"""`CountingSettings`: how concentrations are computed, and how well their inputs are known where no sheet says it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["auto", "beads", "volumetric", "dual_platform"]


class CountingSettings(BaseModel):
    """What study.yaml may say under ``counting``; docs/reference/study_file.md says why each is what it is.

    Coefficients of variation (CV) are fractions: 0.02 is 2 %.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: Method = Field(
        "auto",
        description="What events are counted against: `beads`, `volumetric` or `dual_platform`. `auto` takes for each "
        "tube the first of these for which the sheets have all that it needs.",
    )
    level: float = Field(0.95, gt=0.5, le=0.9999, description="Level of the intervals; 0.95 is 95 %.")
    pipetting_cv: float = Field(
        0.015,
        ge=0,
        lt=1,
        description="CV of the specimen volume pipetted, by reverse pipetting. A validation of your own replaces it.",
    )
    bead_cv: float = Field(
        0.02, ge=0, lt=1, description="CV of `beads_per_tube` where the sheet states none: what makers state for a lot."
    )
    volume_cv: float = Field(0.03, ge=0, lt=1, description="CV of the volume acquired, for `volumetric`.")
    hematology_cv: float = Field(
        0.05, ge=0, lt=1, description="CV of a haematology count where the sheet states none, for `dual_platform`."
    )
    lloq_cv: float = Field(
        0.20,
        gt=0,
        lt=1,
        description="CV at the lower limit of quantification (LLOQ): a count known less well than this is below it.",
    )
    lloq_events: int = Field(
        0,
        ge=0,
        description="Fewer events than this are below the LLOQ too, whatever their CV; 0: the CV alone decides.",
    )
    hematology_hours: float = Field(
        6.0, gt=0, description="A haematology count within so many hours of the specimen is of the same draw."
    )
