"""Pictures of a counted run, and ``nf.count`` for notebooks."""

import shutil

import pytest
from counted_study import write_counted_study
from study_tubes import DAY00, files_of, write_tube

import nti7flow as nf
from nti7flow.study.count import count_run
from nti7flow.study.count_figures import MOST_SPECIMENS, _pages
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan


@pytest.fixture(scope="module")
def gated(tmp_path_factory, plain):
    folder = tmp_path_factory.mktemp("gated")
    study = write_counted_study(folder / "lab", plain)
    gate_study(make_plan([study]), folder / "run", figures="none")
    return folder


@pytest.fixture
def run(gated, tmp_path):
    shutil.copytree(gated, tmp_path / "copy")
    return tmp_path / "copy" / "run"


def pictures(run):
    return {path.name for path in (run / "figures").rglob("*.png")}


def test_a_picture_per_subject_and_one_of_the_budget(run):
    report = count_run(run)
    assert pictures(run) == {"S_1.png", "S2.png", "no_subject.png", "budget.png"}
    assert {path.name for path in report.figures} == pictures(run)
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in report.figures)


def test_pictures_are_of_the_newest_step_only(run, plain):
    count_run(run)
    (run / "figures" / "concentrations" / "for the talk.png").write_bytes(b"mine")
    count_run(run, figures="none")
    assert pictures(run) == {"for the talk.png"}
    count_run(run)
    gate_study(make_plan([run.parent / "lab" / "study.yaml"]), run, figures="none")
    assert pictures(run) == {"for the talk.png"}
    (run / "figures" / "concentrations" / "for the talk.png").unlink()
    count_run(run)
    count_run(run, figures="none")
    assert not (run / "figures").exists()


def test_the_flagged_only(run):
    sheet = run.parent / "lab" / "samples.csv"
    sheet.write_text(sheet.read_text().replace("b.fcs,b,S1_day21,S/1,patient,2026-03-22T08:00Z,40,uL",
                                               "b.fcs,b,S1_day21,S/1,patient,2026-03-22T08:00Z,,"))  # fmt: skip
    hematology = run.parent / "lab" / "hematology.csv"
    hematology.write_text(hematology.read_text() + "S/1,2026-03-22T08:00Z,ALC,500,cells/uL,0.05\n")
    count_run(run, figures="flagged")  # another method than before
    rows = nf.open_run(run).concentrations
    flagged = set(rows[rows.severity.isin(["review", "invalid"])].subject.fillna("no_subject").str.replace("/", "_"))
    assert "S_1" in flagged
    assert pictures(run) == {f"{name}.png" for name in flagged | {"budget"}}


def test_something_in_the_way_of_pictures_is_a_warning(run, caplog):
    (run / "figures").write_text("in the way")
    report = count_run(run)
    assert report.figures == ()
    assert "no picture could be drawn" in caplog.text
    assert report.step is not None


def rows_of(*subjects, n=1):
    return [dict(subject=subject, specimen=f"{subject}-{i}") for subject in subjects for i in range(n)]


def test_names_of_files_are_safe_and_each_its_own():
    names = _pages(rows_of("a/b", "a_b", "A:B", "..", "budget", "no_subject", "患者", "x" * 300, "x" * 301, None))
    assert list(names) == [
        "a_b", "a_b_2", "A_B_3", "_", "budget_2", "no_subject_2", "患者", "x" * 60, "x" * 60 + "_2", "no_subject",
    ]  # fmt: skip
    assert [title for title, _ in names.values()][-1] == "Specimens of no subject"


def test_many_specimens_are_several_pictures():
    pages = _pages(rows_of("a", n=MOST_SPECIMENS + 1))
    assert [(name, title, len(rows)) for name, (title, rows) in pages.items()] == [
        ("a", "a, part 1 of 2", MOST_SPECIMENS),
        ("a_2", "a, part 2 of 2", 1),
    ]


def test_count_in_a_notebook_returns_the_run_opened_anew(run):
    opened = nf.open_run(run)
    counted = nf.count(opened, figures="none")
    assert counted.steps == ["01-gate", "02-count"]
    assert opened.steps == ["01-gate"]
    frame = counted.report_table.set_index("specimen")
    assert frame.loc["S1_day0", "method"] == "volumetric"
    assert frame.loc["S2_day0", "method"] == "dual_platform"
    again = nf.count(str(run), study=run.parent / "lab" / "study.yaml", figures="none")
    assert again.steps[-1] == "03-count"
    assert nf.plot.concentrations(again, "S/1").texts[0].get_text() == "S/1"
    assert nf.plot.concentrations(again, "").texts[0].get_text() == "Specimens of no subject"
    assert "CD3" in {text.get_text() for text in nf.plot.budget(again).texts}


def test_whose_concentrations_are_drawn_must_be_said(run):
    counted = nf.count(run, figures="none")
    with pytest.raises(nf.Nti7flowError, match=r"which subject\? Say one of 'S/1', 'S2', ''\."):
        nf.plot.concentrations(counted)
    with pytest.raises(nf.Nti7flowError, match=r"no concentrations of subject 'S3'\."):
        nf.plot.concentrations(counted, "S3")


def test_a_run_with_nothing_to_count_against_has_no_concentrations(tmp_path, plain):
    write_tube(tmp_path / "a.fcs", source=DAY00, rows=slice(0, 2000))
    gate_study(make_plan([tmp_path / "a.fcs"], template=plain), tmp_path / "run", figures="none")
    before = files_of(tmp_path / "run")
    with pytest.raises(nf.Nti7flowError, match="no tube has beads, a volume or a haematology count"):
        nf.count(tmp_path / "run")
    assert files_of(tmp_path / "run") == before
