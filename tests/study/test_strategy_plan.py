"""Plans by a file of gates: what goes together, what the recipe says, and which tube is which sample of a workspace."""

import json
import pickle
import shutil

import pytest
from gate_files import GATING_ML, counts_by_hand, own_matrices, write_gating_ml, write_workspace
from study_tubes import DAY00, DAY21, TUBES, write_chain, write_tube

from nti7flow.errors import ConfigError, StrategyError
from nti7flow.study.plan import make_plan


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a", "c"):
        write_tube(tmp_path / "tubes" / f"{name}.fcs", rows=slice(2000))
    write_gating_ml(tmp_path / "gates.xml")
    write_gating_ml(tmp_path / "own.xml", own_matrices())
    write_workspace(tmp_path / "study.wsp", {f"{name}.fcs": {} for name in "abc"}, group=("a.fcs", "b.fcs"))
    (tmp_path / "matrix.csv").write_text("FITC-A,PE-A\n1,0.06\n0.02,1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"which template\? .* or give a study\.yaml; --strategy gates\.xml instead"),
        (dict(strategy="gates.xml", template="tbnk"), "both say how to gate; give one of them"),
        (dict(template="tbnk", group="Panel 1"), r"--group Panel 1: groups are of a FlowJo workspace; .* --strategy"),
        (dict(group="Panel 1"), "groups are of a FlowJo workspace"),
        (dict(strategy="gates.xml", group="Panel 1"), "gates.xml is no FlowJo workspace; only these have groups"),
        (
            dict(strategy="study.wsp", group="Panel 2"),
            "no such group; it has All Samples, Panel 1. Did you mean",
        ),
        (dict(strategy="gates.xml", markers={"CD8": "APC-A"}), "--marker CD8: a strategy names channels, not markers"),
        (dict(strategy="own.xml", spillover="none"), "--spillover none: would not be used: no gate of own.xml asks"),
        (dict(strategy="own.xml", spillover="keyword"), "--spillover keyword: would not be used"),
        (
            dict(strategy="study.wsp", spillover="none"),
            "would not be used: no gate of study.wsp asks",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(folder, monkeypatch, options, message):
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match=message):
        make_plan(["tubes"], **options)


def test_file_of_gates_that_cannot_be_used_is_one_error(folder):
    write_gating_ml(
        folder / "broken.xml", GATING_ML.replace('transformation-ref="logicle"', 'transformation-ref="lgcl"')
    )
    with pytest.raises(StrategyError, match=r"broken\.xml: line \d+: .*lgcl") as caught:
        make_plan([folder / "tubes"], strategy=folder / "broken.xml")
    assert len(caught.value.problems) > 1
    with pytest.raises(StrategyError, match=r"nowhere\.xml"):
        make_plan([folder / "tubes"], strategy=folder / "nowhere.xml")


def test_recipe_says_which_file_and_group_but_not_where_it_lies(folder):
    (folder / "elsewhere").mkdir()
    shutil.copy(folder / "study.wsp", folder / "elsewhere")
    plan = make_plan([folder / "tubes"], strategy=folder / "study.wsp", group="Panel 1")
    assert set(plan.recipe()["strategy"]) == {"file", "sha256", "group"}
    assert plan.recipe()["strategy"]["file"] == "study.wsp"
    assert str(folder) not in json.dumps(plan.recipe())
    there = make_plan([folder / "tubes"], strategy=folder / "elsewhere" / "study.wsp", group="Panel 1")
    assert there.recipe_hash() == plan.recipe_hash()
    others = [
        make_plan([folder / "tubes"], strategy=folder / "study.wsp"),
        make_plan([folder / "tubes"], strategy=folder / "gates.xml"),
        make_plan([folder / "tubes"], strategy=folder / "gates.xml", spillover="none"),
        make_plan([folder / "tubes"], strategy=folder / "gates.xml", spillover=str(folder / "matrix.csv")),
        make_plan([folder / "tubes"], strategy=folder / "gates.xml", repair="none"),
    ]
    (folder / "study.wsp").write_text((folder / "study.wsp").read_text().replace("120000", "120001"))
    others.append(make_plan([folder / "tubes"], strategy=folder / "study.wsp", group="Panel 1"))
    assert len({plan.recipe_hash(), *(other.recipe_hash() for other in others)}) == len(others) + 1


def test_recipe_of_a_template_says_nothing_of_strategies(folder, plain):
    assert "strategy" not in make_plan([folder / "tubes"], template=plain).recipe()


def test_matrix_that_no_gate_asks_for_is_no_part_of_the_recipe(folder):
    for compensation in ("keyword", "none"):
        (folder / f"{compensation}.yaml").write_text(
            "schema: nti7flow/study/1\nstudy: mine\ntemplates: {any: nowhere.yaml}\n"
            f"compensation: {compensation}\nsheets: {{samples: samples.csv}}\n"
        )
    (folder / "samples.csv").write_text("file,subject\ntubes/a.fcs,P1\n")

    def n_hashes(strategy):
        studies = (folder / "keyword.yaml", folder / "none.yaml")
        return len({make_plan([study], strategy=folder / strategy).recipe_hash() for study in studies})

    assert [n_hashes(name) for name in ("own.xml", "study.wsp", "gates.xml")] == [1, 1, 2]


def test_study_gives_its_sheet_and_the_strategy_the_gates(tmp_path):
    write_gating_ml(tmp_path / "gates.xml")
    plan = make_plan([TUBES / "study.yaml"], strategy=tmp_path / "gates.xml")
    assert [(t.sample, t.row.subject, t.template) for t in plan.tubes] == [
        ("SIM-001_day00_tbnk", "SIM-001", "gates.xml"),
        ("SIM-001_day21_tbnk", "SIM-001", "gates.xml"),
    ]
    assert plan.study == "sample"
    assert plan.templates == {}
    assert set(plan.recipe()["sheets"]) == {"samples"}


def test_rows_of_a_sheet_need_no_panel_that_has_a_template(folder):
    (folder / "samples.csv").write_text("file,panel\ntubes/a.fcs,unheard of\ntubes/b.fcs,\n")
    (folder / "study.yaml").write_text(
        "schema: nti7flow/study/1\nstudy: mine\ntemplates: {one: tbnk, two: tbnk}\nsheets: {samples: samples.csv}\n"
    )
    with pytest.raises(ConfigError, match=r"samples\.csv:2 panel: found 'unheard of', which has no template"):
        make_plan([folder / "study.yaml"])
    assert len(make_plan([folder / "study.yaml"], strategy=folder / "gates.xml").tubes) == 2


def test_tubes_are_matched_to_samples_of_the_workspace(folder):
    plan = make_plan([folder / "tubes"], strategy=folder / "study.wsp")
    assert [(tube.sample, tube.gates_of, tube.problem) for tube in plan.tubes] == [
        ("a", "a.fcs", ""),
        ("b", "b.fcs", ""),
        ("c", "c.fcs", ""),
    ]
    assert plan.unmatched == ()
    plan = make_plan([folder / "tubes"], strategy=folder / "study.wsp", group="Panel 1")
    assert [tube.gates_of for tube in plan.tubes] == ["a.fcs", "b.fcs", ""]
    assert plan.unmatched == ()
    (folder / "tubes" / "b.fcs").unlink()
    assert make_plan([folder / "tubes"], strategy=folder / "study.wsp").unmatched == ("b.fcs",)
    assert make_plan([folder / "tubes"], template="tbnk").unmatched == ()


def test_sample_that_several_tubes_are_is_nobody_s(folder):
    write_tube(folder / "tubes" / "again" / "a.fcs", rows=slice(500))
    plan = make_plan([folder / "tubes"], strategy=folder / "study.wsp")
    problems = {tube.file: tube.problem for tube in plan.tubes}
    advice = "Gate only the file that was gated in FlowJo."
    assert problems == {
        "a.fcs": f"a.fcs: is sample a.fcs of study.wsp, but so is again_a.fcs (again/a.fcs). {advice}",
        "again/a.fcs": f"again/a.fcs: is sample a.fcs of study.wsp, but so is a.fcs (a.fcs). {advice}",
        "b.fcs": "",
        "c.fcs": "",
    }


def test_data_sets_of_one_file_cannot_all_be_the_one_that_was_gated(tmp_path):
    write_chain(tmp_path / "tubes" / "two.lmd", {"rows": slice(300)}, {"rows": slice(200)})
    write_workspace(tmp_path / "study.wsp", {"two.lmd": {}})
    plan = make_plan([tmp_path / "tubes"], strategy=tmp_path / "study.wsp")
    assert ["so is two_set1" in tube.problem or "so is two_set0" in tube.problem for tube in plan.tubes] == [True, True]


def test_what_goes_to_a_worker_is_small(tmp_path):
    write_workspace(tmp_path / "study.wsp", {f"{i}.fcs": counts_by_hand(DAY00) for i in range(50)})
    plan = make_plan([DAY00, DAY21], strategy=tmp_path / "study.wsp")
    assert plan.light.gates is None and plan.light.tubes == ()
    assert len(pickle.dumps(plan.light)) < 2000
