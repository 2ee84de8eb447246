"""What a picture of a gate needs, without the events: a sparse two-dimensional histogram of the parent's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import UnknownMarker
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import AnyDimension, Dimension, dimension_from_dict
from nti7flow.gating.gates import BooleanGate
from nti7flow.gating.histogram import Axis, Histogram
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.specs import BooleanSpec, FittedSpec, PopulationSpec
from nti7flow.gating.strategy import GatingStrategy, Members, Population
from nti7flow.gating.values import DisplayValues

N_BINS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Panel2D:
    """One density plot: events of one population on two axes, and the populations gated on it.

    Attributes
    ----------
    parent : str or None
        Whose events are shown; None is all events.
    populations : tuple of str
        Ids of the populations whose gates are drawn here, in template order.
    x, y : AnyDimension
        Channel and transform of each axis.
    x_axis, y_axis : Axis
        Bins in display units.
    cells : ndarray of int32, shape (n_occupied,)
        Flat index ``ix * y_axis.n_bins + iy`` of every bin that holds events, ascending.
    counts : ndarray of int32, shape (n_occupied,)
        Events in those bins.
    """

    parent: str | None
    populations: tuple[str, ...]
    x: AnyDimension
    y: AnyDimension
    x_axis: Axis
    y_axis: Axis
    cells: NDArray[np.int32]
    counts: NDArray[np.int32]

    def dense(self) -> NDArray[np.int64]:
        """Return counts on the full grid, shape (n_bins_x, n_bins_y)."""
        grid = np.zeros(self.x_axis.n_bins * self.y_axis.n_bins, np.int64)
        grid[self.cells] = self.counts
        return grid.reshape(self.x_axis.n_bins, self.y_axis.n_bins)

    def axes_to_dict(self) -> dict[str, Any]:
        """Axes as plain values, ready for JSON."""
        return {
            name: {**dimension.to_dict(), "low": axis.low, "high": axis.high, "n_bins": axis.n_bins}
            for name, dimension, axis in (("x", self.x, self.x_axis), ("y", self.y, self.y_axis))
        }

    @classmethod
    def from_parts(
        cls,
        parent: str | None,
        populations: Sequence[str],
        axes: Mapping[str, Any],
        cells: NDArray[np.int32],
        counts: NDArray[np.int32],
    ) -> Panel2D:
        """Rebuild from `axes_to_dict` and the stored arrays."""
        x, y = (dimension_from_dict(axes[name]) for name in ("x", "y"))
        x_axis, y_axis = (
            Axis(dimension.title, axes[name]["low"], axes[name]["high"], axes[name]["n_bins"])
            for name, dimension in (("x", x), ("y", y))
        )
        return cls(parent, tuple(populations), x, y, x_axis, y_axis, cells, counts)


def make_panels(resolution: Resolution) -> list[Panel2D]:
    """Histograms for all density plots of a gated sample; gates of one parent on the same axes share one.

    A gate that could not be placed is no reason not to look: its plot is made all the same, where its parent has
    events.
    """
    populations = (resolution.populations[spec.id] for spec in resolution.template.populations)
    plots = zip(
        populations, (_plot_dimensions(resolution, spec) for spec in resolution.template.populations), strict=True
    )
    return _panels(resolution.values, resolution.members, plots)


def strategy_panels(values: DisplayValues, members: Members, strategy: GatingStrategy) -> list[Panel2D]:
    """Histograms for the density plots of a strategy: each gate on its first two dimensions.

    A gate in one dimension is drawn against side scatter, or against the first other channel there is.
    """
    scatter = [channel for channel in values.sample.panel.channels if channel.role != "time"]
    scatter.sort(key=lambda channel: "SSC" not in channel.targets)
    plots: list[tuple[Population, tuple[AnyDimension, AnyDimension] | None]] = []
    for population in strategy.populations:
        if population.gate is None or isinstance(population.gate, BooleanGate):
            plots.append((population, None))
            continue
        first, *others = population.gate.dimensions
        other = next((d for d in others if d.axis != first.axis), None)
        for channel in scatter:
            if other is None and channel.detector not in first.detectors:
                other = Dimension(channel.detector, channel.marker, False, Linear(channel.top, 0.0))
        plots.append((population, None if other is None else (first, other)))
    return _panels(values, members, plots)


def _panels(
    values: DisplayValues,
    members: Members,
    plots: Iterable[tuple[Population, tuple[AnyDimension, AnyDimension] | None]],
) -> list[Panel2D]:
    groups: dict[tuple[object, ...], list[str]] = {}
    shown: dict[tuple[object, ...], tuple[str | None, tuple[AnyDimension, AnyDimension]]] = {}
    for population, dimensions in plots:
        if dimensions is None or population.status == "not_in_panel" or members.rows(population.parent) is None:
            continue
        key: tuple[object, ...] = (population.parent, dimensions[0].axis, dimensions[1].axis)
        groups.setdefault(key, []).append(population.id)
        shown[key] = (population.parent, dimensions)
    panels = []
    for plot, populations in groups.items():
        parent, dimensions = shown[plot]
        rows = members.rows(parent)
        assert rows is not None
        panels.append(panel_of(values, parent, rows, dimensions, populations))
    return panels


def _plot_dimensions(resolution: Resolution, spec: PopulationSpec) -> tuple[AnyDimension, AnyDimension] | None:
    """Axes a population is drawn on: those of the template, else its gate's, else its marker against side scatter."""
    gate = resolution.populations[spec.id].gate
    try:
        if spec.plot is not None:
            x, y = resolution.axes(spec.plot, raw=spec.raw)
            return x, y
        if isinstance(spec.gate, BooleanSpec):
            return None
        if gate is None and isinstance(spec.gate, FittedSpec):
            dimensions: tuple[AnyDimension, ...] = resolution.dimensions(spec.gate)
        elif gate is None or isinstance(gate, BooleanGate):
            return None
        else:
            dimensions = gate.dimensions
        return dimensions[0], dimensions[1] if len(dimensions) > 1 else resolution.dimension("SSC")
    except UnknownMarker:
        return None


def panel_of(
    values: DisplayValues,
    parent: str | None,
    rows: NDArray[np.intp],
    dimensions: tuple[AnyDimension, AnyDimension],
    populations: Sequence[str],
) -> Panel2D:
    """Return the histogram of some events of a sample on two axes.

    Parameters
    ----------
    values : DisplayValues
        Of the sample.
    parent : str or None
        Name of the events shown.
    rows : ndarray of int, shape (n_events,)
        Which they are.
    dimensions : tuple of AnyDimension
        x and y.
    populations : sequence of str
        Populations whose gates are to be drawn.
    """
    xy = values.of(dimensions, rows)
    x_axis, y_axis = (_axis(d.title, xy[:, i]) for i, d in enumerate(dimensions))
    counts = Histogram.of(xy, (x_axis, y_axis)).counts.ravel()
    cells = np.flatnonzero(counts).astype(np.int32)
    return Panel2D(parent, tuple(populations), *dimensions, x_axis, y_axis, cells, counts[cells].astype(np.int32))


def _axis(name: str, values: NDArray[np.float64]) -> Axis:
    """Bins over the range in which all but one in a thousand events lie at either end, and a little more."""
    finite = values[np.isfinite(values)]
    low, high = np.quantile(finite, (0.001, 0.999)) if finite.size else (0.0, 1.0)
    margin = 0.05 * float(high - low) or 0.03
    return Axis(name, float(low) - margin, float(high) + margin, N_BINS)
