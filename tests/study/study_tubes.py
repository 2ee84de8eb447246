"""Tubes, templates and sheets to try the study room and the command line on."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.sample import Sample

ROOT = Path(__file__).resolve().parents[2]
TUBES = ROOT / "tests" / "tubes"
DAY00 = TUBES / "SIM-001_day00_tbnk.fcs"
DAY21 = TUBES / "SIM-001_day21_tbnk.fcs"

#: Fixed gates on markers of the sample tubes: nothing is fitted, so gating takes no time.
PLAIN = """\
schema: nti7flow/template/1
name: plain
version: 1.0.0
title: Fixed gates
populations:
  - id: lymphocytes
    label: Lymphocytes
    gate: {rectangle: {CD45: [5000, null], SSC: [null, 60000]}}
  - id: t_cells
    label: T cells
    parent: lymphocytes
    gate: {range: {CD3: [1000, null]}}
  - id: cd8_t
    label: CD8 T
    parent: t_cells
    gate: {range: {CD8: [1000, null]}}
"""

#: Two waves of pooled fits, one per batch and one per study, and a fit per tube between them.
POOLED = """\
schema: nti7flow/template/1
name: pooled
version: 1.0.0
title: Gates fitted on several tubes
populations:
  - id: lymphocytes
    label: Lymphocytes
    gate: {rectangle: {CD45: [5000, null], SSC: [null, 60000]}}
  - id: t_cells
    label: T cells
    parent: lymphocytes
    gate: {method: density_valley@1, dims: [CD3], scope: batch}
  - id: cd4_positive
    label: CD4+ of T
    parent: t_cells
    gate: {method: density_valley@1, dims: [CD4]}
  - id: cd8_positive
    label: CD8+ of T
    parent: t_cells
    gate: {method: density_valley@1, dims: [CD8], scope: study}
  - id: cd4_t
    label: CD4 T
    parent: t_cells
    gate: {all_of: [cd4_positive, not cd8_positive]}
"""


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """Path of a template of fixed gates."""
    path = tmp_path_factory.mktemp("template") / "plain.yaml"
    path.write_text(PLAIN)
    return path


@pytest.fixture(scope="session")
def pooled(tmp_path_factory):
    """Path of a template that pools tubes."""
    path = tmp_path_factory.mktemp("template") / "pooled.yaml"
    path.write_text(POOLED)
    return path


@cache
def _base(path: Path) -> Sample:
    return read_fcs(path)


def write_tube(
    path: Path,
    *,
    source: Path = DAY00,
    markers: Mapping[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
    keywords: Mapping[str, str | None] | None = None,
    rows: slice | Sequence[int] = slice(None),
) -> Path:
    """Write a sample tube with other markers (by detector), more channels, other keywords (None: without), or fewer
    events."""
    base = _base(source)
    channels = {c.detector: c.marker for c in base.panel.channels} | dict(markers or {})
    events = base.events[rows].astype(np.float32)
    for detector, marker in (extra or {}).items():
        channels[detector] = marker
        events = np.column_stack([events, events[:, 5][::-1]])
    stored = {"$SPILLOVER": base.keywords["$SPILLOVER"], "$CYT": "FACSCantoII", "$TIMESTEP": "0.01"} | dict(
        keywords or {}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_events(
        path,
        events,
        list(channels),
        markers=list(channels.values()),
        keywords={key: value for key, value in stored.items() if value is not None},
    )
    return path


def write_chain(path: Path, *tubes: Mapping[str, Any]) -> Path:
    """Write several data sets, each as `write_tube` makes it of its arguments, into one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        for number, arguments in enumerate(tubes):
            # The keyword that says where the next one begins grows into a filler: nothing else in the file moves.
            keywords = {"FILLER": "-" * 20} | dict(arguments.get("keywords", {}))
            content = write_tube(path.with_suffix(".part"), **dict(arguments) | {"keywords": keywords}).read_bytes()
            if number + 1 < len(tubes):
                size = str(len(content)).encode()
                for old, new in (
                    (b"|$NEXTDATA|0|", b"|$NEXTDATA|" + size + b"|"),
                    (b"-" * 20, b"-" * (21 - len(size))),
                ):
                    assert content.count(old) == 1
                    content = content.replace(old, new)
            stream.write(content)
    path.with_suffix(".part").unlink()
    return path


def spillover_keyword(first_row: Sequence[float], second_row: Sequence[float]) -> str:
    """A matrix of two detectors as it stands in a keyword."""
    return ",".join(["2", "FITC-A", "PE-A", *(f"{value:g}" for value in (*first_row, *second_row))])


#: Tubes that must be refused: how to write them, and what the error has to say.
REFUSED = {
    "missing": (dict(markers={"APC-Cy7-A": ""}), "no channel carries CD8"),
    "ambiguous": (dict(extra={"BV421-A": "CD8"}), "CD8 could be any of 2 channels: APC-Cy7-A (CD8), BV421-A (CD8)"),
    "uncompensated": (dict(keywords={"$SPILLOVER": None}), "holds no spillover keyword"),
    "singular": (dict(keywords={"$SPILLOVER": spillover_keyword((1, 0.5), (2, 1))}), "the matrix is singular"),
    "empty": (dict(rows=slice(0)), "no events"),
}


def write_refused(path: Path, kind: str) -> str:
    """Write a tube that must be refused and return what the error has to say."""
    if kind == "text":
        path.write_text("Dear lab, please find attached the FCS files.\n")
        return "not an FCS file"
    if kind == "truncated":
        path.write_bytes(DAY00.read_bytes()[:-20_000])
        return "file truncated"
    arguments, message = REFUSED[kind]
    write_tube(path, **arguments)
    return message


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def everything(folder: Path) -> set[str]:
    """Every file and folder below a folder."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*")}


def read_table(path: Path) -> list[dict[str, str]]:
    """A CSV as a spreadsheet would see it: text in every cell."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def masks_of(step: Path) -> dict[tuple[str, str], np.ndarray | None]:
    """Memberships of a step decoded from its file alone: one bit per event, the first in the highest bit."""
    masks = {}
    for row in pq.read_table(step / "memberships.parquet").to_pylist():
        bits = row["bits"]
        text = "" if bits is None else "".join(f"{byte:08b}" for byte in bits)
        mask = None if bits is None else np.array([c == "1" for c in text[: row["n_events"]]], bool)
        assert bits is None or (len(bits) == -(-row["n_events"] // 8) and "1" not in text[row["n_events"] :])
        masks[row["sample"], row["population"]] = mask
    return masks


def check_counts(step: Path) -> int:
    """Every number in a step's counts.csv is what its membership bits count to; return how many rows were checked."""
    masks = masks_of(step)
    rows = read_table(step / "counts.csv")
    assert {(row["sample"], row["population"]) for row in rows} == set(masks)
    for row in rows:
        mask = masks[row["sample"], row["population"]]
        total = int(row["n_total"])
        parent = np.ones(total, bool) if row["parent"] == "root" else masks[row["sample"], row["parent"]]
        ancestors = row["path"].split("/")[1:]
        assert ancestors[-1] == row["population"]
        assert ancestors[-2:-1] == ([] if row["parent"] == "root" else [row["parent"]])
        lymphocytes = masks[row["sample"], "lymphocytes"] if "lymphocytes" in ancestors else None
        assert row["n_parent"] == ("" if parent is None else str(parent.sum()))
        if mask is None:
            assert row["n_events"] == row["percent_parent"] == row["percent_lymphocytes"] == ""
            assert row["status"] != "ok"
            continue
        assert len(mask) == total
        assert parent is not None
        assert not (mask & ~parent).any()
        assert row["n_events"] == str(mask.sum())
        for column, whole in (("percent_parent", parent), ("percent_lymphocytes", lymphocytes)):
            defined = whole is not None and whole.any()
            assert row[column] == (repr(100.0 * int(mask.sum()) / int(whole.sum())) if defined else "")
    return len(rows)
