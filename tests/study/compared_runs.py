"""Run folders with counts that were made up, to compare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nti7flow.study.store import StepWriter
from nti7flow.study.tables import COUNTS

#: Population, label, parent.
TREE = (
    ("lymphocytes", "Lymphocytes", "root"),
    ("t_cells", "T cells (CD3+)", "lymphocytes"),
    ("cd4_t", "CD4 T (CD4+CD8−)", "t_cells"),
    ("monocytes", "Monocytes", "root"),
)


def count_row(sample: str, population: str, n_events: int | None, **other: Any) -> dict[str, Any]:
    """One row of ``counts``, of a tube of 10,000 events with 1,000 lymphocytes."""
    label, parent = next((label, parent) for name, label, parent in TREE if name == population)
    share = None if n_events is None else n_events / 10
    return {
        "sample": sample,
        "sha256": f"sha of {sample}",
        "data_set": 0,
        "specimen": sample.removesuffix("_tbnk"),
        "subject": sample[:2],
        "template": "made@1.0.0",
        "population": population,
        "label": label,
        "path": f"/{population}",
        "parent": parent,
        "n_events": n_events,
        "n_total": 10_000,
        "percent_parent": share,
        "percent_lymphocytes": share,
        "status": "ok",
        "flags": "",
        "severity": "",
    } | other


def write_run(folder: Path, rows: list[dict[str, Any]], concentrations: list[Mapping[str, Any]] | None = None) -> Path:
    """Write a run folder with a gate step, and a count step where there are concentrations."""
    with StepWriter(folder, "gate") as step:
        step.add_rows(COUNTS, rows)
        gating = step.commit({"inputs": [], "refused": [], "recipe": {}})
    if concentrations is not None:
        with StepWriter(folder, "count") as step:
            pq.write_table(pa.Table.from_pylist(list(concentrations)), step.folder / "concentrations.parquet")
            step.commit({"gating": gating.name})
    return folder


def concentration(specimen: str, population: str, cells_per_ul: float | None, **other: Any) -> dict[str, Any]:
    """One row of ``concentrations``."""
    return {
        "specimen": specimen,
        "subject": specimen[:2],
        "collected_at": "2026-03-02T08:15:00-05:00",
        "population": population,
        "cells_per_ul": cells_per_ul,
        "lower": None,
        "upper": None,
        "method": "beads",
        "n_events": 100,
        "severity": "",
    } | other
