"""``nti7flow replay`` of concentrations: computed again from the counts and the sheets, or told why not."""

import hashlib
import json
import shutil

import pytest
from counted_study import write_counted_study
from study_tubes import files_of

REPRODUCED = "reproduced: 12 counts of 4 samples and 14 concentrations, byte for byte\n"
ONLY_COUNTS = "reproduced: 12 counts of 4 samples, byte for byte\n"


@pytest.fixture(scope="module")
def counted(tmp_path_factory, plain):
    """A folder with a study and a run of it that is gated and counted."""
    from nti7flow.study.count import count_run
    from nti7flow.study.gate import gate_study
    from nti7flow.study.plan import make_plan

    folder = tmp_path_factory.mktemp("counted")
    study = write_counted_study(folder / "lab", plain)
    gate_study(make_plan([study]), folder / "run", figures="none")
    count_run(folder / "run", figures="none")
    return folder


@pytest.fixture
def moved(counted, tmp_path):
    shutil.copytree(counted, tmp_path / "moved")
    return tmp_path / "moved"


def test_concentrations_are_reproduced_wherever_the_study_is(nti7flow, moved, monkeypatch):
    monkeypatch.chdir(moved / "run" / "steps")
    before = files_of(moved)
    outcome = nti7flow("replay", "..")
    assert (outcome.code, outcome.out, outcome.err) == (0, REPRODUCED, "")
    assert files_of(moved) == before


def test_gate_and_count_elsewhere_give_the_same_bytes(nti7flow, counted, tmp_path, monkeypatch):
    """Relative and absolute paths, and the two commands apart, make one run."""
    shutil.copytree(counted / "lab", tmp_path / "lab")
    monkeypatch.chdir(tmp_path / "lab")
    assert nti7flow("gate", "study.yaml", "-o", "../run", "--figures", "none").code in (0, 3)
    assert files_of(tmp_path / "run") == files_of(counted / "run")
    monkeypatch.chdir(tmp_path)
    assert nti7flow("count", "run", "--study", "lab/study.yaml", "--figures", "none").code in (0, 3)
    first, second = (files_of(tmp_path / "run" / "steps" / step) for step in ("02-count", "03-count"))
    assert {name for name in first if first[name] != second[name]} == {"step.json"}
    contents = [json.loads(files["step.json"]) for files in (first, second)]
    assert {key for key in contents[0] if contents[0][key] != contents[1][key]} == {"name", "parent"}
    assert nti7flow("replay", "run").out == REPRODUCED


def test_a_sheet_that_changed_is_told_and_no_difference(nti7flow, moved):
    sheet = moved / "lab" / "hematology.csv"
    sheet.write_text(sheet.read_text().replace("0.31", "0.32"))
    outcome = nti7flow("replay", moved / "run")
    assert (outcome.code, outcome.out) == (0, ONLY_COUNTS)
    told = f"hematology.csv changed since step 02-count: nti7flow count {moved / 'run'}\n"
    assert outcome.err == "concentrations not computed again: " + told
    assert nti7flow("count", moved / "run", "--figures", "none").code in (0, 3)  # some want a look
    assert nti7flow("replay", moved / "run").out == REPRODUCED


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("counting: {pipetting_cv: 0.05}\n", "study.yaml says something else under counting"),
        ("acceptance: {bead_events: 500}\n", "study.yaml says something else under acceptance"),
    ],
)
def test_settings_that_changed_are_told(nti7flow, moved, change, told):
    study = moved / "lab" / "study.yaml"
    study.write_text(study.read_text() + change)
    outcome = nti7flow("replay", moved / "run")
    assert (outcome.code, outcome.out) == (0, ONLY_COUNTS)
    assert told in outcome.err


def test_sheets_that_came_or_went_are_told(nti7flow, moved):
    study = moved / "lab" / "study.yaml"
    (moved / "lab" / "subjects.csv").write_text("subject,sex\nS/1,male\nS2,female\n")
    study.write_text(study.read_text().replace("hematology: hematology.csv", "subjects: subjects.csv"))
    lines = nti7flow("replay", moved / "run").err.splitlines()
    assert "names no sheet hematology any more" in lines[0]
    assert "subjects.csv changed since step 02-count" in lines[1]


def test_a_study_that_is_gone_is_told_and_may_be_elsewhere(nti7flow, moved):
    (moved / "lab" / "study.yaml").rename(moved / "lab" / "trial.yaml")
    outcome = nti7flow("replay", moved / "run")
    assert (outcome.code, outcome.out) == (0, ONLY_COUNTS)
    assert f"{moved / 'lab' / 'study.yaml'}: no such study.yaml, and 02-count was counted with it" in outcome.err
    assert nti7flow("replay", moved / "run", "--study", moved / "lab" / "trial.yaml").out == REPRODUCED


def test_a_newer_gating_is_told(nti7flow, moved, plain):
    from nti7flow.study.gate import gate_study
    from nti7flow.study.plan import make_plan

    gate_study(make_plan([moved / "lab" / "study.yaml"]), moved / "run", figures="none")
    outcome = nti7flow("replay", moved / "run")
    assert (outcome.code, outcome.out) == (0, ONLY_COUNTS)
    assert "02-count is made of 01-gate, and 03-gate is newer: nti7flow count" in outcome.err


def rewrite_hashes(run, step, name):
    """Make a step agree with a file of it that was altered."""
    folder = run / "steps" / step
    record = json.loads((folder / "step.json").read_text())
    record["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "step.json").write_text(json.dumps(record))
    index = json.loads((run / "run.json").read_text())
    index["steps"][-1]["sha256"] = hashlib.sha256((folder / "step.json").read_bytes()).hexdigest()
    (run / "run.json").write_text(json.dumps(index))


def test_concentrations_altered_along_with_every_hash_are_found_out(nti7flow, moved):
    import pyarrow as pa
    import pyarrow.parquet as pq

    run = moved / "run"
    path = run / "steps" / "02-count" / "concentrations.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    row = next(row for row in rows if (row["specimen"], row["population"]) == ("S1_day21", "cd8_t"))
    was = row["cells_per_ul"]
    row["cells_per_ul"] = was * 1.1
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, compression="zstd")
    rewrite_hashes(run, "02-count", path.name)
    outcome = nti7flow("replay", run)
    assert outcome.code == 3
    assert outcome.err == f"concentrations, S1_day21, cd8_t: cells_per_ul {was * 1.1} stored, {was} now\n"
    assert outcome.out == (
        "NOT reproduced: 0 counts differ, 0 samples could not be checked, concentrations differ in 1 places\n"
    )


def test_a_csv_altered_along_with_every_hash_is_found_out(nti7flow, moved):
    path = moved / "run" / "steps" / "02-count" / "report_table.csv"
    path.write_text(path.read_text().replace("volumetric", "beads", 1))
    rewrite_hashes(moved / "run", "02-count", path.name)
    (moved / "run" / "report_table.csv").write_bytes(path.read_bytes())
    outcome = nti7flow("replay", moved / "run")
    assert (outcome.code, outcome.err) == (3, "report_table.csv: the text differs although every value agrees\n")


@pytest.mark.parametrize("name", ["concentrations.csv", "report_table.csv", "steps/02-count/budget.parquet"])
def test_a_file_of_the_count_that_was_altered_is_named(nti7flow, moved, name):
    path = moved / "run" / name
    path.write_bytes(path.read_bytes() + b"1")
    assert f"{path}: " in nti7flow("replay", moved / "run").error()
