"""What is to be gated and with what; and a hash that changes with what changes numbers, and with nothing else."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from study_tubes import TUBES, write_tube

from nti7flow.errors import ConfigError, InputError, Nti7flowError
from nti7flow.study.batch import gate_tubes, workers
from nti7flow.study.plan import make_plan
from nti7flow.study.study_file import StudyFile
from nti7flow.study.tube import GatedTube, RefusedTube

ARCHIVES = Path(__file__).resolve().parents[1] / "archives"


@pytest.fixture
def folder(tmp_path, plain):
    for name in ("b", "a", "c"):
        write_tube(tmp_path / "tubes" / f"{name}.fcs", rows=slice(3000))
    shutil.copy(plain, tmp_path / "plain.yaml")
    (tmp_path / "matrix.csv").write_text("FITC-A,PE-A\n1,0.06\n0.02,1\n")
    return tmp_path


def test_recipe_hash_changes_with_what_changes_numbers(folder, plain):
    def hash_of(**options):
        return make_plan([folder / "tubes"], **({"template": folder / "plain.yaml"} | options)).recipe_hash()

    first = hash_of()
    assert hash_of() == hash_of(template=plain) == hash_of(spillover="keyword") == hash_of(repair="safe") == first
    (folder / "plain.yaml").write_text(f"# my favourite gates\n\n{plain.read_text()}")
    assert hash_of() == first  # a comment is no gate
    shutil.copy(folder / "matrix.csv", folder / "copy.csv")
    others = [
        hash_of(spillover="none"),
        hash_of(spillover=str(folder / "matrix.csv")),
        hash_of(markers={"CD8": "APC-Cy7-A"}),
        hash_of(template="tbnk"),
        hash_of(repair="salvage"),
        hash_of(repair="none"),
    ]
    assert hash_of(spillover=str(folder / "copy.csv")) == others[1]
    (folder / "copy.csv").write_text("FITC-A,PE-A\n1,0.07\n0.02,1\n")
    others.append(hash_of(spillover=str(folder / "copy.csv")))
    (folder / "plain.yaml").write_text(plain.read_text().replace("1000", "1001"))
    others.append(hash_of())
    assert len({first, *others}) == 9


def test_recipe_of_the_default_is_that_of_runs_made_before_there_was_a_choice(plain):
    archived = json.loads((ARCHIVES / "run-1" / "steps" / "01-gate" / "step.json").read_text())
    plan = make_plan([TUBES / "SIM-001_day21_tbnk.fcs"], template="tbnk@1.0.0")
    assert plan.recipe() == archived["recipe"]
    assert plan.recipe_hash() == archived["recipe_sha256"]
    other = make_plan([TUBES / "SIM-001_day21_tbnk.fcs"], template="tbnk@1.0.0", repair="none")
    assert other.recipe() == archived["recipe"] | {"repair": "none"}


def test_repair_that_is_no_word_for_one(folder, plain):
    with pytest.raises(ConfigError, match=r"repair is 'salvaged'; .* Did you mean 'salvage'\?"):
        make_plan([folder / "tubes"], template=plain, repair="salvaged")


def test_markers_in_any_order_are_one_recipe(folder, plain):
    markers = {"CD8": "APC-Cy7-A", "CD4": "PE-Cy7-A"}
    backwards = dict(reversed(markers.items()))
    one, two = (make_plan([folder / "tubes"], template=plain, markers=m) for m in (markers, backwards))
    assert one.recipe_hash() == two.recipe_hash()


def test_sheet_is_part_of_the_recipe_and_its_place_is_not(tmp_path):
    hashes = []
    for name in ("here", "there"):
        shutil.copytree(TUBES, tmp_path / name)
        hashes.append(make_plan([tmp_path / name / "study.yaml"]).recipe_hash())
    assert hashes[0] == hashes[1] == make_plan([TUBES / "study.yaml"]).recipe_hash()
    sheet = tmp_path / "there" / "samples.csv"
    sheet.write_text(sheet.read_text().replace("SIM-001_day21,", "SIM-001_day22,"))
    assert make_plan([tmp_path / "there" / "study.yaml"]).recipe_hash() != hashes[0]


def test_study_knows_its_tubes_by_the_sheet():
    plan = make_plan([TUBES / "study.yaml"])
    assert [(t.sample, t.file, t.data_set, t.batch) for t in plan.tubes] == [
        ("SIM-001_day00_tbnk", "SIM-001_day00_tbnk.fcs", 0, "2026-02-16"),
        ("SIM-001_day21_tbnk", "SIM-001_day21_tbnk.fcs", 0, "2026-03-09"),
    ]
    assert all(tube.path == TUBES / tube.file for tube in plan.tubes)
    assert plan.study == "sample"
    assert set(plan.templates) == {"tbnk@1.0.0"}


def test_compensation_of_a_study_is_relative_to_it_and_the_option_to_the_user(folder, monkeypatch):
    (folder / "samples.csv").write_text("file\ntubes/a.fcs\n")
    (folder / "study.yaml").write_text(
        "schema: nti7flow/study/1\nstudy: mine\ntemplates: {any: plain.yaml}\ncompensation: matrix.csv\n"
        "sheets: {samples: samples.csv}\n"
    )
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert make_plan(["../study.yaml"]).spillover == str(folder / "matrix.csv")
    with pytest.raises(InputError, match="no such spillover file") as caught:
        make_plan(["../study.yaml"], spillover="matrix.csv")
    assert str(folder / "elsewhere" / "matrix.csv") in str(caught.value)


def test_files_are_relative_to_the_sheet_and_names_must_fit_a_file_system(folder):
    (folder / "sheets").mkdir()
    (folder / "sheets" / "samples.csv").write_text("file,sample\n../tubes/a.fcs,A\n")
    (folder / "study.yaml").write_text(
        "schema: nti7flow/study/1\nstudy: mine\ntemplates: {any: plain.yaml}\nsheets: {samples: sheets/samples.csv}\n"
    )
    (tube,) = make_plan([folder / "study.yaml"]).tubes
    assert (tube.path, tube.file) == (folder / "tubes" / "a.fcs", "../tubes/a.fcs")
    (folder / "sheets" / "samples.csv").write_text(f"file,sample\na.fcs,{'é' * 101}\nb.fcs,{'é' * 100}\n")
    with pytest.raises(ConfigError, match=r"samples\.csv:2 sample: found a name of 202 bytes") as caught:
        make_plan([folder / "study.yaml"])
    assert len(str(caught.value).splitlines()) == 2


def test_study_file_says_what_it_may_hold():
    assert set(StudyFile.model_fields) == {
        *("study_schema", "study", "title", "time_zone", "templates", "compensation", "sheets"),
        *("schedule", "thresholds", "endpoints", "counting", "acceptance"),
    }


@pytest.mark.parametrize("jobs", [1, 2])
def test_outcomes_come_in_the_order_of_the_plan_and_each_is_announced(folder, plain, jobs):
    (folder / "tubes" / "b.fcs").write_text("not a tube")
    plan = make_plan([folder / "tubes"], template=plain)
    told = []
    outcomes = list(gate_tubes(plan, jobs=jobs, done=lambda tube: told.append(tube.sample)))
    assert [outcome.tube.sample for outcome in outcomes] == told == ["a", "b", "c"]
    assert [type(outcome) for outcome in outcomes] == [GatedTube, RefusedTube, GatedTube]


def test_nothing_to_gate_is_nothing(folder, plain):
    plan = replace(make_plan([folder / "tubes"], template=plain), tubes=())
    assert list(gate_tubes(plan)) == []
    with pytest.raises(ConfigError, match="nothing to gate"):
        make_plan([], template=plain)


def die():
    import os

    os._exit(9)


def test_worker_that_is_killed_is_one_clear_error():
    with (
        pytest.raises(Nti7flowError, match="a worker process was killed, most likely for want of memory"),
        workers(2) as run,
    ):
        list(run(die, [(), ()]))
