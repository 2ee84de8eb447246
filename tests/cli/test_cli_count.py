"""``nti7flow count``: what it prints, writes and refuses, and its exit code."""

import shutil
from pathlib import Path

import pytest
from study_tubes import DAY00, DAY21, files_of, read_table, write_tube

VOLUME = "acquired_volume,acquired_volume_unit,dilution"
SHEET = f"file,sample,specimen,subject,{VOLUME}\n"
LINES = ("day00.fcs,day00,P1_day00,P1,100,uL,10\n", "day21.fcs,day21,P1_day21,P1,100,uL,10\n")


@pytest.fixture(scope="module")
def gated(tmp_path_factory, plain):
    """Two tubes of fixed gates that were counted by volume, beside their study."""
    folder = tmp_path_factory.mktemp("counted")
    write_tube(folder / "day00.fcs", source=DAY00)
    write_tube(folder / "day21.fcs", source=DAY21)
    write_study(folder, plain)
    return folder


def write_study(folder, plain, lines=LINES):
    (folder / "samples.csv").write_text(SHEET + "".join(lines))
    (folder / "study.yaml").write_text(
        f"schema: nti7flow/study/1\nstudy: s\ntemplates: {{any: {plain}}}\nsheets: {{samples: samples.csv}}\n"
    )
    return folder / "study.yaml"


@pytest.fixture
def folder(gated, tmp_path, nti7flow):
    """A copy of the study with a run beside it."""
    folder = Path(shutil.copytree(gated, tmp_path / "study"))
    assert nti7flow("gate", folder / "study.yaml", "-o", folder / "run", "--figures", "none").code == 0
    return folder


def t_cells(run):
    return {
        r["specimen"]: float(r["cells_per_ul"])
        for r in read_table(run / "concentrations.csv")
        if r["population"] == "t_cells"
    }


def test_gate_counts_too_and_says_where(gated, tmp_path, nti7flow):
    outcome = nti7flow("gate", gated / "study.yaml", "-o", tmp_path / "run", "--figures", "none")
    assert outcome.code == 0
    assert "Cells per µL, with interval" in outcome.out
    for name in ("concentrations.csv", "report_table.csv"):
        assert str(tmp_path / "run" / name) in outcome.out
        assert (tmp_path / "run" / name).is_file()
    events = {(r["sample"], r["population"]): int(r["n_events"]) for r in read_table(tmp_path / "run" / "counts.csv")}
    assert t_cells(tmp_path / "run") == {
        f"P1_{day}": pytest.approx(events[day, "t_cells"] / 100 * 10) for day in ("day00", "day21")
    }


def test_a_sheet_that_was_corrected_is_counted_without_gating(folder, plain, nti7flow):
    before, steps = t_cells(folder / "run"), files_of(folder / "run" / "steps")
    (folder / "day00.fcs").unlink()
    write_study(folder, plain, (LINES[0].replace(",100,uL", ",50,uL"), LINES[1]))
    outcome = nti7flow("count", folder / "run")
    assert outcome.code == 0
    assert "Cells per µL, with interval" in outcome.out
    after = t_cells(folder / "run")
    assert after["P1_day00"] == pytest.approx(2 * before["P1_day00"])
    assert after["P1_day21"] == before["P1_day21"]
    now = files_of(folder / "run" / "steps")
    assert {name: now[name] for name in steps} == steps
    assert {name.split("/")[0] for name in now} == {"01-gate", "02-count", "03-count"}


def test_the_same_again_is_the_same_bytes(folder, nti7flow):
    assert nti7flow("count", folder / "run").code == 0
    one, two = (
        {name: text for name, text in files_of(folder / "run" / "steps" / step).items() if name != "step.json"}
        for step in ("02-count", "03-count")
    )
    assert one == two


def test_a_study_elsewhere_is_named(folder, tmp_path, plain, nti7flow):
    (folder / "run").rename(tmp_path / "moved")
    assert "Say where it is: --study FILE." in nti7flow("count", tmp_path / "moved").error()
    outcome = nti7flow("count", tmp_path / "moved", "--study", folder / "study.yaml")
    assert outcome.code == 0, outcome


def test_what_needs_a_look_is_said_by_the_exit_code(folder, plain, nti7flow):
    """A volume whose dilution nobody says: the number is of the suspension, perhaps not of blood."""
    write_study(folder, plain, (LINES[0].replace(",10\n", ",\n"), LINES[1]))
    outcome = nti7flow("count", folder / "run")
    assert outcome.code == 3
    rows = {r["specimen"]: r for r in read_table(folder / "run" / "concentrations.csv") if r["population"] == "t_cells"}
    assert "dilution_assumed" in rows["P1_day00"]["flags"]
    assert rows["P1_day00"]["severity"] == "review"
    assert rows["P1_day21"]["severity"] in ("", "info")


def test_a_tube_that_the_run_has_not_is_named(folder, plain, nti7flow):
    write_study(folder, plain, (*LINES, "new.fcs,new,P1_day30,P1,100,uL,10\n"))
    assert "not gated new: is in the sheet and not in the run" in " ".join(
        nti7flow("count", folder / "run").out.split()
    )


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ((LINES[0].replace(",uL", ","), LINES[1]), "acquired_volume_unit"),
        ((LINES[0].replace(",100,", ",-100,"), LINES[1]), "'-100'"),
        (LINES[:1], "sample 'day21' of the run is not in it"),
        ((LINES[0].replace("day00.fcs", "day99.fcs"), LINES[1]), "day99.fcs"),
    ],
)
def test_a_sheet_that_is_wrong_is_refused_and_nothing_is_written(folder, plain, nti7flow, lines, found):
    before = files_of(folder / "run")
    write_study(folder, plain, lines)
    outcome = nti7flow("count", folder / "run")
    assert outcome.code == 1
    assert outcome.out == ""
    assert found in outcome.err
    assert files_of(folder / "run") == before


def test_files_alone_have_no_concentrations(tmp_path, plain, nti7flow):
    write_tube(tmp_path / "tubes" / "a.fcs")
    gated = nti7flow("gate", tmp_path / "tubes", "-t", plain, "-o", tmp_path / "run", "--figures", "none")
    assert gated.code == 0
    assert "Cells per µL" not in gated.out
    assert not (tmp_path / "run" / "concentrations.csv").exists()
    assert (
        "no concentrations: no tube has beads, a volume or a haematology count"
        in nti7flow("count", tmp_path / "run").error()
    )


def test_what_is_no_run(tmp_path, nti7flow):
    assert "is not a run folder" in nti7flow("count", tmp_path).error()
    assert "is not a run folder" in nti7flow("count", tmp_path / "nothing").error()
