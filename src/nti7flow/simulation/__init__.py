"""Simulated tubes with known truth: what the tests, the demo and the benchmarks measure against."""

from nti7flow.simulation.blood import CELL_TYPES, HEALTHY, POPULATIONS
from nti7flow.simulation.cells import CellState, Donor, draw_donor
from nti7flow.simulation.flow import Clog, Flow
from nti7flow.simulation.panels import TBNK_CANTO, TCELL_FORTESSA
from nti7flow.simulation.preparation import Preparation, Stop
from nti7flow.simulation.study import (
    SimulatedStudy,
    StudyPlan,
    plan_sample_study,
    plan_study,
    simulate_study,
    write_study,
)
from nti7flow.simulation.tube import SimulatedTube, simulate_tube

__all__ = [
    "CELL_TYPES",
    "HEALTHY",
    "POPULATIONS",
    "TBNK_CANTO",
    "TCELL_FORTESSA",
    "CellState",
    "Clog",
    "Donor",
    "Flow",
    "Preparation",
    "SimulatedStudy",
    "SimulatedTube",
    "Stop",
    "StudyPlan",
    "draw_donor",
    "plan_sample_study",
    "plan_study",
    "simulate_study",
    "simulate_tube",
    "write_study",
]
