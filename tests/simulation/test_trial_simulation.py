"""The simulated trial: what an immunologist and a monitor would look at first."""

import itertools
import re
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nti7flow.simulation.analyser import LYMPHOCYTES
from nti7flow.simulation.kinetics import SENSITIVITIES
from nti7flow.simulation.patients import draw_patient
from nti7flow.simulation.sample_patients import SAMPLE_PATIENTS, simulate_sample_trial
from nti7flow.simulation.trial import TIME_ZONE, simulate_trial
from nti7flow.trial import NCT04781309, AlcValue, Finding, RedosingRule, advise, timing

ZONE = ZoneInfo(TIME_ZONE)
SEEDS = (1, 2, 3)
SAMPLE_SEEDS = (0, 1, 2)  # of which the scripts come out as written; day-to-day variation can spoil them


@pytest.fixture(scope="module", params=SEEDS)
def trial(request):
    return simulate_trial(request.param)


@pytest.fixture(scope="module")
def trials():
    return [simulate_trial(seed) for seed in range(10)]


@pytest.fixture(scope="module", params=SAMPLE_SEEDS)
def sample(request):
    return simulate_sample_trial(request.param)


def of(rows, subject):
    return [row for row in rows if row.subject == subject]


def total(draw_or_patient, *prefixes):
    cells = getattr(draw_or_patient, "cells_per_ul", None) or draw_or_patient.baseline
    return sum(n for name, n in cells.items() if name.startswith(prefixes))


def alc(draw_or_patient):
    return total(draw_or_patient, "cd4", "cd8", "dn", "dp", "b_", "nk")


def counts_by_draw(trial):
    """ALC rows of haematology, one per draw, in the same order."""
    return list(zip(trial.draws, (row for row in trial.hematology if row.analyte == "ALC"), strict=True))


def test_same_seed_same_trial():
    assert simulate_trial(5) == simulate_trial(5)
    assert simulate_sample_trial(5) == simulate_sample_trial(5)
    assert simulate_trial(5) != simulate_trial(6)


def test_more_patients_change_no_earlier_one():
    few, many = simulate_trial(4, n_subjects=3), simulate_trial(4, n_subjects=14)
    subjects = {patient.subject.subject for patient in few.patients}
    assert subjects == {"SIM-001", "SIM-002", "SIM-003"}
    for name in ("doses", "draws", "hematology", "events"):
        assert getattr(few, name) == tuple(row for row in getattr(many, name) if row.subject in subjects)


def test_people_are_lymphopenic_each_in_their_own_way(trials):
    people = [person for trial in trials for person in trial.patients]
    assert len({patient.subject.subject for patient in trials[0].patients}) == 12
    for person in people:
        cd4, cd8 = total(person, "cd4"), total(person, "cd8")
        assert set(person.baseline) == set(SENSITIVITIES)
        assert min(person.baseline.values()) > 0
        assert 100 <= alc(person) <= 800.001
        assert 5 <= cd4 <= 300.001
        assert min(cd4, cd8) <= 200
        assert 0.2 <= cd4 / cd8 <= 12
        assert 20 <= total(person, "nk") <= 200.001
        assert 20 < person.first_dose_on.year - person.subject.birth_year < 85
    for trial in trials:  # each dozen spans the range
        counts = sorted(alc(person) for person in trial.patients)
        assert counts[0] < 125
        assert counts[-1] > 600
    cd4 = [total(person, "cd4") for person in people]
    assert np.quantile(cd4, 0.1) < 40
    assert np.quantile(cd4, 0.9) > 150
    naive = [total(person, "cd4_naive") / total(person, "cd4") for person in people]
    ages = [person.first_dose_on.year - person.subject.birth_year for person in people]
    assert np.corrcoef(naive, ages)[0, 1] < -0.3
    end_stage = {
        cmv: [total(p, "cd8_temra") / total(p, "cd8") for p in people if p.cmv is cmv] for cmv in (True, False)
    }
    assert np.median(end_stage[True]) > 1.4 * np.median(end_stage[False])


def test_rituximab_leaves_no_b_cells(trials):
    for trial in trials:
        treated = [person for person in trial.patients if person.rituximab]
        assert len(treated) == 3
        returning = [person for person in treated if person.b_return_day is not None]
        assert len(returning) == 1
        for person in trial.patients:
            counts = [draw.cells_per_ul["b_cells"] for draw in of(trial.draws, person.subject.subject)]
            if person not in treated:
                assert min(counts) > 0.2
            elif person in returning:
                assert max(counts[:3]) < 1
            else:
                assert max(counts) < 0.3
        for person in treated:
            infusions = [event.date for event in of(trial.events, person.subject.subject) if event.kind == "rituximab"]
            assert infusions == list(person.rituximab_on)
            assert max(infusions) < person.first_dose_on - timedelta(days=60)
    returned = [
        of(trial.draws, person.subject.subject)[-1].cells_per_ul["b_cells"]
        for trial in trials
        for person in trial.patients
        if person.b_return_day is not None and not person.leaves
    ]
    assert np.median(returned) > 10


def test_one_death_one_withdrawal_one_course_of_steroids(trials):
    for trial in trials:
        kinds = Counter(event.kind for event in trial.events)
        assert kinds["death"] == kinds["withdrawal"] == kinds["steroid"] == 1
        assert sum(not person.responds for person in trial.patients) == 2


def test_nobody_comes_after_the_end(trials):
    for trial in trials:
        for event in trial.events:
            moments = [draw.collected_at for draw in of(trial.draws, event.subject)]
            moments += [dose.given_at for dose in of(trial.doses, event.subject)]
            if event.kind in ("death", "withdrawal"):
                assert max(moments).date() < event.date
                # Nothing else is known of them afterwards either.
                assert all(other.date <= event.date for other in of(trial.events, event.subject))


def test_steroids_are_seen_in_the_blood(trials):
    for trial in trials:
        (course,) = (event for event in trial.events if event.kind == "steroid")
        assert course.until == course.date + timedelta(days=12)
        draws = of(trial.draws, course.subject)
        (during,) = (draw for draw in draws if course.date < draw.collected_at.date() < course.until)
        assert "dexamethasone" in during.note
        before, after = (next(d for d in draws if d.visit == visit) for visit in ("screening", "day 21"))
        assert during.cells_per_ul["eosinophils"] < 0.5 * before.cells_per_ul["eosinophils"]
        assert total(during, "cd4") < 0.7 * total(after, "cd4")


def test_times_are_local_and_mostly_in_the_morning(trials):
    draws = [draw for trial in trials for draw in trial.draws]
    hours = []
    for draw in draws:
        assert draw.collected_at.utcoffset() == draw.collected_at.astimezone(ZONE).utcoffset()
        assert draw.collected_at.second == draw.collected_at.microsecond == 0
        hours.append(draw.collected_at.hour + draw.collected_at.minute / 60)
    assert min(hours) >= 7.5
    assert max(hours) < 20.5
    assert 0.88 < np.mean(np.array(hours) <= 10.5) < 0.97
    offsets = {draw.collected_at.utcoffset() for draw in draws}
    assert offsets == {timedelta(hours=-5), timedelta(hours=-4)}
    outpatients = [draw for draw in draws if draw.visit.startswith("month")]
    assert all(draw.collected_at.weekday() < 5 for draw in outpatients)
    assert min(draw.collected_at.date() for draw in draws) >= date(2021, 4, 1)
    assert max(dose.given_at.date() for trial in trials for dose in trial.doses) < date(2024, 12, 31)


def test_specimens_are_named_by_the_day_and_never_twice(trial):
    names = [draw.specimen for draw in trial.draws]
    assert len(names) == len(set(names))
    for person in trial.patients:
        subject = person.subject.subject
        draws = of(trial.draws, subject)
        assert draws == sorted(draws, key=lambda draw: draw.collected_at)
        assert draws[0].specimen == f"{subject}_screen"
        assert draws[1].specimen == f"{subject}_day000"
        for draw in draws[1:]:
            day = (draw.collected_at.date() - person.first_dose_on).days
            assert re.fullmatch(rf"{subject}_day{day:03d}b?", draw.specimen)


def test_a_second_draw_of_a_day_ends_in_b(trials):
    seconds = [(trial, draw) for trial in trials for draw in trial.draws if draw.specimen.endswith("b")]
    assert seconds
    for trial, second in seconds:
        (first,) = (draw for draw in trial.draws if draw.specimen == second.specimen[:-1])
        assert first.collected_at < second.collected_at
    evenings = [draw for _, draw in seconds if draw.dose == 1 and draw.day_from_dose == 0]
    assert evenings


def test_draws_know_the_dose_before_them(trial):
    for draw in trial.draws:
        given = [(dose.dose, dose.given_at) for dose in of(trial.doses, draw.subject)]
        placed = timing(draw.collected_at, given, zone=ZONE)
        assert placed.sure
        assert (draw.dose, draw.day_from_dose) == (placed.dose, placed.day_from_dose)
        assert draw.visit in ("unscheduled", NCT04781309.visit_of(placed).name)


def test_every_dose_has_a_draw_before_it_and_most_visits_are_kept(trials):
    kept = expected = 0
    for trial in trials:
        for person in trial.patients:
            subject = person.subject.subject
            draws, doses = of(trial.draws, subject), of(trial.doses, subject)
            assert [dose.dose for dose in doses] == list(range(1, len(doses) + 1))
            assert 1 <= len(doses) <= person.doses_accepted
            for dose in doses:
                (before,) = (
                    d for d in draws if d.visit == "pre-dose" and d.collected_at.date() == dose.given_at.date()
                )
                assert timedelta(minutes=30) < dose.given_at - before.collected_at < timedelta(hours=7)
                assert (dose.route, dose.amount_unit) == ("IM", "ug/kg")
            days = [(dose.given_at.date() - person.first_dose_on).days for dose in doses]
            last = max(draw.collected_at.date() for draw in draws)
            end = person.leaves[1] if person.leaves else (last - person.first_dose_on).days + 1
            attended = [
                NCT04781309.visit_of(timing(d.collected_at, [(x.dose, x.given_at) for x in doses], zone=ZONE))
                for d in draws
            ]
            months = [v for v in NCT04781309.expected_visits(days, end) if v.name.startswith("month")]
            expected += len(months)
            kept += sum((v.dose, v.name) in {(a.dose, a.name) for a in attended} for v in months)
    assert 0.85 < kept / expected < 0.99
    visits = Counter(draw.visit for trial in trials for draw in trial.draws)
    assert 0.01 < visits["unscheduled"] / visits.total() < 0.08


def test_the_number_of_tubes(trials):
    draws = [len(trial.draws) for trial in trials]
    tcell = [sum(draw.tcell for draw in trial.draws) for trial in trials]
    assert min(draws) >= 130
    assert max(draws) <= 160
    assert min(tcell) >= 75
    assert max(tcell) <= 115


def test_doses_follow_the_rule(trials):
    amounts = Counter()
    for trial in trials:
        alc_of = {draw.specimen: row.value for draw, row in counts_by_draw(trial)}
        for person in trial.patients:
            doses, draws = of(trial.doses, person.subject.subject), of(trial.draws, person.subject.subject)
            assert doses[0].amount == 480
            for dose, following in itertools.pairwise(doses):
                # Decided at a visit at least two weeks before the next dose was given.
                known = [
                    AlcValue(draw.day_from_dose, alc_of[draw.specimen])
                    for draw in draws
                    if draw.dose == dose.dose
                    and draw.visit != "unscheduled"
                    and (following.given_at - draw.collected_at) > timedelta(days=13.5)
                ]
                advice = advise(RedosingRule(), dose=dose.dose, values=known)
                assert advice.next_amount == ("higher" if following.amount > dose.amount else "same")
                assert following.amount in (dose.amount, dose.amount + 240)
                assert (following.given_at - dose.given_at) > timedelta(days=45)
                assert (following.given_at - doses[0].given_at) < timedelta(days=215)
                amounts[following.amount] += 1
    assert amounts[480.0] >= 1
    # A year after the last dose: 12 to 19 months in all.
    for draw in (draw for trial in trials for draw in trial.draws):
        assert draw.specimen.endswith("screen") or int(re.search(r"day(\d+)", draw.specimen)[1]) <= 19 * 30.44
    assert amounts[720.0] >= 10


def test_hematology_agrees_with_the_truth_within_its_error(trials):
    for analyte, truth in (("ALC", alc), ("WBC", lambda draw: sum(draw.cells_per_ul.values()) / 1000)):
        standardised = []
        for trial in trials:
            rows = [row for row in trial.hematology if row.analyte == analyte]
            for draw, row in zip(trial.draws, rows, strict=True):
                assert (row.subject, row.collected_at) == (draw.subject, draw.collected_at)
                standardised.append(np.log(row.value / truth(draw)) / row.cv)
        assert abs(np.mean(standardised)) < 0.3
        assert 0.8 < np.std(standardised) < 1.25
    assert {row.analyte for row in trials[0].hematology} == {"WBC", "lymphocyte_percent", "ALC"}
    assert len(trials[0].hematology) == 3 * len(trials[0].draws)


def test_the_calibration_error_is_shared(trials):
    # Leukocyte counts of two people in one period err together; over periods they do not.
    errors = {}
    for number, trial in enumerate(trials):
        for draw, row in zip(trial.draws, trial.hematology[0::3], strict=True):
            period = (draw.collected_at.date() - date(2021, 1, 1)).days // 120
            error = np.log(row.value * 1000 / sum(draw.cells_per_ul.values()))
            errors.setdefault((number, period), []).append(error)
    groups = [values for values in errors.values() if len(values) >= 8]
    between = np.var([np.mean(values) for values in groups])
    within = np.mean([np.var(values, ddof=1) / len(values) for values in groups])
    assert between > 1.3 * within


def test_pre_dose_draws_are_declared(trial):
    for draw, row in counts_by_draw(trial):
        on_dosing_day = any(dose.given_at.date() == draw.collected_at.date() for dose in of(trial.doses, draw.subject))
        expected = None
        if on_dosing_day:
            expected = "pre-dose" if draw.visit == "pre-dose" else "post-dose"
        assert row.timepoint == expected


def test_specimens_are_stained_in_time_but_for_some(trials):
    hours = np.array([draw.hours_to_stain for trial in trials for draw in trial.draws])
    assert hours.min() >= 0.5
    assert hours.max() < 80
    assert 0.8 < np.mean(hours <= 8) < 0.95
    assert 0.01 < np.mean((hours > 20) & (hours < 30)) < 0.10
    assert 0.005 < np.mean(hours >= 44) < 0.06
    minutes = hours * 60
    np.testing.assert_allclose(minutes, np.round(minutes), atol=1e-9)


def test_the_blood_dips_then_rises_in_responders(trials):
    dips, rises = [], []
    for trial in trials:
        for person in trial.patients:
            by_visit = {draw.visit: draw for draw in of(trial.draws, person.subject.subject) if draw.dose <= 1}
            if not person.responds:
                continue
            base = alc(by_visit["pre-dose"]) if by_visit["pre-dose"].dose == 0 else alc(by_visit["screening"])
            dips.append(alc(by_visit["day 1"]) / base)
            rises.append(alc(by_visit["day 21"]) / base)
            assert by_visit["day 7"].state.growth > 1.015
            assert by_visit["day 7"].state.density["CD127"] < 0.5
    assert 0.4 < np.median(dips) < 0.75
    assert 2.0 < np.median(rises) < 3.2
    assert np.mean(np.array(rises) > 1.5) > 0.9  # the published marker: more than half again at month 1


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), number=st.integers(1, 200))
def test_anybody_can_be_drawn(seed, number):
    person = draw_patient(seed, number)
    assert draw_patient(seed, number) == person
    assert sum(n for name, n in person.baseline.items() if name in LYMPHOCYTES) == pytest.approx(alc(person))
    assert 100 <= alc(person) <= 800.001
    assert all(np.isfinite(n) and n > 0 for n in person.baseline.values())


# The three people of the small study.


def test_the_script_is_the_published_case(sample):
    first = sample.draws[0]
    assert alc(first) == pytest.approx(168)
    assert total(first, "cd4") == pytest.approx(87)
    assert total(first, "cd8") == pytest.approx(7)
    for patient in SAMPLE_PATIENTS:
        assert set(patient.baseline) == set(SENSITIVITIES)
        draw = of(sample.draws, patient.subject.subject)[0]
        assert draw.cells_per_ul == pytest.approx(dict(patient.baseline))


def test_sample_visits(sample):
    draws = {s: of(sample.draws, s) for s in ("SIM-001", "SIM-002", "SIM-003")}
    assert [len(rows) for rows in draws.values()] == [8, 6, 7]
    for rows in draws.values():
        assert [draw.visit for draw in rows if draw.tcell] == ["pre-dose", "day 7", "day 21"]
        assert "unscheduled" not in {draw.visit for draw in rows}
        assert all(draw.collected_at.weekday() < 5 for draw in rows)
    moments = [draw.collected_at for draw in sample.draws]
    assert max(moments) - min(moments) < timedelta(days=14 * 30.4)
    assert moments[0] == datetime.fromisoformat("2026-02-16T08:10-05:00")
    assert len({dose.given_at for dose in sample.doses}) == 7


def test_sample_doses_follow_the_rule(sample):
    def values(subject, dose):
        return [
            AlcValue(draw.day_from_dose, row.value)
            for draw, row in counts_by_draw(sample)
            if draw.subject == subject and draw.dose == dose
        ]

    findings = {
        (subject, dose): advise(RedosingRule(), dose=dose, values=values(subject, dose)).finding
        for subject, dose in (("SIM-001", 1), ("SIM-001", 2), ("SIM-002", 1), ("SIM-003", 1))
    }
    assert findings == {
        ("SIM-001", 1): Finding.TARGET_NOT_REACHED,
        ("SIM-001", 2): Finding.NOT_SUSTAINED,
        ("SIM-002", 1): Finding.TARGET_NOT_REACHED,
        ("SIM-003", 1): Finding.NOT_SUSTAINED,
    }
    assert [(dose.subject, dose.amount) for dose in sample.doses] == [
        *[("SIM-001", amount) for amount in (480.0, 720.0, 720.0)],
        *[("SIM-002", amount) for amount in (480.0, 720.0)],
        *[("SIM-003", amount) for amount in (480.0, 480.0)],
    ]


def test_sample_people_differ_as_told(sample):
    day = {draw.specimen: draw for draw in sample.draws}
    assert 2.2 < alc(day["SIM-001_day021"]) / alc(day["SIM-001_day000"]) < 4.1
    assert 0.7 < alc(day["SIM-002_day021"]) / alc(day["SIM-002_day000"]) < 1.4
    assert max(draw.cells_per_ul["b_cells"] for draw in of(sample.draws, "SIM-003")) < 0.2
    assert alc(day["SIM-003_day001"]) < 0.7 * alc(day["SIM-003_day000"])
    assert day["SIM-002_day060"].collected_at.hour == 15
    assert day["SIM-003_day059"].hours_to_stain > 24
    assert all(patient.story for patient in SAMPLE_PATIENTS)
    assert [patient.responds for patient in SAMPLE_PATIENTS] == [True, False, True]


def test_the_seed_moves_only_the_days_and_the_laboratory():
    one, two = simulate_sample_trial(0), simulate_sample_trial(1)
    assert one.doses == two.doses
    assert one.events == two.events
    blank = {"cells_per_ul": {}}
    assert [replace(draw, **blank) for draw in one.draws] == [replace(draw, **blank) for draw in two.draws]
