"""Gating-ML 2.0 that is as it should be, however it is written."""

import io
import pickle
import warnings

import numpy as np
import pytest
from gml_documents import (
    XMLNS,
    axis,
    boolean,
    divider,
    document,
    ellipsoid,
    matrix,
    polygon,
    quadrants,
    ratio,
    rectangle,
    transform,
    write,
)

from nti7flow.errors import UnknownMarker
from nti7flow.events.made import make_sample
from nti7flow.events.transforms import Linear
from nti7flow.gating.gates import BooleanGate, Operand, QuadrantGate, RectangleGate
from nti7flow.interop.flowkit.conversion import to_flowkit
from nti7flow.interop.flowkit.package import load
from nti7flow.interop.strategies import read_strategy

#: Six events that are told apart by X, and cells on the edges of most gates below.
EVENTS = {"X": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "Y": [0.0, 2.0, 1.0, 3.0, 1.0, 4.0], "Z": [1.0, 1.0, 2.0, 2.0, 4.0, 4.0]}
SPECTRA = matrix("M", ("FITC", "PE"), ("X", "Y"), ((1, 0.5), (0, 1)))


@pytest.fixture
def sample():
    return make_sample(np.column_stack(list(EVENTS.values())), list(EVENTS), name="toy.fcs")


def members(path, sample):
    """X of the events in each population, which FlowKit has to confirm."""
    strategy = read_strategy(path)
    found = strategy.apply(sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = to_flowkit(strategy).gate_sample(to_flowkit(sample))
    for population in strategy.populations:
        assert found.mask(population.id).tolist() == results.get_gate_membership(population.id).tolist(), population.id
    return {name: [int(x) for x in found.rows(name)] for name in found}


def test_every_kind_of_gate_worked_by_hand(tmp_path, sample):
    path = write(
        tmp_path,
        transform("tenths", "flin", T=10, A=0),
        ratio("X_to_Z", "X", "Z"),
        SPECTRA,
        rectangle("range", axis("X", 1, 4)),
        rectangle("open", axis("X", 3), axis("Y", high=4)),
        rectangle("scaled", axis("X", 0.15, 0.45, transform="tenths")),
        rectangle("ratio", axis(ratio="X_to_Z", low=1, high=1.3)),
        rectangle("solved", axis("Y", 1, 2, compensation="M")),  # Y - X / 2: 0, 1.5, 0, 1.5, -1, 1.5
        rectangle("child", axis("X", 2), parent="range"),
        polygon("triangle", ((0, 0), (6, 0), (0, 6))),
        ellipsoid("circle", (2, 1), ((1, 0), (0, 1)), 2),
        quadrants(
            "Q",
            [divider("x", "X", 4, 2), divider("y", "Y", 2)],
            {"low": {"x": 0, "y": 0}, "edge": {"x": 2, "y": 2}, "any": {"x": 9}},
        ),
        rectangle("in_quadrant", axis("X", 5), parent="any"),
        boolean("both", "and", "range", "triangle"),
        boolean("either", "or", "range", "any"),
        boolean("neither", "not", "either"),
        boolean("but", "and", "range", ("circle", "true")),
        boolean("within", "or", "low", "edge", parent="triangle"),
    )
    assert members(path, sample) == {
        "range": [1, 2, 3],
        "open": [3, 4],
        "scaled": [2, 3, 4],
        "ratio": [1, 2, 4, 5],
        "solved": [1, 3, 5],
        "child": [2, 3],
        "triangle": [0, 1, 2, 4],
        "circle": [1, 2],
        "low": [0],
        "edge": [3],
        "any": [4, 5],
        "in_quadrant": [5],
        "both": [1, 2],
        "either": [1, 2, 3, 4, 5],
        "neither": [0],
        "but": [3],
        "within": [0],
    }


def test_is_for_any_tube_and_says_where_it_is_from(tmp_path, sample):
    strategy = read_strategy(write(tmp_path, rectangle("A"), name="our gates.xml"))
    assert (strategy.template, strategy.sample, strategy.sha256) == ("our gates.xml", "", "")
    assert pickle.loads(pickle.dumps(strategy)) == strategy
    other = make_sample(np.zeros((3, 1)), ["V"], name="other.fcs")
    with pytest.raises(UnknownMarker, match="the strategy gates on X, which the tube does not have; it has V"):
        strategy.apply(other)
    bound = strategy.for_sample(sample, name="tube 1")
    assert (bound.sample, bound.sha256) == ("tube 1", sample.sha256)


def test_geometry_is_taken_as_it_stands(tmp_path):
    strategy = read_strategy(
        write(
            tmp_path,
            transform("t", "flin", T=1000, A=10),
            SPECTRA,
            rectangle("A", axis("FITC", "+.5", " 1e1\n", compensation="M", transform="t")),
            quadrants("Q", [divider("d", "X", 3, 1, 2)], {"Q1": {"d": 2}}, parent="A"),
            boolean("N", "not", "Q1"),
        )
    )
    a, q1, n = strategy.populations
    assert isinstance(a.gate, RectangleGate)
    assert (a.gate.lower, a.gate.upper) == ((0.5,), (10.0,))
    (dimension,) = a.gate.dimensions
    assert (dimension.detector, dimension.compensated, dimension.matrix) == ("X", True, "M")
    assert dimension.transform == Linear(1000.0, 10.0)
    assert strategy.matrices["M"].matrix.tolist() == [[1.0, 0.5], [0.0, 1.0]]
    assert isinstance(q1.gate, QuadrantGate)
    assert (q1.gate.name, q1.gate.dividers, q1.gate.interval, q1.parent) == ("Q", ((1.0, 2.0, 3.0),), (2,), "A")
    assert n.gate == BooleanGate("and", (Operand("Q1", True),))
    assert [(p.label, p.status, p.flags) for p in strategy.populations] == [(p.id, "ok", ()) for p in (a, q1, n)]


def test_children_may_stand_before_their_parents(tmp_path, sample):
    parts = [
        boolean("but", "and", "child", ("other", "1")),
        rectangle("child", axis("X", 2), parent="range"),
        rectangle("other", axis("X", 3)),
        rectangle("range", axis("X", 1, 4)),
    ]
    expected = {"but": [2], "child": [2, 3], "other": [3, 4, 5], "range": [1, 2, 3]}
    assert members(write(tmp_path, *parts), sample) == expected
    assert members(write(tmp_path, *reversed(parts)), sample) == expected


def test_infinite_bounds_are_bounds(tmp_path, sample):
    """Written by programs that know no other way of leaving a side open."""
    path = write(tmp_path, rectangle("low", axis("X", "-INF", 2)), rectangle("high", axis("X", 4, "INF")))
    assert members(path, sample) == {"low": [0, 1], "high": [4, 5]}


def test_a_ratio_with_one_bound_or_none(tmp_path):
    """FlowKit reads such gates, but cannot apply them; a ratio may be infinite or no number."""
    parts = [rectangle("low", axis(ratio="R", low=2)), rectangle("high", axis(ratio="R", high=2))]
    path = write(tmp_path, ratio("R", "X", "Y"), *parts, rectangle("any", axis(ratio="R")))
    sample = make_sample([[1.0, 1.0], [2.0, 1.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], ["X", "Y"], name="toy.fcs")
    found = read_strategy(path).apply(sample)
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "low": [1, 2],
        "high": [0, 3],
        "any": [0, 1, 2, 3, 4],
    }


PLAIN = [
    transform("tenths", "flin", T=10, A=0),
    SPECTRA,
    rectangle("A", axis("X", 0.1, 0.4, transform="tenths")),
    rectangle("B", axis("PE", 1, 2, compensation="M"), parent="A"),
    boolean("C", "and", "A", ("B", "true")),
]
EXPECTED = {"A": [1, 2, 3], "B": [1, 3], "C": [2]}


def _other_prefixes(text):
    for prefix, other in (("gating", "G"), ("transforms", "x"), ("data-type", "ns0")):
        text = text.replace(f"{prefix}:", f"{other}:").replace(f"xmlns:{prefix}=", f"xmlns:{other}=")
    return text


def _declared_inside(text):
    """FlowKit looks for prefixes in the root element, and would drop the transforms and matrices of this one."""
    transforms = next(part for part in XMLNS.split() if part.startswith("xmlns:transforms"))
    text = text.replace(transforms, "", 1)
    for tag in ("transformation", "spectrumMatrix"):
        text = text.replace(f"<transforms:{tag} ", f"<transforms:{tag} {transforms} ")
    return text


def _default_namespace(text):
    """Elements without a prefix; attributes need one all the same."""
    text = text.replace("<gating:", "<").replace("</gating:", "</")
    return text.replace("<Gating-ML ", '<Gating-ML xmlns="http://www.isac-net.org/std/Gating-ML/v2.0/gating" ')


def _shadowed(text):
    """Declare a prefix of the root anew, for something else, where it is not used."""
    return text.replace("<gating:RectangleGate ", '<gating:RectangleGate xmlns:transforms="urn:other" ')


def _commented(text):
    text = text.replace("<gating:", "<!-- here --><gating:").replace(
        "<!-- here --><gating:Gating-ML", "<gating:Gating-ML"
    )
    return text.replace("?>\n", '?>\n<?xml-stylesheet href="http://nowhere.invalid/a.xsl"?>\n<!-- there -->\n', 1)


@pytest.mark.parametrize(
    "rewrite",
    [
        _other_prefixes,
        _declared_inside,
        _default_namespace,
        _shadowed,
        _commented,
        lambda text: text.replace('"true"', '" 1 "'),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("<", "\n<").replace("\n<?xml", "<?xml"),
        lambda text: text.replace("X", "&#88;"),
        lambda text: text.replace('id="A"', 'id="A" xml:id="B" xml:lang="en" xml:base="file:///etc/"'),
        lambda text: text.replace('id="A"', 'id="A" tint="#000000" eventsInside="1" xmlns:v="urn:v" v:id="B"'),
        lambda text: text.replace('id="A"', 'id="A" gating:name="Anything"'),
    ],
)
def test_other_ways_of_writing_the_same(tmp_path, sample, rewrite):
    text = document(*PLAIN)
    path = tmp_path / "gates.xml"
    path.write_text(text, encoding="utf-8")
    assert members(path, sample) == EXPECTED
    assert rewrite(text) != text
    path.write_text(rewrite(text), encoding="utf-8", newline="")
    assert members(path, sample) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252", "us-ascii"])
def test_encodings(tmp_path, encoding):
    name = "CD4" if encoding == "us-ascii" else "Zellgröße"
    text = document(rectangle(name)).replace("UTF-8", encoding.removesuffix("-sig"))
    path = tmp_path / "gates.xml"
    path.write_bytes(text.encode(encoding))
    assert [p.id for p in read_strategy(path).populations] == [name]


def test_a_comment_in_a_number_does_not_cut_it(tmp_path, sample):
    """FlowKit takes the text before a comment."""
    path = write(tmp_path, quadrants("Q", [divider("x", "X", "<!-- about -->3<!-- . -->.5")], {"high": {"x": 4}}))
    assert members(path, sample) == {"high": [4, 5]}


def test_what_other_programs_note_for_themselves_is_ignored(tmp_path, sample):
    note = "<d:custom_info><v:note xmlns:v='urn:v' g:id='A'>&lt;g&gt;</v:note><g:RectangleGate/> text</d:custom_info>"
    inside = rectangle("A", note, axis("X", 3))
    path = write(tmp_path, note, transform("t", "flin", T=1, A=0).replace("/></t:", f">{note}</t:flin></t:", 1), inside)
    assert members(path, sample) == {"A": [3, 4, 5]}


def test_a_file_that_flowkit_wrote_is_read(tmp_path, sample):
    flowkit = load()
    path = write(tmp_path, *PLAIN, quadrants("Q", [divider("x", "X", 2)], {"low": {"x": 1}, "high": {"x": 4}}))
    buffer = io.BytesIO()
    flowkit.export_gatingml(flowkit.parse_gating_xml(str(path)), buffer)
    again = tmp_path / "again.xml"
    again.write_bytes(buffer.getvalue())
    assert members(again, sample) == members(path, sample) == EXPECTED | {"low": [0, 1], "high": [2, 3, 4, 5]}


def test_scatter_and_time_beside_the_matrix_in_the_file(tmp_path):
    """FlowKit compensates all dimensions of a gate or none, but never scatter and time."""
    axes = [axis(name, 0) for name in ("FSC-A", "SSC-H", "Time", "FS INT LIN")]
    strategy = read_strategy(write(tmp_path, rectangle("A", axis("FL1-A", 0, compensation="FCS"), *axes)))
    assert [d.compensated for d in strategy.populations[0].gate.dimensions] == [True, False, False, False, False]
