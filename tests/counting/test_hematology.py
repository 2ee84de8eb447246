"""Which haematology count belongs to a specimen: nearness, sides of a dose, days, and clocks that go back."""

import itertools
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.counting.hematology import alc_of
from nti7flow.counting.settings import CountingSettings
from nti7flow.trial.hematology import Hematology

ZONE = ZoneInfo("America/New_York")
SETTINGS = CountingSettings()
DRAWN = datetime(2026, 2, 16, 10, 0)


def row(at, value=500.0, *, analyte="ALC", unit="cells/uL", cv=None, timepoint=None):
    return Hematology("P1", at, analyte, value, unit, cv, timepoint)


def found(at, rows, *, timepoint=None, doses=(), settings=SETTINGS):
    return alc_of(at, timepoint, rows, settings, ZONE, doses)


def test_nearest_draw_within_hours():
    rows = [row(DRAWN + timedelta(hours=h), 100.0 * (i + 1)) for i, h in enumerate((-5, 2, 3))]
    assert found(DRAWN, rows).cells_per_ul == 200
    assert found(DRAWN, rows).hours_apart == 2
    assert found(DRAWN, [row(DRAWN + timedelta(hours=6))]).hours_apart == 6
    assert found(DRAWN, [row(DRAWN + timedelta(hours=6, minutes=1))]) is None
    assert found(DRAWN, []) is None
    assert found(None, rows) is None


def test_white_cells_times_percentage_by_hand():
    """4.2 x 10^9/L are 4,200/µL; 12 % of them 504/µL; 3 and 4 % are 5 % together."""
    rows = [
        row(DRAWN, 4.2, analyte="WBC", unit="10^9/L", cv=0.03),
        row(DRAWN, 12.0, analyte="lymphocyte_percent", unit="%", cv=0.04),
    ]
    alc = found(DRAWN, rows)
    assert (alc.cells_per_ul, alc.cv) == (pytest.approx(504), pytest.approx(0.05))
    assert alc.source == "WBC x lymphocyte_percent"
    reported = found(DRAWN, [*rows, row(DRAWN, 0.49, unit="10^9/L")])
    assert (reported.cells_per_ul, reported.source, reported.cv) == (pytest.approx(490), "ALC", SETTINGS.hematology_cv)
    assert found(DRAWN, rows[:1]) is None


def test_the_parts_of_a_product_are_of_one_draw():
    rows = [
        row(DRAWN, 4.2, analyte="WBC", unit="10^9/L"),
        row(DRAWN + timedelta(hours=1), 12.0, analyte="lymphocyte_percent", unit="%"),
    ]
    assert found(DRAWN, rows) is None


def test_zero_is_a_count():
    assert found(DRAWN, [row(DRAWN, 0.0)]).cells_per_ul == 0.0


def test_dates_alone_go_with_their_day():
    day = DRAWN.date()
    assert found(day, [row(day)]).hours_apart is None
    assert found(day, [row(DRAWN.replace(hour=23))]).cells_per_ul == 500
    assert found(DRAWN, [row(day)]).cells_per_ul == 500
    assert found(day, [row(day + timedelta(days=1))]) is None
    # 01:00 UTC is the evening before in New York.
    assert found(day, [row(datetime.fromisoformat("2026-02-17T01:00+00:00"))]).cells_per_ul == 500


def test_a_count_before_a_dose_is_not_of_blood_drawn_after_it():
    """Five hours apart, the dose between: lymphocytes have left the blood by then."""
    dose = [(1, datetime(2026, 2, 16, 8, 0))]
    before = row(DRAWN - timedelta(hours=5), 800.0)
    after = row(DRAWN + timedelta(hours=5, minutes=30), 300.0)
    assert found(DRAWN, [before]).cells_per_ul == 800
    assert found(DRAWN, [before], doses=dose) is None
    assert found(DRAWN, [before, after], doses=dose).cells_per_ul == 300
    assert found(DRAWN - timedelta(hours=3), [before, after], doses=dose).cells_per_ul == 800


def test_declared_sides_are_believed_where_clocks_do_not_tell():
    day = DRAWN.date()
    doses = [(1, day)]
    rows = [row(day, 800.0, timepoint="pre-dose"), row(day, 300.0, timepoint="post-dose")]
    assert found(day, rows, timepoint="pre-dose", doses=doses).cells_per_ul == 800
    assert found(day, rows[::-1], timepoint="post-dose", doses=doses).cells_per_ul == 300
    # Declared against a clock: the dose was at eight.
    at_eight = [(1, datetime(2026, 2, 16, 8, 0))]
    assert found(DRAWN, rows, doses=at_eight).cells_per_ul == 300


def test_draws_that_nothing_tells_apart_are_named_whatever_their_order():
    day = DRAWN.date()
    rows = [row(day, 800.0, timepoint="pre-dose"), row(day, 300.0, timepoint="post-dose"), row(DRAWN, 500.0)]
    results = {found(day, order) for order in itertools.permutations(rows)}
    assert len(results) == 1
    (alc,) = results
    assert len(alc.others) == 2
    assert found(day, rows[:1]).others == ()
    assert found(DRAWN, [row(DRAWN, 500.0), row(DRAWN + timedelta(hours=1), 600.0)]).others == ()


def test_the_hour_that_a_clock_passes_twice_is_never_more_than_an_hour_off():
    """On 2026-11-01 the clock in New York goes from 02:00 back to 01:00."""
    first = datetime.fromisoformat("2026-11-01T01:30-04:00")
    again = datetime.fromisoformat("2026-11-01T01:30-05:00")
    local = datetime(2026, 11, 1, 1, 30)
    assert found(first, [row(again)]).hours_apart == 1
    assert found(local, [row(local)]).hours_apart == 0
    assert found(local, [row(first)]).hours_apart + found(local, [row(again)]).hours_apart == 1
    # 00:30 to 03:30 are four hours in that night, and two in spring.
    night = datetime(2026, 11, 1, 0, 30)
    assert found(night, [row(datetime(2026, 11, 1, 3, 30))]).hours_apart == 4
    assert found(datetime(2026, 3, 8, 0, 30), [row(datetime(2026, 3, 8, 3, 30))]).hours_apart == 2


def test_sheets_that_contradict_themselves_do_not_stop_the_count():
    day = date(2026, 2, 16)
    dose = [(1, datetime(2026, 2, 16, 8, 0))]
    assert found(DRAWN, [row(day)], timepoint="pre-dose", doses=dose).cells_per_ul == 500


@given(
    st.lists(st.tuples(st.integers(-600, 600), st.integers(0, 2000)), min_size=1, max_size=6, unique_by=lambda x: x[0])
)
def test_order_of_the_rows_never_matters_and_the_nearest_wins(draws):
    rows = [row(DRAWN + timedelta(minutes=minutes), float(value)) for minutes, value in draws]
    alc = found(DRAWN, rows)
    assert found(DRAWN, rows[::-1]) == alc
    nearest = min(abs(minutes) for minutes, _ in draws)
    if nearest > 360:
        assert alc is None
    else:
        assert alc.hours_apart == pytest.approx(nearest / 60)
