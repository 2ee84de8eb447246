"""`QualityLimits`: every number that a quality check compares with, with its default and what it means."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class QualityLimits(BaseModel):
    """Thresholds of the quality checks; docs/reference/quality.md says why each is what it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    few_events: int = Field(1000, ge=0, description="Tubes with fewer events are for review.")
    min_events_for_time: int = Field(
        3000, ge=1000, description="Tubes with fewer events are not searched for unsteady stretches."
    )
    shift: float = Field(
        0.10,
        gt=0,
        lt=0.5,
        description="A stretch is left out if its events outrank those of the steady part, or are outranked by them, "
        "this much more often than the half that is expected, in any channel.",
    )
    shift_with_cause: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="The same where something else speaks against the stretch: the flow rate fell or surged there, or "
        "it is the beginning of the tube.",
    )
    shift_at_beginning: float = Field(
        0.03,
        gt=0,
        lt=0.5,
        description="The same for the first events of a tube where all channels together differ beyond chance: some "
        "percent of another person's cells.",
    )
    gain: float = Field(
        0.15,
        gt=0,
        description="A stretch is left out if the light of its events differs from that of the steady part by this "
        "much (natural logarithm of the factor: 0.15 is 14 % less or 16 % more), in any channel.",
    )
    gain_with_cause: float = Field(0.07, gt=0, description="The same where something else speaks against the stretch.")
    significance: float = Field(
        5.0, gt=0, description="Standard errors by which a shift must exceed what the bins vary by on their own."
    )
    beginning: float = Field(
        0.05, ge=0, le=0.5, description="Share of the events that counts as the beginning, where carry-over is found."
    )
    drift: float = Field(
        0.10,
        gt=0,
        lt=0.5,
        description="A slow drift between the lowest and the highest tenth of the tube beyond this, as for `shift`, is "
        "for review; nothing is left out for it.",
    )
    gain_drift: float = Field(0.15, gt=0, description="The same as for `gain`.")
    most_excluded: float = Field(
        0.30,
        ge=0,
        le=1,
        description="If more than this share of the events would be left out, none is, and the tube is for review.",
    )
    much_excluded: float = Field(
        0.10,
        ge=0,
        le=1,
        description="Leaving out more than this share of the events is for review, less is for information.",
    )  # fmt: skip
    slow: float = Field(0.5, gt=0, lt=1, description="Flow below this share of its usual rate is a clog.")
    fast: float = Field(2.0, gt=1, description="Flow above this multiple of its usual rate is a surge.")
    margin_info: float = Field(0.01, ge=0, le=1, description="Share of events at an end of a channel worth knowing.")
    margin_review: float = Field(
        0.10, ge=0, le=1, description="Share of events at the upper end of a channel that is for review."
    )
    doublets: float = Field(0.15, ge=0, le=1, description="Share of doublets that is for review.")
    dead: float = Field(0.25, ge=0, le=1, description="Share of dead cells that is for review.")
