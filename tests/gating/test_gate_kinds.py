"""Gates that come in with strategies made elsewhere: ellipsoids, quadrants, complements, ratios."""

import json
import math

import flowutils.gating
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nti7flow.events.made import make_sample
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear, Log
from nti7flow.gating.dimensions import Dimension, RatioDimension, dimension_from_dict
from nti7flow.gating.gates import EllipsoidGate, PolygonGate, QuadrantGate, RectangleGate, gate_from_dict
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.flowkit.package import load

AXES = tuple(Dimension(name, "", False, Linear(1.0)) for name in ("X", "Y", "Z"))
X, Y, Z = AXES
NAN, INF = math.nan, math.inf
LATTICE = np.stack(np.meshgrid(np.arange(-6.0, 7), np.arange(-6.0, 7)), axis=-1).reshape(-1, 2)
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def inside(gate, *points):
    return gate.contains(np.array(points, float).reshape(len(points), -1)).tolist()


def apply(gate, **columns):
    """Membership of a gate on a tube of one column for each channel."""
    sample = make_sample(np.column_stack(list(columns.values())), list(columns), name="toy.fcs")
    populations = (Population("gate", "gate", None, gate, "ok"),)
    strategy = GatingStrategy("toy@1.0.0", "toy", "", 0, Spillover.none(), populations)
    return strategy.apply(sample).mask("gate").tolist()


class TestEllipsoid:
    def test_worked_by_hand(self):
        """Half axes 2 and 1 round (1, 2); the edge is inside."""
        gate = EllipsoidGate((X, Y), (1.0, 2.0), ((4.0, 0.0), (0.0, 1.0)), 1.0)
        assert inside(gate, (1, 2), (3, 2), (-1, 2), (1, 3), (1, 1)) == [True] * 5
        assert inside(gate, (3.001, 2), (1, 3.001), (3, 3), (NAN, 2), (1, NAN), (INF, 2)) == [False] * 6

    def test_covariance_turns_it(self):
        """Half axes 10 and 5 at 45 degrees, as in Gating-ML's own example."""
        gate = EllipsoidGate((X, Y), (0.0, 0.0), ((62.5, 37.5), (37.5, 62.5)), 1.0)
        assert inside(gate, (7.07, 7.07), (3.53, -3.53)) == [True, True]
        assert inside(gate, (7.08, 7.08), (3.54, -3.54), (7.07, -7.07)) == [False, False, False]

    def test_a_larger_distance_is_a_larger_covariance(self):
        near, far = (EllipsoidGate((X, Y), (0.0, 0.0), ((s, 0.0), (0.0, s)), d) for s, d in ((4.0, 1.0), (1.0, 4.0)))
        assert (near.contains(LATTICE) == far.contains(LATTICE)).all()
        assert inside(far, (2, 0), (2.001, 0)) == [True, False]

    def test_surface_of_integers_agrees_with_flowutils(self):
        """Distance 5: (3, 4), (4, 3), (5, 0) and their like lie exactly on it."""
        gate = EllipsoidGate((X, Y), (0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)), 25.0)
        expected = flowutils.gating.points_in_ellipsoid(np.eye(2), [0.0, 0.0], 25.0, LATTICE)
        assert gate.contains(LATTICE).tolist() == expected.tolist()
        assert gate.contains(LATTICE).sum() == 81  # Gauss's circle problem for r = 5

    @given(
        arrays(float, (3, 3), elements=st.floats(-2, 2)),
        arrays(float, 3, elements=st.floats(-1, 1)),
        st.floats(0.1, 9),
    )
    def test_agrees_with_flowutils_in_three_dimensions(self, turn, mean, square):
        covariance = turn @ turn.T + 0.1 * np.eye(3)
        covariance = (covariance + covariance.T) / 2
        points = np.random.default_rng(3).normal(size=(300, 3)) * 3
        offset = points - mean
        distance = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset)
        points = points[np.abs(distance / square - 1) > 1e-9]  # on the surface rounding may decide
        gate = EllipsoidGate(AXES, tuple(mean.tolist()), tuple(map(tuple, covariance.tolist())), square)
        expected = flowutils.gating.points_in_ellipsoid(covariance, mean, square, points)
        assert gate.contains(points).tolist() == expected.tolist()

    @given(st.permutations(range(3)), arrays(float, (20, 3), elements=st.floats(-9, 9)))
    def test_order_of_dimensions_does_not_matter(self, order, y):
        variances, mean = (1.0, 4.0, 16.0), (1.0, 2.0, 3.0)
        gate = EllipsoidGate(AXES, mean, tuple(map(tuple, np.diag(variances).tolist())), 2.0)
        turned = tuple(variances[i] for i in order)
        other = EllipsoidGate(
            tuple(AXES[i] for i in order),
            tuple(mean[i] for i in order),
            tuple(map(tuple, np.diag(turned).tolist())),
            2.0,
        )
        distance = (((y - mean) ** 2) / variances).sum(axis=1)
        assume(not np.isclose(distance, 2.0, rtol=1e-12).any())
        assert gate.contains(y).tolist() == other.contains(y[:, list(order)]).tolist() == (distance <= 2.0).tolist()

    def test_membership_does_not_depend_on_how_many_events_there_are(self):
        gate = EllipsoidGate(AXES, (0.1, 0.2, 0.3), ((1.1, 0.3, 0.2), (0.3, 1.2, 0.1), (0.2, 0.1, 1.3)), 2.0)
        points = np.random.default_rng(4).normal(size=(1000, 3))
        together = gate.contains(points)
        assert together.tolist() == [gate.contains(point[None])[0] for point in points]

    ROUND = ((1.0, 0.0), (0.0, 1.0))

    @pytest.mark.parametrize(
        ("gate", "message"),
        [
            (((X,), (0.0,), ((1.0,),), 1.0), "two or more dimensions"),
            (((X, Y), (0.0,), ROUND, 1.0), "a mean and a row of covariance for each"),
            (((X, Y), (0.0, 0.0), ((1.0,), (0.0,)), 1.0), "a row of covariance for each"),
            (((X, Y), (0.0, 0.0), ROUND[:1], 1.0), "a row of covariance for each"),
            (((X, Y), (NAN, 0.0), ROUND, 1.0), "must be finite numbers"),
            (((X, Y), (0.0, 0.0), ((INF, 0.0), (0.0, 1.0)), 1.0), "must be finite numbers"),
            (((X, Y), (0.0, 0.0), ((1.0, 2.0), (2.0, 1.0)), 1.0), "not positive definite"),
            (((X, Y), (0.0, 0.0), ((1.0, 1.0), (1.0, 1.0)), 1.0), "not positive definite"),
            (((X, Y), (0.0, 0.0), ((-1.0, 0.0), (0.0, -1.0)), 1.0), "not positive definite"),
            (((X, Y), (0.0, 0.0), ROUND, 0.0), "must be above 0, found 0.0"),
            (((X, Y), (0.0, 0.0), ROUND, -1.0), "must be above 0"),
            (((X, Y), (0.0, 0.0), ROUND, NAN), "must be above 0"),
            (((X, Y), (0.0, 0.0), ROUND, INF), "must be above 0"),
        ],
    )
    def test_what_is_no_ellipsoid_is_refused(self, gate, message):
        with pytest.raises(ValueError, match=message):
            EllipsoidGate(*gate)


class TestQuadrants:
    def test_worked_by_hand(self):
        """Lower bounds belong to the upper interval; None is any."""
        low_high = QuadrantGate("Q", (X, Y), ((1.0,), (2.0, 4.0)), (0, 2))
        assert inside(low_high, (0, 4), (0.999, 9), (1, 4), (0, 3.999), (-INF, INF)) == [True, True, False, False, True]
        middle = QuadrantGate("Q", (X, Y), ((1.0,), (2.0, 4.0)), (None, 1))
        assert inside(middle, (9, 2), (-9, 3.999), (0, 4), (0, 1.999)) == [True, True, False, False]

    def test_not_a_number_is_in_none_that_asks_for_it(self):
        any_x = QuadrantGate("Q", (X, Y), ((1.0,), (2.0,)), (None, 1))
        assert inside(any_x, (NAN, 3), (0, NAN)) == [True, False]

    dividers = st.lists(st.integers(-5, 5), min_size=1, max_size=3, unique=True).map(
        lambda v: tuple(map(float, sorted(v)))
    )

    @given(dividers, dividers)
    def test_a_full_set_parts_the_events(self, first, second):
        gates = [
            QuadrantGate("Q", (X, Y), (first, second), (i, j))
            for i in range(len(first) + 1)
            for j in range(len(second) + 1)
        ]
        assert (np.sum([gate.contains(LATTICE) for gate in gates], axis=0) == 1).all()

    @given(st.lists(dividers, min_size=2, max_size=2), st.data())
    def test_agrees_with_flowkit(self, dividers, data):
        fk = load()
        choices = [st.none() | st.integers(0, len(values)) for values in dividers]
        interval = data.draw(st.tuples(*choices).filter(lambda parts: any(part is not None for part in parts)))
        gate = QuadrantGate("Q", (X, Y), tuple(dividers), interval)
        peers = [fk.QuadrantDivider(n, n, "uncompensated", list(v)) for n, v in zip("XY", dividers, strict=True)]
        said = {n: i for n, i in enumerate(interval) if i is not None}
        quadrant = fk.gates.Quadrant("q", ["XY"[n] for n in said], [(gate.lower[n], gate.upper[n]) for n in said])
        expected = fk.gates.QuadrantGate("Q", peers, [quadrant]).apply(pd.DataFrame(LATTICE, columns=["X", "Y"]))["q"]
        assert gate.contains(LATTICE).tolist() == expected.tolist()

    @pytest.mark.parametrize(
        ("dividers", "interval", "message"),
        [
            (((1.0,),), (0, 0), "one set of dividers and one interval per dimension"),
            (((1.0,), ()), (0, 0), "quadrants on Y: dividers must be finite numbers in ascending order"),
            (((1.0,), (2.0, 2.0)), (0, 0), "ascending order"),
            (((1.0,), (3.0, 2.0)), (0, 0), "ascending order"),
            (((NAN,), (2.0,)), (0, 0), "quadrants on X: dividers must be finite"),
            (((INF,), (2.0,)), (0, 0), "quadrants on X: dividers must be finite"),
            (((1.0,), (2.0,)), (0, 2), "1 dividers make no interval 2"),
            (((1.0,), (2.0,)), (-1, 0), "make no interval -1"),
        ],
    )
    def test_impossible_sets_are_refused(self, dividers, interval, message):
        with pytest.raises(ValueError, match=message):
            QuadrantGate("Q", (X, Y), dividers, interval)


class TestComplement:
    def test_worked_by_hand(self):
        """The complement holds what is on the upper edge, and what is not a number."""
        outside = RectangleGate((X,), (0.0,), (1.0,), complement=True)
        assert inside(outside, 0, 0.5, 1, -1, NAN, INF) == [False, False, True, True, True, True]
        outside = PolygonGate((X, Y), SQUARE, complement=True)
        assert inside(outside, (0, 0), (0.5, 0.5), (1, 1), (NAN, 0.5)) == [False, False, True, True]

    @given(arrays(float, (30, 2), elements=st.floats(-2, 2) | st.just(NAN)))
    def test_parts_the_events_with_the_gate(self, y):
        for kind, *geometry in ((RectangleGate, (0.0, None), (1.0, 0.5)), (PolygonGate, SQUARE)):
            gate, outside = kind((X, Y), *geometry), kind((X, Y), *geometry, complement=True)
            assert (gate.contains(y) ^ outside.contains(y)).all()

    def test_agrees_with_flowkit(self):
        fk = load()
        events = pd.DataFrame(np.append(LATTICE, [[NAN, 0.0], [0.0, NAN]], axis=0), columns=["X", "Y"])
        axes = [fk.Dimension("X", range_min=-2, range_max=3), fk.Dimension("Y", range_min=0)]
        ours = RectangleGate((X, Y), (-2.0, 0.0), (3.0, None), complement=True)
        expected = fk.gates.RectangleGate("R", axes, use_complement=True).apply(events)
        assert ours.contains(events.to_numpy()).tolist() == expected.tolist()
        vertices = [(-3.0, -3.0), (4.0, -2.0), (0.0, 5.0)]
        expected = fk.gates.PolygonGate("P", axes, vertices, use_complement=True).apply(events)
        ours = PolygonGate((X, Y), tuple(vertices), complement=True)
        assert ours.contains(events.to_numpy()).tolist() == expected.tolist()


class TestRatio:
    def test_worked_by_hand(self):
        ratio = RatioDimension("X", "Y", 2.0, 1.0, -1.0, Linear(1.0))
        assert ratio.of(np.array([3.0, 1.0, 5.0]), np.array([1.0, 1.0, -3.0])).tolist() == [2.0, 0.0, -4.0]

    def test_a_denominator_of_0_is_infinite_or_not_a_number(self):
        plain = RatioDimension("X", "Y", 1.0, 0.0, 0.0, Linear(1.0))
        values = plain.of(np.array([1.0, -1.0, 0.0]), np.zeros(3))
        assert values[:2].tolist() == [INF, -INF]
        assert math.isnan(values[2])
        assert apply(RectangleGate((plain,), (1.0,), (None,)), X=[1.0, -1.0, 0.0, 2.0], Y=[0.0, 0.0, 0.0, 1.0]) == [
            True,
            False,
            False,
            True,
        ]

    def test_is_of_raw_values_and_scaled_like_a_channel(self):
        """Log of top 100 over 2 decades: 0.5 is 10, 1 is 100."""
        ratio = RatioDimension("X", "Y", 1.0, 0.0, 0.0, Log(100.0, 2.0))
        gate = RectangleGate((ratio,), (0.5,), (1.0,))
        assert apply(gate, X=[20.0, 19.0, 200.0, 199.0, -5.0], Y=[2.0] * 5) == [True, False, False, True, False]

    def test_stands_beside_channels(self):
        ratio = RatioDimension("X", "Y", 1.0, 0.0, 0.0, Linear(1.0))
        gate = PolygonGate((ratio, Z), ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)))
        assert apply(gate, X=[1.0, 9.0, 1.0], Y=[1.0, 3.0, 1.0], Z=[1.0, 1.0, 3.0]) == [True, False, False]

    numbers = st.floats(-1e6, 1e6)

    @given(arrays(float, (20, 2), elements=numbers), numbers, numbers, numbers)
    def test_agrees_with_flowkit(self, values, a, b, c):
        with np.errstate(all="ignore"):
            x, y = values.T
            expected = a * ((x - b) / (y - c))
        ours = RatioDimension("X", "Y", a, b, c, Linear(1.0)).of(x, y)
        assert np.array_equal(ours, expected, equal_nan=True)


finite = st.floats(-1e3, 1e3)
channels = st.builds(Dimension, st.text(min_size=1), st.text(), st.booleans(), st.just(Linear(5.0, 1.0)), st.text())
ratios = st.builds(RatioDimension, st.text(), st.text(), finite, finite, finite, st.just(Log(10.0, 2.0)))
axes = channels | ratios
pairs = st.tuples(axes, axes)
gates = st.one_of(
    st.builds(RectangleGate, pairs, st.just((0.0, None)), st.just((1.0, 2.0)), st.booleans()),
    st.builds(PolygonGate, pairs, st.just(SQUARE), st.booleans()),
    st.builds(
        lambda d, m, s, square: EllipsoidGate(d, m, ((s, s / 3), (s / 3, s)), square),
        pairs,
        st.tuples(finite, finite),
        st.floats(1e-3, 1e3),
        st.floats(1e-3, 1e3),
    ),
    st.builds(
        lambda name, d, i, j: QuadrantGate(name, d, ((1.0,), (2.0, 4.0)), (i, j)),
        st.text(),
        pairs,
        st.none() | st.integers(0, 1),
        st.none() | st.integers(0, 2),
    ),
)


@given(gates)
def test_json_round_trip_is_the_same_gate(gate):
    again = gate_from_dict(json.loads(json.dumps(gate.to_dict(), allow_nan=False)))
    assert again == gate
    assert hash(again) == hash(gate)


@given(axes)
def test_json_round_trip_is_the_same_axis(axis):
    assert dimension_from_dict(json.loads(json.dumps(axis.to_dict(), allow_nan=False))) == axis


def test_a_plain_gate_says_no_more_than_it_did():
    """Strategies of earlier runs hold none of the new words; those of today only where they are needed."""
    stored = RectangleGate((X,), (0.0,), (1.0,)).to_dict()
    assert set(stored) == {"kind", "dimensions", "lower", "upper"}
    assert set(stored["dimensions"][0]) == {"detector", "marker", "compensated", "transform"}
    assert set(PolygonGate((X, Y), SQUARE).to_dict()) == {"kind", "dimensions", "vertices"}
