"""Strategies to FlowKit and back. Either FlowKit counts the very same events, or the gate is refused by name."""

from dataclasses import replace

import numpy as np
import pytest
from random_strategies import KINDS, Document
from random_tubes import DETECTORS, MARKERS
from test_random_strategies import flowkit_says, save

from nti7flow.errors import AmbiguousMarker, InputError, StrategyError
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spectrum import SpectrumMatrix, make_matrix
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Arcsinh, FlowJoBiex, FlowJoLog, Hyperlog, Linear, Log, Logicle
from nti7flow.gating.dimensions import Dimension, RatioDimension
from nti7flow.gating.gates import BooleanGate, Operand, PolygonGate, QuadrantGate, RectangleGate
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.flowkit.conversion import from_flowkit, to_flowkit
from nti7flow.interop.flowkit.package import load
from nti7flow.interop.strategies import read_strategy

IDENTITY = Linear(1.0, 0.0)
ROOT = ("root",)
TRANSFORMS = [
    Linear(1000.0, 24.0),
    Log(1000.0, 4.0),
    Arcsinh(1000.0, 4.0, 1.0),
    Logicle(1000.0, 0.5, 4.0, 0.5),
    Hyperlog(1000.0, 0.5, 4.0, 0.5),
    FlowJoBiex(0.0, -10.0, 4.5, 262144.0),
    FlowJoLog(1.0, 4.0),
]


@pytest.fixture(scope="module")
def flowkit():
    return load()


@pytest.fixture(scope="module")
def tube(tmp_path_factory):
    """Whole numbers, so that many events lie on bounds."""
    rng = np.random.default_rng(3)
    events = rng.integers(-5, 60, (400, len(DETECTORS))).astype(float)
    events[:, 7] = np.arange(len(events))
    path = tmp_path_factory.mktemp("tube") / "tube.fcs"
    numbers = np.eye(5) + np.triu(np.full((5, 5), 0.125), 1)  # nobody rounds these
    spillover = f"5,{','.join(DETECTORS[2:7])},{','.join(map(str, numbers.ravel()))}"
    write_events(path, events, DETECTORS, markers=MARKERS, keywords={"$SPILLOVER": spillover})
    return path


def channel(name, *, matrix=None, transform=IDENTITY):
    """Axis on a channel: raw, or compensated by a named matrix or the tube's own ("")."""
    return Dimension(name, "", matrix is not None, transform, matrix or "")


def ratio(numerator="FL1-A", denominator="FSC-A", transform=IDENTITY):
    return RatioDimension(numerator, denominator, 1.0, 0.0, -0.5, transform)


def population(gate, name="A", parent=None):
    return Population(name, name, parent, gate, "ok")


def at_least(name, low=20.0):
    return RectangleGate((channel(name),), (low,), (None,))


def strategy_of(*populations, matrices=None):
    return GatingStrategy("toy", "", "", 0, Spillover.none(), tuple(populations), matrices or {})


def check_that_flowkit_counts_the_same(flowkit, strategy, tube):
    """Compare event by event, population by population; none may be missing."""
    members = strategy.apply(read_fcs(tube))
    says = flowkit_says(flowkit, to_flowkit(strategy), tube)
    assert sorted(says.report["gate_name"]) == sorted(p.id for p in strategy.populations)
    for name in members:
        assert np.flatnonzero(says.get_gate_membership(name) != members.mask(name)).tolist() == [], name


def check_that_flowkit_counts_the_same_or_never(flowkit, strategy, tube, *, gate="A"):
    """What FlowKit would apply otherwise is refused: by the name of the gate, or when it meets the tube.

    Which channels the names of a strategy for any tube mean is not known before; FlowKit may then fail, but not count
    others.
    """
    sample = read_fcs(tube)
    try:
        bound = strategy.for_sample(sample)
    except InputError:
        return
    for given in (strategy, bound):
        try:
            peer = to_flowkit(given)
        except StrategyError as error:
            assert f"gate {gate}" in str(error)
            continue
        try:
            flowkit_says(flowkit, peer, tube)
        except (ValueError, LookupError):
            assert given is not bound
            continue
        check_that_flowkit_counts_the_same(flowkit, given, tube)


def plain(strategy, *, own=""):
    """Populations and gates without what FlowKit has no word for, and the tube's matrix named.

    That is markers, labels, and a matrix that does not cover the channel.
    """
    found = []
    for p in strategy.populations:
        gate = p.gate
        if not isinstance(gate, BooleanGate):
            gate = replace(gate, dimensions=tuple(_plain_axis(axis, strategy, own) for axis in gate.dimensions))
        found.append((p.id, p.parent, gate))
    return sorted(found, key=lambda entry: entry[0])


def _plain_axis(axis, strategy, own):
    if isinstance(axis, RatioDimension):
        return axis
    matrix = strategy.matrices.get(axis.matrix, strategy.spillover if strategy.sha256 else None)
    covered = matrix is None or axis.detector not in DETECTORS or axis.detector in matrix.outputs
    compensated = axis.compensated and covered
    return replace(axis, marker="", compensated=compensated, matrix=(axis.matrix or own) if compensated else "")


# --- ours to FlowKit


@pytest.mark.parametrize("seed", range(25))
def test_random_strategies_count_the_same_and_come_back(flowkit, tmp_path, seed):
    gates, tube = save(Document(flowkit, seed, (*KINDS, "boolean", "rectangle")), tmp_path)
    read = read_strategy(gates)
    for given, own in ((read, ""), (read.for_sample(read_fcs(tube)), "spillover")):
        check_that_flowkit_counts_the_same(flowkit, given, tube)
        back = from_flowkit(to_flowkit(given))
        assert plain(back) == plain(given, own=own)
        matrices = dict(given.matrices) | ({own: given.spillover} if given.spillover.detectors else {})
        assert {name: m.matrix.tolist() for name, m in back.matrices.items()} == {
            name: m.matrix.tolist() for name, m in matrices.items()
        }


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: t.kind)
def test_every_transform_there_and_back(flowkit, tube, transform):
    x, y = (channel(name, transform=transform) for name in ("FL1-A", "FL2-A"))
    low, high = (float(v) for v in transform.apply([2.5, 40.5]))
    strategy = strategy_of(
        population(RectangleGate((x, y), (low, None), (high, high)), "A"),
        population(PolygonGate((x, y), ((low, low), (high, low), (high, high))), "B"),
    )
    check_that_flowkit_counts_the_same(flowkit, strategy, tube)
    assert plain(from_flowkit(to_flowkit(strategy))) == plain(strategy)


def quadrant(*interval, name="Set"):
    return QuadrantGate(name, (channel("FL1-A"), channel("FL2-A")), ((10.0, 30.0), (25.0,)), interval)


GATES = {
    "complement of a rectangle": [population(replace(at_least("FL1-A"), complement=True))],
    "complement of a polygon": [
        population(
            PolygonGate((channel("FL1-A"), channel("FL2-A")), ((0.0, 0.0), (50.0, 0.0), (50.0, 40.0)), complement=True)
        )
    ],
    "no bounds": [population(RectangleGate((channel("FL1-A"),), (None,), (None,)))],
    "named by its marker": [population(at_least("CD3"))],
    "both bounds of a ratio": [population(RectangleGate((ratio(),), (0.5,), (2.0,)))],
    "ratio and channel": [population(PolygonGate((channel("FL3-A"), ratio()), ((0.0, 0.0), (40.0, 0.0), (40.0, 3.0))))],
    "one operand": [population(at_least("FL1-A")), population(BooleanGate("and", (Operand("A", True),)), "B")],
    "an operand and its complement": [
        population(at_least("FL1-A")),
        population(BooleanGate("or", (Operand("A", True), Operand("A"))), "B"),
    ],
    "the parent as operand": [
        population(at_least("FL1-A")),
        population(at_least("FL2-A"), "B"),
        population(BooleanGate("and", (Operand("A"), Operand("B"))), "C", "A"),
    ],
    "quadrants as parents and operands": [
        *(population(quadrant(i, j), f"Q{i}{j}") for i in (0, 1, 2, None) for j in (0, 1)),
        population(at_least("FL3-A"), "B", "Q10"),
        population(BooleanGate("or", (Operand("Q21"), Operand("B", True))), "C", "QNone0"),
    ],
    "one set below two parents": [
        population(at_least("FL3-A")),
        population(at_least("FL4-A"), "B"),
        population(quadrant(0, 0), "Q", "A"),
        population(quadrant(1, 0), "R", "B"),
    ],
    "spectra of fewer dyes than detectors": [
        population(RectangleGate((channel("FL3-A", matrix="M"), channel("FL1-A", matrix="M")), (4.3, 10.1), (60, None)))
    ],
}
SPECTRA = {"M": SpectrumMatrix(DETECTORS[2:5], ("FL3-A", "FL1-A"), np.array([[0.1, 0.2, 1], [1, 0.3, 0.1]]), "toy")}


@pytest.mark.parametrize("populations", GATES.values(), ids=GATES.keys())
def test_gates_that_flowkit_has(flowkit, tube, populations):
    matrices = SPECTRA if any(d.detectors and getattr(d, "matrix", "") for d in strategy_axes(populations)) else {}
    strategy = strategy_of(*populations, matrices=matrices)
    for given in (strategy, strategy.for_sample(read_fcs(tube))):
        check_that_flowkit_counts_the_same(flowkit, given, tube)
        assert plain(from_flowkit(to_flowkit(given))) == plain(given)


def strategy_axes(populations):
    return [d for p in populations if not isinstance(p.gate, BooleanGate) for d in p.gate.dimensions]


HALF = make_matrix(("FL1-A", "FL3-A"), ("FL1-A", "FL3-A"), np.array([[1.0, 0.5], [0.0, 1.0]]), "half")


def pair(*axes):
    return population(RectangleGate(axes, (5.0,) * len(axes), (30.0,) * len(axes)))


#: What FlowKit would drop, guess or apply otherwise, as it is; or could not apply.
DIFFICULT = {
    "compensated by the tube, and not": [pair(channel("FL1-A", matrix=""), channel("FL2-A"))],
    "the same by marker": [pair(channel("FL1-A", matrix=""), channel("CD4"))],
    "compensated by a matrix, and not": [pair(channel("FL1-A", matrix="M"), channel("FL3-A"))],
    "compensated by two": [pair(channel("FL1-A", matrix="M"), channel("FL2-A", matrix=""))],
    "compensated by a matrix, by marker": [pair(channel("CD8", matrix="M"))],
    "a lower bound of a ratio": [population(RectangleGate((ratio(),), (0.5,), (None,)))],
    "an upper bound of a ratio": [population(RectangleGate((ratio(),), (None,), (2.0,)))],
    "two ratios": [pair(ratio(), ratio("FL2-A"))],
    "quadrants of a ratio": [population(QuadrantGate("Set", (ratio(),), ((0.5,),), (1,)))],
    "a ratio of markers": [pair(ratio("CD3", "CD4"))],
    "one channel twice": [pair(channel("FL1-A"), channel("FL1-A"))],
    "one channel on two scales": [
        population(
            PolygonGate(
                (channel("FL1-A"), channel("FL1-A", transform=Log(100.0, 4.0))),
                ((5.0, 0.6), (40.0, 0.6), (40.0, 0.95), (5.0, 0.95)),
            )
        )
    ],
    "one channel by two names": [
        population(
            PolygonGate(
                (channel("FL1-A", transform=Log(100.0, 4.0)), channel("CD3", transform=Log(100.0, 4.0))),
                ((0.6, 0.0), (0.9, 0.0), (0.9, 1.0), (0.6, 1.0)),
            )
        )
    ],
    "a quadrant of any": [population(quadrant(None, None))],
    "two sets of one name": [
        population(QuadrantGate("Set", (channel("FL1-A"),), ((5.0,),), (0,)), "B"),
        population(QuadrantGate("Set", (channel("FL1-A"),), ((9.0,),), (0,))),
    ],
    "a set called as a gate": [population(at_least("FL1-A"), "Set"), population(quadrant(0, 0))],
}


@pytest.mark.parametrize("populations", DIFFICULT.values(), ids=DIFFICULT.keys())
def test_what_flowkit_would_do_otherwise_is_refused_or_the_same(flowkit, tube, populations):
    check_that_flowkit_counts_the_same_or_never(flowkit, strategy_of(*populations, matrices={"M": HALF}), tube)


def test_a_raw_axis_named_by_its_marker_is_refused_when_its_channel_is_known(tube):
    """FlowKit would compensate it, which only the tube tells."""
    strategy = strategy_of(pair(channel("FL1-A", matrix="M"), channel("CD8")), matrices={"M": HALF})
    with pytest.raises(AmbiguousMarker, match=r"CD8 \(FL3-A\) raw"):
        strategy.apply(read_fcs(tube))


@pytest.mark.parametrize("name", ["FCS", "uncompensated", "", "spillover"])
def test_matrices_may_have_any_name(flowkit, tube, name):
    gates = pair(channel("FL1-A", matrix=name)), replace(pair(channel("FL1-A", matrix="")), id="B")
    strategy = strategy_of(*gates, matrices={name: HALF} if name else {})
    check_that_flowkit_counts_the_same_or_never(flowkit, strategy, tube)


@pytest.mark.parametrize("name", ["root", "..", ".", "", "A/", "x/root"])
def test_names_that_flowkit_cannot_have_are_refused(name):
    with pytest.raises(StrategyError, match="gate"):
        to_flowkit(strategy_of(population(at_least("FL1-A"), name)))


def test_quadrants_with_one_last_name_are_not_lost(flowkit, tube):
    strategy = strategy_of(population(quadrant(0, 0), "x/A"), population(quadrant(1, 0), "y/A"))
    with pytest.raises(StrategyError, match="y/A"):
        to_flowkit(strategy)


def test_populations_without_a_gate_are_left_out_with_what_rests_on_them(flowkit, tube):
    strategy = strategy_of(
        population(at_least("FL1-A")),
        Population("N", "N", "A", None, "failed"),
        population(at_least("FL2-A"), "C", "N"),
        population(BooleanGate("and", (Operand("A"), Operand("N"))), "D"),
        population(at_least("FL3-A"), "E", "A"),
    )
    peer = to_flowkit(strategy)
    assert [name for name, _ in peer.get_gate_ids()] == ["A", "E"]
    says, members = flowkit_says(flowkit, peer, tube), strategy.apply(read_fcs(tube))
    assert np.array_equal(says.get_gate_membership("E"), members.mask("E"))
