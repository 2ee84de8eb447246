"""Runs by a Gating-ML file, or by a strategy of another run: counts, matrices, refusals, replay."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from gate_files import GATING_ML, POPULATIONS, flowkit_counts, own_matrices, write_gating_ml
from study_tubes import DAY00, DAY21, check_counts, files_of, read_table, write_refused, write_tube

import nti7flow as nf
from nti7flow.errors import ConfigError, InputError
from nti7flow.gating.gates import BooleanGate, Operand
from nti7flow.study.by_strategy import MOST_DRAWN
from nti7flow.study.files import RunFiles
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan
from nti7flow.study.replay import replay
from nti7flow.study.tables import join_ids, split_ids


@pytest.fixture(scope="module", params=["FCS", "own"])
def gates(request, tmp_path_factory):
    """A file whose gates are compensated by the matrix of the tube, or by two of its own."""
    text = GATING_ML if request.param == "FCS" else own_matrices()
    return write_gating_ml(tmp_path_factory.mktemp("gates") / f"{request.param}.xml", text)


@pytest.fixture(scope="module")
def run(gates, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / gates.stem
    gate_study(make_plan([DAY00, DAY21], strategy=gates), folder)
    return nf.open_run(folder)


def counts_of(run):
    """Events by sample and population."""
    return {(row["sample"], row["population"]): row["n_events"] for row in run.arrow("counts").to_pylist()}


def test_counts_are_those_of_flowkit(run, gates):
    counts = counts_of(run)
    for tube in (DAY00, DAY21):
        theirs = flowkit_counts(gates, tube)
        assert {name: counts[tube.stem, name] for name in POPULATIONS} == theirs
        assert all(theirs.values())
    assert check_counts(run.step_folder()) == 2 * len(POPULATIONS)


def test_run_holds_what_a_run_by_a_template_holds_but_no_fits(run, gates):
    names = {name.split("/")[0] for name in files_of(run.step_folder())}
    tables = {f"{name}.{kind}" for name in ("counts", "gate_fits", "quality") for kind in ("csv", "parquet")}
    assert names == tables | {"step.json", "memberships.parquet", "histograms.parquet", "strategies"}
    assert len(run.gate_fits) == 0
    assert len(run.stored_counts) == 0
    assert list(run.stored_counts.columns)[:2] == ["sample", "population"]
    assert set(run.counts["template"]) == {gates.name}
    assert set(run.counts["status"]) == {"ok"}
    assert "flowkit" in run.step()["software"]
    strategy = run.strategy(DAY00.stem)
    assert strategy.sha256 == nf.read_fcs(DAY00).sha256
    assert set(strategy.matrices) == (set() if gates.stem == "FCS" else {"first", "second"})


def test_replay_applies_the_stored_strategies(run, tmp_path):
    report = replay(run)
    assert report.identical, report.differences + report.missing
    assert report.n_counts == 2 * len(POPULATIONS)
    shutil.copytree(run.path, tmp_path / "run")
    for tube in (DAY00, DAY21):
        shutil.copy(tube, tmp_path)
    assert replay(nf.open_run(tmp_path / "run"), data=tmp_path).identical
    moved = nf.open_run(tmp_path / "run")
    assert RunFiles(moved, data=tmp_path).read(DAY00.stem, moved.strategy(DAY00.stem)).n_events == 11500


def test_pictures_are_drawn_from_what_is_stored(run):
    for tube in (DAY00, DAY21):
        assert (run.path / "figures" / f"{tube.stem}.png").read_bytes()[:4] == b"\x89PNG"
    drawn = [panel.populations for panel in run.panels(DAY00.stem)]
    assert ("CD4_T", "CD8_T") in drawn
    assert {name for names in drawn for name in names} == set(POPULATIONS) - {"Neither"}


def test_notebook_gates_as_a_run_does(run, gates):
    for given in (gates, str(gates), nf.read_strategy(gates)):
        result = nf.gate(DAY00, given)
        stored = run.counts[run.counts["sample"] == DAY00.stem]
        assert result.table["n_events"].tolist() == stored["n_events"].tolist()
        assert result.strategy.to_dict() == run.strategy(DAY00.stem).to_dict()
        assert np.array_equal(result.membership("CD4_T"), run.membership(DAY00.stem, "CD4_T"))
        assert result.fits == () and len(result.gate_fits) == 0 and len(result.stored_counts) == 0
        assert [panel.populations for panel in result.panels] == [p.populations for p in run.panels(DAY00.stem)]


def test_worst_matrix_is_checked(run, gates):
    strategy = run.strategy(DAY00.stem)
    matrices = [strategy.spillover, *strategy.matrices.values()]
    (value,) = run.quality.query("sample == @DAY00.stem and check == 'spillover_condition_number'")["value"]
    assert value == max(matrix.condition_number for matrix in matrices) > 1.2


def gate(paths, run, *, n_refused=0, **options):
    report = gate_study(make_plan(paths, **options), run, figures="none")
    assert len(report.refused) == n_refused
    return nf.open_run(run)


def test_own_matrix_of_the_tube_is_what_the_option_says(tmp_path):
    gates = write_gating_ml(tmp_path / "gates.xml")
    matrix = nf.Spillover.from_keyword(nf.read_fcs(DAY00))
    rows = [",".join(matrix.detectors), *(",".join(map(repr, row)) for row in matrix.matrix.tolist())]
    (tmp_path / "matrix.csv").write_text("\n".join(rows))
    keyword = counts_of(gate([DAY00], tmp_path / "keyword", strategy=gates))
    by_csv = gate([DAY00], tmp_path / "csv", strategy=gates, spillover=str(tmp_path / "matrix.csv"))
    assert counts_of(by_csv) == keyword
    assert str(tmp_path) not in json.dumps(by_csv.strategy(DAY00.stem).to_dict())
    none = gate([DAY00], tmp_path / "none", strategy=gates, spillover="none")
    assert counts_of(none) != keyword
    raw = write_gating_ml(tmp_path / "raw.xml", GATING_ML.replace('"FCS"', '"uncompensated"'))
    assert counts_of(none) == counts_of(gate([DAY00], tmp_path / "raw", strategy=raw))
    assert replay(none).identical


def test_tube_without_a_matrix_is_never_silently_raw(tmp_path):
    tube = write_tube(tmp_path / "bare.fcs", keywords={"$SPILLOVER": None})
    gates = write_gating_ml(tmp_path / "gates.xml")
    raw = gate([tube], tmp_path / "run", strategy=gates)
    declared = gate([tube], tmp_path / "none", strategy=gates, spillover="none")
    assert counts_of(raw) == counts_of(declared)  # as the standard says
    rows = {row["population"]: row for row in raw.arrow("counts").to_pylist()}
    assert (rows["CD4_T"]["severity"], "not_compensated" in rows["CD4_T"]["flags"]) == ("review", True)
    assert all(row["severity"] == "" for row in declared.arrow("counts").to_pylist())
    assert replay(raw).identical
    own = write_gating_ml(tmp_path / "own.xml", own_matrices())
    assert counts_of(gate([tube, DAY00], tmp_path / "own", strategy=own))["bare", "CD4_T"] > 0


def test_one_bad_tube_never_costs_the_study(tmp_path):
    tubes = tmp_path / "tubes"
    write_tube(tubes / "good.fcs")
    for kind in ("text", "truncated", "empty"):
        write_refused(tubes / f"{kind}.fcs", kind)
    (tubes / "gone.fcs").symlink_to(tmp_path / "nowhere.fcs")
    other = nf.read_fcs(DAY00)
    detectors = [c.detector.replace("APC-A", "APC-R700-A") for c in other.panel.channels]
    matrix = other.keywords["$SPILLOVER"].replace(",APC-A,", ",APC-R700-A,")
    nf.write_events(tubes / "panel.fcs", other.events.astype(np.float32), detectors, keywords={"$SPILLOVER": matrix})
    gates = write_gating_ml(tmp_path / "gates.xml")
    opened = gate([tubes], tmp_path / "run", strategy=gates, n_refused=5)
    assert opened.samples == ["good"]
    assert {name: why.split(": ")[0] for name, why in opened.refused.items()} == {
        name: f"{name}.fcs" for name in ("text", "truncated", "empty", "panel", "gone")
    }
    assert "the strategy gates on APC-A, which the tube does not have" in opened.refused["panel"]
    assert str(tmp_path) not in json.dumps(opened.refused)


def test_strategy_of_a_run_counts_the_same_and_can_be_used_on_other_tubes(tmp_path, run, gates):
    path = run.step_folder() / "strategies" / f"{DAY00.stem}.json"
    again = gate([DAY00, DAY21], tmp_path / "again", strategy=path)
    before = {key: n for key, n in counts_of(run).items() if key[0] == DAY00.stem}
    assert {key: n for key, n in counts_of(again).items() if key[0] == DAY00.stem} == before
    assert counts_of(again)[DAY21.stem, "CD4_T"] > 0
    assert again.strategy(DAY21.stem).sha256 == nf.read_fcs(DAY21).sha256
    assert replay(again).identical
    with pytest.raises(ConfigError, match="would not be used"):
        nf.gate(DAY00, path, spillover="none")


def test_any_workers_and_order_give_the_same_bytes(tmp_path):
    gates = write_gating_ml(tmp_path / "own.xml", own_matrices())
    tubes = [write_tube(tmp_path / "tubes" / f"{name}.fcs", source=tube) for name, tube in (("a", DAY00), ("c", DAY21))]
    bad = tmp_path / "tubes" / "b.fcs"
    write_refused(bad, "text")
    for number, (paths, jobs) in enumerate([([tmp_path / "tubes"], 1), ([bad, *tubes[::-1]], 2)]):
        plan = make_plan(paths, strategy=gates)
        gate_study(plan, tmp_path / f"run{number}", jobs=jobs, figures="none")
    one, two = (files_of(tmp_path / f"run{number}") for number in (0, 1))
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def odd_names(strategy):
    """The strategy with names that would break a careless table or picture."""
    names = {"Singlets": "=HYPERLINK(1)", "Lymphocytes": "a;b\\;c", "T cells": "\x1b[31m", "CD4_T": "x" * 300}
    names |= {"CD8_T": "../../etc/passwd", "Small": "root/root"}

    def name(old):
        return names.get(old, old)

    def gate_of(gate):
        if not isinstance(gate, BooleanGate):
            return gate
        return BooleanGate(gate.operator, tuple(Operand(name(o.population), o.negated) for o in gate.operands))

    return replace(
        strategy,
        populations=tuple(
            replace(p, id=name(p.id), label=name(p.label), parent=p.parent and name(p.parent), gate=gate_of(p.gate))
            for p in strategy.populations
        ),
    )


def test_names_of_other_programs_break_no_table_and_no_picture(tmp_path, run):
    odd = odd_names(run.strategy(DAY00.stem))
    (tmp_path / "odd.json").write_text(json.dumps(odd.to_dict()))
    opened = gate([DAY00], tmp_path / "run", strategy=tmp_path / "odd.json")
    assert [n for (_, _), n in counts_of(opened).items()] == [
        n for (s, _), n in counts_of(run).items() if s == DAY00.stem
    ]
    assert {p for panel in opened.panels(DAY00.stem) for p in panel.populations} == {
        p.id for p in odd.populations if not isinstance(p.gate, BooleanGate)
    }
    assert replay(opened).identical
    text = (tmp_path / "run" / "counts.csv").read_text()
    assert "\x1b" not in text
    assert read_table(tmp_path / "run" / "counts.csv")[0]["population"] == "'=HYPERLINK(1)"
    gate_study(make_plan([DAY00], strategy=tmp_path / "odd.json"), tmp_path / "drawn")
    assert (tmp_path / "drawn" / "figures" / f"{DAY00.stem}.png").is_file()


def test_population_that_is_called_as_all_events_are_is_refused(tmp_path, run):
    text = json.dumps(run.strategy(DAY00.stem).to_dict()).replace('"Small"', '"root"')
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(InputError, match="a gate is called root, which stands for all events"):
        gate([DAY00], tmp_path / "run", strategy=tmp_path / "odd.json")


def test_of_many_gates_the_first_are_drawn_and_all_are_counted(tmp_path):
    head = GATING_ML.partition("<gating:RectangleGate")[0]
    many = "".join(
        f'<gating:RectangleGate gating:id="g{i}"><gating:dimension gating:compensation-ref="uncompensated" '
        f'gating:min="{i * 100}"><data-type:fcs-dimension data-type:name="SSC-A"/></gating:dimension>'
        "</gating:RectangleGate>"
        for i in range(MOST_DRAWN + 20)
    )
    gates = write_gating_ml(tmp_path / "many.xml", f"{head}{many}</gating:Gating-ML>")
    report = gate_study(make_plan([DAY00], strategy=gates), tmp_path / "run")
    opened = nf.open_run(tmp_path / "run")
    assert len(opened.counts) == MOST_DRAWN + 20
    (panel,) = opened.panels(DAY00.stem)
    assert panel.populations == tuple(f"g{i}" for i in range(MOST_DRAWN))
    assert len(report.figures) == 1


@pytest.mark.parametrize("ids", [["a"], ["a", "b"], ["a;b", "c"], ["\\", ";", "\\;"], ["a\nb", "ü;"]])
def test_ids_in_one_cell_come_apart_again(ids):
    assert split_ids(join_ids(ids)) == ids


def test_ids_of_templates_stand_in_a_cell_as_ever():
    assert join_ids(["cd4_t", "cd8_t"]) == "cd4_t;cd8_t"


def test_counts_of_the_gating_ml_suite(shared_data, tmp_path):
    """All gates of the suite of the standard in one file; its gates on "FCS" are meant for a tube without a matrix."""
    suite = shared_data / "flowkit" / "data" / "gate_ref"
    gates = suite / "gml" / "gml_all_gates.xml"
    opened = gate([suite / "data1.fcs"], tmp_path / "run", strategy=gates, spillover="none")
    truth = {path.stem.removeprefix("Results_"): path for path in (suite / "truth").glob("Results_*.txt")}
    counts = {name: n for (_, name), n in counts_of(opened).items() if name in truth}
    assert len(counts) > 40
    assert counts == {name: int(np.loadtxt(truth[name]).sum()) for name in counts}
    assert replay(opened).identical
    undeclared = gate([suite / "data1.fcs"], tmp_path / "keyword", strategy=gates)
    assert counts_of(undeclared) == counts_of(opened)
    flags = {row["population"]: row["flags"] for row in undeclared.arrow("counts").to_pylist()}
    assert "not_compensated" in flags["Polygon1"]
