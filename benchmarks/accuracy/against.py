"""The peers on simulated tubes and on the perturbed real tube, on the same events as our gates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nti7flow as nf
from benchmarks.accuracy.gated import GatedTube, read_run
from benchmarks.accuracy.peers import by_classifiers, by_clustering
from benchmarks.accuracy.perturbed import ERRORS, POINTS, SUBSETS, T_CELLS, Change, Source, Tube, gain, spill, thin
from benchmarks.accuracy.scores import score
from benchmarks.accuracy.simulated import POPULATIONS, awkward_cases, read_labels, read_sheet
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.study.batch import workers

#: The usual cofactor of fluorescence; scatter is standardised by the peers themselves.
COFACTOR = 150.0
OTHER, OTHER_T = "other", "other_t"


def display(sample: Sample, spillover: Spillover) -> NDArray[np.float64]:
    """Compensated fluorescence as arcsinh(x / 150), then FSC-A linear and SSC-A as arcsinh(x / 150)."""
    dyes = np.arcsinh(sample.columns(spillover.detectors) @ spillover.compensation / COFACTOR)
    scatter = sample.columns(["FSC-A", "SSC-A"])
    return np.column_stack([dyes, scatter[:, :1], np.arcsinh(scatter[:, 1:] / COFACTOR)])


def peers_on_study(study: Path, run: Path, *, tubes: int, jobs: int = 1) -> list[dict[str, Any]]:
    """Score the peers on some clean patient tubes, evenly taken.

    Rows of ``sample, population, method, n_true, f1, count_error``. Clustering gets the events of our own lymphocyte
    gate, as a person would have it; classifiers get the whole tube. Tubes without a lymphocyte gate are passed over for
    all methods, ours too.
    """
    gated = read_run(run)
    named = {row[key] for row in awkward_cases(study) for key in ("sample", "other")}
    sheet = [
        row for row in read_sheet(study / "samples.csv") if row["role"] == "patient" and row["sample"] not in named
    ]
    able = [row for row in sheet if gated[row["sample"]].masks.get("lymphocytes") is not None]
    chosen = [able[round(i * (len(able) - 1) / max(tubes - 1, 1))] for i in range(min(tubes, len(able)))]
    with workers(min(jobs, len(chosen))) as each:
        found = each(peers_on_tube, [(study, line["file"], gated[line["sample"]]) for line in chosen])
        return [row for rows in found for row in rows]


def peers_on_tube(study: Path, file: str, tube: GatedTube) -> list[dict[str, Any]]:
    """Score the peers, and our own gates, on one simulated tube."""
    labels = read_labels(study / "truth" / "labels" / f"{tube.sample}.parquet")
    truth = np.where(np.isin(labels, POPULATIONS), labels, OTHER).astype("U16")
    sample = nf.read_fcs(study / file)
    spillover = Spillover.from_keyword(sample)
    inside = tube.masks["lymphocytes"]
    assert spillover is not None and inside is not None
    shown = display(sample, spillover)
    members: dict[str, Mapping[str, NDArray[np.bool_] | None]] = {"nti7flow": tube.masks}
    for method, names in by_clustering(shown[inside], truth[inside]):
        whole = np.full(len(truth), OTHER, dtype=truth.dtype)
        whole[inside] = names
        members[method] = {population: whole == population for population in POPULATIONS}
    for method, names in by_classifiers(shown, truth):
        members[method] = {population: names == population for population in POPULATIONS}
    rows = []
    for method, masks in members.items():
        for population in POPULATIONS:
            mask = masks.get(population)
            result = score(truth == population, np.zeros(len(truth), np.bool_) if mask is None else mask)
            about = {"sample": tube.sample, "population": population, "method": method}
            rows.append(about | {"n_true": result.n_true, "f1": result.f1, "count_error": result.count_error})
    return rows


def some_perturbations(source: Source) -> dict[str, tuple[Change, ...]]:
    """Return those of the perturbations that peers are tried on."""
    channels = source.sample.panel.channels
    everything = [c.detector for c in channels if c.role in ("fluorescence", "scatter")]
    some: dict[str, tuple[Change, ...]] = {"the tube as it is": ()}
    some |= {f"gain of all x {f:g}": (gain(everything, f, matrix_fits=True),) for f in (0.7, 1.3)}
    some |= {f"all spillover x {f:g}": (spill(factor=f),) for f in (0.95, 1.05)}
    some |= {
        f"lymphocytes to {share:.0%}, seed {seed}": (thin("own", share, seed),)
        for share in (0.20, 0.10, 0.05)
        for seed in (1, 2)
    }
    return some


def peers_on_perturbed(
    source: Source, *, only: Sequence[str] | None = None, done: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Score the peers on the lymphocytes of the perturbed tube, named by the full tube's gates.

    Rows of ``name, population, method, shift`` (points of % of T), ``moved`` and ``f1``. They are given the full tube's
    own lymphocytes, which a new tube would first have to find.
    """
    rows = []
    for name, changes in some_perturbations(source).items():
        if only is not None and name not in only:
            continue
        tube = source.tube
        for change in changes:
            tube = change(source, tube)
        inside = source.own[tube.rows]
        truth = _reference(source)[tube.rows][inside]
        shown = _shown(source, tube)[inside]
        for method, names in (*by_clustering(shown, truth), *by_classifiers(shown, truth)):
            rows += [{"name": name, "method": method, **_moved(truth, names, population)} for population in SUBSETS]
        done()
    return rows


def _reference(source: Source) -> NDArray[Any]:
    names = np.full(source.sample.n_events, OTHER, dtype="U16")
    for population, name in ((T_CELLS, OTHER_T), *((subset, subset) for subset in SUBSETS)):
        mask = source.gated.masks[population]
        assert mask is not None
        names[mask] = name
    return names


def _shown(source: Source, tube: Tube) -> NDArray[np.float64]:
    compensated = tube.raw[:, source.fluorescence] @ np.linalg.inv(tube.matrix)
    names = [channel.detector for channel in source.sample.panel.channels]
    fsc, ssc = tube.raw[:, names.index("FSC-A")], tube.raw[:, names.index("SSC-A")]
    return np.column_stack([np.arcsinh(compensated / COFACTOR), fsc, np.arcsinh(ssc / COFACTOR)])


def _moved(truth: NDArray[Any], names: NDArray[Any], population: str) -> dict[str, Any]:
    of_t = (*SUBSETS, OTHER_T)
    n_t, n_found = int(np.isin(truth, of_t).sum()), int(np.isin(names, of_t).sum())
    share = (truth == population).sum() / n_t if n_t else math.nan
    found = (names == population).sum() / n_found if n_found else 0.0
    shift, se = 100 * (found - share), 100 * math.sqrt(share * (1 - share) / n_t) if n_t else math.nan
    return {
        "population": population,
        "shift": float(shift),
        "moved": not (abs(shift) < POINTS or abs(shift) < ERRORS * se),
        "f1": score(truth == population, names == population).f1,
    }
