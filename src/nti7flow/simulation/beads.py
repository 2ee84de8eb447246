"""Counting beads: dyed plastic spheres, so many to a tube, bright in every channel."""

from __future__ import annotations

import numpy as np

from nti7flow.simulation.cells import Particles

_FSC, _SSC, _DIAMETER = 36_000.0, 62_000.0, 4.2


def draw_beads(rng: np.random.Generator, n: int, *, n_markers: int) -> Particles:
    """Draw n counting beads: even in size, their dye a little less so.

    Some are chipped or poorly dyed, as in any lot: they make the tail towards lower light.
    """
    size = np.exp(0.018 * rng.standard_normal(n))
    dye = rng.gamma(420.0, 1 / 420.0, n) * np.where(rng.random(n) < 0.02, rng.beta(6.0, 2.0, n), 1.0)
    return Particles(
        fsc=_FSC * size**3,
        ssc=_SSC * size**3 * rng.gamma(350.0, 1 / 350.0, n),
        diameter=_DIAMETER * size,
        copies=np.zeros((n, n_markers)),
        glow=np.zeros(n),
        sticky=np.zeros(n),
        beads=dye,
        dead=np.zeros(n, np.bool_),
        cycling=np.zeros(n, np.bool_),
    )
