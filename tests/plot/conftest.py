"""A simulated tube, gated, and what is drawn of it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from nti7flow.counting.fractions import Count, count_populations
from nti7flow.events.fcs import read_fcs
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import spillover_for
from nti7flow.gating.picture import Panel2D, make_panels
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.strategy import GatingStrategy, Members
from nti7flow.gating.template import load_template

TUBES = Path(__file__).parents[1] / "tubes"


@dataclass(frozen=True)
class Gated:
    """A tube and everything that was found in it."""

    sample: Sample
    strategy: GatingStrategy
    panels: list[Panel2D]
    counts: list[Count]
    members: Members

    def count(self, population):
        return next(count for count in self.counts if count.population == population)


@pytest.fixture(scope="session")
def gate_tube():
    def gate(path, spillover="keyword"):
        sample = read_fcs(path)
        resolution = Resolution.start(load_template("tbnk@1.0.0"), sample, spillover_for(sample, spillover))
        resolution.run_wave(0, {})
        strategy = resolution.strategy()
        counts = count_populations(strategy, resolution.members)
        return Gated(sample, strategy, make_panels(resolution), counts, resolution.members)

    return gate


@pytest.fixture(scope="session")
def tube(gate_tube):
    return gate_tube(TUBES / "SIM-001_day00_tbnk.fcs")
