"""A strategy made elsewhere meets a tube: the names in its gates become detectors of the panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nti7flow.errors import AmbiguousMarker, UnknownMarker, did_you_mean, printable
from nti7flow.events.sample import Sample
from nti7flow.events.spectrum import Matrix, SpectrumMatrix
from nti7flow.gating.dimensions import AnyDimension, Dimension, RatioDimension
from nti7flow.gating.gates import BooleanGate, Gate, GeometricGate, with_dimensions

#: Missing names that are listed; a strategy for another panel lacks them all.
LISTED = 12


def find_detectors(sample: Sample, names: Iterable[str]) -> dict[str, str]:
    """Find the detector ($PnN) that each name of a strategy means.

    A name is a $PnN as written; else the $PnS of exactly one channel; else a $PnN that FlowJo wrote with ``_`` for
    ``/``. Unlike a template's markers, names are not interpreted: a strategy must not be applied to a channel that it
    does not name.

    Raises
    ------
    UnknownMarker
        Some names are of no channel; lists all of them.
    AmbiguousMarker
        A name is the $PnS of several channels.
    """
    detectors = [channel.detector for channel in sample.panel.channels]
    labels: dict[str, list[str]] = {}
    slashes: dict[str, list[str]] = {}
    for channel in sample.panel.channels:
        label = sample.keywords.get(f"$P{channel.index + 1}S", "").strip()
        if label:
            labels.setdefault(label, []).append(channel.detector)
        slashes.setdefault(channel.detector.replace("/", "_"), []).append(channel.detector)
    known, found, missing = set(detectors), dict[str, str](), list[str]()
    for name in dict.fromkeys(names):
        candidates = [name] if name in known else labels.get(name) or slashes.get(name, [])
        if len(candidates) > 1:
            raise AmbiguousMarker(
                f"{sample.path}: the strategy gates on {name}, which could be {' or '.join(candidates)}. Name the "
                "detector in the strategy."
            )
        if candidates:
            found[name] = candidates[0]
        else:
            missing.append(name)
    if missing:
        listed = ", ".join(missing[:LISTED]) + (f" and {len(missing) - LISTED} more" if len(missing) > LISTED else "")
        raise UnknownMarker(
            f"{sample.path}: the strategy gates on {printable(listed)}, which the tube does not have; it has "
            f"{printable(', '.join(detectors))}." + did_you_mean(missing[0], [*detectors, *labels])
        )
    return found


def check_dyes(sample: Sample, dimensions: Iterable[AnyDimension]) -> None:
    """Refuse a dimension that is named by its dye (kept as its marker) where a channel of the tube is called so too.

    Raises
    ------
    AmbiguousMarker
        Names the dye, and both channels.
    """
    for dimension in dimensions:
        if not isinstance(dimension, Dimension) or not dimension.matrix or not dimension.marker:
            continue
        try:
            other = find_detectors(sample, [dimension.marker])[dimension.marker]
        except UnknownMarker:
            continue
        if other != dimension.detector:
            raise AmbiguousMarker(
                f"{sample.path}: the strategy gates on {printable(dimension.marker)}, a dye that its matrix reads in "
                f"{dimension.detector}; in the tube {other} is called so. Name the detector in the strategy."
            )


def rename_channels(
    gate: Gate | None, sample: Sample, detectors: Mapping[str, str], matrices: Mapping[str, Matrix]
) -> Gate | None:
    """Return a gate whose dimensions name detectors of the panel, and their markers."""
    if gate is None or isinstance(gate, BooleanGate):
        return gate
    names = {d.detector: detectors[d.detector] for d in gate.dimensions if isinstance(d, Dimension)}
    if len(set(names.values())) < len(names):
        raise AmbiguousMarker(
            f"{sample.path}: two axes of a gate, {printable(' and '.join(names))}, are one channel of the tube. Name "
            "different channels in the strategy."
        )
    _check_alias(gate, sample, names, matrices)
    return with_dimensions(gate, [_rename(dimension, sample, detectors) for dimension in gate.dimensions])


def rename_detectors(matrix: Matrix, sample: Sample) -> Matrix:
    """Return a matrix that names the detectors of a tube where FlowJo wrote ``_`` for ``/``."""
    known = {channel.detector for channel in sample.panel.channels}
    slashed: dict[str, list[str]] = {}
    for detector in known:
        slashed.setdefault(detector.replace("/", "_"), []).append(detector)

    def found(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(slashed[n][0] if n not in known and len(slashed.get(n, ())) == 1 else n for n in names)

    if isinstance(matrix, SpectrumMatrix):
        return replace(matrix, detectors=found(matrix.detectors), outputs=found(matrix.outputs))
    return replace(matrix, detectors=found(matrix.detectors))


def _check_alias(gate: GeometricGate, sample: Sample, names: Mapping[str, str], matrices: Mapping[str, Matrix]) -> None:
    """Refuse a raw axis named by its marker where a matrix of the same gate covers its channel.

    FlowKit would compensate it. That the matrix covers it could not be seen before the tube was known.
    """
    axes = [d for d in gate.dimensions if isinstance(d, Dimension)]
    covered = {name for d in axes if d.compensated and d.matrix in matrices for name in matrices[d.matrix].outputs}
    for axis in axes:
        detector = names[axis.detector]
        if not axis.compensated and detector != axis.detector and detector in covered:
            raise AmbiguousMarker(
                f"{sample.path}: a gate takes {printable(axis.detector)} ({detector}) raw and another axis compensated "
                "by a matrix that covers it, and FlowKit would compensate both. Split the gate in the strategy."
            )


def _rename(dimension: AnyDimension, sample: Sample, detectors: Mapping[str, str]) -> AnyDimension:
    if isinstance(dimension, RatioDimension):
        x, y = (detectors[name] for name in dimension.detectors)
        return replace(dimension, numerator=x, denominator=y)
    detector = detectors[dimension.detector]
    return replace(dimension, detector=detector, marker=sample.panel.detector(detector).marker)
