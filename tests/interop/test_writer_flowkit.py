"""FlowKit reads our documents and puts the same events into every population."""

import warnings
from dataclasses import replace
from math import nextafter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from writer_cases import DETECTORS, MATRICES, OWN, Dice, flowkit_members, write_small_tube

import nti7flow as nf
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import FlowJoBiex, FlowJoLog, Hyperlog, Linear, Log, Logicle
from nti7flow.gating.dimensions import Dimension, RatioDimension
from nti7flow.gating.gates import BooleanGate, Operand, PolygonGate, QuadrantGate, RectangleGate
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.gatingml.ids import xml_id
from nti7flow.interop.gatingml.writer import write_gatingml

TUBES = Path(__file__).parents[1] / "tubes"
RAW = Linear(1.0, 0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tubes")


@pytest.fixture(scope="module")
def sample(folder):
    return write_small_tube(folder / "tube.fcs")


@pytest.fixture(scope="module")
def agree(folder):
    """Write a strategy, and compare every event of every population with what FlowKit finds; return the counts."""

    def compare(strategy, sample, *, left_out=()):
        path = folder / "gates.xml"
        write_gatingml(strategy, path)
        peer, counts = flowkit_members(sample.path, path), {}
        for name, rows in strategy.apply(sample).items():
            if name in left_out:
                assert xml_id(name) not in peer
                continue
            counts[name] = len(rows)
            assert np.flatnonzero(peer[xml_id(name)]).tolist() == rows.tolist(), f"{name}: {strategy.population(name)}"
        return counts

    return compare


def strategy_of(*gates, sample, own=OWN, parents=()):
    names = "abcdefghijklmnop"
    parents = [*parents, *[None] * len(gates)]
    populations = tuple(Population(names[i], "", parents[i], gate, "ok") for i, gate in enumerate(gates))
    return GatingStrategy("t", "s", sample.sha256 if own else "", 0, own or Spillover.none(), populations, MATRICES)


@given(seed=st.integers(0, 2**32 - 1), bound=st.booleans())
def test_any_strategy_counts_the_same_events(agree, sample, seed, bound):
    agree(Dice(sample, seed, bound=bound).strategy(), sample)


def test_the_random_strategies_hold_every_kind_of_gate_and_most_hold_events(agree, sample):
    kinds, counts = {}, []
    for seed in range(20):
        strategy = Dice(sample, seed).strategy()
        counts += agree(strategy, sample).values()
        for population in strategy.populations:
            kinds[type(population.gate)] = kinds.get(type(population.gate), 0) + 1
    assert len(kinds) == 5
    assert min(kinds.values()) > 20
    assert np.mean(np.array(counts) > 0) > 0.75


@pytest.mark.parametrize("day", ["day00", "day21"])
def test_what_a_template_placed_counts_the_same_events(agree, day):
    """Data-driven gates, as the plain geometry they became."""
    result = nf.gate(TUBES / f"SIM-001_{day}_tbnk.fcs", "tbnk")
    beads = ("bright_everywhere", "beads")  # there are none
    counts = agree(result.strategy, read_fcs(TUBES / f"SIM-001_{day}_tbnk.fcs"), left_out=beads)
    assert counts == {count.population: count.n_events for count in result.counts if count.population not in beads}
    assert len(counts) == 27
    assert min(counts[name] for name in ("t_cells", "cd4_t", "cd8_t", "b_cells", "nk_cells")) > 50


def test_populations_without_a_gate_are_left_out_with_all_that_rests_on_them(agree, sample):
    high = RectangleGate((Dimension("FITC-A", "CD3", True, RAW),), (500.0,), (None,))
    strategy = strategy_of(
        high,
        None,
        high,
        BooleanGate("or", (Operand("a"), Operand("b"))),
        BooleanGate("and", (Operand("a", negated=True),)),
        sample=sample,
        parents=(None, "a", "b"),
    )
    assert agree(strategy, sample, left_out=("b", "c", "d")).keys() == {"a", "e"}


def test_complements_hold_all_others_of_the_parent(agree, sample):
    cd3, ssc = Dimension("FITC-A", "", True, Logicle()), Dimension("SSC-A", "", False, RAW)
    box = RectangleGate((cd3, ssc), (0.4, 100.0), (0.8, 5000.0), complement=True)
    triangle = PolygonGate((cd3, ssc), ((0.3, 0.0), (0.9, 0.0), (0.5, 9000.0)), complement=True)
    parent = RectangleGate((ssc,), (300.0,), (None,))
    pairs = (box, replace(box, complement=False), triangle, replace(triangle, complement=False))
    counts = agree(strategy_of(parent, *pairs, sample=sample, parents=(None, *"aaaa")), sample)
    assert counts["b"] + counts["c"] == counts["d"] + counts["e"] == counts["a"]
    assert min(counts.values()) > 10


def test_a_gate_of_two_matrices_is_several_gates_to_flowkit(agree, sample):
    """One channel compensated in two ways, another not at all, one of them twice: each in a gate of its own."""
    axes = (
        Dimension("FITC-A", "", True, Logicle()),
        Dimension("PE-A", "", True, Logicle(), "other"),
        Dimension("APC-A", "", False, RAW),
        Dimension("FITC-A", "", False, Log(262144.0, 5.0)),
        Dimension("BV421-A", "", True, RAW, "unscaled: 2 x"),
    )
    gate = RectangleGate(axes, (0.2, 0.3, -500.0, 0.2, None), (0.9, 0.95, 5000.0, None, 3000.0))
    counts = agree(strategy_of(gate, replace(gate, complement=True), sample=sample), sample)
    assert counts["a"] + counts["b"] == sample.n_events
    assert min(counts.values()) > 20


def ratio_tube(folder):
    """Ratios of 0 / 0, x / 0, -x / 0, and plain ones."""
    x = np.array([0.0, 5.0, -5.0, 1.0, 2.0, 3.0, -1.0, 8.0])
    y = np.array([0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    events = np.ones((len(x), len(DETECTORS)))
    events[:, 2], events[:, 3] = x, y
    write_events(folder / "ratios.fcs", events, DETECTORS)
    return read_fcs(folder / "ratios.fcs")


@pytest.mark.parametrize("scale", [RAW, Linear(10.0, 2.0), Log(10.0, 3.0), Logicle(10.0), Hyperlog(10.0)])
@pytest.mark.parametrize("a", [1.0, -2.0])
def test_ratios_with_one_bound_or_none(agree, folder, scale, a):
    """FlowKit fails on a ratio with one bound, and shows what is no number at -1 on logicle scales."""
    tube = ratio_tube(folder)
    axis = RatioDimension("FITC-A", "PE-A", a, 0.0, 0.0, scale)
    edge = float(scale.apply([0.5])[0])
    bounds = [(edge, None), (None, edge), (None, None), (edge, float(scale.apply([2.0])[0])), (edge, float("inf"))]
    gates = [RectangleGate((axis,), (low,), (high,)) for low, high in bounds]
    counts = agree(strategy_of(*gates, *(replace(g, complement=True) for g in gates), sample=tube, own=None), tube)
    if a == 1.0:
        # At least 0.5 are 0.5, 1, 1.5, 4 and 5 / 0; 0 / 0 is nowhere, nor on a logarithm what is negative.
        assert [counts[name] for name in "abcde"] == [5, 0 if isinstance(scale, Log) else 2, 8, 3, 4]
    assert all(counts[x] + counts[y] == 8 for x, y in zip("abcde", "fghij", strict=True))


def test_a_channel_that_is_called_as_a_ratio_would_be(agree, folder):
    """FlowKit keeps a ratio under the id of its transform, beside the channels of the gate."""
    events = np.column_stack([[1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 1.0, 1.0], [1.0, 10.0, 1.0, 10.0]])
    write_events(folder / "names.fcs", events, ["ratio", "FITC-A", "PE-A"])
    tube = read_fcs(folder / "names.fcs")
    axes = (Dimension("ratio", "", False, RAW), RatioDimension("FITC-A", "PE-A", 1.0, 0.0, 0.0, RAW))
    gate = RectangleGate(axes, (1.5, 0.2), (None, 2.0))
    assert agree(strategy_of(gate, sample=tube, own=None), tube) == {"a": 2}


def test_two_ratios_in_a_gate(agree, folder):
    tube = ratio_tube(folder)
    axes = [RatioDimension("FITC-A", "PE-A", a, 0.0, 0.0, RAW) for a in (1.0, 2.0)]
    gates = (
        RectangleGate(tuple(axes), (0.5, None), (None, 3.5)),
        QuadrantGate("Q", tuple(axes), ((0.5,), (3.5,)), (1, 0)),
        RectangleGate((axes[0], Dimension("FSC-A", "", False, RAW)), (0.5, 1.0), (None, None)),
    )
    assert agree(strategy_of(*gates, sample=tube, own=None), tube) == {"a": 3, "b": 3, "c": 5}


@pytest.mark.parametrize("scale", [FlowJoBiex(), FlowJoBiex(0.5, -100.0, 4.5, 262144.0), FlowJoLog(10.0, 4.0)])
def test_thresholds_on_a_scale_of_flowjo_are_exact(agree, folder, scale):
    """Events lie on the thresholds, on the doubles next to them, and beyond the ends of the scale."""
    top = 1.0 if isinstance(scale, FlowJoLog) else 4096.0
    values = [-1e6, -50.0, 0.0, 11.0, 500.0, 1e4, 3e5, 1e9]
    values += [v for x in (500.0, 1e4) for v in (nextafter(x, -np.inf), nextafter(x, np.inf))]
    events = np.ones((len(values), len(DETECTORS)))
    events[:, 2] = values
    write_events(folder / "edges.fcs", events, DETECTORS)
    tube = read_fcs(folder / "edges.fcs")
    axis = Dimension("FITC-A", "", False, scale)
    low, high = (float(v) for v in scale.apply([500.0, 1e4]))
    bounds = [
        (low, high),
        (low, None),
        (None, high),
        (0.0, high),
        (low, top),
        (2 * top, None),
        (None, 2 * top),
        (-1.0, 0.0),
    ]
    gates = [RectangleGate((axis,), (a,), (b,), complement=turned) for a, b in bounds for turned in (False, True)]
    quadrants = [QuadrantGate("Q", (axis,), ((low, high),), (i,)) for i in (0, 1, 2)]
    counts = agree(strategy_of(*gates[:13], *quadrants, sample=tube, own=None), tube)
    assert counts["a"] + counts["b"] == counts["n"] + counts["o"] + counts["p"] == len(values)
    assert counts["a"] == counts["o"] >= 2
    agree(strategy_of(*gates[13:], sample=tube, own=None), tube)


def test_quadrants_with_negative_dividers_and_with_more_than_two_parts(agree, sample):
    axes = (Dimension("FITC-A", "", True, RAW), Dimension("PE-A", "", False, RAW, ""))
    axes = (axes[0], Dimension("SSC-A", "", False, RAW))
    dividers = ((-50.0, 400.0, 2000.0), (-20.0,))
    places = [(i, j) for i in (0, 1, 2, 3, None) for j in (0, 1)]
    counts = agree(strategy_of(*(QuadrantGate("Q", axes, dividers, p) for p in places), sample=sample), sample)
    assert sum(counts[name] for name in "abcdefgh") == counts["i"] + counts["j"] == sample.n_events
    assert min(counts.values()) > 3


def test_booleans_of_any_shape(agree, sample):
    a, b = (RectangleGate((Dimension(d, "", False, RAW),), (800.0,), (None,)) for d in ("FITC-A", "PE-A"))
    shapes = [
        BooleanGate("and", (Operand("a"),)),
        BooleanGate("or", (Operand("a", negated=True),)),
        BooleanGate("and", (Operand("a"), Operand("a"))),
        BooleanGate("or", (Operand("a"), Operand("b", negated=True), Operand("c"))),
        BooleanGate("and", (Operand("b", negated=True), Operand("a"))),
        BooleanGate("and", (Operand("a", negated=True),)),
    ]
    parents = (None, None, None, "b", "b", "a", "a", "a")  # parents that are operands too
    counts = agree(strategy_of(a, b, *shapes, sample=sample, parents=parents), sample)
    assert counts["c"] == counts["a"] > 50
    assert counts["h"] == 0


def test_nothing_but_numbers_that_flowkit_reads_as_ours(agree, sample):
    """Bounds that are values of events: no digit may be lost."""
    values = sample.columns(["FITC-A"])[:, 0]
    axis = Dimension("FITC-A", "", False, RAW)
    gates = [RectangleGate((axis,), (float(v),), (nextafter(float(v), np.inf),)) for v in values[:16]]
    counts = agree(strategy_of(*gates, sample=sample), sample)
    assert min(counts.values()) >= 1


@pytest.mark.parametrize("bound", [False, True])
def test_the_reference_documents_written_again(agree, shared_data, bound):
    """All Gating-ML of the standard's test suite: read, written, and read by FlowKit."""
    suite = shared_data / "flowkit" / "data" / "gate_ref"
    tube, written = read_fcs(suite / "data1.fcs"), 0
    for path in sorted((suite / "gml").glob("*.xml")):
        try:
            strategy = nf.read_strategy(path)
        except nf.Nti7flowError:
            assert path.name == "gml_range_gate_attr_testing.xml"  # with gates where FlowKit does not look
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ratios of 0
            agree(strategy.for_sample(tube, spillover="none") if bound else strategy, tube)
        written += 1
    assert written > 40
