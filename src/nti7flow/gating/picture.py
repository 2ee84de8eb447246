"""What a picture of a gate needs, without the events: a sparse two-dimensional histogram of the parent's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import UnknownMarker
from nti7flow.gating.gates import BooleanGate, Dimension
from nti7flow.gating.histogram import Axis, Histogram
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.specs import FittedSpec, PopulationSpec
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
    x, y : Dimension
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
    x: Dimension
    y: Dimension
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
        x, y = (Dimension.from_dict(axes[name]) for name in ("x", "y"))
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
    groups: dict[tuple[str | None, str, str], list[str]] = {}
    axes: dict[tuple[str | None, str, str], tuple[Dimension, Dimension]] = {}
    for spec in resolution.template.populations:
        population = resolution.populations[spec.id]
        dimensions = _plot_dimensions(resolution, spec)
        if (
            dimensions is None
            or population.status == "not_in_panel"
            or resolution.members.rows(population.parent) is None
        ):
            continue
        key = (population.parent, dimensions[0].detector, dimensions[1].detector)
        groups.setdefault(key, []).append(spec.id)
        axes[key] = dimensions
    panels = []
    for key, populations in groups.items():
        rows = resolution.members.rows(key[0])
        assert rows is not None
        panels.append(panel_of(resolution.values, key[0], rows, axes[key], populations))
    return panels


def _plot_dimensions(resolution: Resolution, spec: PopulationSpec) -> tuple[Dimension, Dimension] | None:
    """Axes a population is drawn on: those of the template, else its gate's, else its marker against side scatter."""
    gate = resolution.populations[spec.id].gate
    try:
        if spec.plot is not None:
            return resolution.dimension(spec.plot[0]), resolution.dimension(spec.plot[1])
        if gate is None and isinstance(spec.gate, FittedSpec):
            dimensions = resolution.dimensions(spec.gate)
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
    dimensions: tuple[Dimension, Dimension],
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
    dimensions : tuple of Dimension
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
