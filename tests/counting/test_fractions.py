"""Counts: fractions that are defined, nulls where they are not, and severities that are inherited."""

from dataclasses import replace

import numpy as np
import pytest

from nti7flow.counting.fractions import add_notes, count_populations
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import BooleanGate, Operand, RectangleGate
from nti7flow.gating.strategy import SEVERITY, GatingStrategy, Members, Population

GATE = RectangleGate((Dimension("FL1-A", "CD3", False, Linear(1000.0)),), (0.5,), (None,))
N = 1000


def boolean(*names):
    return BooleanGate("and", tuple(Operand(n.removeprefix("not "), n.startswith("not ")) for n in names))


def population(name, parent=None, *, status="ok", flags=(), gate=GATE):
    return Population(name, name.upper(), parent, gate, status, flags)


def count(populations, sizes, **arguments):
    """Count populations of given sizes; None is a population without a gate."""
    members = Members(N)
    for p in populations:
        members.set(p.id, None if sizes[p.id] is None else np.arange(sizes[p.id]))
    strategy = GatingStrategy("toy@1.0.0", "toy", "0" * 64, 0, Spillover.none(), tuple(populations))
    return {c.population: c for c in count_populations(strategy, members, **arguments)}


def test_worked_by_hand():
    populations = [
        population("singlets"),
        population("lymphocytes", "singlets"),
        population("t_cells", "lymphocytes"),
        population("cd4", "t_cells"),
        population("cd8", "t_cells"),
        population("cd4_t", "t_cells", gate=boolean("cd4", "not cd8")),
        population("monocytes", "singlets"),
    ]
    sizes = {"singlets": 900, "lymphocytes": 400, "t_cells": 300, "cd4_t": 120, "cd4": 150, "cd8": 90, "monocytes": 45}
    counts = count(populations, sizes)
    assert list(counts) == [p.id for p in populations]
    found = {name: (c.n_events, c.n_parent, c.percent_parent, c.percent_lymphocytes) for name, c in counts.items()}
    assert found == {
        "singlets": (900, 1000, 90.0, None),
        "lymphocytes": (400, 900, pytest.approx(400 / 9), 100.0),
        "t_cells": (300, 400, 75.0, 75.0),
        "cd4_t": (120, 300, 40.0, 30.0),
        "cd4": (150, 300, 50.0, 37.5),
        "cd8": (90, 300, 30.0, 22.5),
        "monocytes": (45, 900, 5.0, None),  # not lymphocytes: no share of them
    }
    assert {c.n_total for c in counts.values()} == {N}
    assert counts["cd4_t"].path == "/singlets/lymphocytes/t_cells/cd4_t"
    assert counts["singlets"].path == "/singlets"
    assert (counts["singlets"].parent, counts["cd4_t"].parent, counts["cd4_t"].label) == ("root", "t_cells", "CD4_T")
    assert {(c.status, c.severity, c.flags) for c in counts.values()} == {("ok", "", ())}


def test_what_is_not_known_is_null_and_not_zero():
    populations = [
        population("lymphocytes", status="failed", gate=None, flags=("gate_failed",)),
        population("t_cells", "lymphocytes", status="failed", gate=None, flags=("parent_failed",)),
    ]
    counts = count(populations, {"lymphocytes": None, "t_cells": None})
    for c in counts.values():
        assert (c.n_events, c.percent_parent, c.percent_lymphocytes) == (None, None, None)
        assert (c.status, c.severity) == ("failed", "invalid")
    assert (counts["lymphocytes"].n_parent, counts["t_cells"].n_parent) == (N, None)
    assert counts["t_cells"].flags == ("parent_failed", "lymphocytes:gate_failed")


def test_a_share_of_nothing_is_null():
    counts = count([population("lymphocytes"), population("t_cells", "lymphocytes")], {"lymphocytes": 0, "t_cells": 0})
    assert (counts["lymphocytes"].n_events, counts["lymphocytes"].percent_parent) == (0, 0.0)
    assert (counts["t_cells"].n_events, counts["t_cells"].percent_parent) == (0, None)
    assert counts["lymphocytes"].percent_lymphocytes is None
    assert counts["t_cells"].percent_lymphocytes is None


def test_without_lymphocytes_in_the_template_there_is_no_share_of_them():
    counts = count([population("t_cells"), population("cd4", "t_cells")], {"t_cells": 10, "cd4": 5})
    assert counts["cd4"].percent_lymphocytes is None
    assert counts["cd4"].percent_parent == 50.0


@pytest.mark.parametrize("status", SEVERITY)
def test_a_count_is_as_bad_as_the_worst_gate_it_rests_on(status):
    populations = [
        population("a"),
        population("b", "a", status=status, flags=("own_flag",)),
        population("c", "b"),
        population("d", "c"),
        population("beside", "a"),
        population("above", "a", gate=boolean("beside", "not d")),
    ]
    counts = count(populations, dict.fromkeys("abcd", 10) | {"beside": 5, "above": 5})
    assert (counts["a"].severity, counts["beside"].severity) == ("", "")
    for name in ("b", "c", "d", "above"):
        assert counts[name].severity == SEVERITY[status]
    assert counts["b"].status == status
    assert {counts[name].status for name in ("a", "c", "d", "beside", "above")} == {"ok"}
    assert counts["b"].flags == ("own_flag",)
    assert counts["d"].flags == counts["above"].flags == ("b:own_flag",)
    assert counts["beside"].flags == ()


def test_the_worst_of_several_counts():
    populations = [
        population("info", status="absent"),
        population("review", "info", status="fell_back"),
        population("invalid", "review", status="not_interpretable"),
        population("last", "invalid"),
    ]
    counts = count(populations, dict.fromkeys(("info", "review", "invalid", "last"), 9))
    assert [c.severity for c in counts.values()] == ["info", "review", "invalid", "invalid"]


def test_an_unstable_gate_is_for_review_with_all_that_rests_on_it():
    populations = [population("a", flags=("unstable_gate",)), population("b", "a"), population("c")]
    counts = count(populations, {"a": 10, "b": 5, "c": 3})
    assert [c.severity for c in counts.values()] == ["review", "review", ""]
    assert counts["b"].flags == ("a:unstable_gate",)


def test_an_impure_gate_is_for_review_itself_and_told_below():
    populations = [population("a", flags=("impure_gate",)), population("b", "a"), population("c", "b")]
    counts = count(populations, {"a": 10, "b": 5, "c": 3})
    assert [c.severity for c in counts.values()] == ["review", "info", "info"]
    assert counts["c"].flags == ("a:impure_gate",)


def test_flags_are_told_once_and_notes_go_to_every_count():
    twice = boolean("a", "not a")
    populations = [
        population("a", flags=("x", "parent_absent")),
        population("b", "a", gate=twice, flags=("x",)),
    ]
    counts = count(populations, {"a": 10, "b": 5}, notes={"truncated": "review", "x": "info"})
    assert counts["a"].flags == ("x", "parent_absent", "truncated")
    assert counts["b"].flags == ("x", "a:x", "truncated")  # whose parent is missing concerns the child alone


@pytest.mark.parametrize("note", ["info", "review"])
@pytest.mark.parametrize("status", SEVERITY)
def test_a_count_is_at_least_as_severe_as_a_note_of_its_sample(status, note):
    gate = None if SEVERITY[status] == "invalid" else GATE
    populations = [population("a"), population("b", status=status, gate=gate)]
    counts = count(populations, {"a": 10, "b": None if gate is None else 3}, notes={"file_FCS049": note, "other": ""})
    worse = {"info": ("review", "invalid"), "review": ("invalid",)}[note]
    assert counts["a"].severity == note
    assert counts["b"].severity == (SEVERITY[status] if SEVERITY[status] in worse else note)
    assert {c.flags for c in counts.values()} == {("file_FCS049", "other")}


def test_notes_may_be_added_later():
    populations = [population("a", flags=("x",)), population("b", "a")]
    at_once = count(populations, {"a": 10, "b": 5}, notes={"file_FCS049": "review", "duplicate_of:c": "review"})
    later = count(populations, {"a": 10, "b": 5}, notes={"file_FCS049": "review"})
    assert {name: add_notes(c, {"duplicate_of:c": "review"}) for name, c in later.items()} == at_once
    assert later["b"].flags == ("a:x", "file_FCS049")


def test_counting_changes_nothing():
    populations = [population("lymphocytes"), population("t_cells", "lymphocytes")]
    sizes = {"lymphocytes": 7, "t_cells": 3}
    assert count(populations, sizes) == count(populations, sizes)
    with pytest.raises(AttributeError):
        count(populations, sizes)["t_cells"].n_events = 4
    assert replace(count(populations, sizes)["t_cells"], n_events=4).n_events == 4


def test_path_of_a_population_that_is_called_by_its_path_is_not_doubled():
    populations = [
        Population("Live", "Live", None, GATE, "ok"),
        Population("Live/T", "T", "Live", GATE, "ok"),
        Population("Live/T/CD4", "CD4", "Live/T", GATE, "ok"),
        Population("CD8", "CD8", "Live/T", GATE, "ok"),
        Population("CD4+/CD8+", "CD4+/CD8+", "Live/T", GATE, "ok"),
        Population("naive/early", "Naive", "CD8", GATE, "ok"),
    ]
    counts = count(populations, dict.fromkeys((p.id for p in populations), 5))
    assert [c.path for c in counts.values()] == [
        "/Live",
        "/Live/T",
        "/Live/T/CD4",
        "/Live/T/CD8",
        "/Live/T/CD4+/CD8+",
        "/Live/T/CD8/naive/early",
    ]
