"""One tube, from the blood in it to the events on file, with the truth about every event.

A specimen holds cells at some concentration. A volume of it is stained, lysed and made up to a suspension,
with counting beads where the method asks for them; the cytometer draws the suspension until a stop rule ends
it. Particles meet the laser as they come: a Poisson process in the volume drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import did_you_mean
from nti7flow.simulation.beads import draw_beads
from nti7flow.simulation.blood import CELL_TYPES, HEALTHY, POPULATIONS
from nti7flow.simulation.cells import RESTING, CellState, Donor, Flags, Floats, Particles, draw_cells
from nti7flow.simulation.cytometer import Cytometer, digitise, fluorescence, scatter
from nti7flow.simulation.flow import Flow, Stream, run_stream
from nti7flow.simulation.panels import TBNK_CANTO

#: Labels that are no cell type: counting beads, two particles at once, dead cells, cells of the tube before.
BEADS, BEAD_DOUBLETS, DOUBLETS, DEAD, CARRY_OVER = "beads", "bead_doublets", "doublets", "dead", "carry_over"
#: Seconds per unit of the time channel.
TIME_STEP_S = 0.001
#: What the needle cannot reach, microlitres.
_DEAD_VOLUME_UL = 30.0
#: Seconds before the first particle arrives, and over which the tube before is washed out.
_DELAY_S, _WASH_OUT_S = 0.4, 0.9
#: Monocytes that carry CD16, as a share of all.
CD16_MONOCYTES = 0.07
#: Burst leukocytes per piece of debris.
REMNANTS = 0.04
#: Pulses drawn at a time.
_BLOCK = 5_000


@dataclass(frozen=True, slots=True)
class Stop:
    """When acquisition ends; exactly one is given. A tube that runs dry ends it anyway.

    Attributes
    ----------
    events, beads : int, optional
        Events on file, or bead events among them.
    seconds, volume_ul : float, optional
        Time, or volume of suspension drawn.
    """

    events: int | None = None
    beads: int | None = None
    seconds: float | None = None
    volume_ul: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in self._rules() if value is not None}
        if len(given) != 1 or not all(value > 0 for value in given.values()):
            raise ValueError(f"expected one stop rule above 0 of events, beads, seconds, volume_ul; found {given}")

    @property
    def rule(self) -> str:
        """Which one it is."""
        return next(name for name, value in self._rules() if value is not None)

    @property
    def value(self) -> float:
        """Its limit."""
        return next(value for _, value in self._rules() if value is not None)

    def _rules(self) -> list[tuple[str, float | None]]:
        return [
            ("events", self.events),
            ("beads", self.beads),
            ("seconds", self.seconds),
            ("volume_ul", self.volume_ul),
        ]


@dataclass(frozen=True, slots=True)
class Preparation:
    """What was done to the specimen before it met the cytometer.

    Attributes
    ----------
    specimen_ul, suspension_ul : float
        Volume of blood that really went into the tube, and of what came of it.
    beads : float
        Counting beads that really are in the tube.
    gradient : bool
        Mononuclear cells of a density gradient, instead of lysed whole blood.
    left_out : str
        Marker whose antibody is missing (FMO tube), else empty.
    hours_to_stain : float
        Age of the specimen: cells die, and debris grows.
    debris_per_ul, ghosts_per_ul : float
        Platelets and fragments, and red-cell ghosts, per microlitre of blood; most stay below the threshold.
    doublets : float
        Fraction of the pulses that hold two particles.
    recovery : float
        How well the gradient went: factor on what it usually leaves of each cell type.
    """

    specimen_ul: float = 50.0
    suspension_ul: float = 500.0
    beads: float = 0.0
    gradient: bool = False
    left_out: str = ""
    hours_to_stain: float = 2.0
    debris_per_ul: float = 9_000.0
    ghosts_per_ul: float = 180.0
    doublets: float = 0.03
    recovery: float = 1.0

    @property
    def dead(self) -> float:
        """Fraction of the cells that are dead."""
        return min((0.02 if self.gradient else 0.006) + 0.0009 * self.hours_to_stain, 0.3)


@dataclass(frozen=True, eq=False)
class SimulatedTube:
    """A tube, and the truth about it.

    Attributes
    ----------
    events : ndarray of float64, shape (n, channels)
        Raw, uncompensated scale values, whole numbers, in the order of acquisition; time in ``TIME_STEP_S``.
    detectors, markers : tuple of str
        $PnN and $PnS of the channels; an empty marker for scatter and time.
    cytometer : Cytometer
        What it was measured with; `Cytometer.measured_spillover` is the true matrix, ``keyword`` the stated one.
    labels : ndarray of str, shape (n,)
        Population of a single live cell, else ``debris``, ``dead``, ``doublets``, ``beads``, ``bead_doublets`` or
        ``carry_over``. A cell with debris in its pulse is that cell.
    cell_types : ndarray of str, shape (n,)
        Cell type of each event, of its first particle where there are two.
    partners : ndarray of str, shape (n,)
        Cell type of a second particle, else empty.
    dead, cycling, pd1 : ndarray of bool, shape (n,)
        State of the cell, and whether it carries PD-1 (False where the panel does not stain it).
    cells_per_ul : Mapping of str to float
        True concentration in the specimen by cell type.
    preparation : Preparation
        What really happened at the bench.
    acquired_ul, seconds : float
        Suspension drawn, and how long it took.
    stopped_by : str
        The rule that ended acquisition, or ``dry``.
    """

    events: Floats
    detectors: tuple[str, ...]
    markers: tuple[str, ...]
    cytometer: Cytometer
    labels: NDArray[np.str_]
    cell_types: NDArray[np.str_]
    partners: NDArray[np.str_]
    dead: Flags
    cycling: Flags
    pd1: Flags
    cells_per_ul: Mapping[str, float]
    preparation: Preparation
    acquired_ul: float
    seconds: float
    stopped_by: str

    def counts(self) -> dict[str, int]:
        """Count events by label, and of populations that a perfect gating would count: single live cells."""
        single = _tally(self.cell_types[np.isin(self.labels, _LEAVES)])
        counts = {name: sum(single.get(kind, 0) for kind in types) for name, types in POPULATIONS.items()}
        labels = _tally(self.labels)
        others = ("debris", DEAD, DOUBLETS, BEADS, BEAD_DOUBLETS, CARRY_OVER)
        return counts | {name: labels.get(name, 0) for name in others}

    def cells(self) -> dict[str, int]:
        """Cells on file of each population, and beads: dead ones and both of a doublet counted, the tube before not."""
        own = self.labels != CARRY_OVER
        passed = _tally(np.concatenate([self.cell_types[own], self.partners[own]]))
        counts = {name: sum(passed.get(kind, 0) for kind in types) for name, types in POPULATIONS.items()}
        return counts | {BEADS: passed.get(BEADS, 0)}

    def expected(self) -> dict[str, float]:
        """Cells that `cells` counts on average, given the volumes: truth free of the luck of the draw."""
        drawn = self.acquired_ul / self.preparation.suspension_ul
        particles = tube_particles(self.cells_per_ul, self.preparation)
        expected = {name: sum(particles[t] for t in types) * drawn for name, types in POPULATIONS.items()}
        return expected | {BEADS: particles[BEADS] * drawn}


def _tally(names: NDArray[np.str_]) -> dict[str, int]:
    """How often each name occurs."""
    return dict(zip(*(values.tolist() for values in np.unique(names, return_counts=True)), strict=True))


_LEAVES = tuple(sorted({cell.population for cell in CELL_TYPES.values() if cell.is_cell}))
_TYPES = (*CELL_TYPES, BEADS)
_CELL_CODES = np.array([name in CELL_TYPES and CELL_TYPES[name].is_cell for name in _TYPES])
_BEAD_CODE, _NONE = len(_TYPES) - 1, -1


def simulate_tube(
    rng: np.random.Generator,
    *,
    cells_per_ul: Mapping[str, float] = HEALTHY,
    stop: Stop | None = None,
    cytometer: Cytometer = TBNK_CANTO,
    donor: Donor | None = None,
    state: CellState | None = None,
    preparation: Preparation | None = None,
    flow: Flow | None = None,
) -> SimulatedTube:
    """Simulate a tube of stained blood.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness: same state, same tube.
    cells_per_ul : Mapping of str to float, optional
        Concentration in the specimen by cell type (`CELL_TYPES`); a healthy adult by default.
    stop : Stop, optional
        When acquisition ends; at 30,000 events by default.
    cytometer : Cytometer, optional
        Detectors, stains and settings.
    donor : Donor, optional
        Whose blood; a typical donor by default.
    state : CellState, optional
        What a drug or an illness does to the cells; resting by default.
    preparation : Preparation, optional
        Volumes, beads, age; fresh lysed blood without beads by default.
    flow : Flow, optional
        How the stream ran; steady by default.

    Returns
    -------
    SimulatedTube
        The events that were recorded, and the truth about each.

    Raises
    ------
    ValueError
        The concentrations name an unknown cell type, the tube holds nothing, or a number is out of range.
    """
    preparation = preparation or Preparation()
    flow = flow or Flow()
    stop = stop or Stop(events=30_000)
    _check(cells_per_ul, preparation, flow, cytometer)
    # No two tubes stain alike: volumes pipetted, minutes in the dark.
    staining = np.exp(0.03 * rng.standard_normal(len(cytometer.markers)))
    staining *= np.array([marker != preparation.left_out for marker in cytometer.markers])
    stream = run_stream(rng, flow, preparation.suspension_ul)
    bench = _Bench(cytometer, donor or Donor(), state or CellState(), preparation, staining, stream)
    recorded, acquired_ul, stopped_by = _acquire(rng, bench, cells_per_ul, stop, flow)
    seconds = float(stream.seconds_at(np.array([acquired_ul]))[0])
    columns = [recorded.values, np.rint((recorded.seconds + _DELAY_S) / TIME_STEP_S)]
    names = np.array([*_TYPES, ""])
    return SimulatedTube(
        events=np.column_stack(columns),
        detectors=(*cytometer.scatter, *cytometer.detectors, "Time"),
        markers=(*("" for _ in cytometer.scatter), *cytometer.labels, ""),
        cytometer=cytometer,
        labels=_labels(recorded),
        cell_types=names[recorded.kinds],
        partners=names[recorded.partners],
        dead=recorded.dead,
        cycling=recorded.cycling,
        pd1=recorded.pd1,
        cells_per_ul=dict(cells_per_ul),
        preparation=preparation,
        acquired_ul=acquired_ul,
        seconds=seconds + _DELAY_S,
        stopped_by=stopped_by,
    )


def _check(cells_per_ul: Mapping[str, float], preparation: Preparation, flow: Flow, cytometer: Cytometer) -> None:
    known = [name for name, cell in CELL_TYPES.items() if cell.is_cell]
    for name, concentration in cells_per_ul.items():
        if name not in known:
            raise ValueError(f"unknown cell type '{name}', known: {', '.join(known)}.{did_you_mean(name, known)}")
        if not 0 <= concentration < float("inf"):
            raise ValueError(f"cells/µL of {name} must be a finite number from 0, found {concentration}")
    if sum(tube_particles(cells_per_ul, preparation).values()) <= 0:
        raise ValueError("the tube holds nothing: no cells, no beads, no debris")
    if preparation.left_out and preparation.left_out not in cytometer.markers:
        raise ValueError(f"the panel has no {preparation.left_out} to leave out: {', '.join(cytometer.markers)}")
    if not 0 <= preparation.doublets < 1 or not 0 < preparation.specimen_ul <= preparation.suspension_ul * 100:
        raise ValueError(f"doublets from 0 to below 1 and volumes above 0 were expected, found {preparation}")
    if not flow.ul_per_s > 0 or not preparation.suspension_ul > _DEAD_VOLUME_UL:
        raise ValueError(
            f"a flow above 0 and more than {_DEAD_VOLUME_UL} µL were expected, found {flow}, {preparation}"
        )


def tube_particles(cells_per_ul: Mapping[str, float], preparation: Preparation) -> dict[str, float]:
    """Particles of each kind in the whole tube, on average, by cell type and ``beads``."""
    per_ul = dict.fromkeys(CELL_TYPES, 0.0) | dict(cells_per_ul)
    ageing = 1 + preparation.hours_to_stain / 24
    per_ul |= {"debris": preparation.debris_per_ul * ageing, "red_cell_ghosts": preparation.ghosts_per_ul}
    per_ul["monocytes_cd16"] += CD16_MONOCYTES * per_ul["monocytes"]
    per_ul["monocytes"] *= 1 - CD16_MONOCYTES
    per_ul["remnants"] = REMNANTS * per_ul["debris"]
    left = {name: CELL_TYPES[name].recovery * preparation.recovery if preparation.gradient else 1.0 for name in per_ul}
    return {name: value * preparation.specimen_ul * left[name] for name, value in per_ul.items()} | {
        BEADS: preparation.beads
    }


@dataclass(frozen=True, eq=False)
class _Bench:
    """What stays the same for all pulses of a tube."""

    cytometer: Cytometer
    donor: Donor
    state: CellState
    preparation: Preparation
    staining: Floats
    stream: Stream


@dataclass(frozen=True, eq=False)
class _Events:
    """Recorded events: values without time, and what they are; kinds are positions in `_TYPES`."""

    values: Floats
    seconds: Floats
    volume_ul: Floats
    kinds: NDArray[np.int64]
    partners: NDArray[np.int64]
    dead: Flags
    cycling: Flags
    pd1: Flags
    carried: Flags

    def take(self, rows: NDArray[np.intp] | Flags | slice) -> _Events:
        return _Events(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @classmethod
    def concatenate(cls, parts: list[_Events]) -> _Events:
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _acquire(
    rng: np.random.Generator, bench: _Bench, cells_per_ul: Mapping[str, float], stop: Stop, flow: Flow
) -> tuple[_Events, float, str]:
    """Draw the suspension until the stop rule is met; events, volume drawn, and the rule."""
    carried = _carry_over(rng, bench, flow)
    usable = bench.preparation.suspension_ul - _DEAD_VOLUME_UL
    particles = np.array([tube_particles(cells_per_ul, bench.preparation)[name] for name in _TYPES])
    # Two particles share some of the pulses: fewer pulses than particles.
    pulses_per_ul = particles.sum() / bench.preparation.suspension_ul / (1 + bench.preparation.doublets)
    weights = particles / particles.sum()
    blocks, volume = [carried], 0.0
    while True:
        volumes = volume + np.cumsum(rng.exponential(1 / pulses_per_ul, _BLOCK))
        volume = float(volumes[-1])
        blocks.append(_measure(rng, bench, weights, volumes))
        events = _in_order(blocks)
        end = _end(events, stop, bench.stream, volume, usable)
        if end is not None:
            n, acquired_ul, rule = end
            return events.take(slice(0, n)), acquired_ul, rule


def _in_order(blocks: list[_Events]) -> _Events:
    events = _Events.concatenate(blocks)
    return events.take(np.argsort(events.seconds, kind="stable"))


def _end(events: _Events, stop: Stop, stream: Stream, volume: float, usable: float) -> tuple[int, float, str] | None:
    """Say where it ends (events, volume drawn, and by which rule), or None if more must be drawn first."""
    limit_ul = usable
    if stop.seconds is not None:
        limit_ul = min(usable, stream.volume_at(stop.seconds - _DELAY_S))
    elif stop.volume_ul is not None:
        limit_ul = min(usable, stop.volume_ul)
    # Not beyond what is drawn yet: there only cells carried over would be found.
    known_ul = min(limit_ul, volume)
    within = int(np.searchsorted(events.seconds, stream.seconds_at(np.array([known_ul]))[0], side="right"))
    counted = np.ones(len(events.kinds), np.int64) if stop.beads is None else events.kinds == _BEAD_CODE
    wanted = stop.events if stop.events is not None else stop.beads
    if wanted is not None:
        reached = int(np.searchsorted(np.cumsum(counted), wanted, side="left"))
        if reached < within:
            return reached + 1, float(events.volume_ul[reached]), stop.rule
    if volume < limit_ul:
        return None
    return within, limit_ul, "dry" if limit_ul == usable else stop.rule


def _carry_over(rng: np.random.Generator, bench: _Bench, flow: Flow) -> _Events:
    """Cells of another person, washed out of the needle at the start."""
    n = int(rng.poisson(flow.carry_over))
    other = _Bench(bench.cytometer, Donor(), CellState(), bench.preparation, bench.staining, bench.stream)
    healthy = tube_particles(HEALTHY, replace(bench.preparation, beads=0.0, debris_per_ul=0.0, ghosts_per_ul=0.0))
    weights = np.array([healthy[name] for name in _TYPES])
    seconds = np.sort(rng.exponential(_WASH_OUT_S, n))
    volumes = np.interp(seconds, bench.stream.seconds, bench.stream.volume_ul)
    events = _measure(rng, other, weights / weights.sum(), volumes)
    events.carried[:] = True
    return events


def _measure(rng: np.random.Generator, bench: _Bench, weights: Floats, volumes: Floats) -> _Events:
    """Send one pulse past the laser at each volume, and keep those above the threshold."""
    cytometer, n = bench.cytometer, len(volumes)
    paired = np.flatnonzero(rng.random(n) < bench.preparation.doublets)
    kinds = rng.choice(len(weights), size=n, p=weights)
    kinds_2 = rng.choice(len(weights), size=len(paired), p=weights)
    # Where debris and a cell meet, the cell is what the event is about.
    first_is_debris = ~_CELL_CODES[kinds[paired]] & (kinds[paired] != _BEAD_CODE)
    kinds[paired], kinds_2 = (
        np.where(first_is_debris, kinds_2, kinds[paired]),
        np.where(first_is_debris, kinds[paired], kinds_2),
    )
    partners = np.full(n, _NONE)
    partners[paired] = kinds_2
    first, second = _draw(rng, bench, kinds), _draw(rng, bench, kinds_2)
    area, height, side = scatter(rng, first, second, paired)
    seconds = bench.stream.seconds_at(volumes)
    collected = bench.stream.light_at(seconds)
    forward, sideways = (gain * collected for gain in cytometer.scatter_gain)
    area, height, side = area * forward, height * forward, side * sideways
    kept = area > cytometer.threshold
    pd1 = np.asarray(first.copies[:, [marker == "PD1" for marker in cytometer.markers]] > 0).sum(axis=1) > 0
    both = first.joined(second, paired).take(kept)
    light = fluorescence(rng, cytometer, both, staining=bench.staining, collected=collected[kept])
    area, height, side = area[kept], height[kept], side[kept]
    width = np.where(height > 0, area / np.maximum(height, 1.0), 0.0) * _WIDTH_UNIT
    measured = {"FSC-A": area, "FSC-H": height, "FSC-W": width, "SSC-A": side}
    return _Events(
        values=digitise(np.column_stack([*(measured[name] for name in cytometer.scatter), light])),
        seconds=seconds[kept],
        volume_ul=volumes[kept],
        kinds=kinds[kept],
        partners=partners[kept],
        dead=both.dead,
        cycling=first.cycling[kept],
        pd1=pd1[kept],
        carried=np.zeros(int(kept.sum()), np.bool_),
    )


#: Pulse width in units of 2**16 for height equal to area, as digital cytometers give it.
_WIDTH_UNIT = 65_536.0


def _draw(rng: np.random.Generator, bench: _Bench, kinds: NDArray[np.int64]) -> Particles:
    """Draw one particle per entry of ``kinds``, in that order."""
    drawn: list[Particles] = []
    cytometer, state = bench.cytometer, bench.state
    numbers = np.bincount(kinds, minlength=len(_TYPES)).tolist()
    for name, n in zip(_TYPES, numbers, strict=True):
        if not n:
            continue
        if name == BEADS:
            drawn.append(draw_beads(rng, n, n_markers=len(cytometer.markers)))
            continue
        cell = CELL_TYPES[name]
        is_t = name in POPULATIONS["t_cells"]
        drawn.append(
            draw_cells(
                rng,
                cell,
                n,
                markers=cytometer.markers,
                donor=bench.donor,
                dead=bench.preparation.dead,
                lysed=not bench.preparation.gradient,
                cycling=state.cycling.get(name, RESTING) if "Ki67" in cell.antigens else 0.0,
                growth=state.growth if is_t or cell.population == "nk_cells" else 1.0,
                density=state.density if is_t else None,
            )
        )
    if not drawn:
        drawn.append(draw_beads(rng, 0, n_markers=len(cytometer.markers)))
    # Drawn type by type; the rank of each entry in a sort by type is its place among the drawn.
    return Particles.concatenate(drawn).take(np.argsort(np.argsort(kinds, kind="stable"), kind="stable"))


def _labels(events: _Events) -> NDArray[np.str_]:
    """Say what each event is: the most disturbing thing about it wins."""
    populations = np.array([*(cell.population for cell in CELL_TYPES.values()), BEADS])
    labels = populations[events.kinds].astype("<U16")
    labels[events.dead] = DEAD
    with_bead = events.partners == _BEAD_CODE
    with_cell = (events.partners != _NONE) & np.append(_CELL_CODES, False)[events.partners]
    labels[with_bead | with_cell] = DOUBLETS
    labels[with_bead & (events.kinds == _BEAD_CODE)] = BEAD_DOUBLETS
    labels[events.carried] = CARRY_OVER
    return labels
