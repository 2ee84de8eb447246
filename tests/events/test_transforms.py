"""Display transforms of Gating-ML: by hand, against flowutils, against 50 digits, and as functions with an inverse."""

import json
import pickle
from decimal import Decimal, localcontext
from math import asinh, log10, sqrt

import numpy as np
import pytest
from flowutils import transforms as flowutils
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nti7flow.events.transforms import (
    Arcsinh,
    FlowJoBiex,
    FlowJoLog,
    Hyperlog,
    Linear,
    Log,
    Logicle,
    transform_from_dict,
    transform_to_dict,
)

TOPS = st.floats(1.0, 1e8)
DECADES = st.floats(0.5, 8.0)
SHARES = st.floats(0.0, 1.0)


@st.composite
def logicles(draw, kind=Logicle, shares=SHARES) -> Logicle | Hyperlog:
    """Any logicle or hyperlog: w up to m / 2, a from -w to m - 2 w."""
    t, m = draw(TOPS), draw(DECADES)
    w = draw(shares) * m / 2
    a = draw(st.sampled_from([0.0, -w, m - 2 * w])) if draw(st.booleans()) else -w + draw(SHARES) * (m - w)
    return kind(t, w, m, min(max(a, -w), m - 2 * w))


linears = st.builds(lambda t, share: Linear(t, share * t), TOPS, SHARES)
logs = st.builds(Log, TOPS, DECADES)
arcsinhs = st.builds(lambda t, m, share: Arcsinh(t, m, share * m), TOPS, DECADES, SHARES)
hyperlogs = logicles(Hyperlog, st.floats(1e-6, 1.0))
transforms = st.one_of(linears, logs, arcsinhs, logicles(), hyperlogs)

EVERY_KIND = [Linear(), Log(), Arcsinh(), Logicle(), Hyperlog(), FlowJoBiex(), FlowJoLog()]
#: Display positions from well below the scale to half above it.
PLACES = arrays(np.float64, 40, elements=st.floats(-0.5, 1.5))


# --- by hand --------------------------------------------------------------------------------------


def test_linear_by_hand():
    """From -100 to 900: 400 is half way."""
    assert Linear(900, 100).apply([-100, 400, 900]).tolist() == [0.0, 0.5, 1.0]
    assert Linear(900, 100).inverse([0.0, 0.5, 1.0]).tolist() == [-100.0, 400.0, 900.0]


def test_linear_of_a_flowjo_workspace_by_hand():
    """From 100 to 500: the negative range is -100, and 300 is half way."""
    assert Linear(500, -100).apply([100, 300, 500]).tolist() == [0.0, 0.5, 1.0]
    assert Linear(100, 300).apply([-300, -100, 100]).tolist() == [0.0, 0.5, 1.0]  # more below zero than above


def test_log_by_hand():
    """Four decades below 10,000: each decade is a quarter."""
    assert Log(10_000, 4).apply([1, 10, 100, 1000, 10_000]).tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert np.array_equal(Log(10_000, 4).apply([0.0, -1.0]), [-np.inf, np.nan], equal_nan=True)


def test_arcsinh_by_hand():
    """m = 1: sinh(ln 10) = 4.95, so the value t / 4.95 lies at asinh(1) / ln 10 = log10(1 + sqrt 2)."""
    transform = Arcsinh(1000, 1, 0)
    assert transform.apply(1000 / 4.95) == pytest.approx(log10(1 + sqrt(2)), rel=1e-14)
    assert transform.apply([0, 1000]).tolist() == pytest.approx([0, 1])
    # One negative decade moves zero to a / (m + a).
    assert Arcsinh(1000, 1, 1).apply([0, 1000]).tolist() == pytest.approx([0.5, 1])
    assert Arcsinh(1000, 1, 0).apply(50) == pytest.approx(asinh(0.2475) / 2.302585092994046, rel=1e-14)


def test_logicle_by_hand():
    """Moore & Parks 2012: zero lies at (a + w) / (m + a), the top at 1; for w = 0 the logicle is an arcsinh."""
    assert Logicle(10_000, 0.5, 4.5, 0).apply([0, 10_000]).tolist() == pytest.approx([0.5 / 4.5, 1], abs=1e-15)
    assert Logicle(10_000, 1, 4, 1).apply([0, 10_000]).tolist() == pytest.approx([2 / 5, 1], abs=1e-15)
    # With w = 0, b = d and f = 0: x = p e^(by) - p e^(-by) = 2 p sinh(by) with 2 p = t / sinh(m ln 10).
    flat, sinus = Logicle(1000, 0, 1, 0), Arcsinh(1000, 1, 0)
    assert flat.apply(1000 / 4.95) == pytest.approx(log10(1 + sqrt(2)), abs=1e-15)
    x = np.linspace(-900, 900, 19)
    assert flat.apply(x) == pytest.approx(sinus.apply(x), abs=1e-15)


def test_hyperlog_by_hand():
    """m = 2, w = 1: zero lies at 1/2, b = 2 ln 10, and c / p = e^(b / 2) / w = 10 / 0.5 = 20.

    With u = y - 1/2: x = p (100^u - 1) + 20 p u. The top, u = 1/2, gives 1000 = p (9 + 10), so p = 1000 / 19.
    """
    transform = Hyperlog(1000, 1, 2, 0)
    at_three_quarters = 1000 / 19 * (sqrt(10) - 1 + 5)
    expected = [-1000, -at_three_quarters, 0, at_three_quarters, 1000]
    assert transform.inverse([0, 0.25, 0.5, 0.75, 1]).tolist() == pytest.approx(expected, rel=1e-14)
    assert transform.apply(expected).tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-15)


# --- flowutils as oracle --------------------------------------------------------------------------


@given(transform=linears, x=arrays(np.float64, 20, elements=st.floats(-1e9, 1e9)))
def test_linear_is_gating_ml(transform, x):
    """flowutils has no linear transform; Gating-ML's formula is its own oracle."""
    assert transform.apply(x).tolist() == ((x + transform.a) / (transform.t + transform.a)).tolist()


@given(transform=logs, places=PLACES)
def test_log_agrees_with_flowutils(transform, places):
    """To the bit: an event on the edge of a gate falls on the same side."""
    x = transform.inverse(places)
    t, m = transform.t, transform.m
    assert transform.apply(x).tolist() == flowutils.log(x, None, t, m).tolist()
    assert transform.apply(x[0]) == flowutils.log(x, None, t, m)[0]
    assert x == pytest.approx(flowutils.log_inverse(places, None, t, m), rel=1e-12)


@given(transform=arcsinhs, places=PLACES)
def test_arcsinh_agrees_with_flowutils(transform, places):
    """To the bit: an event on the edge of a gate falls on the same side."""
    x = transform.inverse(places)
    t, m, a = transform.t, transform.m, transform.a
    assert transform.apply(x).tolist() == flowutils.asinh(x, None, t, m, a).tolist()
    assert transform.apply(x[0]) == flowutils.asinh(x, None, t, m, a)[0]
    assert x == pytest.approx(flowutils.asinh_inverse(places, None, t, m, a), rel=1e-12, abs=1e-12 * t)


@given(transform=logicles(), places=PLACES)
@example(transform=Logicle(), places=np.linspace(-0.5, 1.5, 40))
def test_logicle_agrees_with_flowutils(transform, places):
    options = {"t": transform.t, "m": transform.m, "w": transform.w, "a": transform.a}
    x = transform.inverse(places)
    assert np.abs(x - flowutils.logicle_inverse(places, None, **options)).max() <= 1e-12 * (
        np.abs(x).max() + transform.t
    )
    theirs = flowutils.logicle(x, None, **options)
    # flowutils loses its way below 1e-6 of the top when w = 0, and gives up (-1) here and there when w is near m / 2.
    right = (theirs != -1) & ((transform.w > 0) | (np.abs(x) > 1e-6 * transform.t))
    assert np.abs(transform.apply(x) - theirs)[right].max(initial=0.0) <= 1e-12


@given(places=PLACES, t=st.sampled_from([1e4, 262144.0, 4194304.0]), w=st.floats(0.25, 1.5), m=st.floats(4.0, 5.0))
def test_logicle_agrees_with_flowutils_on_every_value_of_usual_scales(places, t, w, m):
    x = Logicle(t, w, m).inverse(places)
    assert np.abs(Logicle(t, w, m).apply(x) - flowutils.logicle(x, None, t=t, w=w, m=m)).max() <= 1e-14


@given(transform=hyperlogs, places=PLACES, sizes=arrays(np.float64, 20, elements=st.floats(-12.0, 12.0)))
@example(transform=Hyperlog(), places=np.linspace(-0.5, 1.5, 40), sizes=np.linspace(-12, 12, 20))
@example(transform=Hyperlog(1000, 1, 5, -1), places=np.linspace(-0.5, 1.5, 40), sizes=np.linspace(-12, 12, 20))
@example(transform=Hyperlog(w=1e-6), places=np.linspace(-0.5, 1.5, 40), sizes=np.linspace(-12, 12, 20))
def test_hyperlog_agrees_with_flowutils(transform, places, sizes):
    options = {"t": transform.t, "m": transform.m, "w": transform.w, "a": transform.a}
    shown = transform.inverse(places)
    theirs = flowutils.hyperlog_inverse(places, None, **options)
    assert np.abs(shown - theirs).max() <= 1e-12 * (np.abs(shown).max() + transform.t)
    far = transform.t * 10.0**sizes
    x = np.concatenate([shown, far, -far, [0.0, transform.t]])
    theirs = flowutils.hyperlog(x, None, **options)
    right = theirs != -1  # flowutils gives up here and there, mostly above the top
    assert (np.abs(transform.apply(x) - theirs) / np.maximum(np.abs(theirs), 1.0))[right].max() <= 1e-12


@given(places=PLACES, t=st.sampled_from([1e4, 262144.0, 4194304.0]), w=st.floats(0.25, 1.5), m=st.floats(4.0, 5.0))
def test_hyperlog_agrees_with_flowutils_on_every_value_of_usual_scales(places, t, w, m):
    x = Hyperlog(t, w, m).inverse(places)
    theirs = flowutils.hyperlog(x, None, t=t, w=w, m=m)
    right = (theirs != -1) | (places < 1)
    assert np.abs(Hyperlog(t, w, m).apply(x) - theirs)[right].max(initial=0.0) <= 1e-14


@pytest.mark.parametrize(
    ("transform", "peer"), [(Logicle(), flowutils.logicle), (Hyperlog(), flowutils.hyperlog)], ids=["logicle", "hyper"]
)
def test_logicle_and_hyperlog_of_nan_and_infinity(transform, peer):
    """NaN and infinities stay what they are (flowutils: -1)."""
    x = np.array([np.nan, np.inf, -np.inf, 1.0])
    found = transform.apply(x)
    assert np.array_equal(found[:3], x[:3], equal_nan=True)
    assert peer(x, None)[:3].tolist() == [-1, -1, -1]
    assert np.array_equal(transform.inverse(x)[:3], x[:3], equal_nan=True)


def test_closed_forms_of_nan_and_infinity():
    x = np.array([np.nan, np.inf, -np.inf])
    for transform in (Linear(), Arcsinh()):
        assert np.array_equal(transform.apply(x), x, equal_nan=True)
    assert np.array_equal(Log().apply(x), [np.nan, np.inf, np.nan], equal_nan=True)


# --- fifty digits ---------------------------------------------------------------------------------


def bisect(rises, low, high):
    for _ in range(180):
        middle = (low + high) / 2
        low, high = (low, middle) if rises(middle) > 0 else (middle, high)
    return low


def hyperlog_to_fifty_digits(transform: Hyperlog, x: float) -> float:
    """The hyperlog of one value by the formulas of Gating-ML 2.0, solved by bisection in decimal arithmetic."""
    with localcontext() as context:
        context.prec = 50
        t, w, m, a = (Decimal(v) for v in (transform.t, transform.w, transform.m, transform.a))
        total = m + a
        w, x2 = w / total, a / total
        x1, x0, b = x2 + w, x2 + 2 * w, total * Decimal(10).ln()
        ca = (b * x0).exp() / w
        fa = (b * x1).exp() + ca * x1
        scale = t / (b.exp() + ca - fa)
        size = abs(Decimal(x))
        y = bisect(lambda y: scale * ((b * y).exp() + ca * y - fa) - size, x1, Decimal(500) / b)
        return float(y if x >= 0 else 2 * x1 - y)


def logicle_to_fifty_digits(transform: Logicle, x: float) -> float:
    """The logicle of one value, solved by bisection in decimal arithmetic."""
    with localcontext() as context:
        context.prec = 50
        t, w, m, a = (Decimal(v) for v in (transform.t, transform.w, transform.m, transform.a))
        total = m + a
        w, x2 = w / total, a / total
        x1, x0, b = x2 + w, x2 + 2 * w, total * Decimal(10).ln()
        d = bisect(lambda d: 2 * (d / b).ln() + w * (b + d), Decimal(0), b) if w else b
        ratio = (x0 * (b + d)).exp()
        f = (b * x1).exp() - ratio * (-d * x1).exp()
        p = t / (b.exp() - ratio * (-d).exp() - f)
        size = abs(Decimal(x))
        y = bisect(lambda y: p * ((b * y).exp() - ratio * (-d * y).exp() - f) - size, x1, Decimal(500) / b)
        return float(y if x >= 0 else 2 * x1 - y)


@pytest.mark.parametrize(
    "transform",
    [
        Logicle(),
        Logicle(10_000, 1, 4, 1),
        Logicle(262144, 0, 4.5, 0),
        Logicle(4194304, 2.25, 4.5, 0),
        Logicle(1000, 1, 5, -1),
        Logicle(10_000, 0.17, 0.7, -0.02),  # few decades: the curve off the table is no pure exponential
        Logicle(31_400, 1.96, 4.96, 0.62),
        Logicle(1, 3, 12, 2),
    ],
)
def test_logicle_to_fifty_digits(transform):
    x = np.concatenate([transform.inverse(np.linspace(-0.6, 1.6, 12)), transform.t * np.array([0, 1e-9, -1e-4, 1e12])])
    expected = [logicle_to_fifty_digits(transform, value) for value in x.tolist()]
    assert transform.apply(x).tolist() == pytest.approx(expected, rel=1e-15, abs=1e-14)


@pytest.mark.parametrize(
    "transform",
    [
        Hyperlog(),
        Hyperlog(10_000, 1, 4, 1),
        Hyperlog(4194304, 2.25, 4.5, 0),
        Hyperlog(1000, 1, 5, -1),
        Hyperlog(10_000, 0.17, 0.7, -0.02),
        Hyperlog(262144, 1e-9, 4.5, 0),  # nearly a straight line all the way
        Hyperlog(112, 3.68, 7.6, -1.89),  # flowutils is 1e-13 off here
        Hyperlog(1, 3, 12, 2),
    ],
)
def test_hyperlog_to_fifty_digits(transform):
    x = np.concatenate([transform.inverse(np.linspace(-0.6, 1.6, 12)), transform.t * np.array([0, 1e-9, -1e-4, 1e12])])
    expected = [hyperlog_to_fifty_digits(transform, value) for value in x.tolist()]
    assert transform.apply(x).tolist() == pytest.approx(expected, rel=1e-15, abs=1e-14)


# --- as functions ---------------------------------------------------------------------------------


@given(transform=transforms, places=PLACES)
def test_inverse_undoes_apply(transform, places):
    there = transform.inverse(places)
    assert transform.apply(there) == pytest.approx(places, abs=2e-9 if isinstance(transform, Linear) else 1e-11)
    again = transform.inverse(transform.apply(there))
    assert again == pytest.approx(there, rel=1e-9, abs=1e-11 * transform.t)


@given(transform=transforms, steps=arrays(np.float64, 30, elements=st.floats(1e-6, 0.1)))
def test_strictly_increasing_and_one_at_the_top(transform, steps):
    x = transform.inverse(-0.5 + np.cumsum(steps))
    assert (np.diff(x) > 0).all()
    assert (np.diff(transform.apply(x)) > 0).all()
    assert transform.apply(transform.t) == pytest.approx(1.0, abs=1e-12)


@given(transform=logicles() | logicles(Hyperlog, st.floats(0.01, 1.0)))
def test_logicle_and_hyperlog_are_finite_and_increasing_for_any_double(transform):
    tail = [1e20, 1e100, 1e300, 1.7976931348623157e308]
    y = transform.apply([*(-v for v in reversed(tail)), -5e-324, 0.0, 5e-324, *tail])
    assert np.isfinite(y).all()
    assert (np.diff(y) >= 0).all()
    assert (np.diff(y[:4]) > 0).all() and (np.diff(y[-4:]) > 0).all()
    zero = (transform.w + transform.a) / (transform.m + transform.a)
    assert y[5] == pytest.approx(zero, abs=1e-12)
    assert y[0] + y[-1] == pytest.approx(2 * zero)


@given(transform=transforms, x=arrays(np.float64, 30, elements=st.floats(-1e9, 1e9)))
def test_never_decreasing(transform, x):
    """Where a root is solved for, to within the last bits: values that close may change places."""
    x = np.sort(np.abs(x) + 1e-3 if isinstance(transform, Log) else x)
    y = transform.apply(x)
    rounding = 0.0 if isinstance(transform, Linear | Log | Arcsinh) else 1e-14
    assert (np.diff(y) >= -rounding * np.maximum(np.abs(y[1:]), 1.0)).all()


@pytest.mark.parametrize("transform", EVERY_KIND)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 0, 3)])
def test_shapes_and_types(transform, shape):
    x = np.full(shape, 7, np.uint16)
    for found in (transform.apply(x), transform.inverse(x)):
        assert np.shape(found) == shape
        assert np.asarray(found).dtype == np.float64
    assert (x == 7).all()
    doubled = np.full(2 * 5, 7.0)[::2]
    assert transform.apply(doubled) == pytest.approx(np.full(5, float(transform.apply(7.0))))


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        (Linear, {"t": 0}, "t > 0"),
        (Linear, {"t": 100, "a": -100}, r"t \+ a > 0"),
        (Linear, {"t": -100, "a": 200}, "t > 0"),
        (Linear, {"t": 1e308, "a": 1e308}, "finite"),
        (Linear, {"t": float("nan")}, "finite"),
        (Log, {"t": -1}, "t > 0"),
        (Log, {"m": 0}, "m > 0"),
        (Log, {"m": float("inf")}, "finite"),
        (Arcsinh, {"t": 0}, "t > 0"),
        (Arcsinh, {"m": 0}, "0 < m"),
        (Arcsinh, {"m": 400}, "m <= 20"),
        (Arcsinh, {"a": -0.1}, "0 <= a <= m"),
        (Arcsinh, {"a": 4.6}, "0 <= a <= m"),
        (Arcsinh, {"a": float("nan")}, "finite"),
        (Logicle, {"t": 0}, "t > 0"),
        (Logicle, {"m": -1}, "m > 0"),
        (Logicle, {"w": -0.1}, "0 <= w"),
        (Logicle, {"w": 2.3}, "w <= m/2"),
        (Logicle, {"a": -0.6}, "-w <= a"),
        (Logicle, {"a": 3.6}, "a <= m - 2w"),
        (Logicle, {"m": 200}, r"m \+ a <= 20"),
        (Logicle, {"w": float("nan")}, "finite"),
        (Hyperlog, {"t": 0}, "t > 0"),
        (Hyperlog, {"m": -1}, "m > 0"),
        (Hyperlog, {"w": 0}, "0 < w"),
        (Hyperlog, {"w": 2.3}, "w <= m/2"),
        (Hyperlog, {"a": -0.6}, "-w <= a"),
        (Hyperlog, {"a": 3.6}, "a <= m - 2w"),
        (Hyperlog, {"m": 200}, r"m \+ a <= 20"),
        (Hyperlog, {"w": float("inf")}, "finite"),
    ],
)
def test_bad_parameters(kind, parameters, says):
    with pytest.raises(ValueError, match=says):
        kind(**parameters)


@given(transform=transforms | st.sampled_from(EVERY_KIND))
def test_dict_round_trip(transform):
    stored = json.loads(json.dumps(transform_to_dict(transform)))
    assert stored["kind"] == transform.kind
    assert transform_from_dict(stored) == transform
    assert transform_to_dict(transform_from_dict(stored)) == stored


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"kind": "biex"}, "unknown transform 'biex', known: arcsinh, flowjo_biex, flowjo_log, hyperlog, linear, log,"),
        ({"t": 1.0}, "unknown transform 'None'"),
        ({"kind": "log", "w": 1.0}, "log transform: .*unexpected keyword argument 'w'"),
        ({"kind": "logicle", "w": 9.0}, "logicle transform needs"),
    ],
)
def test_dicts_that_are_no_transform(data, says):
    with pytest.raises(ValueError, match=says):
        transform_from_dict(data)


@pytest.mark.parametrize("transform", EVERY_KIND)
def test_equal_transforms_are_one_key(transform):
    """Tables are kept by their transform, and strategies travel between processes."""
    again = pickle.loads(pickle.dumps(transform))
    assert again == transform and {transform: "kept"}[again] == "kept"
    assert again.apply(100.0) == transform.apply(100.0)
