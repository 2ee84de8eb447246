"""FlowJo's own transforms: by hand, against FlowKit, against a table FlowJo wrote, and as functions."""

import flowkit
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nti7flow.events.transforms import FlowJoBiex, FlowJoLog

CHANNELS = np.arange(4097.0)

biexes = st.builds(
    FlowJoBiex,
    st.just(0.0) | st.floats(0.0, 3.0),
    st.floats(0.0, 4.0).map(lambda decades: -(10.0**decades)),
    st.just(4.418540) | st.floats(0.5, 9.0),
    st.just(262144.000029) | st.floats(1.0, 1e9),
)
logs = st.builds(FlowJoLog, st.floats(1e-3, 1e4), st.floats(0.5, 8.0))
VALUES = arrays(np.float64, 40, elements=st.floats(-1e10, 1e10))


def peer(transform: FlowJoBiex) -> flowkit.transforms.WSPBiexTransform:
    return flowkit.transforms.WSPBiexTransform(
        transform.negative, transform.width, transform.positive, transform.max_value
    )


# --- by hand --------------------------------------------------------------------------------------


def test_log_by_hand():
    """Four decades above 10: each is a quarter, and nothing lies below 0."""
    transform = FlowJoLog(10, 4)
    assert transform.apply([10, 100, 1000, 1e4, 1e5, 1e6]).tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1.25])
    assert transform.apply([9.99, 0, -5, -np.inf]).tolist() == [0, 0, 0, 0]
    assert transform.inverse([-1, 0, 0.5, 1]).tolist() == pytest.approx([10, 10, 1000, 1e5])
    assert np.array_equal(transform.apply([np.nan, np.inf]), [np.nan, np.inf], equal_nan=True)


def test_biex_by_hand():
    """No linear region and no negative decades: 1000 / 10 * (10 ** (i / 4097) - 10 ** (-i / 4097)) at channel i."""
    transform = FlowJoBiex(0.0, -1.0, 1.0, 1000.0)
    expected = [100 * (10 ** (i / 4097) - 10 ** (-i / 4097)) for i in (0, 1, 1000, 4096)]
    assert transform.inverse([0, 1, 1000, 4096]).tolist() == pytest.approx(expected, rel=1e-12)
    # A quarter of the way between two rows is a quarter of a channel.
    assert transform.apply(0.75 * expected[0] + 0.25 * expected[1]) == pytest.approx(0.25)
    assert transform.apply([-1.0, 0.0, 1000.0, np.inf]).tolist() == [0, 0, 4096, 4096]


def test_zero_of_a_biex_by_hand():
    """One decade of width, half of it below zero: 0.5 / 4.41854 * 4096 = 463.5, cut to a whole channel."""
    assert FlowJoBiex(0.0, -10.0, 4.418540).apply(0.0) == 463
    # 1 + 0.5 of 5.5 decades, and never more than half of the scale.
    assert FlowJoBiex(1.0, -10.0, 4.5).apply(0.0) == int(1.5 / 5.5 * 4096)
    assert FlowJoBiex(9.0, -10.0, 4.5).apply(0.0) == 2048


# --- FlowKit and FlowJo ---------------------------------------------------------------------------


@given(transform=logs, x=VALUES)
def test_log_agrees_with_flowkit(transform, x):
    """To the bit: an event on the edge of a gate falls on the same side."""
    theirs = flowkit.transforms.WSPLogTransform(transform.offset, transform.decades)
    x[0] = transform.offset
    assert transform.apply(x).tolist() == theirs.apply(x).tolist()
    assert transform.apply(x[1]) == theirs.apply(x)[1]


@given(transform=biexes, x=VALUES, channels=arrays(np.float64, 40, elements=st.floats(-10.0, 4106.0)))
@example(FlowJoBiex(), np.linspace(-1000, 300_000, 40), np.linspace(-10, 4106, 40))
def test_biex_agrees_with_flowkit(transform, x, channels):
    theirs = peer(transform)
    x = np.concatenate([x, theirs.inverse(channels), [np.nan, np.inf, -np.inf, 0.0]])
    assert transform.apply(x) == pytest.approx(theirs.apply(x), abs=1e-9, nan_ok=True)
    assert transform.inverse(channels) == pytest.approx(theirs.inverse(channels), rel=1e-12, abs=1e-12 * x[-3])


def test_less_than_no_negative_decades_count_as_none():
    """As in FlowKit."""
    x = np.linspace(-1000, 300_000, 1000)
    assert FlowJoBiex(negative=-1.0).apply(x).tolist() == FlowJoBiex().apply(x).tolist()
    assert FlowJoBiex(negative=-1.0).apply(x) == pytest.approx(peer(FlowJoBiex(negative=-1.0)).apply(x), abs=1e-9)


def test_a_table_that_flowjo_wrote(shared_data):
    """Its 4096 values are rounded to six digits."""
    path = shared_data / "flowkit/data/flowjo_xforms/tr_biex_l256_w-7.943282_n1.000000_m4.418540_r262144.000029.csv"
    channels, values = np.loadtxt(path, delimiter=",", skiprows=1, unpack=True)
    transform = FlowJoBiex(1.0, -7.943282, 4.418540, 262144.000029)
    assert channels.tolist() == CHANNELS[:4096].tolist()
    assert transform.inverse(channels) == pytest.approx(values, rel=5e-6)
    assert transform.apply(values) == pytest.approx(channels, abs=0.005)


# --- as functions ---------------------------------------------------------------------------------


@given(transform=biexes)
@example(FlowJoBiex())
@example(FlowJoBiex(0.0, -1e9, 4.0, 1.0))
@example(FlowJoBiex(100.0, -10.0))
@example(FlowJoBiex(0.0, -1.0, 20.0))
@example(FlowJoBiex(0.0, -1.0, 1e-3))
def test_biex_is_the_interpolation_of_its_table(transform):
    """To the bit, on, beside and between its rows: entering the table by arithmetic loses none of them."""
    table = transform.inverse(CHANNELS)
    assert (np.diff(table) > 0).all()
    between = (table[1:] + table[:-1]) / 2
    x = np.concatenate([table, np.nextafter(table, -np.inf), np.nextafter(table, np.inf), between, [-0.0, 5e-324]])
    assert transform.apply(x).tolist() == np.interp(x, table, CHANNELS).tolist()
    assert transform.apply(table).tolist() == CHANNELS.tolist()


@given(transform=biexes | logs, x=VALUES)
def test_never_decreasing_and_within_the_scale(transform, x):
    y = transform.apply(np.sort(x))
    assert (np.diff(y) >= 0).all()
    assert y[0] >= 0
    assert isinstance(transform, FlowJoLog) or y[-1] <= 4096


@given(transform=biexes | logs, shares=arrays(np.float64, 40, elements=st.floats(0.0, 1.0)))
def test_inverse_undoes_apply(transform, shares):
    places = shares * 4096 if isinstance(transform, FlowJoBiex) else shares
    assert transform.apply(transform.inverse(places)) == pytest.approx(places, abs=1e-9)


def test_nan_stays_nan():
    for transform in (FlowJoBiex(), FlowJoLog()):
        for found in (transform.apply([1.0, np.nan, 5.0]), transform.inverse([1.0, np.nan, 5.0])):
            assert np.isnan(found).tolist() == [False, True, False]


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        (FlowJoLog, {"offset": 0}, "offset > 0"),
        (FlowJoLog, {"decades": 0}, "decades > 0"),
        (FlowJoLog, {"offset": float("nan")}, "finite"),
        (FlowJoBiex, {"width": 0}, "width <= -1"),
        (FlowJoBiex, {"width": 10}, "width <= -1"),
        (FlowJoBiex, {"width": -0.5}, "width <= -1"),
        (FlowJoBiex, {"positive": 0}, "positive > 0"),
        (FlowJoBiex, {"max_value": 0}, "max_value > 0"),
        (FlowJoBiex, {"max_value": float("inf")}, "finite"),
        (FlowJoBiex, {"negative": float("nan")}, "finite"),
        (FlowJoBiex, {"positive": 400}, "no table of rising finite values"),
        (FlowJoBiex, {"negative": 400}, "no table of rising finite values"),
        (FlowJoBiex, {"width": -1.0, "positive": 1e-18}, "no table of rising finite values"),
        (FlowJoBiex, {"max_value": 1e-320}, "no table of rising finite values"),
    ],
)
def test_bad_parameters(kind, parameters, says):
    with pytest.raises(ValueError, match=says):
        kind(**parameters)
