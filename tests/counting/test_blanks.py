"""Negative controls: what tubes without a marker show beyond its gate is the background of tubes with it."""

import pytest

from nti7flow.counting.blanks import blank_rates, positive_for, with_blanks
from nti7flow.counting.gated import CountRow, GatedSample
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import BooleanGate, Operand, RectangleGate
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.trial import SampleRow


def above(marker, low=0.5, high=None):
    return RectangleGate((Dimension(f"{marker}-A", marker, False, Linear(1000.0)),), (low,), (high,))


def both(*names):
    return BooleanGate("and", tuple(Operand(n.removeprefix("not "), n.startswith("not ")) for n in names))


def strategy(sample, *populations):
    made = tuple(Population(name, name, parent, gate, "ok") for name, parent, gate in populations)
    return GatingStrategy("toy@1.0.0", sample, "0" * 64, 0, Spillover.none(), made)


TBNK = (
    ("non_t", None, above("CD3", None, 0.5)),
    ("cd19_positive", "non_t", above("CD19")),
    ("b_cells", "non_t", both("cd19_positive")),
    ("memory_b", "b_cells", above("CD27")),
    ("others", "non_t", both("not cd19_positive")),
    ("dim", "non_t", above("CD19", None, 0.5)),
)


def tube(sample, role, n_b, n_parent, *, batch="L1", background=0.0):
    def row(name, parent, n):
        return CountRow(name, name, f"/{name}", parent, n, None, "ok", (), "", 0.0, background)

    counts = {"non_t": row("non_t", "root", n_parent), "b_cells": row("b_cells", "non_t", n_b)}
    sheet = SampleRow(f"{sample}.fcs", sample, specimen=sample, panel="tbnk", batch=batch, role=role)
    return GatedSample(sample, sheet, counts)


def test_a_population_asks_for_a_marker_by_its_own_gate_only():
    gates = strategy("fmo", *TBNK)
    assert positive_for(gates, "CD19") == {"cd19_positive", "b_cells"}  # not what is in it, below it, or not it
    assert positive_for(gates, "cd27") == {"memory_b"}
    assert positive_for(gates, "CD8") == frozenset()


@pytest.fixture
def gates():
    populations = tuple(p for p in TBNK if p[0] in ("non_t", "b_cells"))
    plain = (populations[0], ("b_cells", "non_t", above("CD19")))
    return {name: strategy(name, *plain) for name in ("fmo1", "fmo2", "few")}


def test_worked_by_hand_two_controls_of_a_batch_are_added_up(gates):
    """3 of 1,000 and 1 of 600 are 0.25 %; of 400 cells of a patient, one."""
    tubes = [tube("fmo1", "fmo:CD19", 3, 1000), tube("fmo2", "fmo:CD19", 1, 600), tube("p", "patient", 20, 400)]
    rates = blank_rates(tubes, gates)
    assert rates == {("L1", "tbnk", "b_cells"): pytest.approx(0.0025)}
    counts = with_blanks(tubes[2], rates).counts
    assert counts["b_cells"].background == pytest.approx(1.0)
    assert counts["non_t"].background == 0


def test_a_larger_background_of_the_tube_itself_stays(gates):
    rates = blank_rates([tube("fmo1", "fmo:CD19", 3, 1000)], gates)
    assert with_blanks(tube("p", "patient", 20, 400, background=5.0), rates).counts["b_cells"].background == 5.0


def test_controls_of_another_batch_and_small_ones_tell_nothing(gates):
    tubes = [tube("fmo1", "fmo:CD19", 3, 1000, batch="L2"), tube("few", "fmo:CD19", 9, 99)]
    rates = blank_rates(tubes, gates)
    assert list(rates) == [("L2", "tbnk", "b_cells")]
    patient = tube("p", "patient", 20, 400)
    assert with_blanks(patient, rates) == patient


def test_the_control_itself_is_left_as_it_is(gates):
    control = tube("fmo1", "fmo:CD19", 3, 1000)
    assert with_blanks(control, blank_rates([control], gates)) == control
