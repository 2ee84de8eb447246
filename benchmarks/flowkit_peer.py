"""The same strategy in FlowKit, so that both packages do the same work on the same file."""

from __future__ import annotations

from pathlib import Path

import flowkit as fk

from nti7flow.events.transforms import Arcsinh, Linear, Log, Logicle, Transform
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import BooleanGate, PolygonGate, RectangleGate
from nti7flow.gating.strategy import GatingStrategy


def to_flowkit(strategy: GatingStrategy) -> fk.GatingStrategy:
    """Translate a strategy gate by gate."""
    peer = fk.GatingStrategy()
    if strategy.spillover.detectors:
        detectors = list(strategy.spillover.detectors)
        peer.add_comp_matrix("matrix", fk.Matrix(strategy.spillover.matrix, detectors=detectors))
    transforms: dict[str, str] = {}
    paths: dict[str | None, tuple[str, ...]] = {None: ("root",)}
    for population in strategy.populations:
        gate = population.gate
        if gate is None:
            continue
        if isinstance(gate, BooleanGate):
            references = [
                {"ref": o.population, "path": paths[o.population][:-1], "complement": o.negated} for o in gate.operands
            ]
            made = fk.gates.BooleanGate(population.id, gate.operator, references)
        else:
            bounds = zip(gate.lower, gate.upper, strict=True) if isinstance(gate, RectangleGate) else [(None, None)] * 2
            dimensions = [_dimension(peer, d, transforms, *b) for d, b in zip(gate.dimensions, bounds, strict=True)]
            if isinstance(gate, PolygonGate):
                made = fk.gates.PolygonGate(population.id, dimensions, list(gate.vertices))
            else:
                made = fk.gates.RectangleGate(population.id, dimensions)
        path = paths[population.parent]
        peer.add_gate(made, path)
        paths[population.id] = (*path, population.id)
    return peer


def _dimension(
    peer: fk.GatingStrategy, d: Dimension, transforms: dict[str, str], low: float | None, high: float | None
) -> fk.Dimension:
    key = repr(d.transform)
    if key not in transforms:
        transforms[key] = f"t{len(transforms)}"
        peer.add_transform(transforms[key], _transform(d.transform))
    matrix = "matrix" if d.compensated else "uncompensated"
    return fk.Dimension(d.detector, matrix, transforms[key], range_min=low, range_max=high)


def _transform(t: Transform) -> object:
    if isinstance(t, Logicle):
        return fk.transforms.LogicleTransform(t.t, t.w, t.m, t.a)
    if isinstance(t, Linear):
        return fk.transforms.LinearTransform(t.t, t.a)
    if isinstance(t, Log):
        return fk.transforms.LogTransform(t.t, t.m)
    assert isinstance(t, Arcsinh)
    return fk.transforms.AsinhTransform(t.t, t.m, t.a)


def count(path: Path, peer: fk.GatingStrategy) -> dict[str, int]:
    """Read the file and count every population, as a FlowKit user would."""
    results = peer.gate_sample(fk.Sample(path))
    report = results.report
    return dict(zip(report["gate_name"], report["count"], strict=True))
