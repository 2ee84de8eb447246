"""Counts that another program stored with its gates, beside ours."""

from dataclasses import replace

import pytest

from nti7flow.counting.checks import Check
from nti7flow.counting.fractions import Count
from nti7flow.counting.stored import check_stored, compare_counts, flag_counts, total_flags

COUNT = Count("live", "Live", "/live", "root", 100, 1000, 1000, 10.0, None, "ok", ("odd",), "info")


def compared(n_events, stored, *, total=1000):
    """Severity and difference of one population beside its stored count."""
    (row,) = compare_counts([replace(COUNT, n_events=n_events)], total, {"live": stored})
    return row.severity, row.difference, row.limit


@pytest.mark.parametrize(
    ("ours", "theirs", "severity"),
    [
        (100, 100, ""),
        (105, 100, ""),
        (106, 100, "review"),
        (95, 100, ""),
        (94, 100, "review"),
        (0, 5, ""),
        (0, 6, "review"),
        (10_020, 10_000, ""),
        (10_021, 10_000, "review"),
        (9_979, 10_000, "review"),
        (2_505, 2_500, ""),  # 0.2 % is five events here, and less below
        (2_506, 2_500, "review"),
    ],
)
def test_limit_is_five_events_or_two_in_a_thousand_whichever_is_more(ours, theirs, severity):
    assert compared(ours, theirs) == (severity, ours - theirs, pytest.approx(max(5.0, 0.002 * theirs)))


def test_total_may_not_differ_at_all():
    (row,) = compare_counts([], 999, {"": 1000})
    assert (row.population, row.path, row.n_events, row.difference, row.limit) == ("root", "/", 999, -1, 0.0)
    assert total_flags([row]) == {"stored_total_differs": "review"}
    assert total_flags(compare_counts([], 1000, {"": 1000})) == {}


def test_what_is_not_stored_or_not_counted_is_no_comparison():
    assert compare_counts([COUNT], 1000, {}) == ()
    assert compare_counts([COUNT], 1000, {"dead": 3}) == ()
    assert compared(None, 100) == ("", None, 5.0)


def test_flags_are_of_the_population_alone_and_come_before_those_of_the_sample():
    counts = [COUNT, replace(COUNT, population="t_cells", n_events=40, flags=(), severity="")]
    rows = compare_counts(counts, 1000, {"live": 100, "t_cells": 60})
    live, t_cells = flag_counts(counts, rows, {"file_FCS030": "review"})
    assert (live.flags, live.severity) == (("odd", "file_FCS030"), "review")
    assert (t_cells.flags, t_cells.severity) == (("stored_count_differs", "file_FCS030"), "review")
    live, t_cells = flag_counts(counts, rows, {})
    assert (live.flags, live.severity) == (("odd",), "info")
    assert (t_cells.flags, t_cells.severity) == (("stored_count_differs",), "review")


def test_checks_say_how_many_differ_and_whether_the_tube_is_the_one_that_was_counted():
    counts = [COUNT, replace(COUNT, population="t_cells", n_events=40)]
    rows = compare_counts(counts, 999, {"": 1000, "live": 10, "t_cells": 60})
    assert list(check_stored(rows)) == [
        Check("stored_total_differs", -1, 0.0, "review"),
        Check("stored_count_differs", 2, 0, "review"),
    ]
    agreeing = compare_counts(counts, 1000, {"": 1000, "live": 100})
    assert [check.severity for check in check_stored(agreeing)] == ["", ""]
    assert list(check_stored(())) == []
