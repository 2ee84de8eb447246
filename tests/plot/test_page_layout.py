"""Any number of plots, and any length of table, fits on the page."""

from itertools import combinations

import pytest

from nti7flow.plot.layout import EDGE, WIDTH, Plan


@pytest.mark.parametrize("n_panels", range(13))
@pytest.mark.parametrize("table_height", [1.0, 3.7, 9.0])
def test_frames_and_table_are_apart_and_on_the_page(n_panels, table_height):
    plan = Plan.of(n_panels, table_height, 2)
    rects = [plan.frame(i) for i in range(n_panels)] + [plan.table]
    for rect in rects:
        assert EDGE <= rect.left < rect.right <= WIDTH - EDGE + 1e-9
        assert 2 * EDGE <= rect.bottom < rect.top <= plan.height
    for a, b in combinations(rects, 2):
        assert max(a.left - b.right, b.left - a.right, a.bottom - b.top, b.bottom - a.top) > 0.2
    assert plan.n_columns in (3, 4)
    assert plan.table.top - plan.table.bottom >= table_height


def test_six_plots_and_a_table_make_two_rows():
    assert (Plan.of(6, 3.7, 1).n_columns, Plan.of(5, 3.7, 1).n_columns) == (4, 3)
