"""Drawing the suspension past the laser until a stop rule ends it, event by event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nti7flow.simulation.beads import draw_beads
from nti7flow.simulation.blood import CELL_TYPES, HEALTHY, POPULATIONS
from nti7flow.simulation.cells import RESTING, CellState, Donor, Flags, Floats, Particles, draw_cells
from nti7flow.simulation.cytometer import Cytometer, digitise, fluorescence, scatter
from nti7flow.simulation.flow import Flow, Stream
from nti7flow.simulation.preparation import BEADS, Preparation, Stop, tube_particles

#: Seconds before the first particle arrives.
DELAY_S = 0.4
#: What the needle cannot reach, microlitres.
DEAD_VOLUME_UL = 30.0
#: Seconds over which the tube before is washed out.
_WASH_OUT_S = 0.9
#: Pulses drawn at a time.
_BLOCK = 5_000
#: Pulse width in units of 2**16 for height equal to area, as digital cytometers give it.
_WIDTH_UNIT = 65_536.0
#: What a particle can be; kinds are positions in it.
TYPES = (*CELL_TYPES, BEADS)
IS_CELL = np.array([name in CELL_TYPES and CELL_TYPES[name].is_cell for name in TYPES])
BEAD, NOBODY = len(TYPES) - 1, -1


@dataclass(frozen=True, eq=False)
class Bench:
    """What stays the same for all pulses of a tube."""

    cytometer: Cytometer
    donor: Donor
    state: CellState
    preparation: Preparation
    staining: Floats
    stream: Stream


@dataclass(frozen=True, eq=False)
class Events:
    """Recorded events: values without time, and what they are; kinds are positions in `TYPES`."""

    values: Floats
    seconds: Floats
    volume_ul: Floats
    kinds: NDArray[np.int64]
    partners: NDArray[np.int64]
    dead: Flags
    cycling: Flags
    pd1: Flags
    carried: Flags

    def take(self, rows: NDArray[np.intp] | Flags | slice) -> Events:
        """Return some of the events."""
        return Events(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @classmethod
    def concatenate(cls, parts: list[Events]) -> Events:
        """Return the events of all parts, in order."""
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def acquire(
    rng: np.random.Generator, bench: Bench, cells_per_ul: Mapping[str, float], stop: Stop, flow: Flow
) -> tuple[Events, float, str]:
    """Draw the suspension until the stop rule is met; events, volume drawn, and the rule."""
    carried = _carry_over(rng, bench, flow)
    usable = bench.preparation.suspension_ul - DEAD_VOLUME_UL
    in_tube = tube_particles(cells_per_ul, bench.preparation)
    particles = np.array([in_tube[name] for name in TYPES])
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


def _in_order(blocks: list[Events]) -> Events:
    events = Events.concatenate(blocks)
    return events.take(np.argsort(events.seconds, kind="stable"))


def _end(events: Events, stop: Stop, stream: Stream, volume: float, usable: float) -> tuple[int, float, str] | None:
    """Say where it ends (events, volume drawn, and by which rule), or None if more must be drawn first."""
    limit_ul = usable
    if stop.seconds is not None:
        limit_ul = min(usable, float(stream.volume_at(stop.seconds - DELAY_S)))
    elif stop.volume_ul is not None:
        limit_ul = min(usable, stop.volume_ul)
    # Not beyond what is drawn yet: there only cells carried over would be found.
    known_ul = min(limit_ul, volume)
    within = int(np.searchsorted(events.seconds, float(stream.seconds_at(known_ul)), side="right"))
    counted = np.ones(len(events.kinds), np.int64) if stop.beads is None else events.kinds == BEAD
    wanted = stop.events if stop.events is not None else stop.beads
    if wanted is not None:
        reached = int(np.searchsorted(np.cumsum(counted), wanted, side="left"))
        if reached < within:
            return reached + 1, float(events.volume_ul[reached]), stop.rule
    if volume < limit_ul:
        return None
    return within, limit_ul, "dry" if limit_ul == usable else stop.rule


def _carry_over(rng: np.random.Generator, bench: Bench, flow: Flow) -> Events:
    """Cells of another person, washed out of the needle at the start."""
    n = int(rng.poisson(flow.carry_over))
    other = Bench(bench.cytometer, Donor(), CellState(), bench.preparation, bench.staining, bench.stream)
    healthy = tube_particles(HEALTHY, replace(bench.preparation, beads=0.0, debris_per_ul=0.0, ghosts_per_ul=0.0))
    weights = np.array([healthy[name] for name in TYPES])
    seconds = np.sort(rng.exponential(_WASH_OUT_S, n))
    events = _measure(rng, other, weights / weights.sum(), bench.stream.volume_at(seconds))
    events.carried[:] = True
    return events


def _measure(rng: np.random.Generator, bench: Bench, weights: Floats, volumes: Floats) -> Events:
    """Send one pulse past the laser at each volume, and keep those above the threshold."""
    cytometer, n = bench.cytometer, len(volumes)
    paired = np.flatnonzero(rng.random(n) < bench.preparation.doublets)
    kinds = rng.choice(len(weights), size=n, p=weights)
    kinds_2 = rng.choice(len(weights), size=len(paired), p=weights)
    # Where debris and a cell meet, the cell is what the event is about.
    first_is_debris = ~IS_CELL[kinds[paired]] & (kinds[paired] != BEAD)
    kinds[paired], kinds_2 = (
        np.where(first_is_debris, kinds_2, kinds[paired]),
        np.where(first_is_debris, kinds[paired], kinds_2),
    )
    partners = np.full(n, NOBODY)
    partners[paired] = kinds_2
    first, second = _draw(rng, bench, kinds), _draw(rng, bench, kinds_2)
    area, height, side = scatter(rng, first, second, paired)
    seconds = bench.stream.seconds_at(volumes)
    collected = bench.stream.light_at(seconds)
    forward, sideways = (gain * collected for gain in cytometer.scatter_gain)
    area, height, side = area * forward, height * forward, side * sideways
    kept = area > cytometer.threshold
    pd1 = np.any(first.copies[:, [marker == "PD1" for marker in cytometer.markers]] > 0, axis=1)
    both = first.joined(second, paired).take(kept)
    light = fluorescence(rng, cytometer, both, staining=bench.staining, collected=collected[kept])
    area, height, side = area[kept], height[kept], side[kept]
    width = np.where(height > 0, area / np.maximum(height, 1.0), 0.0) * _WIDTH_UNIT
    measured = {"FSC-A": area, "FSC-H": height, "FSC-W": width, "SSC-A": side}
    return Events(
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


def _draw(rng: np.random.Generator, bench: Bench, kinds: NDArray[np.int64]) -> Particles:
    """Draw one particle per entry of ``kinds``, in that order."""
    drawn: list[Particles] = []
    cytometer, state = bench.cytometer, bench.state
    numbers = np.bincount(kinds, minlength=len(TYPES)).tolist()
    for name, n in zip(TYPES, numbers, strict=True):
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
