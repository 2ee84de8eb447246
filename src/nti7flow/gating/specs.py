"""What a template may say: pydantic models of the YAML, checked when it is read."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.events.transforms import Arcsinh, Linear, Log, Logicle, Transform
from nti7flow.gating.lending import Lender
from nti7flow.gating.methods import find_method
from nti7flow.gating.methods.registry import Parameters
from nti7flow.gating.yaml_source import explain
from nti7flow.quality.limits import QualityLimits

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", description="Lower-case id, used in every table.")]
MarkerName = Annotated[str, Field(min_length=1, description="A marker, scatter or alias name; never a detector.")]
Bound = float | None
RAW_MEANING = "On values as measured, not compensated; fluorescence on the scale raw, one for all channels of the gate."
Scope = Literal["sample", "batch", "study"]


class Spec(BaseModel):
    """Base of all template models: unknown keys and numbers that are not finite are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _without_news(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what templates could not say at first, where they do not say it: their hashes stay."""
        news = {"raw": False, "borrow": (), "quality": None, "of": None, "control": None, "not_interpretable": None}
        return {key: value for key, value in serialize(self).items() if key not in news or value not in (news[key], [])}


class ScaleSpec(Spec):
    """A display scale. ``auto`` takes the top from the channel's range and the width from its negative values."""

    kind: Literal["logicle", "linear", "log", "arcsinh"] = "logicle"
    top: float | Literal["auto"] = Field("auto", description="Top of scale, scale units.")
    width: float | Literal["auto"] = Field("auto", description="Logicle: decades of the linear region.")
    decades: float = Field(4.5, gt=0, description="Logicle, log and arcsinh: decades shown.")
    negative: float = Field(
        0.0, description="Logicle and arcsinh: additional negative decades; linear: negative range."
    )

    @model_validator(mode="after")
    def _possible(self) -> ScaleSpec:
        top = max(262144.0, self.negative) if self.top == "auto" else self.top
        self.transform(top, 0.5 if self.width == "auto" else self.width)
        return self

    def transform(self, top: float, width: float) -> Transform:
        """Return the transform for a top and width that are known; raises ValueError where there is none."""
        if self.kind == "linear":
            if not 0 <= self.negative <= top:  # Linear itself takes more: what FlowJo's workspaces hold
                raise ValueError(
                    f"linear transform needs 0 <= negative <= top, found negative={self.negative}, top={top}"
                )
            return Linear(top, self.negative)
        if self.kind == "log":
            return Log(top, self.decades)
        if self.kind == "arcsinh":
            return Arcsinh(top, self.decades, self.negative)
        return Logicle(top, width, self.decades, self.negative)


class FittedSpec(Spec):
    """A gate placed by a method."""

    method: str = Field(description="name@version of a registered method.")
    dims: tuple[MarkerName, ...] = Field(min_length=1, description="Markers it works on.")
    or_dims: tuple[tuple[MarkerName, ...], ...] = Field(
        (), description="Other dims to try where the first are missing."
    )
    raw: bool = Field(False, description=RAW_MEANING)
    fit_on: Identifier | None = Field(None, description="Population whose events are fitted; the parent by default.")
    scope: Scope = Field("sample", description="Whose events are pooled for the fit.")
    borrow: tuple[Lender, ...] = Field(
        (),
        description="On what a threshold leans that this sample's own data place badly, or not at all: on those of its "
        "batch, and of earlier visits of its subject.",
    )
    control: FittedSpec | None = Field(
        None,
        description="How it is placed in a tube stained without its first marker (role fmo:MARKER or unstained), whose "
        "gate then serves the batch.",
    )
    params: dict[str, Any] = Field({}, description="Parameters of the method.")
    tolerance: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="Share of the population that may change sides between replicates of the data before the gate is "
        "for review; at twice that it counts as not placed.",
    )
    on_failure: Literal["fail", "absent"] | FittedSpec | FixedSpec = Field(
        "fail", description="fail; absent (no such population here); or another gate to fall back to."
    )

    @field_validator("on_failure", mode="before")
    @classmethod
    def _kind(cls, value: Any) -> Any:
        """Pick one of the three, so that an error speaks of that one only."""
        if isinstance(value, dict) and "method" not in value:
            return FixedSpec.model_validate(value)
        if isinstance(value, dict):
            return FittedSpec.model_validate(value)
        if not isinstance(value, BaseModel) and value not in ("fail", "absent"):
            hint = did_you_mean(str(value), ("fail", "absent"))
            raise ValueError(f"on_failure is fail, absent, a method or a fixed gate; found {value!r}.{hint}")
        return value

    @model_validator(mode="after")
    def _poolable(self) -> FittedSpec:
        if isinstance(self.on_failure, FittedSpec) and self.on_failure.scope != "sample":
            raise ValueError("a fallback is fitted on the sample alone; only the first method can have a scope")
        if (self.borrow or self.control) and (self.scope != "sample" or self.raw or self.or_dims):
            raise ValueError(
                "borrow and control go with a gate that every sample fits alone on the same compensated dims"
            )
        for other in (self.on_failure, self.control):
            if isinstance(other, FittedSpec) and (other.borrow or other.control):
                raise ValueError("only the first method of a gate can borrow, or be placed by a control")
        if self.control is not None and self.control.dims != self.dims:
            raise ValueError(f"the control's gate is on {', '.join(self.control.dims)}, not on the same dims")
        if self.scope != "sample" and self.raw:
            raise ValueError("a raw scale is the sample's own; raw goes with scope: sample only")
        if self.scope != "sample" and self.or_dims:
            raise ValueError("or_dims would pool different channels; it goes with scope: sample only")
        return self

    @model_validator(mode="after")
    def _fittable(self) -> FittedSpec:
        try:
            method_parameters(self)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self


def method_parameters(gate: FittedSpec) -> Parameters:
    """Check and complete the parameters of a fitted gate; raises `ConfigError`."""
    method = find_method(gate.method)
    if method.lowest and not gate.raw:
        raise ConfigError(f"{gate.method} compares channels as they were measured: say raw: true.")
    for dims in (gate.dims, *gate.or_dims):
        if method.lowest:
            if len(set(dims)) < 2:
                raise ConfigError(f"{gate.method} works on two or more dimensions, found {', '.join(dims)}.")
        elif len(dims) != method.n_dimensions:
            raise ConfigError(
                f"{gate.method} works on {method.n_dimensions} dimension(s), found {len(dims)}: {', '.join(dims)}."
            )
    try:
        return method.parameters.model_validate(gate.params)
    except ValidationError as error:
        problems = [explain(item, method.parameters.model_fields) for item in error.errors()]
        raise ConfigError(f"params of {gate.method}: {' '.join(problems)}") from None


class FixedSpec(Spec):
    """A gate written down. Numbers are scale values: what the channel reads, after compensation unless raw."""

    range: dict[MarkerName, tuple[Bound, Bound]] | None = Field(
        None, description="One marker: [lower, upper], null open."
    )
    rectangle: dict[MarkerName, tuple[Bound, Bound]] | None = Field(
        None, description="Several markers: [lower, upper]."
    )
    polygon: PolygonSpec | None = None
    raw: bool = Field(False, description=RAW_MEANING)

    @model_validator(mode="after")
    def _one_kind(self) -> FixedSpec:
        given = [kind for kind in ("range", "rectangle", "polygon") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"a fixed gate is one of range, rectangle or polygon; found {', '.join(given) or 'none'}")
        if self.range is not None and len(self.range) != 1:
            raise ValueError("a range gate has exactly one marker; use rectangle for more")
        if self.rectangle is not None and not self.rectangle:
            raise ValueError("a rectangle gate needs at least one marker")
        for marker, (low, high) in (self.range or self.rectangle or {}).items():
            if low is not None and high is not None and low >= high:
                raise ValueError(f"{marker}: lower bound {low:g} is not below upper bound {high:g}")
        return self

    @property
    def dims(self) -> tuple[str, ...]:
        """Markers the gate is on."""
        return self.polygon.dims if self.polygon is not None else tuple(self.range or self.rectangle or ())


class PolygonSpec(Spec):
    """Vertices in two markers."""

    dims: tuple[MarkerName, MarkerName]
    vertices: tuple[tuple[float, float], ...] = Field(min_length=3)


class SameAsSpec(Spec):
    """The same geometry as another population's gate."""

    same_as: Identifier


class BooleanSpec(Spec):
    """All of, or any of, other populations; prefix one with ``not`` to negate it."""

    all_of: tuple[str, ...] | None = Field(None, min_length=1)
    any_of: tuple[str, ...] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_kind(self) -> BooleanSpec:
        if (self.all_of is None) == (self.any_of is None):
            raise ValueError("a boolean gate is either all_of or any_of")
        return self

    @field_validator("all_of", "any_of")
    @classmethod
    def _well_formed(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in value or ():
            if not re.fullmatch(r"(not )?[a-z][a-z0-9_]*", text):
                raise ValueError(f"'{text}' is neither a population id nor 'not ID'")
        return value

    @property
    def operands(self) -> tuple[tuple[str, bool], ...]:
        """Population and whether it is negated."""
        texts = self.all_of or self.any_of or ()
        return tuple((text.removeprefix("not "), text.startswith("not ")) for text in texts)


class QualitySpec(Spec):
    """What a check of quality keeps, cells and beads alike.

    ``time``: the stretches of steady acquisition. ``beginning``: what comes after the cells of the tube before, which
    show as an excess of the population ``of`` among the first events.
    """

    quality: Literal["time", "beginning"]
    of: Identifier | None = Field(
        None, description="beginning: population whose share of the first events is compared."
    )

    @model_validator(mode="after")
    def _said(self) -> QualitySpec:
        if (self.quality == "beginning") != (self.of is not None):
            raise ValueError("quality: beginning needs of: POPULATION, and quality: time has none")
        return self


GateSpec = FittedSpec | FixedSpec | SameAsSpec | BooleanSpec | QualitySpec
#: The keys by which the kind of a gate is told, in the order they are looked for.
GATE_KINDS: dict[str, type[FittedSpec] | type[FixedSpec] | type[SameAsSpec] | type[BooleanSpec] | type[QualitySpec]] = {
    "method": FittedSpec,
    "same_as": SameAsSpec,
    "all_of": BooleanSpec,
    "any_of": BooleanSpec,
    "quality": QualitySpec,
    "range": FixedSpec,
    "rectangle": FixedSpec,
    "polygon": FixedSpec,
}


class AfterDoseSpec(Spec):
    """When a population cannot be interpreted: its marker itself answers to the drug."""

    days_after_dose: int = Field(ge=0, description="Through this day after a dose.")
    unless: MarkerName | None = Field(None, description="Except where the panel has this marker.")


class PopulationSpec(Spec):
    """One population of a template."""

    id: Identifier
    label: str = Field(min_length=1, description="Name for tables and pictures.")
    parent: Identifier | None = Field(None, description="Population it is gated from; all events where left out.")
    optional: bool = Field(False, description="May be missing from the panel: its status is then not_in_panel.")
    bypass: bool = Field(
        False,
        description="Where it is not in the panel, or takes nothing away, its children are gated from its parent.",
    )
    helper: bool = Field(False, description="A step on the way, left out of the printed table.")
    plot: tuple[MarkerName, MarkerName] | None = Field(None, description="Axes of its picture, x and y.")
    not_interpretable: AfterDoseSpec | None = Field(None, description="When its count says nothing.")
    gate: GateSpec

    @property
    def raw(self) -> bool:
        """Whether its gate is on raw values."""
        return isinstance(self.gate, FittedSpec | FixedSpec) and self.gate.raw

    @property
    def fits(self) -> tuple[FittedSpec, ...]:
        """Methods that may place the gate, in the order in which they are tried."""
        chain, gate = list[FittedSpec](), self.gate
        while isinstance(gate, FittedSpec):
            chain.append(gate)
            gate = gate.on_failure  # type: ignore[assignment]
        return tuple(chain)

    @field_validator("gate", mode="before")
    @classmethod
    def _kind(cls, value: Any) -> Any:
        """Pick the model by its tell-tale key, so that an error speaks of that kind of gate only."""
        if isinstance(value, BaseModel):
            return value
        if not isinstance(value, dict):
            raise ValueError(f"a gate is a mapping, found {value!r}")
        kinds = [key for key in GATE_KINDS if key in value]
        if len({GATE_KINDS[key] for key in kinds}) == 1:
            return GATE_KINDS[kinds[0]].model_validate(value)
        found = list(map(str, kinds or value))
        hint = next(filter(None, (did_you_mean(key, GATE_KINDS) for key in found)), "") if not kinds else ""
        raise ValueError(f"a gate is one of {', '.join(GATE_KINDS)}; found {', '.join(found) or 'nothing'}.{hint}")


class TemplateSpec(Spec):
    """A gating template."""

    template_schema: Literal["nti7flow/template/1"] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="A moved gate is a new version.")
    title: str
    description: str = ""
    markers: dict[str, tuple[MarkerName, ...]] = Field(
        {}, description="Aliases: a name for the first of several spellings that the panel carries."
    )
    scales: dict[str, ScaleSpec] = Field(
        {}, description="Display scale by marker, or for fluorescence, raw (fluorescence as measured), scatter, time."
    )
    quality: QualityLimits | None = Field(None, description="Limits of the checks of quality, where not the defaults.")
    populations: tuple[PopulationSpec, ...] = Field(min_length=1)


FittedSpec.model_rebuild()
FixedSpec.model_rebuild()
