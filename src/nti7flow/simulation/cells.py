"""What passes the laser: particles drawn from a cell type and a donor, before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Markers that only some states of a cell show: nuclear Ki-67 when it cycles, the amine dye when it is dead.
KI67, VIABILITY = "Ki67", "Viability"
#: Share of cycling cells where nothing else is said.
RESTING = 0.01
#: What cycling does to the density of other antigens: activated, and fed by IL-7 or antigen.
_CYCLING: Mapping[str, float] = {"CD25": 1.7, "CD127": 0.7, "PD1": 1.5, "CD95": 1.25, "CD28": 0.9}
_CYCLING_GROWTH = 1.06
#: What swelling does to a cell: larger, its cytoplasm thinner, its membrane unfolded rather than grown.
_SWELLING = {"diameter": 1.3, "fsc": 1.58, "ssc": 0.78, "surface": 1.25}
#: Factor on the share of shrunken cells where red cells were not lysed.
_DAMAGED_UNLYSED = 0.15
#: Thousand copies left of an antigen that is being lost.
_TRACE = 0.15


@dataclass(frozen=True, slots=True)
class Antigen:
    """How the cells of one type carry one antigen.

    Attributes
    ----------
    copies : float
        Typical number per cell of average size, thousands.
    shape : float
        Shape k of the gamma distribution of the density between cells; its CV is ``1 / sqrt(k)``.
    tail : float
        Scale of a Student-t (5 degrees of freedom) on the logarithm of the density: the heavy tails.
    share : float
        Fraction of the cells that carry the antigen at all.
    lost : float
        Fraction that a damaged cell has shed or taken in.
    """

    copies: float
    shape: float = 20.0
    tail: float = 0.08
    share: float = 1.0
    lost: float = 0.06


@dataclass(frozen=True, slots=True)
class CellType:
    """One kind of particle.

    Attributes
    ----------
    population : str
        Population that a perfect gating would put it in.
    fsc, ssc : float
        Typical forward and side scatter of an intact cell, scale units.
    diameter : float
        Typical diameter, micrometres.
    size_spread : float
        Spread of the diameter (natural log units).
    granularity : float
        Shape of the gamma distribution of the granularity; large is uniform.
    damaged : float
        Fraction that is shrunken by lysis: less of both scatters, and some antigen lost.
    glow : float
        Autofluorescence, relative.
    sticky : float
        Unspecific uptake of antibody, relative.
    antigens : Mapping of str to Antigen
        By marker; absent means none.
    is_cell : bool
        Whether it can be alive or dead, and take up a viability dye.
    recovery : float
        Fraction that is left after a density gradient.
    becoming : Mapping of str to Antigen
        What the cells are on the way to carry, by marker: differentiation goes by degrees.
    density_spread : float
        Spread of how dense the cytoplasm is, hence of its refractive index (natural log units).
    ruffle_spread : float
        Spread of the folds of the membrane (natural log units): more surface, hence more antigen.
    ruffle_scatter : float
        Power of the folds in side scatter; 0 where granules scatter all of it.
    evenness : float
        Shape of the gamma distributions of autofluorescence and uptake; large is uniform.
    swollen : float
        Fraction blown up by the lysing fluid: larger and thinner.
    """

    population: str
    fsc: float
    ssc: float
    diameter: float
    size_spread: float
    granularity: float
    damaged: float
    glow: float
    sticky: float
    antigens: Mapping[str, Antigen]
    is_cell: bool = True
    recovery: float = 1.0
    becoming: Mapping[str, Antigen] = field(default_factory=dict)
    density_spread: float = 0.115
    ruffle_spread: float = 0.0
    ruffle_scatter: float = 0.0
    evenness: float = 9.0
    swollen: float = 0.0


@dataclass(frozen=True, slots=True)
class Donor:
    """What is particular about one person, as factors on the typical values.

    Attributes
    ----------
    antigens : Mapping of str to float
        Antigen density by marker.
    size, granularity, glow : float
        Cell diameter, side scatter and autofluorescence.
    """

    antigens: Mapping[str, float] = field(default_factory=dict)
    size: float = 1.0
    granularity: float = 1.0
    glow: float = 1.0


def draw_donor(rng: np.random.Generator, markers: Sequence[str]) -> Donor:
    """Draw a person from the variation seen between people, with an antigen density for each marker."""
    factors = np.exp(0.12 * rng.standard_normal(len(markers)))
    size, granularity, glow = np.exp(np.array([0.015, 0.06, 0.10]) * rng.standard_normal(3))
    return Donor(dict(zip(markers, factors.tolist(), strict=True)), float(size), float(granularity), float(glow))


@dataclass(frozen=True, slots=True)
class CellState:
    """How the cells of one specimen differ from resting ones: what IL-7, infection or steroids do.

    Attributes
    ----------
    cycling : Mapping of str to float
        Share of cycling (Ki-67+) cells by cell type; `RESTING` where absent.
    density : Mapping of str to float
        Factor on the antigen density of T cells by marker.
    growth : float
        Factor on the diameter of T and NK cells, above 1 when they blast.
    """

    cycling: Mapping[str, float] = field(default_factory=dict)
    density: Mapping[str, float] = field(default_factory=dict)
    growth: float = 1.0


@dataclass(frozen=True, eq=False)
class Particles:
    """Cells on their way to the laser, before anything is measured.

    Attributes
    ----------
    fsc, ssc : ndarray of float64, shape (n,)
        Scatter without measurement error, scale units.
    diameter : ndarray of float64, shape (n,)
        Micrometres.
    copies : ndarray of float64, shape (n, markers)
        Antigens, thousands per cell, in the order of the markers asked for.
    glow, sticky : ndarray of float64, shape (n,)
        Autofluorescence and unspecific antibody, relative to a lymphocyte.
    beads : ndarray of float64, shape (n,)
        Dye of a counting bead, relative to a typical bead; 0 for cells.
    dead, cycling : ndarray of bool, shape (n,)
        State of each cell.
    """

    fsc: Floats
    ssc: Floats
    diameter: Floats
    copies: Floats
    glow: Floats
    sticky: Floats
    beads: Floats
    dead: Flags
    cycling: Flags

    def take(self, rows: NDArray[np.intp] | Flags) -> Particles:
        """Return the particles at some positions, in that order."""
        return Particles(*(values[rows] for values in self._arrays()))

    def joined(self, other: Particles, rows: NDArray[np.intp]) -> Particles:
        """Return these particles with those of ``other`` added to the ones at ``rows``: two in one pulse."""
        sums = [values.copy() for values in self._arrays()]
        for values, more in zip(sums, other._arrays(), strict=True):
            values[rows] += more  # of flags: either of the two
        return Particles(*sums)

    @classmethod
    def concatenate(cls, parts: Sequence[Particles]) -> Particles:
        """Return all particles of several groups, in order."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*(part._arrays() for part in parts), strict=True)))

    def _arrays(self) -> tuple[Any, ...]:
        return tuple(getattr(self, column.name) for column in fields(self))


def draw_cells(
    rng: np.random.Generator,
    cell: CellType,
    n: int,
    *,
    markers: Sequence[str],
    donor: Donor,
    dead: float = 0.0,
    lysed: bool = True,
    cycling: float = 0.0,
    growth: float = 1.0,
    density: Mapping[str, float] | None = None,
) -> Particles:
    """Draw cells of one type.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    cell : CellType
        What to draw.
    n : int
        How many.
    markers : sequence of str
        Columns of ``copies``.
    donor : Donor
        Whose cells.
    dead, cycling : float
        Fraction of them in each state.
    lysed : bool
        Whether they went through a lysis of red cells, which shrinks many.
    growth : float
        Factor on the diameter of every cell, above 1 for activated (blasting) cells.
    density : Mapping of str to float, optional
        Factor on antigen density by marker, such as what a drug does.
    """
    is_dead = (rng.random(n) < dead) & cell.is_cell
    is_cycling = rng.random(n) < cycling
    # Size drives both scatters, surface (so every antigen) and pulse width; the density of the cytoplasm both
    # scatters and autofluorescence; folds of the membrane antigen and side scatter. This is what correlates them.
    size = np.exp(cell.size_spread * rng.standard_normal(n)) * donor.size * growth
    size *= np.where(is_cycling, _CYCLING_GROWTH, 1.0)
    damaged = cell.damaged if lysed else cell.damaged * _DAMAGED_UNLYSED
    harm = np.where(rng.random(n) < damaged, rng.beta(5.0, 2.5, n), 0.05 * rng.random(n))
    harm = np.where(is_dead, rng.beta(5.0, 2.0, n), harm)
    dense = np.exp(cell.density_spread * rng.standard_normal(n))
    ruffles = np.exp(cell.ruffle_spread * rng.standard_normal(n))
    swell = rng.random(n) < (cell.swollen if lysed else cell.swollen * _DAMAGED_UNLYSED)
    grown = {what: np.where(swell, factor, 1.0) for what, factor in _SWELLING.items()}
    surface = size**2 * ruffles * grown["surface"]
    progress = rng.beta(0.6, 4.0, n) if cell.becoming else np.zeros(n)
    granules = rng.gamma(cell.granularity, 1 / cell.granularity, n) * donor.granularity
    copies = np.zeros((n, len(markers)))
    for column, marker in enumerate(markers):
        if marker == VIABILITY:
            copies[:, column] = _dye_uptake(rng, is_dead) * surface * cell.is_cell
        elif marker in cell.antigens:
            factor = donor.antigens.get(marker, 1.0) * (density or {}).get(marker, 1.0)
            carried = _density(rng, cell.antigens[marker], n)
            if marker in cell.becoming:
                later = _density(rng, cell.becoming[marker], n)
                carried = np.maximum(carried, _TRACE) ** (1 - progress) * np.maximum(later, _TRACE) ** progress
            copies[:, column] = carried * factor * surface * (1 - cell.antigens[marker].lost * harm)
            if marker == KI67:
                copies[:, column] *= is_cycling
            elif marker in _CYCLING:
                copies[is_cycling, column] *= _CYCLING[marker]
    copies[is_dead] *= np.where([marker == VIABILITY for marker in markers], 1.0, 0.55)
    # A dead membrane lets antibodies in, and they stay, of every colour alike.
    leak = np.where(is_dead, rng.gamma(1.6, 5.0, n), 0.0)
    return Particles(
        fsc=cell.fsc * size**2 * dense * grown["fsc"] * (1 - 0.72 * harm),
        ssc=cell.ssc
        * size**2
        * dense**1.25
        * ruffles**cell.ruffle_scatter
        * granules
        * grown["ssc"]
        * (1 - 0.42 * harm),
        diameter=cell.diameter * size * grown["diameter"] * (1 - 0.25 * harm),
        copies=copies,
        glow=cell.glow
        * donor.glow
        * size**2
        * grown["surface"]
        * dense
        * granules
        * _uneven(rng, cell, n)
        * (1 - 0.42 * harm + 1.6 * is_dead),
        sticky=cell.sticky * surface * _uneven(rng, cell, n) * (1 + leak),
        beads=np.zeros(n),
        dead=is_dead,
        cycling=is_cycling,
    )


def _uneven(rng: np.random.Generator, cell: CellType, n: int) -> Floats:
    return rng.gamma(cell.evenness, 1 / cell.evenness, n)


def _density(rng: np.random.Generator, antigen: Antigen, n: int) -> Floats:
    """Draw copies per cell of average size, thousands, shape (n,); 0 for cells that carry none."""
    spread = rng.gamma(antigen.shape, 1 / antigen.shape, n) * np.exp(antigen.tail * rng.standard_t(5.0, n))
    return np.where(rng.random(n) < antigen.share, antigen.copies * spread, 0.0)


def _dye_uptake(rng: np.random.Generator, dead: Flags) -> Floats:
    """Amine dye relative to a live cell: outside only, or all the protein within."""
    n = len(dead)
    return np.where(
        dead, rng.gamma(6.0, 70 / 6.0, n), rng.gamma(5.0, 1 / 5.0, n) * np.exp(0.15 * rng.standard_t(4.0, n))
    )
