"""The figure: F1 by population and method, and the error of simulated counts against their size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.bars import f1_of
from benchmarks.accuracy.gated import LOUD
from benchmarks.accuracy.measure import Results
from benchmarks.accuracy.report import METHODS
from benchmarks.accuracy.simulated import POPULATIONS, error_limit

#: Ours, the two that see no labels, those that do. Shape tells them apart as well as colour does.
_STYLE = dict(
    zip(
        METHODS,
        (
            ("#d55e00", "o"),
            ("#56b4e9", "s"),
            ("#0072b2", "D"),
            ("#777777", "^"),
            ("#999999", "v"),
            ("#aaaaaa", "<"),
            ("#bbbbbb", ">"),
        ),
        strict=True,
    )
)
_COLOURS = dict(zip(POPULATIONS, ("#0072b2", "#d55e00", "#009e73", "#cc79a7"), strict=True))


def draw(results: Results, path: Path) -> None:
    """Draw both panels into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _scores(left, results)
    _errors(right, [row for study in results.studies for row in study.rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Software": None})


def _scores(axes: Any, results: Results) -> None:
    rows = results.labelled
    lines = list(dict.fromkeys((row["set"], row["population"]) for row in rows))
    for shift, method in enumerate(METHODS):
        found = [(lines.index((r["set"], r["population"])), f1_of(r)) for r in rows if r["method"] == method]
        if found:
            colour, marker = _STYLE[method]
            places, f1 = np.array(found).T
            y = places + (shift - len(METHODS) / 2) * 0.1
            axes.plot(f1, y, marker, color=colour, ms=5 if shift == 0 else 4, alpha=0.85, label=method)
    axes.set_yticks(range(len(lines)), [f"{name}  {population}" for name, population in lines])
    axes.invert_yaxis()
    axes.set(xlabel="F1", title="Labelled real tubes: every tube a point")
    axes.set_xlim(max(min([0.85, *map(f1_of, rows)]) - 0.01, -0.01), 1.005)
    axes.grid(axis="x", alpha=0.3)
    if lines:
        axes.legend(fontsize=8, loc="lower left")


def _errors(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    known = [row for row in rows if row["error"] is not None]
    for population in POPULATIONS:
        for loud in (True, False):
            here = [r for r in known if r["population"] == population and (r["severity"] in LOUD) == loud]
            x = [row["truth"] + 1 for row in here]
            y = [max(abs(row["error"]), 0.5) for row in here]
            face = "none" if loud else _COLOURS[population]
            label = f"{population}, review or invalid" if loud else population
            axes.scatter(
                x, y, s=16, facecolors=face, edgecolors=_COLOURS[population], linewidths=0.7, alpha=0.8, label=label
            )
    sizes = np.unique(np.geomspace(1, 20_000, 200).astype(int))
    axes.plot(sizes + 1, [error_limit(int(n)) for n in sizes], "k-", lw=1, label="limit: 10 %, √N, 3 events")
    nothing = len(rows) - len(known)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="labelled events + 1",
        ylabel="|error|, events (0 drawn at 0.5)",
        title=f"Simulated counts; {nothing} more have no number",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper left")
