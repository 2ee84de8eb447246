"""One tube, from the blood in it to the events on file, with the truth about every event.

A specimen holds cells at some concentration. A volume of it is stained, lysed and made up to a suspension,
with counting beads where the method asks for them; the cytometer draws the suspension until a stop rule ends
it. Particles meet the laser as they come: a Poisson process in the volume drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import did_you_mean
from nti7flow.simulation.acquisition import (
    BEAD,
    DEAD_VOLUME_UL,
    DELAY_S,
    IS_CELL,
    NOBODY,
    TYPES,
    Bench,
    Events,
    acquire,
)
from nti7flow.simulation.blood import CELL_TYPES, HEALTHY, by_population
from nti7flow.simulation.cells import CellState, Donor, Flags, Floats
from nti7flow.simulation.cytometer import Cytometer
from nti7flow.simulation.flow import Flow, run_stream
from nti7flow.simulation.panels import TBNK_CANTO
from nti7flow.simulation.preparation import BEADS, Preparation, Stop, tube_particles

#: Labels that are no cell type, besides ``beads``: two particles at once, dead cells, cells of the tube before.
BEAD_DOUBLETS, DOUBLETS, DEAD, CARRY_OVER = "bead_doublets", "doublets", "dead", "carry_over"
#: Seconds per unit of the time channel.
TIME_STEP_S = 0.001
_LEAVES = tuple(sorted({cell.population for cell in CELL_TYPES.values() if cell.is_cell}))


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
        labels = _tally(self.labels)
        others = ("debris", DEAD, DOUBLETS, BEADS, BEAD_DOUBLETS, CARRY_OVER)
        return by_population(single) | {name: labels.get(name, 0) for name in others}

    def cells(self) -> dict[str, int]:
        """Cells on file of each population, and beads: dead ones and both of a doublet counted, the tube before not."""
        own = self.labels != CARRY_OVER
        passed = _tally(np.concatenate([self.cell_types[own], self.partners[own]]))
        return by_population(passed) | {BEADS: passed.get(BEADS, 0)}

    def expected(self) -> dict[str, float]:
        """Cells that `cells` counts on average, given the volumes: truth free of the luck of the draw."""
        drawn = self.acquired_ul / self.preparation.suspension_ul
        particles = tube_particles(self.cells_per_ul, self.preparation)
        amounts = by_population(particles) | {BEADS: particles[BEADS]}
        return {name: amount * drawn for name, amount in amounts.items()}


def _tally(names: NDArray[np.str_]) -> dict[str, int]:
    """How often each name occurs."""
    return dict(zip(*(values.tolist() for values in np.unique(names, return_counts=True)), strict=True))


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
    bench = Bench(cytometer, donor or Donor(), state or CellState(), preparation, staining, stream)
    recorded, acquired_ul, stopped_by = acquire(rng, bench, cells_per_ul, stop, flow)
    seconds = float(stream.seconds_at(acquired_ul))
    columns = [recorded.values, np.rint((recorded.seconds + DELAY_S) / TIME_STEP_S)]
    names = np.array([*TYPES, ""])
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
        seconds=seconds + DELAY_S,
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
    if not flow.ul_per_s > 0 or not preparation.suspension_ul > DEAD_VOLUME_UL:
        raise ValueError(f"a flow above 0 and more than {DEAD_VOLUME_UL} µL were expected, found {flow}, {preparation}")


def _labels(events: Events) -> NDArray[np.str_]:
    """Say what each event is: the most disturbing thing about it wins."""
    populations = np.array([*(cell.population for cell in CELL_TYPES.values()), BEADS])
    labels = populations[events.kinds].astype("<U16")
    labels[events.dead] = DEAD
    with_bead = events.partners == BEAD
    with_cell = (events.partners != NOBODY) & np.append(IS_CELL, False)[events.partners]
    labels[with_bead | with_cell] = DOUBLETS
    labels[with_bead & (events.kinds == BEAD)] = BEAD_DOUBLETS
    labels[events.carried] = CARRY_OVER
    return labels
