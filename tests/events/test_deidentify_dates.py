"""Dates within text: what is shifted, how it is written afterwards, and what is too ambiguous to be shifted."""

import time
from contextlib import suppress
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nti7flow.events.deidentify.dates import AmbiguousDateError, shift_dates, shift_epoch, without_dates


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # 4 October 2018 minus 137 days, counted by hand: 4 in October, 30, 31, 31, 30 back to 1 June, 11 more: 20 May.
        ("04-OCT-2018", "20-MAY-2018"),
        ("04-Oct-2018", "20-May-2018"),
        ("4-oct-18", "20-may-18"),
        ("2018-10-04", "2018-05-20"),
        ("2018-10-04T12:55:12+02:00", "2018-05-20T12:55:12+02:00"),
        ("2018-10-04T12:55:12.250Z", "2018-05-20T12:55:12.250Z"),
        ("2018-Oct-04 13:11:17", "2018-May-20 13:11:17"),
        ("04-OCT-2018-18:57:58", "20-MAY-2018-18:57:58"),
        ("04-Oct-2018, 10:38:38", "20-May-2018, 10:38:38"),
        ("20181004", "20180520"),
        ("20181004T103000", "20180520T103000"),
        ("20181004103000", "20180520103000"),
        ("2018_10_04_AB_02", "2018_05_20_AB_02"),
        ("October 4, 2018", "May 20, 2018"),
        ("OCT 4 2018", "MAY 20 2018"),
        ("Thu Oct  4 10:30:00 2018", "May  20 10:30:00 2018"),
        ("Thu, 04 Oct 2018", "20 May 2018"),
        ("4 Okt 2018", "20 May 2018"),
        ("4. Oktober 2018", "20. May 2018"),
        ("4.10.2018", "20.05.2018"),
        ("04.10.2018", "20.05.2018"),
        ("10/24/2018 11:24:01 AM", "06/09/2018 11:24:01 AM"),
        ("24/10/2018", "09/06/2018"),
        ("24-10-2018", "09-06-2018"),
        ("drawn 04-OCT-2018, run 05-OCT-2018", "drawn 20-MAY-2018, run 21-MAY-2018"),
        ("29-FEB-2020", "15-OCT-2019"),
        ("01-JAN-00", "17-AUG-99"),
    ],
)
def test_dates_with_one_reading_are_shifted_as_they_are_written(before, after):
    assert shift_dates(before, -137) == after
    assert without_dates(before) != before


@pytest.mark.parametrize(
    "text", ["03/06/2021", "5/5/2018", "03-06-2021", "03/06/21", "24/10/18", "July 2017 (5-Blue)", "Oct-2018"]
)
def test_dates_with_more_than_one_reading_or_no_day_are_refused(text):
    with pytest.raises(AmbiguousDateError):
        shift_dates(text, -1)
    assert without_dates(text) != text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CD3 FITC",
        "10:30:00",
        "MACSQuantify,2.4.1247.1dev",
        "10.4.9",
        "1.0.23.1",
        "192.168.20.18",
        "1-15_003",
        "12-015628-3",
        "30-FEB-2018",
        "2018-13-04",
        "99/99/2020",
        "04-OCT-1818",
        "may be 20 or so",
        "Configuration 3",
        "0.20181004",
        "120181004",
        "488/10",
        "525/50",
    ],
)
def test_what_is_no_date_stays(text):
    assert shift_dates(text, -1) == text
    assert without_dates(text) == text


def test_a_date_shifted_out_of_the_calendar_is_refused():
    for text in ("01-JAN-1900", "1900-01-01"):
        with pytest.raises(AmbiguousDateError):
            shift_dates(text, -1)
    with pytest.raises(AmbiguousDateError):
        shift_dates("2018-10-04", -(10**9))


def test_seconds_and_milliseconds_since_1970():
    assert shift_epoch("1550597056475", -1) == "1550510656475"
    assert shift_epoch(" 1550597056 ", 2) == "1550769856"
    assert shift_epoch("15505970564", 2) is None
    assert shift_epoch("soon", 2) is None


WRITTEN = ("%d-%b-%Y", "%Y-%m-%d", "%Y-%b-%d", "%Y%m%d", "%d %B %Y", "%B %d, %Y", "%d.%m.%Y", "%Y/%m/%d")
days = st.dates(date(1950, 1, 1), date(2060, 12, 31))


@given(first=days, apart=st.integers(0, 900), shift=st.integers(-365, 365), form=st.sampled_from(WRITTEN))
def test_the_time_between_two_visits_stays(first, apart, shift, form):
    second = first + timedelta(apart)
    within = [day + timedelta(n) for day in (first, second) for n in (0, shift)]
    assume("%B" not in form or all(day.month != 5 for day in within))  # May is short and long
    moved = [shift_dates(day.strftime(form), shift) for day in (first, second)]
    assert moved == [(day + timedelta(shift)).strftime(form) for day in (first, second)]
    assert [shift_dates(text, -shift) for text in moved] == [day.strftime(form) for day in (first, second)]


@given(text=st.text().filter(lambda text: not any(c.isdigit() for c in text)), shift=st.integers(-365, 365))
def test_text_without_digits_stays(text, shift):
    assert shift_dates(text, shift) == text


@pytest.mark.parametrize("piece", ["1", "1-", "oct ", "Mon ", "2018-", "1.", " ", "1/", "12 oct "])
def test_long_text_takes_no_long_time(piece):
    start = time.process_time()
    with suppress(AmbiguousDateError):
        shift_dates(piece * (20_000 // len(piece)), -1)
    assert time.process_time() - start < 1
