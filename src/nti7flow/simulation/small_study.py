"""The study that ships in sample_fcs/: one fictional patient before and three weeks after a dose of IL-7."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nti7flow.events.fcs import write_events
from nti7flow.simulation.cells import draw_donor
from nti7flow.simulation.cytometer import TBNK_CANTO
from nti7flow.simulation.tube import TIME_STEP_S, SimulatedTube, simulate_tube
from nti7flow.trial import SAMPLE_COLUMNS

#: Seed of the committed study.
SEED = 1

_STUDY_YAML = """\
schema: nti7flow/study/1
study: sample
title: One simulated patient before and three weeks after NT-I7
time_zone: America/New_York
templates:
  tbnk: tbnk@1.0.0
compensation: keyword
sheets:
  samples: samples.csv
"""


@dataclass(frozen=True)
class _Visit:
    """A blood draw, and what was in it in cells/µL (debris: particles/µL)."""

    specimen: str
    collected_at: datetime
    per_ul: Mapping[str, float]
    n_events: int
    growth: float
    note: str

    @property
    def sample(self) -> str:
        return f"{self.specimen}_tbnk"

    @property
    def acquired_at(self) -> datetime:
        return self.collected_at + timedelta(hours=2, minutes=5)


_SUBJECT = "SIM-001"
# A patient with deep lymphopenia (168 lymphocytes/µL, 87 of them CD4 T, 7 CD8 T): the published PML case.
_BASELINE = {
    "cd4_t": 87.0,
    "cd8_t": 7.0,
    "dn_t": 5.0,
    "dp_t": 1.0,
    "b_cells": 20.0,
    "nk_cells": 48.0,
    "monocytes": 110.0,
    "neutrophils": 890.0,
    "eosinophils": 45.0,
    "basophils": 8.0,
    "debris": 600.0,
}
# Three weeks after IL-7: CD4 × 3.2, CD8 × 5, B and NK nearly flat.
_DAY_21 = _BASELINE | {
    "cd4_t": 280.0,
    "cd8_t": 35.0,
    "dn_t": 14.0,
    "dp_t": 4.0,
    "b_cells": 22.0,
    "nk_cells": 56.0,
    "monocytes": 140.0,
    "neutrophils": 1170.0,
    "eosinophils": 70.0,
    "basophils": 10.0,
    "debris": 700.0,
}
_VISITS = (
    _Visit(
        f"{_SUBJECT}_day00",
        datetime.fromisoformat("2026-02-16T08:10-05:00"),
        _BASELINE,
        n_events=11_500,
        growth=1.0,
        note="before the first dose",
    ),
    _Visit(
        f"{_SUBJECT}_day21",
        datetime.fromisoformat("2026-03-09T08:25-04:00"),  # the clocks went forward the day before
        _DAY_21,
        n_events=11_000,
        growth=1.04,
        note="21 days after the first dose",
    ),
)


def write_small_study(out: str | Path, *, seed: int = SEED) -> None:
    """Write a study of one simulated patient: two FCS tubes, study.yaml, samples.csv and truth/.

    ``truth/<sample>.parquet`` holds, for each event in file order, its ``population``, its ``cell_type``, and
    for a doublet the ``partner``; ``truth/counts.csv`` the true events per population of each tube.

    Parameters
    ----------
    out : str or Path
        Folder, made if missing; files of the same name are replaced.
    seed : int, optional
        Same seed, same bytes (of parquet files: for the same version of pyarrow, which writes its name).
    """
    out = Path(out)
    (out / "truth").mkdir(parents=True, exist_ok=True)
    # A stream of its own for the person and for each tube: another visit changes no existing tube.
    donor = draw_donor(np.random.default_rng([seed, 0]), TBNK_CANTO.markers)
    counts: list[tuple[str, str, int]] = []
    for number, visit in enumerate(_VISITS, 1):
        tube = simulate_tube(
            np.random.default_rng([seed, 1, number]),
            n_events=visit.n_events,
            composition=visit.per_ul,
            donor=donor,
            growth=visit.growth,
        )
        _write_tube(out / f"{visit.sample}.fcs", tube, visit.acquired_at)
        _write_labels(out / "truth" / f"{visit.sample}.parquet", tube)
        counts += [(visit.sample, population, n) for population, n in tube.counts().items()]
    (out / "study.yaml").write_text(_STUDY_YAML, encoding="utf-8", newline="\n")
    _write_csv(out / "samples.csv", _SHEET_COLUMNS, (_sheet_row(visit) for visit in _VISITS))
    _write_csv(out / "truth" / "counts.csv", ("sample", "population", "n_events"), counts)


_SHEET_COLUMNS = tuple(name for name in SAMPLE_COLUMNS if not name.startswith(("data_set", "bead", "acquired_volume")))


def _sheet_row(visit: _Visit) -> list[str]:
    cells = {
        "file": f"{visit.sample}.fcs",
        "sample": visit.sample,
        "specimen": visit.specimen,
        "subject": _SUBJECT,
        "panel": "tbnk",
        "batch": f"{visit.collected_at:%Y-%m-%d}",
        "role": "patient",
        "collected_at": visit.collected_at.isoformat(timespec="minutes"),
        "stained_at": (visit.collected_at + timedelta(hours=1)).isoformat(timespec="minutes"),
        "acquired_at": visit.acquired_at.isoformat(timespec="minutes"),
        "specimen_volume": "50",
        "specimen_volume_unit": "uL",
        "dilution": "1",
        "note": visit.note,
    }
    return [cells[name] for name in _SHEET_COLUMNS]


def _write_tube(path: Path, tube: SimulatedTube, acquired_at: datetime) -> None:
    matrix = tube.keyword_spillover
    end = acquired_at + timedelta(seconds=float(tube.events[-1, -1]) * TIME_STEP_S)
    keywords = {
        "$CYT": "FACSCantoII",
        "$COM": "simulated by nti7flow; no person, no specimen",
        "$FIL": path.name,
        "$DATE": acquired_at.strftime("%d-%b-%Y").upper(),
        "$BTIM": acquired_at.strftime("%H:%M:%S"),
        "$ETIM": end.strftime("%H:%M:%S"),
        "$TIMESTEP": f"{TIME_STEP_S:g}",
        "$SPILLOVER": ",".join([str(len(matrix)), *tube.fluorescence, *(f"{value:g}" for value in matrix.ravel())]),
    }
    write_events(path, tube.events, tube.detectors, markers=tube.markers, keywords=keywords)


def _write_labels(path: Path, tube: SimulatedTube) -> None:
    """Write one row per event, in file order; a partner is null where there is none."""
    columns = {"population": tube.labels, "cell_type": tube.cell_types, "partner": tube.partners}
    arrays = {name: pa.array([value or None for value in values.tolist()]) for name, values in columns.items()}
    table = pa.table({name: array.dictionary_encode() for name, array in arrays.items()})
    pq.write_table(table, path, compression="zstd")


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
