"""Gates on a panel: corners of boolean populations, and gates that are not on its axes."""

from dataclasses import replace

import numpy as np
import pytest

from nti7flow.events.transforms import Linear, Logicle
from nti7flow.gating.gates import BooleanGate, Dimension, Operand, PolygonGate, RectangleGate
from nti7flow.gating.histogram import Axis
from nti7flow.gating.picture import Panel2D
from nti7flow.gating.strategy import Population
from nti7flow.plot.outlines import Box, find_outlines

X = Dimension("A", "one", True, Logicle())
Y = Dimension("B", "two", True, Logicle())
Z = Dimension("C", "three", True, Logicle())


def above(dimension, bound):
    return RectangleGate((dimension,), (bound,), (None,))


def outlines(**gates):
    populations = {name: Population(name, name, None, gate, "ok") for name, gate in gates.items()}
    nothing = np.empty(0, np.int32)
    axes = Axis("one", 0, 1, 256), Axis("two", 0, 1, 256)
    panel = Panel2D(None, tuple(populations), X, Y, *axes, nothing, nothing)
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
