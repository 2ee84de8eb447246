"""``export_thresholds``: where every gate of a run lies, as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

from nti7flow.errors import StoreError
from nti7flow.events.transforms import Linear, Transform
from nti7flow.exports.samples import check_gated, out_folder, wanted_samples, write_new
from nti7flow.gating.dimensions import AnyDimension, Dimension
from nti7flow.gating.gates import (
    BooleanGate,
    EllipsoidGate,
    GeometricGate,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.strategy import Population
from nti7flow.study.store import Run
from nti7flow.study.tables import Column, Table, arrow_table, csv_text

THRESHOLDS = Table(
    "thresholds",
    "Where every gate lies: one row for each of its axes, or one for a population that has none.",
    (
        Column("sample", "text", "", "Name of the acquired tube.", key=True),
        Column("population", "text", "", "Id of the population, as in counts.", key=True),
        Column("label", "text", "", "Name of the population for people."),
        Column("path", "text", "", "Populations from all events down to this one."),
        Column("parent", "text", "", "Population the gate was applied to; root is all events."),
        Column("gate", "text", "", "Kind: rectangle (with one axis: a range), polygon, ellipsoid, quadrant, boolean; "
               "'outside' before it for the events outside. Empty where the population has no gate."),
        Column("axis", "integer", "", "Number of the axis within the gate, from 1.", key=True),
        Column("dimension", "text", "", "Marker, or detector where there is none; a ratio as numerator / denominator."),
        Column("detector", "text", "", "Detector ($PnN); of a ratio both."),
        Column("compensated", "text", "", "Whether the values are compensated: yes or no."),
        Column("matrix", "text", "", "Matrix of the strategy that compensates them; empty is the tube's own."),
        Column("scale", "text", "", "Display scale and its parameters; 'scale values' where there is none."),
        Column("lower", "number", "display units", "Lower bound, inclusive; empty where there is none."),
        Column("upper", "number", "display units", "Upper bound, exclusive; empty where there is none."),
        Column("lower_scale", "number", "scale values", "The lower bound as a scale value: compensated, not scaled."),
        Column("upper_scale", "number", "scale values", "The upper bound as a scale value."),
        Column("vertices", "json", "", "Of a polygon the vertices along this axis, in order: display and scale values. "
               "Of an ellipsoid its centre, the row of its covariance matrix, and the square of its distance."),
        Column("combines", "text", "", "Of a boolean gate what it combines: all of, or any of, other populations."),
        Column("status", "text", "", "As in counts."),
        Column("flags", "text", "", "As in counts."),
        Column("severity", "text", "", "As in counts."),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ThresholdsReport:
    """What an export did: the table, how many samples and rows it has, and why each other sample is not in it.

    ``path`` is None where no sample has gates and no table was written.
    """

    path: Path | None
    n_samples: int
    n_rows: int
    refused: Mapping[str, str]


def export_thresholds(
    run: Run,
    out: str | Path,
    *,
    samples: Iterable[str] | None = None,
    done: Callable[[str], None] = lambda sample: None,
) -> ThresholdsReport:
    """Write where every gate of every sample of a run lies as a table, ``thresholds.csv``.

    Bounds stand both in display units, on the scale that the gate was drawn on, and as scale values, which compare
    between samples whose scales differ. Text that a spreadsheet would run as a formula starts with an apostrophe.

    Parameters
    ----------
    run : Run
        The run, from `open_run`.
    out : str or Path
        Folder for the table, made if need be. A table that is there already is never replaced.
    samples : iterable of str, optional
        Samples to export; all of the run by default.
    done : callable
        Told the name of each sample that is finished.

    Returns
    -------
    ThresholdsReport
        Where the table is, and the samples that were refused, each with the reason.

    Raises
    ------
    ConfigError
        The run has no such sample, or ``out`` is no folder.
    StoreError
        The table is there already, or cannot be written.

    Examples
    --------
    >>> import nti7flow as nf
    >>> run = nf.open_run("runs/first")  # doctest: +SKIP
    >>> nf.export_thresholds(run, "for_the_report").path  # doctest: +SKIP
    """
    path = out_folder(out) / f"{THRESHOLDS.name}.csv"
    counts = {(row["sample"], row["population"]): row for row in run.arrow("counts").to_pylist()}
    rows: list[dict[str, Any]] = []
    gated: list[str] = []
    refused: dict[str, str] = {}
    for sample in wanted_samples(run, samples):
        try:
            rows += _rows(run, sample, counts)
            gated.append(sample)
        except StoreError as error:
            refused[sample] = str(error)
        done(sample)
    if not gated:
        return ThresholdsReport(None, 0, 0, refused)
    try:
        write_new(path, csv_text(arrow_table(THRESHOLDS, rows)).encode())
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}.") from None
    return ThresholdsReport(path, len(gated), len(rows), refused)


def _rows(run: Run, sample: str, counts: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of one sample, or raise saying why it has none."""
    check_gated(run, sample)
    copied = ("path", "parent", "status", "flags", "severity")
    for population in run.strategy(sample).populations:
        count = counts[sample, population.id]
        of_population = {"sample": sample, "population": population.id, "label": population.label}
        for of_axis in _axes(population):
            yield of_population | {name: count[name] for name in copied} | of_axis


def _axes(population: Population) -> Iterator[dict[str, Any]]:
    gate = population.gate
    if gate is None:
        yield {"gate": ""}
    elif isinstance(gate, BooleanGate):
        parts = ", ".join(f"not {o.population}" if o.negated else o.population for o in gate.operands)
        several = f"{'all' if gate.operator == 'and' else 'any'} of " if len(gate.operands) > 1 else ""
        yield {"gate": "boolean", "combines": several + parts}
    else:
        for number, dimension in enumerate(gate.dimensions):
            yield {"gate": _kind(gate), "axis": number + 1, **_axis(dimension), **_place(gate, number)}


def _kind(gate: GeometricGate) -> str:
    kinds = {RectangleGate: "rectangle", PolygonGate: "polygon", EllipsoidGate: "ellipsoid", QuadrantGate: "quadrant"}
    return ("outside " if getattr(gate, "complement", False) else "") + kinds[type(gate)]


def _axis(dimension: AnyDimension) -> dict[str, Any]:
    compensated = isinstance(dimension, Dimension) and dimension.compensated
    return {
        "dimension": dimension.title,
        "detector": " / ".join(dimension.detectors),
        "compensated": "yes" if compensated else "no",
        "matrix": dimension.matrix if isinstance(dimension, Dimension) else "",
        "scale": _scale(dimension.transform),
    }


def _scale(transform: Transform) -> str:
    """Return a scale in words, such as ``logicle t 262144, w 0.5, m 4.5, a 0``."""
    if transform == Linear(1.0, 0.0):
        return "scale values"
    parameters: Any = transform
    numbers = (f"{f.name} {float(getattr(transform, f.name))!r}".removesuffix(".0") for f in fields(parameters))
    return f"{transform.kind} {', '.join(numbers)}"


def _place(gate: GeometricGate, number: int) -> dict[str, Any]:
    """Where a gate lies along one of its axes."""
    transform = gate.dimensions[number].transform
    if isinstance(gate, RectangleGate | QuadrantGate):
        low, high = gate.lower[number], gate.upper[number]
        scale = {
            f"{side}_scale": None if bound is None else _scale_values(transform, [bound])[0]
            for side, bound in (("lower", low), ("upper", high))
        }
        return {"lower": low, "upper": high, **scale}
    if isinstance(gate, PolygonGate):
        display = [vertex[number] for vertex in gate.vertices]
        return {"vertices": _json({"display": display, "scale": _scale_values(transform, display)})}
    centre = gate.mean[number]
    ellipsoid = {
        "centre": centre,
        "centre_scale": _scale_values(transform, [centre])[0],
        "covariance": list(gate.covariance[number]),
        "distance_square": gate.distance_square,
    }
    return {"vertices": _json(ellipsoid)}


def _scale_values(transform: Transform, display: Sequence[float]) -> list[float]:
    return [float(value) for value in transform.inverse(list(display))]


def _json(value: dict[str, Any]) -> str:
    """JSON text; what is no finite number (far beyond the top of a scale) is null."""

    def finite(part: Any) -> Any:
        if isinstance(part, list):
            return [finite(item) for item in part]
        return part if isfinite(part) else None

    return json.dumps({key: finite(part) for key, part in value.items()})
