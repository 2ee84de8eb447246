"""What the events of a tube are counted against, so that they become cells per microlitre of blood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from nti7flow.counting.budget import Error, log_sd
from nti7flow.counting.intervals import Kind

Method = Literal["beads", "volumetric", "dual_platform", "anchored", "hematology"]
METHODS: tuple[Method, ...] = get_args(Method)
#: What each method counts against.
KIND: Mapping[Method, Kind] = {
    "beads": "beads",
    "volumetric": "volume",
    "dual_platform": "share",
    "anchored": "share",
}
#: Part of the correction for doublets that may be wrong: particles are said to stick at random, which they may not.
DOUBLETS_IN_DOUBT = 0.25


@dataclass(frozen=True)
class Reference:
    """What events are counted against in one tube, or in several that were pooled.

    Attributes
    ----------
    method : str
        How the concentration is found.
    amount : float
        Bead events; microlitres drawn; or events of which the population is a share.
    cells_per_ul : float
        Concentration in the specimen of a population with as many events as ``amount``.
    errors : tuple of Error
        All but counting and gating.
    inputs : Mapping of str to float or str
        What it was made of, with units in the names; goes with every number.
    """

    method: Method
    amount: float
    cells_per_ul: float
    errors: tuple[Error, ...]
    inputs: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.amount > 0 and self.cells_per_ul > 0):
            raise ValueError(f"nothing can be counted against {self.amount} {self.method} at {self.cells_per_ul}/µL")

    @property
    def kind(self) -> Kind:
        """The distribution of the count."""
        return KIND[self.method]

    @property
    def cells_per_ul_of_one(self) -> float:
        """Concentration that one event stands for, cells/µL."""
        return self.cells_per_ul / self.amount


@dataclass(frozen=True, slots=True)
class Doublets:
    """Factors on the events of a tube for those that passed with another: of cells, and of beads."""

    cells: float = 1.0
    beads: float = 1.0


def by_beads(
    n_beads: int,
    *,
    beads_per_tube: float,
    specimen_ul: float,
    dilution: float,
    bead_lot: str,
    bead_cv: float,
    pipetting_cv: float,
    doublets: Doublets | None,
    gating_sd: float = 0.0,
) -> Reference:
    """Count against beads: cells/µL = cell events / bead events × beads per tube / specimen volume (µL).

    Parameters
    ----------
    n_beads : int
        Bead events.
    beads_per_tube : float
        As printed for the lot.
    specimen_ul : float
        Volume of specimen in the tube.
    dilution : float
        Factor by which the specimen was diluted before.
    bead_lot : str
        Tubes of one lot are wrong together; without a name, those with as many beads are taken to be of one.
    bead_cv, pipetting_cv : float
        Coefficients of variation of the beads in a tube, and of the volume pipetted.
    doublets : Doublets, optional
        Estimated factors; None where they are not known.
    gating_sd : float, optional
        Beads that the place of their gate leaves open, events, standard deviation.

    Examples
    --------
    1,000 beads of 50,000 in 50 µL of blood: 70 cells are 70/µL.

    >>> of = dict(bead_lot="L1", bead_cv=0.02, pipetting_cv=0.02, dilution=1.0, doublets=None)
    >>> round(70 * by_beads(1000, beads_per_tube=50_000, specimen_ul=50, **of).cells_per_ul_of_one, 9)
    70.0
    """
    factors = doublets or Doublets()
    lot = Error("bead_lot", log_sd(bead_cv), shared=bead_lot or f"{beads_per_tube:g} beads per tube")
    gate = (Error("bead_gating", log_sd(gating_sd / n_beads)),) if gating_sd else ()
    doubt = _in_doubt(doublets, factors.cells / factors.beads)
    return Reference(
        "beads",
        float(n_beads),
        beads_per_tube / specimen_ul * dilution * factors.cells / factors.beads,
        (lot, Error("pipetting", log_sd(pipetting_cv)), *gate, *doubt),
        {
            "n_beads": n_beads,
            "beads_per_tube": beads_per_tube,
            "bead_lot": bead_lot,
            "bead_cv": bead_cv,
            "specimen_ul": specimen_ul,
            "dilution": dilution,
            "pipetting_cv": pipetting_cv,
            **_told(doublets),
        },
    )


def by_volume(
    volume_ul: float, *, dilution: float, volume_cv: float, source: str, doublets: Doublets | None
) -> Reference:
    """Count in a volume: cells/µL = cell events / volume acquired (µL) × dilution.

    Parameters
    ----------
    volume_ul : float
        Volume that the cytometer drew.
    dilution : float
        Volume of what was acquired per volume of specimen in it.
    volume_cv : float
        Coefficient of variation of the volume.
    source : str
        Where the volume is from.
    doublets : Doublets, optional
        Estimated factors; None where they are not known.
    """
    factor = 1.0 if doublets is None else doublets.cells
    told: dict[str, float | str] = {
        "volume_ul": volume_ul,
        "volume_from": source,
        "dilution": dilution,
        "volume_cv": volume_cv,
        **_told(doublets),
    }
    errors = (Error("volume", log_sd(volume_cv)), *_in_doubt(doublets, factor))
    return Reference("volumetric", volume_ul, dilution * factor, errors, told)


def by_lymphocytes(n_lymphocytes: int, *, alc_per_ul: float, cv: float, shared: str, source: str) -> Reference:
    """Dual platform: cells/µL = share of the lymphocytes × absolute lymphocyte count of haematology.

    Doublets are left out of both alike, and need no correction.

    Parameters
    ----------
    n_lymphocytes : int
        Lymphocyte events.
    alc_per_ul : float
        Absolute lymphocyte count, cells/µL.
    cv : float
        Its coefficient of variation.
    shared : str
        The draw: all tubes that use its count are wrong together.
    source : str
        What it was made of.
    """
    told: dict[str, float | str] = {
        "n_lymphocytes": n_lymphocytes,
        "alc_per_ul": alc_per_ul,
        "alc_from": source,
        "alc_cv": cv,
    }
    errors = (Error("hematology", log_sd(cv), shared=shared),)
    return Reference("dual_platform", float(n_lymphocytes), alc_per_ul, errors, told)


def by_anchor(n_events: int, *, cells_per_ul: float, sd: float, population: str, sample: str) -> Reference:
    """Anchor to a population of another tube of the specimen: its concentration × share of its cells in this one.

    Parameters
    ----------
    n_events : int
        Events of the anchoring population in this tube.
    cells_per_ul : float
        Its concentration, from the other tube.
    sd : float
        Standard deviation of that, natural log units.
    population, sample : str
        What it is, and in which tube it was counted.
    """
    told: dict[str, float | str] = {
        "anchor": population,
        "anchor_from": sample,
        "anchor_per_ul": cells_per_ul,
        "n_anchor": n_events,
    }
    return Reference("anchored", float(n_events), cells_per_ul, (Error("anchor", sd, shared=sample),), told)


def _in_doubt(doublets: Doublets | None, factor: float) -> tuple[Error, ...]:
    return () if doublets is None else (Error("doublets", DOUBLETS_IN_DOUBT * abs(factor - 1)),)


def _told(doublets: Doublets | None) -> dict[str, float]:
    return {} if doublets is None else {"doublets_of_cells": doublets.cells, "doublets_of_beads": doublets.beads}
