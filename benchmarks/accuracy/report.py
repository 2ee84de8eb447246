"""The page: bars first, then tables, then what they do not show."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.accuracy import perturbed, prose, simulated
from benchmarks.accuracy.bars import Bar, bars, f1_of, ours
from benchmarks.accuracy.gated import LOUD
from benchmarks.accuracy.labelled import SETS
from benchmarks.accuracy.measure import Results, ScoredStudy
from benchmarks.accuracy.peers import CLASSIFIERS, CLUSTERING

Row = dict[str, Any]
METHODS = ("nti7flow", *CLUSTERING, *CLASSIFIERS)
_MET = {True: "met", False: "**not met**", None: "—"}
#: How much of what was said about a tube is quoted.
_QUOTED = 160


def write_report(results: Results, *, figure: str = "", notes: Sequence[str] = ()) -> str:
    """Return the page as markdown; ``figure`` is the path of the picture as seen from it."""
    parts = [prose.HEAD, *notes, _bars(list(bars(results)), results)]
    if figure:
        parts.append(f"![F1 of every method by population; errors of simulated counts by size]({figure})\n")
    parts += [
        _labelled(results, kind.name) for kind in SETS if any(row["set"] == kind.name for row in results.labelled)
    ]
    if results.studies:
        parts.append(_studies(results.studies))
    if results.perturbed:
        parts.append(_perturbed(results))
    return "\n".join([*parts, prose.LIMITS])


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", r"\|").replace("\n", " ")


def _number(value: float | None, digits: int = 3) -> str:
    return "—" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "—" if value is None or math.isnan(value) else f"{100 * value:+.{digits}f} %"


def _bars(found: Sequence[Bar], results: Results) -> str:
    gated = ", ".join(f"{name} with {template}" for name, template in results.templates.items())
    return (
        "## Bars\n\n"
        + table(("bar", "asked", "measured", ""), ((b.name, b.asked, b.measured, _MET[b.met]) for b in found))
        + (f"\nGated: {gated}.\n" if gated else "")
    )


# Labelled sets.


def _labelled(results: Results, name: str) -> str:
    rows = [row for row in results.labelled if row["set"] == name]
    populations = list(dict.fromkeys(row["population"] for row in rows))
    methods = [method for method in METHODS if any(row["method"] == method for row in rows)]
    n = len({row["sample"] for row in rows})
    parts = [f"## {name}\n", f"F1, median over {n} tubes (least in brackets).\n" if n > 1 else "F1, one tube.\n"]
    if name in results.not_scored:
        parts.append(f"Our own gates are not scored: {results.not_scored[name]}.\n")
    parts.append(table(("method", *populations), (_method(rows, method, populations) for method in methods)))
    if own := ours(results, name):
        header = (
            "tube",
            "population",
            "labelled",
            "found",
            "precision",
            "recall",
            "F1",
            "count error",
            "debris",
            "gate",
        )
        parts += [
            "Our gates, tube by tube; debris: found events that are labelled debris or doublets.\n",
            table(header, map(_tube, own)),
        ]
    return "\n".join(parts)


def _method(rows: Sequence[Row], method: str, populations: Sequence[str]) -> tuple[str, ...]:
    scores = [[f1_of(r) for r in rows if r["method"] == method and r["population"] == p] for p in populations]
    return method, *(f"{np.median(f1):.3f}" + (f" ({min(f1):.3f})" if len(f1) > 1 else "") for f1 in scores)


def _tube(row: Row) -> tuple[str, ...]:
    state = row["status"] + (f", {row['severity']}" if row["severity"] else "")
    error = _percent(row["count_error"])
    scores = (_number(row[key]) for key in ("precision", "recall", "f1"))
    name = row["sample"] + ("" if row["healthy"] else " (not healthy)")
    return (
        name,
        row["population"],
        f"{row['n_true']:,}",
        f"{row['n_found']:,}",
        *scores,
        error,
        f"{row['debris']:,}",
        state,
    )


# Simulated studies.


def _studies(studies: Sequence[ScoredStudy]) -> str:
    header = (
        "study",
        "tubes",
        "counts",
        "wrong",
        "silent",
        "and nothing in the tube",
        "clean",
        "a count flagged",
        "or its tube",
        "anything",
    )
    sums = [(study, simulated.summarise(study.rows)) for study in studies]
    overview = table(
        header,
        (
            (
                _name(study),
                study.n_tubes,
                s.n,
                s.wrong,
                s.silent,
                s.silent_in_tube,
                s.n_clean,
                s.flagged_counts,
                s.flagged_tubes,
                s.flagged_any,
            )
            for study, s in sums
        ),
    )
    populations = table(
        (
            "study",
            "population",
            "counts",
            "wrong",
            "silent",
            "flagged",
            "median error",
            "F1, median",
            "precision",
            "recall",
        ),
        (line for study in studies for line in _populations(study)),
    )
    parts = [
        prose.SIMULATED,
        overview,
        populations,
        "Why clean specimens are flagged, first reason of each:\n",
        table(("study", "reason", "specimens"), (line for study in studies for line in _reasons(study))),
    ]
    if any(study.awkward for study in studies):
        parts += [prose.AWKWARD, table(_AWKWARD, (_case(row) for study in studies for row in study.awkward))]
    if any(study.peers for study in studies):
        methods = ("study", "tubes", "method", *simulated.POPULATIONS)
        parts += [
            prose.PEERS,
            table(methods, (line for study in studies for line in _peers(study))),
        ]
    return "\n".join(parts)


_AWKWARD = ("case", "shown by data", "should be", "is", "all four counts", "trouble named", "what was said")


def _name(study: ScoredStudy) -> str:
    return "trial, awkward cases" if study.level is None else f"{study.level:g} CD4/µL"


def _populations(study: ScoredStudy) -> Iterator[tuple[object, ...]]:
    for population in simulated.POPULATIONS:
        rows = [row for row in study.rows if row["population"] == population]
        errors = [row["error"] / row["truth"] for row in rows if row["error"] is not None and row["truth"]]
        scores = [[row[key] for row in rows if not math.isnan(row[key])] for key in ("f1", "precision", "recall")]
        medians = (_number(float(np.median(values)) if values else math.nan) for values in scores)
        flagged = sum(row["severity"] in LOUD for row in rows)
        error = _percent(float(np.median(errors)) if errors else math.nan)
        wrong, silent = sum(row["wrong"] for row in rows), sum(row["silent"] for row in rows)
        yield _name(study), population, len(rows), wrong, silent, flagged, error, *medians


def _reasons(study: ScoredStudy) -> Iterator[tuple[object, ...]]:
    first = {row["sample"]: row for row in study.rows if row["clean"] and row["tube_severity"] in LOUD}
    reasons = Counter(row["said"].partition("; ")[0] for row in first.values())
    for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        yield _name(study), reason[:_QUOTED], n


def _case(row: Row) -> tuple[str, ...]:
    found = row["severity"] or "nothing"
    mark = found if row["flagged"] or row["shown_by_data"] != "yes" else f"**{found}**"
    said = row["said"][:_QUOTED] + ("…" if len(row["said"]) > _QUOTED else "")
    blocks, named = "flagged" if row["blocks"] else "not all", "yes" if row["named"] else "no"
    return row["case"], row["shown_by_data"], row["wanted"], mark, blocks, named, said or "—"


def _peers(study: ScoredStudy) -> Iterator[tuple[object, ...]]:
    n = len({row["sample"] for row in study.peers})
    for method in METHODS:
        rows = [row for row in study.peers if row["method"] == method]
        if rows:
            # Of patients who have such cells: after rituximab there is nothing to find.
            found = ([f1_of(r) for r in rows if r["population"] == p and r["n_true"]] for p in simulated.POPULATIONS)
            yield _name(study), n, method, *(_number(float(np.mean(f1)) if f1 else None) for f1 in found)


# The perturbed tube.


def _perturbed(results: Results) -> str:
    rows = results.perturbed
    header = ("perturbation", "n", "flagged", "moved", "moved unflagged", "largest unflagged shift, points")
    keys = ("kind", "n", "flagged", "moved", "not_held")
    sums = perturbed.summarise(rows)
    parts = [
        prose.PERTURBED,
        table(header, ((*(s[key] for key in keys), _number(s["largest_unflagged"], 2)) for s in sums)),
    ]
    if missed := [row for row in rows if not row["held"]]:
        columns = ("perturbation", "population", "T cells", "reference, %", "found, %", "shift", "2 SE", "gate")
        parts += ["Moved without a flag:\n", table(columns, map(_moved, missed))]
    if results.perturbed_peers:
        names = list(dict.fromkeys(row["name"] for row in results.perturbed_peers))
        lines = ((name, *(_shift(results.perturbed_peers, name, method) for method in METHODS[1:])) for name in names)
        parts += [
            prose.PERTURBED_PEERS,
            table(("perturbation", *METHODS[1:]), lines),
        ]
    return "\n".join(parts)


def _moved(row: Row) -> tuple[object, ...]:
    numbers = (_number(row[key], 2) for key in ("reference", "percent", "shift"))
    return row["name"], row["population"], f"{row['n_t']:,}", *numbers, _number(2 * row["se"], 2), row["status"]


def _shift(rows: Sequence[Row], name: str, method: str) -> str:
    found = [row for row in rows if row["name"] == name and row["method"] == method]
    worst = max(found, key=lambda row: abs(row["shift"]))
    text = f"{worst['shift']:+.2f}"
    return f"**{text}**" if any(row["moved"] for row in found) else text
