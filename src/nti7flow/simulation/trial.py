"""A trial of simulated patients: doses, draws, haematology and what happens to people meanwhile.

Every patient has random streams of their own, one per purpose: a trial of more subjects begins with the same ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from nti7flow.simulation.clinic import FIRST_AMOUNT_UG_PER_KG, TIME_ZONE, Appointment, BloodDraw, Clinic
from nti7flow.simulation.patients import CALENDAR, Patient, draw_patient, is_admission_day, is_holiday
from nti7flow.simulation.physiology import Disturbance
from nti7flow.trial.clinical_events import ClinicalEvent
from nti7flow.trial.doses import Dose
from nti7flow.trial.hematology import Hematology
from nti7flow.trial.redosing import AlcValue, RedosingRule, advise
from nti7flow.trial.schedule import UNSCHEDULED

__all__ = ["TIME_ZONE", "BloodDraw", "Patient", "SimulatedTrial", "simulate_trial"]

#: Days after a dose with blood (NCT04781309): the inpatient week, less closely after a later dose (never on day 3 and
#: not always on day 1), ...
_WEEK = (1, 3, 7)
_LATER_DAY_1 = 0.4
#: ... the second stay, and the outpatient months with how often they are missed.
_SECOND_STAY = 21
_MONTHS = (61, 91, 182, 274, 365)
_MISSED_STAY, _MISSED_MONTH = 0.01, 0.10
#: Where a T-cell tube is stained: days after a dose, nominal.
_TCELL_DAYS = (0, 7, 21, 61, 91, 182, 274, 365)
_TCELL_FAILS = 0.03
#: A dose asked for by the rule is given this many days later, once the pharmacy and the patient are ready.
_REDOSING_DELAY = (14, 36)
_HIGHER_BY_UG_PER_KG = 240.0
#: A year of visits after the last dose still ends within 19 months.
_LAST_DOSE_DAY = 210
_FRIDAY, _SATURDAY = 4, 5


@dataclass(frozen=True, slots=True)
class SimulatedTrial:
    """All that happened, and the truth.

    Attributes
    ----------
    patients : tuple of Patient
        By number.
    doses : tuple of Dose
        Rows of doses.csv.
    draws : tuple of BloodDraw
        By patient and time.
    hematology : tuple of Hematology
        Three rows per draw.
    events : tuple of ClinicalEvent
        Rows of events.csv.
    """

    patients: tuple[Patient, ...]
    doses: tuple[Dose, ...]
    draws: tuple[BloodDraw, ...]
    hematology: tuple[Hematology, ...]
    events: tuple[ClinicalEvent, ...]


def simulate_trial(seed: int, *, n_subjects: int = 12) -> SimulatedTrial:
    """Simulate a trial after NCT04781309.

    Parameters
    ----------
    seed : int
        From 0; same seed, same trial.
    n_subjects : int
        Patients. Among each dozen one dies, one withdraws, one has a course of steroids, two do not respond and three
        were treated with rituximab; of fewer, whoever these happen to be.
    """
    followed = [_follow(draw_patient(seed, number), seed) for number in range(1, n_subjects + 1)]
    return collect([clinic for clinic, _ in followed], [event for _, events in followed for event in events])


def collect(clinics: list[Clinic], events: list[ClinicalEvent]) -> SimulatedTrial:
    """Put the files of all patients together."""
    return SimulatedTrial(
        patients=tuple(clinic.patient for clinic in clinics),
        doses=tuple(dose for clinic in clinics for dose in clinic.doses),
        draws=tuple(draw for clinic in clinics for draw in clinic.draws),
        hematology=tuple(row for clinic in clinics for row in clinic.hematology),
        events=tuple(events),
    )


def _follow(patient: Patient, seed: int) -> tuple[Clinic, list[ClinicalEvent]]:
    """Follow one patient from screening to the end."""
    rng = np.random.default_rng([seed, patient.number, CALENDAR])
    plan = _Plan(rng, patient)
    clinic = Clinic(patient, seed, plan.treatments)
    end = patient.leaves[1] if patient.leaves else math.inf
    while plan.appointments and plan.appointments[0].day < end:
        appointment = plan.appointments.pop(0)
        if (dose := plan.doses.get(appointment.day)) and len(clinic.doses) < len(plan.doses):
            clinic.give(appointment.day, dose.hour, dose.amount_ug_per_kg)
        clinic.draw(appointment)
        if len(plan.doses) == len(clinic.doses) > 0 and not appointment.unscheduled:
            plan.consider_redosing(clinic, appointment)
    return clinic, _events(clinic, plan, end)


@dataclass(frozen=True, slots=True)
class _PlannedDose:
    hour: float
    amount_ug_per_kg: float


class _Plan:
    """Appointments still to come, by time; a later dose starts the calendar anew."""

    def __init__(self, rng: np.random.Generator, patient: Patient) -> None:
        self._rng = rng
        self._patient = patient
        self.doses: dict[int, _PlannedDose] = {}
        self.appointments: list[Appointment] = []
        self.treatments: tuple[Disturbance, ...] = ()
        self.declined = math.inf  # day on which a dose that the rule advised was not wanted
        self._add(self._outpatient(-int(rng.integers(8, 29))))
        self._plan_dose(0, FIRST_AMOUNT_UG_PER_KG)
        if patient.steroid:
            self.treatments = (self._steroid(),)
        self._add_unscheduled()

    def consider_redosing(self, clinic: Clinic, appointment: Appointment) -> None:
        """Ask the rule with the counts after the latest dose, and plan a dose if it advises one.

        Counts of unscheduled draws are left out: who has a fever is not dosed for a low count.
        """
        dose = clinic.doses[-1]
        alc = (row.value for row in clinic.hematology if row.analyte == "ALC")
        values = [
            AlcValue(draw.day_from_dose, value)
            for draw, value in zip(clinic.draws, alc, strict=True)
            if draw.dose == dose.dose and draw.day_from_dose is not None and draw.visit != UNSCHEDULED
        ]
        advice = advise(RedosingRule(), dose=dose.dose, values=values)
        if advice.next_amount is None or dose.amount is None:
            return
        if len(clinic.doses) >= self._patient.doses_accepted:
            self.declined = min(self.declined, appointment.day)
            return
        day = appointment.day + int(self._rng.integers(*_REDOSING_DELAY))
        while not is_admission_day(clinic.date_of(day)):
            day += 1
        if day > _LAST_DOSE_DAY:
            return
        higher = _HIGHER_BY_UG_PER_KG if advice.next_amount == "higher" else 0.0
        # Visits that the admission makes needless.
        self.appointments = [left for left in self.appointments if left.unscheduled or left.day < day - 14]
        self._plan_dose(day, dose.amount + higher)

    def _plan_dose(self, day: int, amount_ug_per_kg: float) -> None:
        """Plan a dose, the draw before it, and the visits after it."""
        rng = self._rng
        first = not self.doses
        pre_dose = self._inpatient(day, tcell=True)
        self.doses[day] = _PlannedDose(max(pre_dose.hour + 1.0, float(rng.uniform(10.5, 13.5))), amount_ug_per_kg)
        self._add(pre_dose)
        if first and rng.random() < 0.2:
            hour = min(self.doses[day].hour + float(rng.uniform(5, 7)), 20.0)
            self._add(Appointment(day, hour, hours_to_stain=float(rng.uniform(1, 3)), note="evening of the dose"))
        for after in _WEEK if first else _WEEK[0 if rng.random() < _LATER_DAY_1 else 2 :: 2]:
            self._add(self._inpatient(day + after, tcell=after in _TCELL_DAYS))
        stay = self._inpatient(self._workday(day + _SECOND_STAY + int(rng.integers(-2, 2))), tcell=True)
        if rng.random() >= _MISSED_STAY or first:
            self._add(stay)
        for after in _MONTHS:
            visit = self._outpatient(day + after + int(rng.integers(-3, 4)), tcell=after in _TCELL_DAYS)
            # The steroid course is about month 2, and that draw shows it.
            if rng.random() >= _MISSED_MONTH or (self._patient.steroid and first and after == _MONTHS[0]):
                self._add(visit)

    def _steroid(self) -> Disturbance:
        """Twelve days of steroids that begin some days before the visit of month 2."""
        seen = next(visit.day for visit in self.appointments if visit.day > 45)
        start = seen - int(self._rng.integers(4, 7))
        note = "on dexamethasone"
        self.appointments = [
            replace(visit, note=note) if start <= visit.day <= start + 12 else visit for visit in self.appointments
        ]
        return Disturbance("steroid", start + 0.4, start + 12.0)

    def _add_unscheduled(self) -> None:
        rng = self._rng
        for illness in self._patient.disturbances:
            day = math.ceil(illness.start) + int(rng.integers(0, 2))
            self._add(replace(self._outpatient(day, weekend=True), unscheduled=True, note="fever, antibiotics begun"))
        if rng.random() < 0.10:
            day = int(rng.integers(30, 250))
            self._add(replace(self._outpatient(day), unscheduled=True, note="asked for by the neurologist"))

    def _add(self, appointment: Appointment) -> None:
        self.appointments = sorted([*self.appointments, appointment], key=lambda visit: (visit.day, visit.hour))

    def _inpatient(self, day: int, *, tcell: bool = False) -> Appointment:
        rng = self._rng
        hour = float(rng.uniform(7.5, 10.0))
        hours = float(1.0 + rng.gamma(3.0, 0.7))
        weekday = self._weekday(day)
        note = ""
        # At weekends a technician is on call for half of the draws; the others wait.
        if weekday >= _SATURDAY and rng.random() < 0.5:
            hours = 24 * (7 - weekday) + float(rng.uniform(8.5, 11.0)) - hour
            note = "kept at room temperature over the weekend"
        return Appointment(day, hour, hours, self._has_tcell(wanted=tcell), note=note)

    def _outpatient(self, day: int, *, tcell: bool = False, weekend: bool = False) -> Appointment:
        rng = self._rng
        if not weekend:
            day = self._workday(day)
        afternoon = rng.random() < 0.13
        hour = float(rng.uniform(13.0, 16.5) if afternoon else rng.uniform(7.5, 10.5))
        hours, note = float(1.0 + rng.gamma(3.0, 0.9)), "afternoon draw" if afternoon else ""
        if rng.random() < 0.12:  # drawn near home and sent by courier, who does not come on Sunday
            nights = 3 if self._weekday(day) == _FRIDAY else 1
            hours = 24 * nights + float(rng.uniform(9.5, 12.0)) - hour
            note = ", ".join(filter(None, [note, "sent by courier"]))
        return Appointment(day, hour, hours, self._has_tcell(wanted=tcell), note=note)

    def _has_tcell(self, *, wanted: bool) -> bool:
        fails = self._rng.random() < _TCELL_FAILS
        return wanted and not fails

    def _workday(self, day: int) -> int:
        """Return the nearest day on which outpatients come."""
        for shift in (0, 1, -1, 2, -2, 3):
            on = self._patient.first_dose_on + timedelta(days=day + shift)
            if on.weekday() < _SATURDAY and not is_holiday(on):
                return day + shift
        return day

    def _weekday(self, day: int) -> int:
        return (self._patient.first_dose_on + timedelta(days=day)).weekday()


def _events(clinic: Clinic, plan: _Plan, end: float) -> list[ClinicalEvent]:
    """Rows of events.csv of one patient, by date."""
    patient, subject = clinic.patient, clinic.patient.subject.subject
    events = [ClinicalEvent(subject, on, "rituximab") for on in patient.rituximab_on]
    last = max(draw.collected_at.date() for draw in clinic.draws)
    for cause in (*patient.disturbances, *plan.treatments):
        start, until = clinic.date_of(math.floor(cause.start)), clinic.date_of(math.floor(cause.end))
        if cause.start < end and start <= last:
            events.append(ClinicalEvent(subject, start, cause.kind, until if cause.kind == "steroid" else None))
    if plan.declined < end:
        events.append(ClinicalEvent(subject, clinic.date_of(int(plan.declined)), "dose_declined"))
    if patient.leaves:
        events.append(ClinicalEvent(subject, clinic.date_of(patient.leaves[1]), patient.leaves[0]))
    return sorted(events, key=lambda event: event.date)
