"""What a release wrote stays readable: tests/archives/README.md."""

from pathlib import Path

import pytest

import nti7flow as nf
from nti7flow.events.transforms import FlowJoBiex
from nti7flow.gating.dimensions import RatioDimension
from nti7flow.gating.gates import BooleanGate, EllipsoidGate, QuadrantGate
from nti7flow.study.replay import replay

ARCHIVES = Path(__file__).parent / "archives"
RUN_1 = ARCHIVES / "run-1"
TUBE = "SIM-001_day21_tbnk"


def test_run_1_opens_with_its_tables_and_gates() -> None:
    run = nf.open_run(RUN_1)
    counts = run.counts.set_index("population")
    assert run.samples == ["SIM-001_day21_tbnk"]
    assert counts.loc["cd4_t", ["n_events", "n_total", "status"]].tolist() == [1468, 11000, "ok"]
    membership = run.membership("SIM-001_day21_tbnk", "cd4_t")
    assert membership is not None and membership.sum() == 1468
    assert run.strategy("SIM-001_day21_tbnk").population("t_cells").parent == "lymphocytes"
    assert [panel.parent for panel in run.panels("SIM-001_day21_tbnk")][:2] == [None, "singlets"]


@pytest.mark.parametrize("name", ["run-1", "run-2", "run-3"])
def test_runs_replay_byte_for_byte(name: str) -> None:
    report = replay(nf.open_run(ARCHIVES / name))
    assert report.identical, report.differences + report.missing
    assert report.counts_csv == (ARCHIVES / name / "counts.csv").read_text(encoding="utf-8")


def test_run_2_has_the_gates_of_a_workspace_and_its_counts() -> None:
    run = nf.open_run(ARCHIVES / "run-2")
    assert run.counts.set_index("population").loc["T or B", "n_events"] == 1747
    stored = run.stored_counts.set_index("population")
    assert stored.loc["T cells", ["n_events", "stored_events", "severity"]].tolist() == [1646, 1700, "review"]
    gates = {population.id: population.gate for population in run.strategy(TUBE).populations}
    assert gates["not T"].complement
    assert {type(d.transform) for d in gates["CD4 T"].dimensions} == {FlowJoBiex}
    assert [panel.parent for panel in run.panels(TUBE)][:2] == [None, "Lymphocytes"]


def test_run_3_has_gates_of_other_kinds_and_two_matrices() -> None:
    run = nf.open_run(ARCHIVES / "run-3")
    strategy = run.strategy(TUBE)
    kinds = {type(population.gate) for population in strategy.populations}
    assert kinds >= {EllipsoidGate, QuadrantGate, BooleanGate}
    assert isinstance(strategy.population("Singlets").gate.dimensions[0], RatioDimension)
    assert sorted(strategy.matrices) == ["first", "second"]
    assert run.counts.set_index("population").loc["CD4_T", "n_events"] == 1508
