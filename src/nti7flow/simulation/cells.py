"""What passes the laser: particles drawn from a cell type and a donor, before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
    """

    copies: float
    shape: float = 20.0
    tail: float = 0.08
    share: float = 1.0


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
        Fraction that is shrunken or dying: less forward scatter, more of everything unspecific.
    glow : float
        Autofluorescence, relative.
    sticky : float
        Unspecific uptake of antibody, relative.
    antigens : Mapping of str to Antigen
        By marker; absent means none.
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
    """

    fsc: Floats
    ssc: Floats
    diameter: Floats
    copies: Floats
    glow: Floats
    sticky: Floats

    def take(self, rows: NDArray[np.intp]) -> Particles:
        """Return the particles at some positions, in that order."""
        return Particles(*(values[rows] for values in self._arrays()))

    def joined(self, other: Particles, rows: NDArray[np.intp]) -> Particles:
        """Return these particles with those of ``other`` added to the ones at ``rows``: two in one pulse."""
        sums = [values.copy() for values in self._arrays()]
        for values, more in zip(sums, other._arrays(), strict=True):
            values[rows] += more
        return Particles(*sums)

    @classmethod
    def concatenate(cls, parts: Sequence[Particles]) -> Particles:
        """Return all particles of several groups, in order."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*(part._arrays() for part in parts), strict=True)))

    def _arrays(self) -> tuple[Floats, ...]:
        return self.fsc, self.ssc, self.diameter, self.copies, self.glow, self.sticky


def draw_cells(
    rng: np.random.Generator,
    cell: CellType,
    n: int,
    *,
    markers: tuple[str, ...],
    donor: Donor,
    growth: float = 1.0,
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
    markers : tuple of str
        Columns of ``copies``.
    donor : Donor
        Whose cells.
    growth : float
        Factor on the diameter of every cell, above 1 for activated (blasting) cells.
    """
    # One size drives scatter, surface (so every antigen) and pulse width: this is what correlates them.
    size = np.exp(cell.size_spread * rng.standard_normal(n)) * donor.size * growth
    harm = np.where(rng.random(n) < cell.damaged, rng.beta(3.5, 2.2, n), 0.05 * rng.random(n))
    surface = size**2
    granules = rng.gamma(cell.granularity, 1 / cell.granularity, n) * donor.granularity
    copies = np.zeros((n, len(markers)))
    for column, marker in enumerate(markers):
        if marker in cell.antigens:
            density = _density(rng, cell.antigens[marker], n) * donor.antigens.get(marker, 1.0)
            copies[:, column] = density * surface
    return Particles(
        fsc=cell.fsc * size**2.4 * (1 - 0.72 * harm),
        ssc=cell.ssc * size**2 * granules * (1 - 0.36 * harm),
        diameter=cell.diameter * size * (1 - 0.25 * harm),
        copies=copies,
        glow=cell.glow * donor.glow * surface * rng.gamma(9.0, 1 / 9.0, n) * (1 + 0.3 * harm),
        sticky=cell.sticky * surface * rng.gamma(9.0, 1 / 9.0, n) * (1 + 0.5 * harm),
    )


def _density(rng: np.random.Generator, antigen: Antigen, n: int) -> Floats:
    """Draw copies per cell of average size, thousands, shape (n,); 0 for cells that carry none."""
    spread = rng.gamma(antigen.shape, 1 / antigen.shape, n) * np.exp(antigen.tail * rng.standard_t(5.0, n))
    return np.where(rng.random(n) < antigen.share, antigen.copies * spread, 0.0)
