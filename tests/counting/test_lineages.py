"""Recovery and overlaps of lineages: on events placed by hand, and on simulated blood gated as a user gates it."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_tubes import simulated_tube, stated_spillover

from nti7flow.counting.lineages import check_lineages
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import BooleanGate, Operand, RectangleGate
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.study.plan import make_plan
from nti7flow.study.tube import Progress, gate_wave
from nti7flow.trial import SampleRow

CHANNELS = ("CD3", "CD19", "CD56", "SSC", "when")
#: Events by what they carry of CD3, CD19 and CD56, how much they scatter and when they come.
EVENTS = (
    [(100, 0, 0, 10, 90)] * 80  # T cells
    + [(100, 100, 0, 10, 90)] * 4  # that B cells stick to
    + [(100, 0, 100, 10, 90)] * 6  # with CD56
    + [(100, 100, 100, 10, 90)] * 1  # with both: told once
    + [(0, 100, 0, 10, 90)] * 9  # B cells
    + [(100, 0, 0, 60, 90)] * 19  # T cells that scatter too much for the gate of lymphocytes
    + [(100, 0, 0, 60, 10)] * 30  # that came at a time that is left out
)


def above(channel, bound=50.0, top=None):
    return RectangleGate((Dimension(channel, channel, False, Linear(1.0)),), (bound,), (top,))


def population(name, parent, gate):
    return Population(name, name, parent, gate, "ok")


def both(*names):
    return BooleanGate("and", tuple(Operand(name) for name in names))


POPULATIONS = (
    population("settled", None, above("when")),
    population("t_seed", None, above("CD3")),
    population("low", None, above("SSC", 0.0, 50.0)),
    population("lymphocytes", "low", both("settled")),
    population("t_cells", "lymphocytes", above("CD3")),
    population("cd19_positive", "low", above("CD19")),
    population("b_cells", "lymphocytes", both("cd19_positive")),
    population("nk_cells", "lymphocytes", above("CD56")),
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("lineages") / "placed.fcs"
    write_events(path, np.array(EVENTS, float), CHANNELS, markers=[*CHANNELS[:3], "", ""])
    return read_fcs(path)


def found(sample, populations=POPULATIONS):
    strategy = GatingStrategy("toy@1.0.0", "toy", sample.sha256, 0, Spillover.none(), tuple(populations))
    return {check.check.split()[0]: check for check in check_lineages(sample, strategy, strategy.apply(sample))}


def test_by_hand(sample):
    """91 of 110 settled seeds are lymphocytes; of 100 lymphocytes 5 T cells are CD19+, 6 more are CD56+."""
    checks = found(sample)
    assert {name: check.value for name, check in checks.items()} == {
        "recovery_percent": pytest.approx(100 * 91 / 110),
        "overlap_cd3_cd19_percent": pytest.approx(5),
        "overlap_cd3_nk_percent": pytest.approx(6),
    }
    assert {(check.limit, check.severity, check.n_excluded) for check in checks.values()} == {(None, "", 0)}


def test_what_a_template_does_not_gate_is_not_told(sample):
    def without(*names):
        return [p for p in POPULATIONS if p.id not in names]

    assert "recovery_percent" not in found(sample, without("t_seed"))
    assert found(sample, without("settled", "lymphocytes", "t_cells", "b_cells", "nk_cells")) == {}
    plain = [replace(p, gate=above("CD19")) if p.id == "b_cells" else p for p in without("cd19_positive")]
    assert found(sample, plain)["overlap_cd3_cd19_percent"].value == pytest.approx(5)  # its own gate says it
    none = [replace(p, gate=None, status="failed") if p.id == "nk_cells" else p for p in POPULATIONS]
    assert "overlap_cd3_nk_percent" not in found(sample, none)


def test_a_gated_tube_of_simulated_blood(tmp_path):
    """Its T cells are lymphocytes; some carry CD56, as simulated blood has them; none carries CD19 but in doublets."""
    tube = simulated_tube(5)
    path = tmp_path / "tube.fcs"
    keywords = {"$SPILLOVER": stated_spillover(tube)}
    write_events(path, tube.events, tube.detectors, markers=tube.markers, keywords=keywords)
    plan = make_plan([path], template="tbnk@2.0.0")
    (planned,) = plan.tubes
    gated = gate_wave(plan, planned, 0, Progress(), {})
    stored = {row["check"].split()[0]: row for row in gated.quality}
    assert stored["recovery_percent"]["value"] > 97
    assert stored["overlap_cd3_cd19_percent"]["value"] < 1
    assert 0 < stored["overlap_cd3_nk_percent"]["value"] < 5
    assert not {"recovery_percent", "overlap_cd3_cd19_percent"} & set(gated.flags)
    control = replace(planned, row=SampleRow("tube.fcs", "tube", role="fmo:CD19"))
    fmo = gate_wave(plan, control, 0, Progress(), {})
    assert not [row for row in fmo.quality if row["check"].startswith(("recovery", "overlap"))]
