"""Geometry: what is inside a gate."""

import json
import math
from itertools import pairwise

import flowutils
import flowutils.gating
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline

from nti7flow.events.transforms import Arcsinh, Hyperlog, Linear, Log, Logicle
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import (
    BooleanGate,
    Operand,
    PolygonGate,
    RectangleGate,
    gate_from_dict,
)

X = Dimension("FL1-A", "CD3", True, Logicle(262144.0, 0.5, 4.5, 0.0))
Y = Dimension("SSC-A", "", False, Linear(262144.0))
NAN, INF = math.nan, math.inf
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
# A star drawn in one stroke: its outline crosses itself and goes twice round the middle.
STAR = tuple((math.sin(k * 4 * math.pi / 5), math.cos(k * 4 * math.pi / 5)) for k in range(5))


def range_gate(low, high):
    return RectangleGate((X,), (low,), (high,))


def polygon(vertices):
    return PolygonGate((X, Y), tuple((float(x), float(y)) for x, y in vertices))


def inside(gate, *points):
    return gate.contains(np.array(points, float).reshape(len(points), -1)).tolist()


class TestRectangle:
    def test_worked_by_hand(self):
        gate = RectangleGate((X, Y), (0.2, None), (0.4, 0.5))
        points = [(0.2, 0.0), (0.4, 0.0), (0.3, 0.5), (0.3, -9.0), (0.1999, 0.0), (NAN, 0.0), (0.3, NAN)]
        assert inside(gate, *points) == [True, False, False, True, False, False, False]

    def test_lower_bound_is_inside_and_upper_bound_outside(self):
        gate = RectangleGate((Y,), (0.25,), (0.75,))
        points = (0.25, np.nextafter(0.75, 0), 0.75, np.nextafter(0.25, 0))
        assert inside(gate, *points) == [True, True, False, False]

    @pytest.mark.parametrize(
        ("transform", "peer"),
        [
            (Logicle(262144.0, 0.5, 4.5, 0.0), flowutils.transforms.logicle),
            (Logicle(1024.0, 1.0, 4.0, 0.5), flowutils.transforms.logicle),
            (Hyperlog(262144.0, 0.5, 4.5, 0.0), flowutils.transforms.hyperlog),
            (Hyperlog(10000.0, 1.0, 4.0, 1.0), flowutils.transforms.hyperlog),
        ],
    )
    def test_an_event_on_a_bound_that_another_program_reckoned_is_on_it(self, transform, peer):
        """The last bits of a scale that is solved for by iteration are not the same in every program."""
        events = np.arange(-200.0, 1000.0)
        bounds = peer(events, None, **{name: getattr(transform, name) for name in "twma"})
        ours = transform.apply(events)[:, None]
        assert (ours[:, 0] != bounds).any()
        axis = (Dimension("FL1-A", "", False, transform),)
        for value, bound in zip(ours, bounds.tolist(), strict=True):
            assert RectangleGate(axis, (bound,), (None,)).contains(value[None]).all()
            assert not RectangleGate(axis, (None,), (bound,)).contains(value[None]).any()
        # The next whole number is on the other side, of course.
        following = zip(ours[:-1], bounds[1:].tolist(), strict=True)
        assert not any(RectangleGate(axis, (bound,), (None,)).contains(value[None])[0] for value, bound in following)

    @pytest.mark.parametrize("bounds", [(0.0, 1.0), (None, 1.0), (0.0, None)])
    def test_nan_is_outside(self, bounds):
        assert inside(range_gate(*bounds), NAN) == [False]

    def test_infinities_are_beyond_every_bound_and_inside_where_there_is_none(self):
        assert inside(range_gate(0.0, 1.0), INF, -INF) == [False, False]
        assert inside(range_gate(0.0, None), INF, -INF) == [True, False]
        assert inside(range_gate(None, None), INF, -INF) == [True, True]

    def test_no_bound_is_no_condition(self):
        """FlowKit compares with the bounds that there are: what is not a number passes where there are none."""
        assert inside(range_gate(None, None), NAN) == [True]
        assert inside(RectangleGate((X, Y), (0.0, None), (None, None)), (0.5, NAN), (NAN, 0.5)) == [True, False]

    bounds = st.none() | st.floats(-2, 2)

    @given(
        arrays(float, st.tuples(st.integers(0, 30), st.just(2)), elements=st.floats(-2, 2) | st.just(NAN)),
        st.tuples(bounds, bounds),
        st.tuples(bounds, bounds),
    )
    def test_is_the_comparison_of_each_value_with_its_bounds(self, y, first, second):
        sides = [(None if None in pair else min(pair), None if None in pair else max(pair)) for pair in (first, second)]
        sides = [(low, high) if low is None or low < high else (low, None) for low, high in sides]
        axes = (Y, Dimension("FL1-A", "CD3", True, Linear(1.0)))  # on scales that are not solved for by iteration
        gate = RectangleGate(axes, tuple(low for low, _ in sides), tuple(high for _, high in sides))
        expected = [
            all(
                (low is None or low <= value) and (high is None or value < high)  # False for NaN
                for value, (low, high) in zip(event, sides, strict=True)
            )
            for event in y.tolist()
        ]
        assert gate.contains(y).tolist() == expected

    @pytest.mark.parametrize(
        ("low", "high", "message"),
        [
            (0.5, 0.5, "gate on CD3: lower bound 0.5 is not below upper bound 0.5"),
            (0.6, 0.5, "lower bound 0.6 is not below"),
            (NAN, None, "gate on CD3: a bound is not a number"),
            (None, NAN, "a bound is not a number"),
        ],
    )
    def test_bounds_are_checked(self, low, high, message):
        with pytest.raises(ValueError, match=message):
            range_gate(low, high)

    def test_one_bound_per_dimension(self):
        for gate in ((X, Y), (0.0,), (1.0,)), ((), (), ()):
            with pytest.raises(ValueError, match="one lower and one upper bound per dimension"):
                RectangleGate(*gate)


class TestPolygon:
    def test_worked_by_hand(self):
        triangle = polygon([(0, 0), (4, 0), (0, 4)])
        assert inside(triangle, (1, 1), (3, 3), (-1, 1), (0.5, -0.1)) == [True, False, False, False]

    def test_left_and_lower_edges_are_inside_and_right_and_upper_ones_outside(self):
        assert inside(polygon(SQUARE), (0, 0), (0.5, 0), (0, 0.5)) == [True, True, True]
        assert inside(polygon(SQUARE), (1, 1), (1, 0.5), (0.5, 1), (1, 0), (0, 1)) == [False] * 5
        assert inside(polygon(SQUARE), (0.5, np.nextafter(0, -1)), (np.nextafter(1, 0), 0.5)) == [False, True]

    def test_is_a_rectangle_where_it_looks_like_one(self):
        points = np.stack(np.meshgrid(np.arange(-0.5, 2, 0.25), np.arange(-0.5, 2, 0.25)), axis=-1).reshape(-1, 2)
        rectangle = RectangleGate((X, Y), (0.0, 0.0), (1.0, 1.0))
        assert (polygon(SQUARE).contains(points) == rectangle.contains(points)).all()

    def test_closes_itself(self):
        points = np.random.default_rng(0).uniform(-0.5, 1.5, (200, 2))
        closed = polygon([*SQUARE, SQUARE[0]])
        assert (closed.contains(points) == polygon(SQUARE).contains(points)).all()

    def test_what_the_outline_goes_round_twice_is_outside(self):
        assert inside(polygon(STAR), (0, 0), (0, 0.8)) == [False, True]

    @pytest.mark.parametrize("point", [(NAN, 0.5), (0.5, NAN), (NAN, NAN), (INF, 0.5), (-INF, INF)])
    def test_not_a_number_and_infinity_are_outside(self, point):
        assert inside(polygon(SQUARE), point) == [False]

    def test_no_area_no_inside(self):
        flat = polygon([(0, 0), (2, 2), (1, 1)])
        assert inside(flat, (0.5, 0.5), (0.5, 0.6), (0, 0), (2, 2)) == [False] * 4
        points = np.column_stack([np.zeros(25_000), np.arange(25_000.0)])
        assert polygon([(0, 0), (0, 9), (0, 4)]).contains(points).sum() == 0

    lattice = st.tuples(st.integers(0, 12), st.integers(0, 12))

    @given(st.lists(lattice, min_size=3, max_size=9))
    def test_agrees_with_matplotlib_off_the_outline(self, vertices):
        """Any polygon, crossing itself or not; matplotlib goes by the even-odd rule too."""
        points = np.random.default_rng(1).uniform(-1, 13, (300, 2))
        points = points[_distance_to_outline(points, vertices) > 1e-6]
        expected = Outline([*vertices, vertices[0]], closed=True).contains_points(points)
        assert (polygon(vertices).contains(points) == expected).all()

    @given(st.lists(st.floats(0.2, 1.0), min_size=3, max_size=12))
    def test_agrees_with_flowutils_off_the_outline(self, radii):
        angles = np.arange(len(radii)) * 2 * np.pi / len(radii)
        vertices = np.column_stack([np.cos(angles), np.sin(angles)]) * np.array(radii)[:, None]
        points = np.random.default_rng(2).uniform(-1, 1, (300, 2))
        points = points[_distance_to_outline(points, vertices) > 1e-6]
        expected = flowutils.gating.points_in_polygon(vertices, points)
        assert (polygon(vertices).contains(points) == expected).all()

    @given(st.lists(lattice, min_size=3, max_size=9))
    def test_agrees_with_flowutils_on_the_outline_too(self, vertices):
        """Half of a lattice's points and corners on edges: all sums are exact, so that there is one answer."""
        points = np.stack(np.meshgrid(np.arange(-1, 13.5, 0.5), np.arange(-1, 13.5, 0.5)), axis=-1).reshape(-1, 2)
        expected = flowutils.gating.points_in_polygon(np.array(vertices, float), points)
        assert (polygon(vertices).contains(points) == expected).all()

    @given(lattice, lattice, lattice, lattice)
    def test_polygons_that_share_an_edge_share_no_event(self, a, b, c, d):
        """Two triangles on either side of a line: what lies on the line is in one of them, or on an outer edge."""
        (x1, y1), (x2, y2) = a, b
        one, other = ((x2 - x1) * (y - y1) - (x - x1) * (y2 - y1) for x, y in (c, d))
        assume(one * other < 0)
        points = np.stack(np.meshgrid(np.arange(0, 12.5, 0.5), np.arange(0, 12.5, 0.5)), axis=-1).reshape(-1, 2)
        first, second, both = (polygon(v).contains(points) for v in ((a, b, c), (a, b, d), (a, c, b, d)))
        assert not (first & second).any()
        assert (both == (first | second)).all()

    @given(st.lists(lattice, min_size=3, max_size=9))
    def test_direction_and_start_do_not_matter(self, vertices):
        points = np.stack(np.meshgrid(np.arange(0, 12.5, 0.5), np.arange(0, 12.5, 0.5)), axis=-1).reshape(-1, 2)
        there = polygon(vertices).contains(points)
        assert (polygon(vertices[::-1]).contains(points) == there).all()
        assert (polygon(vertices[1:] + vertices[:1]).contains(points) == there).all()

    @given(st.lists(lattice, min_size=3, max_size=9), st.integers(0, 2**32 - 1))
    def test_many_points_at_once_are_gated_as_few(self, vertices, seed):
        """From 20,000 points on a grid spares most of them the walk round the outline."""
        rng = np.random.default_rng(seed)
        points = np.concatenate([rng.uniform(0, 12, (12_000, 2)), rng.integers(0, 25, (12_000, 2)) / 2.0])
        gate = polygon(vertices)
        few = np.concatenate([gate.contains(points[:9_000]), gate.contains(points[9_000:])])
        assert (gate.contains(points) == few).all()

    @pytest.mark.parametrize("vertices", [((0.0, 0.0), (1.0, 1.0)), ((0.0, 0.0), (1.0, NAN), (1.0, 1.0))])
    def test_needs_three_finite_vertices(self, vertices):
        with pytest.raises(ValueError, match="at least three finite vertices"):
            PolygonGate((X, Y), vertices)

    def test_needs_two_dimensions(self):
        with pytest.raises(ValueError, match="two dimensions"):
            PolygonGate((X,), SQUARE)


def _distance_to_outline(points, vertices):
    """Smallest distance of each point to an edge."""
    vertices = np.asarray(vertices, float)
    best = np.full(len(points), np.inf)
    for a, b in pairwise([*vertices, vertices[0]]):
        edge = b - a
        length = edge @ edge
        t = np.clip((points - a) @ edge / length, 0, 1) if length else np.zeros(len(points))
        best = np.minimum(best, np.hypot(*(points - a - t[:, None] * edge).T))
    return best


class TestBoolean:
    masks = st.integers(1, 20).flatmap(lambda n: st.tuples(*[arrays(bool, n)] * 3))

    def test_worked_by_hand(self):
        members = {"a": np.array([True, True, False, False]), "b": np.array([True, False, True, False])}
        cases = {
            ("and", ("a", "b")): [True, False, False, False],
            ("or", ("a", "b")): [True, True, True, False],
            ("and", ("not a",)): [False, False, True, True],
            ("and", ("a", "not b")): [False, True, False, False],
            ("or", ("not a", "b")): [True, False, True, True],
        }
        for (operator, operands), expected in cases.items():
            assert boolean(operator, *operands).combine(members).tolist() == expected

    @given(masks)
    def test_algebra(self, masks):
        members = dict(zip("abc", masks, strict=True))
        assert (boolean("and", "a", "b", "c").combine(members) == np.logical_and.reduce(masks)).all()
        assert (boolean("or", "a", "b", "c").combine(members) == np.logical_or.reduce(masks)).all()
        # De Morgan
        assert (~boolean("or", "a", "b").combine(members) == boolean("and", "not a", "not b").combine(members)).all()
        assert (~boolean("and", "b", "c").combine(members) == boolean("or", "not b", "not c").combine(members)).all()
        # A population and its complement part the events.
        assert not boolean("and", "a", "not a").combine(members).any()
        assert boolean("or", "a", "not a").combine(members).all()

    def test_combining_changes_no_operand(self):
        members = {"a": np.array([True, False]), "b": np.array([False, True])}
        boolean("or", "a", "b").combine(members)
        assert members["a"].tolist() == [True, False]
        assert members["b"].tolist() == [False, True]

    def test_needs_a_population(self):
        with pytest.raises(ValueError, match="at least one population"):
            BooleanGate("and", ())


def boolean(operator, *operands):
    names = [(text.removeprefix("not "), text.startswith("not ")) for text in operands]
    return BooleanGate(operator, tuple(Operand(name, negated) for name, negated in names))


transforms = st.sampled_from(
    [Linear(1000.0, 10.0), Log(1e4, 5.0), Arcsinh(1e4, 4.0, 1.0), Logicle(262144.0, 0.75, 4.5, 0.25)]
)
axes = st.builds(Dimension, st.text(min_size=1), st.text(), st.booleans(), transforms)
coordinate = st.floats(-1e6, 1e6)
optional_bounds = st.tuples(st.none() | st.floats(-10, -1), st.none() | st.floats(1, 10))
gates = st.one_of(
    st.builds(
        lambda d, b: RectangleGate(tuple(d), tuple(low for low, _ in b), tuple(high for _, high in b)),
        st.lists(axes, min_size=3, max_size=3),
        st.lists(optional_bounds, min_size=3, max_size=3),
    ),
    st.builds(
        lambda x, y, v: PolygonGate((x, y), tuple(v)),
        axes,
        axes,
        st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=6),
    ),
    st.builds(
        lambda o, p: BooleanGate(o, tuple(p)),
        st.sampled_from(["and", "or"]),
        st.lists(st.builds(Operand, st.text(), st.booleans()), min_size=1, max_size=4),
    ),
)


@given(gates)
def test_json_round_trip_is_the_same_gate(gate):
    again = gate_from_dict(json.loads(json.dumps(gate.to_dict(), allow_nan=False)))
    assert again == gate
    assert hash(again) == hash(gate)


def test_an_unknown_kind_is_refused():
    stored = range_gate(0.0, 1.0).to_dict() | {"kind": "circle"}
    with pytest.raises(ValueError, match="unknown gate kind 'circle'"):
        gate_from_dict(stored)


def test_gates_are_values():
    gate = range_gate(0.0, 1.0)
    with pytest.raises(AttributeError):
        gate.lower = (0.5,)
    assert gate == range_gate(0.0, 1.0) != range_gate(0.0, 0.9)
