"""The laboratory: which tubes are made of which specimen, with which lots, on which day, and how they ran."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from nti7flow.simulation.blood import HEALTHY, POPULATIONS
from nti7flow.simulation.cells import CellState, Donor, draw_donor
from nti7flow.simulation.clinic import TIME_ZONE
from nti7flow.simulation.cytometer import Cytometer
from nti7flow.simulation.flow import Clog, Flow
from nti7flow.simulation.panels import TBNK_CANTO, TCELL_FORTESSA, day_of, lot_of
from nti7flow.simulation.preparation import Preparation, Stop, tube_particles
from nti7flow.simulation.trial import BloodDraw, SimulatedTrial
from nti7flow.simulation.tube import SimulatedTube, simulate_tube

#: Instrument and stains of each panel.
CYTOMETERS: Mapping[str, Cytometer] = {"tbnk": TBNK_CANTO, "tcell": TCELL_FORTESSA}
#: FMO tubes of each panel, by what the antibody is called there.
FMO: Mapping[str, tuple[str, ...]] = {"tbnk": ("CD19",), "tcell": ("CCR7", "CD25", "Ki67", "PD1")}
#: Volume of blood that is pipetted, or goes into the gradient, and of what comes of it; microlitres.
SPECIMEN_UL: Mapping[str, float] = {"tbnk": 50.0, "tcell": 2000.0}
_SUSPENSION_UL: Mapping[str, float] = {"tbnk": 500.0, "tcell": 400.0}
#: Stated coefficient of variation of the beads of one lot.
BEAD_CV = 0.02
# Spread (natural log units) of a lot's true bead count around the printed one, of beads between tubes of a lot,
# of the pipette, of the control blood, of what a gradient leaves.
_BEAD_LOT, _BEAD_TUBE, _PIPETTE, _CONTROL, _RECOVERY = 0.015, 0.008, 0.018, 0.08, 0.15
# Purposes of the random streams, apart from those of the trial.
_LOT, _DAY, _BEADS, _PERSON, _CONTROL_BLOOD, _BENCH, _EVENTS = range(101, 108)
_CONTROL_PERSON = 0


@dataclass(frozen=True, slots=True)
class TubePlan:
    """One tube to be made, and what the sheet will say about it.

    Attributes
    ----------
    sample, specimen, subject, panel, batch, role : str
        As in samples.csv; a control has no subject.
    collected_at, stained_at, acquired_at : datetime
        Local time.
    timepoint : str
        ``pre-dose`` or ``post-dose`` on a dosing day, else empty.
    cells_per_ul : Mapping of str to float
        What the blood in the tube truly holds.
    donor, state, cytometer, preparation, stop, flow
        How the tube is made and measured; see `simulate_tube`.
    bead_lot, beads_stated : str, float or None
        As printed on the pouch.
    seed : tuple of int
        Of the tube's own random stream.
    note : str
        For the sheet.
    holds : str
        Specimen that is really in the tube.
    copy_of : str
        Sample whose file this one repeats, else empty.
    kept : float
        Fraction of the bytes that reach the disk.
    """

    sample: str
    specimen: str
    subject: str
    panel: str
    batch: str
    role: str
    collected_at: datetime
    stained_at: datetime
    acquired_at: datetime
    timepoint: str
    cells_per_ul: Mapping[str, float]
    donor: Donor
    state: CellState
    cytometer: Cytometer
    preparation: Preparation
    stop: Stop
    flow: Flow
    bead_lot: str
    beads_stated: float | None
    seed: tuple[int, ...]
    note: str
    holds: str
    copy_of: str = ""
    kept: float = 1.0

    @property
    def file(self) -> str:
        """Path relative to the study."""
        return f"tubes/{self.sample}.fcs"

    def simulate(self) -> SimulatedTube:
        """Make the tube."""
        return simulate_tube(
            np.random.default_rng(self.seed),
            cells_per_ul=self.cells_per_ul,
            stop=self.stop,
            cytometer=self.cytometer,
            donor=self.donor,
            state=self.state,
            preparation=self.preparation,
            flow=self.flow,
        )


@dataclass(frozen=True)
class Laboratory:
    """Makes plans for tubes.

    Attributes
    ----------
    seed : int
        Seed of the study.
    trial : SimulatedTrial
        Whose blood comes in.
    events : Mapping of str to int
        Events a patient's tube is stopped at, by panel; panels that are not named are not stained.
    control_events : Mapping of str to int
        The same of control and FMO tubes.
    stop_at : tuple of float
        Share of the TBNK tubes that are stopped at events, bead events, and seconds.
    """

    seed: int
    trial: SimulatedTrial
    events: Mapping[str, int]
    control_events: Mapping[str, int]
    stop_at: tuple[float, float, float] = (0.90, 0.05, 0.05)  # neither instrument measures volume

    def plans(self) -> tuple[TubePlan, ...]:
        """Plan all tubes, by panel, batch and time: controls first."""
        return tuple(plan for panel in self.events for plan in _one_at_a_time(self._of_panel(panel)))

    @cached_property
    def batches(self) -> Mapping[str, date]:
        """Batches in which blood came in, by name, with the day on which each was taken up."""
        first: dict[str, date] = {}
        for draw in sorted(self.trial.draws, key=lambda draw: draw.collected_at):
            day = draw.collected_at.date()
            first.setdefault(_batch_of(day), _taken_up(day))
        return first

    @cached_property
    def bead_lots(self) -> Mapping[str, tuple[str, float, float]]:
        """Lot of counting beads of each batch: name, beads per tube as printed, and as they truly are."""
        lots = {}
        for batch in self.batches:
            rng = self._rng(_BEADS, _number(batch))
            stated = float(np.round(rng.uniform(48_000, 53_000), -1))
            true = stated * float(np.exp(_BEAD_LOT * rng.standard_normal()))
            lots[batch] = (f"BD{rng.integers(10_000, 99_999)}", stated, true)
        return lots

    def lot(self, panel: str, batch: str) -> Cytometer:
        """Return the cytometer as it is set up for the reagents of a batch."""
        return lot_of(self._rng(_LOT, _number(panel), _number(batch)), CYTOMETERS[panel])

    def _rng(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *purpose])

    def _of_panel(self, panel: str) -> Iterator[TubePlan]:
        for batch, day in self.batches.items():
            yield from self._controls(panel, batch, day)
            for draw in sorted(self.trial.draws, key=lambda draw: (draw.collected_at, draw.specimen)):
                if _batch_of(draw.collected_at.date()) == batch and (panel != "tcell" or draw.tcell):
                    yield self._patient(panel, batch, draw)

    def _patient(self, panel: str, batch: str, draw: BloodDraw) -> TubePlan:
        return self._plan(
            f"{draw.specimen}_{panel}",
            panel,
            batch,
            draw,
            role="patient",
            donor=self._donor(draw.subject),
            events=self.events[panel],
        )

    def _controls(self, panel: str, batch: str, day: date) -> Iterator[TubePlan]:
        """Blood of one healthy colleague, bled whenever a new lot is taken up: fully stained, and for each FMO."""
        draw = self._control_draw(batch, day)
        cytometer = CYTOMETERS[panel]
        labels = dict(zip(cytometer.markers, cytometer.labels, strict=True))
        for left_out in ("", *FMO[panel]):
            name = f"{draw.specimen}_{panel}" + (f"_fmo-{left_out}" if left_out else "")
            yield self._plan(
                name,
                panel,
                batch,
                draw,
                role=f"fmo:{labels[left_out]}" if left_out else "control",
                donor=self._donor(""),
                events=self.control_events[panel],
                left_out=left_out,
            )

    def _control_draw(self, batch: str, day: date) -> BloodDraw:
        rng = self._rng(_CONTROL_BLOOD, _number(batch))
        lineages = (*(POPULATIONS[name] for name in ("cd4_t", "cd8_t", "nk_cells", "granulocytes")),)
        factors = dict.fromkeys(HEALTHY, 1.0)
        for lineage in (*lineages, *((name,) for name in HEALTHY if not any(name in types for types in lineages))):
            factors |= dict.fromkeys(lineage, float(np.exp(_CONTROL * rng.standard_normal())))
        return BloodDraw(
            specimen=f"CTRL-{batch}",
            subject="",
            collected_at=datetime.combine(day, time(7), ZoneInfo(TIME_ZONE)),
            visit="",
            dose=0,
            day_from_dose=None,
            cells_per_ul={name: HEALTHY[name] * factors[name] for name in HEALTHY},
            state=CellState(),
            hours_to_stain=1.5,
            tcell=True,
            note="healthy control for a new lot",
        )

    def _donor(self, subject: str) -> Donor:
        markers = sorted({marker for cytometer in CYTOMETERS.values() for marker in cytometer.markers})
        return draw_donor(self._rng(_PERSON, _number(subject) if subject else _CONTROL_PERSON), markers)

    def _plan(
        self,
        sample: str,
        panel: str,
        batch: str,
        draw: BloodDraw,
        *,
        role: str,
        donor: Donor,
        events: int,
        left_out: str = "",
    ) -> TubePlan:
        rng = self._rng(_BENCH, _number(sample))
        gradient = panel == "tcell"
        lot, stated, true = self.bead_lots[batch]
        wanted_at = draw.collected_at + timedelta(hours=draw.hours_to_stain + (2.5 if gradient else 0.0))
        stained_at = _in_working_hours(rng, wanted_at, _LAST_STAIN[panel])
        hours = (stained_at - draw.collected_at) / timedelta(hours=1)
        acquired_at = stained_at + timedelta(minutes=int(rng.integers(150, 300) if gradient else rng.integers(40, 110)))
        preparation = Preparation(
            specimen_ul=SPECIMEN_UL[panel] * float(np.exp(_PIPETTE * rng.standard_normal())),
            suspension_ul=_SUSPENSION_UL[panel],
            beads=0.0 if gradient else true * float(np.exp(_BEAD_TUBE * rng.standard_normal())),
            gradient=gradient,
            left_out=left_out,
            hours_to_stain=hours,
            debris_per_ul=4000 * float(np.exp(0.35 * rng.standard_normal())),
            ghosts_per_ul=30 * float(np.exp(0.5 * rng.standard_normal())),
        )
        if gradient:
            preparation = replace(preparation, recovery=float(np.exp(_RECOVERY * rng.standard_normal())))
        per_ul = sum(tube_particles(draw.cells_per_ul, preparation).values()) / preparation.suspension_ul
        day = self._rng(_DAY, _number(panel), acquired_at.toordinal())
        return TubePlan(
            sample=sample,
            specimen=draw.specimen,
            subject=draw.subject,
            panel=panel,
            batch=batch,
            role=role,
            collected_at=draw.collected_at,
            stained_at=stained_at,
            acquired_at=acquired_at,
            timepoint=draw.timepoint or "",
            cells_per_ul=draw.cells_per_ul,
            donor=donor,
            state=draw.state,
            cytometer=day_of(day, self.lot(panel, batch)),
            preparation=preparation,
            stop=_stop(rng, events, (1.0, 0.0, 0.0) if gradient else self.stop_at),
            flow=_flow(rng, per_ul, events),
            bead_lot="" if gradient else lot,
            beads_stated=None if gradient else stated,
            seed=(self.seed, _EVENTS, _number(sample)),
            note=draw.note,
            holds=draw.specimen,
        )


#: From the start of one tube to that of the next: the longest tubes run for two minutes, then the needle is washed.
_TURN = timedelta(minutes=4)


def _one_at_a_time(plans: Iterable[TubePlan]) -> list[TubePlan]:
    """Let the tubes of one instrument wait for each other; they stay in the order given."""
    plans = list(plans)
    begins: dict[str, datetime] = {}
    free = None
    for plan in sorted(plans, key=lambda plan: (plan.acquired_at, plan.sample)):
        begins[plan.sample] = plan.acquired_at if free is None else max(plan.acquired_at, free)
        free = begins[plan.sample] + _TURN
    return [replace(plan, acquired_at=begins[plan.sample].astimezone(plan.acquired_at.tzinfo)) for plan in plans]


#: Hours between which tubes are stained; a later specimen waits for the morning.
_FIRST_STAIN: float = 8.5
_LAST_STAIN: Mapping[str, float] = {"tbnk": 17.0, "tcell": 15.5}


def _in_working_hours(rng: np.random.Generator, wanted: datetime, last: float) -> datetime:
    """Return when a tube is stained, to the minute."""
    late = rng.uniform(0.0, 1.5)
    hour = wanted.hour + wanted.minute / 60
    if _FIRST_STAIN <= hour <= last:
        return wanted.replace(second=0, microsecond=0)
    day = wanted + timedelta(days=1) if hour > last else wanted
    return day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=round(60 * (_FIRST_STAIN + late)))


_HALF_YEAR, _AFTER_HOLIDAYS = 6, 5


def _batch_of(day: date) -> str:
    """Name of the reagent lots in use: new ones are taken up in January and in July, whoever is in the trial."""
    return f"L{day:%y}{'A' if day.month <= _HALF_YEAR else 'B'}"


def _taken_up(day: date) -> date:
    """First Monday after the holidays of that half-year."""
    first = date(day.year, 1 if day.month <= _HALF_YEAR else _HALF_YEAR + 1, _AFTER_HOLIDAYS)
    return first + timedelta(days=-first.weekday() % 7)


def _number(name: str) -> int:
    """Return a number for a name, as a seed: independent of what other names there are."""
    return zlib.crc32(name.encode())


def _stop(rng: np.random.Generator, events: int, shares: tuple[float, ...]) -> Stop:
    """Draw a stop rule."""
    size = events / 30_000
    rules = (Stop(events=events), Stop(beads=round(5000 * size)), Stop(seconds=60 * size))
    return rules[int(rng.choice(3, p=shares))]


#: Particles per second at which an operator sets the flow, and the rates the instrument offers, microlitres/second.
_PARTICLES_PER_S, _RATES_UL_PER_S = 1100.0, (0.2, 1.0, 2.0)


def _flow(rng: np.random.Generator, particles_per_ul: float, events: int) -> Flow:
    """Draw how a tube runs: most run evenly, a few do not."""
    rates = [rate for rate in _RATES_UL_PER_S if rate * particles_per_ul <= _PARTICLES_PER_S * 1.6]
    rate = max(rates, default=min(_RATES_UL_PER_S))
    lasts_s = events / (rate * particles_per_ul)
    trouble, at, length, carry = rng.random(4).tolist()
    clog = None
    steps: tuple[tuple[float, float], ...] = ()
    if trouble < 0.05:
        clog = Clog(at_s=lasts_s * (0.15 + 0.6 * at), lasts_s=lasts_s * (0.08 + 0.25 * length))
    elif trouble < 0.10:
        steps = ((lasts_s * (0.2 + 0.5 * at), 0.5 + 1.5 * length),)
    burst = 0.008 * events if carry < 0.04 else 0.0006 * events
    return Flow(ul_per_s=rate, clog=clog, steps=steps, carry_over=burst * float(np.exp(0.5 * rng.standard_normal())))
