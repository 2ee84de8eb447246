"""Where patients come: doses are given, blood is drawn, and part of it goes to the haematology laboratory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np

from nti7flow.simulation.analyser import calibration_factor, measure
from nti7flow.simulation.cells import CellState
from nti7flow.simulation.kinetics import SENSITIVITIES, Stimulus, cell_state, fold_change
from nti7flow.simulation.patients import LABORATORY, PHYSIOLOGY, Patient
from nti7flow.simulation.physiology import DayToDay, Disturbance, disturbance_factor, rhythm_factor
from nti7flow.trial.days import POST_DOSE, PRE_DOSE, Timing, timing
from nti7flow.trial.doses import Dose
from nti7flow.trial.hematology import Hematology
from nti7flow.trial.schedule import NCT04781309, UNSCHEDULED

#: Where the trial is.
TIME_ZONE = "America/New_York"
_ZONE = ZoneInfo(TIME_ZONE)
#: The first dose of everybody, µg/kg; what a higher one adds to the log response is this power of the ratio.
FIRST_AMOUNT_UG_PER_KG = 480.0
_AMOUNT_POWER = 0.25
#: B cells that come back after rituximab, and how slowly.
_B_RETURNED_PER_UL, _B_RETURN_DAYS = 32.0, 32.0
#: Infections make T cells cycle, steroids hinder it: factor on the resting share of Ki-67+ cells.
_CYCLING_IN = {"infection": 2.5, "steroid": 0.6}


@dataclass(frozen=True, slots=True)
class BloodDraw:
    """One specimen, and the truth about it.

    Attributes
    ----------
    specimen : str
        ``SIM-001_day021``: calendar days since the first dose; ``SIM-001_screen`` before it. A second one of a day
        ends in ``b``.
    subject : str
        Whose.
    collected_at : datetime
        Local time with its offset from UTC, to the minute.
    visit : str
        Why it was drawn: name of the visit (`Schedule.visit_of`), or ``unscheduled``.
    dose : int
        Number of the latest dose before it; 0 before the first.
    day_from_dose : int or None
        Calendar days since that dose.
    cells_per_ul : Mapping of str to float
        True concentration in this blood by leukocyte type, physiologic variation included.
    state : CellState
        How its cells differ from resting ones.
    hours_to_stain : float
        Age of the specimen when it is stained.
    tcell : bool
        Whether a T-cell tube is stained as well.
    timepoint : str or None
        ``pre-dose`` or ``post-dose`` on a dosing day.
    note : str
        What the lab might write in its sheet.
    """

    specimen: str
    subject: str
    collected_at: datetime
    visit: str
    dose: int
    day_from_dose: int | None
    cells_per_ul: Mapping[str, float] = field(hash=False)
    state: CellState = field(hash=False)
    hours_to_stain: float
    tcell: bool
    timepoint: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Appointment:
    """A draw to be made.

    Attributes
    ----------
    day : int
        Calendar days from the first dose.
    hour : float
        Local time of day.
    hours_to_stain : float
        Age of the specimen when it is stained.
    tcell : bool
        Whether a T-cell tube is stained as well.
    unscheduled : bool
        Whether the protocol does not ask for it.
    note : str
        What the lab might write in its sheet.
    """

    day: int
    hour: float
    hours_to_stain: float = 2.0
    tcell: bool = False
    unscheduled: bool = False
    note: str = ""


class Clinic:
    """One patient's file, filled in the order of time.

    Parameters
    ----------
    patient : Patient
        Whose.
    seed : int
        Seed of the trial.
    disturbances : tuple of Disturbance
        Illnesses and treatments besides those of the patient, days from the first dose.
    """

    def __init__(self, patient: Patient, seed: int, disturbances: tuple[Disturbance, ...] = ()) -> None:
        self.patient = patient
        self.doses: list[Dose] = []
        self.draws: list[BloodDraw] = []
        self.hematology: list[Hematology] = []
        self.disturbances = patient.disturbances + disturbances
        self._seed = seed
        self._stimuli: list[Stimulus] = []
        self._today = DayToDay(np.random.default_rng([seed, patient.number, PHYSIOLOGY]))
        self._laboratory = np.random.default_rng([seed, patient.number, LABORATORY])

    def date_of(self, day: int) -> date:
        """Return the date of a day from the first dose."""
        return self.patient.first_dose_on + timedelta(days=day)

    def give(self, day: int, hour: float, amount_ug_per_kg: float) -> None:
        """Give the next dose; draws before it on its day come after this call, with an earlier hour."""
        number = len(self.doses) + 1
        given_at = self._at(day, hour)
        self.doses.append(Dose(self.patient.subject.subject, number, given_at, amount_ug_per_kg, "ug/kg", "IM"))
        more = (amount_ug_per_kg / FIRST_AMOUNT_UG_PER_KG) ** _AMOUNT_POWER
        self._stimuli.append(Stimulus(self._clock(given_at), self.patient.responses[number - 1] * more))

    def draw(self, appointment: Appointment) -> BloodDraw:
        """Draw blood, and let the laboratory count it."""
        collected_at = self._at(appointment.day, appointment.hour)
        given = [(dose.dose, dose.given_at) for dose in self.doses]
        placed = timing(collected_at, given, zone=_ZONE)
        blood = self._blood(collected_at)
        draw = BloodDraw(
            specimen=self._specimen(appointment.day),
            subject=self.patient.subject.subject,
            collected_at=collected_at,
            visit=UNSCHEDULED if appointment.unscheduled else NCT04781309.visit_of(placed).name,
            dose=placed.dose,
            day_from_dose=placed.day_from_dose,
            cells_per_ul=blood,
            state=self._state(collected_at),
            hours_to_stain=round(appointment.hours_to_stain * 60) / 60,
            tcell=appointment.tcell,
            timepoint=_timepoint(placed),
            note=appointment.note,
        )
        self.draws.append(draw)
        self.hematology += measure(
            self._laboratory,
            blood,
            subject=draw.subject,
            collected_at=collected_at,
            calibration=calibration_factor(self._seed, collected_at.date()),
            timepoint=draw.timepoint,
        )
        return draw

    def _specimen(self, day: int) -> str:
        name = f"{self.patient.subject.subject}_" + (f"day{day:03d}" if day >= 0 else "screen")
        return f"{name}b" if any(draw.specimen == name for draw in self.draws) else name

    def _blood(self, collected_at: datetime) -> dict[str, float]:
        """Return cells/µL by leukocyte type."""
        clock = self._clock(collected_at)
        hour = collected_at.hour + collected_at.minute / 60
        today = self._today.factors(clock)
        return {
            name: self._long_run(name, clock)
            * fold_change(name, clock, self.patient.reaction, self._stimuli)
            * rhythm_factor(name, hour, amplitude=self.patient.rhythm)
            * disturbance_factor(name, clock, self.disturbances)
            * today[name]
            for name in SENSITIVITIES
        }

    def _long_run(self, cell_type: str, clock: float) -> float:
        """Return the baseline, or what it has become: B cells return after rituximab."""
        baseline = self.patient.baseline[cell_type]
        middle = self.patient.b_return_day
        if cell_type != "b_cells" or middle is None:
            return baseline
        return baseline + _B_RETURNED_PER_UL / (1 + math.exp((middle - clock) / _B_RETURN_DAYS))

    def _state(self, collected_at: datetime) -> CellState:
        clock = self._clock(collected_at)
        factor = self.patient.resting
        for cause in self.disturbances:
            if cause.start <= clock <= cause.end + 5:
                factor *= _CYCLING_IN[cause.kind]
        return cell_state(clock, self.patient.reaction, self._stimuli, resting=min(factor, 4.0))

    def _at(self, day: int, hour: float) -> datetime:
        """Return local time with a fixed offset, so that differences are those of instants."""
        minute = round(hour * 60)
        local = datetime.combine(self.date_of(day), time(minute // 60, minute % 60), _ZONE)
        return local.replace(tzinfo=timezone(local.utcoffset() or timedelta()))

    def _clock(self, moment: datetime) -> float:
        """Days since midnight (UTC) of the day of the first dose."""
        midnight = datetime.combine(self.patient.first_dose_on, time(), UTC)
        return (moment - midnight) / timedelta(days=1)


def _timepoint(placed: Timing) -> str | None:
    """Return what a laboratory declares on the day of a dose."""
    if placed.dose_to_come is not None:
        return PRE_DOSE
    return POST_DOSE if placed.day_from_dose == 0 else None
