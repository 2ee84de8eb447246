"""Display transforms: by hand, against flowutils, against 50 digits, and as functions that have an inverse."""

import json
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
    Linear,
    Log,
    Logicle,
    logicle_width,
    transform_from_dict,
    transform_to_dict,
)

TOPS = st.floats(1.0, 1e8)
DECADES = st.floats(0.5, 8.0)
SHARES = st.floats(0.0, 1.0)


@st.composite
def logicles(draw, decades=DECADES) -> Logicle:
    """Any logicle: w up to m / 2, a from -w to m - 2 w."""
    t, m = draw(TOPS), draw(decades)
    w = draw(SHARES) * m / 2
    a = draw(st.sampled_from([0.0, -w, m - 2 * w])) if draw(st.booleans()) else -w + draw(SHARES) * (m - w)
    return Logicle(t, w, m, min(max(a, -w), m - 2 * w))


linears = st.builds(lambda t, share: Linear(t, share * t), TOPS, SHARES)
logs = st.builds(Log, TOPS, DECADES)
arcsinhs = st.builds(lambda t, m, share: Arcsinh(t, m, share * m), TOPS, DECADES, SHARES)
transforms = st.one_of(linears, logs, arcsinhs, logicles())

#: Display positions from well below the scale to half above it.
PLACES = arrays(np.float64, 40, elements=st.floats(-0.5, 1.5))


# --- by hand --------------------------------------------------------------------------------------


def test_linear_by_hand():
    """From -100 to 900: 400 is half way."""
    assert Linear(900, 100).apply([-100, 400, 900]).tolist() == [0.0, 0.5, 1.0]
    assert Linear(900, 100).inverse([0.0, 0.5, 1.0]).tolist() == [-100.0, 400.0, 900.0]


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


# --- flowutils as oracle --------------------------------------------------------------------------


@given(transform=linears, x=arrays(np.float64, 20, elements=st.floats(-1e9, 1e9)))
def test_linear_is_gating_ml(transform, x):
    """flowutils has no linear transform; Gating-ML's formula is its own oracle."""
    assert transform.apply(x).tolist() == ((x + transform.a) / (transform.t + transform.a)).tolist()


@given(transform=logs, places=PLACES)
def test_log_agrees_with_flowutils(transform, places):
    x = transform.inverse(places)
    t, m = transform.t, transform.m
    assert np.abs(transform.apply(x) - flowutils.log(x, None, t, m)).max() <= 1e-12
    assert x == pytest.approx(flowutils.log_inverse(places, None, t, m), rel=1e-12)


@given(transform=arcsinhs, places=PLACES)
def test_arcsinh_agrees_with_flowutils(transform, places):
    x = transform.inverse(places)
    t, m, a = transform.t, transform.m, transform.a
    assert np.abs(transform.apply(x) - flowutils.asinh(x, None, t, m, a)).max() <= 1e-12
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


def test_logicle_of_nan_and_infinity():
    """NaN and infinities stay what they are (flowutils: -1)."""
    x = np.array([np.nan, np.inf, -np.inf, 1.0])
    found = Logicle().apply(x)
    assert np.array_equal(found[:3], x[:3], equal_nan=True)
    assert flowutils.logicle(x, None)[:3].tolist() == [-1, -1, -1]
    assert np.array_equal(Logicle().inverse(x)[:3], x[:3], equal_nan=True)
    for transform in (Linear(), Arcsinh()):
        assert np.array_equal(transform.apply(x)[:3], x[:3], equal_nan=True)
    assert np.array_equal(Log().apply(x)[:3], [np.nan, np.inf, np.nan], equal_nan=True)


# --- fifty digits ---------------------------------------------------------------------------------


def fifty_digits(transform: Logicle, x: float) -> float:
    """The logicle of one value, solved by bisection in decimal arithmetic."""

    def bisect(rises, low, high):
        for _ in range(180):
            middle = (low + high) / 2
            low, high = (low, middle) if rises(middle) > 0 else (middle, high)
        return low

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
    expected = [fifty_digits(transform, value) for value in x.tolist()]
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


@given(transform=logicles())
def test_logicle_is_finite_and_increasing_for_any_double(transform):
    tail = [1e20, 1e100, 1e300, 1.7976931348623157e308]
    y = transform.apply([*(-v for v in reversed(tail)), -5e-324, 0.0, 5e-324, *tail])
    assert np.isfinite(y).all()
    assert (np.diff(y) >= 0).all()
    assert (np.diff(y[:4]) > 0).all() and (np.diff(y[-4:]) > 0).all()
    zero = (transform.w + transform.a) / (transform.m + transform.a)
    assert y[5] == pytest.approx(zero, abs=1e-12)
    assert y[0] + y[-1] == pytest.approx(2 * zero)


@pytest.mark.parametrize("transform", [Linear(), Log(), Arcsinh(), Logicle()])
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
        (Linear, {"t": 100, "a": -1}, "0 <= a <= t"),
        (Linear, {"t": 100, "a": 101}, "0 <= a <= t"),
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
    ],
)
def test_bad_parameters(kind, parameters, says):
    with pytest.raises(ValueError, match=says):
        kind(**parameters)


@given(transform=transforms)
def test_dict_round_trip(transform):
    stored = json.loads(json.dumps(transform_to_dict(transform)))
    assert stored["kind"] == transform.kind
    assert transform_from_dict(stored) == transform
    assert transform_to_dict(transform_from_dict(stored)) == stored


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"kind": "hyperlog"}, "unknown transform 'hyperlog', known: arcsinh, linear, log, logicle"),
        ({"t": 1.0}, "unknown transform 'None'"),
        ({"kind": "log", "w": 1.0}, "log transform: .*unexpected keyword argument 'w'"),
        ({"kind": "logicle", "w": 9.0}, "logicle transform needs"),
    ],
)
def test_dicts_that_are_no_transform(data, says):
    with pytest.raises(ValueError, match=says):
        transform_from_dict(data)


# --- the width of a logicle -----------------------------------------------------------------------


def test_width_by_hand():
    """100 negatives from -1 to -100: the 5th percentile is -95.05.

    w = (4.5 - log10(262144 / 95.05)) / 2 = (4.5 - 3.4406) / 2 = 0.530, rounded up to 0.75.
    """
    negatives = -np.arange(1.0, 101.0)
    assert (4.5 - log10(262144 / 95.05)) / 2 == pytest.approx(0.5297, abs=1e-4)
    assert logicle_width(negatives, 262144.0, 4.5) == 0.75


@pytest.mark.parametrize(
    ("reference", "width"),
    [(1.0, 0.5), (80.0, 0.5), (200.0, 0.75), (1000.0, 1.25), (5000.0, 1.5), (100_000.0, 2.0), (1e9, 2.0)],
)
def test_width_follows_the_negatives(reference, width):
    """Between 0.5 and m / 2 - 0.25 in steps of 0.25."""
    assert logicle_width(np.full(50, -reference), 262144.0, 4.5) == width


def test_few_or_no_negatives_leave_the_width_alone():
    assert logicle_width(np.empty(0), 262144.0, 4.5) == 0.5
    assert logicle_width(np.full(19, -1e4), 262144.0, 4.5) == 0.5
    assert logicle_width(np.full(20, -0.0), 262144.0, 4.5) == 0.5


@given(
    negatives=arrays(np.float64, st.integers(0, 60), elements=st.floats(-1e6, 0.0)),
    t=TOPS,
    m=DECADES,
)
def test_any_width_makes_a_logicle(negatives, t, m):
    assert 0.0 <= Logicle(t, logicle_width(negatives, t, m), m).w <= m / 2
