"""A strategy is plain gates: applying it is pure, and it can be stored."""

import json
from dataclasses import replace

import numpy as np
import pytest
from toys import TUBES, counts_of, toy_sample

from nti7flow.errors import StoreError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import Spillover, spillover_for
from nti7flow.events.stored import EventsInMemory, Survey
from nti7flow.events.transforms import Linear
from nti7flow.gating import engine, values
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import BooleanGate, Operand, PolygonGate, RectangleGate
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.strategy import SEVERITY, SEVERITY_ORDER, STATUSES, GatingStrategy, Members, Population
from nti7flow.gating.template import load_template
from nti7flow.gating.values import DisplayValues

CD3, CD4 = (Dimension(f"FL{i}-A", name, False, Linear(1000.0)) for i, name in enumerate(("CD3", "CD4")))


def population(name, parent, gate, status="ok"):
    return Population(name, name, parent, gate, status)


@pytest.fixture
def toy(tmp_path):
    """Six events, and a strategy in which each membership is plain to see."""
    sample = toy_sample(tmp_path / "toy.fcs", CD3=[100, 600, 700, 800, 900, np.nan], CD4=[900, 100, 600, 800, 300, 500])
    populations = (
        population("t", None, RectangleGate((CD3,), (0.6,), (None,))),
        population("cd4", "t", RectangleGate((CD4,), (0.5,), (None,))),
        population("rest", "t", BooleanGate("and", (Operand("cd4", True),))),
        population("either", None, BooleanGate("or", (Operand("cd4"), Operand("rest")))),
        population("corner", "t", PolygonGate((CD3, CD4), ((0.65, 0.5), (0.95, 0.5), (0.95, 0.9), (0.65, 0.9)))),
        population("unknown", "t", None, "failed"),
        population("child", "unknown", RectangleGate((CD4,), (0.5,), (None,)), "failed"),
        population("with_unknown", None, BooleanGate("or", (Operand("cd4"), Operand("unknown"))), "failed"),
    )
    return sample, GatingStrategy("toy@1.0.0", "toy", sample.sha256, 0, Spillover.none(), populations)


def test_worked_by_hand(toy):
    sample, strategy = toy
    members = strategy.apply(sample)
    rows = {name: None if found is None else found.tolist() for name, found in members.items()}
    assert rows == {
        "t": [1, 2, 3, 4],
        "cd4": [2, 3],
        "rest": [1, 4],
        "either": [1, 2, 3, 4],
        "corner": [2, 3],
        "unknown": None,
        "child": None,
        "with_unknown": None,
    }
    assert members.mask("cd4").tolist() == [False, False, True, True, False, False]
    assert members.mask("unknown") is None
    assert members.rows(None).tolist() == [0, 1, 2, 3, 4, 5]
    assert len(members) == len(strategy.populations)


def test_applying_is_pure(toy):
    sample, strategy = toy
    events, stored = sample.events.copy(), strategy.to_dict()
    first, second = strategy.apply(sample), strategy.apply(sample)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert np.array_equal(sample.events, events, equal_nan=True)
    assert strategy.to_dict() == stored
    assert not np.shares_memory(first["t"], second["t"])


def test_the_order_of_events_does_not_matter(toy):
    sample, strategy = toy
    order = np.array([3, 0, 5, 1, 4, 2])
    shuffled = strategy.apply(replace(sample, stored=EventsInMemory(sample.events[order], survey=Survey())))
    for name, mask in ((name, strategy.apply(sample).mask(name)) for name in ("t", "cd4", "rest", "either", "corner")):
        assert shuffled.mask(name).tolist() == mask[order].tolist()


@pytest.fixture(scope="module")
def gated():
    """A tube with compensation, logicle scales and every kind of gate."""
    sample = read_fcs(TUBES / "SIM-001_day00_tbnk.fcs")
    resolution = Resolution.start(load_template("tbnk"), sample, spillover_for(sample, "keyword"))
    resolution.run_wave(0, {})
    return resolution


@pytest.mark.parametrize("block", [3, 257, 4096, 1_000_000])
def test_counts_do_not_depend_on_the_block_size(gated, monkeypatch, block):
    monkeypatch.setattr(values, "BLOCK", block)
    monkeypatch.setattr(engine, "ROWS", min(block, engine.ROWS))
    members = gated.strategy().apply(gated.sample)
    assert {name for name, rows in members.items() if rows is not None} > {"lymphocytes", "cd4_t", "nk_cells"}
    for name in members:
        assert np.array_equal(members[name], gated.members[name]), name


def test_values_do_not_depend_on_which_rows_are_asked_for(gated):
    population = gated.strategy().population("mononuclear")
    all_rows = np.arange(gated.sample.n_events)
    asked = np.random.default_rng(0).choice(all_rows, 777, replace=False)
    whole, part = (
        DisplayValues(gated.sample, gated.spillover).of(population.gate.dimensions, rows) for rows in (all_rows, asked)
    )
    assert (whole[asked] == part).all()
    assert not whole.flags.writeable


def test_resolving_and_applying_agree(gated):
    members = gated.strategy().apply(gated.sample)
    assert list(members) == [p.id for p in gated.template.populations]
    for name in members:
        assert np.array_equal(members[name], gated.members[name]), name


def test_stored_and_read_back_it_gates_the_same(gated):
    strategy = gated.strategy()
    text = json.dumps(strategy.to_dict(), allow_nan=False)
    again = GatingStrategy.from_dict(json.loads(text))
    assert json.dumps(again.to_dict()) == text
    assert again.populations == strategy.populations
    members = again.apply(gated.sample)
    sizes = {name: None if rows is None else len(rows) for name, rows in members.items()}
    assert sizes == {name: count.n_events for name, count in counts_of(gated).items()}
    assert sizes["cd4_t"] and sizes["beads"] is None


def test_another_file_is_refused(toy, tmp_path):
    sample, strategy = toy
    other = toy_sample(tmp_path / "other.fcs", CD3=[1.0], CD4=[2.0])
    with pytest.raises(StoreError, match=r"other\.fcs: is not the file this strategy was made for"):
        strategy.apply(other)
    with pytest.raises(StoreError, match="is not the file"):
        replace(strategy, data_set=1).apply(sample)


def test_another_schema_is_refused(toy):
    stored = toy[1].to_dict() | {"schema": "nti7flow/strategy/9"}
    with pytest.raises(StoreError, match="schema is 'nti7flow/strategy/9'; this version reads 'nti7flow/strategy/1'"):
        GatingStrategy.from_dict(stored)


def test_populations_are_found_by_id(toy):
    assert toy[1].population("cd4").parent == "t"
    with pytest.raises(KeyError):
        toy[1].population("cd8")


def test_shows_what_it_holds(toy):
    assert "<GatingStrategy toy@1.0.0 for toy>\n  all events > t: ok\n  t > cd4: ok" in repr(toy[1])


def test_members_of_an_unknown_population_are_an_error():
    with pytest.raises(KeyError):
        Members(3).rows("t")


def test_every_status_has_the_severity_of_the_design():
    assert {status: SEVERITY[status] for status in STATUSES} == {
        "ok": "",
        "borrowed": "info",
        "absent": "info",
        "not_in_panel": "info",
        "fell_back": "review",
        "failed": "invalid",
        "not_interpretable": "invalid",
    }
    assert SEVERITY_ORDER == ("", "info", "review", "invalid")
