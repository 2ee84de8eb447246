"""Template x sample -> strategy: methods become plain gates.

Samples are visited in waves. In each wave a sample gates all populations whose gates are known without pooling more
data; for a population fitted on several samples it hands out a summary (an integer histogram). Between waves summaries
are merged, exactly and in any order, and fitted once per group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from nti7flow.errors import ConfigError, UnknownMarker
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.doubt import ABSENT_PROBABILITY, LEAST_POSITIVE, allowance, poisson_quantile
from nti7flow.gating.fit import Fitted, GateFit, make_gate, make_replicates, seed_for, thresholds_of
from nti7flow.gating.gates import BooleanGate, Gate, Operand, PlacedGate, PolygonGate, RectangleGate
from nti7flow.gating.histogram import Histogram, fit_axis
from nti7flow.gating.lending import FMO, Own, Prior, shrink
from nti7flow.gating.methods import find_method
from nti7flow.gating.pooling import Summary, fit_histogram
from nti7flow.gating.scales import (
    Scale,
    check_distinct,
    find_channel,
    make_dimension,
    propose_scale,
    raw_dimensions,
    second_choices,
)
from nti7flow.gating.sensitivity import PLACEMENT, gating_sd
from nti7flow.gating.specs import (
    BooleanSpec,
    FittedSpec,
    FixedSpec,
    PopulationSpec,
    QualitySpec,
    SameAsSpec,
)
from nti7flow.gating.strategy import SEVERITY, SEVERITY_ORDER, GatingStrategy, Members, Population, Status, apply_gate
from nti7flow.gating.template import GatingTemplate, pooled_scope
from nti7flow.gating.time_gates import settled_gate, steady_gate
from nti7flow.gating.values import DisplayValues
from nti7flow.quality.report import Quality, check_quality


@dataclass(frozen=True, slots=True)
class Setting:
    """What the sheets say of a tube that matters for its gates.

    Attributes
    ----------
    left_out : str or None
        Marker that it was stained without; ``unstained`` for all.
    day_from_dose : int or None
        Days since the latest dose; None before the first, and where not known.
    """

    left_out: str | None = None
    day_from_dose: int | None = None


#: ``left_out`` of a tube without any stain.
UNSTAINED = "unstained"


@dataclass
class Resolution:
    """One sample on its way through the waves: what is gated so far."""

    template: GatingTemplate
    sample: Sample
    spillover: Spillover
    name: str
    members: Members
    populations: dict[str, Population] = field(default_factory=dict)
    fits: list[GateFit] = field(default_factory=list)
    scales: dict[str, Scale] = field(default_factory=dict)
    own: dict[str, Fitted] = field(default_factory=dict)
    priors: Mapping[str, Prior] = field(default_factory=dict)
    gating_sd: dict[str, float] = field(default_factory=dict)
    quality: Quality | None = None
    setting: Setting = field(default_factory=Setting)
    controls: set[str] = field(default_factory=set)
    axes_of: dict[str, tuple[Dimension, ...]] = field(default_factory=dict)
    _replicated: dict[tuple[str, ...], tuple[Histogram, tuple[Histogram, ...]]] = field(default_factory=dict)

    @classmethod
    def start(
        cls, template: GatingTemplate, sample: Sample, spillover: Spillover, *, name: str | None = None
    ) -> Resolution:
        """Begin with nothing gated; the sample is named after its file unless a name is given.

        Raises
        ------
        AmbiguousMarker
            One channel would serve as two of the template's markers.
        """
        check_distinct(template.spec, sample.panel, template.markers)
        return cls(template, sample, spillover, name or sample.path.stem, Members(sample.n_events))

    @cached_property
    def values(self) -> DisplayValues:
        """Display values of the sample."""
        return DisplayValues(self.sample, self.spillover)

    def run_wave(self, wave: int, pooled: Mapping[str, Fitted]) -> dict[str, Summary]:
        """Gate what this wave can, and return summaries for the fits the next wave waits for.

        Parameters
        ----------
        wave : int
            From 0 to ``template.n_waves - 1``.
        pooled : mapping
            Fits made since the last wave, by population, for this sample's groups.
        """
        self.place(wave, pooled)
        if wave + 1 == self.template.n_waves:
            self.judge()
        waiting = [s for s in self.template.populations if self.template.waves[s.id] == wave + 1 and pooled_scope(s)]
        return {s.id: summary for s in waiting if (summary := self._summary(s)) is not None}

    def place(self, wave: int, pooled: Mapping[str, Fitted]) -> None:
        """Gate what this wave can, without a word on how far the counts can be trusted."""
        for spec in self.template.populations:
            if self.template.waves[spec.id] == wave:
                self._add(*self._gate(spec, pooled.get(spec.id)))

    def judge(self) -> None:
        """Work out what the spreads of the gates leave open of every count, and flag those of which it is much.

        A step on the way has no count that anybody reads: what its gate does to those that rest on it is theirs to say.
        Where gates lean on those of other samples that is how they are judged: they may waver where it does not matter.
        The flag is about what these data leave open; what is told of a count has in it where others would place gates.
        """
        spreads = {fit.population: fit.threshold_spread for fit in self.fits}
        wider = {name: math.hypot(spread, self._opinion(name)) for name, spread in spreads.items()}
        populations = list(self.populations.values())
        self.gating_sd = gating_sd(self.values, populations, self.members, wider)
        if not self.template.lenders or not self._beyond_allowance(self.gating_sd):
            return  # what is not too much with both is not too much with one of them
        for name in self._beyond_allowance(gating_sd(self.values, populations, self.members, spreads)):
            population = self.populations[name]
            self.populations[name] = replace(population, flags=(*population.flags, "gating_uncertain"))

    def _beyond_allowance(self, sds: Mapping[str, float]) -> list[str]:
        """Return the populations, steps on the way aside, of whose events too many are in doubt."""
        return [
            name
            for name, sd in sds.items()
            if (rows := self.members.rows(name)) is not None
            and sd > allowance(len(rows))
            and not self.template.population(name).helper
        ]

    def _opinion(self, name: str) -> float:
        """How far apart two people would place a gate on a marker.

        Whether two cells passed together, and what a bead is, is asked of pulses and of raw light: no matter of degree.
        """
        gate, placed = self.template.population(name).gate, self.populations[name].gate
        if not isinstance(gate, FittedSpec) or gate.raw or not isinstance(placed, RectangleGate | PolygonGate):
            return 0.0
        roles = {
            self.sample.panel.detector(axis.detector).role for axis in placed.dimensions if isinstance(axis, Dimension)
        }
        return PLACEMENT if "fluorescence" in roles else 0.0

    def strategy(self) -> GatingStrategy:
        """Return the concrete gates found so far."""
        return GatingStrategy(
            template=self.template.reference,
            sample=self.name,
            sha256=self.sample.sha256,
            data_set=self.sample.data_set,
            spillover=self.spillover,
            populations=tuple(self.populations.values()),
        )

    def _add(self, population: Population, fit: GateFit | None) -> None:
        self.populations[population.id] = population
        if fit is not None:
            self.fits.append(fit)
        apply_gate(self.values, population, self.members)

    def _parent(self, spec: PopulationSpec) -> str | None:
        """Find the population that a gate is really applied to: past those that this tube lets be bypassed."""
        name = spec.parent
        while name is not None:
            parent = self.template.population(name)
            found = self.populations[name]
            if not (parent.bypass and (found.status == "not_in_panel" or found.gate == self._everything())):
                return name
            name = parent.parent
        return None

    def _gate(self, spec: PopulationSpec, pooled: Fitted | None) -> tuple[Population, GateFit | None]:
        parent = self._parent(spec)
        try:
            gate, status, flags, fit = self._place(spec, parent, pooled)
        except UnknownMarker as error:
            if not spec.optional:
                raise UnknownMarker(f"population {spec.id}: {error}") from None
            gate, status, flags, fit = None, "not_in_panel", (), None
            if isinstance(spec.gate, FittedSpec):
                fit = _row(spec, spec.gate, status, None, None, ())
        if gate is not None and self._tells_nothing(spec):
            status, flags = "not_interpretable", (*flags, "after_dose")
            fit = fit if fit is None else replace(fit, status=status)
        return Population(spec.id, spec.label, parent, gate, status, flags), fit

    def _tells_nothing(self, spec: PopulationSpec) -> bool:
        """Whether a dose was so lately that the population's marker answers to it."""
        when, day = spec.not_interpretable, self.setting.day_from_dose
        if when is None or day is None or day > when.days_after_dose:
            return False
        try:
            return when.unless is None or find_channel(self.template.spec, self.sample.panel, when.unless) is None
        except UnknownMarker:
            return True

    def _place(
        self, spec: PopulationSpec, parent: str | None, pooled: Fitted | None
    ) -> tuple[Gate | None, Status, tuple[str, ...], GateFit | None]:
        # Axes are looked up first of all: a marker that is missing is said whatever the parent is.
        gate, blocked = spec.gate, self._blocked(parent)
        if isinstance(gate, FittedSpec):
            dimensions = self.dimensions(gate)
            if blocked is not None:
                status, flags = blocked
                return None, status, flags, _row(spec, gate, status, None, None, flags)
            return self._place_fitted(spec, gate, dimensions, parent, pooled)
        if isinstance(gate, FixedSpec):
            fixed = self._fixed(gate)
            return (fixed, "ok", (), None) if blocked is None else (None, *blocked, None)
        if blocked is not None:
            return None, *blocked, None
        if isinstance(gate, QualitySpec):
            return self._on_time(gate.of), "ok", (), None
        if isinstance(gate, SameAsSpec):
            other = self.populations[gate.same_as]
            return other.gate, other.status, other.flags, None
        return self._boolean(gate)

    def _blocked(self, parent: str | None) -> tuple[Status, tuple[str, ...]] | None:
        """Status and flag of a population whose parent has no events to gate, None where it has."""
        if parent is None:
            return None
        status = self.populations[parent].status
        if self.members.rows(parent) is not None and status != "absent":
            return None
        return status, (f"parent_{status}",)

    def _boolean(self, gate: BooleanSpec) -> tuple[Gate | None, Status, tuple[str, ...], None]:
        wanted = [(name, negated) for name, negated in gate.operands if not (negated and self._is_nobody(name))]
        if not wanted or (gate.any_of and len(wanted) < len(gate.operands)):
            return self._everything(), "ok", (), None
        operands = [self.populations[name] for name, _ in wanted]
        worst = max(operands, key=lambda p: (p.gate is None, SEVERITY_ORDER.index(SEVERITY[p.status])))
        if worst.gate is None:
            return None, worst.status, (f"{worst.id}_{worst.status}",), None
        combined = tuple(Operand(name, negated) for name, negated in wanted)
        # "Not" an absent population is everything: nothing about that is absent.
        present = [
            p for p, (_, negated) in zip(operands, wanted, strict=True) if not (negated and p.status == "absent")
        ]
        ok: Status = "ok"
        status = max((p.status for p in present), key=lambda s: SEVERITY_ORDER.index(SEVERITY[s]), default=ok)
        flags = tuple(dict.fromkeys(flag for p in present for flag in p.flags))
        return BooleanGate("and" if gate.all_of else "or", combined), status, flags, None

    def _checked(self) -> Quality:
        if self.quality is None:
            self.quality = check_quality(self.sample, self.spillover, self.template.spec.quality)
        return self.quality

    def _on_time(self, of: str | None) -> PlacedGate:
        """Return the gate on time that a check of quality draws; all events where nothing speaks against them."""
        if of is None:
            return steady_gate(self.sample, self._checked()) or self._everything()
        self.quality, gate = settled_gate(self.sample, self._checked(), self.members.mask(of), of)
        return gate or self._everything()

    def _is_nobody(self, name: str) -> bool:
        """Whether a population is known to have no events, and has no gate that says so: "not" that is everything."""
        population = self.populations[name]
        return population.gate is None and population.status == "absent"

    def _everything(self) -> RectangleGate:
        """Return a gate without bounds, which holds all events of its parent."""
        first = self.sample.panel.channels[0]
        return RectangleGate(
            (Dimension(first.detector, first.marker, False, Linear(first.top, 0.0)),), (None,), (None,)
        )

    def _place_fitted(
        self,
        spec: PopulationSpec,
        gate: FittedSpec,
        dimensions: tuple[Dimension, ...],
        parent: str | None,
        pooled: Fitted | None,
    ) -> tuple[Gate | None, Status, tuple[str, ...], GateFit]:
        step, reasons = gate, list[str]()
        fitted = first = pooled if gate.scope != "sample" else self._own(spec.id, gate, dimensions, parent)
        if (prior := self.priors.get(spec.id)) is not None:
            return self._lean(spec, gate, dimensions, parent, first, prior)
        while fitted is None or not fitted.placement.placed:
            reasons.append(_why(step, fitted))
            if fitted is not None and fitted.placement.absent:
                flags = ("population_absent", *fitted.placement.flags)
                return None, "absent", flags, _row(spec, step, "absent", fitted, None, reasons)
            if isinstance(step.on_failure, FixedSpec):
                fixed = self._fixed(step.on_failure)
                return fixed, "fell_back", ("gate_fell_back",), _row(spec, gate, "fell_back", first, fixed, reasons)
            if isinstance(step.on_failure, str):
                status: Status = "absent" if step.on_failure == "absent" else "failed"
                return None, status, (f"gate_{status}",), _row(spec, gate, status, first, None, reasons)
            step = step.on_failure
            dimensions = self.dimensions(step)
            fitted = self._fit(step, dimensions, parent, forgiving=bool(gate.borrow))
        placed = make_gate(fitted.placement, dimensions)
        own = tuple(flag for flag in fitted.flags if not (gate.borrow and flag == "unstable_gate"))
        status, flags = "ok", (*own, *self._told(step=step))
        if step is not gate:
            few = bool(gate.borrow) and self._count(placed, parent)[0] < LEAST_POSITIVE
            status = "absent" if few or self._background_explains(placed, parent, step) else "fell_back"
            flags = (*flags, "population_absent" if status == "absent" else "gate_fell_back")
        return placed, status, flags, _row(spec, step, status, fitted, placed, reasons)

    def _own(
        self, population: str, gate: FittedSpec, dimensions: tuple[Dimension, ...], parent: str | None
    ) -> Fitted | None:
        """Fit a gate on this sample alone, or recall the fit that was made before others could lend."""
        if gate.control is not None and self._lacks(gate.dims[0]):
            gate = gate.control
            self.controls.add(population)
        fitted = self.own.get(population)
        if fitted is None:
            fitted = self._fit(gate, dimensions, parent, forgiving=bool(gate.borrow))
        if fitted is not None and not gate.raw:
            self.own[population], self.axes_of[population] = fitted, dimensions
        return fitted

    def _lacks(self, marker: str) -> bool:
        """Whether this tube was stained without a marker."""
        left_out = self.setting.left_out
        if left_out in (None, UNSTAINED):
            return left_out is not None
        panel = self.sample.panel
        if not panel.candidates(left_out):
            return False
        return panel.resolve(left_out).index == find_channel(self.template.spec, panel, marker).index

    def _lean(
        self,
        spec: PopulationSpec,
        gate: FittedSpec,
        dimensions: tuple[Dimension, ...],
        parent: str | None,
        own: Fitted | None,
        prior: Prior,
    ) -> tuple[Gate | None, Status, tuple[str, ...], GateFit]:
        """Place a gate between what this sample's data say and what other samples do."""
        known = own if own is not None and own.placement.placed else None
        found = shrink(None if known is None else Own(known.placement, known.spread), prior)
        placed = make_gate(found.placement, dimensions)
        # A threshold in an empty valley may lie anywhere in it: that others say where is nothing to tell.
        own_does = known is not None and (
            found.weight >= 0.5
            or not (prior.instead or self._matters(placed, make_gate(known.placement, dimensions), parent))
        )
        status: Status = "ok" if own_does or prior.source == FMO else "borrowed"
        flags = (() if known is None else known.placement.flags) + self._told(step=gate) + prior.flags
        if found.far and self._matters(placed, make_gate(prior.placement, dimensions), parent):
            flags = ("outlying_gate", *flags)
        if known is None and self._is_background(gate, placed, parent):
            status, flags = "absent", ("population_absent", *flags)
        row = _row(spec, gate, status, own, placed, [] if known is not None else [_why(gate, own)])
        diagnostics = {
            "leans_on": prior.source,
            "n_lenders": prior.n_lenders,
            "weight_own": round(found.weight, 3),
            "distance_from_others": None if math.isnan(found.distance) else round(found.distance, 2),
        }
        return (
            placed,
            status,
            flags,
            replace(row, threshold_spread=found.spread, diagnostics={**row.diagnostics, **diagnostics}),
        )

    def _is_background(self, gate: FittedSpec, placed: PlacedGate, parent: str | None) -> bool:
        """Whether a gate that the tube's own data do not place holds nothing but background."""
        reference = _known_negative(gate)
        if reference is None:
            return False
        return self._count(placed, parent)[0] < LEAST_POSITIVE or self._explained(placed, parent, reference)

    def _matters(self, gate: PlacedGate, other: PlacedGate, parent: str | None) -> bool:
        """Whether it makes a difference to the count which of two gates is taken."""
        (n, _), (n_other, _) = self._count(gate, parent), self._count(other, parent)
        return abs(n - n_other) > allowance(n)

    def _told(self, *, step: FittedSpec) -> tuple[str, ...]:
        return second_choices(self.template.spec, self.sample.panel, step.dims)

    def _fit(
        self, gate: FittedSpec, dimensions: tuple[Dimension, ...], parent: str | None, *, forgiving: bool
    ) -> Fitted | None:
        """Fit a gate on this sample alone. Gates on the same events and axes share a histogram and its replicates."""
        fitted_on = gate.fit_on if gate.fit_on is not None else parent
        detectors = (dimension.detector for dimension in dimensions)
        key = (fitted_on or "", *detectors, *(("raw", gate.method) if gate.raw else ()))
        if (coarser := find_method(gate.method).coarser) > 1:
            key = (*key, f"coarser {coarser}")
        if key not in self._replicated:
            histogram = self._histogram(gate, dimensions, parent)
            if histogram is None:
                return None
            rng = seed_for(self.sample.sha256, str(self.sample.data_set), *key)
            self._replicated[key] = (histogram, make_replicates(histogram, rng))
        return fit_histogram(gate, dimensions, *self._replicated[key], forgiving=forgiving)

    def _histogram(self, gate: FittedSpec, dimensions: tuple[Dimension, ...], parent: str | None) -> Histogram | None:
        rows = self.members.rows(gate.fit_on if gate.fit_on is not None else parent)
        if rows is None:
            return None
        values = self.values.of(dimensions, rows)
        if find_method(gate.method).lowest:
            return Histogram.of(values.min(axis=1, keepdims=True), [fit_axis("lowest", 1)])
        # Named by the template, not by the panel: samples that spell a marker differently still merge.
        axes = [fit_axis(marker, len(dimensions)) for marker in gate.dims]
        return Histogram.of(values, axes).coarser(find_method(gate.method).coarser)

    def _summary(self, spec: PopulationSpec) -> Summary | None:
        """Summary for a pooled fit; None where this sample has nothing to give to it."""
        gate = spec.gate
        assert isinstance(gate, FittedSpec)
        try:
            dimensions = self.dimensions(gate)
        except UnknownMarker:
            if not spec.optional:
                raise
            return None
        histogram = self._histogram(gate, dimensions, self._parent(spec))
        return None if histogram is None else Summary(histogram, dimensions)

    def _background_explains(self, gate: PlacedGate, parent: str | None, fallback: FittedSpec) -> bool:
        """Whether the events in a fallback gate are no more than its reference population lets expect.

        The reference (``fit_on`` of the fallback) is known to be negative; the share of it that lies in the gate, taken
        at its upper bound (n + 1) / (N + 1), is the background rate.
        """
        reference = _negative_of(fallback)
        return reference is not None and self._explained(gate, parent, reference)

    def _explained(self, gate: PlacedGate, parent: str | None, reference: str) -> bool:
        """Whether the events in a gate are no more than a population known to be negative lets expect."""
        if self.members.rows(reference) is None:
            return False
        n_inside, n_parent = self._count(gate, parent)
        n_background, n_reference = self._count(gate, reference)
        expected = n_parent * (n_background + 1) / (n_reference + 1)
        return n_inside <= poisson_quantile(ABSENT_PROBABILITY, expected)

    def _count(self, gate: RectangleGate | PolygonGate, population: str | None) -> tuple[int, int]:
        """Events of a population inside a gate, and in all."""
        rows = self.members.rows(population)
        assert rows is not None
        inside = gate.contains(self.values.of(gate.dimensions, rows))
        return int(inside.sum()), len(rows)

    def dimensions(self, gate: FittedSpec) -> tuple[Dimension, ...]:
        """Axes of a fitted gate: of ``dims``, or of the first of ``or_dims`` that the panel has."""
        for dims in (gate.dims, *gate.or_dims[:-1]) if gate.or_dims else ():
            try:
                return self.axes(dims, raw=gate.raw)
            except UnknownMarker:
                continue
        return self.axes((gate.dims, *gate.or_dims)[-1], raw=gate.raw)

    def axes(self, markers: Sequence[str], *, raw: bool) -> tuple[Dimension, ...]:
        """Axes for some markers: compensated, each on its own scale, or raw, and fluorescence on one scale."""
        if raw:
            return raw_dimensions(self.template.spec, self.sample, markers)
        return tuple(self.dimension(marker) for marker in markers)

    def dimension(self, marker: str) -> Dimension:
        """Axis for a marker, on this sample's own scale unless one was agreed on."""
        spec = self.template.spec
        if marker not in self.scales:
            self.scales[marker] = propose_scale(spec, self.sample, self.spillover, marker)
        return make_dimension(spec, self.sample.panel, self.spillover, marker, self.scales[marker])

    def _fixed(self, fixed: FixedSpec) -> RectangleGate | PolygonGate:
        """Return a fixed gate in display units; templates state scale values."""
        try:
            if fixed.polygon is not None:
                x, y = self.axes(fixed.polygon.dims, raw=fixed.raw)
                vertices = tuple(
                    (float(x.transform.apply(px)), float(y.transform.apply(py))) for px, py in fixed.polygon.vertices
                )
                return PolygonGate((x, y), vertices)
            bounds = fixed.range or fixed.rectangle or {}
            dimensions = self.axes(tuple(bounds), raw=fixed.raw)
            lower, upper = (
                tuple(_bound(d, pair[side]) for d, pair in zip(dimensions, bounds.values(), strict=True))
                for side in (0, 1)
            )
            return RectangleGate(dimensions, lower, upper)
        except ValueError as error:
            raise ConfigError(f"fixed gate, on the display scale: {error}.") from None


def _why(gate: FittedSpec, fitted: Fitted | None) -> str:
    """Say why a method did not place its gate."""
    if fitted is not None:
        return fitted.placement.reason
    nothing = f"no population {gate.fit_on}" if gate.scope == "sample" else "no sample of the group"
    return f"{nothing} to fit it on"


def _known_negative(gate: FittedSpec) -> str | None:
    """Return the population known to be negative that a fallback is fitted on."""
    return _negative_of(gate.on_failure) if isinstance(gate.on_failure, FittedSpec) else None


def _negative_of(gate: FittedSpec) -> str | None:
    """Return the population whose edge a gate is placed at; one that parts populations is fitted on both."""
    return gate.fit_on if find_method(gate.method).edge else None


def _row(
    spec: PopulationSpec,
    gate: FittedSpec,
    status: Status,
    fitted: Fitted | None,
    placed: RectangleGate | PolygonGate | None,
    reasons: Sequence[str],
) -> GateFit:
    """Row of the table ``gate_fits``: of the method used, or else of the first, and why those before it failed."""
    method = find_method(gate.method)
    diagnostics = dict(fitted.diagnostics) if fitted is not None else {}
    if reasons:
        diagnostics["reason"] = "; then ".join(reasons)
    return GateFit(
        population=spec.id,
        method=method.name,
        version=method.version,
        scope=gate.scope,
        status=status,
        n_fitted=fitted.n_fitted if fitted is not None else 0,
        thresholds=thresholds_of(placed) if placed is not None else {},
        threshold_spread=fitted.spread if fitted is not None and placed is not None else math.nan,
        diagnostics=diagnostics,
    )


def _bound(dimension: Dimension, value: float | None) -> float | None:
    """Return a bound in display units; zero on a log scale is no bound."""
    shown = None if value is None else float(dimension.transform.apply(value))
    return None if shown == -math.inf else shown
