"""What a simulated study looks like on disk: FCS files, sheets, and the truth beside them."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nti7flow.events.fcs import write_events
from nti7flow.simulation.laboratory import TubePlan
from nti7flow.simulation.tube import TIME_STEP_S, SimulatedTube


def write_tube(path: Path, tube: SimulatedTube, plan: TubePlan) -> None:
    """Write a tube as FCS 3.1, with the keywords that a cytometer writes."""
    matrix = tube.cytometer.keyword
    begin = plan.acquired_at + timedelta(seconds=zlib.crc32(plan.sample.encode()) % 60)
    end = begin + timedelta(seconds=tube.seconds)
    spillover = [str(len(matrix)), *tube.cytometer.detectors, *(f"{value:g}" for value in matrix.ravel())]
    keywords = {
        "$CYT": tube.cytometer.name,
        "$COM": "simulated by nti7flow; no person, no specimen",
        "$FIL": path.name,
        "$DATE": begin.strftime("%d-%b-%Y").upper(),
        "$BTIM": begin.strftime("%H:%M:%S"),
        "$ETIM": end.strftime("%H:%M:%S"),
        "$TIMESTEP": f"{TIME_STEP_S:g}",
        "$SPILLOVER": ",".join(spillover),
    }
    write_events(path, tube.events, tube.detectors, markers=tube.markers, keywords=keywords)
    if plan.kept < 1:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * plan.kept)])


def write_labels(path: Path, tube: SimulatedTube) -> None:
    """Write one row per event, in file order; a partner is null where there is none."""
    texts = {"population": tube.labels, "cell_type": tube.cell_types, "partner": tube.partners}
    flags = {"dead": tube.dead, "cycling": tube.cycling, "pd1": tube.pd1}
    columns = {name: _dictionary(values) for name, values in texts.items()}
    table = pa.table(columns | {name: pa.array(values) for name, values in flags.items()})
    pq.write_table(table, path, compression="zstd", compression_level=9)


def _dictionary(values: NDArray[np.str_]) -> pa.DictionaryArray:
    names, codes = np.unique(values, return_inverse=True)
    words = [name or None for name in names.tolist()]
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int8), mask=np.array([word is None for word in words])[codes]),
        pa.array([word or "" for word in words]),
    )


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; None is an empty cell, and numbers are rounded where they are made."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def digits(value: float | None, significant: int = 5) -> str:
    """Return a number with so many significant digits: the last bits of a double depend on the processor."""
    return "" if value is None else f"{value:.{significant}g}"
