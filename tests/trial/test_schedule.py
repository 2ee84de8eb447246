"""Visit windows that start again at each dose, which visit a specimen is, and which ones are expected."""

import itertools
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.errors import ConfigError
from nti7flow.trial.days import Timing, timing
from nti7flow.trial.schedule import NCT04781309, Schedule, Visit, VisitWindow

NEW_YORK = ZoneInfo("America/New_York")
DOSE = datetime(2021, 6, 3, 9)
TELEPHONE = {"month 4", "month 5", "month 7", "month 8"}
BLOOD = ["day 1", "day 3", "day 7", "day 21", "month 2", "month 3", "month 6", "month 9", "month 12"]


def visits_at(draws, doses=((1, DOSE), (2, DOSE + timedelta(days=100)))):
    """Visits of draws at so many (days, hours) from the first dose, which was given at 9."""
    moments = [DOSE + timedelta(days=day, hours=hours) for day, hours in draws]
    return [NCT04781309.visit_of(timing(moment, doses, zone=NEW_YORK)) for moment in moments]


def test_the_default_has_the_visits_of_the_registry():
    blood = {w.name: w for w in NCT04781309.windows if w.blood}
    assert list(blood) == BLOOD
    assert {w.name for w in NCT04781309.windows if not w.blood} == TELEPHONE
    for window in NCT04781309.windows:
        unit, number = window.name.split()
        assert window.day == round(int(number) * (30.4 if unit == "month" else 1))
    # "A second 7-day inpatient stay by day 21": counts peak on days 14 to 28.
    assert (blood["day 21"].earliest, blood["day 21"].latest) == (10, 35)


def test_windows_with_blood_meet_in_the_middle_from_month_2():
    blood = [w for w in NCT04781309.windows if w.blood]
    for a, b in itertools.pairwise(blood[4:]):
        middle = (a.day + b.day) / 2
        assert a.latest <= middle < a.latest + 1 == b.earliest


@given(st.integers(-500, 1000))
def test_every_day_from_1_to_410_is_in_exactly_one_window(day):
    inside = [w for w in NCT04781309.windows if w.blood and w.earliest <= day <= w.latest]
    assert len(inside) == (1 if 1 <= day <= 410 else 0)
    assert NCT04781309.window_for(day) == (inside[0] if inside else None)


def test_each_specimen_has_one_visit_and_a_dose_starts_the_calendar_again():
    assert visits_at([(-43, 0), (-42, 0), (-1, 0), (0, -1), (0, 6), (1, 0), (5, 0), (7, 0), (24, 0), (58, 0)]) == [
        Visit(1, "unscheduled", -43),
        Visit(1, "screening", -42),
        Visit(1, "screening", -1),
        Visit(1, "pre-dose", 0),
        Visit(1, "unscheduled", 0),
        Visit(1, "day 1", 1),
        Visit(1, "day 7", 5),
        Visit(1, "day 7", 7),
        Visit(1, "day 21", 24),
        Visit(1, "month 2", 58),
    ]
    # The second dose is on day 100 of the first: the day before is still month 3, the draw before it is pre-dose.
    assert visits_at([(99, 0), (100, -1), (100, 6), (101, 0), (100 + 365, 0), (100 + 411, 0)]) == [
        Visit(1, "month 3", 99),
        Visit(2, "pre-dose", 0),
        Visit(2, "unscheduled", 0),
        Visit(2, "day 1", 1),
        Visit(2, "month 12", 365),
        Visit(2, "unscheduled", 411),
    ]


def test_a_subject_without_a_dose_is_screened():
    assert NCT04781309.visit_of(timing(DOSE, [], zone=NEW_YORK)) == Visit(1, "screening", None)


def test_a_draw_that_may_be_pre_dose_is_not_called_so():
    unsure = timing(DOSE.date(), [(1, DOSE)], zone=NEW_YORK)
    assert NCT04781309.visit_of(unsure) == Visit(1, "unscheduled", 0)


def test_no_specimen_belongs_to_a_telephone_visit():
    only_calls = Schedule((VisitWindow("call", 30, 0, 60, blood=False),))
    assert only_calls.window_for(30) is None
    assert only_calls.visit_of(Timing(31, 1, 30, True)) == Visit(1, "unscheduled", 30)
    assert only_calls.expected_visits([0]) == (Visit(1, "pre-dose", 0),)


def names(visits, dose):
    return [visit.name for visit in visits if visit.dose == dose]


def test_a_whole_year_expects_every_visit_with_blood():
    assert names(NCT04781309.expected_visits([0]), 1) == ["pre-dose", *BLOOD]


def test_a_new_dose_and_the_end_of_follow_up_end_a_calendar():
    # Dose 2 on day 100: of dose 1, month 2 (to 76) has closed and month 3 (to 136) has not.
    # Death on day 136, which is day 36 of dose 2: day 21 (to 35) has closed.
    expected = NCT04781309.expected_visits([100, 0], end_day=136)
    assert names(expected, 1) == ["pre-dose", "day 1", "day 3", "day 7", "day 21", "month 2"]
    assert names(expected, 2) == ["pre-dose", "day 1", "day 3", "day 7", "day 21"]
    assert "day 21" not in names(NCT04781309.expected_visits([100, 0], end_day=135), 2)
    assert expected == NCT04781309.expected_visits([1, 101], end_day=137)  # the same, in study days


def test_without_a_dose_nothing_is_expected():
    assert NCT04781309.expected_visits([]) == ()
    assert NCT04781309.expected_visits([0, 500], end_day=-1) == ()


def test_visits_that_were_missed():
    attended = visits_at([(0, -1), (1, 0), (3, 0), (21, 0), (45, 0), (100, -1)])
    missed = NCT04781309.missing_visits(attended, [0, 100], end_day=104)
    assert missed == (Visit(1, "day 7", 7), Visit(2, "day 1", 1))


days = st.integers(0, 900)


@given(st.lists(days, max_size=3, unique=True), st.none() | days)
def test_who_comes_on_every_day_misses_nothing(dose_days, end_day):
    doses = [(n, DOSE + timedelta(days=day)) for n, day in enumerate(sorted(dose_days), 1)]
    last = 1400 if end_day is None else end_day
    draws = [DOSE + timedelta(days=day, hours=-1) for day in range(last + 1)]
    attended = [NCT04781309.visit_of(timing(draw, doses, zone=NEW_YORK)) for draw in draws]
    assert NCT04781309.missing_visits(attended, dose_days, end_day) == ()


@given(st.lists(days, min_size=1, max_size=3), days, days)
def test_a_longer_follow_up_expects_no_less(dose_days, end_day, more):
    short = NCT04781309.expected_visits(dose_days, end_day)
    assert set(short) <= set(NCT04781309.expected_visits(dose_days, end_day + more))
    assert not TELEPHONE & {visit.name for visit in short}


def test_windows_are_kept_by_day():
    a, b = VisitWindow("a", 1, 1, 2), VisitWindow("b", 5, 3, 6)
    assert Schedule((b, a)).windows == (a, b)


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (("x", 5, 6, 7), "earliest 6, day 5, latest 7"),
        (("x", 5, 4, 4), "earliest 4, day 5, latest 4"),
        (("x", 0, -1, 1), "earliest -1, day 0, latest 1"),
        ((" ", 1, 1, 1), "a visit is named ' '"),
        (("pre-dose", 0, 0, 0), "a visit is named 'pre-dose'"),
    ],
)
def test_a_window_that_cannot_be_is_refused(window, said):
    with pytest.raises(ValueError, match=said):
        VisitWindow(*window)


def test_windows_that_contradict_each_other_are_refused_all_at_once():
    windows = (
        VisitWindow("a", 1, 1, 9),
        VisitWindow("b", 5, 5, 6),
        VisitWindow("a", 9, 9, 9),
        VisitWindow("c", 20, 20, 20),
    )
    with pytest.raises(ValueError, match="2 visits are named 'a'") as caught:
        Schedule(windows, screening_from_day=0)
    said = str(caught.value)
    assert "visits 'a' (days 1 to 9) and 'b' (5 to 6) overlap" in said
    assert "visits 'a' (days 1 to 9) and 'a' (9 to 9) overlap" in said
    assert "screening is from day 0; expected a day before 0" in said
    assert said.count("overlap") == 2


def test_a_schedule_of_a_study_file():
    schedule = Schedule.from_mapping(
        {
            "screening_from_day": -28,
            "visits": [
                {"name": "week 4", "day": 28, "earliest": 21, "latest": 35},
                {"name": "call", "day": 30, "blood": False},
                {"name": "day 1", "day": 1},
            ],
        }
    )
    expected = (
        VisitWindow("day 1", 1, 1, 1),
        VisitWindow("week 4", 28, 21, 35),
        VisitWindow("call", 30, 30, 30, blood=False),
    )
    assert schedule == Schedule(expected, -28)


def test_what_a_study_file_leaves_out_is_as_in_the_registry():
    assert Schedule.from_mapping({}) == NCT04781309
    assert Schedule.from_mapping({"screening_from_day": -10}).windows == NCT04781309.windows


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"visit": []}, "schedule.visit: no such key. Did you mean 'visits'?"),
        ({"visits": []}, "schedule.visits: List should have at least 1 item"),
        ({"visits": [{"name": "a"}]}, "schedule.visits[0].day: Field required."),
        (
            {"visits": [{"name": "a", "day": "7"}]},
            "schedule.visits[0].day: Input should be a valid integer; found '7'.",
        ),
        (
            {"visits": [{"name": "a", "day": 7, "blood": "NO"}]},
            "schedule.visits[0].blood: Input should be a valid bool",
        ),
        (
            {"visits": [{"name": "a", "day": 7, "late": 9}]},
            "schedule.visits[0].late: no such key. Did you mean 'latest'?",
        ),
        (
            {"visits": [{"name": "a", "day": 7, "latest": 5}]},
            "schedule.visits[0]: visit 'a' has earliest 7, day 7, latest",
        ),
        (
            {"visits": [{"name": "a", "day": 7}] * 2},
            "schedule: 2 visits are named 'a'; visits 'a' (days 7 to 7) and 'a'",
        ),
        ({"screening_from_day": 3}, "schedule: screening is from day 3; expected a day before 0."),
    ],
)
def test_what_is_wrong_in_a_study_file_is_said_with_its_place(mapping, said):
    with pytest.raises(ConfigError) as caught:
        Schedule.from_mapping(mapping)
    assert said in str(caught.value)


def test_every_problem_of_a_study_file_is_said():
    with pytest.raises(ConfigError) as caught:
        Schedule.from_mapping({"screening": -28, "visits": [{"name": "a"}, {"name": "screening", "day": 3}]})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "schedule.visits[0].day",
        "schedule.visits[1]",
        "schedule.screening",
    ]
