"""One fitted gate: place it, see how firmly the data hold it, and say so."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import PlacedGate, PolygonGate, RectangleGate
from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.registry import Method, Parameters, Placement
from nti7flow.gating.strategy import Status

#: Poisson replicates of the fitted histogram from which the spread of a gate is read.
N_REPLICATES = 20
#: A gate that fewer of its replicates than this can place at all is not held by the data.
LEAST_PLACED = 0.75
#: Events that may change sides before a share is reckoned: in a small population each is a large one.
FORGIVEN = 2


@dataclass(frozen=True, slots=True)
class GateFit:
    """What a fit found: one row of the table ``gate_fits``.

    ``threshold_spread`` is the standard deviation of the threshold over Poisson replicates of the data, display units
    (for an outline, the root mean square over its points); NaN where there is no gate.
    """

    population: str
    method: str
    version: int
    scope: str
    status: Status
    n_fitted: int
    thresholds: Mapping[str, Any]
    threshold_spread: float
    diagnostics: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A placement judged by its replicates."""

    placement: Placement
    n_fitted: int
    spread: float
    flags: tuple[str, ...]
    diagnostics: Mapping[str, Any]


def seed_for(*parts: str) -> np.random.Generator:
    """Return a generator that depends on what is fitted (files, parent, axes) and on nothing else."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def make_replicates(histogram: Histogram, rng: np.random.Generator) -> tuple[Histogram, ...]:
    """Poisson replicates of a histogram; gates fitted on the same histogram share them."""
    return histogram.replicates(rng, N_REPLICATES)


def fit_gate(
    histogram: Histogram,
    method: Method,
    parameters: Parameters,
    dimensions: tuple[Dimension, ...],
    replicates: Sequence[Histogram],
    *,
    tolerance: float,
    forgiving: bool = False,
) -> Fitted:
    """Place a gate and judge it by Poisson replicates of the histogram (see `make_replicates`).

    ``tolerance`` is the share of the population that may change sides between replicates before the gate is for
    review; at twice that it counts as not placed. ``forgiving`` leaves out of that share as many events as counting
    itself leaves open (the square root): for gates whose counts are judged one by one.
    """
    placement = method.fit(histogram, parameters)
    if not placement.placed:
        return Fitted(placement, histogram.n_events, math.nan, (), dict(placement.diagnostics))
    cells, counts = histogram.cells()
    axes = dimensions[: len(histogram.axes)]  # a bound on the lowest of several values is judged on one axis
    inside = make_gate(placement, axes).contains(cells)
    n_inside = int(counts[inside].sum())
    again = [method.fit(replicate, parameters) for replicate in replicates]
    placed = [r for r in again if r.placed]
    moved = [int(counts[inside != make_gate(r, axes).contains(cells)].sum()) for r in placed]
    typical = float(np.mean(moved)) if moved else math.inf
    forgiven = max(FORGIVEN, math.sqrt(n_inside)) if forgiving else FORGIVEN
    share = max(typical - forgiven, 0.0) / max(n_inside, 1)
    diagnostics = {
        **placement.diagnostics,
        "replicates_placed": len(placed),
        "events_moved": None if math.isinf(typical) else round(typical, 1),
        "events_inside": n_inside,
    }
    reason, absent = "", False
    if len(placed) < LEAST_PLACED * len(replicates):
        reason = f"only {len(placed)} of {len(replicates)} replicates of the data place it"
        absent = all(r.placed or r.absent for r in again)
    elif share > 2 * tolerance:
        reason = f"{100 * min(share, 1):.0f} % of its events change sides between replicates of the data"
    if reason:
        why = dict.fromkeys(flag for r in again if absent and r.absent for flag in r.flags)
        refused = Placement(reason=reason, absent=absent, flags=tuple(why))
        return Fitted(refused, histogram.n_events, math.nan, (), diagnostics)
    flags = placement.flags + (("unstable_gate",) if share > tolerance else ())
    return Fitted(placement, histogram.n_events, _spread(placement, placed), flags, diagnostics)


def _spread(placement: Placement, replicates: list[Placement]) -> float:
    if placement.vertices is not None:
        home = np.array(placement.vertices)
        offsets = [np.array(r.vertices) - home for r in replicates if r.vertices and len(r.vertices) == len(home)]
        return float(np.sqrt(np.mean([(offset**2).sum(axis=1).mean() for offset in offsets]))) if offsets else math.nan
    bounds = [b for r in replicates for b in (r.lower, r.upper) if b is not None]
    return float(np.std(bounds))


def make_gate(placement: Placement, dimensions: tuple[Dimension, ...]) -> PlacedGate:
    """Return the plain geometry of a placement."""
    if placement.vertices is not None:
        return PolygonGate((dimensions[0], dimensions[1]), placement.vertices)
    n = len(dimensions)
    return RectangleGate(dimensions, (placement.lower,) * n, (placement.upper,) * n)


def thresholds_of(gate: PlacedGate) -> dict[str, Any]:
    """Bounds by marker, or the outline, in display units and (for bounds) scale values."""
    if isinstance(gate, PolygonGate):
        x, y = gate.dimensions
        return {"x": x.title, "y": y.title, "vertices": [[round(a, 4), round(b, 4)] for a, b in gate.vertices]}
    out: dict[str, Any] = {}
    for dimension, low, high in zip(gate.dimensions, gate.lower, gate.upper, strict=True):
        bounds = {"lower": low, "upper": high}
        shown = {side: bound for side, bound in bounds.items() if bound is not None}
        scale = {f"{side}_scale": float(dimension.transform.inverse(bound)) for side, bound in shown.items()}
        out[dimension.title] = {**shown, **scale}
    return out
