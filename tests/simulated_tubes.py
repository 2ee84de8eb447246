"""Simulated tubes for tests of any room: blood named by lineage, and the spillover keyword a file would state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nti7flow.simulation import HEALTHY, POPULATIONS, Preparation, SimulatedTube, Stop, simulate_tube

#: Blood of a moderately lymphopenic person, cells/µL by lineage.
LINEAGES = {"cd4_t": 500, "cd8_t": 300, "b_cells": 100, "nk_cells": 100, "monocytes": 300, "neutrophils": 3000}


def blood(lineages: Mapping[str, float]) -> dict[str, float]:
    """Return cells/µL by cell type: each lineage is made of the types that a healthy person has in it."""
    per_ul = {}
    for name, total in lineages.items():
        healthy = {of: HEALTHY[of] for of in POPULATIONS.get(name, (name,)) if of in HEALTHY}
        per_ul |= {of: total * share / sum(healthy.values()) for of, share in healthy.items()}
    return per_ul


def simulated_tube(seed: int, lineages: Mapping[str, float] = LINEAGES, *, n_events: int = 8000) -> SimulatedTube:
    """Simulate a TBNK tube of some blood, with few fragments in it."""
    return simulate_tube(
        np.random.default_rng(seed),
        cells_per_ul=blood(lineages),
        stop=Stop(events=n_events),
        preparation=Preparation(debris_per_ul=600, ghosts_per_ul=100),
    )


def stated_spillover(tube: SimulatedTube, detectors: Mapping[str, str] | None = None) -> str:
    """Return the $SPILLOVER of a tube, its detectors renamed on request."""
    names = [(detectors or {}).get(name, name) for name in tube.cytometer.detectors]
    matrix = tube.cytometer.keyword
    return ",".join([str(len(matrix)), *names, *(f"{value:g}" for value in matrix.ravel())])
