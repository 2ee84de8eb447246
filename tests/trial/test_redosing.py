"""The redosing rule: findings worked by hand, the wording, and what must never change the advice."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.trial.redosing import AlcValue, Finding, RedosingRule, advise

RULE = RedosingRule()


def counts(*pairs):
    return [AlcValue(day, cells) for day, cells in pairs]


# Protocol: higher if 1000/µL was not reached, the same if it was and did not last; none past the third dose.
@pytest.mark.parametrize(
    ("dose", "values", "finding", "amount", "reached", "sustained", "decided"),
    [
        (1, [], "not_assessable", None, None, None, None),
        (1, [(1, 90), (3, 2000)], "not_assessable", None, None, None, None),
        (1, [(-20, 2000)], "not_assessable", None, None, None, None),
        (1, [(4, 300)], "too_early", None, None, None, 4),
        (1, [(21, 640)], "too_early", None, None, None, 21),
        (1, [(27, 1300)], "too_early", None, True, None, 27),
        (1, [(14, 1300), (27, 900)], "too_early", None, True, None, 27),
        (1, [(28, 640)], "target_not_reached", "higher", False, False, 28),
        (1, [(28, 1000)], "sustained", None, True, True, 28),
        (1, [(35, 640)], "target_not_reached", "higher", False, False, 35),
        (1, [(21, 640), (61, 400)], "target_not_reached", "higher", False, False, 21),
        (2, [(21, 640), (61, 700)], "target_not_reached", "higher", False, False, 61),
        (1, [(21, 1300), (61, 1100)], "sustained", None, True, True, 61),
        (1, [(21, 1300), (61, 999)], "not_sustained", "same", True, False, 61),
        (1, [(21, 1300), (61, 800), (91, 1050)], "sustained", None, True, True, 91),
        (2, [(7, 1100), (28, 900)], "not_sustained", "same", True, False, 28),
        # Nobody looked while the peak was: low later may be a peak that is over.
        (1, [(36, 640)], "not_assessable", None, None, None, 36),
        (1, [(13, 640), (61, 400)], "not_assessable", None, None, None, 13),
        (1, [(14, 640), (61, 400)], "target_not_reached", "higher", False, False, 14),
        (1, [(12, 900), (61, 640)], "not_assessable", None, None, None, 12),
        (1, [(12, 900), (61, 1100)], "sustained", None, True, True, 61),
        (3, [(28, 640)], "no_dose_left", None, False, False, 28),
        (3, [(21, 1300), (61, 900)], "no_dose_left", None, True, False, 61),
        (3, [(61, 1300)], "sustained", None, True, True, 61),
        (3, [(21, 640)], "too_early", None, None, None, 21),
        # Of two counts on one day the lower is that day's.
        (1, [(28, 1010), (28, 990)], "target_not_reached", "higher", False, False, 28),
        (1, [(21, 1100), (61, 1010), (61, 990)], "not_sustained", "same", True, False, 61),
    ],
)
def test_findings_worked_by_hand(dose, values, finding, amount, reached, sustained, decided):
    advice = advise(RULE, dose=dose, values=counts(*values))
    assert (advice.finding, advice.next_amount) == (finding, amount)
    assert (advice.reached, advice.sustained) == (reached, sustained)
    assert (advice.decided_by.day_from_dose if advice.decided_by else None) == decided


@pytest.mark.parametrize(
    ("dose", "values", "evidence"),
    [
        (
            1,
            [AlcValue(28, 640, 590, 695)],
            "ALC 640 [590–695] at day 28 < 1000: a higher dose may be considered; dose 1 of 3",
        ),
        (
            1,
            [AlcValue(21, 1310, 1205, 1424), AlcValue(91, 640, 590, 695)],
            "ALC 1310 [1205–1424] at day 21 ≥ 1000, then 640 [590–695] at day 91 < 1000: "
            "the same dose may be considered; dose 1 of 3",
        ),
        (
            2,
            [AlcValue(28, 960, 905, 1018)],
            "ALC 960 [905–1018] at day 28 < 1000 (cannot be told from the target): "
            "a higher dose may be considered; dose 2 of 3",
        ),
        (
            2,
            [AlcValue(91, 1040, 950, 1140)],
            "ALC 1040 [950–1140] at day 91 ≥ 1000 (cannot be told from the target): "
            "no further dose by this rule; dose 2 of 3",
        ),
        (1, [AlcValue(21, 640)], "ALC 640 at day 21 < 1000: too early, the peak may come until day 28; dose 1 of 3"),
        (3, [AlcValue(28, 640)], "ALC 640 at day 28 < 1000: no dose is left; dose 3 of 3"),
        (1, [AlcValue(3, 640)], "no usable ALC after day 3: not assessable; dose 1 of 3"),
        (
            1,
            [AlcValue(61, 640)],
            "ALC 640 at day 61 < 1000, and no usable ALC on days 14 to 35: "
            "whether the target was reached cannot be told; dose 1 of 3",
        ),
        (
            1,
            [AlcValue(28, 1000, 1000, 1090)],
            "ALC 1000 [1000–1090] at day 28 ≥ 1000: no further dose by this rule; dose 1 of 3",
        ),
        (
            1,
            [AlcValue(28, 920, 850, 1000)],
            "ALC 920 [850–1000] at day 28 < 1000 (cannot be told from the target): "
            "a higher dose may be considered; dose 1 of 3",
        ),
        # A count is never rounded to the other side of the target.
        (1, [AlcValue(28, 999.6)], "ALC 999.6 at day 28 < 1000: a higher dose may be considered; dose 1 of 3"),
        (
            1,
            [AlcValue(28, 2999 / 3 + 0.3)],
            "ALC 999.97 at day 28 < 1000: a higher dose may be considered; dose 1 of 3",
        ),
        (1, [AlcValue(28, 999.99999)], "ALC 999.99999 at day 28 < 1000: a higher dose may be considered; dose 1 of 3"),
        (
            1,
            [AlcValue(28, 900.4, 850.4, 999.7)],
            "ALC 900 [850–999.7] at day 28 < 1000: a higher dose may be considered; dose 1 of 3",
        ),
    ],
)
def test_the_evidence_in_words(dose, values, evidence):
    assert advise(RULE, dose=dose, values=values).evidence == evidence


def test_of_two_counts_on_one_day_the_lower_count_is_used_whatever_their_intervals():
    wide, narrow = AlcValue(28, 1010, 800, 1300), AlcValue(28, 990, 970, 1010)
    assert advise(RULE, dose=1, values=[wide, narrow]).decided_by == narrow
    # The same count with and without an interval: one of them, always the same.
    twins = AlcValue(28, 640), AlcValue(28, 640, 640, 640)
    assert advise(RULE, dose=1, values=twins) == advise(RULE, dose=1, values=twins[::-1])


def test_what_is_ignored_is_told_with_why():
    before, dip = AlcValue(-1, 200), AlcValue(2, 90)
    review, plain = AlcValue(28, 2000, usable=False, reason="review: clotted"), AlcValue(30, 1, usable=False)
    advice = advise(RULE, dose=1, values=[review, plain, dip, AlcValue(28, 640), before])
    assert advice.ignored == (
        (before, "before the dose"),
        (dip, "through day 3 after the dose"),
        (review, "review: clotted"),
        (plain, "not usable"),
    )
    assert advice.finding == Finding.TARGET_NOT_REACHED


def test_the_rule_is_data():
    rule = RedosingRule(500, 2, blind_days=5, peak_from_day=7, final_from_day=10, peak_to_day=20)
    assert advise(rule, dose=1, values=counts((5, 800), (10, 499))).evidence == (
        "ALC 499 at day 10 < 500: a higher dose may be considered; dose 1 of 2"
    )
    assert advise(rule, dose=2, values=counts((10, 499))).finding == Finding.NO_DOSE_LEFT


@pytest.mark.parametrize(
    "change",
    [
        {"target_alc_per_ul": 0},
        {"target_alc_per_ul": float("nan")},
        {"max_doses": 0},
        {"blind_days": -1},
        {"blind_days": 14},
        {"peak_from_day": 29},
        {"peak_to_day": 27},
    ],
)
def test_a_rule_that_cannot_be_is_refused(change):
    with pytest.raises(ValueError, match="redosing rule needs"):
        dataclasses.replace(RULE, **change)


@pytest.mark.parametrize(
    "value",
    [(-1, None, None), (float("nan"), None, None), (float("inf"), None, None), (5, 6, 7), (5, 4, 4.9), (5, -1, 7)],
)
def test_a_count_outside_its_interval_is_refused(value):
    with pytest.raises(ValueError, match="expected 0 <= lower <= cells_per_ul <= upper"):
        AlcValue(28, *value)


def test_before_the_first_dose_there_is_nothing_to_advise():
    with pytest.raises(ValueError, match="found dose 0"):
        advise(RULE, dose=0, values=[])


any_day, either = st.integers(-10, 120), st.booleans()


@st.composite
def alc_values(draw, days=any_day, usable=either):
    cells = draw(st.floats(0, 3000) | st.sampled_from([999.0, 999.7, 1000.0, 1001.0]))
    lower = draw(st.none() | st.floats(0, cells))
    upper = draw(st.none() | st.floats(cells, 4000))
    return AlcValue(draw(days), cells, lower, upper, draw(usable), draw(st.sampled_from(["", "review", "invalid"])))


#: Few days, so that several counts often share one.
value_lists = st.lists(alc_values() | alc_values(days=st.sampled_from([2, 14, 28, 61])), max_size=7)
doses = st.integers(1, 4)


@given(value_lists, doses, st.randoms(use_true_random=False))
def test_the_order_of_the_counts_does_not_matter(values, dose, random):
    assert advise(RULE, dose=dose, values=random.sample(values, len(values))) == advise(RULE, dose=dose, values=values)


@given(value_lists, doses, alc_values(usable=st.just(False)) | alc_values(days=st.integers(-10, 3)))
def test_a_count_that_is_not_usable_or_early_changes_nothing(values, dose, extra):
    without = advise(RULE, dose=dose, values=values)
    with_it = advise(RULE, dose=dose, values=[*values, extra])
    assert dataclasses.replace(with_it, ignored=()) == dataclasses.replace(without, ignored=())
    assert len(with_it.ignored) == len(without.ignored) + 1


@given(value_lists, doses)
def test_advice_is_consistent(values, dose):
    advice = advise(RULE, dose=dose, values=values)
    asks = {Finding.TARGET_NOT_REACHED: "higher", Finding.NOT_SUSTAINED: "same"}
    assert advice.next_amount == asks.get(advice.finding)
    assert dose < RULE.max_doses or advice.next_amount is None
    if advice.decided_by is not None:
        assert advice.decided_by.usable
        assert advice.decided_by.day_from_dose > RULE.blind_days
        sign = "≥" if advice.decided_by.cells_per_ul >= 1000 else "<"
        assert f"at day {advice.decided_by.day_from_dose} {sign} 1000" in advice.evidence
    if advice.sustained:
        assert advice.reached


other_days = st.integers(4, 120).filter(lambda day: day != 28)


@given(st.dictionaries(other_days, st.floats(0, 3000), max_size=6))
def test_where_the_peak_was_seen_the_amount_is_that_of_the_protocol(counts_by_day):
    by_day = sorted({**counts_by_day, 28: 400.0}.items())
    at_target = [cells >= 1000 for _, cells in by_day]
    amount = "higher" if not any(at_target) else None if at_target[-1] else "same"
    assert advise(RULE, dose=1, values=counts(*by_day)).next_amount == amount


def test_a_higher_count_on_the_deciding_day_never_asks_for_more():
    order = {"higher": 2, "same": 1, None: 0}
    for others in itertools.product([300, 1200], repeat=2):
        asked = [
            order[advise(RULE, dose=1, values=counts((21, others[0]), (40, others[1]), (61, last))).next_amount]
            for last in range(0, 2000, 50)
        ]
        assert asked == sorted(asked, reverse=True)
