"""People who could be in the trial: lymphopenic for different reasons, each with blood and reactions of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeVar

import numpy as np

from nti7flow.simulation.cells import Floats
from nti7flow.simulation.kinetics import Reaction
from nti7flow.simulation.physiology import Disturbance
from nti7flow.trial.subjects import Subject

_Card = TypeVar("_Card")

#: Roles are dealt like cards to each dozen of subjects, so that more subjects change no earlier one.
DOZEN = 12
# Purposes of the random streams of one patient: a change in one changes nothing in the others.
BLOOD, REACTING, LIFE, CALENDAR, PHYSIOLOGY, LABORATORY = range(1, 7)
_DEALING = 60
#: Enrolment is spread over two and a half years.
FIRST_ENROLMENT = date(2021, 5, 5)
_ENROLMENT_DAYS = 910
_HOLIDAYS = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 24), (12, 25), (12, 26))
_WEDNESDAY = 2

#: Eligible, and lymphopenic: cells/µL.
_ALC_RANGE = (100.0, 800.0)
_LINEAGE_RANGE: Mapping[str, tuple[float, float]] = {
    "cd4": (5, 300),
    "cd8": (5, 480),
    "dn": (1, 60),
    "dp": (0.3, 12),
    "b": (0, 160),
    "nk": (20, 200),
}
_ELIGIBLE_BELOW = 200.0  # CD4 or CD8
_RATIO_RANGE = (0.2, 12.0)  # CD4:CD8
#: Spread of the lineages between people with one disease, natural log units.
_LINEAGE_SPREAD = {"cd4": 0.55, "cd8": 0.75, "dn": 0.5, "dp": 0.5, "b": 0.7, "nk": 0.5}
_CANDIDATES = 4000


@dataclass(frozen=True, slots=True)
class Disease:
    """Why somebody is lymphopenic, and what it typically leaves in the blood.

    Attributes
    ----------
    name : str
        Diagnosis.
    cd4, cd8, b, nk : float
        Typical concentrations; only their proportions count. B is 0 after rituximab.
    naive : float
        Shift of the log odds of being naive, of CD4 and CD8 T cells.
    neutrophils : float
        Typical concentration, cells/µL.
    """

    name: str
    cd4: float
    cd8: float
    b: float
    nk: float
    naive: float = 0.0
    neutrophils: float = 3400.0


ICL = Disease("idiopathic CD4 lymphopenia", 75, 130, 70, 80, naive=-0.5)
SARCOIDOSIS = Disease("sarcoidosis", 130, 105, 65, 85)
LYMPHOMA = Disease("follicular lymphoma after rituximab", 105, 170, 0, 110, naive=-0.7, neutrophils=2500)
RHEUMATOID = Disease("rheumatoid arthritis after rituximab", 210, 120, 0, 110, neutrophils=4300)
KIDNEY = Disease("kidney transplant", 140, 190, 30, 60, naive=-0.3, neutrophils=3900)
STEM_CELLS = Disease("allogeneic stem-cell transplant", 85, 230, 60, 120, naive=-0.9, neutrophils=2600)
HODGKIN = Disease("Hodgkin lymphoma in remission", 100, 120, 40, 95, naive=-0.4, neutrophils=2800)
LUPUS = Disease("systemic lupus erythematosus", 140, 120, 55, 40, neutrophils=3600)
_DISEASES = (*(ICL,) * 3, *(SARCOIDOSIS,) * 2, *(LYMPHOMA,) * 2, RHEUMATOID, KIDNEY, STEM_CELLS, HODGKIN, LUPUS)


@dataclass(frozen=True, slots=True)
class _Fate:
    """What happens to one of a dozen."""

    doses: int  # as many as this person takes, if the rule advises them
    responds: bool = True
    leaves: str = ""
    steroid: bool = False


_FATES = (
    _Fate(1, responds=False, leaves="death"),  # of PML, that T cells did not hold
    _Fate(2, responds=False),
    _Fate(1, leaves="withdrawal"),
    _Fate(1, steroid=True),  # against the inflammation that T cells bring back to the brain
    *(_Fate(1),) * 5,
    *(_Fate(2),) * 2,
    _Fate(3),
)


@dataclass(frozen=True, slots=True)
class Patient:
    """Everything drawn about one person.

    Attributes
    ----------
    subject : Subject
        As in the sheet.
    number : int
        From 1; part of the seed of all that is random about this person.
    disease : str
        Why lymphopenic.
    first_dose_on : date
        Day of the first dose.
    baseline : Mapping of str to float
        Cells/µL by leukocyte type, in the morning of an ordinary day before the study.
    responses : tuple of float
        Factor on the log response to the first, second and third dose, before what a higher amount adds.
    reaction : Reaction
        How this person's cells react.
    doses_accepted : int
        As many doses as this person takes.
    resting : float
        Factor on the share of cycling cells at rest.
    rhythm : float
        Amplitude of the daily rhythm, relative.
    cmv : bool
        Whether cytomegalovirus has filled the blood with end-stage CD8 T cells.
    rituximab_on : tuple of date
        Infusions before the study.
    b_return_day : float or None
        Day from the first dose on which half of the B cells lost to rituximab are back; None if none return.
    disturbances : tuple of Disturbance
        Infections, days from the first dose.
    leaves : tuple of (str, int) or None
        ``death`` or ``withdrawal``, and days from the first dose.
    steroid : bool
        Whether a course of steroids is given about month 2.
    story : str
        A sentence for people.
    """

    subject: Subject
    number: int
    disease: str
    first_dose_on: date
    baseline: Mapping[str, float] = field(hash=False)
    responses: tuple[float, ...]
    reaction: Reaction
    doses_accepted: int = 1
    resting: float = 1.0
    rhythm: float = 1.0
    cmv: bool = False
    rituximab_on: tuple[date, ...] = ()
    b_return_day: float | None = None
    disturbances: tuple[Disturbance, ...] = ()
    leaves: tuple[str, int] | None = None
    steroid: bool = False
    story: str = ""

    @property
    def rituximab(self) -> bool:
        """Whether B cells were depleted before the study."""
        return bool(self.rituximab_on)

    @property
    def responds(self) -> bool:
        """Whether the first dose has more than a trace of effect on counts."""
        return self.responses[0] > _TRACE


#: A non-responder's response is at most this share of a full one.
_TRACE = 0.2
#: Log response to a second dose, and to a third as compared with the second.
_SECOND, _THIRD = (0.55, 0.78), (0.65, 0.90)


def draw_patient(seed: int, number: int) -> Patient:
    """Draw one person of the trial.

    Parameters
    ----------
    seed : int
        Seed of the trial.
    number : int
        Number of the subject, from 1. The same seed and number give the same person in a trial of any size.
    """
    dozen, card = divmod(number - 1, DOZEN)
    fate = _deal(seed, dozen, 1, _FATES)[card]
    disease = _deal(seed, dozen, 2, _DISEASES)[card]
    rank = _deal(seed, dozen, 3, range(DOZEN))[card]
    rng = np.random.default_rng([seed, number, BLOOD])
    first_dose_on = _enrolment(rng, card)
    subject, age = _person(rng, number, first_dose_on)
    cmv = bool(rng.random() < 0.6)
    # A rank of its own for everyone: the dozen spans the whole range of lymphopenia.
    low, high = np.log(_ALC_RANGE)
    alc = math.exp(low + (high - low) * (rank + rng.random()) / DOZEN)
    baseline = draw_blood(rng, disease, alc_per_ul=alc, age=age, cmv=cmv)
    life = np.random.default_rng([seed, number, LIFE])
    rituximab_on, b_return_day = _rituximab(life, disease, first_dose_on)
    return Patient(
        subject=subject,
        number=number,
        disease=disease.name,
        first_dose_on=first_dose_on,
        baseline=baseline,
        responses=_responses(np.random.default_rng([seed, number, REACTING, 1]), responds=fate.responds),
        reaction=draw_reaction(np.random.default_rng([seed, number, REACTING])),
        doses_accepted=fate.doses,
        resting=float(np.exp(0.18 * life.standard_normal())),
        rhythm=float(np.exp(0.2 * life.standard_normal())),
        cmv=cmv,
        rituximab_on=rituximab_on,
        b_return_day=b_return_day,
        disturbances=_infections(life),
        leaves=(fate.leaves, int(life.integers(100, 220))) if fate.leaves else None,
        steroid=fate.steroid,
        story=f"{subject.sex}, {age} years, {disease.name}",
    )


def is_holiday(on: date) -> bool:
    """Whether the clinic is closed: public holidays on fixed dates, and Christmas."""
    return (on.month, on.day) in _HOLIDAYS


def is_admission_day(on: date) -> bool:
    """Whether an inpatient week can begin: Monday to Wednesday."""
    return on.weekday() <= _WEDNESDAY and not is_holiday(on)


def draw_reaction(rng: np.random.Generator) -> Reaction:
    """Draw how one person reacts to a first dose, from the ranges published for those who respond."""

    def about(mean: float, spread: float, low: float, high: float) -> float:
        return float(np.clip(mean + spread * rng.standard_normal(), low, high))

    return Reaction(
        expansion=about(1.40, 0.15, 1.15, 1.65),
        cd8=about(0.98, 0.06, 0.86, 1.10),
        b_cells=about(0.0, 0.10, -0.18, 0.15),
        nk_cells=about(0.02, 0.09, -0.16, 0.16),
        homing=about(0.75, 0.18, 0.42, 1.15),
        nadir_day=about(0.95, 0.10, 0.75, 1.15),
        rise_day=about(9.5, 1.2, 7.5, 12.0),
        burst_day=about(6.0, 0.5, 5.0, 7.0),
        half_life_days=float(rng.uniform(60, 120)),
        burst=about(2.75, 0.2, 2.3, 3.15),
        cd127=about(0.32, 0.04, 0.25, 0.40),
        cd25=about(1.9, 0.2, 1.5, 2.4),
        pd1=about(1.3, 0.07, 1.15, 1.5),
        cd31=about(0.86, 0.04, 0.78, 0.94),
        growth=about(1.045, 0.01, 1.025, 1.065),
    )


def draw_blood(
    rng: np.random.Generator, disease: Disease, *, alc_per_ul: float, age: float, cmv: bool
) -> dict[str, float]:
    """Draw the leukocytes of one person, cells/µL by type; lymphocytes add up to ``alc_per_ul``."""
    lineages = _lineages(rng, disease, alc_per_ul)
    cd4, cd8 = lineages["cd4"], lineages["cd8"]
    cells = {f"cd4_{name}": cd4 * share for name, share in _cd4_shares(rng, disease, age, cmv=cmv).items()}
    cells |= {f"cd8_{name}": cd8 * share for name, share in _cd8_shares(rng, disease, age, cmv=cmv).items()}
    bright = float(np.clip(0.08 * np.exp(0.4 * rng.standard_normal()), 0.03, 0.25))
    spread = np.exp(rng.standard_normal(4) * [0.30, 0.30, 0.55, 0.40])
    return cells | {
        "dn_t": lineages["dn"],
        "dp_t": lineages["dp"],
        "b_cells": lineages["b"],
        "nk_cells": lineages["nk"] * (1 - bright),
        "nk_bright": lineages["nk"] * bright,
        "monocytes": float(np.clip(380 * spread[0], 150, 900)),
        "neutrophils": float(np.clip(disease.neutrophils * spread[1], 1100, 8000)),
        "eosinophils": float(np.clip(120 * spread[2], 15, 600)),
        "basophils": float(np.clip(28 * spread[3], 8, 90)),
    }


def _lineages(rng: np.random.Generator, disease: Disease, alc_per_ul: float) -> dict[str, float]:
    """Draw the lineages of one person: the first of many candidates that is possible and eligible."""
    depleted = disease.b == 0
    b_left = math.exp(rng.uniform(math.log(0.01), math.log(0.2)))
    typical = {"cd4": disease.cd4, "cd8": disease.cd8, "dn": 14, "dp": 2, "b": disease.b, "nk": disease.nk}
    names = [name for name in typical if not (depleted and name == "b")]
    spread = np.array([_LINEAGE_SPREAD[name] for name in names])
    mixes: Floats = np.array([typical[name] for name in names]) * np.exp(
        spread * rng.standard_normal((_CANDIDATES, len(names)))
    )
    mixes *= (alc_per_ul - (b_left if depleted else 0)) / mixes.sum(axis=1, keepdims=True)
    low, high = np.array([_LINEAGE_RANGE[name] for name in names]).T
    cd4, cd8 = mixes[:, 0], mixes[:, 1]
    possible = ((mixes >= low) & (mixes <= high)).all(axis=1) & (np.minimum(cd4, cd8) <= _ELIGIBLE_BELOW)
    possible &= (cd4 / cd8 >= _RATIO_RANGE[0]) & (cd4 / cd8 <= _RATIO_RANGE[1])
    first = mixes[np.argmax(possible)] if possible.any() else np.clip(mixes[0], low, high)
    return dict(zip(names, first.tolist(), strict=True)) | ({"b": b_left} if depleted else {})


def _cd4_shares(rng: np.random.Generator, disease: Disease, age: float, *, cmv: bool) -> dict[str, float]:
    """Shares of the CD4 T cells by stage. The thymus shrinks with age: fewer naive, fewer of them with CD31."""
    naive = _expit(-0.4 - 0.025 * (age - 45) + disease.naive + 0.45 * rng.standard_normal())
    emigrant = _expit(0.3 - 0.03 * (age - 30) + 0.35 * rng.standard_normal())
    typical = np.array([0.045, 0.50, 0.34, 0.09 if cmv else 0.025, 0.10])
    others = typical * np.exp(0.28 * rng.standard_normal(5))
    scm, cm, em, temra, treg = ((1 - naive) * others / others.sum()).tolist()
    shares = {"naive_rte": naive * emigrant, "naive_cd31neg": naive * (1 - emigrant)}
    return shares | {"scm": scm, "cm": cm, "em": em, "temra": temra, "treg": treg}


def _cd8_shares(rng: np.random.Generator, disease: Disease, age: float, *, cmv: bool) -> dict[str, float]:
    naive = _expit(-0.5 - 0.045 * (age - 45) + disease.naive + 0.5 * rng.standard_normal())
    typical = np.array([0.035, 0.13, 0.50, 0.60 if cmv else 0.20])
    others = typical * np.exp(0.30 * rng.standard_normal(4))
    scm, cm, em, temra = ((1 - naive) * others / others.sum()).tolist()
    return {"naive": naive, "scm": scm, "cm": cm, "em": em, "temra": temra}


def _expit(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _deal(seed: int, dozen: int, deck: int, cards: Sequence[_Card]) -> list[_Card]:
    order = np.random.default_rng([seed, 0, _DEALING, dozen, deck]).permutation(len(cards))
    return [cards[place] for place in order.tolist()]


def _enrolment(rng: np.random.Generator, card: int) -> date:
    """Day of the first dose: the subjects of a dozen follow each other."""
    days = round(_ENROLMENT_DAYS * (card + (0.0 if card == 0 else rng.random() * 0.9)) / DOZEN)
    day = FIRST_ENROLMENT + timedelta(days=days + 9)
    while not is_admission_day(day):
        day += timedelta(days=1)
    return day


def _person(rng: np.random.Generator, number: int, first_dose_on: date) -> tuple[Subject, int]:
    female = bool(rng.random() < 0.45)
    age = round(28 + 50 * float(rng.beta(2.4, 1.9)))
    weight = float(np.clip((67 if female else 81) + 13 * rng.standard_normal(), 46, 125))
    sex = "female" if female else "male"
    return Subject(f"SIM-{number:03d}", sex, first_dose_on.year - age, round(weight, 1)), age


def _responses(rng: np.random.Generator, *, responds: bool) -> tuple[float, ...]:
    first = 1.0 if responds else rng.uniform(0.03, _TRACE)
    second = first * rng.uniform(*_SECOND)
    return float(first), float(second), float(second * rng.uniform(*_THIRD))


def _rituximab(
    rng: np.random.Generator, disease: Disease, first_dose_on: date
) -> tuple[tuple[date, ...], float | None]:
    """Infusions, and when B cells return: after one course within the study, after many with chemotherapy not."""
    if disease == RHEUMATOID:
        last = first_dose_on - timedelta(days=int(rng.integers(240, 290)))
        return (last - timedelta(days=14), last), float(rng.uniform(200, 280))
    if disease == LYMPHOMA:
        last = first_dose_on - timedelta(days=int(rng.integers(70, 200)))
        return tuple(last - timedelta(days=28 * back) for back in range(5, -1, -1)), None
    return (), None


def _infections(rng: np.random.Generator) -> tuple[Disturbance, ...]:
    """Every fourth patient has a bacterial infection in some week of the first ten months."""
    if rng.random() > 0.25:
        return ()
    start = float(rng.uniform(25, 300))
    return (Disturbance("infection", start, start + float(rng.uniform(3, 7)), float(rng.uniform(0.6, 1.1))),)
