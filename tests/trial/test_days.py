"""Day arithmetic: the study day against CDISC's table, and draws on either side of a dose."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nti7flow.trial.days import Timing, is_baseline, is_blind, local_date, study_day, timing

NEW_YORK = ZoneInfo("America/New_York")
#: Clocks here went back from 00:01 to 23:01 of the day before, until 2011.
ST_JOHNS = ZoneInfo("America/St_Johns")
DOSE = date(2021, 6, 3)


def at(text: str) -> date | datetime:
    """A moment as a sheet has it."""
    return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)


days = st.dates(date(2000, 1, 1), date(2040, 1, 1))


# SDTMIG 3.4, section 4.4.4: --DY = (date of --DTC) - (date of RFSTDTC) + 1 on or after RFSTDTC, without + 1 before.
@pytest.mark.parametrize(
    ("on", "first", "day"),
    [
        ("2021-06-03", "2021-06-03", 1),
        ("2021-06-04", "2021-06-03", 2),
        ("2021-06-02", "2021-06-03", -1),
        ("2021-06-01", "2021-06-03", -2),
        ("2021-05-27", "2021-06-03", -7),
        ("2021-06-10", "2021-06-03", 8),
        ("2024-03-01", "2024-02-28", 3),  # a leap year
        ("2023-03-01", "2023-02-28", 2),
        ("2022-06-03", "2021-06-03", 366),
        ("2020-12-31", "2021-01-01", -1),
    ],
)
def test_study_day_is_that_of_cdisc(on, first, day):
    assert study_day(date.fromisoformat(on), date.fromisoformat(first)) == day


@given(days, days)
def test_there_is_no_study_day_0(on, first):
    day = study_day(on, first)
    assert day != 0
    assert (day > 0) == (on >= first)


@given(days, days)
def test_study_day_rises_by_one_and_jumps_over_0(on, first):
    today, tomorrow = study_day(on, first), study_day(on + timedelta(days=1), first)
    assert tomorrow - today == (2 if today == -1 else 1)


def test_study_day_refuses_a_datetime():
    with pytest.raises(TypeError, match="local_date"):
        study_day(datetime(2021, 6, 3, 8), DOSE)


def test_the_local_date_is_that_of_the_time_zone_of_the_study():
    assert local_date(at("2021-06-04T02:30+00:00"), NEW_YORK) == date(2021, 6, 3)
    assert local_date(at("2021-06-03T23:30-10:00"), NEW_YORK) == date(2021, 6, 4)
    assert local_date(at("2021-06-03T23:30"), NEW_YORK) == date(2021, 6, 3)
    assert local_date(DOSE, NEW_YORK) == DOSE


# One dose, on 2021-06-03: when it was given, when was drawn, what was declared -> timing.
@pytest.mark.parametrize(
    ("dosed", "drawn", "declared", "expected"),
    [
        ("2021-06-03", "2021-06-02", None, Timing(-1, 0, None, True)),
        ("2021-06-03", "2021-06-04", None, Timing(2, 1, 1, True)),
        # Both times: the clock decides.
        ("2021-06-03T09:00", "2021-06-03T08:15", None, Timing(1, 0, None, True, 1)),
        ("2021-06-03T09:00", "2021-06-03T15:00", None, Timing(1, 1, 0, True)),
        ("2021-06-03T09:00-04:00", "2021-06-03T12:30+00:00", None, Timing(1, 0, None, True, 1)),
        ("2021-06-03T09:00-04:00", "2021-06-03T13:30+00:00", None, Timing(1, 1, 0, True)),
        ("2021-06-03T13:00+00:00", "2021-06-03T08:59", None, Timing(1, 0, None, True, 1)),  # local against UTC
        ("2021-06-03T13:00+00:00", "2021-06-03T09:01", None, Timing(1, 1, 0, True)),
        # 01:30 UTC on the 4th is the evening of the 3rd where the patient is.
        ("2021-06-03T09:00", "2021-06-04T01:30+00:00", None, Timing(1, 1, 0, True)),
        # A time is missing, or both are the same: what was declared decides, else the draw is after and not sure.
        ("2021-06-03", "2021-06-03", "pre-dose", Timing(1, 0, None, True, 1)),
        ("2021-06-03", "2021-06-03", "post-dose", Timing(1, 1, 0, True)),
        ("2021-06-03", "2021-06-03", None, Timing(1, 1, 0, False)),
        ("2021-06-03", "2021-06-03T08:15", None, Timing(1, 1, 0, False)),
        ("2021-06-03T09:00", "2021-06-03", None, Timing(1, 1, 0, False)),
        ("2021-06-03T09:00", "2021-06-03", "pre-dose", Timing(1, 0, None, True, 1)),
        ("2021-06-03T09:00", "2021-06-03T09:00", None, Timing(1, 1, 0, False)),
        ("2021-06-03T09:00", "2021-06-03T09:00", "pre-dose", Timing(1, 0, None, True, 1)),
        # What agrees with the clock changes nothing; on a day without a dose nothing is said.
        ("2021-06-03T09:00", "2021-06-03T08:15", "pre-dose", Timing(1, 0, None, True, 1)),
        ("2021-06-03T09:00", "2021-06-17T08:15", "pre-dose", Timing(15, 1, 14, True)),
    ],
)
def test_a_draw_and_one_dose(dosed, drawn, declared, expected):
    assert timing(at(drawn), [(1, at(dosed))], zone=NEW_YORK, timepoint=declared) == expected


def test_without_a_dose_there_is_no_study_day():
    assert timing(DOSE, [], zone=NEW_YORK) == Timing(None, 0, None, True)


@pytest.mark.parametrize(
    ("drawn", "declared", "said"),
    [
        ("2021-06-03T10:00", "pre-dose", "declared pre-dose, but by the clock it is after every dose"),
        ("2021-06-03T08:00", "post-dose", "declared post-dose, but by the clock it is before every dose"),
        ("2021-06-03T08:00", "predose", "timepoint is 'predose'; expected pre-dose, post-dose"),
    ],
)
def test_a_declaration_that_contradicts_the_clock_is_refused(drawn, declared, said):
    with pytest.raises(ValueError, match=said):
        timing(at(drawn), [(1, at("2021-06-03T09:00"))], zone=NEW_YORK, timepoint=declared)


@pytest.mark.parametrize(
    ("given_doses", "said"),
    [
        ([(1, "2021-06-03"), (2, "2021-06-02")], "dose 2 was given before dose 1"),
        ([(2, "2021-06-03T08:00"), (1, "2021-06-03T09:00")], "dose 2 was given before dose 1"),
        # Dose 2 has no time, so only 1 and 3 can be compared.
        ([(1, "2021-06-03T16:00"), (2, "2021-06-03"), (3, "2021-06-03T08:00")], "dose 3 was given before dose 1"),
        ([(1, "2021-06-03"), (1, "2021-07-03")], "two doses have the number 1"),
        ([(0, "2021-06-03")], "numbered from 1"),
    ],
)
def test_doses_that_are_not_numbered_in_the_order_of_time_are_refused(given_doses, said):
    with pytest.raises(ValueError, match=said):
        timing(DOSE, [(n, at(text)) for n, text in given_doses], zone=NEW_YORK)


@pytest.mark.parametrize(
    ("drawn", "declared", "expected"),
    [
        ("2021-06-03T07:00", None, Timing(1, 0, None, True, 1)),
        ("2021-06-03T12:00", None, Timing(1, 1, 0, True, 2)),
        ("2021-06-03T12:00", "pre-dose", Timing(1, 1, 0, True, 2)),  # before the second
        ("2021-06-03T12:00", "post-dose", Timing(1, 1, 0, True, 2)),  # after the first
        ("2021-06-03T17:00", None, Timing(1, 2, 0, True)),
        ("2021-06-03", None, Timing(1, 2, 0, False)),
        # Before one of them, but which: it may have the first dose behind it.
        ("2021-06-03", "pre-dose", Timing(1, 1, 0, False, 2)),
        ("2021-06-03", "post-dose", Timing(1, 2, 0, False)),
    ],
)
def test_two_doses_on_one_day(drawn, declared, expected):
    doses = [(1, at("2021-06-03T09:00")), (2, at("2021-06-03T16:00"))]
    assert timing(at(drawn), doses, zone=NEW_YORK, timepoint=declared) == expected


def test_days_are_of_the_calendar_when_clocks_change():
    # The night of 2021-11-07 had 25 hours in New York, that of 2022-03-13 had 23.
    autumn = [(1, at("2021-11-06T22:00-04:00"))]
    assert timing(at("2021-11-07T21:30-05:00"), autumn, zone=NEW_YORK).day_from_dose == 1
    spring = [(1, at("2022-03-12T22:00"))]
    assert timing(at("2022-03-13T00:30"), spring, zone=NEW_YORK) == Timing(2, 1, 1, True)


def test_a_clock_that_passes_an_hour_twice_tells_an_order_only_where_both_readings_agree():
    # 01:30 was at 05:30 and at 06:30 UTC.
    dose = [(1, at("2021-11-07T01:30"))]
    assert timing(at("2021-11-07T05:00+00:00"), dose, zone=NEW_YORK).sure
    assert not timing(at("2021-11-07T06:00+00:00"), dose, zone=NEW_YORK).sure
    assert timing(at("2021-11-07T07:00+00:00"), dose, zone=NEW_YORK) == Timing(1, 1, 0, True)
    draw = at("2021-11-07T01:30")
    for instant, sure in (("05:15", True), ("05:30", False), ("06:00", False), ("06:30", False), ("06:45", True)):
        assert timing(draw, [(1, at(f"2021-11-07T{instant}+00:00"))], zone=NEW_YORK).sure == sure
    # Offsets say which of the two passes it was, though the clocks say the reverse.
    first, second = at("2021-11-07T01:40-04:00"), at("2021-11-07T01:20-05:00")
    assert timing(second, [(1, first)], zone=NEW_YORK) == Timing(1, 1, 0, True)
    assert timing(first.astimezone(NEW_YORK), [(1, second.astimezone(NEW_YORK))], zone=NEW_YORK).dose == 0


@pytest.mark.parametrize(
    ("dose", "expected"),
    # Screening, pre-dose 1, not sure on the day, day 3, day 4, pre-dose 2, day 1 of dose 2
    [(1, [True, True, False, False, False, False, False]), (2, [False, False, False, False, True, True, False])],
)
def test_what_serves_as_baseline(dose, expected):
    doses = [(1, at("2021-06-03T09:00")), (2, at("2021-09-01"))]
    draws = [
        ("2021-05-20", None),
        ("2021-06-03T08:00", None),
        ("2021-06-03", None),
        ("2021-06-06", None),
        ("2021-06-07", None),
        ("2021-09-01", "pre-dose"),
        ("2021-09-02", None),
    ]
    timings = [timing(at(drawn), doses, zone=NEW_YORK, timepoint=declared) for drawn, declared in draws]
    assert [is_baseline(t, dose=dose) for t in timings] == expected
    assert [is_blind(t) for t in timings] == [False, False, True, True, False, False, True]


zones = st.sampled_from([NEW_YORK, ST_JOHNS, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("UTC")])
offsets = st.sampled_from([None, UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=5, minutes=30))])
#: The first days of November 2010: clocks change in two of the zones, and moments often share a day.
moments = st.one_of(
    st.dates(date(2010, 11, 5), date(2010, 11, 9)),
    st.builds(
        lambda moment, offset: moment.replace(tzinfo=offset),
        st.datetimes(datetime(2010, 11, 5), datetime(2010, 11, 9), timezones=st.none()),
        offsets,
    ),
)
timepoints = st.sampled_from([None, "pre-dose", "post-dose"])


@st.composite
def histories(draw):
    """A draw, up to three doses numbered in the order of time, a zone and a declaration that can be true."""
    zone, drawn, declared = draw(zones), draw(moments), draw(timepoints)
    doses = list(enumerate(draw(st.lists(moments, max_size=3)), 1))
    try:
        timing(drawn, doses, zone=zone, timepoint=declared)
    except ValueError:
        assume(False)
    return drawn, doses, zone, declared


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_the_doses_does_not_matter(history, random):
    drawn, doses, zone, declared = history
    mixed = random.sample(doses, len(doses))
    assert timing(drawn, mixed, zone=zone, timepoint=declared) == timing(drawn, doses, zone=zone, timepoint=declared)


@given(histories())
def test_days_and_doses_of_a_timing_agree(history):
    drawn, doses, zone, declared = history
    found = timing(drawn, doses, zone=zone, timepoint=declared)
    on = local_date(drawn, zone)
    dates = {number: local_date(moment, zone) for number, moment in doses}
    assert all(dates[n] <= on for n in dates if n <= found.dose)
    assert all(dates[n] >= on for n in dates if n > found.dose)
    assert found.day_from_dose == ((on - dates[found.dose]).days if found.dose else None)
    assert found.day == (study_day(on, dates[1]) if dates else None)
    assert found.dose_to_come == (found.dose + 1 if dates.get(found.dose + 1) == on else None)


@given(histories())
def test_what_is_not_sure_is_on_the_day_of_a_dose_and_never_a_baseline(history):
    drawn, doses, zone, declared = history
    found = timing(drawn, doses, zone=zone, timepoint=declared)
    if not found.sure:
        assert found.day_from_dose == 0
        assert not any(is_baseline(found, dose=n) for n in range(1, 5))


@given(histories(), st.integers(0, 1439))
def test_a_time_makes_nothing_less_sure(history, minute):
    drawn, doses, zone, _ = history
    on = local_date(drawn, zone)
    timed = datetime.combine(on, time(minute // 60, minute % 60))
    assert timing(timed, doses, zone=zone).dose <= timing(on, doses, zone=zone).dose
    assert timing(timed, doses, zone=zone).sure or not timing(on, doses, zone=zone).sure
