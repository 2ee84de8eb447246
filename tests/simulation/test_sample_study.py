"""The study in sample_fcs/: rebuilt byte for byte, readable, true, and about three people worth looking at."""

import csv
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import Spillover
from nti7flow.trial import read_trial

COMMITTED = Path(__file__).parents[2] / "sample_fcs"
MOST_BYTES = 15_000_000
SUBJECTS = ("SIM-001", "SIM-002", "SIM-003")
THREE_DOSES, NON_RESPONDER, NO_B_CELLS = SUBJECTS


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "study"
    subprocess.run([sys.executable, "-W", "error", "-m", "nti7flow.simulation", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def trial():
    plan = YAML(typ="safe").load(COMMITTED / "study.yaml")
    sheets = {name: COMMITTED / file for name, file in plan["sheets"].items()}
    return read_trial(sheets, time_zone=plan["time_zone"])


@pytest.fixture(scope="module")
def per_ul():
    """True cells/µL by specimen and population."""
    rows = table(COMMITTED / "truth" / "concentrations.csv")
    return {(row["specimen"], row["population"]): float(row["cells_per_ul"]) for row in rows}


def table(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def course(trial, per_ul, subject, population):
    """Concentrations of a subject in the order of time."""
    return [per_ul[specimen.specimen, population] for specimen in trial.specimens if specimen.subject == subject]


def around(trial, dose):
    """Specimens of the day of a dose and of three weeks later."""
    days = {(specimen.collected_at - dose.given_at).days: specimen.specimen
            for specimen in trial.specimens if specimen.subject == dose.subject}  # fmt: skip
    return days[-1], days[20]


def test_the_committed_study_is_what_the_simulation_writes(rebuilt):
    assert files(COMMITTED) == files(rebuilt) | {"README.md"}
    for name in sorted(files(rebuilt)):
        written, found = COMMITTED / name, rebuilt / name
        if name.endswith(".parquet"):
            assert pq.read_table(written).equals(pq.read_table(found)), name
            # Parquet files name the version that wrote them.
            if pq.read_metadata(written).created_by != f"parquet-cpp-arrow version {pa.__version__}":
                continue
        assert written.read_bytes() == found.read_bytes(), name


def test_it_is_small_enough_to_ship():
    assert sum((COMMITTED / name).stat().st_size for name in files(COMMITTED)) <= MOST_BYTES


def test_another_seed_is_the_same_people_on_other_days(rebuilt, tmp_path):
    subprocess.run([sys.executable, "-m", "nti7flow.simulation", tmp_path / "other", "--seed", "2"], check=True)
    assert files(tmp_path / "other") == files(rebuilt)
    same = {
        name for name in files(rebuilt) if (rebuilt / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    }
    assert {"study.yaml", "subjects.csv", "doses.csv"} <= same
    assert not [name for name in same if name.startswith("tubes/")]


def test_the_sheets_are_in_order(trial):
    assert trial.remarks == ()
    assert tuple(row.subject for row in trial.subjects) == SUBJECTS
    patients = [row for row in trial.samples if row.role == "patient"]
    tubes = Counter((row.subject, row.panel) for row in patients)
    for subject in SUBJECTS:
        assert 6 <= tubes[subject, "tbnk"] <= 8
        assert tubes[subject, "tcell"] == 3
        specimens = [specimen for specimen in trial.specimens if specimen.subject == subject]
        assert len(specimens) == tubes[subject, "tbnk"]  # each has its TBNK tube
    doses = Counter(dose.subject for dose in trial.doses)
    assert doses[THREE_DOSES] == 3
    assert set(doses) == set(SUBJECTS)
    assert {row.role for row in trial.samples} >= {"patient", "control", "fmo:CD19"}
    # The first blood of each is drawn before the first dose.
    for subject in SUBJECTS:
        first = next(specimen for specimen in trial.specimens if specimen.subject == subject)
        assert first.collected_at < trial.doses_of(subject)[0].given_at


def test_tubes_read_and_agree_with_their_labels(trial):
    told = defaultdict(dict)
    for row in table(COMMITTED / "truth" / "counts.csv"):
        told[row["sample"]][row["population"]] = int(row["n_events"])
    for row in trial.samples:
        sample = read_fcs(COMMITTED / row.file)
        assert not sample.notes
        assert Spillover.from_keyword(sample).condition_number < 20
        assert (np.diff(sample.columns(["Time"])[:, 0]) >= 0).all()
        labels = Counter(
            pq.read_table(COMMITTED / "truth" / "labels" / f"{row.sample}.parquet")["population"].to_pylist()
        )
        assert sum(labels.values()) == sample.n_events
        assert {name: n for name, n in told[row.sample].items() if name in labels} == labels
        if row.role != "patient":
            continue
        if row.panel == "tbnk":
            assert 6_000 <= sample.n_events <= 12_000
            assert labels["beads"] >= 150
        else:
            assert 5_000 <= sample.n_events <= 7_000


def test_one_had_three_doses_and_responds(trial, per_ul):
    alc = course(trial, per_ul, THREE_DOSES, "lymphocytes")
    cd4, cd8 = (course(trial, per_ul, THREE_DOSES, name) for name in ("cd4_t", "cd8_t"))
    # The published case of PML.
    assert [alc[0], cd4[0], cd8[0]] == pytest.approx([168, 87, 7], rel=0.02)
    assert max(cd4) > 2.5 * cd4[0]
    assert max(cd8) > 2.5 * cd8[0]
    amounts = [dose.amount for dose in trial.doses_of(THREE_DOSES)]
    assert amounts[0] == 480
    assert amounts[1] >= amounts[0]


def test_one_does_not_respond(trial, per_ul):
    """Counts wander from day to day and with the hour, but do not rise by half, as a month after a dose that works."""
    assert len(trial.doses_of(NON_RESPONDER)) > 1
    for population in ("lymphocytes", "cd4_t", "cd8_t"):
        values = course(trial, per_ul, NON_RESPONDER, population)
        assert np.median(values[1:]) < 1.4 * values[0], population
        assert 0.4 * values[0] < min(values)
        for dose in trial.doses_of(NON_RESPONDER):
            before, after = around(trial, dose)
            assert per_ul[after, population] < 1.5 * per_ul[before, population], population


def test_one_has_no_b_cells(trial, per_ul):
    assert max(course(trial, per_ul, NO_B_CELLS, "b_cells")) < 1
    assert max(course(trial, per_ul, NO_B_CELLS, "cd4_t")) > 1.5 * course(trial, per_ul, NO_B_CELLS, "cd4_t")[0]
    assert any(event.subject == NO_B_CELLS and event.kind == "rituximab" for event in trial.events)
    told = {
        (row["sample"], row["population"]): int(row["n_events"]) for row in table(COMMITTED / "truth" / "counts.csv")
    }
    tubes = [row.sample for row in trial.samples if row.subject == NO_B_CELLS]
    assert all(told[sample, "b_cells"] <= 3 for sample in tubes)
    assert all(told[sample, "t_cells"] > 100 for sample in tubes)
    assert all(told[row.sample, "b_cells"] > 10 for row in trial.samples if row.subject == THREE_DOSES)


def test_the_readme_tells_the_story_of_each():
    text = (COMMITTED / "README.md").read_text(encoding="utf-8")
    assert all(subject in text for subject in SUBJECTS)
    assert "python -m nti7flow.simulation" in text
