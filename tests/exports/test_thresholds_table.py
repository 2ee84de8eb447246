"""``nf.export_thresholds``: where every gate lies, as a table that a person can read and a spreadsheet cannot run."""

import csv
import json
import shutil

import pytest
from study_tubes import DAY21, TUBES, everything, read_table, write_tube

import nti7flow as nf
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear, Log
from nti7flow.exports.thresholds import THRESHOLDS
from nti7flow.gating.dimensions import Dimension, RatioDimension
from nti7flow.gating.gates import (
    BooleanGate,
    EllipsoidGate,
    Operand,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan

#: Scales on which everything can be worked out by hand: a tenth of the value; three decades below 1000.
TENTH, DECADES, RAW = Linear(10.0), Log(1000.0, 3.0), Linear(1.0)
CD3, SSC = Dimension("FITC-A", "", True, TENTH), Dimension("SSC-A", "", False, DECADES)
OTHER = Dimension("PE-A", "", True, RAW, "other")
RATIO = RatioDimension("FSC-A", "FSC-H", 1.0, 0.0, 0.0, RAW)
GATES = {
    "box": RectangleGate((CD3, SSC), (5.0, None), (None, 2.0)),
    "=HYPERLINK(1)": RectangleGate((OTHER,), (-5.0,), (100.0,), complement=True),
    "triangle": PolygonGate((CD3, SSC), ((1.0, 0.0), (2.0, 1.0), (3.0, 200.0))),
    "round": EllipsoidGate((CD3, SSC), (4.0, 1.0), ((2.0, 0.5), (0.5, 1.0)), 9.0),
    "corner": QuadrantGate("Q", (CD3, SSC), ((2.0,), (0.5, 1.0)), (0, 1)),
    "ratio": RectangleGate((RATIO,), (0.5,), (1.5,)),
    "both": BooleanGate("and", (Operand("box"), Operand("round", negated=True))),
    "either": BooleanGate("or", (Operand("box"), Operand("round"))),
    "none": BooleanGate("and", (Operand("box", negated=True),)),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A run of one tube, gated by every kind of gate."""
    folder = tmp_path_factory.mktemp("drawn")
    populations = tuple(Population(name, f"+{name}", None, gate, "ok") for name, gate in GATES.items())
    matrix = Spillover(("FITC-A", "PE-A"), [[1.0, 0.1], [0.0, 1.0]], "x")
    strategy = GatingStrategy("drawn", "", "", 0, Spillover.none(), populations, {"other": matrix})
    (folder / "gates.json").write_text(json.dumps(strategy.to_dict()))
    write_tube(folder / "tubes" / "a.fcs")
    gate_study(make_plan([folder / "tubes"], strategy=folder / "gates.json"), folder / "run", figures="none")
    return nf.open_run(folder / "run")


@pytest.fixture(scope="module")
def archive(tmp_path_factory, plain):
    """A folder with two tubes and one that is none, and the run made of them."""
    folder = tmp_path_factory.mktemp("archive")
    write_tube(folder / "tubes" / "a.fcs")
    write_tube(folder / "tubes" / "b.FCS", source=DAY21)
    (folder / "tubes" / "c.fcs").write_bytes(b"FCS3.1")
    gate_study(make_plan([folder / "tubes"], template=plain), folder / "run", figures="none")
    return folder


def told(row, *names):
    return tuple(row[name] for name in names)


def test_every_kind_of_gate(drawn, tmp_path):
    report = nf.export_thresholds(drawn, tmp_path / "out")
    assert report.path == tmp_path / "out" / "thresholds.csv"
    rows = read_table(report.path)
    assert (report.n_samples, report.n_rows, report.refused) == (1, len(rows), {})
    assert list(rows[0]) == [column.name for column in THRESHOLDS.columns]
    by = {(row["population"], row["axis"]): row for row in rows}
    assert len(by) == len(rows) == 13
    bounds = ("gate", "scale", "lower", "upper", "lower_scale", "upper_scale")
    assert told(by["box", "1"], *bounds) == ("rectangle", "linear t 10, a 0", "5.0", "", "50.0", "")
    assert told(by["box", "2"], *bounds) == ("rectangle", "log t 1000, m 3", "", "2.0", "", "1000000.0")
    assert told(by["'=HYPERLINK(1)", "1"], *bounds) == (
        "outside rectangle",
        "scale values",
        "-5.0",
        "100.0",
        "-5.0",
        "100.0",
    )
    assert told(by["corner", "1"], *bounds) == ("quadrant", "linear t 10, a 0", "", "2.0", "", "20.0")
    assert told(by["corner", "2"], *bounds)[:4] == ("quadrant", "log t 1000, m 3", "0.5", "1.0")
    assert float(by["corner", "2"]["lower_scale"]) == pytest.approx(1000 * 10**-1.5)
    assert told(by["ratio", "1"], *bounds) == ("rectangle", "scale values", "0.5", "1.5", "0.5", "1.5")
    whose = ("dimension", "detector", "compensated", "matrix")
    assert told(by["box", "1"], *whose) == ("CD3", "FITC-A", "yes", "")
    assert told(by["box", "2"], *whose) == ("SSC-A", "SSC-A", "no", "")
    assert told(by["'=HYPERLINK(1)", "1"], *whose) == ("CD16+56", "PE-A", "yes", "other")
    assert told(by["ratio", "1"], *whose) == ("FSC-A / FSC-H", "FSC-A / FSC-H", "no", "")


def test_outlines_are_told_axis_by_axis(drawn, tmp_path):
    rows = read_table(nf.export_thresholds(drawn, tmp_path).path)
    by = {(row["population"], row["axis"]): row for row in rows}
    assert json.loads(by["triangle", "1"]["vertices"]) == {"display": [1.0, 2.0, 3.0], "scale": [10.0, 20.0, 30.0]}
    second = json.loads(by["triangle", "2"]["vertices"])
    assert second == {"display": [0.0, 1.0, 200.0], "scale": [1.0, 1000.0, None]}  # 10^600 is no number
    assert json.loads(by["round", "1"]["vertices"]) == {
        "centre": 4.0, "centre_scale": 40.0, "covariance": [2.0, 0.5], "distance_square": 9.0,
    }  # fmt: skip
    assert told(by["triangle", "1"], "gate", "lower", "upper", "lower_scale", "upper_scale") == (
        "polygon",
        "",
        "",
        "",
        "",
    )
    assert by["round", "2"]["gate"] == "ellipsoid"


def test_what_boolean_gates_combine(drawn, tmp_path):
    rows = {row["population"]: row for row in read_table(nf.export_thresholds(drawn, tmp_path).path)}
    assert {name: rows[name]["combines"] for name in ("both", "either", "none", "box")} == {
        "both": "all of box, not round", "either": "any of box, round", "none": "not box", "box": "",
    }  # fmt: skip
    assert told(rows["both"], "gate", "axis", "dimension", "scale", "vertices") == ("boolean", "", "", "", "")


def test_nothing_in_it_is_a_formula(drawn, tmp_path):
    path = nf.export_thresholds(drawn, tmp_path).path
    with path.open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert "'+box" in cells
    assert not [
        cell for cell in cells if cell.startswith(("=", "+", "@")) or (cell[:1] == "-" and not cell[1:2].isdigit())
    ]


def test_bounds_are_where_the_run_put_them(tmp_path):
    """A released template: each threshold as the scale value it stands for, in every sample."""
    gate_study(make_plan([TUBES / "study.yaml"]), tmp_path / "run", figures="none")
    run = nf.open_run(tmp_path / "run")
    rows = read_table(nf.export_thresholds(run, tmp_path / "run" / "exports").path)
    assert {(row["sample"], row["population"]) for row in rows} == set(
        zip(run.counts["sample"], run.counts.population, strict=True)
    )
    checked = 0
    for row in rows:
        gate = run.strategy(row["sample"]).population(row["population"]).gate
        if isinstance(gate, RectangleGate) and row["lower"]:
            number = int(row["axis"]) - 1
            transform = gate.dimensions[number].transform
            assert float(row["lower"]) == gate.lower[number]
            assert transform.apply([float(row["lower_scale"])])[0] == pytest.approx(gate.lower[number], abs=1e-12)
            checked += 1
    assert checked > 8
    counts = {(c["sample"], c["population"]): c for c in read_table(tmp_path / "run" / "counts.csv")}
    copied = ("label", "path", "parent", "status", "flags", "severity")
    assert all(told(row, *copied) == told(counts[row["sample"], row["population"]], *copied) for row in rows)


def test_a_population_without_a_gate_has_a_row(plain, tmp_path):
    template = tmp_path / "optional.yaml"
    optional = (
        "  - {id: activated, label: Activated, parent: t_cells, optional: true, gate: {range: {CD25: [1, null]}}}\n"
    )
    template.write_text(plain.read_text() + optional)
    write_tube(tmp_path / "tubes" / "a.fcs")
    gate_study(make_plan([tmp_path / "tubes"], template=template), tmp_path / "run", figures="none")
    rows = read_table(nf.export_thresholds(nf.open_run(tmp_path / "run"), tmp_path).path)
    (row,) = (row for row in rows if row["population"] == "activated")
    assert told(row, "gate", "axis", "status", "parent") == ("", "", "not_in_panel", "t_cells")


def test_samples_that_were_refused_are_told(archive, tmp_path):
    run = nf.open_run(archive / "run")
    seen = []
    report = nf.export_thresholds(run, tmp_path, done=seen.append)
    assert list(report.refused) == ["c"]
    assert report.refused["c"].startswith("was refused when the run was made: ")
    assert seen == ["a", "b", "c"]
    assert {row["sample"] for row in read_table(report.path)} == {"a", "b"}
    alone = nf.export_thresholds(run, tmp_path / "none", samples=["c"])
    assert (alone.path, alone.n_rows) == (None, 0)
    assert not (tmp_path / "none").exists()
    b = nf.export_thresholds(run, tmp_path / "b", samples=["b", "b"])
    assert {row["sample"] for row in read_table(b.path)} == {"b"}


def test_a_table_that_is_there_is_kept(archive, tmp_path):
    run = nf.open_run(archive / "run")
    (tmp_path / "thresholds.csv").write_text("mine")
    with pytest.raises(nf.Nti7flowError, match="exists already and is not replaced"):
        nf.export_thresholds(run, tmp_path)
    assert (tmp_path / "thresholds.csv").read_text() == "mine"
    assert everything(tmp_path) == {"thresholds.csv"}
    (tmp_path / "file").write_text("")
    with pytest.raises(nf.Nti7flowError, match="cannot be written: Not a directory"):
        nf.export_thresholds(run, tmp_path / "file" / "out")


def test_a_strategy_that_was_altered_is_not_told(archive, tmp_path):
    shutil.copytree(archive / "run", tmp_path / "run")
    stored = tmp_path / "run" / "steps" / "01-gate" / "strategies" / "a.json"
    stored.write_text(stored.read_text() + " ")
    report = nf.export_thresholds(nf.open_run(tmp_path / "run"), tmp_path / "out", samples=["a", "b"])
    assert "was altered after the run" in report.refused["a"]
    assert {row["sample"] for row in read_table(report.path)} == {"b"}


def test_every_column_says_what_it_means():
    assert all(column.meaning.endswith(".") for column in THRESHOLDS.columns)
    assert [column.name for column in THRESHOLDS.columns if column.key] == ["sample", "population", "axis"]
