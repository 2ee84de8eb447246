"""What a dose does: published ranges over many people, and the shapes against scipy's."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import gamma, weibull_min

from nti7flow.simulation.blood import CELL_TYPES
from nti7flow.simulation.kinetics import SENSITIVITIES, Reaction, Stimulus, cell_state, fold_change
from nti7flow.simulation.patients import draw_patient

ONE = (Stimulus(0.0, 1.0),)
DAYS = np.arange(0, 401, 0.25)
TYPES = st.sampled_from(sorted(SENSITIVITIES))
STRENGTHS = st.floats(0.0, 1.3)


def at(day):
    return round(day * 4)


class Course:
    """Counts of one person after one dose, without day-to-day variation, at `DAYS`."""

    def __init__(self, number):
        person = draw_patient(5, number)
        self.person = person
        self.doses = (Stimulus(0.0, person.responses[0]),)
        self.cells = {
            name: cells * np.array([fold_change(name, day, person.reaction, self.doses) for day in DAYS])
            for name, cells in person.baseline.items()
        }

    def sum(self, *prefixes):
        return sum(cells for name, cells in self.cells.items() if name.startswith(prefixes))

    @property
    def alc(self):
        return self.sum("cd4", "cd8", "dn", "dp", "b_", "nk")

    def state(self, day):
        return cell_state(day, self.person.reaction, self.doses, resting=self.person.resting)

    def cycling(self, prefix, day):
        names = [name for name in self.cells if name.startswith(prefix)]
        shares = self.state(day).cycling
        cells = [self.cells[name][at(day)] for name in names]
        return sum(shares[name] * n for name, n in zip(names, cells, strict=True)) / sum(cells)


@pytest.fixture(scope="module")
def everybody():
    return [Course(number) for number in range(1, 97)]


@pytest.fixture(scope="module")
def responders(everybody):
    return [course for course in everybody if course.person.responds]


@pytest.fixture(scope="module")
def others(everybody):
    return [course for course in everybody if not course.person.responds]


def most(values, low, high, share=0.9):
    """Whether nearly all values are in a published range, and none far from it."""
    values = np.asarray(values)
    inside = ((values >= low) & (values <= high)).mean()
    return inside >= share and values.min() > low / 1.25 and values.max() < high * 1.25


def test_every_leukocyte_of_the_tubes_has_kinetics():
    made_in_the_tube = {"monocytes_cd16"}  # a share of the monocytes
    assert set(SENSITIVITIES) | made_in_the_tube == {name for name, cell in CELL_TYPES.items() if cell.is_cell}


def test_worked_by_hand():
    # Risen at once, no fall; after one half-life of 10 days half of 90 % of the gained cells are left, and of the
    # lasting 10 % nearly all: 1 + 2 × (0.45 + 0.1 × 0.99539) = 2.0991.
    reaction = Reaction(expansion=math.log(3), homing=0.0, rise_day=1e-3, half_life_days=10.0)
    assert fold_change("cd4_cm", 10.0, reaction, ONE) == pytest.approx(2.0991, abs=1e-4)
    # Two such doses on one day multiply.
    assert fold_change("cd4_cm", 10.0, reaction, ONE * 2) == pytest.approx(2.0991**2, abs=1e-3)
    # Fewest cells on the day of the nadir: a quarter, where the fall is by two log2.
    falling = Reaction(expansion=0.0, homing=2 * math.log(2), nadir_day=1.0)
    assert fold_change("cd4_cm", 1.0, falling, ONE) == pytest.approx(0.25)


@given(cell_type=TYPES, day=st.floats(0.01, 700), strength=st.floats(0.01, 1.3))
def test_against_the_curves_of_scipy(cell_type, day, strength):
    reaction = Reaction(cd8=1.1, b_cells=0.12, nk_cells=-0.1)
    kind = SENSITIVITIES[cell_type]
    rise = weibull_min.cdf(day, 2.5, scale=reaction.rise_day)
    decay = 0.9 * 0.5 ** (day / reaction.half_life_days) + 0.1 * 0.5 ** (day / 1500)
    # A gamma density of shape k and mode m, relative to its mode.
    dip = gamma.pdf(day, 3, scale=reaction.nadir_day / 2) / gamma.pdf(
        reaction.nadir_day, 3, scale=reaction.nadir_day / 2
    )
    full = reaction.expansion * kind.expansion * (1.1 if cell_type[:3] == "cd8" else 1)
    flat = {"b_cells": 0.12, "nk_cells": -0.1, "nk_bright": -0.1}.get(cell_type, 0.0)
    expected = (1 + (math.exp(strength * full) - 1) * rise * decay) * math.exp(
        strength**0.3 * (flat * rise * decay - reaction.homing * kind.homing * dip)
    )
    assert fold_change(cell_type, day, reaction, [Stimulus(0.0, strength)]) == pytest.approx(expected, rel=1e-9)
    if kind.burst:
        burst = gamma.pdf(day, 4, scale=2.0) / gamma.pdf(6.0, 4, scale=2.0)
        share = expit(logit(kind.resting) + reaction.burst * kind.burst * strength**0.6 * burst)
        found = cell_state(day, reaction, [Stimulus(0.0, strength)]).cycling[cell_type]
        assert found == pytest.approx(share, rel=1e-9)


@given(
    cell_type=TYPES,
    day=st.floats(-50, 1000),
    doses=st.lists(st.tuples(st.floats(0, 600), STRENGTHS), max_size=3),
    number=st.integers(1, 40),
)
def test_counts_are_positive_finite_and_continuous(cell_type, day, doses, number):
    reaction = draw_patient(5, number).reaction
    doses = [Stimulus(*dose) for dose in doses]
    now = fold_change(cell_type, day, reaction, doses)
    soon = fold_change(cell_type, day + 1e-4, reaction, doses)
    assert 0 < now < math.inf
    assert abs(math.log(soon / now)) < 0.01  # nothing falls by more than a few per cent in an hour
    states = [cell_state(when, reaction, doses) for when in (day, day + 1e-4)]
    assert all(0 < share < 1 for state in states for share in state.cycling.values())
    assert all(0 < factor < 5 for state in states for factor in state.density.values())
    assert states[0].density["CD127"] == pytest.approx(states[1].density["CD127"], rel=0.02)
    assert states[0].growth >= 1


@given(cell_type=TYPES, strength=STRENGTHS)
def test_nothing_before_and_nothing_ages_after(cell_type, strength):
    doses = [Stimulus(0.0, strength), Stimulus(80.0, strength)]
    assert fold_change(cell_type, 0.0, Reaction(), doses) == 1
    assert fold_change(cell_type, 1e-9, Reaction(), doses) == pytest.approx(1, abs=1e-6)
    assert fold_change(cell_type, 40_000.0, Reaction(), doses) == pytest.approx(1, abs=1e-3)
    rested = cell_state(40_000.0, Reaction(), doses)
    for name, share in rested.cycling.items():
        assert share == pytest.approx(SENSITIVITIES[name].resting)
    assert rested.growth == pytest.approx(1)
    assert all(factor == pytest.approx(1, abs=1e-3) for factor in rested.density.values())


@given(cell_type=TYPES, day=st.floats(0, 500), first=STRENGTHS, second=STRENGTHS)
def test_doses_add_on_the_logarithm(cell_type, day, first, second):
    doses = [Stimulus(0.0, first), Stimulus(60.0, second)]
    alone = [fold_change(cell_type, day, Reaction(), [dose]) for dose in doses]
    assert fold_change(cell_type, day, Reaction(), doses) == pytest.approx(math.prod(alone))


def test_cells_leave_the_blood_within_a_day_and_are_back_on_day_3_to_4(responders):
    for course in responders:
        cd4 = course.sum("cd4") / course.sum("cd4")[0]
        assert 0.3 < cd4[: at(4)].min() < 0.75
        assert 0.6 <= DAYS[cd4[: at(4)].argmin()] <= 1.25
        assert cd4[at(0.25)] < 0.92  # hours matter
        assert cd4[at(2) :][cd4[at(2) :] >= 1].size
        assert 2 <= DAYS[at(2) :][cd4[at(2) :] >= 1][0] <= 4.5
    for name, least in (("b_", 0.65), ("nk", 0.65)):
        assert all(course.sum(name)[: at(4)].min() / course.sum(name)[0] > least for course in responders)


def test_counts_peak_in_weeks_2_to_4_as_published(responders):
    for prefix, low, high in (("cd4", 2.5, 5.0), ("cd8", 2.5, 5.0)):
        folds = [course.sum(prefix).max() / course.sum(prefix)[0] for course in responders]
        assert most(folds, low, high), (prefix, min(folds), max(folds))
    assert most([course.alc.max() / course.alc[0] for course in responders], 1.3, 4.1)
    assert most([DAYS[course.sum("cd4").argmax()] for course in responders], 14, 28)


def test_the_rise_lasts_months(responders):
    for course in responders:
        cd4 = course.sum("cd4")
        gained = (cd4 - cd4[0]) / (cd4.max() - cd4[0])
        assert cd4[at(56)] / cd4[0] > 1.8
        half = DAYS[at(30) :][gained[at(30) :] < 0.5][0] - DAYS[cd4.argmax()]
        assert 55 < half < 150  # two to four months, and what lasts
        assert 1.05 < cd4[at(365)] / cd4[0] < 2.0


def test_b_and_nk_cells_hardly_move(everybody):
    for prefix in ("b_", "nk"):
        weeks = [course.sum(prefix)[at(7) :] / course.sum(prefix)[0] for course in everybody]
        assert most([values.max() for values in weeks], 0.8, 1.2)
        assert most([values.min() for values in weeks], 0.8, 1.2)


def test_naive_cells_gain_most_and_regulatory_ones_least(responders):
    for course in responders:

        def share(name, of, day, course=course):
            return course.sum(name)[at(day)] / course.sum(of)[at(day)]

        assert share("cd4_naive", "cd4", 21) > share("cd4_naive", "cd4", 0) + 0.01
        assert share("cd4_naive_rte", "cd4_naive", 21) > share("cd4_naive_rte", "cd4_naive", 0)
        assert 0.3 < share("cd4_treg", "cd4", 21) / share("cd4_treg", "cd4", 0) < 0.85
        assert share("cd8_temra", "cd8", 21) < share("cd8_temra", "cd8", 0)
        assert course.sum("cd4_treg")[at(21)] > course.sum("cd4_treg")[0]
        assert 1.3 < course.sum("dn")[at(21)] / course.sum("dn")[0] < 2.8


def test_ki67_peaks_in_the_first_week(responders):
    for prefix in ("cd4", "cd8"):
        assert most([course.cycling(prefix, 0) for course in responders], 0.012, 0.06, share=0.85)
        assert most([course.cycling(prefix, 6) for course in responders], 0.22, 0.50)
        for course in responders:
            peak = max(range(22), key=lambda day, course=course, prefix=prefix: course.cycling(prefix, day))
            assert 5 <= peak <= 7
            assert course.cycling(prefix, 14) < 0.5 * course.cycling(prefix, 6)
            assert course.cycling(prefix, 28) == pytest.approx(course.cycling(prefix, 0), rel=0.3)
    more = [course.cycling("cd8", 6) > course.cycling("cd4", 6) for course in responders]
    assert np.mean(more) > 0.5


def test_receptors_and_size_follow(responders):
    for course in responders:
        days = {day: course.state(day) for day in (1, 3, 7, 10, 21, 28)}
        assert all(0.24 < days[day].density["CD127"] < 0.45 for day in (1, 3, 7))
        assert days[7].density["CD127"] < days[10].density["CD127"] < days[21].density["CD127"]
        assert days[21].density["CD127"] > 0.85
        assert days[28].density["CD127"] > 0.95
        assert 1.35 < days[3].density["CD25"] < 2.5
        assert 1.35 < days[10].density["CD25"] < 2.5
        assert days[28].density["CD25"] < 1.1
        assert 1.1 < days[7].density["PD1"] < 1.5
        assert 0.75 < days[21].density["CD31"] < 0.97
        assert 1.02 < course.state(6).growth < 1.07
        assert days[28].growth < 1.005


def test_non_responders_feel_the_dose_but_do_not_expand(others):
    assert len(others) == 16  # two of each dozen
    for course in others:
        cd4 = course.sum("cd4") / course.sum("cd4")[0]
        assert cd4.max() < 1.4
        assert 0.5 < cd4[at(1)] < 0.9
        assert course.state(3).density["CD127"] < 0.75
        assert course.cycling("cd4", 6) < 0.16
        assert course.cycling("cd4", 6) > 1.15 * course.cycling("cd4", 0)


def test_later_doses_do_less(everybody):
    for course in everybody:
        first, second, third = course.person.responses
        assert first > second > third > 0
        assert 0.5 < second / first < 0.8


def test_resting_shares_can_be_set_by_type():
    resting = cell_state(0.0, Reaction(), ONE, resting={"cd4_cm": 2.0})
    usual = cell_state(0.0, Reaction(), ONE)
    assert resting.cycling["cd4_cm"] == pytest.approx(2 * usual.cycling["cd4_cm"])
    assert resting.cycling["cd8_em"] == usual.cycling["cd8_em"]


def test_a_stronger_reaction_is_stronger():
    weak, strong = (replace(Reaction(), expansion=size) for size in (0.5, 1.5))
    assert fold_change("cd8_em", 20.0, weak, ONE) < fold_change("cd8_em", 20.0, strong, ONE)
