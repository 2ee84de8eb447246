"""One density plot: axes, events, gates. The same for a gating tree and for exploration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nti7flow.gating.dimensions import AnyDimension
from nti7flow.gating.histogram import Axis
from nti7flow.gating.picture import Panel2D
from nti7flow.gating.strategy import Population
from nti7flow.plot.dots import Density
from nti7flow.plot.labels import Label, draw_labels, sides_of
from nti7flow.plot.lines import draw_gate
from nti7flow.plot.outlines import Box, Outline
from nti7flow.plot.placing import Rect
from nti7flow.plot.style import AXIS, FRAME, INK, MUTED, TICK, font
from nti7flow.plot.text import write_beside, write_on
from nti7flow.plot.ticks import make_ticks
from nti7flow.plot.view import PADDING, View, axis_limits
from nti7flow.plot.words import n_events_in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Room a tick's label needs, pixels.
TICK_WIDTH, TICK_HEIGHT = 34.0, 18.0
#: Height of a label in a corner, pixels; in a narrow plot it has a line more.
CORNER, CORNER_NARROW, NARROW = 42.0, 56.0, 350.0


def draw_panel(
    figure: Figure, frame: Rect, panel: Panel2D, heading: str, outlines: Sequence[Outline], labels: Mapping[str, Label]
) -> tuple[Axes, list[Population]]:
    """Draw a panel into a frame (inches from the figure's lower left corner).

    Returns
    -------
    Axes
        What was drawn.
    list of Population
        Those whose label found no room.
    """
    axes = _axes(figure, frame)
    view = view_of(panel, outlines, (float(axes.bbox.width), float(axes.bbox.height)))
    density = Density.of(panel, view, (round(axes.bbox.width), round(axes.bbox.height)))
    axes.imshow(
        density.image(),
        extent=(*view.x, *view.y),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        interpolation_stage="rgba",
        zorder=1,
    )
    axes.set(xlim=view.x, ylim=view.y)
    _draw_ticks(axes, panel, view)
    n_events = int(panel.counts.sum())
    write_beside(axes, heading, "· " + n_events_in_words(n_events), "above")
    write_beside(axes, *_axis_name(panel.x), "below")
    write_beside(axes, *_axis_name(panel.y), "left")
    for outline in outlines:
        draw_gate(axes, outline, view)
    if not n_events:
        middle = axes.bbox.width / 2, axes.bbox.height / 2
        write_on(axes, *middle, "no events", AXIS, color=MUTED, ha="center", va="center")
    return axes, draw_labels(axes, view, density, outlines, labels)


def view_of(panel: Panel2D, outlines: Sequence[Outline], size: tuple[float, float]) -> View:
    """Limits of a panel, ``size`` pixels large, that show its events, its gates and, above and below, labels."""
    dense = panel.dense()
    limits = []
    sides = (
        (panel.x_axis, panel.x.transform, (PADDING, PADDING)),
        (panel.y_axis, panel.y.transform, _padding_y(outlines, size)),
    )
    for side, (axis, transform, padding) in enumerate(sides):
        bounds, ends = _marks(outlines, side, axis)
        limits.append(axis_limits(axis, dense.sum(axis=1 - side), transform, bounds=bounds, ends=ends, padding=padding))
    return View(*limits)


def _padding_y(outlines: Sequence[Outline], size: tuple[float, float]) -> tuple[float, float]:
    """White space below and above the events, more where labels stand in corners, as fractions of their range."""
    width, height = size
    where = {sides_of(outline)[1] for outline in outlines if outline.labelled}
    room = CORNER if width > NARROW else CORNER_NARROW
    below, above = (room if side in where else PADDING * height for side in ("bottom", "top"))
    return below / (height - below - above), above / (height - below - above)


def _marks(outlines: Sequence[Outline], side: int, axis: Axis) -> tuple[list[float], list[float]]:
    """Bounds of boxes, and ends of polygons on one axis; a polygon that is open ended need not be seen to its end."""
    bounds: list[float] = []
    ends: list[float] = []
    for outline in outlines:
        if isinstance(outline.shape, Box):
            bounds += [bound for bound in (outline.shape.x, outline.shape.y)[side] if bound is not None]
        else:
            column = outline.shape[:, side]
            ends += [end for end in (column.min(), column.max()) if axis.low - 0.15 < end < axis.high + 0.15]
    return bounds, ends


def _axes(figure: Figure, frame: Rect) -> Axes:
    width, height = figure.get_size_inches()
    size = (frame.right - frame.left) / width, (frame.top - frame.bottom) / height
    axes = figure.add_axes((frame.left / width, frame.bottom / height, *size), facecolor="white")
    axes.grid(visible=False, which="both")
    for spine in axes.spines.values():
        spine.set(color=FRAME, linewidth=0.8, visible=True)
    return axes


def _draw_ticks(axes: Axes, panel: Panel2D, view: View) -> None:
    sides = (
        (axes.xaxis, panel.x.transform, view.x, TICK_WIDTH / axes.bbox.width),
        (axes.yaxis, panel.y.transform, view.y, TICK_HEIGHT / axes.bbox.height),
    )
    for axis, transform, limits, gap in sides:
        ticks = make_ticks(transform, *limits, gap=gap)
        axis.set_ticks(ticks.major, labels=ticks.labels, font_properties=font(TICK), color=INK)
        axis.set_ticks(ticks.minor, minor=True)
    where: dict[str, Any] = {"top": False, "right": False, "bottom": True, "left": True}
    axes.tick_params(which="major", length=5.0, width=0.8, pad=3, direction="out", color=FRAME, **where)
    axes.tick_params(which="minor", length=2.5, width=0.6, direction="out", color=FRAME, **where)
    axes.tick_params(which="major", **{f"label{side}": shown for side, shown in where.items()})


def _axis_name(dimension: AnyDimension) -> tuple[str, str]:
    detector = " / ".join(dimension.detectors)
    return dimension.title, f"({detector})" if detector != dimension.title else ""
