"""Simulated tubes with known truth: what the tests, the demo and the benchmarks measure against."""

from nti7flow.simulation.blood import CELL_TYPES
from nti7flow.simulation.cells import Donor, draw_donor
from nti7flow.simulation.small_study import write_small_study
from nti7flow.simulation.tube import DOUBLETS, GROUPS, SimulatedTube, simulate_tube

__all__ = [
    "CELL_TYPES",
    "DOUBLETS",
    "GROUPS",
    "Donor",
    "SimulatedTube",
    "draw_donor",
    "simulate_tube",
    "write_small_study",
]
