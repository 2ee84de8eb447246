"""The figure: coverage by population and expected events with the bars, and estimates against the truth."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trials.bars import LEAST, LEAST_FEW, LEAST_JUDGED, MOST
from benchmarks.trials.measures import MANY, bin_name, coverage
from benchmarks.trials.rows import JUDGED, OURS, POPULATIONS, Frame, clean, held, lower, upper

_COLOURS = dict(zip(JUDGED, ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a6a00"), strict=True))
_HIT, _MISS = "#3b6ea5", "#d1332e"
_BAR = "#cc3311"
#: First what the bars are for, then bins; fewer than the page has.
_EDGES = (0.0, 5.0, MANY, 50.0, 100.0, 200.0, 400.0, 1000.0, np.inf)
_BINS = ((0.0, MANY), (MANY, np.inf), *pairwise(_EDGES))
_NAMES = ("all below 20", "all from 20")
_LOWEST = 84.0
_RATIOS, _LEAST_CELLS = (0.2, 5.0), 0.3


def draw(rows: Frame, path: Path) -> None:
    """Draw both panels into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 11), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1)
    untouched = clean(rows)
    untouched = untouched[untouched["population"].isin(JUDGED)]
    _coverage(above, untouched)
    _ratios(below, untouched)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Software": None})


def _coverage(axes: Any, rows: Frame) -> None:
    for place, (start, _) in enumerate(_BINS):
        least, most = (LEAST, MOST) if start >= MANY else (LEAST_FEW, 1.01)
        shade = {"color": _BAR, "alpha": 0.16 if place < len(_NAMES) else 0.05, "lw": 0}
        axes.fill_between([place - 0.5, place + 0.5], 0, 100 * least, **shade)
        axes.fill_between([place - 0.5, place + 0.5], 100 * most, 101, **shade)
    axes.axhline(95, color="black", lw=0.8)
    axes.axvline(len(_NAMES) - 0.5, color="black", lw=0.8)
    for number, (population, colour) in enumerate(_COLOURS.items()):
        here = rows[rows["population"] == population]
        found = [coverage(here[(here["expected"] >= a) & (here["expected"] < b)]) for a, b in _BINS]
        places = [place for place, f in enumerate(found) if f.n >= LEAST_JUDGED]
        x = np.array(places) + 0.14 * (number - 2)
        share = np.array([100 * found[place].share for place in places])
        reach = np.array([196 * found[place].error for place in places])
        axes.errorbar(x, share, [reach, np.minimum(reach, 100 - share)], fmt="none", ecolor=colour, elinewidth=1.2)
        sizes = np.clip([found[place].n / 8 for place in places], 14, 120)
        axes.scatter(x, share, s=sizes, color=colour, edgecolors="white", lw=0.6, zorder=3)
        axes.plot([], [], "o", color=colour, ms=6, label=POPULATIONS[population])
    axes.set_xlim(-0.5, len(_BINS) - 0.5)
    axes.set_xticks(range(len(_BINS)), [*_NAMES, *(bin_name(a, b) for a, b in _BINS[len(_NAMES) :])])
    axes.set_ylim(_LOWEST, 100.6)
    asked = f"≥ {100 * LEAST_FEW:g} % below 20, {100 * LEAST:g}–{100 * MOST:g} % from 20"
    words = f"shaded: outside the bars, {asked}, all bins together"
    axes.set(xlabel="expected events", ylabel="coverage, %")
    axes.set_title("How often the 95 % interval holds the true cells/µL (lines: ± 1.96 SE by lots; area: how many)")
    axes.grid(axis="y", alpha=0.25)
    legend = axes.legend(loc="lower right", ncols=5, fontsize=9, framealpha=0.95, title=words, title_fontsize=9)
    legend.get_title().set_color("#a03020")


def _ratios(axes: Any, rows: Frame) -> None:
    some = rows[(rows["truth"] > 0) & (rows["estimate"] > 0)]
    holds = held(some).to_numpy()
    truth, ratio = some["truth"].to_numpy(), (some["estimate"] / some["truth"]).to_numpy()
    low, high = ((some[name] / some["truth"]).clip(lower=0.05).to_numpy() for name in (lower(OURS), upper(OURS)))
    for chosen, colour, alpha, label in ((holds, _HIT, 0.07, "holds the truth"), (~holds, _MISS, 0.7, "does not")):
        axes.vlines(truth[chosen], low[chosen], high[chosen], color=colour, lw=0.5, alpha=alpha)
        axes.plot(truth[chosen], ratio[chosen], ".", color=colour, ms=2.2, alpha=min(1.0, 5 * alpha))
        axes.plot([], [], color=colour, lw=2, label=f"{label} ({chosen.sum():,})")
    axes.axhline(1, color="black", lw=0.8)
    least, most = (float(find(truth)) if len(truth) else 1.0 for find in (np.min, np.max))
    axes.set(xscale="log", yscale="log", ylim=_RATIOS, xlim=(max(least * 0.9, _LEAST_CELLS), most * 1.1))
    ticks = (0.2, 0.5, 0.8, 1, 1.25, 2, 5)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    cells = [tick for tick in (0.3, 1, 3, 10, 30, 100, 300, 1000, 3000) if least <= tick <= most]
    axes.set_xticks(cells, [f"{tick:,g}" for tick in cells])
    axes.minorticks_off()
    axes.set(xlabel="true cells/µL", ylabel="estimate / truth, with 95 % interval")
    names = ", ".join(POPULATIONS[name] for name in JUDGED)
    beyond = int(((truth < _LEAST_CELLS) | (ratio < _RATIOS[0]) | (ratio > _RATIOS[1])).sum())
    axes.set_title(f"Every clean concentration above 0: {names}" + (f" ({beyond} beyond the axes)" if beyond else ""))
    axes.grid(alpha=0.2)
    axes.legend(loc="upper right", fontsize=9)
