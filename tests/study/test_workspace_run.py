"""Runs by a FlowJo workspace: each tube by the gates of its own sample, and FlowJo's counts beside ours."""

import json
import shutil

import pytest
from gate_files import counts_by_hand, write_gating_ml, write_workspace
from study_tubes import DAY00, DAY21, TUBES, check_counts, files_of, read_table, write_tube

import nti7flow as nf
from nti7flow.errors import ConfigError, InputError, StrategyError
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan
from nti7flow.study.replay import replay

TOPS = {DAY00: 40000, DAY21: 20000}


def stored(**changes):
    """What FlowJo would have counted in the sample tubes, but for some changes by file."""
    samples = {tube.name: counts_by_hand(tube, top=top) | {"top": top} for tube, top in TOPS.items()}
    for tube in (DAY00, DAY21):
        samples[tube.name] |= changes.get(tube.stem[-11:-5], {})
    return samples


def gate(paths, run, *, n_refused=0, **options):
    report = gate_study(make_plan(paths, **options), run, figures="none")
    assert len(report.refused) == n_refused
    return nf.open_run(run)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    workspace = write_workspace(folder / "study.wsp", stored())
    gate_study(make_plan([DAY00, DAY21], strategy=workspace), folder / "run")
    return nf.open_run(folder / "run")


def test_every_tube_is_gated_by_its_own_sample(run):
    rows = {(row["sample"], row["population"]): row for row in run.arrow("counts").to_pylist()}
    for tube, top in TOPS.items():
        wanted = counts_by_hand(tube, top=top)
        assert rows[tube.stem, "Lymphocytes"]["n_events"] == wanted["cells"]
        assert rows[tube.stem, "T cells"]["n_events"] == wanted["t_cells"]
        assert rows[tube.stem, "T cells"]["n_total"] == wanted["total"]
    assert {row["path"] for row in rows.values()} == {"/Lymphocytes", "/Lymphocytes/T cells"}
    assert check_counts(run.step_folder()) == 4
    assert counts_by_hand(DAY21, top=40000) != counts_by_hand(DAY21, top=20000)


def test_counts_of_flowjo_stand_beside_ours(run):
    table = run.stored_counts
    assert list(table.columns) == [
        *("sample", "population", "label", "path", "n_events", "stored_events", "difference", "limit", "severity"),
    ]
    assert table["population"].tolist() == ["root", "Lymphocytes", "T cells"] * 2
    assert table["difference"].tolist() == [0] * 6
    assert table["severity"].tolist() == [""] * 6
    rows = read_table(run.step_folder() / "stored_counts.csv")
    assert [row["stored_events"] for row in rows] == [str(n) for n in table["stored_events"]]
    checks = run.quality.set_index(["sample", "check"])["severity"].to_dict()
    assert {severity for (_, check), severity in checks.items() if check.startswith("stored_")} == {""}
    assert set(run.counts["flags"]) == {""}
    assert replay(run).identical


def test_step_says_which_sample_each_tube_was(run):
    inputs = {entry["sample"]: entry["gates_of"] for entry in run.step()["inputs"]}
    assert inputs == {DAY00.stem: DAY00.name, DAY21.stem: DAY21.name}
    assert "unmatched" not in run.step()
    assert run.step()["recipe"]["strategy"]["file"] == "study.wsp"


def test_count_that_differs_is_for_review_and_replay_flags_it_again(tmp_path):
    wanted = counts_by_hand(DAY00)
    workspace = write_workspace(tmp_path / "study.wsp", stored(_day00={"t_cells": wanted["t_cells"] + 6}))
    opened = gate([DAY00, DAY21], tmp_path / "run", strategy=workspace)
    rows = {(row["sample"], row["population"]): row for row in opened.arrow("counts").to_pylist()}
    flagged = {key: (row["flags"], row["severity"]) for key, row in rows.items() if row["severity"]}
    assert flagged == {(DAY00.stem, "T cells"): ("stored_count_differs", "review")}
    compared = opened.stored_counts.query("severity != ''")
    assert compared[["sample", "population", "difference"]].values.tolist() == [[DAY00.stem, "T cells", -6]]
    checks = opened.quality.query("check == 'stored_count_differs'").set_index("sample")
    assert checks.loc[DAY00.stem, ["value", "limit", "severity"]].tolist() == [1.0, 0.0, "review"]
    assert checks.loc[DAY21.stem, "severity"] == ""
    report = replay(opened)
    assert report.identical, report.differences
    within = write_workspace(tmp_path / "within.wsp", stored(_day00={"t_cells": wanted["t_cells"] + 5}))
    assert set(gate([DAY00], tmp_path / "within", strategy=within).counts["severity"]) == {""}


def test_file_with_other_events_than_flowjo_gated_is_for_review_in_all_counts(tmp_path):
    workspace = write_workspace(tmp_path / "study.wsp", stored(_day00={"total": 11501}))
    shutil.copy(DAY00, tmp_path / "copy.fcs")
    opened = gate([DAY00, DAY21], tmp_path / "run", strategy=workspace)
    table = opened.counts[opened.counts["sample"] == DAY00.stem]
    assert set(table["flags"]) == {"stored_total_differs"}
    assert set(table["severity"]) == {"review"}
    assert set(opened.counts[opened.counts["sample"] == DAY21.stem]["severity"]) == {""}
    (entry,) = (e for e in opened.step()["inputs"] if e["sample"] == DAY00.stem)
    assert entry["flags"] == [["stored_total_differs", "review"]]
    assert replay(opened).identical


def test_flags_of_all_kinds_are_replayed_in_their_order(tmp_path):
    """A duplicate of a tube that is not the one FlowJo counted, with a count that differs."""
    samples = stored(_day00={"total": 11501, "t_cells": 5})
    samples["copy.fcs"] = samples[DAY00.name]
    workspace = write_workspace(tmp_path / "study.wsp", samples)
    shutil.copy(DAY00, tmp_path / "copy.fcs")
    opened = gate([DAY00, tmp_path / "copy.fcs"], tmp_path / "run", strategy=workspace)
    rows = opened.counts.set_index(["sample", "population"])
    assert rows.loc[("copy", "T cells"), "flags"] == (
        f"stored_count_differs;stored_total_differs;duplicate_of:{DAY00.stem}"
    )
    assert rows.loc[("copy", "Lymphocytes"), "flags"] == f"stored_total_differs;duplicate_of:{DAY00.stem}"
    assert replay(opened).identical


def test_counts_that_flowjo_did_not_store_are_not_compared(tmp_path):
    workspace = write_workspace(tmp_path / "study.wsp", stored(_day00={"total": -1, "cells": -1, "t_cells": -1}))
    opened = gate([DAY00], tmp_path / "run", strategy=workspace)
    assert len(opened.stored_counts) == 0
    assert set(opened.counts["severity"]) == {""}
    assert not opened.quality["check"].str.startswith("stored_").any()
    assert (opened.step_folder() / "stored_counts.csv").is_file()


def test_runs_by_anything_else_have_no_such_table(tmp_path, plain):
    by_template = gate([DAY00], tmp_path / "template", template=plain)
    by_gates = gate([DAY00], tmp_path / "gates", strategy=write_gating_ml(tmp_path / "gates.xml"))
    for opened in (by_template, by_gates):
        assert not any("stored_counts" in name for name in opened.step()["files"])
        assert len(opened.stored_counts) == 0


def test_samples_and_tubes_that_do_not_meet(tmp_path):
    tubes = tmp_path / "tubes"
    for name in ("a", "b", "twice/a", "stranger"):
        write_tube(tubes / f"{name}.fcs", rows=slice(3000))
    (tubes / "c.fcs").write_text("not a tube")
    workspace = write_workspace(tmp_path / "study.wsp", {f"{name}.fcs": {} for name in "abcd"})
    report = gate_study(make_plan([tubes], strategy=workspace), tmp_path / "run", figures="none")
    opened = nf.open_run(tmp_path / "run")
    assert opened.samples == ["b"]
    why = opened.refused
    assert set(why) == {"a.fcs", "twice_a.fcs", "c", "stranger"}
    assert why["a.fcs"].startswith("a.fcs: is sample a.fcs of study.wsp, but so is twice_a.fcs (twice/a.fcs)")
    assert why["stranger"].startswith("study.wsp: no sample is stranger.fcs; it has a.fcs, b.fcs, c.fcs, d.fcs")
    assert "not an FCS file" in why["c"]
    assert report.unmatched == ("c.fcs", "d.fcs")
    assert opened.step()["unmatched"] == ["c.fcs", "d.fcs"]
    assert str(tmp_path) not in json.dumps(why)


def test_sample_whose_gates_cannot_be_used_costs_only_its_own_tube(tmp_path):
    for name in ("a", "b"):
        write_tube(tmp_path / f"{name}.fcs", rows=slice(3000))
    workspace = write_workspace(tmp_path / "study.wsp", {"a.fcs": {}, "b.fcs": {}})
    first, second, rest = workspace.read_text().partition('gating:id="ID21"')
    workspace.write_text(first + second + rest.replace('data-type:name="SSC-A"', 'data-type:name="XSC-A"', 1))
    opened = gate([tmp_path / "a.fcs", tmp_path / "b.fcs"], tmp_path / "run", strategy=workspace, n_refused=1)
    assert opened.samples == ["a"]
    assert "XSC-A" in opened.refused["b"]
    assert opened.refused["b"].startswith(("study.wsp: ", "b.fcs: "))


def test_group_leaves_the_other_samples_aside(tmp_path):
    for name in ("a", "b"):
        write_tube(tmp_path / "tubes" / f"{name}.fcs", rows=slice(3000))
    workspace = write_workspace(tmp_path / "study.wsp", {"a.fcs": {}, "b.fcs": {}, "c.fcs": {}}, group=("b.fcs",))
    opened = gate([tmp_path / "tubes"], tmp_path / "run", strategy=workspace, group="Panel 1", n_refused=1)
    assert opened.samples == ["b"]
    assert "no sample in group Panel 1 is a.fcs" in opened.refused["a"]
    assert "unmatched" not in opened.step()
    assert opened.step()["recipe"]["strategy"]["group"] == "Panel 1"


def test_sheet_names_the_samples_and_the_workspace_knows_their_files(tmp_path):
    workspace = write_workspace(tmp_path / "study.wsp", stored())
    opened = gate([TUBES / "study.yaml"], tmp_path / "run", strategy=workspace)
    assert set(opened.counts["subject"]) == {"SIM-001"}
    assert set(opened.counts["template"]) == {"study.wsp"}


def test_any_workers_give_the_same_bytes(tmp_path):
    workspace = write_workspace(tmp_path / "study.wsp", stored(_day00={"total": 11501, "t_cells": 5}))
    shutil.copy(DAY00, tmp_path / "stranger.fcs")
    paths = [DAY21, tmp_path / "stranger.fcs", DAY00]
    gate_study(make_plan(paths, strategy=workspace), tmp_path / "one")
    gate_study(make_plan(paths[::-1], strategy=workspace), tmp_path / "two", jobs=2)
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert any(name.startswith("figures/") for name in one)


def test_notebook_gates_by_a_workspace(tmp_path):
    path = write_workspace(tmp_path / "study.wsp", stored(_day00={"t_cells": 5}), group=(DAY21.name,))
    result = nf.gate(DAY00, path)
    assert result.stored_counts["difference"].tolist()[:2] == [0, 0]
    assert [count.flags for count in result.counts] == [(), ("stored_count_differs",)]
    assert "Lymphocytes" in repr(result)
    by_object = nf.gate(nf.read_fcs(DAY21), nf.read_strategy(path), group="Panel 1")
    assert by_object.counts[1].n_events == counts_by_hand(DAY21, top=20000)["t_cells"]
    assert nf.plot.gating_tree(by_object)._repr_png_()[:4] == b"\x89PNG"
    with pytest.raises(StrategyError, match=r"no sample in group Panel 1 is SIM-001_day00_tbnk\.fcs"):
        nf.gate(DAY00, path, group="Panel 1")


def test_notebook_refuses_what_does_not_go_together(tmp_path, plain):
    workspace = write_workspace(tmp_path / "study.wsp", stored())
    gates = write_gating_ml(tmp_path / "gates.xml")
    for template in (plain, gates):
        with pytest.raises(ConfigError, match="only a FlowJo workspace has groups"):
            nf.gate(DAY00, template, group="Panel 1")
    for strategy in (workspace, gates):
        with pytest.raises(ConfigError, match="markers go with a template"):
            nf.gate(DAY00, strategy, markers={"CD8": "APC-A"})
    with pytest.raises(ConfigError, match=r"would not be used: no gate of study\.wsp asks"):
        nf.gate(DAY00, workspace, spillover="none")
    with pytest.raises(InputError, match=r"nowhere\.wsp"):
        nf.gate(DAY00, tmp_path / "nowhere.wsp")


@pytest.mark.parametrize(
    ("folder", "name", "n_tubes", "n_counts", "exact"),
    [
        ("coereba_tcell", "CytoML.wsp", 30, 30, True),
        ("flowsom_wsp", "gating.wsp", 1, 15, False),
        ("luciernaga_cellcounts", "CellCounts.wsp", 2, 4, False),
    ],
)
def test_counts_of_real_workspaces(shared_data, tmp_path, folder, name, n_tubes, n_counts, exact):
    place = shared_data / folder / "inst" / "extdata"
    opened = gate([place], tmp_path / "run", strategy=place / name)
    table = opened.stored_counts.query("population != 'root'")
    assert (len(opened.samples), len(table), len(opened.counts)) == (n_tubes, n_counts, n_counts)
    assert set(opened.stored_counts["severity"]) == {""}
    assert not exact or set(table["difference"]) == {0}
    assert replay(opened).identical


def test_a_sample_that_nobody_gated_has_an_empty_table_and_no_picture(tmp_path):
    workspace = write_workspace(tmp_path / "study.wsp", {DAY00.name: {"total": nf.read_fcs(DAY00).n_events}})
    text = workspace.read_text(encoding="utf-8")
    begin, end = text.index("<Subpopulations>"), text.rindex("</Subpopulations>") + len("</Subpopulations>")
    workspace.write_text(text[:begin] + text[end:], encoding="utf-8")
    assert nf.gate(DAY00, workspace).table.empty
    report = gate_study(make_plan([DAY00], strategy=workspace), tmp_path / "run", figures="all")
    assert report.figures == ()
    assert not report.refused
    assert nf.open_run(tmp_path / "run").counts.empty


def test_what_is_no_template_and_no_strategy_is_said():
    with pytest.raises(TypeError, match="a template, a strategy, a workspace"):
        nf.gate(DAY00, 3)
