"""What moves counts without any dose, and the errors of the haematology laboratory."""

import math
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.simulation.analyser import LYMPHOCYTES, calibration_factor, measure
from nti7flow.simulation.kinetics import SENSITIVITIES
from nti7flow.simulation.patients import ICL, draw_blood
from nti7flow.simulation.physiology import DayToDay, Disturbance, disturbance_factor, rhythm_factor

TYPES = st.sampled_from(sorted(SENSITIVITIES))
MORNING = datetime(2022, 3, 1, 13, tzinfo=UTC)


@pytest.fixture(scope="module")
def blood():
    return draw_blood(np.random.default_rng(3), ICL, alc_per_ul=300.0, age=50, cmv=True)


@pytest.fixture(scope="module")
def weekly(blood):
    """Counts of one person in 3000 weeks."""
    person = DayToDay(np.random.default_rng(1))
    days = [person.factors(7.0 * week) for week in range(3000)]
    return {name: np.array([day[name] for day in days]) * cells for name, cells in blood.items()}


def lineage(weekly, prefix):
    return sum(cells for name, cells in weekly.items() if name.startswith(prefix))


def cv(values):
    return values.std() / values.mean()


def test_cd4_varies_by_13_per_cent_between_weeks(weekly):
    assert cv(lineage(weekly, "cd4")) == pytest.approx(0.13, abs=0.01)
    assert 0.11 < cv(lineage(weekly, "cd8")) < 0.16
    assert 0.15 < cv(lineage(weekly, "nk")) < 0.23
    assert 0.18 < cv(weekly["neutrophils"]) < 0.28


def test_lymphocytes_vary_together_and_neutrophils_apart(weekly):
    def correlation(a, b):
        return np.corrcoef(np.log(lineage(weekly, a)), np.log(lineage(weekly, b)))[0, 1]

    shared = 0.10**2 / (0.13 * 0.14)  # of the variance
    assert correlation("cd4", "cd8") == pytest.approx(shared, abs=0.08)
    assert abs(correlation("cd4", "neutrophils")) < 0.06


def test_variation_has_mean_1(weekly, blood):
    for name, values in weekly.items():
        assert values.mean() == pytest.approx(blood[name], rel=0.02)


def test_two_draws_of_one_day_differ_little():
    person = DayToDay(np.random.default_rng(2))
    hours, weeks = [], []
    for week in range(400):
        before, after = person.factors(7.0 * week), person.factors(7.0 * week + 0.25 / 24)
        hours.append(math.log(after["cd4_cm"] / before["cd4_cm"]))
        weeks.append(math.log(before["cd4_cm"]))
    assert np.std(hours) < 0.2 * np.std(weeks)


def test_cd4_is_lowest_in_the_morning(blood):
    def cd4(hour):
        return sum(rhythm_factor(name, hour) * n for name, n in blood.items() if name.startswith("cd4"))

    hours = np.arange(0, 24, 0.5)
    swing = np.array([cd4(hour) for hour in hours]) / cd4(9.0)
    assert 9 <= hours[swing.argmin()] <= 13
    assert 1.2 < swing.max() / swing.min() < 1.5  # ±15–20 %, and at most 40 % between night and noon
    assert 1.03 < cd4(16.0) / cd4(9.0) < 1.2
    assert rhythm_factor("nk_cells", 9.0) > rhythm_factor("nk_cells", 22.0)
    assert rhythm_factor("b_cells", 22.0) > 1


@given(cell_type=TYPES, hour=st.floats(0, 24), amplitude=st.floats(0, 2))
def test_the_rhythm_closes(cell_type, hour, amplitude):
    factor = rhythm_factor(cell_type, hour, amplitude=amplitude)
    assert factor == pytest.approx(rhythm_factor(cell_type, hour + 24, amplitude=amplitude))
    assert rhythm_factor(cell_type, 9.0, amplitude=amplitude) == 1
    assert 0.3 < factor < 3


def test_steroids_and_infections_move_what_they_should():
    steroid, infection = Disturbance("steroid", 10, 22), Disturbance("infection", 10, 15)
    for day in (12.0, 20.0):
        assert disturbance_factor("neutrophils", day, [steroid]) > 1.4
        assert disturbance_factor("eosinophils", day, [steroid]) < 0.25
        # CD4 T cells more than CD8, NK cells hardly.
        falls = [disturbance_factor(name, day, [steroid]) for name in ("cd4_cm", "cd8_em", "nk_cells")]
        assert falls == sorted(falls)
        assert falls[0] < 0.6
    assert disturbance_factor("cd4_cm", 12, [infection]) < 0.85
    assert disturbance_factor("neutrophils", 12, [infection]) > 1.5
    assert disturbance_factor("cd4_cm", 30.0, [steroid]) == pytest.approx(1, abs=0.01)
    # By hand: at the end of a long course the whole effect, e^-0.85, and 1.5 days later e^-(0.85/e).
    long = Disturbance("steroid", 0, 100)
    assert disturbance_factor("cd4_cm", 100.0, [long]) == pytest.approx(math.exp(-0.85))
    assert disturbance_factor("cd4_cm", 101.5, [long]) == pytest.approx(math.exp(-0.85 / math.e))


@given(cell_type=TYPES, day=st.floats(-10, 400), start=st.floats(0, 300), length=st.floats(0.5, 20))
def test_disturbances_are_bounded_and_pass(cell_type, day, start, length):
    cause = Disturbance("infection", start, start + length)
    assert 0.05 < disturbance_factor(cell_type, day, [cause]) < 10
    assert disturbance_factor(cell_type, start, [cause]) == 1
    assert disturbance_factor(cell_type, start + length + 60, [cause]) == pytest.approx(1, abs=1e-4)
    # Two of them multiply.
    both = disturbance_factor(cell_type, day, [cause, cause])
    assert both == pytest.approx(disturbance_factor(cell_type, day, [cause]) ** 2)


def test_the_laboratory_agrees_with_the_truth_within_what_it_states(blood):
    rng = np.random.default_rng(4)
    truth = {
        "WBC": sum(blood.values()) / 1000,
        "ALC": sum(blood[name] for name in LYMPHOCYTES),
        "lymphocyte_percent": 100 * sum(blood[name] for name in LYMPHOCYTES) / sum(blood.values()),
    }
    errors = {analyte: [] for analyte in truth}
    for month in range(2000):  # each with a calibration of its own
        calibration = math.exp(0.02 * rng.standard_normal())
        rows = measure(rng, blood, subject="S", collected_at=MORNING, calibration=calibration)
        by_analyte = {row.analyte: row for row in rows}
        assert [row.unit for row in rows] == ["10^9/L", "%", "cells/uL"]
        # ALC is the product of the others, up to the rounding of all three.
        product = by_analyte["WBC"].value * 1000 * by_analyte["lymphocyte_percent"].value / 100
        slack = 0.5 + 5 * by_analyte["lymphocyte_percent"].value / 100 + 0.0005 * 1000 * by_analyte["WBC"].value + 0.1
        assert abs(product - by_analyte["ALC"].value) < slack, month
        for analyte, row in by_analyte.items():
            errors[analyte].append(math.log(row.value / truth[analyte]) / row.cv)
    for analyte, standardised in errors.items():
        assert abs(np.mean(standardised)) < 0.15, analyte
        assert 0.8 < np.std(standardised) < 1.25, analyte


def test_few_cells_are_counted_by_eye_and_badly(blood):
    rng = np.random.default_rng(5)
    few = {name: cells / 5 for name, cells in blood.items()}
    spread = {}
    for name, cells in (("ordinary", blood), ("few", few)):
        rows = [measure(rng, cells, subject="S", collected_at=MORNING, calibration=1.0) for _ in range(300)]
        spread[name] = cv(np.array([percent.value for _, percent, _ in rows]))
    assert spread["few"] > 2 * spread["ordinary"]


def test_calibration_is_shared_within_a_period():
    days = [date(2021, 1, 1), date(2021, 4, 30), date(2021, 5, 1)]
    first, same, next_period = (calibration_factor(7, day) for day in days)
    assert first == same != next_period
    many = [math.log(calibration_factor(seed, days[0])) for seed in range(500)]
    assert np.std(many) == pytest.approx(0.02, rel=0.15)
