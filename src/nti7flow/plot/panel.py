"""One density plot: axes, events, gates. The same for a gating tree and for exploration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.gates import Dimension
from nti7flow.gating.picture import Panel2D
from nti7flow.plot.labels import Label, draw_labels
from nti7flow.plot.outlines import Box, Outline
from nti7flow.plot.placing import Rect
from nti7flow.plot.style import ALERT, AXIS, FRAME, INK, MUTED, PANEL_TITLE, SMALL, TICK, font, halo
from nti7flow.plot.text import renderer_of, shorten, size_of
from nti7flow.plot.ticks import make_ticks
from nti7flow.plot.view import Density, View, axis_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nti7flow.gating.strategy import Population


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above a plot: whose events, and how many."""

    name: str
    detail: str


def draw_panel(
    figure: Figure, frame: Rect, panel: Panel2D, heading: Heading, outlines: Sequence[Outline], labels: Mapping[str, Label]
) -> tuple[Axes, list[Population]]:
    """Draw a panel into a frame (inches from the figure's lower left corner).

    Returns
    -------
    Axes
        What was drawn.
    list of Population
        Those whose label found no room.
    """
    view = view_of(panel, outlines)
    axes = _axes(figure, frame)
    axes.set_xlim(*view.x)
    axes.set_ylim(*view.y)
    density = Density.of(panel)
    extent = (panel.x_axis.low, panel.x_axis.high, panel.y_axis.low, panel.y_axis.high)
    axes.imshow(
        density.image(), origin="lower", extent=extent, aspect="auto", interpolation="bilinear", interpolation_stage="rgba", zorder=1
    )
    axes.set_xlim(*view.x)
    axes.set_ylim(*view.y)
    _draw_ticks(axes, panel, view)
    _draw_names(axes, panel, heading)
    for outline in outlines:
        _draw_gate(axes, outline, view)
    unplaced = draw_labels(axes, panel, view, density, outlines, labels)
    if not panel.counts.size:
        axes.text(0.5, 0.5, "no events", transform=axes.transAxes, font_properties=font(AXIS), color=MUTED, ha="center", va="center")
    return axes, unplaced


def view_of(panel: Panel2D, outlines: Sequence[Outline]) -> View:
    """Limits of a panel that show its events and its gates."""
    dense = panel.dense()
    return View(
        axis_limits(panel.x_axis, dense.sum(axis=1), panel.x.transform, _marks(outlines, 0)),
        axis_limits(panel.y_axis, dense.sum(axis=0), panel.y.transform, _marks(outlines, 1)),
    )


def _marks(outlines: Sequence[Outline], axis: int) -> Iterator[float]:
    """Bounds of boxes; polygons lie where the events are, or are open ended and need not be seen to their end."""
    for outline in outlines:
        if isinstance(outline.shape, Box):
            yield from (bound for bound in (outline.shape.x, outline.shape.y)[axis] if bound is not None)


def _axes(figure: Figure, frame: Rect) -> Axes:
    width, height = figure.get_size_inches()
    size = (frame.right - frame.left) / width, (frame.top - frame.bottom) / height
    axes = figure.add_axes((frame.left / width, frame.bottom / height, *size), facecolor="white")
    axes.grid(visible=False, which="both")
    for spine in axes.spines.values():
        spine.set(color=FRAME, linewidth=0.8, visible=True)
    return axes


def _draw_ticks(axes: Axes, panel: Panel2D, view: View) -> None:
    for axis, dimension, limits in ((axes.xaxis, panel.x, view.x), (axes.yaxis, panel.y, view.y)):
        ticks = make_ticks(dimension.transform, *limits)
        axis.set_ticks(ticks.major, labels=ticks.labels, font_properties=font(TICK), color=INK)
        axis.set_ticks(ticks.minor, minor=True)
    look = {"direction": "out", "color": FRAME, "bottom": True, "left": True, "top": False, "right": False}
    axes.tick_params(which="major", length=5, width=0.8, pad=3, labelbottom=True, labelleft=True, **look)
    axes.tick_params(which="minor", length=2.5, width=0.6, **look)


def _draw_names(axes: Axes, panel: Panel2D, heading: Heading) -> None:
    """Parent above, marker with its detector on each axis: the name, and beside it the detail, smaller."""
    _pair(axes, heading.name, "· " + heading.detail, y_px=9, centred=False)
    _pair(axes, *_axis_name(panel.x), y_px=-44)
    _pair(axes, *_axis_name(panel.y), y_px=-46, upright=True)


def _axis_name(dimension: Dimension) -> tuple[str, str]:
    return dimension.title, f"({dimension.detector})" if dimension.detector != dimension.title else ""
