"""Gates of FlowCytometryTools and ours count the same events, those on edges and those that are not numbers too."""

import functools
import operator
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nti7flow.errors import StrategyError
from nti7flow.events.made import make_sample
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Arcsinh, Linear, Log, Logicle
from nti7flow.gating.dimensions import Dimension, RatioDimension
from nti7flow.gating.gates import (
    BooleanGate,
    EllipsoidGate,
    Operand,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.flowcytometrytools.conversion import from_flowcytometrytools, load, to_flowcytometrytools

if find_spec("FlowCytometryTools") is None:
    pytest.skip("FlowCytometryTools is not installed (extra flowcytometrytools)", allow_module_level=True)

DETECTORS = ["X", "Y"]
X, Y = (Dimension(name, "", False, Linear(1.0)) for name in DETECTORS)
SPECIAL = [-np.inf, -5e-324, -0.0, 0.0, 5e-324, np.inf, np.nan]
#: Numbers that bounds are taken from; events are on them, next to them, between and beyond them.
BOUNDS = [-7.0, -0.1, 0.0, 1.0, 2.5, 1e-3, 262143.0]
EVENTS = sorted({v for b in BOUNDS for v in (b, np.nextafter(b, np.inf), np.nextafter(b, -np.inf), b + 0.7)}) + SPECIAL


@functools.cache
def measured(kind="double"):
    """Events all over a grid, as a tube of ours and as a measurement."""
    numbers = EVENTS if kind == "double" else np.arange(-4.5, 5.0, 0.5)
    sample = make_sample([(x, y) for x in numbers for y in numbers], DETECTORS, name=kind)
    return sample, to_flowcytometrytools(sample)


def counted(gate, measurement):
    """Which events their own ``gate`` keeps, shape (n_events,)."""
    mask = np.zeros(measurement.counts, bool)
    mask[measurement.gate(gate).data.index] = True
    return mask


def strategy_of(*populations):
    made = [Population(name, name, parent, gate, "ok") for name, parent, gate in populations]
    return GatingStrategy("made", "", "", 0, Spillover.none(), tuple(made))


def assert_goes_out(gate, kind="double"):
    sample, measurement = measured(kind)
    theirs = to_flowcytometrytools(gate)
    np.testing.assert_array_equal(counted(theirs, measurement), gate.contains(sample.events))
    return theirs


def assert_comes_in(gate, kind="double"):
    sample, measurement = measured(kind)
    strategy = from_flowcytometrytools({"it": gate})
    np.testing.assert_array_equal(strategy.apply(sample).mask("it"), counted(gate, measurement))
    return strategy.population("it").gate


bounds = st.sampled_from(BOUNDS)
ranges = st.tuples(st.none() | bounds, st.none() | bounds).filter(lambda r: None in r or r[0] < r[1])
#: Vertices and events at whole and half numbers: many events are on an edge, and on slanted ones exactly.
outlines = st.lists(st.tuples(*[st.integers(-4, 4).map(float)] * 2), min_size=3, max_size=7)


# --- ours to theirs ---------------------------------------------------------------------------------------------------


@given(st.lists(ranges, min_size=1, max_size=2), st.booleans())
def test_rectangles_go_out(sides, complement):
    lower, upper = zip(*sides, strict=True)
    assert_goes_out_of_columns(RectangleGate((X, Y)[: len(sides)], lower, upper, complement))


def assert_goes_out_of_columns(gate):
    sample, measurement = measured()
    inside = gate.contains(sample.events[:, : len(gate.dimensions)])
    np.testing.assert_array_equal(counted(to_flowcytometrytools(gate), measurement), inside)


@pytest.mark.parametrize(
    ("lower", "upper", "complement", "kind", "vert", "region"),
    [
        (1.0, None, False, "ThresholdGate", 1.0, "above"),
        (1.0, None, True, "ThresholdGate", 1.0, "below"),
        (1.0, 2.5, False, "IntervalGate", (1.0, np.nextafter(2.5, 0)), "in"),
        (1.0, 2.5, True, "IntervalGate", (1.0, np.nextafter(2.5, 0)), "out"),
    ],
)
def test_ranges_are_thresholds_and_intervals(lower, upper, complement, kind, vert, region):
    theirs = to_flowcytometrytools(RectangleGate((X,), (lower,), (upper,), complement))
    assert (type(theirs).__name__, theirs.vert, theirs.region, theirs.channels) == (kind, vert, region, ["X"])


def test_a_range_of_one_number_goes_out():
    assert_goes_out_of_columns(RectangleGate((X,), (1.0,), (np.nextafter(1.0, 2.0),)))


@given(bounds, bounds, st.tuples(*[st.sampled_from([0, 1, None])] * 2))
def test_quadrants_go_out(x, y, interval):
    assert_goes_out(QuadrantGate("quads", (X, Y), ((x,), (y,)), interval))


def test_quadrants_are_quadrants():
    theirs = to_flowcytometrytools(QuadrantGate("quads", (X, Y), ((1.0,), (2.5,)), (1, 1)))
    assert (type(theirs).__name__, theirs.vert, theirs.region) == ("QuadGate", (1.0, 2.5), "top right")
    theirs = to_flowcytometrytools(QuadrantGate("quads", (X, Y), ((1.0,), (2.5,)), (0, 1)))
    assert theirs.name == "gate and a number"
    assert (theirs.gates[0].region, theirs.gates[1].vert) == ("top left", -np.inf)
    assert_goes_out(QuadrantGate("bands", (X, Y), ((0.0, 1.0), (2.5,)), (1, 0)))


@given(outlines, st.booleans())
def test_polygons_go_out(vertices, complement):
    assert_goes_out(PolygonGate((X, Y), tuple(vertices), complement), "grid")


def test_polygons_keep_their_shape():
    diamond = PolygonGate((X, Y), ((0.0, 3.0), (-3.0, 0.0), (0.0, -3.0), (3.0, 0.0)))
    theirs = assert_goes_out(diamond, "grid")
    assert (type(theirs).__name__, theirs.region) == ("PolyGate", "in")
    np.testing.assert_allclose(theirs.vert, diamond.vertices, rtol=0, atol=1e-12)
    box = PolygonGate((X, Y), ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)))
    np.testing.assert_allclose(assert_goes_out(box, "grid").vert, np.array(box.vertices)[[1, 2, 3, 0]], atol=1e-12)


def test_polygons_with_values_that_are_not_finite_go_out():
    assert_goes_out(PolygonGate((X, Y), ((0.0, 0.0), (1.0, 0.0), (1.0, 2.5), (0.0, 2.5))))
    assert_goes_out(PolygonGate((X, Y), ((0.0, 0.0), (1.0, 0.0), (1.0, 2.5), (0.0, 2.5)), complement=True))


# --- theirs to ours ---------------------------------------------------------------------------------------------------


@given(bounds, st.sampled_from(["above", "below"]))
def test_thresholds_come_in(bound, region):
    gate = load().ThresholdGate(bound, "X", region)
    ours = assert_comes_in(gate)
    assert ours == RectangleGate((X,), (bound,), (None,), complement=region == "below")
    assert to_flowcytometrytools(ours).region == region


@given(bounds, bounds | st.just(np.inf), st.sampled_from(["in", "out"]))
def test_intervals_come_in(low, high, region):
    assume(low < high)
    gate = load().IntervalGate((low, high), "X", region)
    ours = assert_comes_in(gate)
    assert high == np.inf or to_flowcytometrytools(ours).vert == (low, high)


@given(outlines, st.sampled_from(["in", "out"]))
def test_polygons_come_in(vertices, region):
    assert_comes_in(load().PolyGate(vertices, DETECTORS, region), "grid")


@given(bounds, bounds, st.sampled_from(["top left", "top right", "bottom left", "bottom right"]))
def test_quadrants_come_in(x, y, region):
    sample, measurement = measured()
    gate = load().QuadGate((x, y), DETECTORS, region, name="quads")
    strategy = from_flowcytometrytools(gate)
    side = (int("right" in region), int("top" in region))
    assert strategy.population("quads").gate == QuadrantGate("quads", (X, Y), ((x,), (y,)), side)
    # What is not a number is left and at the bottom for them, and in no range for us.
    numbers = ~np.isnan(sample.events).any(axis=1)
    np.testing.assert_array_equal(strategy.apply(sample).mask("quads")[numbers], counted(gate, measurement)[numbers])


leaves = st.sampled_from(["a", "b", "c"])
trees = st.recursive(
    leaves,
    lambda inner: (
        st.tuples(st.sampled_from(["and_", "or_", "xor"]), inner, inner) | st.tuples(st.just("invert"), inner)
    ),
    max_leaves=6,
)


@given(trees)
def test_composites_come_in_and_go_out(tree):
    fct = load()
    simple = {
        "a": fct.ThresholdGate(0.0, "X", "above", name="a"),
        "b": fct.IntervalGate((-0.1, 1.0), "Y", "in", name="b"),
        "c": fct.ThresholdGate(1.0, "X", "below", name="c"),
    }

    def build(node):
        return simple[node] if isinstance(node, str) else getattr(operator, node[0])(*map(build, node[1:]))

    sample, measurement = measured()
    gate = build(tree)
    strategy = from_flowcytometrytools({"it": gate})
    expected = counted(gate, measurement)
    np.testing.assert_array_equal(strategy.apply(sample).mask("it"), expected)
    np.testing.assert_array_equal(counted(to_flowcytometrytools(strategy)["it"], measurement), expected)


def test_parts_of_a_composite_are_populations_by_their_names():
    fct = load()
    bright, high = (
        fct.ThresholdGate(1.0, "X", "above", name="bright"),
        fct.ThresholdGate(0.0, "Y", "above", name="high"),
    )
    low = fct.ThresholdGate(2.5, "Y", "below", name="high")
    strategy = from_flowcytometrytools({"cells": bright & ~high & low, "top": high})
    assert [p.id for p in strategy.populations] == ["bright", "top", "high", "cells"]
    operands = (Operand("bright"), Operand("top", negated=True), Operand("high"))
    assert strategy.population("cells").gate == BooleanGate("and", operands)
    assert strategy.population("high").gate == RectangleGate((Y,), (2.5,), (None,), complement=True)

    twice = fct.ThresholdGate(9.0, "Y", "above", name="cells")
    strategy = from_flowcytometrytools({"cells": twice | fct.ThresholdGate(1.0, "X", "above", name="cells")})
    assert [p.id for p in strategy.populations] == ["cells (2)", "cells (3)", "cells"]


# --- for a measurement ------------------------------------------------------------------------------------------------


def test_gates_for_a_measurement_name_its_detectors():
    fct = load()
    sample = make_sample([[1.0, 2.0], [3.0, 4.0]], ["FL1-A", "FL2-A"], name="tube", markers=["CD3", "CD4"])
    measurement = to_flowcytometrytools(sample, names="markers")
    gate = fct.ThresholdGate(2.0, "CD4", "above", name="cd4") & fct.ThresholdGate(2.0, "CD3", "above", name="cd3")
    strategy = from_flowcytometrytools({"t": gate}, measurement=measurement)
    assert [d.detector for d in strategy.dimensions] == ["FL2-A", "FL1-A"]
    assert strategy.apply(sample)["t"].tolist() == [1]
    assert [d.marker for d in strategy.for_sample(sample).dimensions] == ["CD4", "CD3"]
    assert measurement.gate(to_flowcytometrytools(strategy, names="markers")["t"]).counts == 1
    with pytest.raises(StrategyError, match=r"gate cd5: channel CD5 is not in the measurement, which has CD3, CD4\."):
        from_flowcytometrytools(fct.ThresholdGate(1, "CD5", "above", name="cd5"), measurement=measurement)


@pytest.mark.parametrize("number", [float, np.float64])
def test_bounds_are_taken_in_the_precision_of_the_events(number):
    """With events in single precision, NumPy rounds a bound that is a number of Python, and not one of its own."""
    fct = load()
    measurement = fct.FCMeasurement("single", readmeta=False)
    third = np.float32(1 / 3)
    numbers = np.array([third, np.nextafter(third, np.float32(1)), np.nextafter(third, np.float32(0)), 0.1], np.float32)
    measurement.set_data(pd.DataFrame({"X": numbers, "Y": 3 * numbers}))
    gates = {
        "above": fct.ThresholdGate(number(np.nextafter(float(third), 1)), "X", "above"),
        "up to": fct.IntervalGate((number(0.1), number(np.nextafter(float(third), 0))), "X", "in"),
    }
    strategy = from_flowcytometrytools(gates, measurement=measurement)
    members = strategy.apply(from_flowcytometrytools(measurement))
    rounded = {"above": [0, 1], "up to": [0, 2, 3]}
    assert {name: members[name].tolist() for name in gates} == (
        rounded if number is float else {"above": [1], "up to": [2, 3]}
    )
    for name, gate in gates.items():
        np.testing.assert_array_equal(members.mask(name), counted(gate, measurement))


def test_refuses_gates_that_would_count_other_events_of_the_measurement():
    fct = load()
    sample, measurement = measured()
    gates = {
        "left": fct.QuadGate((1.0, 1.0), DETECTORS, "bottom left"),
        "right": fct.QuadGate((1.0, 1.0), DETECTORS, "top right"),
    }
    with pytest.raises(StrategyError) as refused:
        from_flowcytometrytools(gates, measurement=measurement)
    n = len(EVENTS)
    low = sum(value < 1.0 for value in EVENTS)
    assert np.isnan(sample.events).sum() == 2 * n
    assert refused.value.problems == (
        f"gate left: {2 * low + 1:,} events of measurement double are inside for one and outside for the other: they "
        "are not numbers, or on the outline of a polygon. Gate without them, or move the outline.",
    )
    assert from_flowcytometrytools(gates["right"], measurement=measurement)


# --- strategies -------------------------------------------------------------------------------------------------------


def stained(rng, n=3000):
    events = np.abs(rng.normal(0, 1, (n, 4))) ** 4 * 1000 - 50
    events[:20, :2] = 500.0
    keywords = {"$SPILLOVER": "2,FL1-A,FL2-A,1,0.2,0.05,1"}
    detectors, markers = ["FSC-A", "SSC-A", "FL1-A", "FL2-A"], ["", "", "CD3", "CD4"]
    return make_sample(events, detectors, name="tube", markers=markers, keywords=keywords)


def hierarchy():
    """A strategy with every kind of gate that both have, on raw, compensated, transformed and divided values."""
    fsc, ssc = (Dimension(name, "", False, Linear(1000.0)) for name in ("FSC-A", "SSC-A"))
    cd3 = Dimension("FL1-A", "CD3", True, Logicle(262144.0, 0.5, 4.5, 0.0))
    cd4 = Dimension("FL2-A", "CD4", True, Arcsinh(262144.0, 4.5, 0.0))
    logged = Dimension("FL1-A", "CD3", False, Log(262144.0, 4.5))
    ratio = RatioDimension("FL1-A", "FL2-A", 2.0, 0.0, -1.0, Linear(1.0))
    return strategy_of(
        ("cells", None, PolygonGate((fsc, ssc), ((0.0, 0.0), (4.0, 0.5), (4.0, 4.5), (0.5, 4.0)))),
        ("t", "cells", RectangleGate((cd3,), (0.3,), (None,))),
        ("cd4", "t", RectangleGate((cd3, cd4), (0.3, 0.4), (0.9, None))),
        ("double", "cells", QuadrantGate("quads", (cd3, cd4), ((0.5,), (0.5,)), (1, 1))),
        ("neither", "cells", QuadrantGate("quads", (cd3, cd4), ((0.5,), (0.5,)), (0, 0))),
        ("odd", "cells", PolygonGate((cd3, cd4), ((0.2, 0.2), (0.8, 0.3), (0.5, 0.9)), complement=True)),
        ("dim", None, RectangleGate((logged,), (None,), (0.6,))),
        ("skewed", "cells", RectangleGate((ratio,), (1.0,), (3.0,))),
        ("either", "cells", BooleanGate("or", (Operand("double"), Operand("neither")))),
        ("not_t", "cells", BooleanGate("and", (Operand("t", negated=True), Operand("dim")))),
        ("absent", "cells", None),
        ("in_absent", "absent", RectangleGate((fsc,), (0.0,), (1.0,))),
        ("with_absent", None, BooleanGate("or", (Operand("t"), Operand("absent")))),
    )


def test_a_strategy_counts_the_same_events():
    sample, strategy = stained(np.random.default_rng(3)), hierarchy()
    members = strategy.apply(sample)
    measurement = to_flowcytometrytools(sample, strategy=strategy)
    gates = to_flowcytometrytools(strategy)
    assert set(gates) == set(members) - {"absent", "in_absent", "with_absent"}
    for name, gate in gates.items():
        assert 0 < members[name].size < sample.n_events, name
        np.testing.assert_array_equal(measurement.gate(gate).data.index, members[name], err_msg=name)
    assert list(measurement.data.columns[4:]) == [
        "FSC-A [linear t=1000.0 a=0.0]",
        "SSC-A [linear t=1000.0 a=0.0]",
        "FL1-A [compensated; logicle t=262144.0 w=0.5 m=4.5 a=0.0]",
        "FL2-A [compensated; arcsinh t=262144.0 m=4.5 a=0.0]",
        "FL1-A [log t=262144.0 m=4.5]",
        "2.0 (FL1-A - 0.0) / (FL2-A - -1.0)",
    ]
    bound = strategy.for_sample(sample)
    plate = to_flowcytometrytools({"A1": sample}, strategy=bound, names="markers")
    counts = {
        name: plate.gate(gate)["A1"].counts for name, gate in to_flowcytometrytools(bound, names="markers").items()
    }
    assert counts == {name: members[name].size for name in gates}


def test_a_strategy_that_calls_channels_by_their_markers_finds_its_columns():
    sample = stained(np.random.default_rng(3), 200)
    strategy = strategy_of(("t", None, RectangleGate((Dimension("CD3", "", False, Linear(1.0)),), (100.0,), (None,))))
    measurement = to_flowcytometrytools(sample, strategy=strategy)
    gate = to_flowcytometrytools(strategy)["t"]
    np.testing.assert_array_equal(measurement.gate(gate).data.index, strategy.apply(sample)["t"])


def test_gates_go_there_and_back():
    fct = load()
    sample, measurement = measured("grid")
    gates = {
        "cells": fct.PolyGate([(-4, -4), (4, -3), (3, 4), (-4, 2)], DETECTORS, name="cells"),
        "bright": fct.IntervalGate((-1.5, 2.5), "X", "in", name="bright"),
        "corner": fct.QuadGate((0.5, 0.5), DETECTORS, "bottom right", name="corner"),
    }
    gates["all of it"] = gates["cells"] & gates["bright"] & ~gates["corner"]
    strategy = from_flowcytometrytools(gates, measurement=measurement)
    members = strategy.apply(sample)
    for name, gate in to_flowcytometrytools(strategy).items():
        np.testing.assert_array_equal(counted(gate, measurement), members.mask(name))
        np.testing.assert_array_equal(counted(gates[name], measurement), members.mask(name))
    assert len(members["all of it"]) == 87


# --- what cannot be said ----------------------------------------------------------------------------------------------


def test_refuses_our_gates_by_name_and_all_at_once():
    flat = PolygonGate((X, Y), ((0.0, 100.0), (1e5, 100.0000001), (1e5, 0.0)))
    round_ = EllipsoidGate((X, Y), (0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)), 1.0)
    chain = [("deep 0", None, RectangleGate((X,), (0.0,), (None,)))]
    chain += [(f"deep {i}", f"deep {i - 1}", RectangleGate((X,), (0.0,), (None,))) for i in range(1, 62)]
    with pytest.raises(StrategyError) as refused:
        to_flowcytometrytools(
            strategy_of(("flat", None, flat), ("round", "flat", flat), ("blob", None, round_), *chain)
        )
    assert refused.value.problems == (
        "gate flat: has an edge that is all but level: draw it level, or steeper",
        "gate blob: is an ellipsoid, and FlowCytometryTools has none",
        "gate deep 60: is more than 60 gates deep; gate its ancestors first",
    )
    with pytest.raises(StrategyError, match="FlowCytometryTools: gate gate: is an ellipsoid"):
        to_flowcytometrytools(round_)


def test_the_deepest_gate_that_goes_out_can_be_used():
    chain = [(f"{i}", f"{i - 1}" if i else None, RectangleGate((X,), (0.0,), (None,))) for i in range(60)]
    measurement = measured("grid")[1]
    gate = to_flowcytometrytools(strategy_of(*chain))["59"]
    assert measurement.gate(gate).gate(gate).counts == np.count_nonzero(measurement["X"] >= 0)


def test_refuses_their_gates_by_name_and_all_at_once():
    fct = load()

    class OwnGate(fct.ThresholdGate):
        pass

    strange = fct.ThresholdGate(1.0, "X", "above", name="a") & fct.ThresholdGate(1.0, "Y", "above", name="b")
    strange.how = "nand"
    gates = {
        "nan": fct.ThresholdGate(np.nan, "X", "above"),
        "own": OwnGate(1.0, "X", "above"),
        "flat": fct.PolyGate([(0, 100), (1e5, 100.0000001), (1e5, 0)], DETECTORS),
        "two": fct.PolyGate([(0, 0), (1, 1)], DETECTORS),
        "strange": strange,
        "text": fct.ThresholdGate("bright", "X", "above"),
        "\x1b[31m": object(),
    }
    with pytest.raises(StrategyError) as refused:
        from_flowcytometrytools(gates)
    assert refused.value.problems == (
        "gate nan: gate on X: a bound is not a number",
        "gate own: is a OwnGate, of which is not known what is in it",
        "gate flat: has an edge that is all but level: draw it level, or steeper",
        "gate two: needs at least three finite vertices",
        "gate strange: combines others by 'nand', which is no operator",
        "gate text: could not convert string to float: 'bright'",
        r"gate \x1b[31m: is a object, of which is not known what is in it",
    )


def test_outlines_on_real_numbers_count_the_same():
    """Vertices and events anywhere: no event is on an edge, and both count the same."""
    rng = np.random.default_rng(11)
    sample = make_sample(rng.normal(1000, 400, (20_000, 2)).astype(np.float32), DETECTORS, name="tube")
    measurement, fct = to_flowcytometrytools(sample), load()
    gates = {
        str(i): fct.PolyGate(rng.normal(1000, 500, (n, 2)).tolist(), DETECTORS) for i, n in enumerate(range(3, 20))
    }
    strategy = from_flowcytometrytools(gates, measurement=measurement)
    members = strategy.apply(sample)
    for name, gate in to_flowcytometrytools(strategy).items():
        assert members[name].size
        np.testing.assert_array_equal(measurement.gate(gate).data.index, members[name])
