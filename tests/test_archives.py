"""What a release wrote stays readable: tests/archives/README.md, tests/tubes/README.md."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import nti7flow as nf
from nti7flow.events.transforms import FlowJoBiex
from nti7flow.gating.dimensions import RatioDimension
from nti7flow.gating.gates import BooleanGate, EllipsoidGate, QuadrantGate
from nti7flow.study.replay import replay

ARCHIVES = Path(__file__).parent / "archives"
TUBES = Path(__file__).parent / "tubes"
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


@pytest.mark.parametrize(
    ("tube", "sha256"),
    [
        ("SIM-001_day00_tbnk", "527360de4eb274179a279c6f78674621af58c861a65497dd8647cb95fe4ef8b3"),
        (TUBE, "86fe656c2c495b8143d861f031497c39d5e581a22ebaec43e39d849c38b16f1b"),
    ],
)
def test_tubes_are_frozen(tube: str, sha256: str) -> None:
    assert hashlib.sha256((TUBES / f"{tube}.fcs").read_bytes()).hexdigest() == sha256
    assert f"`{sha256[:12]}…`" in (TUBES / "README.md").read_text(encoding="utf-8")


@pytest.fixture(params=["run-1", "run-2", "run-3", "run-4"])
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An archive with nothing at the place where it recorded its tube."""
    return Path(shutil.copytree(ARCHIVES / request.param, tmp_path / "a" / "b" / "c" / request.param))


def test_runs_replay_byte_for_byte(alone: Path) -> None:
    report = replay(nf.open_run(alone), data=TUBES)
    assert report.identical, report.differences + report.missing
    assert report.counts_csv == (ARCHIVES / alone.name / "counts.csv").read_text(encoding="utf-8")


def test_runs_open_without_their_tube(alone: Path) -> None:
    run = nf.open_run(alone)
    assert len(run.counts) == len(run.bits(TUBE)) == len(run.strategy(TUBE).populations)
    for panel in run.panels(TUBE):
        assert panel.counts.sum() > 0
    (missing,) = replay(run).missing
    assert missing.startswith(f"{TUBE}: no file with SHA-256 86fe656c2c49… at {alone.parents[2]}")
    assert missing.endswith("say where it is with --data FOLDER.")


def test_another_tube_at_the_recorded_place_is_not_taken_for_it(alone: Path) -> None:
    """Studies are renewed under the names of the old: what counts is the content."""
    run = nf.open_run(alone)
    recorded = alone / run.step()["inputs"][0]["path"]
    recorded.parent.mkdir(parents=True)
    shutil.copy(TUBES / "SIM-001_day00_tbnk.fcs", recorded)
    assert len(replay(run).missing) == 1
    assert replay(run, data=TUBES).identical


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


def test_run_4_has_concentrations_and_what_they_rest_on() -> None:
    run = nf.open_run(ARCHIVES / "run-4")
    assert run.steps == ["01-gate", "02-count"]
    assert run.is_counted
    found = run.concentrations.set_index("population")
    assert found.index.tolist() == ["alc", "lymphocytes", "t_cells", "cd4_t", "cd8_t"]
    cd8 = found.loc["cd8_t"]
    assert [cd8.method, cd8.n_events, cd8.reported, cd8.below_lloq] == ["volumetric", 209, "67.4", "no"]
    assert cd8.cells_per_ul == 209 / 3.1
    assert [round(cd8.lower, 3), round(cd8.upper, 3)] == [57.899, 78.183]
    assert json.loads(cd8.inputs)["volume_ul"] == 3.1
    assert run.report_table.loc[0, ["alc", "cd4_t_reported", "severity"]].tolist() == [740.0, "492", ""]
    shares = run.budget[run.budget.population == "cd8_t"].set_index("component").share_percent
    assert shares.idxmax() == "cells"
    assert round(shares.sum(), 6) == 100
    assert "minimum_events" in set(run.acceptance.check)


def test_concentrations_of_run_4_are_told_to_rest_on_sheets_that_are_not_there(tmp_path: Path) -> None:
    """How concentrations are computed may improve: of an archive, they are read and not computed again."""
    alone = shutil.copytree(ARCHIVES / "run-4", tmp_path / "a" / "b" / "c" / "run-4")
    report = replay(nf.open_run(alone), data=TUBES)
    assert report.identical
    (note,) = report.concentrations.notes
    assert "no such study.yaml, and 02-count was counted with it" in note


def test_concentrations_of_run_4_can_be_drawn() -> None:
    run = nf.open_run(ARCHIVES / "run-4")
    assert len(nf.plot.concentrations(run).axes) == 4
    assert len(nf.plot.budget(run).axes) == 8
