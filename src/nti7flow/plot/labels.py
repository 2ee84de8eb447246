"""Names and percentages of the gates on one panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nti7flow.gating.strategy import Population
from nti7flow.plot.dots import Density
from nti7flow.plot.lines import paths_of
from nti7flow.plot.outlines import Bound, Box, Outline
from nti7flow.plot.pixels import Pixels
from nti7flow.plot.placing import INSET, Rect, Wish, place
from nti7flow.plot.style import INK, SMALL, VALUE
from nti7flow.plot.text import size_of, wrap, write_on
from nti7flow.plot.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

#: Widest label, pixels; narrower in a narrow quadrant.
WIDEST = 160.0
#: By which a reader of the figure, or a test, finds the texts.
GID = "gate-label"


@dataclass(frozen=True, slots=True)
class Label:
    """What is written beside a gate: whose it is, its share, its status if there is something to say, and how loud."""

    name: str
    value: str
    status: str = ""
    colour: str = INK


def draw_labels(
    axes: Axes, view: View, density: Density, outlines: Sequence[Outline], labels: Mapping[str, Label]
) -> list[Population]:
    """Write every label where there is room; returns the populations for which there was none."""
    pixels = Pixels(view, float(axes.bbox.width), float(axes.bbox.height))
    shown = [outline for outline in outlines if outline.labelled]
    homes = [pixels.rect(outline.shape) if isinstance(outline.shape, Box) else pixels.frame for outline in shown]
    blocks = [_block(axes, labels[o.population.id], o, home) for o, home in zip(shown, homes, strict=True)]
    wishes = [_wish(o, home, block, pixels) for o, home, block in zip(shown, homes, blocks, strict=True)]
    lines = pixels.lines([path for o in outlines if o.drawn for path in paths_of(o.shape, view)])
    places = place(wishes, (pixels.width, pixels.height), pixels.ink(density), lines)
    for block, found in zip(blocks, places, strict=True):
        _settle(axes, block, found)
    return [outline.population for outline, found in zip(shown, places, strict=True) if found is None]


def _block(axes: Axes, label: Label, outline: Outline, home: Rect) -> list[Text]:
    """Name, value and status as texts of their own, the lowest first, not yet in their place."""
    look = {"color": label.colour, "ha": sides_of(outline)[0], "va": "bottom", "gid": GID}
    lines = ((label.status, SMALL, "normal"), (label.value, VALUE, "bold"), (label.name, SMALL, "normal"))
    block = [write_on(axes, 0, 0, words, size, weight=weight, **look) for words, size, weight in lines if words]
    for text in block:
        wrap(text, min(WIDEST, home.right - home.left - 2 * INSET))
    return block


def sides_of(outline: Outline) -> tuple[str, str]:
    """Where in its box a label stands: away from the thresholds, above where nothing says otherwise."""
    if not isinstance(outline.shape, Box):
        return "center", "center"
    return _side(outline.shape.x, "left", "right", "center"), _side(outline.shape.y, "bottom", "top", "top")


def _side(bounds: tuple[Bound, Bound], low: str, high: str, both: str) -> str:
    if bounds[0] is not None and bounds[1] is not None:
        return both
    return low if bounds[1] is not None else high


def _wish(outline: Outline, home: Rect, block: list[Text], pixels: Pixels) -> Wish:
    sizes = [size_of(text) for text in block]
    size = max(width for width, _ in sizes), sum(height for _, height in sizes)
    if not isinstance(outline.shape, Box):
        points = pixels.along(paths_of(outline.shape, pixels.view)[0])
        return Wish(size, home, points if len(points) else np.array([[pixels.width / 2, pixels.height / 2]]))
    across, up = sides_of(outline)
    x = {"left": home.left + INSET, "right": home.right - INSET}.get(across, (home.left + home.right) / 2)
    return Wish(size, home, np.array([[x, home.top - INSET if up == "top" else home.bottom + INSET]]))


def _settle(axes: Axes, block: list[Text], found: Rect | None) -> None:
    """Stack a block's texts in its place, from the bottom; a block without a place is taken away."""
    if found is None:
        for text in block:
            text.remove()
        return
    _draw_background(axes, found)
    middle, bottom = (found.left + found.right) / 2, found.bottom
    for text in block:
        x = {"left": found.left, "right": found.right}.get(text.get_horizontalalignment(), middle)
        text.set_position((x / axes.bbox.width, bottom / axes.bbox.height))
        bottom += size_of(text)[1]


def _draw_background(axes: Axes, rect: Rect) -> None:
    """Lighten what is below a label. Outlined letters would do, but Matplotlib draws those unhinted, so blurred."""
    from matplotlib.patches import Rectangle

    corner = ((rect.left - 1) / axes.bbox.width, (rect.bottom - 1) / axes.bbox.height)
    size = ((rect.right - rect.left + 2) / axes.bbox.width, (rect.top - rect.bottom + 2) / axes.bbox.height)
    style: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "zorder": 5}
    axes.add_patch(Rectangle(corner, *size, transform=axes.transAxes, **style))
