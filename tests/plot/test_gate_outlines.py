"""Gates on a panel: corners of boolean populations, and gates that are not on its axes."""

from dataclasses import replace

import numpy as np
import pytest

from nti7flow.events.transforms import Linear, Log, Logicle
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import (
    BooleanGate,
    EllipsoidGate,
    Operand,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.histogram import Axis
from nti7flow.gating.picture import Panel2D
from nti7flow.gating.strategy import Population
from nti7flow.plot.outlines import Box, find_outlines

X = Dimension("A", "one", True, Logicle())
Y = Dimension("B", "two", True, Logicle())
Z = Dimension("C", "three", True, Logicle())


def above(dimension, bound):
    return RectangleGate((dimension,), (bound,), (None,))


def outlines(*, axes=(X, Y), **gates):
    populations = {name: Population(name, name, None, gate, "ok") for name, gate in gates.items()}
    nothing = np.empty(0, np.int32)
    bins = Axis("one", 0, 1, 256), Axis("two", 0, 1, 256)
    panel = Panel2D(None, tuple(populations), *axes, *bins, nothing, nothing)
    found, missing = find_outlines(panel, populations)
    return {outline.population.id: outline for outline in found}, [population.id for population in missing]


@pytest.mark.parametrize(
    ("negated", "box"),
    [
        ((False, True), Box((0.4, None), (None, 0.6))),
        ((True, False), Box((None, 0.4), (0.6, None))),
        ((False, False), Box((0.4, None), (0.6, None))),
        ((True, True), Box((None, 0.4), (None, 0.6))),
    ],
)
def test_quadrants_are_found_from_operands(negated, box):
    corner = BooleanGate("and", (Operand("right", negated[0]), Operand("upper", negated[1])))
    found, missing = outlines(right=above(X, 0.4), upper=above(Y, 0.6), corner=corner)
    assert missing == []
    assert found["corner"].shape == box
    assert found["corner"].labelled and not found["corner"].drawn
    assert not found["right"].labelled and not found["upper"].labelled
    assert found["right"].drawn and found["upper"].drawn


def test_a_boolean_that_is_no_box_is_missing_and_leaves_its_operands_labelled():
    either = BooleanGate("or", (Operand("right"), Operand("upper")))
    found, missing = outlines(right=above(X, 0.4), upper=above(Y, 0.6), either=either)
    assert missing == ["either"]
    assert found["right"].labelled and found["upper"].labelled


def test_the_complement_of_a_box_with_two_bounds_is_no_box():
    between = RectangleGate((X,), (0.2,), (0.4,))
    found, missing = outlines(between=between, rest=BooleanGate("and", (Operand("between", True),)))
    assert list(found) == ["between"] and missing == ["rest"]


def test_operands_that_are_drawn_elsewhere_give_no_corner():
    _, missing = outlines(other=above(Z, 0.4), here=BooleanGate("and", (Operand("other", True),)))
    assert missing == ["other", "here"]


def test_polygon_follows_the_axes_whatever_the_order_of_its_dimensions():
    vertices = ((0.1, 0.7), (0.3, 0.7), (0.3, 0.9))
    found, _ = outlines(swapped=PolygonGate((Y, X), vertices))
    np.testing.assert_array_equal(found["swapped"].shape, np.array(vertices)[:, ::-1])


def test_a_gate_on_another_scale_lies_at_the_same_scale_values():
    wide = replace(X, transform=Logicle(w=1.5))
    found, _ = outlines(gate=above(wide, 0.5), line=above(replace(X, transform=Linear()), 0.1))
    assert X.transform.inverse(found["gate"].shape.x[0]) == pytest.approx(wide.transform.inverse(0.5))
    assert X.transform.inverse(found["line"].shape.x[0]) == pytest.approx(26214.4)


def test_raw_and_compensated_channels_are_not_the_same_axis():
    _, missing = outlines(raw=above(replace(X, compensated=False), 0.5))
    assert missing == ["raw"]


def test_a_rectangle_in_three_dimensions_shows_those_on_the_axes():
    found, _ = outlines(gate=RectangleGate((X, Z, Y), (0.1, 0.2, None), (0.5, None, float("inf"))))
    assert found["gate"].shape == Box((0.1, 0.5), (None, None))


def test_quadrants_of_a_set_are_boxes_between_its_dividers():
    intervals = [(0, 0), (1, 0), (2, 1), (None, 1)]
    quadrants = {f"q{i}": QuadrantGate("set", (Y, X), ((0.3, 0.6), (0.5,)), pair) for i, pair in enumerate(intervals)}
    found, missing = outlines(**quadrants)
    assert missing == []
    assert [found[f"q{i}"].shape for i in range(4)] == [
        Box((None, 0.5), (None, 0.3)),
        Box((None, 0.5), (0.3, 0.6)),
        Box((0.5, None), (0.6, None)),
        Box((0.5, None), (None, None)),
    ]
    assert all(outline.drawn and outline.labelled for outline in found.values())


def test_ellipse_is_a_closed_line_on_its_edge():
    gate = EllipsoidGate((X, Y), (0.4, 0.6), ((0.02, 0.012), (0.012, 0.01)), 2.5)
    found, missing = outlines(ellipse=gate)
    assert missing == []
    assert found["ellipse"].shape.shape == (96, 2)
    near, far = (gate.mean + factor * (found["ellipse"].shape - gate.mean) for factor in (0.999, 1.001))
    assert gate.contains(near).all() and not gate.contains(far).any()


def test_ellipse_follows_the_axes_and_their_scales():
    raw = (replace(Y, transform=Linear(1.0)), replace(X, transform=Linear(1.0)))  # y first, in scale values
    gate = EllipsoidGate(raw, (9000.0, 2000.0), ((4e6, 2e5), (2e5, 9e4)), 1.0)
    found, _ = outlines(ellipse=gate)
    x, y = found["ellipse"].shape.T
    offsets = np.stack([Y.transform.inverse(y), X.transform.inverse(x)], axis=1) - gate.mean
    inverse = np.linalg.inv(gate.covariance)
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", offsets, inverse, offsets), 1.0, rtol=1e-9)


def test_ellipsoid_in_three_dimensions_shows_its_shadow():
    covariance = ((0.02, 0.01, 0.006), (0.01, 0.03, 0.004), (0.006, 0.004, 0.01))
    gate = EllipsoidGate((X, Z, Y), (0.4, 0.5, 0.6), covariance, 2.0)
    found, _ = outlines(ellipsoid=gate)
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    surface = np.array(gate.mean) + np.sqrt(2.0) * directions @ np.linalg.cholesky(covariance).T
    shadow, shape = surface[:, [0, 2]], found["ellipsoid"].shape
    # Every point of the surface lies within the outline, and the outline is no larger than it must be.
    np.testing.assert_allclose(shape.max(axis=0), shadow.max(axis=0), atol=2e-3)
    np.testing.assert_allclose(shape.min(axis=0), shadow.min(axis=0), atol=2e-3)
    inverse = np.linalg.inv(np.array(covariance)[np.ix_([0, 2], [0, 2])])
    offsets = shadow - np.array([0.4, 0.6])
    assert np.einsum("ni,ij,nj->n", offsets, inverse, offsets).max() <= 2.0 + 1e-9


def test_ellipse_that_is_not_on_both_axes_is_missing():
    _, missing = outlines(ellipse=EllipsoidGate((X, Z), (0.4, 0.6), ((0.02, 0.0), (0.0, 0.01)), 1.0))
    assert missing == ["ellipse"]


def test_what_a_scale_cannot_show_is_left_out():
    shown = replace(X, transform=Log()), Y
    scale = replace(X, transform=Linear(1.0))
    vertices = ((-10.0, 0.2), (1000.0, 0.2), (5000.0, 0.5), (1000.0, 0.8))
    found, missing = outlines(axes=shown, gate=PolygonGate((scale, Y), vertices))
    assert missing == []
    np.testing.assert_allclose(found["gate"].shape[:, 0], Log().apply(np.array([1000.0, 5000.0, 1000.0])))
    _, missing = outlines(axes=shown, gate=PolygonGate((scale, Y), ((-10.0, 0.2), (-5.0, 0.3), (-1.0, 0.8))))
    assert missing == ["gate"]


def test_complement_of_a_threshold_is_its_other_side_and_of_anything_else_the_same_line():
    found, missing = outlines(
        below=replace(above(X, 0.4), complement=True),
        around=RectangleGate((X, Y), (0.2, 0.3), (0.5, 0.6), complement=True),
        beyond=PolygonGate((X, Y), ((0.1, 0.1), (0.5, 0.1), (0.3, 0.6)), complement=True),
        not_below=BooleanGate("and", (Operand("below", True),)),
        not_around=BooleanGate("and", (Operand("around"),)),
    )
    assert found["below"].shape == Box((None, 0.4)) and not found["below"].outside
    assert found["around"].shape == Box((0.2, 0.5), (0.3, 0.6)) and found["around"].outside
    assert found["beyond"].outside
    assert found["not_below"].shape == Box((0.4, None))
    assert missing == ["not_around"]  # what is outside a box is no box
