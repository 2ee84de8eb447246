"""Strategy → Gating-ML → strategy is the identity; and what another program changed in between is respected."""

import json
import re
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from writer_cases import MATRICES, OWN, Dice, write_small_tube

import nti7flow as nf
from nti7flow.events.spectrum import SpectrumMatrix
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import FlowJoBiex, Linear, Logicle
from nti7flow.gating.dimensions import Dimension, RatioDimension
from nti7flow.gating.gates import BooleanGate, Operand, PolygonGate, QuadrantGate, RectangleGate
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.gatingml.writer import gatingml_bytes, write_gatingml

TUBES = Path(__file__).parents[1] / "tubes"
RAW = Linear(1.0, 0.0)
CD3 = Dimension("FITC-A", "CD3", True, Logicle(262144.0, 0.5, 4.5, 0.0))
CD4 = Dimension("PE-A", "CD4", True, Logicle(262144.0, 0.75, 4.5, 0.0))
SSC = Dimension("SSC-A", "", True, RAW)
HIGH = RectangleGate((CD3,), (0.5,), (None,))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return write_small_tube(tmp_path_factory.mktemp("tube") / "tube.fcs")


@pytest.fixture
def back(tmp_path):
    """Write a strategy, let somebody edit the text, and read it again."""

    def write_and_read(strategy, *edits):
        path = tmp_path / "gates.xml"
        write_gatingml(strategy, path)
        text = path.read_text(encoding="utf-8")
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        return nf.read_strategy(path)

    return write_and_read


def strategy_of(*populations, **changes):
    whole = {"template": "tbnk@1.0.0", "sample": "S-1", "sha256": "0f" * 32, "data_set": 1, "spillover": OWN}
    return GatingStrategy(**whole | {"populations": tuple(populations), "matrices": MATRICES} | changes)


def named(name, gate, parent=None, **more):
    return Population(name, more.pop("label", name.upper()), parent, gate, more.pop("status", "ok"), **more)


@given(seed=st.integers(0, 2**32 - 1), bound=st.booleans())
def test_any_strategy_comes_back_as_it_was(tmp_path_factory, sample, seed, bound):
    strategy = Dice(sample, seed, bound=bound).strategy()
    path = tmp_path_factory.getbasetemp() / "dice.xml"
    write_gatingml(strategy, path)
    again = nf.read_strategy(path)
    assert again == strategy
    assert again.to_dict() == strategy.to_dict()
    assert gatingml_bytes(again) == path.read_bytes()


STRATEGIES = {
    "nothing": strategy_of(),
    "failed, and what rests on it": strategy_of(
        named("t", HIGH, status="borrowed", flags=("few_events", "marker_by_X_alone")),
        named("gone", None, "t", status="failed", flags=("no_valley",)),
        named("child", RectangleGate((CD4, SSC), (0.5, None), (None, 1000.0)), "gone", status="failed"),
        named("of_gone", BooleanGate("or", (Operand("t"), Operand("gone", negated=True)))),
        named("not_here", None, status="not_in_panel", label="CD25⁺ “activated” <& more>"),
    ),
    "everything on a gate that is not there": strategy_of(named("a", None), named("b", HIGH, "a")),
    "operands that stand later in the tree": strategy_of(
        named("z", HIGH),
        named("y", HIGH, "z"),
        named("a", BooleanGate("and", (Operand("y"), Operand("z")))),
        named("b", HIGH),
    ),
    "parent among the operands": strategy_of(
        named("t", HIGH),
        named("both", BooleanGate("and", (Operand("t"), Operand("t", negated=True))), "t"),
        named("rest", BooleanGate("or", (Operand("t", negated=True),)), "t"),
    ),
    "infinite bounds": strategy_of(
        named("a", RectangleGate((CD3, CD4), (-inf, 0.5), (0.5, inf))),
        named("b", RectangleGate((CD3, CD4), (-inf, 0.5), (0.5, inf), complement=True)),
        named("c", RectangleGate((CD3, CD4), (None, None), (None, None))),
    ),
    "FlowJo": strategy_of(
        named(
            "a",
            RectangleGate((replace(CD3, transform=FlowJoBiex()), SSC), (1000.0, None), (5000.0, None), complement=True),
        ),
        named("none", RectangleGate((replace(CD3, transform=FlowJoBiex()),), (5000.0,), (None,))),
    ),
    "no own matrix": strategy_of(named("a", HIGH), spillover=Spillover.none(), matrices={}),
    "compensated already": strategy_of(
        named("a", HIGH), spillover=Spillover((), np.empty((0, 0)), "already compensated"), matrices={}
    ),
    "a matrix of one": strategy_of(
        named("a", HIGH),
        named("b", RectangleGate((replace(CD4, matrix="one"),), (0.5,), (None,))),
        spillover=Spillover(("FITC-A",), np.eye(1), "one.csv"),
        matrices={
            "one": Spillover(("PE-A",), np.eye(1), "x"),
            "half": SpectrumMatrix(("A",), ("A",), np.eye(1) / 2, "y"),
        },
    ),
    "matrices called as others": strategy_of(
        named("spillover", RectangleGate((replace(CD3, matrix="FCS"),), (0.5,), (None,))),
        matrices={"FCS": OWN, "uncompensated": OWN, "spillover": MATRICES["other"]},
    ),
    "scatter in the matrix": strategy_of(
        named("a", RectangleGate((CD3, SSC), (0.5, 1.0), (None, None))),
        spillover=Spillover(("SSC-A", "FITC-A", "PE-A"), np.array([[1, 0, 0], [0, 1, 0.1], [0, 0.2, 1]]), "keyword"),
    ),
    "for any tube, and yet with a matrix": strategy_of(named("a", HIGH), sample="", sha256="", data_set=0),
}


@pytest.mark.parametrize("kind", STRATEGIES)
def test_each_kind_comes_back_as_it_was(back, kind):
    strategy = STRATEGIES[kind]
    assert back(strategy) == strategy


@pytest.mark.parametrize("spillover", ["keyword", "none"])
def test_what_a_template_made_comes_back_and_gates_the_same(back, spillover):
    tube = nf.read_fcs(TUBES / "SIM-001_day21_tbnk.fcs")
    strategy = nf.gate(tube.path, "tbnk", spillover=spillover).strategy
    again = back(strategy)
    assert again == strategy
    assert all(p.marker for p in again.dimensions if isinstance(p, Dimension) and p.detector == "FITC-A")
    members, before = again.apply(tube), strategy.apply(tube)
    for name, rows in before.items():
        assert rows is members[name] is None or np.array_equal(rows, members[name]), name


THREE = strategy_of(
    named("t", HIGH, flags=("x",)),
    named("outside", RectangleGate((CD3, CD4), (0.2, 0.3), (0.8, 0.9), complement=True), "t", label="Outside"),
    named("four", RectangleGate((CD4,), (0.5,), (None,)), "outside", label="Four"),
)


def test_geometry_is_that_of_the_gates(back):
    again = back(THREE, ('min="0.5"', 'min="0.625"'))
    assert again.population("t").gate == replace(HIGH, lower=(0.625,))
    assert again == replace(
        THREE,
        populations=(
            replace(THREE.populations[0], gate=replace(HIGH, lower=(0.625,))),
            THREE.populations[1],
            replace(THREE.populations[2], gate=RectangleGate((CD4,), (0.625,), (None,))),
        ),
    )


def test_a_helper_that_was_moved_becomes_a_population(back):
    again = back(THREE, ('min="0.2"', 'min="0.1"'))
    helper = RectangleGate((replace(CD3, marker=""), replace(CD4, marker="")), (0.1, 0.3), (0.8, 0.9))
    assert [p.id for p in again.populations] == ["t", "outside.1", "outside", "four"]
    assert again.population("outside.1").gate == helper
    assert again.population("outside") == named(
        "outside", BooleanGate("and", (Operand("outside.1", negated=True),)), "t", label="Outside"
    )
    assert again.population("four") == THREE.populations[2]


def test_a_helper_that_another_gate_rests_on_stays(back):
    added = '<gating:BooleanGate gating:id="new" gating:parent_id="four"><gating:not><gating:gateReference gating:ref='
    added += '"outside.1"/></gating:not></gating:BooleanGate></gating:Gating-ML>'
    again = back(THREE, ("</gating:Gating-ML>", added))
    assert [p.id for p in again.populations] == ["t", "outside.1", "outside", "four", "new"]
    assert again.population("new").gate == BooleanGate("and", (Operand("outside.1", negated=True),))


def test_added_and_removed_gates(back):
    text = gatingml_bytes(THREE).decode()
    (four,) = re.findall(r' *<gating:RectangleGate gating:id="four".*?</gating:RectangleGate>\n', text, re.DOTALL)
    new = four.replace('"four"', '"added"').replace('"outside"', '"t"')
    again = back(THREE, (four, new))
    assert [p.id for p in again.populations] == ["t", "outside", "added"]
    assert again.populations[:2] == THREE.populations[:2]
    plain = RectangleGate((replace(CD4, marker=""),), (0.5,), (None,))
    assert again.population("added") == Population("added", "added", "t", plain, "ok")


def test_a_gate_that_was_moved_in_the_tree(back):
    again = back(THREE, ('gating:id="four" gating:parent_id="outside"', 'gating:id="four"'))
    assert again.population("four") == replace(THREE.populations[2], parent=None)


def test_a_channel_that_was_changed_has_no_marker(back):
    strategy = strategy_of(named("t", RectangleGate((SSC,), (1.0,), (None,))), matrices={})
    again = back(strategy, ('data-type:name="SSC-A"/>', 'data-type:name="FSC-A"/>'))
    assert again.population("t").gate.dimensions == (Dimension("FSC-A", "", False, RAW),)


def test_what_a_lost_parent_had_is_lost(back):
    """A failed population below a gate that another program took away has no place any more."""
    strategy = strategy_of(named("t", HIGH), named("gone", None, "t", status="failed"), named("b", HIGH))
    text = gatingml_bytes(strategy).decode()
    (t,) = re.findall(r' *<gating:RectangleGate gating:id="t".*?</gating:RectangleGate>\n', text, re.DOTALL)
    assert back(strategy, (t, "")).populations == strategy.populations[2:]


def test_a_document_without_metadata_is_for_any_tube(back):
    text = gatingml_bytes(THREE).decode()
    (info,) = re.findall(r" *<data-type:custom_info>.*</data-type:custom_info>\n", text, re.DOTALL)
    again = back(THREE, (info, ""))
    assert (again.template, again.sample, again.sha256, again.spillover) == ("gates.xml", "", "", Spillover.none())
    assert again.populations[0].gate.dimensions == (Dimension("FITC-A", "", True, CD3.transform, "spillover"),)
    assert set(again.matrices) > {"spillover", "other"}


def head(**changes):
    text = re.search(r"<nti7flow:strategy>(.*)</nti7flow:strategy>", gatingml_bytes(THREE).decode())[1]
    return text, json.dumps(json.loads(text) | changes)


def note(index, **changes):
    text = re.findall(r"<nti7flow:population>(.*)</nti7flow:population>", gatingml_bytes(THREE).decode())[index]
    return text, json.dumps(json.loads(text) | changes)


@pytest.mark.parametrize(
    "edit",
    [
        head(schema="nti7flow/gatingml/9"),
        head(sha256="not one"),
        head(sha256=7),
        head(spillover=None),
        head(matrices=[{"name": "other", "matrix_id": "other"}] * 2),
        (head()[0], "{" * 5),
        (head()[0], "[" * 100_000),
        (head()[0], ""),
    ],
)
def test_metadata_that_is_none_is_left_aside(back, edit):
    again = back(THREE, edit)
    assert (again.template, again.sha256) in (("gates.xml", ""), ("tbnk@1.0.0", "0f" * 32))
    assert {"t", "outside", "four"} <= {p.id for p in again.populations}
    assert again.population("t").gate.lower == (0.5,)


@pytest.mark.parametrize(
    "edit",
    [
        note(1, gate=None),
        note(1, gate={}),
        note(1, gate={"kind": "zebra"}),
        note(1, gate={"kind": "rectangle", "dimensions": [], "lower": [], "upper": []}),
        note(1, gate={"kind": "rectangle", "dimensions": [3], "lower": [1], "upper": [2]}),
        note(1, gate={"kind": "boolean", "operator": "and", "operands": [{"population": "zebra", "negated": False}]}),
        note(1, gate={"kind": "polygon", "dimensions": [], "vertices": [[1]]}),
        note(1, helpers=[]),
        note(1, helpers=["t", "t"]),
        note(1, helpers="outside.1"),
        note(1, status="splendid"),
        note(1, id="t"),
        note(1, gate_id="zebra"),
        note(1, gate_id=""),
        note(1, gate_id="t"),
        note(1, parent="zebra"),
        note(2, axes=[{"channel": "PE-A", "matrix": "zebra"}]),
        note(2, axes=[{"channel": "PE-A", "compensated": False}]),
        note(2, axes=[{"channel": 3}]),
        note(2, axes=[{"channel": "PE-A", "matrix": "hidden"}]),
        (note(1)[0], "null"),
    ],
)
def test_notes_that_do_not_fit_change_no_gate(back, edit):
    """Whatever is written there, the same events are in the gates of the document."""
    again = back(THREE, edit)
    by_gate = {p.gate.lower[0]: p for p in again.populations if isinstance(p.gate, RectangleGate)}
    assert by_gate[0.5].gate.dimensions[0].detector in ("FITC-A", "PE-A")
    assert all(d.compensated for d in again.dimensions)
    assert {p.gate.lower for p in again.populations if isinstance(p.gate, RectangleGate)} == {(0.5,), (0.2, 0.3)}


def test_no_matrix_comes_from_the_metadata_alone(back):
    """Gates are compensated by what stands in the document; a note cannot bring in another matrix."""
    loose = strategy_of(named("t", RectangleGate((replace(CD3, compensated=False),), (0.5,), (None,))), matrices={})
    hidden = {"name": "hidden", "matrix": OWN.to_dict()}
    text = gatingml_bytes(loose).decode()
    first, population = (re.search(f"<nti7flow:{name}>(.*)</", text)[1] for name in ("strategy", "population"))
    axes = [{"channel": "FITC-A", "compensated": True, "matrix": "hidden"}]
    again = back(
        loose,
        (first, json.dumps(json.loads(first) | {"matrices": [hidden], "spillover": {"matrix": OWN.to_dict()}})),
        (population, json.dumps(json.loads(population) | {"axes": axes})),
    )
    assert not again.dimensions[0].compensated
    assert again.matrices.keys() <= {"spillover"}


def test_of_two_notes_of_one_name_the_first_is_taken(back):
    again = back(THREE, note(2, id="t"))
    assert again.populations[:2] == THREE.populations[:2]
    plain = RectangleGate((replace(CD4, marker=""),), (0.5,), (None,))
    assert again.populations[2] == Population("four", "four", "outside", plain, "ok")


def test_a_name_that_another_gate_has_leaves_all_as_the_document_has_it(back):
    again = back(THREE, note(1, id="four"), note(2, gate_id="zebra"))
    assert [p.id for p in again.populations] == ["t", "outside.1", "outside", "four"]
    assert (again.template, again.sha256) == ("gates.xml", "")


def test_matrices_that_were_changed_are_those_of_the_document(back):
    strategy = strategy_of(
        named("a", HIGH), named("b", RectangleGate((replace(CD4, matrix="spectral"),), (0.5,), (None,)))
    )
    again = back(strategy, ('value="0.07"', 'value="0.09"'), ('value="0.4"', 'value="0.5"'))
    assert again.spillover.matrix[0, 1] == 0.09
    assert (again.spillover.detectors, again.spillover.source) == (OWN.detectors, "keyword")
    assert again.population("a").gate == HIGH
    changed = again.matrices["spectral"]
    assert isinstance(changed, SpectrumMatrix)
    assert changed.outputs == changed.detectors == MATRICES["spectral"].detectors
    assert 0.5 in changed.matrix


def test_what_spectra_leave_over_can_be_gated_by_others(back):
    """A detector without a dye holds something in the document's matrix, and nothing in the spectra it was made of."""
    strategy = strategy_of(named("a", RectangleGate((replace(CD4, matrix="spectral"),), (0.5,), (None,))))
    place = 'gating:min="0.5">\n      <data-type:fcs-dimension data-type:name="{}"/>'
    again = back(strategy, (place.format("PE-A"), place.format("BV421-A")))
    (axis,) = again.dimensions
    assert (axis.detector, axis.compensated, axis.matrix) == ("BV421-A", True, "spectral")
    assert "BV421-A" in again.matrices["spectral"].outputs


def test_an_own_matrix_that_is_none_any_more_keeps_its_gates(back):
    """A row that is not scaled to its diagonal means other values: it is kept as the document has it."""
    again = back(strategy_of(named("a", HIGH), matrices={}), ('value="1.0"', 'value="2.0"'))
    assert again.spillover == Spillover.none()
    assert again.population("a").gate.dimensions == (replace(CD3, matrix="spillover"),)
    assert again.matrices["spillover"].matrix[0, 0] == 2.0


def test_names_of_any_letters(back):
    names = ["a\x1b[31m", "‮evil", "x\n y", '"&<>]]>', "🙂", "", "  "]
    strategy = strategy_of(*(named(name, HIGH, label=name) for name in names))
    assert back(strategy) == strategy
    polygon = PolygonGate((CD3, CD4), ((0.1, 0.1), (0.5, 0.1), (0.3, 0.6)))
    sets = [QuadrantGate(name, (CD3, CD4), ((0.5,), (0.5,)), (0, 1)) for name in names]
    ratio = RectangleGate((RatioDimension("FSC-A", "SSC-A", 1.0, 0.0, 0.0, RAW),), (0.5,), (None,))
    strategy = strategy_of(*(named(f"{i}", gate) for i, gate in enumerate([polygon, *sets, ratio])))
    assert back(strategy) == strategy


def test_the_metadata_are_ascii_and_in_pieces():
    root = etree.fromstring(gatingml_bytes(THREE))
    (info,) = root.findall("{http://www.isac-net.org/std/Gating-ML/v2.0/datatypes}custom_info")
    assert [etree.QName(child).localname for child in info] == ["strategy", "population", "population", "population"]
    assert json.loads(info[0].text)["schema"] == "nti7flow/gatingml/1"
    assert all(child.text.isascii() for child in info)
