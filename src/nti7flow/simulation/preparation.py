"""From the specimen to the suspension that is drawn: volumes, beads, age, what lysis or a gradient leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nti7flow.simulation.blood import CELL_TYPES

#: What a counting bead is called where cells have their type.
BEADS = "beads"
#: Monocytes that carry CD16, as a share of all.
CD16_MONOCYTES = 0.07
#: Burst leukocytes per piece of debris.
REMNANTS = 0.04


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
