"""The bars: what was asked for, what was measured, and whether it is met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.accuracy import perturbed, simulated
from benchmarks.accuracy.measure import Results
from benchmarks.accuracy.peers import CLASSIFIERS

Row = dict[str, Any]
#: CyAnno: median and least F1, or no further than this below the best classifier on the same file.
CYANNO_MEDIAN, CYANNO_LEAST, CYANNO_BELOW = 0.975, 0.93, 0.02
#: EuroFlow: median relative error of a count, and the error that this share of the samples may not exceed.
EUROFLOW_MEDIAN, EUROFLOW_MOST, EUROFLOW_SHARE = 0.015, 0.03, 0.90
HIPC_MEAN, HIPC_GOAL = 0.90, 0.93
#: Simulated: silent errors of all counts, and clean specimens flagged.
SILENT, FALSE_ALARMS = 0.01, 0.05


@dataclass(frozen=True)
class Bar:
    """One bar; ``met`` is None where it could not be measured."""

    name: str
    asked: str
    measured: str
    met: bool | None


def bars(results: Results) -> Iterator[Bar]:
    """Judge all bars that something was measured or looked for."""
    yield from _of_set(results, "CyAnno", _cyanno)
    yield from _of_set(results, "EuroFlow", _euroflow)
    yield from _of_set(results, "HIPC", _hipc)
    for study in results.studies:
        yield from _simulated(study)
    if results.perturbed:
        yield _perturbed(results.perturbed)
    elif "perturbed" in results.not_scored:
        yield Bar("Real tube, perturbed", _HELD, f"not scored: {results.not_scored['perturbed']}", None)


def ours(results: Results, name: str) -> list[Row]:
    """Rows of our own gates on one labelled set."""
    return [row for row in results.labelled if row["set"] == name and row["method"] == "nti7flow"]


def f1_of(row: Row) -> float:
    """F1 of a row; 0 where there was something to find or something found, and nothing in common."""
    return float(np.nan_to_num(row["f1"]))


def below_ceiling(results: Results, name: str) -> list[tuple[Row, float]]:
    """Each row of ours with how far it is below the best classifier for that population of that file."""
    best: dict[tuple[str, str], float] = {}
    for row in results.labelled:
        if row["set"] == name and row["method"] in CLASSIFIERS:
            key = row["sample"], row["population"]
            best[key] = max(best.get(key, 0.0), f1_of(row))
    return [(row, best[row["sample"], row["population"]] - f1_of(row)) for row in ours(results, name)]


def _of_set(results: Results, name: str, judge: Any) -> Iterator[Bar]:
    if rows := ours(results, name):
        yield from judge(results, rows)
    elif name in results.not_scored:
        yield Bar(name, _ASKED[name], f"not scored: {results.not_scored[name]}", None)


def _cyanno(results: Results, rows: Sequence[Row]) -> Iterator[Bar]:
    f1 = [f1_of(row) for row in rows]
    gaps = [gap for _, gap in below_ceiling(results, "CyAnno")]
    far = sum(gap > CYANNO_BELOW for gap in gaps)
    met = (np.median(f1) >= CYANNO_MEDIAN and min(f1) >= CYANNO_LEAST) or far == 0
    measured = (
        f"median {np.median(f1):.3f}, least {min(f1):.3f}; {far} of {len(f1)} more than {CYANNO_BELOW:g} below the "
        f"best classifier (worst {max(gaps):.3f})"
    )
    yield Bar("CyAnno", _ASKED["CyAnno"], measured, bool(met))


def _euroflow(results: Results, rows: Sequence[Row]) -> Iterator[Bar]:
    for population in dict.fromkeys(row["population"] for row in rows):
        errors = [abs(r["count_error"]) for r in rows if r["population"] == population and r["healthy"]]
        if not errors:
            continue
        within = float(np.mean([error <= EUROFLOW_MOST for error in errors]))
        met = float(np.median(errors)) <= EUROFLOW_MEDIAN and within >= EUROFLOW_SHARE
        measured = (
            f"median {np.median(errors):.1%}, largest {max(errors):.1%}, {within:.0%} of {len(errors)} within 3 %"
        )
        yield Bar(f"EuroFlow, {population}", _ASKED["EuroFlow"], measured, met)


def _hipc(results: Results, rows: Sequence[Row]) -> Iterator[Bar]:
    for sample in dict.fromkeys(row["sample"] for row in rows):
        own = [row for row in rows if row["sample"] == sample]
        mean, of_all = (float(np.mean(np.nan_to_num([row[key] for row in own]))) for key in ("f1", "f1_of_all"))
        goal = ", goal reached" if mean >= HIPC_GOAL else ""
        measured = f"mean {mean:.3f}{goal} (activated cells counted as wrong: {of_all:.3f})"
        yield Bar(f"HIPC, {sample}", _ASKED["HIPC"], measured, mean >= HIPC_MEAN)


def _simulated(study: Any) -> Iterator[Bar]:
    found = simulated.summarise(study.rows)
    name = "Simulated trial" if study.level is None else f"Simulated, {study.level:g} CD4/µL"
    silent = found.silent / found.n if found.n else 0.0
    loud = found.flagged_tubes / found.n_clean if found.n_clean else 0.0
    yield Bar(
        f"{name}: silent errors",
        f"≤ {SILENT:.0%} of specimen × CD4, CD8, CD19, NK",
        f"{found.silent} of {found.n} ({silent:.1%})",
        silent <= SILENT,
    )
    yield Bar(
        f"{name}: false alarms",
        f"≤ {FALSE_ALARMS:.0%} of clean specimens",
        f"{found.flagged_tubes} of {found.n_clean} ({loud:.1%})",
        loud <= FALSE_ALARMS,
    )
    if shown := [row for row in study.awkward if row["shown_by_data"] == "yes"]:
        missed = [row["case"] for row in shown if not row["flagged"]]
        measured = f"{len(shown) - len(missed)} of {len(shown)}" + (f"; not {', '.join(missed)}" if missed else "")
        measured += f"; {sum(row['named'] for row in shown)} with the trouble itself named"
        yield Bar(f"{name}: awkward cases", "every one that the data show is flagged", measured, not missed)


def _perturbed(rows: Sequence[Row]) -> Bar:
    total = perturbed.summarise(rows)[-1]
    measured = (
        f"{total['not_held']} of {total['n']} moved unflagged; {total['flagged']} flagged; largest unflagged shift "
        f"{total['largest_unflagged']:.2f} points"
    )
    return Bar("Real tube, perturbed", _HELD, measured, total["not_held"] == 0)


_HELD = "CD4 and CD8 % of T move < 1 point or < 2 SE, or are flagged"
_ASKED = {
    "CyAnno": f"F1 median ≥ {CYANNO_MEDIAN}, least ≥ {CYANNO_LEAST}, or within {CYANNO_BELOW} of the best classifier",
    "EuroFlow": "relative error of the count: median ≤ 1.5 %, 90 % of healthy samples ≤ 3 %",
    "HIPC": f"mean F1 of seven classes ≥ {HIPC_MEAN:.2f}, goal {HIPC_GOAL}",
}
