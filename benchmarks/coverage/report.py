"""The page: bars first, then tables, then what they do not show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy import stats

from benchmarks.coverage import prose
from benchmarks.coverage.bars import LEVEL, MOST_FEW, MOST_MANY, bars, gates, percent, standard_error, windows
from benchmarks.coverage.limits import OURS, PEERS
from benchmarks.coverage.measure import Found, Size

_MET = {True: "met", False: "**not met**", None: "—"}


def write_report(found: Sequence[Found], size: Size, *, figure: str = "", notes: Sequence[str] = ()) -> str:
    """Return the page as markdown; ``figure`` is the path of the picture as seen from it."""
    beads, others = found[: len(size.beads)], found[len(size.beads) :]
    parts = [prose.HEAD.format(draws=size.draws, seed=size.seed), *notes, "## Bars\n"]
    judged = bars(beads, size.draws)
    parts.append(_table(("bar", "asked", "measured", ""), ((b.name, b.asked, b.measured, _MET[b.met]) for b in judged)))
    if figure:
        parts.append(f"![Coverage and width against expected cells, ours and peers]({figure})\n")
    parts += ["## On the grid\n", *(_grid(beads, gating, size) for gating in sorted({f.design.gating for f in beads}))]
    parts += [_checked(beads, size), prose.BETWEEN, _between(beads), _why(), prose.PEERS, *_peers(beads)]
    parts += [prose.OTHERS.format(stray=_stray(others, size)), _others(others), prose.LIMITS]
    return "\n".join(parts)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def _grid(beads: Sequence[Found], gating: float, size: Size) -> str:
    here = [f for f in beads if f.design.gating == gating]
    rows = (
        (f"{cells:g}", *(f"{100 * f.exact[OURS][i]:.2f} ({100 * f.simulated[i]:.2f})" for f in here))
        for i, cells in enumerate(here[0].cells)
    )
    head = (
        f"Coverage, %, with gates of {gates(here[0])}: calculated (simulated; 1 SE is {_se(size)}). Columns: beads.\n"
    )
    return head + "\n" + _table(("expected cells", *(f"{f.design.reference:,.0f}" for f in here)), rows)


def _se(size: Size) -> str:
    return f"{100 * standard_error(LEVEL, size.draws):.2f} at 95 %"


def _stray(found: Sequence[Found], size: Size) -> float:
    """How far simulation is from the sum at most, in its standard errors."""
    strays = []
    for f in found:
        exact = f.exact[OURS]
        error = np.sqrt(np.maximum(exact * (1 - exact), 1e-9) / size.draws)
        strays.append(float(np.max(np.abs(f.simulated - exact) / error)))
    return max(strays)


def _checked(beads: Sequence[Found], size: Size) -> str:
    return prose.CHECKED.format(
        judged=sum(f.judged for f in beads),
        differing=sum(f.differing for f in beads) or "none",
        off=max(f.off for f in beads),
        stray=_stray(beads, size),
        points=sum(len(f.cells) for f in beads),
    )


def _between(beads: Sequence[Found]) -> str:
    def row(f: Found) -> tuple[str, ...]:
        curve, coverage = f.curve, f.between[OURS]
        few, many = (curve >= 1) & (curve <= 20), curve >= 20
        above = windows(curve[few], coverage[few], MOST_FEW)
        spans = ", ".join(f"{a:.2f}–{b:.2f} ({100 * most:.2f})" for a, b, most in above) or "nowhere"
        return (
            f"{f.design.reference:,.0f}",
            gates(f),
            _extreme(curve, coverage, few, np.argmax),
            spans,
            percent(np.mean(coverage[(curve >= 1) & (curve < 4)] > MOST_FEW), 1),
            _extreme(curve, coverage, many, np.argmax),
            _extreme(curve, coverage, np.ones(len(curve), bool), np.argmin),
        )

    header = (
        *("beads", "gates", "most, 1–20 cells", "above 99 % at (most, %)", "share of 1–4 cells above 99 %"),
        *("most, 20 cells up", "least anywhere"),
    )
    worst = max(float(f.between[OURS][f.curve >= 20].max(initial=0)) for f in beads)
    verdict = "never passed" if worst <= MOST_MANY else "passed"
    words = f"\nFrom 20 cells up, 96.5 % is {verdict} between the points either: most {percent(worst)}.\n"
    return _table(header, map(row, beads)) + words


def _extreme(curve: np.ndarray, coverage: np.ndarray, where: np.ndarray, find: Callable[[np.ndarray], np.intp]) -> str:
    if not where.any():
        return "—"
    at = find(coverage[where])
    return f"{100 * coverage[where][at]:.2f} % at {curve[where][at]:.4g}"


def _why() -> str:
    """What the published limits alone force: without other errors, so that anybody can check it with a table."""
    n = np.arange(80)
    lower = np.where(n > 0, stats.chi2.ppf(0.025, 2 * np.maximum(n, 0.5)) / 2, 0.0)
    upper = stats.chi2.isf(0.025, 2 * n + 2) / 2
    cells = np.round(np.arange(1.0, 20.0, 0.001), 3)
    held = (lower[:, None] <= cells) & (cells <= upper[:, None])
    coverage = (stats.poisson.pmf(n[:, None], cells) * held).sum(axis=0)
    text = prose.WHY.format(at=percent(float(stats.poisson.cdf(5, 1.624))), until=stats.chi2.ppf(0.01, 12) / 2)
    spans = windows(cells, coverage, MOST_FEW)
    return text + "\n" + _table(("from", "to", "most"), ((f"{a:.3f}", f"{b:.3f}", percent(c)) for a, b, c in spans))


def _peers(beads: Sequence[Found]) -> list[str]:
    cells = beads[0].cells
    some = [i for i, c in enumerate(cells) if c > 0]

    def values(f: Found, method: str, i: int) -> tuple[float, float]:
        return float(f.exact[method][i] / f.exact[OURS][i]), float(f.width[method][i] / f.width[OURS][i])

    def ratio(method: str, i: int) -> str:
        coverage, width = np.mean([values(f, method, i) for f in beads], axis=0)
        return f"{coverage:.3f} / {width:.2f}"

    def span(method: str, i: int) -> str:
        at = [100 * f.exact[method][i] for f in beads]
        return f"{min(at):.1f}–{max(at):.1f}"

    def least(method: str, low: float, high: float) -> str:
        """Anywhere, on the grid or not."""
        at = [f.between[method][(f.curve >= low) & (f.curve < high)] for f in beads]
        return f"{100 * min(x.min(initial=1.0) for x in at):.1f}"

    def below(method: str) -> str:
        return percent(float(np.mean([f.exact[method][i] < LEVEL for f in beads for i in some])), 0)

    return [
        "Coverage, %, least and most over all beads and gates.\n",
        _table(
            ("expected cells", OURS, *PEERS),
            [
                *((f"{cells[i]:g}", *(span(m, i) for m in (OURS, *PEERS))) for i in some),
                ("points of the grid below 95 %", *(below(m) for m in (OURS, *PEERS))),
                ("least between, 1–5", *(least(m, 1, 5) for m in (OURS, *PEERS))),
                ("least between, 5–20", *(least(m, 5, 20) for m in (OURS, *PEERS))),
                ("least between, 20 up", *(least(m, 20, np.inf) for m in (OURS, *PEERS))),
            ],
        ),
        "Over ours: coverage / mean width, mean over all beads and gates.\n",
        _table(("expected cells", *PEERS), ((f"{cells[i]:g}", *(ratio(m, i) for m in PEERS)) for i in some)),
    ]


def _others(others: Sequence[Found]) -> str:
    def name(f: Found) -> str:
        amount = f"{f.design.reference:,.0f}"
        what = {"beads": f"{amount} beads", "volume": "volume", "share": f"{amount} lymphocytes"}[f.design.kind]
        return f"{what}, gates {gates(f)}"

    cells = sorted({float(c) for f in others for c in f.cells})

    def at(f: Found, c: float) -> str:
        return next((f"{100 * x:.2f}" for k, x in zip(f.cells, f.exact[OURS], strict=True) if k == c), "")

    def most(f: Found, low: float, high: float, find: Callable[[np.ndarray], np.intp]) -> str:
        return _extreme(f.curve, f.between[OURS], (f.curve >= low) & (f.curve <= high), find)

    rows = [
        *((f"{c:g}", *(at(f, c) for f in others)) for c in cells),
        ("most between, 1–20", *(most(f, 1, 20, np.argmax) for f in others)),
        ("most between, 20 up", *(most(f, 20, np.inf, np.argmax) for f in others)),
        ("least between", *(most(f, 0, np.inf, np.argmin) for f in others)),
    ]
    return _table(("expected cells", *map(name, others)), rows)
