"""Ticks stand where the transform puts decades, and say so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.events.transforms import Arcsinh, FlowJoBiex, FlowJoLog, Hyperlog, Linear, Log, Logicle
from nti7flow.plot.ticks import decade_label, make_ticks


def test_logicle_has_zero_and_decades_of_scale_values():
    transform = Logicle(w=1.0)
    ticks = make_ticks(transform, -0.1, 1.0)
    assert ticks.labels == ("−10³", "0", "10³", "10⁴", "10⁵")
    assert ticks.major == tuple(transform.apply([-1e3, 0, 1e3, 1e4, 1e5]))


def test_minor_ticks_are_the_rest_of_each_decade():
    transform = Logicle()
    ticks = make_ticks(transform, 0.4, 1.0)
    assert ticks.labels == ("10³", "10⁴", "10⁵")
    expected = [m * 10.0**k for k in range(2, 6) for m in range(2, 10)]
    inside = [y for y in transform.apply(expected) if 0.4 <= y <= 1.0]
    assert ticks.minor == pytest.approx(inside)


def test_a_decade_that_is_too_close_to_zero_is_a_minor_tick():
    transform = Logicle(w=1.5)  # 10³ lies a twentieth of the axis from 0
    wide, narrow = (make_ticks(transform, 0.0, 1.0, gap=gap) for gap in (0.1, 0.03))
    assert "10³" not in wide.labels and "10³" in narrow.labels
    assert float(transform.apply(1e3)) in wide.minor


def test_less_than_a_decade_in_sight_is_labelled_at_2_and_5():
    transform = Logicle()
    low, high = transform.apply([1.5e4, 9e4])
    assert make_ticks(transform, low, high).labels == ("2·10⁴", "5·10⁴")


def test_log_has_neither_zero_nor_negative_ticks():
    assert make_ticks(Log(t=1e4, m=4), -0.5, 1.0).labels == ("10⁻²", "10⁻¹", "10⁰", "10¹", "10²", "10³", "10⁴")


def test_hyperlog_has_zero_and_decades_of_scale_values():
    transform = Hyperlog(w=1.5)
    ticks = make_ticks(transform, -0.1, 1.0)
    assert ticks.labels == ("−10⁴", "0", "10⁴", "10⁵")
    assert ticks.major == tuple(transform.apply([-1e4, 0, 1e4, 1e5]))


def test_biex_is_labelled_in_scale_values_and_only_where_the_scale_is():
    """-132 lies at channel 0 and 261,623 at 4096: all below and above lies on the same channels."""
    ticks = make_ticks(FlowJoBiex(), -400, 4500, gap=0.06)
    assert ticks.labels == ("−10²", "0", "10²", "10³", "10⁴", "10⁵")
    assert ticks.major == tuple(FlowJoBiex().apply([-1e2, 0, 1e2, 1e3, 1e4, 1e5]))
    assert min(ticks.minor) > 0 and max(ticks.minor) < 4096


def test_the_log_of_flowjo_begins_at_its_offset():
    """Four decades from 10: 10 lies at 0, where 1 and 0 would lie too."""
    ticks = make_ticks(FlowJoLog(10, 4), -0.1, 1.1)
    assert ticks.labels == ("10¹", "10²", "10³", "10⁴", "10⁵")
    assert ticks.major == pytest.approx((0, 0.25, 0.5, 0.75, 1))


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 262_144, ("0", "50k", "100k", "150k", "200k", "250k")),
        (-30_000, 100_000, ("−20k", "0", "20k", "40k", "60k", "80k", "100k")),
        (0, 3_000_000, ("0", "500k", "1M", "1.5M", "2M", "2.5M", "3M")),
        (0, 26, ("0", "5", "10", "15", "20", "25")),
    ],
)
def test_linear_axes_count_in_thousands(low, high, labels):
    transform = Linear(4e6, 1e6)
    ticks = make_ticks(transform, *(float(transform.apply(v)) for v in (low, high)))
    assert ticks.labels == labels
    assert not set(ticks.minor) & set(ticks.major)


@pytest.mark.parametrize(("value", "label"), [(0, "0"), (1000.0, "10³"), (-1e5, "−10⁵"), (2e4, "2·10⁴"), (0.1, "10⁻¹")])
def test_labels_of_decades(value, label):
    assert decade_label(value) == label


@given(
    transform=st.one_of(
        st.builds(Logicle, w=st.floats(0, 2)),
        st.builds(Hyperlog, w=st.floats(0.01, 2)),
        st.builds(Arcsinh, m=st.floats(2, 6)),
        st.builds(Log, m=st.floats(2, 6)),
        st.builds(FlowJoLog, decades=st.floats(2, 6)),
        st.builds(FlowJoBiex, negative=st.floats(0, 1), width=st.floats(-1000, -1)),
    ),
    low=st.floats(-0.2, 0.9),
    span=st.floats(0.1, 1.2),
)
def test_any_axis_has_ordered_ticks_within_it(transform, low, span):
    if isinstance(transform, FlowJoBiex):
        low, span = 4096 * low, 4096 * span
    ticks = make_ticks(transform, low, low + span)
    assert len(ticks.labels) == len(ticks.major) == len(set(ticks.labels))
    assert (np.diff(ticks.major) >= 0.075 * span - 1e-12).all()
    everything = np.array([*ticks.major, *ticks.minor])
    assert ((everything >= low) & (everything <= low + span)).all()
