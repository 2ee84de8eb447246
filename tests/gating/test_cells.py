"""Cells and cuts: what is said of a scale value without transforming it is true."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.events.transforms import Arcsinh, FlowJoBiex, FlowJoLog, Hyperlog, Linear, Log, Logicle
from nti7flow.gating.cells import ODD, SIDE, make_axis, outline_box, outline_states
from nti7flow.gating.cuts import find_cuts
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import EllipsoidGate, PolygonGate
from nti7flow.gating.polygon import INSIDE, NEAR, OUTSIDE, polygon_cells

TRANSFORMS = (
    Linear(1.0),
    Linear(1000.0, 100.0),
    Log(1000.0, 3.0),
    Arcsinh(1000.0, 4.0, 1.0),
    Logicle(1000.0, 0.5, 4.0, 0.0),
    Hyperlog(1000.0, 0.5, 4.0, 0.0),
    FlowJoBiex(0.0, -10.0, 4.0, 1000.0),
    FlowJoLog(1.0, 3.0),
)
X, Y = (Dimension(name, "", False, Linear(1.0)) for name in ("FL1-A", "FL2-A"))
SQUARE = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))


def neighbours(x, n=3):
    """A double and those next to it."""
    found = [x]
    for side in (-math.inf, math.inf):
        value = x
        for _ in range(n):
            value = float(np.nextafter(value, side))
            found.append(value)
    return found


scale_values = st.floats(-2000, 5000) | st.sampled_from([0.0, -0.0, 1.0, 1000.0, 1e6, -1e6, math.inf, -math.inf])


@given(st.sampled_from(TRANSFORMS), scale_values, st.lists(scale_values, max_size=5))
def test_cuts_are_sure_of_what_they_say(transform, at, others):
    bound = float(transform.apply(at))
    if not math.isfinite(bound):
        bound = 0.5
    (cut,) = find_cuts(transform, [bound])
    for x in [*neighbours(at), *neighbours(cut.below), *neighbours(cut.above), *others]:
        with np.errstate(over="ignore"):
            y = float(transform.apply(x))
        assert math.isnan(y) == (math.isnan(x) or x < cut.start)
        if x < cut.below:
            assert not y >= bound
        if x >= cut.above:
            assert y >= bound
    if 1.0 < at < 900.0:
        assert cut.above - cut.below < 1e-4 * at, "and there is little that they do not say"


def test_a_cut_worked_by_hand():
    first, second = find_cuts(Linear(1000.0), [0.5, -2.0])
    assert first.below < 500.0 < first.above and first.above - first.below == pytest.approx(3e-6)
    assert second.below < -2000.0 < second.above


@pytest.mark.parametrize(("bound", "below", "above"), [(-1.0, -math.inf, -math.inf), (5000.0, math.inf, math.nan)])
def test_beyond_the_ends_of_a_scale_all_or_nothing_is_above(bound, below, above):
    (cut,) = find_cuts(FlowJoBiex(0.0, -10.0, 4.0, 1000.0), [bound])
    assert cut.below == below and cut.above == pytest.approx(above, nan_ok=True)


@given(st.sampled_from(TRANSFORMS), st.lists(scale_values, min_size=1, max_size=20), st.data())
def test_values_lie_between_the_borders_of_their_bins(transform, values, data):
    low, high = sorted(data.draw(st.tuples(*[st.floats(-0.2, 1.2) | st.sampled_from([-0.1, 0.0, 1.0, 1.1])] * 2)))
    size = 4096.0 if isinstance(transform, FlowJoBiex) else float(np.nan_to_num(transform.apply(1000.0)))
    low, high = low * size, high * size
    axis = make_axis(transform, [(low, high)])
    if axis is None:
        assert isinstance(transform, Log | FlowJoLog)
        return
    inverse = transform.inverse(np.array([low, high]))
    x = np.array([y for value in [*values, *inverse.tolist(), math.nan] for y in neighbours(value)])
    with np.errstate(over="ignore"):
        display = transform.apply(x)
    for bin_, y, value in zip(axis.bins(x).tolist(), display.tolist(), x.tolist(), strict=True):
        if not math.isfinite(value):
            assert bin_ == ODD
        elif bin_ == 0:
            assert math.isnan(y) or not low <= y <= high
        else:
            rounding = 1e-12 * (1 + abs(y))
            assert axis.lines[bin_ - 1] - rounding <= y <= axis.lines[bin_] + rounding


def test_cells_of_a_square_by_hand():
    lines = np.arange(-1.5, 6.0)
    assert (
        polygon_cells(np.array(SQUARE), lines, lines).tolist()
        == [
            [OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE],
            [OUTSIDE, NEAR, NEAR, NEAR, NEAR, NEAR, OUTSIDE],
            [OUTSIDE, NEAR, INSIDE, INSIDE, INSIDE, NEAR, OUTSIDE],
            [OUTSIDE, NEAR, INSIDE, INSIDE, INSIDE, NEAR, OUTSIDE],
            [OUTSIDE, NEAR, INSIDE, INSIDE, INSIDE, NEAR, OUTSIDE],
            [OUTSIDE, NEAR, NEAR, NEAR, NEAR, NEAR, OUTSIDE],
            [OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE],
        ][: len(lines) - 1]
    )


def test_borders_on_the_outline_make_cells_near_on_both_sides():
    cells = polygon_cells(np.array(SQUARE), np.arange(-2.0, 7.0), np.arange(-2.0, 7.0))
    assert (cells[1:3] == NEAR)[:, 1:7].all() and (cells[3:5, 3:5] == INSIDE).all() and (cells[0] == OUTSIDE).all()


def test_nothing_is_said_where_numbers_would_overflow_or_vanish():
    lines = np.linspace(0.0, 1.0, 5)
    for factor in (1e120, 1e-120):
        assert (polygon_cells(np.array(SQUARE) * factor, lines, lines) == NEAR).all()


corner = st.tuples(*[st.floats(-1, 1) | st.sampled_from([-1.0, 0.0, 0.25, 1.0])] * 2)


@given(st.lists(corner, min_size=3, max_size=8), st.floats(-0.95, 0.95), st.floats(0.05, 3.0))
def test_an_outline_runs_through_cells_that_are_near(corners, slant, height):
    axis = make_axis(Linear(1.0), [(-2.0, 2.0)])
    ends = np.array(corners)
    part = np.linspace(0, 1, 50)[:, None, None]
    polygon = PolygonGate((X, Y), tuple(corners))
    on_polygon = (ends * part + np.roll(ends, -1, axis=0) * (1 - part)).reshape(-1, 2)
    mean, size = corners[0], (0.5, 0.5 * height)
    slanted = slant * size[0] * size[1]
    ellipse = EllipsoidGate((X, Y), mean, ((size[0] ** 2, slanted), (slanted, size[1] ** 2)), 1.0)
    angles = np.linspace(0, 2 * np.pi, 200)
    on_ellipse = np.column_stack([np.cos(angles), np.sin(angles)]) @ np.linalg.cholesky(np.array(ellipse.covariance)).T
    # Where it is farthest to the left, right, top and bottom.
    farthest = np.array([(size[0], slant * size[1]), (slant * size[0], size[1])])
    for gate, points in ((polygon, on_polygon), (ellipse, mean + np.vstack([on_ellipse, farthest, -farthest]))):
        states = outline_states(gate, axis, axis)
        points = points[(np.abs(points) < 2).all(axis=1)]
        x, y = (axis.bins(np.ascontiguousarray(column)).astype(int) for column in points.T)
        assert (states[SIDE * x + y] == NEAR).all()
        within = np.random.default_rng(0).uniform(-1.99, 1.99, (500, 2))
        x, y = (axis.bins(np.ascontiguousarray(column)).astype(int) for column in within.T)
        said = states[SIDE * x + y]
        inside = gate.contains(within)
        assert (inside[said == INSIDE]).all() and not inside[said == OUTSIDE].any()


def test_the_box_round_an_ellipse_touches_it():
    gate = EllipsoidGate((X, Y), (1.0, 2.0), ((4.0, 1.0), (1.0, 9.0)), 4.0)
    (left, right), (bottom, top) = outline_box(gate)
    assert (left, right, bottom, top) == pytest.approx((-3.0, 5.0, -4.0, 8.0), rel=1e-6)
    assert left < -3.0 and right > 5.0 and bottom < -4.0 and top > 8.0


@pytest.mark.parametrize("covariance", [((1.0, 1 - 1e-9), (1 - 1e-9, 1.0)), ((1.0, 3.0), (-2.0, 1.0))])
def test_nothing_is_said_of_ellipses_that_rounding_decides(covariance):
    assert outline_box(EllipsoidGate((X, Y), (0.0, 0.0), covariance, 1.0)) is None


def test_of_polygons_with_very_many_corners_nothing_is_said_but_who_is_inside_is_known():
    angles = np.linspace(0, 2 * np.pi, 30_001)[:-1]
    gate = PolygonGate((X, Y), tuple(zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True)))
    lines = np.linspace(-1.0, 1.0, 101)
    assert (polygon_cells(np.array(gate.vertices), lines, lines) == NEAR).all()
    points = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    radius = np.hypot(*points.T)
    inside = gate.contains(points)
    assert inside[radius < 0.999].all() and not inside[radius > 1.0].any()
