"""The study in sample_fcs/: rebuilt byte for byte, readable, and true."""

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import Spillover
from nti7flow.simulation import GROUPS, write_small_study
from nti7flow.trial import read_samples

COMMITTED = Path(__file__).parents[2] / "sample_fcs"
ROWS = read_samples(COMMITTED / "samples.csv")


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    subprocess.run([sys.executable, "-W", "error", "-m", "nti7flow.simulation", folder], check=True)
    return folder


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_committed_study_is_what_the_simulation_writes(rebuilt):
    assert files(COMMITTED) == files(rebuilt) | {"README.md"}
    for name in files(rebuilt):
        if name.endswith(".parquet"):
            written, found = COMMITTED / name, rebuilt / name
            assert pq.read_table(written).equals(pq.read_table(found)), name
            # Parquet files name the version that wrote them.
            if pq.read_metadata(written).created_by != f"parquet-cpp-arrow version {pa.__version__}":
                continue
        assert (COMMITTED / name).read_bytes() == (rebuilt / name).read_bytes(), name


def test_another_seed_is_another_patient(tmp_path):
    write_small_study(tmp_path, seed=2)
    name = ROWS[0].file
    assert (tmp_path / name).read_bytes() != (COMMITTED / name).read_bytes()
    assert (tmp_path / "study.yaml").read_bytes() == (COMMITTED / "study.yaml").read_bytes()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sample)
def test_tubes_read_as_a_tbnk_panel(row):
    sample = read_fcs(COMMITTED / row.file)
    assert not sample.notes
    assert 8_000 <= sample.n_events <= 12_000
    assert (COMMITTED / row.file).stat().st_size < 600_000
    markers = {
        "CD3": "FITC-A",
        "CD16+56": "PE-A",
        "CD45": "PerCP-Cy5-5-A",
        "CD4": "PE-Cy7-A",
        "CD19": "APC-A",
    }
    for marker, detector in (
        markers | {"CD8": "APC-Cy7-A", "FSC-A": "FSC-A", "FSC-H": "FSC-H", "SSC": "SSC-A"}
    ).items():
        assert sample.panel.resolve(marker).detector == detector
    spillover = Spillover.from_keyword(sample)
    assert len(spillover.detectors) == 6
    assert 1 < spillover.condition_number < 2
    seconds = sample.columns(["Time"])[:, 0]
    assert (np.diff(seconds) >= 0).all()
    assert 10 < seconds[-1] < 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sample)
def test_counts_agree_with_labels(row):
    with (COMMITTED / "truth" / "counts.csv").open(newline="") as stream:
        counts = {r["population"]: int(r["n_events"]) for r in csv.DictReader(stream) if r["sample"] == row.sample}
    labels = Counter(pq.read_table(COMMITTED / "truth" / f"{row.sample}.parquet")["population"].to_pylist())
    assert sum(labels.values()) == read_fcs(COMMITTED / row.file).n_events
    for group, members in GROUPS.items():
        assert counts.pop(group) == sum(labels[name] for name in members)
    assert counts.pop("singlets") == sum(labels.values()) - labels["doublets"]
    assert counts == labels
    # Enough of each for a good method to place every gate.
    assert min(labels[name] for name in ("cd4_t", "cd8_t", "b_cells", "nk_cells")) >= 40


def test_the_patient_responds():
    with (COMMITTED / "truth" / "counts.csv").open(newline="") as stream:
        counts = {(row["sample"], row["population"]): int(row["n_events"]) for row in csv.DictReader(stream)}
    before, after = (row.sample for row in ROWS)

    def share(sample, population):
        return counts[sample, population] / counts[sample, "lymphocytes"]

    assert 0.45 < share(before, "cd4_t") < 0.58
    assert 0.02 < share(before, "cd8_t") < 0.07
    assert share(after, "cd4_t") > 1.2 * share(before, "cd4_t")
    assert share(after, "cd8_t") > 1.5 * share(before, "cd8_t")
    assert (ROWS[1].collected_at.date() - ROWS[0].collected_at.date()).days == 21
