"""Draws a picture of every gating method on toy data, docs/images/method_*.png: ``python docs/pictures/methods.py``.

A new method needs an entry in ``EXAMPLES`` (data it places a gate on, data it refuses, parameters) and a section in
docs/how-to/write_a_template.md.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline
from numpy.typing import NDArray

from nti7flow.gating.histogram import Histogram, fit_axis
from nti7flow.gating.methods import find_method
from nti7flow.gating.methods.registry import Placement

IMAGES = Path(__file__).resolve().parents[1] / "images"
GATE, EVENTS, OTHER = "#c1272d", "#4d7ea8", "#9a9a9a"
Values = NDArray[np.float64]


def blobs(*parts: tuple[int, Any, Any]) -> Callable[[], Values]:
    """Normal populations (events, mean, standard deviation) in display units, in one or two dimensions."""

    def draw() -> Values:
        rng = np.random.default_rng(7)
        return np.concatenate([rng.normal(mean, sd, (n, np.size(mean))) for n, mean, sd in parts])

    return draw


def pulses(n_doublets: int, n: int = 3000) -> Callable[[], Values]:
    """Area and height of single cells, and of pairs, which have the area of two and the height of one."""

    def draw() -> Values:
        rng = np.random.default_rng(7)
        area = rng.choice([0.22, 0.42], n, p=[0.6, 0.4]) * rng.lognormal(0, 0.12, n)
        height = 0.95 * area * rng.normal(1, 0.025, n)
        area[:n_doublets] *= 1.9
        return np.stack([area, height], axis=1)

    return draw


@dataclass(frozen=True)
class Example:
    """What a method is shown on: data it places a gate on, and data it refuses."""

    placed: Callable[[], Values]
    refused: Callable[[], Values]
    axes: tuple[str, ...] = ("marker",)
    parameters: dict[str, Any] = field(default_factory=dict)
    log: bool = False


#: Where a gate was in a reference.
BOX = ((0.6, 0.12), (0.9, 0.12), (0.9, 0.44), (0.6, 0.44))
#: CD4 and CD8 T cells, and those that are neither.
ARMS = (
    (1500, (0.58, 0.22), (0.015, 0.05)),
    (900, (0.2, 0.64), (0.07, 0.027)),
    (200, (0.2, 0.25), (0.07, 0.05)),
)
#: On CD3 against side scatter: granulocytes glow in every channel, other lymphocytes and monocytes do not.
LEUKOCYTES = (
    (2500, (0.42, 0.78), (0.06, 0.05)),
    (250, (0.3, 0.52), (0.05, 0.05)),
    (150, (0.22, 0.3), (0.05, 0.04)),
)

#: By the name of the method; the newest version is drawn.
EXAMPLES = {
    "density_valley": Example(blobs((1800, 0.25, 0.06), (900, 0.65, 0.05)), blobs((2700, 0.45, 0.08))),
    "tail": Example(
        blobs((2500, 0.25, 0.05), (60, 0.5, 0.09)), blobs((14, 0.25, 0.05)), log=True, parameters={"distance": 4}
    ),
    "quantile": Example(blobs((2500, 0.3, 0.06)), blobs((14, 0.3, 0.06)), parameters={"q": 0.99}),
    "beads": Example(
        blobs((4000, 0.2, 0.07), (300, 0.85, 0.012)),
        blobs((4000, 0.2, 0.07), (30, 0.55, 0.1)),
        axes=("lowest of CD3, CD4, CD8, CD19 (raw)",),
        log=True,
    ),
    "singlets": Example(pulses(220), pulses(0, n=150), axes=("FSC-A", "FSC-H")),
    "density_cluster_2d": Example(
        blobs((900, (0.72, 0.30), (0.03, 0.035)), (400, (0.68, 0.5), (0.03, 0.04)), (2500, (0.52, 0.75), (0.05, 0.06))),
        blobs((2500, (0.52, 0.75), (0.05, 0.06))),
        axes=("CD45", "SSC"),
        parameters={"anchor": (0.95, 0.2), "rivals": ((0.95, 0.6),), "max_distance": 0.3},
    ),
    "mixture": Example(
        blobs((1500, 0.3, 0.06), (700, 0.42, 0.1), (500, 0.75, 0.05)),
        blobs((1500, 0.4, 0.06), (1000, 0.5, 0.1)),
    ),
    "landmark": Example(
        blobs((2500, 0.25, 0.06), (500, 0.66, 0.05)),
        blobs((2500, 0.25, 0.06)),
        parameters={"landmark": 0.6, "bounds": (0.45, 0.75), "max_shift": 0.15},
    ),
    "landmark_2d": Example(
        blobs((2500, (0.35, 0.7), (0.06, 0.06)), (500, (0.68, 0.36), (0.04, 0.05))),
        blobs((2500, (0.35, 0.7), (0.06, 0.06))),
        axes=("CD45", "SSC"),
        parameters={"landmark": (0.75, 0.28), "vertices": BOX, "max_shift": 0.2},
    ),
    "arm_2d": Example(
        blobs(*ARMS, (300, (0.58, 0.47), (0.015, 0.05)), (250, (0.43, 0.64), (0.06, 0.027))),
        blobs(*ARMS[:1], ARMS[2]),
        axes=("CD4", "CD8"),
    ),
    "quadrants": Example(
        blobs(
            (1200, (0.3, 0.65), (0.06, 0.06)),
            (500, (0.66, 0.72), (0.05, 0.05)),
            (700, (0.3, 0.25), (0.06, 0.05)),
            (400, (0.66, 0.3), (0.05, 0.05)),
        ),
        blobs((2800, (0.5, 0.5), (0.08, 0.08))),
        axes=("CCR7", "CD45RA"),
        parameters={"part": "++"},
    ),
    "cloud_2d": Example(
        blobs((1500, (0.66, 0.3), (0.025, 0.03)), (900, (0.72, 0.33), (0.025, 0.03)), (250, (0.35, 0.4), (0.15, 0.2))),
        blobs((8, (0.66, 0.3), (0.025, 0.03))),
        axes=("CD45", "SSC"),
    ),
    "bright_cluster_2d": Example(
        blobs(*LEUKOCYTES, (120, (0.75, 0.3), (0.04, 0.04))),
        blobs(*LEUKOCYTES),
        axes=("CD3", "SSC"),
    ),
    "backgate_2d": Example(
        blobs((150, (0.72, 0.3), (0.03, 0.04)), (25, (0.5, 0.5), (0.15, 0.15))),
        blobs((14, (0.72, 0.3), (0.03, 0.04))),
        axes=("CD45", "SSC"),
    ),
}


def newest(name: str) -> str:
    """Reference of the newest version of a method."""
    from nti7flow.gating.methods import known_methods

    return max((m for m in known_methods() if m.name == name), key=lambda m: m.version).reference


def draw_method(name: str) -> Figure:
    """Draw a method: on the left a gate that is placed, on the right data of which it says that it cannot."""
    example, method = EXAMPLES[name], find_method(newest(name))
    figure = Figure(figsize=(8.4, 3.3), layout="constrained")
    pair = figure.subplots(1, 2, sharex=True, sharey=len(example.axes) == 2)
    for axes, draw in zip(pair, (example.placed, example.refused), strict=True):
        values = draw()
        histogram = Histogram.of(values, [fit_axis(axis, len(example.axes)) for axis in example.axes])
        placement = method.fit(histogram, method.parameters(**example.parameters))
        (_draw_2d if len(example.axes) == 2 else _draw_1d)(axes, values, placement, example)
        axes.set_title(f"{len(values):,} events: {_said(placement)}", fontsize=9)
    return figure


def _said(placement: Placement) -> str:
    if placement.placed:
        return "placed"
    return f"{'absent' if placement.absent else 'not placed'}\n{textwrap.fill(placement.reason, 50)}"


def _draw_1d(axes: Axes, values: Values, placement: Placement, example: Example) -> None:
    bins = np.linspace(-0.05, 1.05, 111)
    x = values[:, 0]
    low = -np.inf if placement.lower is None else placement.lower
    high = np.inf if placement.upper is None else placement.upper
    inside = placement.placed & (x >= low) & (x < high)
    axes.hist([x[~inside], x[inside]], bins=bins, stacked=True, color=[OTHER, EVENTS], log=example.log and len(x) > 100)
    for bound in (placement.lower, placement.upper):
        if bound is not None:
            axes.axvline(bound, color=GATE, linewidth=1.8)
    axes.set_xlim(bins[0], bins[-1])
    axes.set_xlabel(f"{example.axes[0]}, display units")
    axes.set_ylabel("events per bin")


def _draw_2d(axes: Axes, values: Values, placement: Placement, example: Example) -> None:
    inside = np.zeros(len(values), np.bool_)
    if placement.vertices is not None:
        inside = Outline(placement.vertices).contains_points(values)
        axes.plot(*zip(*placement.vertices, placement.vertices[0], strict=True), color=GATE, linewidth=1.8)
    for part, colour in ((~inside, OTHER), (inside, EVENTS)):
        axes.plot(*values[part].T, ".", color=colour, markersize=1.6, alpha=0.6)
    axes.set_xlim(-0.05, 1.05)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlabel(example.axes[0])
    axes.set_ylabel(example.axes[1])


def main() -> None:
    """Write the pictures of all methods."""
    for name in EXAMPLES:
        draw_method(name).savefig(IMAGES / f"method_{name}.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
