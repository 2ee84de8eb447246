"""tbnk 2.0.0: lymphocytes however few, by the T cells among them."""

import math

import pytest
from simulated_tubes import LINEAGES, simulated_tube, stated_spillover
from toys import counts_of

from nti7flow.counting.fractions import upper_limit
from nti7flow.events.fcs import read_fcs
from nti7flow.events.made import make_sample
from nti7flow.events.spillover import spillover_for
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.template import load_template
from nti7flow.simulation.tube import TIME_STEP_S

REPORTED = ("lymphocytes", "t_cells", "cd4_t", "cd8_t", "b_cells", "nk_cells")
#: Blood, cells/µL by lineage: from moderate to severe lymphopenia.
BLOOD = {
    "moderate": LINEAGES,
    "marked": LINEAGES | {"cd4_t": 100, "cd8_t": 60, "b_cells": 20, "nk_cells": 40},
    "severe": LINEAGES | {"cd4_t": 30, "cd8_t": 20, "b_cells": 10, "nk_cells": 20},
}
SEEDS = range(3)


@pytest.fixture(scope="module")
def tbnk():
    return load_template("tbnk@2.0.0")


def gate(template, sample):
    gated = Resolution.start(template, sample, spillover_for(sample, "keyword"))
    gated.run_wave(0, {})
    return gated


def simulated(template, seed, lineages, *, n_events=30_000):
    """Gate a tube of some blood; return its counts and the true ones."""
    tube = simulated_tube(seed, {name: n for name, n in lineages.items() if n}, n_events=n_events)
    events = tube.events.copy()
    events[:, -1] *= TIME_STEP_S
    keywords = {"$SPILLOVER": stated_spillover(tube)}
    sample = make_sample(events, tube.detectors, markers=list(tube.markers), name=f"{seed}.fcs", keywords=keywords)
    return counts_of(gate(template, sample)), tube.counts()


def bar(truth):
    """Events that a count may be off by."""
    return max(0.1 * truth, math.sqrt(truth), 3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("blood", BLOOD)
def test_counts_are_near_the_truth_or_for_review(tbnk, blood, seed):
    counts, truth = simulated(tbnk, seed, BLOOD[blood])
    for name in ("t_cells", "cd4_t", "cd8_t", "b_cells"):
        assert (counts[name].status, counts[name].severity) == ("ok", ""), name
        assert abs(counts[name].n_events - truth[name]) <= bar(truth[name]), name
    # Monocytes among NK cells are told apart by little where both are rare: the trial's own bar is met above that.
    for name in ("lymphocytes", "nk_cells") if blood != "severe" else ():
        assert counts[name].status == "ok"
        assert counts[name].severity == "review" or abs(counts[name].n_events - truth[name]) <= bar(truth[name]), name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("blood", ["moderate", "marked"])
def test_without_b_cells_they_are_absent_with_a_limit(tbnk, blood, seed):
    counts, truth = simulated(tbnk, seed, BLOOD[blood] | {"b_cells": 0})
    assert truth["b_cells"] == 0
    found = counts["b_cells"]
    assert (found.status, found.severity) == ("absent", "info")
    assert found.upper_limit == upper_limit(found.n_events) <= upper_limit(5)
    for name in ("t_cells", "cd4_t", "cd8_t", "nk_cells"):
        assert counts[name].status == "ok" and counts[name].upper_limit is None
        assert abs(counts[name].n_events - truth[name]) <= bar(truth[name]), name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("missing", [("cd4_t", "cd8_t"), ("cd4_t", "cd8_t", "b_cells", "nk_cells"), ("cd4_t",)])
def test_without_a_landmark_no_count_is_invented(tbnk, missing, seed):
    """Where T cells, or the CD8 T cells among others, do not show what lymphocytes are, nobody is told a number."""
    counts, truth = simulated(tbnk, seed, LINEAGES | dict.fromkeys(missing, 0))
    for name in REPORTED:
        found = counts[name]
        if found.n_events is None:
            assert found.severity == "invalid" and found.status != "ok"
        else:
            assert abs(found.n_events - truth[name]) <= bar(truth[name]), name
    assert counts["cd4_t"].n_events in (None, 0)


def test_nk_cells_that_are_not_there_are_a_handful_at_most(tbnk):
    counts, _ = simulated(tbnk, 0, LINEAGES | {"nk_cells": 0})
    assert counts["nk_cells"].n_events <= 5
    assert counts["nk_cells"].severity in ("info", "review")


def test_parts_add_up(tbnk):
    found = {name: c.n_events for name, c in simulated(tbnk, 0, BLOOD["marked"])[0].items()}
    assert sum(found[name] for name in ("cd4_t", "cd8_t", "dp_t", "dn_t")) == found["t_cells"]
    assert sum(found[name] for name in ("t_cells", "b_cells", "nk_cells", "unassigned")) == found["lymphocytes"]


def test_a_real_tube(tbnk, shared_data):
    counts = counts_of(gate(tbnk, read_fcs(shared_data / "tbnk_auto" / "1.fcs")))
    assert {counts[name].status for name in REPORTED} == {"ok"}
    assert {count.severity for count in counts.values()} <= {"", "info"}
    assert 4100 <= counts["lymphocytes"].n_events <= 5600
    assert 56.6 <= counts["cd4_t"].percent_parent <= 58.4
    assert 31.3 <= counts["cd8_t"].percent_parent <= 33.1
    assert counts["unassigned"].percent_lymphocytes <= 5
