"""The figure: coverage of ours by beads with the bars, of the peers, and widths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.coverage.bars import FEW, LEVEL, MANY, MOST_FEW, MOST_MANY
from benchmarks.coverage.limits import DELTA, MID_P, OURS, POISSON, WALD
from benchmarks.coverage.measure import Found

_OURS = "#d55e00"
_PEERS = {WALD: (0, (1, 1.2)), DELTA: "--", POISSON: "-.", MID_P: "-"}
_TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2500)


def draw(beads: Sequence[Found], path: Path) -> None:
    """Draw the three panels of designs with beads into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 10.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplot_mosaic([["ours", "ours"], ["peers", "width"]], height_ratios=[1.15, 1])
    _coverage(panels["ours"], beads)
    middle = _middle(beads)
    _peers(panels["peers"], middle)
    _widths(panels["width"], middle)
    for axes in panels.values():
        axes.set_xscale("log")
        axes.set_xlim(0.45, 2800)
        axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        axes.minorticks_off()
        axes.set_xlabel("expected cells")
        axes.grid(alpha=0.25)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Software": None})


def _middle(beads: Sequence[Found]) -> Found:
    """Peers are shown at one number of beads: 5,000 or what is next to it, gates as spread as they come."""
    most = max(f.design.gating for f in beads)
    return min((f for f in beads if f.design.gating == most), key=lambda f: abs(np.log(f.design.reference / 5_000)))


def _curve(f: Found, method: str) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(f.curve, kind="stable")
    return f.curve[order], 100 * f.between[method][order]


def _coverage(axes: Any, beads: Sequence[Found]) -> None:
    from matplotlib import colormaps

    shade = {"color": "#cc3311", "alpha": 0.10, "lw": 0}
    axes.axhspan(90, 100 * LEVEL, **shade, label="outside the bars")
    axes.fill_between(FEW, 100 * MOST_FEW, 101, **shade)
    axes.fill_between([MANY[0], 2800], 100 * MOST_MANY, 101, **shade)
    for x, y, words in ((1.06, 99.9, "bar: ≤ 99 %"), (21, 96.62, "bar: ≤ 96.5 %"), (0.48, 94.7, "bar: ≥ 95 %")):
        axes.text(x, y, words, color="#a03020", fontsize=9, va="center")
    sizes = sorted({f.design.reference for f in beads})
    colours = dict(zip(sizes, colormaps["viridis"](np.linspace(0.0, 0.88, len(sizes))), strict=True))
    least = min(f.design.gating for f in beads)
    for f in beads:
        colour, tight = colours[f.design.reference], f.design.gating == least
        label = f"{f.design.reference:,.0f} beads" if tight else None
        axes.plot(*_curve(f, OURS), color=colour, lw=1.1, ls="-" if tight else ":", alpha=0.9, label=label)
        some = f.cells > 0
        face = colour if tight else "white"
        axes.scatter(f.cells[some], 100 * f.simulated[some], s=20, color=face, edgecolors=[colour], lw=0.9, zorder=3)
    axes.plot(
        [], [], color="#555555", ls=":", label=f"dotted, open: gates {100 * max(f.design.gating for f in beads):g} %"
    )
    axes.plot([], [], "o", color="#555555", ms=4, label="simulated; lines are calculated")
    axes.set_ylim(94.4, 100.1)
    axes.set(ylabel="coverage, %", title="nti7flow: how often the 95 % interval holds the truth (0 cells: always)")
    axes.legend(fontsize=8.5, ncols=2, loc="upper right")


def _peers(axes: Any, f: Found) -> None:
    axes.axhline(100 * LEVEL, color="black", lw=0.8)
    for method, dashes in _PEERS.items():
        colour = "#9a9a9a" if method == MID_P else "#666666"
        axes.plot(*_curve(f, method), color=colour, lw=1.0, ls=dashes, label=method)
    axes.plot(*_curve(f, OURS), color=_OURS, lw=1.6, label=OURS)
    axes.set_ylim(78, 100.5)
    axes.set(ylabel="coverage, %", title=f"Peers, {_words(f)}")
    axes.legend(fontsize=8.5, loc="lower center", framealpha=0.95)


def _widths(axes: Any, f: Found) -> None:
    some = f.cells > 0
    for method, dashes in _PEERS.items():
        colour = "#9a9a9a" if method == MID_P else "#666666"
        axes.plot(f.cells[some], (f.width[method] / f.width[OURS])[some], color=colour, lw=1.0, ls=dashes, label=method)
    axes.axhline(1.0, color=_OURS, lw=1.6, label=OURS)
    axes.set(ylabel="mean width over ours", title=f"Widths, {_words(f)}")
    axes.set_ylim(0, 1.15)
    axes.legend(fontsize=8.5, loc="lower right", framealpha=0.95)


def _words(f: Found) -> str:
    return f"{f.design.reference:,.0f} beads, gates {100 * f.design.gating:g} %"
