"""The three scripted people of the small study: their blood, their doses and their visits are written down here."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from nti7flow.simulation.clinic import FIRST_AMOUNT_UG_PER_KG, Appointment, Clinic
from nti7flow.simulation.kinetics import Reaction
from nti7flow.simulation.patients import Patient
from nti7flow.simulation.trial import SimulatedTrial, collect
from nti7flow.trial.clinical_events import ClinicalEvent
from nti7flow.trial.subjects import Subject

_HIGHER = 720.0

_FIRST = Patient(
    subject=Subject("SIM-001", "male", 1966, 78.4),
    number=1,
    disease="lymphopenia without known cause",
    first_dose_on=date(2026, 2, 16),
    # 168 lymphocytes/µL, of them 87 CD4 and 7 CD8 T cells: those of a published case of PML.
    baseline={
        "cd4_naive_rte": 5.2,
        "cd4_naive_cd31neg": 9.6,
        "cd4_scm": 3.0,
        "cd4_cm": 34.4,
        "cd4_em": 26.3,
        "cd4_temra": 2.3,
        "cd4_treg": 6.2,
        "cd8_naive": 0.7,
        "cd8_scm": 0.2,
        "cd8_cm": 1.1,
        "cd8_em": 3.4,
        "cd8_temra": 1.6,
        "dn_t": 5.0,
        "dp_t": 1.0,
        "b_cells": 20.0,
        "nk_cells": 43.7,
        "nk_bright": 4.3,
        "monocytes": 305.0,
        "neutrophils": 2240.0,
        "eosinophils": 88.0,
        "basophils": 21.0,
    },
    responses=(1.0, 0.80, 0.42),
    reaction=Reaction(expansion=1.66, cd8=1.04, b_cells=0.08, nk_cells=0.10, homing=0.80, half_life_days=90.0),
    doses_accepted=3,
    story=(
        "A man of 60 with progressive multifocal leukoencephalopathy and deep lymphopenia of unknown cause. The "
        "first dose tripled his lymphocytes without reaching 1000/µL, so the second was higher; it reached the "
        "target but did not hold it, so the third was the same."
    ),
)
_SECOND = Patient(
    subject=Subject("SIM-002", "female", 1982, 63.0),
    number=2,
    disease="idiopathic CD4 lymphopenia",
    first_dose_on=date(2026, 3, 23),
    baseline={
        "cd4_naive_rte": 9.0,
        "cd4_naive_cd31neg": 8.0,
        "cd4_scm": 2.0,
        "cd4_cm": 23.0,
        "cd4_em": 15.0,
        "cd4_temra": 2.0,
        "cd4_treg": 5.0,
        "cd8_naive": 26.0,
        "cd8_scm": 4.0,
        "cd8_cm": 12.0,
        "cd8_em": 51.0,
        "cd8_temra": 57.0,
        "dn_t": 16.0,
        "dp_t": 2.0,
        "b_cells": 54.0,
        "nk_cells": 59.0,
        "nk_bright": 6.0,
        "monocytes": 370.0,
        "neutrophils": 3150.0,
        "eosinophils": 125.0,
        "basophils": 30.0,
    },
    responses=(0.10, 0.07, 0.06),
    reaction=Reaction(expansion=1.35, homing=0.70, nk_cells=-0.06),
    doses_accepted=2,
    cmv=True,
    story=(
        "A woman of 44 with progressive multifocal leukoencephalopathy and idiopathic CD4 lymphopenia. Her T cells "
        "took in their receptor for IL-7 after the dose and hardly multiplied, and a higher second dose changed little."
    ),
)
_THIRD = Patient(
    subject=Subject("SIM-003", "female", 1959, 71.5),
    number=3,
    disease="rheumatoid arthritis after rituximab",
    first_dose_on=date(2026, 5, 4),
    baseline={
        "cd4_naive_rte": 14.0,
        "cd4_naive_cd31neg": 29.0,
        "cd4_scm": 7.0,
        "cd4_cm": 74.0,
        "cd4_em": 47.0,
        "cd4_temra": 5.0,
        "cd4_treg": 13.0,
        "cd8_naive": 12.0,
        "cd8_scm": 4.0,
        "cd8_cm": 16.0,
        "cd8_em": 52.0,
        "cd8_temra": 27.0,
        "dn_t": 15.0,
        "dp_t": 3.0,
        "b_cells": 0.05,
        "nk_cells": 101.0,
        "nk_bright": 9.0,
        "monocytes": 430.0,
        "neutrophils": 4280.0,
        "eosinophils": 150.0,
        "basophils": 35.0,
    },
    responses=(1.0, 0.70, 0.60),
    reaction=Reaction(expansion=1.48, homing=0.85, nk_cells=0.05, half_life_days=60.0),
    doses_accepted=2,
    rituximab_on=(date(2025, 10, 13), date(2025, 10, 27)),
    story=(
        "A woman of 67 with progressive multifocal leukoencephalopathy after rituximab for rheumatoid arthritis: no B "
        "cells. Her T cells reached the target and fell below it within three months, so she had the same dose again."
    ),
)
#: SIM-001, SIM-002 and SIM-003; `Patient.story` tells what is particular about each.
SAMPLE_PATIENTS = (_FIRST, _SECOND, _THIRD)

# Hour and amount of each dose, by day.
_DOSES: tuple[dict[int, tuple[float, float]], ...] = (
    {0: (11.0, FIRST_AMOUNT_UG_PER_KG), 63: (12.25, _HIGHER), 154: (11.5, _HIGHER)},
    {0: (10.75, FIRST_AMOUNT_UG_PER_KG), 84: (12.0, _HIGHER)},
    {0: (11.5, FIRST_AMOUNT_UG_PER_KG), 91: (11.25, FIRST_AMOUNT_UG_PER_KG)},
)
_VISITS = (
    (
        Appointment(0, 8 + 10 / 60, 1.0, tcell=True),
        Appointment(7, 8.5, 2.25, tcell=True),
        Appointment(21, 8 + 25 / 60, 1.75, tcell=True),
        Appointment(63, 8.75, 3.0),
        Appointment(84, 9.25, 2.0),
        Appointment(154, 8.0, 2.5),
        Appointment(175, 9.0, 1.5),
        Appointment(245, 9.75, 4.0),
    ),
    (
        Appointment(0, 9.0, 2.0, tcell=True),
        Appointment(7, 8.25, 1.5, tcell=True),
        Appointment(21, 8.75, 3.25, tcell=True),
        Appointment(60, 15 + 20 / 60, 1.25, note="afternoon draw"),
        Appointment(84, 8.5, 2.0),
        Appointment(105, 9.5, 2.75),
    ),
    (
        Appointment(0, 8.5, 1.75, tcell=True),
        Appointment(1, 8.0, 2.0, note="day after the dose"),
        Appointment(7, 9.0, 2.5, tcell=True),
        Appointment(21, 8.25, 1.5, tcell=True),
        Appointment(59, 10.0, 25.5, note="sent by courier"),
        Appointment(91, 8.75, 3.0),
        Appointment(112, 9.5, 2.25),
    ),
)


def simulate_sample_trial(seed: int) -> SimulatedTrial:
    """Simulate the three scripted patients: the seed moves only day-to-day variation and laboratory errors.

    The first specimen of each holds exactly the script's blood; the patients' baselines, which are those of an
    ordinary day, are moved to that end.
    """
    clinics = []
    for patient, doses, visits in zip(SAMPLE_PATIENTS, _DOSES, _VISITS, strict=True):
        clinic = Clinic(_as_scripted_on(visits[0], patient, seed), seed)
        for visit in visits:
            if visit.day in doses:
                clinic.give(visit.day, *doses[visit.day])
            clinic.draw(visit)
        clinics.append(clinic)
    subject = _THIRD.subject.subject
    return collect(clinics, [ClinicalEvent(subject, on, "rituximab") for on in _THIRD.rituximab_on])


def _as_scripted_on(first: Appointment, patient: Patient, seed: int) -> Patient:
    """Return the patient with a baseline such that the first specimen holds the scripted one."""
    found = Clinic(patient, seed).draw(first).cells_per_ul
    baseline = {name: scripted * scripted / found[name] for name, scripted in patient.baseline.items()}
    return replace(patient, baseline=baseline)
