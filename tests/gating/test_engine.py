"""The plan of a strategy gives the very memberships of gates that are evaluated one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from toys import TUBES, toy_sample

from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.fcs import reader as fcs_reader
from nti7flow.events.spectrum import SpectrumMatrix
from nti7flow.events.spillover import Spillover, spillover_for
from nti7flow.events.stored import EventsInFile, EventsInMemory, Survey
from nti7flow.events.transforms import Arcsinh, FlowJoBiex, FlowJoLog, Hyperlog, Linear, Log, Logicle
from nti7flow.gating import engine, scale_tests
from nti7flow.gating.compiler import compile_strategy
from nti7flow.gating.dimensions import Dimension, RatioDimension
from nti7flow.gating.gates import (
    BooleanGate,
    EllipsoidGate,
    Operand,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.strategy import GatingStrategy, Members, Population, apply_gate
from nti7flow.gating.template import load_template
from nti7flow.gating.values import DisplayValues

CHANNELS = ("FL0-A", "FL1-A", "FL2-A")
TRANSFORMS = (
    Linear(1.0),
    Linear(1000.0, 100.0),
    Log(1000.0, 3.0),
    Arcsinh(1000.0, 4.0, 1.0),
    Logicle(1000.0, 0.5, 4.0, 0.0),
    Logicle(1000.0, 1.0, 4.5, 0.5),
    Hyperlog(1000.0, 0.5, 4.0, 0.0),
    FlowJoBiex(0.0, -10.0, 4.0, 1000.0),
    FlowJoLog(1.0, 3.0),
)
#: Bounds and vertices are put on the display values of these, and events at them and beside them.
PLACES = (-300.0, -10.0, -0.5, 0.0, 1.0, 2.5, 10.0, 99.5, 100.0, 250.0, 999.0, 1000.0, 1500.0, 30000.0)
BESIDE = tuple(float(np.nextafter(place, side * np.inf)) for place in PLACES for side in (-1, 1))
ODD = (math.nan, math.inf, -math.inf, -0.0, 5e-324, -5e-324, 1e30, -1e30)
#: With it the second channel less half of the first is exact, so that compensated events lie on edges, too.
EXACT = Spillover(CHANNELS[:2], np.array([[1.0, 0.5], [0.0, 1.0]]), "exact")
FULL = Spillover(CHANNELS, np.array([[1.0, 0.1, 0.03], [0.02, 1.0, 0.0], [0.05, 0.3, 1.0]]), "full")
SPECTRA = SpectrumMatrix(CHANNELS, CHANNELS[1:], np.array([[0.2, 1.0, 0.1], [0.1, 0.4, 2.0]]), "spectra")


@st.composite
def dimensions(draw):
    transform = draw(st.sampled_from(TRANSFORMS))
    if draw(st.integers(0, 7)) == 0:
        x, y = draw(st.permutations(CHANNELS))[:2]
        return RatioDimension(
            x, y, draw(st.sampled_from([1.0, 100.0])), draw(st.sampled_from([0.0, 1.0])), 0.0, transform
        )
    compensated, matrix = draw(st.sampled_from([(False, ""), (True, ""), (True, "full"), (True, "spectra")]))
    return Dimension(draw(st.sampled_from(CHANNELS)), "", compensated, transform, matrix)


@st.composite
def display_values(draw, dimension):
    """A bound: the display value of a place, where events will be, or near one, or any."""
    y = float(dimension.transform.apply(draw(st.sampled_from(PLACES))))
    if not math.isfinite(y):
        return draw(st.floats(-1, 2))
    return draw(st.just(y) | st.just(y * (1 + 1e-12)) | st.floats(-1.5, 1.5).map(lambda factor: factor * y))


@st.composite
def rectangles(draw):
    axes = tuple(draw(st.lists(dimensions(), min_size=1, max_size=3)))
    pairs = []
    for axis in axes:
        low, high = sorted([draw(display_values(axis)), draw(display_values(axis))])
        low, high = (low, high) if low < high else (low, low + 1.0)
        pairs.append((draw(st.sampled_from([low, low, None])), draw(st.sampled_from([high, high, None]))))
    lower, upper = zip(*pairs, strict=True)
    return RectangleGate(axes, lower, upper, draw(st.booleans()))


@st.composite
def polygons(draw):
    axes = draw(dimensions()), draw(dimensions())
    n = draw(st.integers(3, 7))
    vertices = tuple(tuple(draw(display_values(axis)) for axis in axes) for _ in range(n))
    return PolygonGate(axes, vertices, draw(st.booleans()))


@st.composite
def ellipsoids(draw):
    axes = tuple(draw(st.lists(dimensions(), min_size=2, max_size=3)))
    mean = tuple(draw(display_values(axis)) for axis in axes)
    sizes = np.array([draw(st.floats(0.05, 1.0)) * (abs(m) + 0.1) for m in mean])
    turn = np.eye(len(axes)) + draw(st.sampled_from([0.0, 0.5, -0.9, 0.9999])) * np.eye(len(axes), k=1)
    half = turn.T * sizes
    covariance = tuple(tuple(map(float, row)) for row in (half.T @ half + (half.T @ half).T) / 2)
    return EllipsoidGate(axes, mean, covariance, draw(st.sampled_from([0.5, 1.0, 4.0])))


@st.composite
def quadrants(draw):
    axes = tuple(draw(st.lists(dimensions(), min_size=1, max_size=2)))
    dividers = tuple(tuple(sorted({draw(display_values(axis)) for _ in range(2)})) for axis in axes)
    interval = tuple(draw(st.none() | st.integers(0, len(values))) for values in dividers)
    return QuadrantGate("quadrants", axes, dividers, interval)


@st.composite
def strategies(draw):
    populations: list[Population] = []
    for i in range(draw(st.integers(1, 8))):
        names = [p.id for p in populations]
        kinds = [rectangles(), polygons(), ellipsoids(), quadrants(), st.none()]
        if names:
            operands = st.lists(st.builds(Operand, st.sampled_from(names), st.booleans()), min_size=1, max_size=3)
            kinds.append(st.builds(BooleanGate, st.sampled_from(["and", "or"]), operands.map(tuple)))
        gate = draw(st.one_of(kinds))
        if populations and draw(st.integers(0, 4)) == 0:
            gate = populations[-1].gate  # the same axes, as the modes of one plot
        parent = draw(st.sampled_from([None, *names]))
        populations.append(Population(f"p{i}", f"p{i}", parent, gate, "ok" if gate is not None else "failed"))
    return GatingStrategy("toy", "toy", "", 0, EXACT, tuple(populations), {"full": FULL, "spectra": SPECTRA})


def values(n):
    element = st.sampled_from(PLACES) | st.sampled_from(BESIDE) | st.sampled_from(ODD) | st.floats(-400, 1200)
    return arrays(np.float64, (n, len(CHANNELS)), elements=element)


EVENTS = st.integers(0, 60).flatmap(values)


@pytest.fixture(scope="module")
def tube(tmp_path_factory):
    """A tube whose events can be replaced."""
    path = tmp_path_factory.mktemp("engine") / "toy.fcs"
    return toy_sample(path, A=[1.0], B=[2.0], C=[3.0])


def holding(tube, events):
    return replace(tube, stored=EventsInMemory(np.array(events, float), survey=Survey()))


def one_by_one(strategy, sample):
    members, display = Members(sample.n_events), DisplayValues(sample, strategy.spillover, strategy.matrices)
    for population in strategy.populations:
        apply_gate(display, population, members)
    return members


def assert_same(strategy, sample):
    found, expected = compile_strategy(strategy, sample).run(), one_by_one(strategy, sample)
    assert list(found) == list(expected)
    for name, rows in expected.items():
        if rows is None:
            assert found[name] is None, name
        else:
            assert found[name].dtype == np.intp
            assert found[name].tolist() == rows.tolist(), f"{name}: {strategy.population(name).gate}"


@given(strategies(), EVENTS, st.sampled_from([1, 7, 32, 65_536]), st.sampled_from([0, 20, 8_192]))
def test_members_are_those_of_gates_one_by_one(tube, strategy, events, rows, worth_cells):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "ROWS", rows)
        patch.setattr(scale_tests, "WORTH_CELLS", worth_cells)
        assert_same(strategy, holding(tube, events))


def on_outlines(strategy, rng):
    """Events on the edges of polygons and ellipses, as far as their axes are plain channels."""
    found = []
    for gate in (p.gate for p in strategy.populations):
        if isinstance(gate, PolygonGate):
            corners = np.array(gate.vertices)
            edge, part = rng.integers(0, len(corners), 60), rng.random((60, 1))
            points = corners[edge] * part + np.roll(corners, -1, axis=0)[edge] * (1 - part)
        elif isinstance(gate, EllipsoidGate) and len(gate.dimensions) == 2:
            angle = rng.uniform(0, 2 * np.pi, 60)
            half = np.linalg.cholesky(np.array(gate.covariance))
            points = (
                np.array(gate.mean)
                + np.sqrt(gate.distance_square) * np.column_stack([np.cos(angle), np.sin(angle)]) @ half.T
            )
        else:
            continue
        events = rng.choice(PLACES, (60, len(CHANNELS)))
        for dimension, y in zip(gate.dimensions, points.T, strict=True):
            if isinstance(dimension, Dimension):
                events[:, CHANNELS.index(dimension.detector)] = dimension.transform.inverse(y)
        found.append(events)
    return found


@given(strategies(), st.integers(0, 2**32 - 1))
def test_members_are_the_same_among_many_events_and_on_outlines(tube, strategy, seed):
    rng = np.random.default_rng(seed)
    wide = rng.standard_normal((1500, len(CHANNELS))) * 10 ** rng.uniform(0, 4, (1500, len(CHANNELS)))
    placed = rng.choice([*PLACES, *BESIDE, *ODD], (500, len(CHANNELS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scale_tests, "WORTH_CELLS", 0)
        assert_same(strategy, holding(tube, np.vstack([wide, placed, *on_outlines(strategy, rng)])))


def test_worked_by_hand(tube):
    """Of y = B - A / 2 on a scale of 1000, seven events; two in a block."""
    events = [[0, 500, 0], [1000, 1000, 9], [200, 600, 1], [0, 499.9, 9], [400, 800, 0], [0, np.nan, 9], [2, 600, 9]]
    b = Dimension("FL1-A", "B", True, Linear(1000.0))
    a, c = (Dimension(name, "", False, Linear(1000.0)) for name in ("FL0-A", "FL2-A"))
    corners = ((0.1, 0.55), (0.5, 0.55), (0.5, 0.65), (0.1, 0.65))
    gates = (
        ("high", None, RectangleGate((b,), (0.5,), (None,))),
        ("low", None, RectangleGate((b,), (0.5,), (None,), complement=True)),
        ("far", None, RectangleGate((RatioDimension("FL0-A", "FL1-A", 1.0, 0.0, 0.0, Linear(1.0)),), (0.4,), (None,))),
        ("round", "high", EllipsoidGate((a, b), (0.2, 0.5), ((0.01, 0.0), (0.0, 0.01)), 1.0)),
        ("box", "high", PolygonGate((a, b), corners)),
        ("left", "high", QuadrantGate("q", (a, c), ((0.3,), (0.005,)), (0, None))),
        ("dim", "left", QuadrantGate("q", (a, c), ((0.3,), (0.005,)), (None, 0))),
        ("not_left", "high", BooleanGate("and", (Operand("left", True),))),
        ("nowhere", None, None),
        ("beyond", "nowhere", RectangleGate((b,), (0.5,), (None,))),
        ("with_nowhere", None, BooleanGate("or", (Operand("high"), Operand("nowhere")))),
    )
    populations = tuple(Population(n, n, parent, gate, "ok" if gate else "failed") for n, parent, gate in gates)
    strategy = GatingStrategy("toy", "toy", "", 0, EXACT, populations)
    for rows in (2, 65_536):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "ROWS", rows)
            found = compile_strategy(strategy, holding(tube, events)).run()
        assert {name: None if rows is None else rows.tolist() for name, rows in found.items()} == {
            "high": [0, 1, 2, 4, 6],
            "low": [3, 5],
            "far": [1, 4],
            "round": [2],
            "box": [4],
            "left": [0, 2, 6],
            "dim": [0, 2],
            "not_left": [1, 4],
            "nowhere": None,
            "beyond": None,
            "with_nowhere": None,
        }


@pytest.fixture(scope="module")
def gated():
    """A tube of the sample study and its strategy: compensation, logicle, polygons and boolean gates."""
    sample = read_fcs(TUBES / "SIM-001_day00_tbnk.fcs")
    resolution = Resolution.start(load_template("tbnk"), sample, spillover_for(sample, "keyword"))
    resolution.run_wave(0, {})
    return sample, resolution.strategy()


def test_what_has_no_display_value_is_below_no_bound(tube):
    """A logarithm has none of negative values; that of 0 is below every bound."""
    events = holding(tube, [[x, 0, 0] for x in (-1.0, -0.0, 0.0, 5e-324, 1.0, 1000.0, math.inf, math.nan)])
    axis = Dimension("FL0-A", "", False, Log(1000.0, 3.0))
    gates = {"below": ((None,), (0.5,)), "above": ((0.0,), (None,)), "any": ((None,), (None,))}
    populations = (Population(n, n, None, RectangleGate((axis,), *bounds), "ok") for n, bounds in gates.items())
    found = compile_strategy(GatingStrategy("toy", "", "", 0, EXACT, tuple(populations)), events).run()
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "below": [1, 2, 3, 4],
        "above": [4, 5, 6],
        "any": [0, 1, 2, 3, 4, 5, 6, 7],
    }


class TestTubes:
    @pytest.mark.parametrize("rows", [500, 4096, 65_536])
    def test_in_a_file_as_in_memory(self, gated, monkeypatch, rows):
        sample, strategy = gated
        monkeypatch.setattr(fcs_reader, "IN_MEMORY", 0)
        monkeypatch.setattr(engine, "ROWS", rows)
        in_file = read_fcs(sample.path)
        assert isinstance(in_file.stored, EventsInFile) and isinstance(sample.stored, EventsInMemory)
        found, expected = (compile_strategy(strategy, tube).run() for tube in (in_file, sample))
        assert min(len(found[name]) for name in ("lymphocytes", "cd4_t", "nk_cells")) > 50
        for name, members in one_by_one(strategy, sample).items():
            assert np.array_equal(found[name], members) and np.array_equal(expected[name], members), name

    def test_events_in_a_file_are_not_all_loaded(self, gated, monkeypatch):
        monkeypatch.setattr(fcs_reader, "IN_MEMORY", 0)
        in_file = read_fcs(gated[0].path)
        in_file_stored = in_file.stored
        replace(gated[1], sha256="").apply(in_file)
        assert in_file_stored._array is None

    def test_log_amplifiers_gains_and_time_are_scaled(self, tmp_path):
        path = tmp_path / "scaled.fcs"
        events = np.random.default_rng(0).uniform(0, 1023, (300, 3))
        keywords = {"$TIMESTEP": "0.5", "$P1G": "4"}
        write_events(path, events, ["FL1-A", "FL2-A", "Time"], keywords=keywords)
        sample = read_fcs(path)
        axes = tuple(Dimension(name, "", False, Linear(1.0)) for name in ("FL1-A", "FL2-A", "Time"))
        gate = RectangleGate(axes, (50.0, 100.0, None), (200.0, None, 400.0))
        strategy = GatingStrategy("toy", "", "", 0, Spillover.none(), (Population("in", "in", None, gate, "ok"),))
        x = events.astype("<f4").astype(float)
        expected = (x[:, 0] / 4 >= 50) & (x[:, 0] / 4 < 200) & (x[:, 1] >= 100) & (x[:, 2] * 0.5 < 400)
        assert 20 < expected.sum() < 280
        assert strategy.apply(sample)["in"].tolist() == np.flatnonzero(expected).tolist()

    def test_a_tube_without_events(self, tube, gated):
        strategy = GatingStrategy("toy", "", "", 0, EXACT, (Population("in", "in", None, RECTANGLE, "ok"),))
        members = strategy.apply(holding(tube, np.empty((0, len(CHANNELS)))))
        assert members["in"].tolist() == [] and members["in"].dtype == np.intp


RECTANGLE = RectangleGate((Dimension("FL0-A", "", False, Linear(1.0)),), (0.0,), (None,))


def test_a_strategy_without_gates_needs_no_events(tube):
    strategy = GatingStrategy("toy", "", "", 0, EXACT, (Population("none", "none", None, None, "failed"),))
    plan = compile_strategy(strategy, holding(tube, [[1.0, 2.0, 3.0]]))
    assert plan.channels == () and plan.run() == {"none": None}


LOGICLE = Logicle(1000.0, 0.5, 4.0, 0.0)
X, Y = (Dimension(name, "", False, LOGICLE) for name in CHANNELS[:2])


class TestWork:
    """The plan does what it is for: few columns, few transforms."""

    @pytest.fixture
    def many(self, tube):
        return holding(tube, np.random.default_rng(1).lognormal(4.0, 2.0, (50_000, len(CHANNELS))) - 50.0)

    def transformed(self, monkeypatch, gate, sample):
        """How many values a gate has transformed, on its way to the right members."""
        strategy = GatingStrategy("toy", "", "", 0, Spillover.none(), (Population("in", "in", None, gate, "ok"),))
        expected = one_by_one(strategy, sample)["in"]
        plan, sizes, apply = compile_strategy(strategy, sample), [], Logicle.apply
        with monkeypatch.context() as patch:
            patch.setattr(Logicle, "apply", lambda self, x: sizes.append(np.size(x)) or apply(self, x))
            found = plan.run()["in"]
        assert 1000 < len(found) < 49_000 and found.tolist() == expected.tolist()
        return sum(sizes)

    def test_bounds_need_no_transform(self, monkeypatch, many):
        gate = RectangleGate((X, Y), (0.3, None), (0.8, 0.7))
        assert self.transformed(monkeypatch, gate, many) == 0

    def test_outlines_need_few(self, monkeypatch, many):
        polygon = PolygonGate((X, Y), ((0.2, 0.2), (0.9, 0.3), (0.8, 0.8), (0.5, 0.6), (0.1, 0.9)))
        ellipse = EllipsoidGate((X, Y), (0.8, 0.8), ((0.04, 0.01), (0.01, 0.03)), 1.0)
        assert 0 < self.transformed(monkeypatch, polygon, many) < 10_000
        assert 0 < self.transformed(monkeypatch, ellipse, many) < 10_000

    def test_only_the_columns_that_gates_need_are_taken(self, tube, many):
        gate = RectangleGate((Dimension("FL1-A", "", True, LOGICLE),), (0.3,), (None,))
        populations = (Population("in", "in", None, gate, "ok"),)
        for spillover, channels in ((Spillover.none(), (1,)), (EXACT, (0, 1)), (FULL, (0, 1, 2))):
            strategy = GatingStrategy("toy", "", "", 0, spillover, populations)
            assert compile_strategy(strategy, many).channels == channels
