"""What a Gating-ML document of ours looks like: valid, exact, the same every time; and what has none."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from writer_cases import DETECTORS, MATRICES, OWN, Dice, write_small_tube

from nti7flow.errors import StrategyError
from nti7flow.events.spectrum import SpectrumMatrix
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import FlowJoBiex, FlowJoLog, Linear, Logicle
from nti7flow.gating.dimensions import Dimension, RatioDimension
from nti7flow.gating.gates import BooleanGate, EllipsoidGate, Operand, PolygonGate, QuadrantGate, RectangleGate
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.flowkit.package import load
from nti7flow.interop.gatingml.ids import Ids, name_from_id, xml_id
from nti7flow.interop.gatingml.writer import gatingml_bytes, write_gatingml

G = "{http://www.isac-net.org/std/Gating-ML/v2.0/gating}"
T = "{http://www.isac-net.org/std/Gating-ML/v2.0/transformations}"
RAW = Linear(1.0, 0.0)
LOGICLE = Logicle(262144.0, 0.5, 4.5, 0.0)
BIEX = FlowJoBiex()
TRIANGLE = ((0.1, 0.1), (0.5, 0.1), (0.3, 0.6))
ROUND = ((0.01, 0.0), (0.0, 0.01))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return write_small_tube(tmp_path_factory.mktemp("tube") / "tube.fcs")


@pytest.fixture(scope="module")
def schema():
    load()
    from flowkit._resources import gml_schema

    return gml_schema


def axis(detector, transform=RAW, *, matrix=None):
    return Dimension(detector, "", matrix is not None, transform, matrix or "")


def strategy_of(*gates, parent=None, bound=True):
    """A strategy of gates called a, b, c …, or of populations."""
    given = [
        gate if isinstance(gate, Population) else Population("abcdefgh"[i], "", parent, gate, "ok")
        for i, gate in enumerate(gates)
    ]
    sha256, own = ("0" * 64, OWN) if bound else ("", Spillover.none())
    return GatingStrategy("t@1", "tube", sha256, 0, own, tuple(given), MATRICES)


def root_of(*gates, **options):
    return etree.fromstring(gatingml_bytes(strategy_of(*gates, **options)))


def attributes(element):
    return {name.rpartition("}")[2]: text for name, text in element.attrib.items()}


@given(seed=st.integers(0, 2**32 - 1), bound=st.booleans())
def test_any_strategy_is_a_valid_document(sample, schema, seed, bound):
    content = gatingml_bytes(Dice(sample, seed, bound=bound).strategy())
    assert schema.validate(etree.fromstring(content)), schema.error_log.last_error
    assert content == gatingml_bytes(Dice(sample, seed, bound=bound).strategy())
    assert not re.search(rb"nan|inf[^o]|np\.", content.split(b"</data-type:custom_info>")[1])


def test_a_document_without_gates_is_valid(schema):
    assert schema.validate(root_of(Population("a", "A", None, None, "failed")))


def test_numbers_are_exact_whatever_their_type():
    low, high = np.float64(0.1) + 0.2, np.float32(7)
    root = root_of(RectangleGate((axis("FSC-A"), axis("SSC-A")), (low, -1e-300), (high, None)))
    first, second = root.iter(f"{G}dimension")
    assert attributes(first) == {"compensation-ref": "uncompensated", "min": "0.30000000000000004", "max": "7.0"}
    assert attributes(second) == {"compensation-ref": "uncompensated", "min": "-1e-300"}


def test_transforms_are_shared_by_value_and_have_names_to_read():
    axes = [
        axis("FSC-A", Linear(262144.0)),
        axis("FITC-A", LOGICLE, matrix=""),
        axis("PE-A", replace(LOGICLE), matrix=""),
    ]
    root = root_of(*(RectangleGate((a,), (0.5,), (None,)) for a in (*axes, axis("PE-A", Logicle(1000.0)))))
    ids = [attributes(t)["id"] for t in root.iter(f"{T}transformation")]
    assert ids == ["linear", "logicle", "logicle.2"]
    used = [attributes(d)["transformation-ref"] for d in root.iter(f"{G}dimension")]
    assert used == ["linear", "logicle", "logicle", "logicle.2"]


@pytest.mark.parametrize(
    ("dividers", "interval", "location"),
    [
        ((-100.0, 300.0), 0, -101.0),
        ((-100.0, 300.0), 1, 100.0),
        ((-100.0, 300.0), 2, 301.0),
        ((-3.0,), 0, -4.0),
        ((-3.0,), 1, -2.0),
        ((1e300,), 0, 1e300 * (1 - 2**-53)),
        ((1e300,), 1, 1e300),
        ((1.0, 1.0 + 2**-52), 1, 1.0),
        ((-8e307, 8e307), 1, 0.0),
    ],
)
def test_a_quadrant_lies_where_its_interval_is(dividers, interval, location):
    """Halves and doubles of a divider, as FlowKit writes them, lie in the wrong interval for negative ones."""
    root = root_of(QuadrantGate("Q", (axis("FSC-A"),), (dividers,), (interval,)))
    (position,) = root.iter(f"{G}position")
    assert float(attributes(position)["location"]) == location
    assert sum(value <= location for value in dividers) == interval


def test_quadrants_of_one_set_are_one_gate():
    axes, other = (axis("FSC-A"), axis("SSC-A")), (axis("FSC-A"), axis("SSC-A", LOGICLE))
    quadrants = [QuadrantGate("a", axes, ((5.0,), (7.0,)), place) for place in ((0, 0), (1, None), (1, 1))]
    root = root_of(*quadrants, QuadrantGate("a", other, ((5.0,), (0.5,)), (0, 0)))
    sets = list(root.iter(f"{G}QuadrantGate"))
    assert [attributes(s)["id"] for s in sets] == ["a.2", "a.3"]  # a population is called a
    assert [[attributes(q)["id"] for q in s.iter(f"{G}Quadrant")] for s in sets] == [["a", "b", "c"], ["d"]]
    places = [len(q) for q in sets[0].iter(f"{G}Quadrant")]
    assert places == [2, 1, 2]


def test_booleans_are_written_as_the_standard_has_them():
    a = RectangleGate((axis("FSC-A"),), (1.0,), (None,))
    gates = (
        BooleanGate("and", (Operand("a", negated=True),)),
        BooleanGate("or", (Operand("a"), Operand("b", negated=True))),
        BooleanGate("and", (Operand("a"),)),
    )
    root = root_of(a, *gates)
    told = [
        (child.tag.removeprefix(G), [attributes(reference) for reference in child])
        for gate in root.iter(f"{G}BooleanGate")
        for child in gate
    ]
    assert told == [
        ("not", [{"ref": "a"}]),
        ("or", [{"ref": "a"}, {"ref": "b", "use-as-complement": "true"}]),
        ("and", [{"ref": "a"}, {"ref": "a"}]),
    ]


def test_matrices_of_a_bound_strategy_and_of_one_for_any_tube():
    gate = RectangleGate((axis("FITC-A", LOGICLE, matrix=""), axis("FSC-A", matrix="")), (0.5, 1.0), (None, None))
    bound, loose = root_of(gate), root_of(gate, bound=False)
    refs = [[attributes(d)["compensation-ref"] for d in root.iter(f"{G}dimension")] for root in (bound, loose)]
    assert refs == [["spillover", "uncompensated"], ["FCS", "FCS"]]  # scatter is in no matrix
    ids = [attributes(m)["id"] for m in bound.iter(f"{T}spectrumMatrix")]
    assert ids == ["spillover", "other", "unscaled_x003A__x0020_2_x0020_x", "spectral", "turned"]
    assert ids[1:] == [attributes(m)["id"] for m in loose.iter(f"{T}spectrumMatrix")]
    for matrix in bound.iter(f"{T}spectrumMatrix"):
        names = [[attributes(d)["name"] for d in part] for part in matrix[:2]]
        assert names[0] == names[1]
        assert len(matrix[2:]) == len(names[0]) == len(matrix[2])


def test_spectra_of_fewer_dyes_are_completed_to_the_same_least_squares():
    spectra = MATRICES["spectral"]
    root = root_of(RectangleGate((axis("PE-A", matrix="spectral"),), (0.0,), (None,)))
    (written,) = (m for m in root.iter(f"{T}spectrumMatrix") if attributes(m)["id"] == "spectral")
    rows = np.array([[float(attributes(c)["value"]) for c in row] for row in written.iter(f"{T}spectrum")])
    raw = np.random.default_rng(1).normal(100.0, 50.0, (20, 4))
    dyes = [spectra.detectors.index(name) for name in spectra.outputs]
    assert np.allclose((raw @ np.linalg.inv(rows))[:, dyes], raw @ np.linalg.pinv(spectra.matrix), rtol=1e-9)


@given(name=st.text(), other=st.text())
def test_ids_are_names_of_xml_and_turn_back_into_ours(name, other):
    found = xml_id(name)
    assert name_from_id(found) == name
    assert (xml_id(other) == found) == (other == name)
    assert found not in ("", ".", "..", "root", "FCS", "uncompensated")
    assert re.fullmatch(r"[^\W\d][\w.-]*", found)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cd4_t", "cd4_t"),
        ("γδ", "γδ"),
        ("Singlets/Live", "Singlets_x002F_Live"),
        ("7AAD", "_x0037_AAD"),
        ("root", "_x0072_oot"),
        ("_x0041_", "_x005F_x0041_"),
        ("", "_x_"),
        ("🙂", "_x1F642_"),
    ],
)
def test_ids_that_people_read(name, found):
    assert xml_id(name) == found


def test_no_id_is_given_twice():
    ids = Ids()
    ids.reserve("a.3")
    assert [ids.take(name) for name in ("a", "a", "a", "b", "a.2", "a.3")] == ["a", "a.2", "a.4", "b", "a.2.2", "a.3.2"]


@pytest.mark.parametrize("name", ["a.1", "linear", "spillover", "FSC-A", "Q", "Q.FSC-A", "CD4 × CD8"])
def test_populations_keep_their_ids(schema, name):
    gates = (
        RectangleGate(
            (axis("FSC-A", Linear(9.0)), axis("FITC-A", matrix="")), (0.1, 1.0), (None, None), complement=True
        ),
        QuadrantGate("Q", (axis("FSC-A"),), ((5.0,),), (0,)),
        RectangleGate((RatioDimension("FSC-A", "SSC-A", 1.0, 0.0, 0.0, RAW),), (0.1,), (1.0,)),
    )
    populations = [Population(f"{i}", "", None, gate, "ok") for i, gate in enumerate(gates)]
    root = root_of(*populations, Population(name, "", None, gates[1], "ok"))
    assert schema.validate(root), schema.error_log.last_error
    ids = [attributes(q)["id"] for q in root.iter(f"{G}Quadrant")]
    assert xml_id(name) in ids


A_RATIO = RatioDimension("FSC-A", "SSC-A", 1.0, 0.0, 0.0, RAW)
REFUSED = {
    "polygon on biex": (
        PolygonGate((axis("FITC-A", BIEX), axis("PE-A")), TRIANGLE),
        "a polygon on FlowJo's biex scale has no Gating-ML form",
    ),
    "ellipsoid on FlowJo's log": (
        EllipsoidGate((axis("FITC-A"), axis("PE-A", FlowJoLog(10.0, 4.0))), (0.3, 0.3), ROUND, 1.0),
        "an ellipsoid on FlowJo's log scale has no Gating-ML form",
    ),
    "two matrices": (
        PolygonGate((axis("FITC-A", matrix=""), axis("PE-A", matrix="other")), TRIANGLE),
        "its dimensions have different matrices, and FlowKit takes one in a gate; a polygon cannot be split",
    ),
    "compensated beside not": (
        EllipsoidGate((axis("FITC-A", matrix=""), axis("PE-A")), (0.3, 0.3), ROUND, 1.0),
        "PE-A is not compensated, but another dimension is, and FlowKit would compensate both; an ellipsoid cannot be "
        "split",
    ),
    "left over by spectra": (
        PolygonGate((axis("FITC-A", matrix="spectral"), axis("BV421-A")), TRIANGLE),
        "BV421-A is not compensated, but another dimension is, and FlowKit would compensate both",
    ),
    "a channel twice": (
        PolygonGate((axis("FITC-A"), axis("FITC-A", LOGICLE)), TRIANGLE),
        "FITC-A is on two of its axes, and FlowKit takes a channel once in a gate",
    ),
    "two ratios": (
        PolygonGate((A_RATIO, replace(A_RATIO, a=2.0)), TRIANGLE),
        "two of its axes are ratios, and FlowKit takes one in a gate",
    ),
    "control characters": (RectangleGate((axis("FITC\x1b-A"),), (1.0,), (None,)), "channel 'FITC\\x1b-A' cannot be"),
    "no name": (RectangleGate((axis(""),), (1.0,), (None,)), "channel '' cannot be written in XML"),
    "ratio of nothing": (
        RectangleGate((replace(A_RATIO, b=float("nan")),), (1.0,), (2.0,)),
        "the parameters of FSC-A / SSC-A are not finite numbers",
    ),
    "infinity alone": (
        RectangleGate((axis("FITC-A"),), (float("inf"),), (None,)),
        "on FITC-A only infinite values are within its bounds",
    ),
    "a ratio that is a number": (
        RectangleGate((A_RATIO,), (-float("inf"),), (None,)),
        "that FSC-A / SSC-A is a number has no form that FlowKit takes",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_said_is_refused_by_name(kind):
    gate, why = REFUSED[kind]
    with pytest.raises(StrategyError) as error:
        gatingml_bytes(strategy_of(gate))
    (problem,) = error.value.problems
    assert problem.startswith(f"gate a: {why}")


def test_all_problems_are_told_at_once():
    gates = [gate for gate, _ in REFUSED.values()][:8]
    with pytest.raises(StrategyError) as error:
        gatingml_bytes(strategy_of(*gates))
    assert [problem[:7] for problem in error.value.problems] == [f"gate {letter}:" for letter in "abcdefgh"]


@pytest.mark.parametrize(
    ("matrix", "why"),
    [
        (
            SpectrumMatrix(("FITC-A",), ("FITC-A",), np.array([[0.5]]), "s"),
            "Gating-ML has no matrix of a single detector",
        ),
        (
            SpectrumMatrix(("FITC-A", "PE-A"), ("CD3", "PE-A"), np.eye(2), "s"),
            "its dyes are named after channels that are not among its detectors",
        ),
        (
            Spillover(("FITC-A", "SSC-A"), np.array([[1.0, 0.1], [0.0, 1.0]]), "s"),
            "it compensates SSC-A, which FlowKit takes for scatter or time",
        ),
    ],
)
def test_matrices_that_flowkit_cannot_have_are_refused_where_a_gate_needs_them(schema, matrix, why):
    strategy = strategy_of(RectangleGate((axis("FITC-A"),), (1.0,), (None,)))
    unused = replace(strategy, matrices={"m": matrix})
    assert schema.validate(etree.fromstring(gatingml_bytes(unused)))
    needed = Population("b", "", None, RectangleGate((axis("FITC-A", matrix="m"),), (1.0,), (None,)), "ok")
    with pytest.raises(StrategyError, match=f"gate b: matrix m: {why}"):
        gatingml_bytes(replace(unused, populations=(*unused.populations, needed)))


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "gates.xml"
    path.write_text("mine")
    good = strategy_of(RectangleGate((axis("FSC-A"),), (1.0,), (None,)))
    with pytest.raises(StrategyError):
        write_gatingml(strategy_of(REFUSED["two ratios"][0]), path)
    assert path.read_text() == "mine"
    with pytest.raises(OSError, match="nowhere"):
        write_gatingml(good, tmp_path / "nowhere" / "gates.xml")
    write_gatingml(good, str(path))
    assert path.read_bytes() == gatingml_bytes(good)
    assert [p.name for p in tmp_path.iterdir()] == ["gates.xml"]


def test_the_channels_of_the_cases_are_those_of_the_tube(sample):
    assert tuple(channel.detector for channel in sample.panel.channels) == DETECTORS
