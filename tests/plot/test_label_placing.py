"""Labels find places that are inside, apart, and near what they name."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nti7flow.plot.placing import CELL, INSET, SPACE, Rect, Wish, place

FRAME = (300.0, 240.0)
WHOLE = Rect(0.0, 0.0, *FRAME)
EMPTY = np.zeros((81, 101))


def wish(size, at, home=WHOLE):
    return Wish(size, home, np.array([at], float))


def test_a_corner_is_taken_when_it_is_free():
    (found,) = place([wish((80, 30), (294, 234))], FRAME, EMPTY, EMPTY)
    assert (found.right, found.top) == (300 - INSET, 240 - INSET)


def test_a_label_makes_room_for_events_and_lines():
    ink = EMPTY.copy()
    ink[60:, 60:] = 1.0  # the upper right corner is full of events
    (found,) = place([wish((60, 30), (294, 234))], FRAME, ink, EMPTY)
    assert found.right <= 60 * CELL + 6 or found.top <= 60 * CELL + 6
    lines = EMPTY.copy()
    lines[:, 70] = 1.0
    (found,) = place([wish((60, 30), (215, 120))], FRAME, EMPTY, lines)
    assert found.right <= 70 * CELL or found.left >= 71 * CELL


def test_a_label_stands_nearer_to_its_own_gate():
    wishes = [wish((60, 20), (100, 120)), wish((60, 20), (140, 120))]
    left, right = place(wishes, FRAME, EMPTY, EMPTY)
    assert left.right < right.left


def test_what_has_no_room_gets_no_place():
    assert place([wish((400, 20), (0, 0))], FRAME, EMPTY, EMPTY) == [None]
    crowd = place([wish((250, 100), (0, 0)) for _ in range(4)], FRAME, EMPTY, EMPTY)
    assert sum(found is not None for found in crowd) == 2


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(5, 120), st.floats(5, 60), st.floats(0, 300), st.floats(0, 240)), min_size=1, max_size=8
    )
)
def test_labels_never_touch_and_never_leave_the_frame(labels):
    found = [f for f in place([wish((w, h), (x, y)) for w, h, x, y in labels], FRAME, EMPTY, EMPTY) if f]
    for rect in found:
        assert rect.left >= INSET and rect.right <= FRAME[0] - INSET + 1e-9
        assert rect.bottom >= INSET and rect.top <= FRAME[1] - INSET + 1e-9
    for a, b in combinations(found, 2):
        gap = max(a.left - b.right, b.left - a.right, a.bottom - b.top, b.bottom - a.top)
        assert gap >= SPACE - 1e-9
