"""One tube of lysed whole blood, acquired event by event, with the truth about every event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import did_you_mean
from nti7flow.simulation.blood import CELL_TYPES
from nti7flow.simulation.cells import Donor, Floats, Particles, draw_cells
from nti7flow.simulation.cytometer import TBNK_CANTO, Cytometer, digitise, fluorescence, scatter

#: Label of an event that is two cells at once.
DOUBLETS = "doublets"
#: Populations that contain others, by population id.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "lymphocytes": ("cd4_t", "cd8_t", "dn_t", "dp_t", "b_cells", "nk_cells"),
    "t_cells": ("cd4_t", "cd8_t", "dn_t", "dp_t"),
}
#: Seconds per unit of the time channel.
TIME_STEP_S = 0.01
_FSC_STEP, _SSC_STEP = 0.85, 1.2


@dataclass(frozen=True, eq=False)
class SimulatedTube:
    """A tube, and the truth about it.

    Attributes
    ----------
    events : ndarray of float64, shape (n, channels)
        Raw, uncompensated scale values in the order of acquisition; time in units of ``TIME_STEP_S`` seconds.
    detectors, markers : tuple of str
        $PnN and $PnS of the channels; an empty marker for scatter and time.
    fluorescence : tuple of str
        The d detectors of the matrices.
    spillover : ndarray of float64, shape (d, d)
        What really spills; row: dye, column: detector.
    keyword_spillover : ndarray of float64, shape (d, d)
        What the file says, slightly off.
    labels : ndarray of str, shape (n,)
        Population of each event; ``doublets`` for two cells at once, ``debris`` for no cell.
    cell_types : ndarray of str, shape (n,)
        Cell type of each event, of its first cell if it is a doublet.
    partners : ndarray of str, shape (n,)
        Cell type of the second cell of a doublet, else empty.
    """

    events: Floats
    detectors: tuple[str, ...]
    markers: tuple[str, ...]
    fluorescence: tuple[str, ...]
    spillover: NDArray[np.float64]
    keyword_spillover: NDArray[np.float64]
    labels: NDArray[np.str_]
    cell_types: NDArray[np.str_]
    partners: NDArray[np.str_]

    def counts(self) -> dict[str, int]:
        """Events of each population, groups of populations included; a doublet counts only as a doublet."""
        leaves = dict.fromkeys([*(cell.population for cell in CELL_TYPES.values()), DOUBLETS])
        counts = {leaf: int((self.labels == leaf).sum()) for leaf in leaves}
        groups = {group: sum(counts[leaf] for leaf in members) for group, members in GROUPS.items()}
        return {"singlets": len(self.labels) - counts[DOUBLETS]} | groups | counts


def simulate_tube(
    rng: np.random.Generator,
    *,
    n_events: int,
    composition: Mapping[str, float],
    donor: Donor | None = None,
    cytometer: Cytometer = TBNK_CANTO,
    doublets: float = 0.03,
    growth: float = 1.0,
    events_per_s: float = 700.0,
) -> SimulatedTube:
    """Simulate a tube of lysed whole blood.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness: same state, same tube.
    n_events : int
        Events to record.
    composition : Mapping of str to float
        Relative frequency (such as cells/µL) of each of `CELL_TYPES` in the suspension. What stays below the
        trigger threshold, like much of the debris, is not recorded.
    donor : Donor, optional
        Whose blood; a typical donor by default.
    cytometer : Cytometer, optional
        Detectors, stains and settings.
    doublets : float, optional
        Fraction of the pulses that hold two particles.
    growth : float, optional
        Factor on the diameter of lymphocytes, above 1 when they blast.
    events_per_s : float, optional
        Mean rate of recorded events.

    Returns
    -------
    SimulatedTube
        Exactly ``n_events`` events.

    Raises
    ------
    ValueError
        The composition names an unknown cell type or holds no cells, or a number is out of range.
    """
    _check(n_events, composition, doublets, events_per_s)
    # No two tubes stain alike: volumes pipetted, minutes in the dark.
    staining = np.exp(0.03 * rng.standard_normal(len(cytometer.markers)))
    names = tuple(name for name in CELL_TYPES if composition.get(name, 0) > 0)
    frequencies = np.array([composition[name] for name in names], np.float64)
    setup = _Setup(names, frequencies, donor or Donor(), cytometer, staining, doublets, growth)
    blocks: list[_Block] = []
    while (missing := n_events - sum(len(values) for values, _, _ in blocks)) > 0:
        blocks.append(_acquire(rng, setup, missing + 64))
    values, types, partners = (np.concatenate(parts)[:n_events] for parts in zip(*blocks, strict=True))
    populations = np.array([CELL_TYPES[name].population for name in types.tolist()])
    return SimulatedTube(
        events=np.column_stack([values, _arrivals(rng, n_events, events_per_s)]),
        detectors=("FSC-A", "FSC-H", "SSC-A", *cytometer.detectors, "Time"),
        markers=("", "", "", *cytometer.labels, ""),
        fluorescence=cytometer.detectors,
        spillover=cytometer.spillover,
        keyword_spillover=cytometer.keyword,
        labels=np.where(partners == "", populations, DOUBLETS),
        cell_types=types,
        partners=partners,
    )


def _check(n_events: int, composition: Mapping[str, float], doublets: float, events_per_s: float) -> None:
    for name, frequency in composition.items():
        if name not in CELL_TYPES:
            hint = did_you_mean(name, CELL_TYPES)
            raise ValueError(f"unknown cell type '{name}', known: {', '.join(CELL_TYPES)}.{hint}")
        if not 0 <= frequency < float("inf"):
            raise ValueError(f"the frequency of {name} must be a finite number from 0, found {frequency}")
    # Debris alone may all stay below the threshold, and the tube would never fill.
    if not any(frequency > 0 for name, frequency in composition.items() if name != "debris"):
        raise ValueError("the composition holds no cells")
    if n_events < 1 or not 0 <= doublets < 1 or not events_per_s > 0:
        raise ValueError(
            "expected n_events from 1, doublets from 0 to below 1, events_per_s above 0; "
            f"found {n_events}, {doublets}, {events_per_s}"
        )


@dataclass(frozen=True, eq=False)
class _Setup:
    """What stays the same for all pulses of a tube."""

    names: tuple[str, ...]
    frequencies: Floats
    donor: Donor
    cytometer: Cytometer
    staining: Floats
    doublets: float
    growth: float


#: Values without time, cell types, partners: one row per event.
_Block = tuple[Floats, NDArray[np.str_], NDArray[np.str_]]


def _acquire(rng: np.random.Generator, setup: _Setup, n: int) -> _Block:
    """Send n pulses past the laser and keep those above the threshold."""
    paired = np.flatnonzero(rng.random(n) < setup.doublets)
    weights = setup.frequencies / setup.frequencies.sum()
    kinds = rng.choice(len(weights), size=n, p=weights)
    kinds_2 = rng.choice(len(weights), size=len(paired), p=weights)
    first, second = _draw(rng, setup, kinds), _draw(rng, setup, kinds_2)
    fsc_area, fsc_height, ssc_area = scatter(rng, first, second, paired)
    light = fluorescence(rng, setup.cytometer, first.joined(second, paired), setup.staining)
    values = np.column_stack(
        [
            digitise(fsc_area, _FSC_STEP),
            digitise(fsc_height, _FSC_STEP),
            digitise(ssc_area, _SSC_STEP),
            digitise(light, np.array(setup.cytometer.area_scaling)),
        ]
    )
    names = np.array(setup.names)
    partners = np.full(n, "", names.dtype)
    partners[paired] = names[kinds_2]
    kept = values[:, 0] > setup.cytometer.threshold
    return values[kept], names[kinds][kept], partners[kept]


def _draw(rng: np.random.Generator, setup: _Setup, kinds: NDArray[np.int64]) -> Particles:
    """Draw one particle per entry of ``kinds`` (positions in the names), in that order."""
    drawn: list[Particles] = []
    for kind, name in enumerate(setup.names):
        cell = CELL_TYPES[name]
        growth = setup.growth if cell.population in GROUPS["lymphocytes"] else 1.0
        n = int((kinds == kind).sum())
        markers = setup.cytometer.markers
        drawn.append(draw_cells(rng, cell, n, markers=markers, donor=setup.donor, growth=growth))
    # Drawn type by type; the rank of each entry in a sort by type is its place among the drawn.
    return Particles.concatenate(drawn).take(np.argsort(np.argsort(kinds, kind="stable"), kind="stable"))


def _arrivals(rng: np.random.Generator, n: int, events_per_s: float) -> Floats:
    """Draw the times, units of ``TIME_STEP_S`` in tenths: random arrivals in a slowly wandering flow."""
    gaps = rng.exponential(1 / events_per_s, n)
    wander = np.cumsum(rng.standard_normal(n)) / np.sqrt(n)
    seconds = 0.6 + np.cumsum(gaps * np.exp(0.05 * wander))
    return np.round(seconds / TIME_STEP_S, 1)
