"""``nf.export_gatingml``: the gates of a run leave, and FlowKit counts with them what the run counted."""

import json
import shutil
import warnings

import pytest
from study_tubes import DAY21, TUBES, everything, write_tube

import nti7flow as nf
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import FlowJoBiex
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import PolygonGate
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan

#: CD25 is in no sample tube.
OPTIONAL = """\
schema: nti7flow/template/1
name: optional
version: 1.0.0
title: A population that the panel lacks, and two that rest on it
populations:
  - id: lymphocytes
    label: Lymphocytes
    gate: {rectangle: {CD45: [5000, null], SSC: [null, 60000]}}
  - id: activated
    label: =Activated
    parent: lymphocytes
    optional: true
    gate: {range: {CD25: [1000, null]}}
  - {id: cd8_activated, label: CD8+ activated, parent: activated, gate: {range: {CD8: [1000, null]}}}
  - {id: resting, label: Resting, parent: lymphocytes, gate: {all_of: [not activated]}}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The sample study, gated by the released template."""
    folder = tmp_path_factory.mktemp("study") / "run"
    gate_study(make_plan([TUBES / "study.yaml"]), folder, figures="none")
    return nf.open_run(folder)


@pytest.fixture(scope="module")
def archive(tmp_path_factory, plain):
    """A folder with two tubes and one that is none, and the run made of them."""
    folder = tmp_path_factory.mktemp("archive")
    write_tube(folder / "tubes" / "a.fcs")
    write_tube(folder / "tubes" / "b.FCS", source=DAY21)
    (folder / "tubes" / "c.fcs").write_bytes(b"FCS3.1")
    gate_study(make_plan([folder / "tubes"], template=plain), folder / "run", figures="none")
    return folder


def flowkit_counts(document, tube):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import flowkit

        results = flowkit.parse_gating_xml(str(document)).gate_sample(flowkit.Sample(str(tube)))
    return {row.gate_name: int(row.count) for row in results.report.itertuples(index=False)}


def test_flowkit_counts_what_the_run_counted(study, tmp_path):
    seen = []
    report = nf.export_gatingml(study, tmp_path / "new" / "out", done=seen.append)
    assert report.refused == {}
    assert seen == [exported.sample for exported in report.exported] == sorted(study.samples)
    for exported in report.exported:
        assert exported.path == tmp_path / "new" / "out" / f"{exported.sample}.gating-ml.xml"
        counts = study.counts[study.counts["sample"] == exported.sample].set_index("population").n_events
        assert flowkit_counts(exported.path, TUBES / f"{exported.sample}.fcs") == counts.to_dict()
        assert (exported.n_populations, exported.left_out) == (len(counts), ())
    assert everything(tmp_path / "new" / "out") == {exported.path.name for exported in report.exported}


def test_what_was_exported_is_the_strategy_of_the_run(study, tmp_path):
    for exported in nf.export_gatingml(study, tmp_path).exported:
        assert nf.read_strategy(exported.path) == study.strategy(exported.sample)


def test_populations_without_a_gate_are_told(tmp_path):
    (tmp_path / "optional.yaml").write_text(OPTIONAL)
    write_tube(tmp_path / "tubes" / "a.fcs")
    gate_study(make_plan([tmp_path / "tubes"], template=tmp_path / "optional.yaml"), tmp_path / "run", figures="none")
    run = nf.open_run(tmp_path / "run")
    (exported,) = nf.export_gatingml(run, tmp_path / "out").exported
    assert exported.left_out == ("activated", "cd8_activated", "resting")
    assert exported.n_populations == 1
    assert nf.read_strategy(exported.path) == run.strategy("a")
    counts = run.counts.set_index("population").n_events
    assert flowkit_counts(exported.path, tmp_path / "tubes" / "a.fcs") == {"lymphocytes": counts["lymphocytes"]}


def test_existing_files_are_kept_and_the_others_come_out(archive, tmp_path):
    run = nf.open_run(archive / "run")
    (tmp_path / "a.gating-ml.xml").write_text("mine")
    report = nf.export_gatingml(run, tmp_path)
    assert [one.sample for one in report.exported] == ["b"]
    assert report.refused["a"] == (
        f"{tmp_path / 'a.gating-ml.xml'}: exists already and is not replaced; remove it or choose another --out."
    )
    assert report.refused["c"].startswith("was refused when the run was made: ")
    assert (tmp_path / "a.gating-ml.xml").read_text() == "mine"
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "a.gating-ml.xml").symlink_to(tmp_path / "nowhere")
    assert list(nf.export_gatingml(run, tmp_path / "link", samples=["a"]).refused) == ["a"]
    assert not (tmp_path / "nowhere").exists()


def test_no_file_of_the_tubes_is_needed(archive, tmp_path):
    shutil.copytree(archive / "run", tmp_path / "run")
    report = nf.export_gatingml(nf.open_run(tmp_path / "run"), tmp_path / "out", samples=["b", "a", "b"])
    assert [one.sample for one in report.exported] == ["a", "b"]


def test_a_strategy_that_was_altered_is_not_exported(archive, tmp_path):
    shutil.copytree(archive / "run", tmp_path / "run")
    stored = tmp_path / "run" / "steps" / "01-gate" / "strategies" / "a.json"
    stored.write_text(stored.read_text() + " ")
    report = nf.export_gatingml(nf.open_run(tmp_path / "run"), tmp_path / "out", samples=["a", "b"])
    assert [one.sample for one in report.exported] == ["b"]
    assert "was altered after the run" in report.refused["a"]


def test_gates_that_gating_ml_cannot_say_are_a_reason(tmp_path):
    """Six polygons on FlowJo's scale: five are told, and that there are more."""
    axes = tuple(Dimension(name, "", False, FlowJoBiex()) for name in ("FITC-A", "PE-A"))
    gate = PolygonGate(axes, ((0.0, 0.0), (3000.0, 0.0), (0.0, 3000.0)))
    populations = tuple(Population(f"p{i}", "", None, gate, "ok") for i in range(6))
    drawn = GatingStrategy("flowjo", "", "", 0, Spillover.none(), populations)
    (tmp_path / "gates.json").write_text(json.dumps(drawn.to_dict()))
    write_tube(tmp_path / "tubes" / "a.fcs")
    gate_study(make_plan([tmp_path / "tubes"], strategy=tmp_path / "gates.json"), tmp_path / "run", figures="none")
    report = nf.export_gatingml(nf.open_run(tmp_path / "run"), tmp_path / "out")
    told = [f"gate p{i}: a polygon on FlowJo's biex scale has no Gating-ML form" for i in range(5)]
    assert report.refused == {"a": f"cannot be said in Gating-ML: {'; '.join(told)}; and 1 more."}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [({"samples": ["A"]}, r"no sample 'A'\. Did you mean 'a'\?"), ({"out": "file"}, "file: is not a folder")],
)
def test_mistakes_are_said_before_anything_is_written(archive, tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for export in (nf.export_gatingml, nf.export_thresholds):
        with pytest.raises(nf.Nti7flowError, match=says):
            export(nf.open_run(archive / "run"), **{"out": tmp_path / "out"} | options)
    assert everything(tmp_path) == {"file"}
