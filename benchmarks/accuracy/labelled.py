"""Real tubes whose every event was labelled by people; files of the same kind that are added are scored too."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

import nti7flow as nf
from benchmarks.accuracy.gated import LOUD, GatedTube, gate_alone
from benchmarks.accuracy.scores import score
from nti7flow.events.fcs import write_events
from nti7flow.gating.template import released_templates

Floats = NDArray[np.float64]
#: Markers of the mass cytometer's unnamed columns, by class medians (data/README.md): of the two that B cells carry,
#: ch1 is theirs alone.
CYANNO_MARKERS = {
    "ch0": "CD20",
    "ch1": "CD19",
    "ch2": "CD45",
    "ch3": "CD14",
    "ch4": "CD16",
    "ch5": "CD8",
    "ch6": "CD3",
    "ch7": "CD4",
}
#: Columns of the EuroFlow tube by position; their names are permuted in some files.
EUROFLOW_MARKERS = ("CD19+TCRgd", "CD38", "CD3", "CD4+CD20", "CD45", "CD56+IgK", "CD5", "CD8+IgL", "", "")
EUROFLOW_DETECTORS = ("FL1-A", "FL2-A", "FL3-A", "FL4-A", "FL5-A", "FL6-A", "FL7-A", "FL8-A", "FSC-A", "SSC-A")
DEBRIS = "debris_or_doublet"


@dataclass(frozen=True, eq=False)
class Labelled:
    """One labelled tube.

    Attributes
    ----------
    sample : str
        Its name.
    values : ndarray of float64, shape (n_events, n_channels)
        What is gated; ``display`` is the same on the scale that people look at, for methods without one.
    labels : ndarray of str, shape (n_events,)
        Class of each event.
    healthy : bool
        Whether it counts for the bar.
    """

    sample: str
    values: Floats
    display: Floats
    labels: NDArray[Any]
    detectors: tuple[str, ...]
    markers: tuple[str, ...]
    healthy: bool = True


@dataclass(frozen=True)
class LabelledSet:
    """A folder of labelled tubes of one kind.

    ``truth`` is the labels that make up each population; events with one of the ``ignored`` labels are left out of the
    scores, since what they were called rests on more than the channels show.
    """

    name: str
    templates: tuple[str, ...]
    truth: Mapping[str, tuple[str, ...]]
    load: Callable[[Path], Iterator[Labelled]]
    ignored: tuple[str, ...] = ()

    def template(self) -> str | None:
        """Return the first of its templates that there is."""
        released = {reference.partition("@")[0] for reference in released_templates()}
        return next((name for name in self.templates if name in released), None)


def load_cyanno(data: Path) -> Iterator[Labelled]:
    """CyTOF of several centres, arcsinh(x / 5)."""
    for path in _files(data, "cyanno*", "*.parquet"):
        table = pq.read_table(path)
        if "label" not in table.column_names or not set(CYANNO_MARKERS) <= set(table.column_names):
            continue
        values = _columns(table, tuple(CYANNO_MARKERS))
        labels = _texts(table, "label")
        yield Labelled(
            path.stem, values, np.arcsinh(values / 5), labels, tuple(CYANNO_MARKERS), tuple(CYANNO_MARKERS.values())
        )


def load_euroflow(data: Path) -> Iterator[Labelled]:
    """EuroFlow lymphoid screening tube, display-scaled; by position."""
    for path in _files(data, "euroflow*", "*.parquet"):
        table = pq.read_table(path)
        names = [name for name in table.column_names if not name.startswith("label")]
        if "label" not in table.column_names or len(names) != len(EUROFLOW_DETECTORS):
            continue
        values, labels = _columns(table, names), _texts(table, "label")
        healthy = not np.char.find(np.unique(labels), "abnormal").max() >= 0
        yield Labelled(path.stem, values, values, labels, EUROFLOW_DETECTORS, EUROFLOW_MARKERS, healthy)


def load_hipc(data: Path) -> Iterator[Labelled]:
    """HIPC Lyoplate T-cell panel, display-scaled."""
    for path in _files(data, "hipc*", "*.fcs"):
        beside = path.with_name(f"{path.stem}.labels.csv.gz")
        if not beside.exists():
            continue
        sample = nf.read_fcs(path)
        with gzip.open(beside, "rt", encoding="utf-8", newline="") as stream:
            labels = np.array([row["label"] for row in csv.DictReader(stream)])
        channels = sample.panel.channels
        values = sample.columns([channel.detector for channel in channels])
        detectors, markers = tuple(c.detector for c in channels), tuple(c.marker for c in channels)
        yield Labelled(path.stem, values, values, labels, detectors, markers)


SETS = (
    LabelledSet(
        "CyAnno",
        ("cytof_basic",),
        {"cd4_t": ("CD4Tcells",), "cd8_t": ("CD8Tcells",), "b_cells": ("Bcells",), "monocytes": ("Monocytes",)},
        load_cyanno,
    ),
    LabelledSet(
        "EuroFlow",
        ("euroflow_lst",),
        {"cd4_t": ("T_CD4", "T_CD4CD8"), "cd8_t": ("T_CD8",), "b_cells": ("B", "B_abnormal")},
        load_euroflow,
    ),
    LabelledSet(
        "HIPC",
        ("hipc_tcell", "tcell"),
        {
            "cd4_naive": ("CD4 Naive",),
            "cd4_cm": ("CD4 Central Memory",),
            "cd4_em": ("CD4 Effector Memory",),
            "cd8_naive": ("CD8 Naive",),
            "cd8_cm": ("CD8 Central Memory",),
            "cd8_em": ("CD8 Effector Memory",),
            "cd8_temra": ("CD8 Effector",),
        },
        load_hipc,
        ignored=("CD4 Activated", "CD8 Activated"),
    ),
)


def score_labelled(labelled: LabelledSet, tube: Labelled, template: str, folder: Path) -> list[dict[str, Any]]:
    """Gate one labelled tube, and compare it with its labels: a row for each population.

    Each has ``set, sample, healthy, population, method`` (``nti7flow``); ``n_true, n_found, precision, recall, f1,
    count_error``; ``f1_of_all``
    (nothing ignored); ``debris`` (found events that are labelled debris or doublets); ``status, template,
    severity, flagged, said``.
    """
    path = folder / f"{tube.sample}.fcs"
    write_events(path, tube.values, tube.detectors, markers=tube.markers)
    gated = gate_alone(path, template, spillover="none")
    return [_row(labelled, tube, gated, population) for population in labelled.truth]


def _row(labelled: LabelledSet, tube: Labelled, gated: GatedTube, population: str) -> dict[str, Any]:
    mask = gated.masks.get(population)
    found = np.zeros(len(tube.labels), np.bool_) if mask is None else mask
    severity, row = gated.severity(population), gated.counts.get(population, {})
    return {
        **compared(labelled, tube, population, found),
        "method": "nti7flow",
        "status": row.get("status", "refused" if gated.refused else "missing"),
        "template": row.get("template", ""),
        "severity": severity,
        "flagged": severity in LOUD,
        "said": "; ".join(gated.said((population,))),
    }


def compared(labelled: LabelledSet, tube: Labelled, population: str, found: NDArray[np.bool_]) -> dict[str, Any]:
    """Return what is the same for every method: found events against the labels of a population."""
    truth = np.isin(tube.labels, labelled.truth[population])
    scored = ~np.isin(tube.labels, labelled.ignored)
    result = score(truth[scored], found[scored])
    return {
        "set": labelled.name,
        "sample": tube.sample,
        "healthy": tube.healthy,
        "population": population,
        "n_true": result.n_true,
        "n_found": result.n_found,
        "precision": result.precision,
        "recall": result.recall,
        "f1": result.f1,
        "f1_of_all": score(truth, found).f1,
        "count_error": result.count_error,
        "debris": int((tube.labels[found] == DEBRIS).sum()),
    }


def classes(labelled: LabelledSet, tube: Labelled) -> NDArray[Any]:
    """Population of every event, ``other`` for all that is not scored."""
    named = np.full(len(tube.labels), "other", dtype="U16")
    for population, labels in labelled.truth.items():
        named[np.isin(tube.labels, labels)] = population
    return named


def _files(data: Path, folder: str, pattern: str) -> list[Path]:
    return sorted(path for place in sorted(data.glob(folder)) for path in place.rglob(pattern))


def _columns(table: Any, names: Any) -> Floats:
    return np.column_stack([table[name].to_numpy() for name in names]).astype(np.float64)


def _texts(table: Any, name: str) -> NDArray[Any]:
    return np.array(table[name].to_pylist()).astype(str)
