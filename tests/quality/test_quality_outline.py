"""Kept time as a polygon on (time, time): the same events as the mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import PolygonGate
from nti7flow.quality.outline import steady_outline
from nti7flow.quality.report import within


def inside(steady, top_s, seconds):
    scale = Linear(t=top_s)
    time = Dimension("Time", "", False, scale)
    shown = scale.apply(seconds)
    return PolygonGate((time, time), steady_outline(steady, top_s)).contains(np.column_stack([shown, shown]))


def test_by_hand():
    """Two stretches: one foot below 0, a tooth over each, joined where no event is."""
    outline = steady_outline([(0.0, 2.0), (4.0, 8.0)], 8.0)
    assert outline == (
        *((0.0, -1.0),),
        *((0.0, -0.5), (0.0, 2.0), (0.25, 2.0), (0.25, -0.5)),
        *((0.5, -0.5), (0.5, 2.0), (1.0, 2.0), (1.0, -0.5)),
        *((1.0, -1.0),),
    )
    seconds = np.array([0.0, 1.0, 1.999, 2.0, 3.0, 3.999, 4.0, 7.999, 8.0])
    assert inside([(0.0, 2.0), (4.0, 8.0)], 8.0, seconds).tolist() == [
        *(True, True, True, False, False, False, True, True, False)
    ]


@given(
    st.lists(st.floats(0, 1e4), min_size=2, max_size=16, unique=True),
    st.lists(st.floats(0, 2e4), max_size=200),
    st.floats(1.0, 3.0),
)
def test_the_polygon_holds_the_events_of_the_mask(edges, seconds, room):
    """Edges too: both are closed-open, and a time is put on the scale by the same division as an edge."""
    edges = sorted(edges)[: len(edges) // 2 * 2]
    steady = tuple(zip(edges[::2], edges[1::2], strict=True))
    top_s = edges[-1] * room
    if any(a / top_s == b / top_s for a, b in steady):
        return  # nothing lies between them on that scale
    times = np.array([*seconds, *edges])
    times = times[times <= 2 * top_s]
    on_scale = np.searchsorted(np.array(edges) / top_s, times / top_s, side="right") % 2 == 1
    assert (inside(steady, top_s, times) == on_scale).all()
    clear = np.abs(times[:, None] - np.array(edges)).min(axis=1) > 1e-9 * top_s
    assert (on_scale == within(times, steady))[clear].all()


@given(st.integers(20_001, 60_000), st.floats(1.0, 2.0))
def test_many_events_are_the_same_as_few(n, room):
    """Beyond 20,000 points a polygon spares most of them the walk round its outline."""
    steady = ((0.5, 10.25), (11.0, 30.0), (30.125, 59.0))
    seconds = np.linspace(0, 60, n)
    assert (inside(steady, 60 * room, seconds) == within(seconds, steady)).mean() > 1 - 4 / n


@pytest.mark.parametrize(
    ("steady", "top_s"),
    [((), 1.0), (((1.0, 1.0),), 2.0), (((3.0, 4.0), (1.0, 2.0)), 5.0), (((-1.0, 1.0),), 5.0), (((0.0, 3.0),), 1.0)],
)
def test_what_no_skyline_can_hold(steady, top_s):
    with pytest.raises(ValueError, match=r"steady stretches|do not fit"):
        steady_outline(steady, top_s)
