"""The run folder: written whole or not at all, and read with care."""

import json
import resource
import shutil
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from study_tubes import DAY21, TUBES, everything, files_of, read_table, write_tube

import nti7flow as nf
from nti7flow.errors import StoreError
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan
from nti7flow.study.store import Run, StepWriter, open_run
from nti7flow.study.tables import COUNTS, GATE_FITS, MEMBERSHIPS, QUALITY, TABLES, arrow_schema

NOTHING = {"inputs": [], "refused": []}
#: A marker the panel does not have, and a gate that can never be placed: counts that are not known.
UNKNOWN = """\
schema: nti7flow/template/1
name: unknown
version: 1.0.0
title: Counts that are not known
populations:
  - {id: lymphocytes, label: L, gate: {rectangle: {CD45: [5000, null], SSC: [null, 60000]}}}
  - {id: t_cells, label: T, parent: lymphocytes, gate: {method: density_valley@1, dims: [CD3]}}
  - {id: treg, label: Treg, parent: t_cells, optional: true, gate: {method: density_valley@1, dims: [CD25]}}
  - id: blasts
    label: Blasts
    parent: t_cells
    gate: {method: density_valley@1, dims: [CD4], params: {window: [200000, 250000]}}
  - {id: none, label: Nobody, parent: t_cells, gate: {range: {CD8: [1.0e+9, null]}}}
  - {id: of_none, label: Nobody's, parent: none, gate: {range: {CD8: [0, null]}}}
"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of two tubes and a refused one."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "unknown.yaml").write_text(UNKNOWN)
    write_tube(folder / "tubes" / "a.fcs")
    write_tube(folder / "tubes" / "b.fcs", source=DAY21)
    (folder / "tubes" / "c.fcs").write_text("not a tube")
    gate_study(make_plan([folder / "tubes"], template=folder / "unknown.yaml"), folder / "run", figures="none")
    return folder / "run"


@pytest.fixture
def run(run_folder):
    return open_run(run_folder)


def write_step(folder, rows=()):
    with StepWriter(folder, "gate") as step:
        step.add_rows(QUALITY, rows)
        step.append(MEMBERSHIPS, [])
        return step.commit(NOTHING)


# What is read


def test_tables_are_frames_in_which_unknown_is_missing(run):
    counts = run.counts.set_index(["sample", "population"])
    assert list(run.counts.columns) == [column.name for column in COUNTS.columns]
    assert {name: str(counts[name].dtype) for name in ("n_events", "n_parent", "n_total", "data_set")} == dict.fromkeys(
        ("n_events", "n_parent", "n_total", "data_set"), "Int64"
    )
    assert counts["percent_parent"].dtype == np.float64
    treg, blasts, nobody, of_nobody = (counts.loc[("a", name)] for name in ("treg", "blasts", "none", "of_none"))
    assert (treg["status"], treg["severity"]) == ("not_in_panel", "info")
    assert (blasts["status"], blasts["severity"]) == ("failed", "invalid")
    for row in (treg, blasts):
        assert row["n_events"] is pd.NA
        assert np.isnan(row["percent_parent"])
        assert np.isnan(row["percent_lymphocytes"])
    assert (nobody["n_events"], nobody["percent_parent"]) == (0, 0.0)
    assert (of_nobody["n_events"], of_nobody["n_parent"]) == (0, 0)
    assert np.isnan(of_nobody["percent_parent"])  # of nothing
    assert of_nobody["percent_lymphocytes"] == 0.0
    assert counts["specimen"].isna().all()  # no sheet, no specimen


def test_gate_fits_and_quality(run):
    fits = run.gate_fits.set_index(["sample", "population"])
    assert list(run.gate_fits.columns) == [column.name for column in GATE_FITS.columns]
    assert str(fits["n_fitted"].dtype) == str(fits["version"].dtype) == "Int64"
    valley = fits.loc[("a", "t_cells")]
    assert (valley["method"], valley["version"], valley["scope"], valley["status"]) == (
        "density_valley",
        1,
        "sample",
        "ok",
    )
    assert 0 < json.loads(valley["thresholds"])["CD3"]["lower"] < 1
    assert valley["threshold_spread"] > 0
    assert np.isnan(fits.loc[("a", "treg")]["threshold_spread"])
    assert json.loads(fits.loc[("a", "blasts")]["diagnostics"])["reason"]
    for text in (*run.gate_fits["thresholds"], *run.gate_fits["diagnostics"]):
        json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    quality = run.quality
    assert list(quality.columns) == [column.name for column in QUALITY.columns]
    assert str(quality["n_excluded"].dtype) == "Int64"
    assert list(quality.loc[quality["check"] == "refused", "sample"]) == ["c"]
    with pytest.raises(StoreError, match=r"holds no 'count' step; it has 01-gate"):
        run.arrow("concentrations")


def test_csv_and_parquet_say_the_same(run):
    for table in (COUNTS, GATE_FITS, QUALITY):
        parquet = pq.read_table(run.file(f"{table.name}.parquet"))
        assert parquet.schema.equals(arrow_schema(table))
        rows = read_table(run.file(f"{table.name}.csv"))
        stored = parquet.to_pylist()
        assert len(rows) == len(stored) > 0
        for row, values in zip(rows, stored, strict=True):
            assert row.keys() == values.keys()
            for name, value in values.items():
                read = row[name]
                if isinstance(value, float):
                    assert float(read) == value
                else:
                    assert read == ("" if value is None else str(value))


def test_memberships_are_bits_of_the_tube(run):
    counts = run.counts.set_index(["sample", "population"])["n_events"]
    for sample in run.samples:
        everyone = run.membership(sample, "lymphocytes")
        t_cells = run.membership(sample, "t_cells")
        assert everyone.dtype == np.bool_
        assert len(everyone) == len(t_cells) == len(nf.read_fcs(run.path.parent / "tubes" / f"{sample}.fcs").events)
        assert t_cells.sum() == counts[sample, "t_cells"]
        assert not (t_cells & ~everyone).any()
        assert run.membership(sample, "treg") is None
        assert run.bits(sample)["treg"] is None
        assert run.membership(sample, "none").sum() == 0


def test_strategies_and_histograms_come_back(run):
    strategy = run.strategy("a")
    assert isinstance(strategy, GatingStrategy)
    sample = nf.read_fcs(run.path.parent / "tubes" / "a.fcs")
    assert (strategy.sample, strategy.sha256) == ("a", sample.sha256)
    assert np.array_equal(strategy.apply(sample).mask("t_cells"), run.membership("a", "t_cells"))
    panels = run.panels("a")
    lymphocytes = next(panel for panel in panels if panel.parent == "lymphocytes")
    assert lymphocytes.populations == ("t_cells",)
    inside = run.counts.set_index(["sample", "population"]).loc[("a", "lymphocytes"), "n_events"]
    assert 0 < inside - lymphocytes.dense().sum() + 1 <= 0.01 * inside + 1  # but for the few beyond its ends
    assert panels[0].parent is None


@pytest.mark.parametrize(
    "look", [Run.strategy, Run.panels, Run.bits, lambda run, name: run.membership(name, "t_cells")]
)
def test_names_that_are_not_in_the_run(run, look):
    with pytest.raises(StoreError, match=r"no sample 'A'\. Did you mean 'a'\?"):
        look(run, "A")
    with pytest.raises(StoreError, match=r"sample 'c' was refused: c\.fcs: not an FCS file"):
        look(run, "c")
    with pytest.raises(StoreError, match=r"a: no population 't_cell'\. Did you mean 't_cells'\?"):
        run.membership("a", "t_cell")


def test_run_says_what_it_is(run):
    assert repr(run) == f"<Run {run.path}: 01-gate; 2 samples>"
    assert run.samples == ["a", "b"]
    assert set(run.refused) == {"c"}
    with pytest.raises(StoreError, match="holds no 'model' step; it has 01-gate"):
        run.step("model")


def test_a_step_that_is_not_the_newest_stays_readable(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    before = open_run(tmp_path / "run")
    write_step(tmp_path / "run")
    assert before.samples == ["a", "b"]  # an open run keeps showing what it showed
    assert len(before.counts) == 12
    old = pd.read_parquet(tmp_path / "run" / "steps" / "01-gate" / "counts.parquet")
    assert len(old) == 12
    assert open_run(tmp_path / "run").steps == ["01-gate", "02-gate"]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_is_declared_once_with_type_and_meaning(table):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert all(column.meaning.endswith(".") for column in table.columns)
    assert any(column.key for column in table.columns)
    assert arrow_schema(table).names == names


# What is written


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_crash_within_a_step_leaves_the_run_as_it_was(run_folder, tmp_path, error):
    shutil.copytree(run_folder, tmp_path / "run")
    strategy = open_run(run_folder).strategy("a")
    before = files_of(tmp_path)
    with pytest.raises(error), StepWriter(tmp_path / "run", "gate") as step:
        step.add_rows(QUALITY, [{"sample": "a", "check": "x", "severity": ""}])
        step.append(MEMBERSHIPS, [{"sample": "a", "population": "x", "n_events": 8, "bits": b"\0"}])
        step.add_strategy("a", strategy)
        raise error
    assert files_of(tmp_path) == before
    assert len(open_run(tmp_path / "run").counts) == 12


def test_crash_within_the_first_step_leaves_no_folder(tmp_path):
    (tmp_path / "there").mkdir()
    for out in ("deep/new/run", "there"):
        with pytest.raises(RuntimeError), StepWriter(tmp_path / out, "gate"):
            raise RuntimeError
    assert everything(tmp_path) == {"there"}


def test_crash_while_the_step_is_put_in_place_leaves_the_run_as_it_was(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    before = files_of(tmp_path)
    (tmp_path / "run" / "run.json").unlink()
    (tmp_path / "run" / "run.json").mkdir()  # cannot be replaced by a file
    with pytest.raises(StoreError, match=r"run\.json: cannot be read"):
        StepWriter(tmp_path / "run", "gate")
    (tmp_path / "run" / "run.json").rmdir()
    (tmp_path / "run" / "run.json").write_bytes(before["run/run.json"])
    with pytest.raises(StoreError, match="cannot be written"), StepWriter(tmp_path / "run", "gate") as step:
        step.add_rows(COUNTS, [])
        (step.folder / "counts.parquet").mkdir()  # in the way of the table
        step.commit(NOTHING)
    assert files_of(tmp_path) == before


def test_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path):
    """A process may write files of 20 kB only, which the memberships of the sample tubes exceed."""
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, {resource.RLIM_INFINITY}))\n"
        "from nti7flow.cli.main import main; main()"
    )
    arguments = ["gate", TUBES / "study.yaml", "-o", tmp_path / "run", "--figures", "none"]
    done = subprocess.run([sys.executable, "-B", "-c", program, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"nti7flow: {tmp_path / 'run'}: cannot be written: File too large.\n"
    assert everything(tmp_path) == set()


def test_leftovers_of_processes_that_were_killed_are_harmless(run_folder, tmp_path):
    for name in (".gate.0123abcd.tmp", ".02-gate.17.tmp"):
        (tmp_path / "run" / "steps" / name / "strategies").mkdir(parents=True)
        (tmp_path / "run" / "steps" / name / "counts.parquet").write_bytes(b"half of")
    (tmp_path / "run" / ".run.json.99.tmp").write_text("{")
    leftovers = everything(tmp_path)
    assert write_step(tmp_path / "run").name == "01-gate"  # no index yet, but nothing of anybody else either
    assert leftovers <= everything(tmp_path)
    shutil.copytree(run_folder, tmp_path / "second")
    (tmp_path / "second" / "steps" / ".gate.0123abcd.tmp").mkdir()
    assert len(open_run(tmp_path / "second").counts) == 12
    assert write_step(tmp_path / "second").name == "02-gate"


def test_step_without_an_entry_is_put_aside(tmp_path):
    """A process was killed after it renamed its step and before it wrote the index."""
    write_step(tmp_path)
    index = (tmp_path / "run.json").read_bytes()
    write_step(tmp_path, [{"sample": "lost", "check": "x", "severity": "", "n_excluded": 0}])
    (tmp_path / "run.json").write_bytes(index)
    assert open_run(tmp_path).steps == ["01-gate"]
    assert len(open_run(tmp_path).quality) == 0
    assert write_step(tmp_path).name == "02-gate"
    (aside,) = (tmp_path / "steps").glob(".02-gate.*.tmp")
    assert "lost" in (aside / "quality.csv").read_text()


def test_run_that_lost_its_index_is_not_written_to(tmp_path):
    write_step(tmp_path)
    (tmp_path / "run.json").unlink()
    before = files_of(tmp_path)
    with pytest.raises(StoreError, match="is not empty and not a run folder"):
        StepWriter(tmp_path, "gate")
    assert files_of(tmp_path) == before


def test_writers_at_the_same_time_each_get_a_step(tmp_path):
    with StepWriter(tmp_path / "run", "gate") as slow:
        slow.add_rows(QUALITY, [])
        assert write_step(tmp_path / "run").name == "01-gate"
        assert slow.commit(NOTHING).name == "02-gate"
    with StepWriter(tmp_path / "run", "gate"):
        pass  # thought better of it
    threads = [threading.Thread(target=write_step, args=(tmp_path / "run",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index = json.loads((tmp_path / "run" / "run.json").read_text())["steps"]
    assert [entry["name"] for entry in index] == [f"{number:02d}-gate" for number in range(1, 11)]
    parent = None
    for entry in index:
        step = json.loads((tmp_path / "run" / "steps" / entry["name"] / "step.json").read_text())
        assert (step["name"], step["parent"]) == (entry["name"], parent)
        parent = entry["sha256"]
    assert everything(tmp_path / "run" / "steps") >= {entry["name"] for entry in index}
    assert not list((tmp_path / "run").rglob(".*"))


def test_new_steps_have_the_permissions_of_any_folder(tmp_path):
    (tmp_path / "ordinary").mkdir()
    step = write_step(tmp_path / "run")
    assert step.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_files_of_another_version_are_named(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": "nti7flow/run/2", "steps": []}')
    with pytest.raises(StoreError, match="schema 'nti7flow/run/2'; this version reads 'nti7flow/run/1'"):
        open_run(tmp_path)
    with pytest.raises(StoreError, match="is not a run folder"):
        open_run(tmp_path / "run.json")
