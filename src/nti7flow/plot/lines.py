"""Gates as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.strategy import SEVERITY
from nti7flow.plot.outlines import Box, Outline
from nti7flow.plot.style import colour_of
from nti7flow.plot.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]


def paths_of(shape: Box | Floats, view: View) -> list[Floats]:
    """Lines to draw, each of shape (n, 2), display units: a closed polygon, or the bounded sides of a box."""
    if not isinstance(shape, Box):
        return [np.vstack([shape, shape[:1]])]
    (x0, x1), (y0, y1) = (
        tuple(limit if bound is None else bound for bound, limit in zip(bounds, limits, strict=True))
        for bounds, limits in ((shape.x, view.x), (shape.y, view.y))
    )
    upright = [np.array([[x, y0], [x, y1]]) for x in shape.x if x is not None]
    level = [np.array([[x0, y], [x1, y]]) for y in shape.y if y is not None]
    return upright + level


def draw_gate(axes: Axes, outline: Outline, view: View) -> None:
    """Draw a gate's bounds: solid where it was placed as asked for, dashed for any other status."""
    if not outline.drawn:
        return
    status = outline.population.status
    style: dict[str, Any] = {"marker": "", "solid_joinstyle": "round", "scalex": False, "scaley": False}
    style |= {"solid_capstyle": "butt", "dash_capstyle": "butt"}
    for path in paths_of(outline.shape, view):
        x, y = path.T
        # White below all gates, so that where two cross neither is cut.
        axes.plot(x, y, linestyle="-", color="white", linewidth=3.2, alpha=0.85, zorder=3, **style)
        axes.plot(
            x,
            y,
            color=colour_of(SEVERITY[status]),
            linewidth=1.25,
            linestyle="-" if status == "ok" else (0, (5, 3)),
            zorder=4,
            gid=f"gate-{outline.population.id}",
            **style,
        )
