"""Which tubes of a specimen are counted how, and what is said where one is missing."""

import math
from datetime import date, datetime
from pathlib import Path

import pytest

from nti7flow.counting.concentration import BELOW_LLOQ, REPLICATES_DIFFER
from nti7flow.counting.gated import CheckRow, CountRow, GatedSample
from nti7flow.counting.hematology import Alc
from nti7flow.counting.plausibility import LEAST_BEADS
from nti7flow.counting.settings import CountingSettings
from nti7flow.counting.specimens import (
    ALC,
    METHOD_CHANGE,
    NO_LYMPHOCYTES,
    NOTHING_TO_COUNT_AGAINST,
    TUBE_LEFT_OUT,
    count_specimen,
    flag_method_changes,
)
from nti7flow.counting.tube_reference import DILUTION_ASSUMED, DRAW_IN_DOUBT, VOLUME_IN_DOUBT
from nti7flow.trial import SampleRow

SETTINGS = CountingSettings()
BEADS = {"specimen_volume": 50.0, "specimen_volume_unit": "uL", "beads_per_tube": 50_000.0, "bead_lot": "L1"}
VOLUME = {"acquired_volume": 100.0, "acquired_volume_unit": "uL", "dilution": 10.0}
#: A tube of 10,000 events, of which the counts that tests look at.
EVENTS = {"lymphocytes": 2000, "t_cells": 1400, "cd4_t": 870, "cd8_t": 400, "b_cells": 0, "beads": 10_000}
WITHIN = {"t_cells": "t_cells", "cd4_t": "t_cells/cd4_t", "cd8_t": "t_cells/cd8_t", "b_cells": "b_cells"}
HAEMATOLOGY = Alc(1000.0, 0.05, "ALC", "P1 2026-02-16", 0.5)


def count(population, n_events, *, status="ok", flags=(), severity="", gating_sd=0.0, background=0.0):
    path = "/beads" if population == "beads" else "/lymphocytes"
    steps = [path.strip("/"), *WITHIN.get(population, population if population.startswith("cd4_") else "").split("/")]
    steps = [step for step in steps if step]
    if population.startswith("cd4_") and population != "cd4_t":
        steps = ["lymphocytes", "t_cells", "cd4_t", population]
    parent = steps[-2] if len(steps) > 1 else "root"
    percent = None if population == "beads" or n_events is None else 100 * n_events / 2000
    return CountRow(
        population,
        population,
        "/".join(steps),
        parent,
        n_events,
        percent,
        status,
        flags,
        severity,
        gating_sd,
        background,
    )


def tube(sample="a", events=EVENTS, *, checks=(), sheet=True, changed=(), **row):
    counts = {name: count(name, n) for name, n in events.items()}
    counts |= {each.population: each for each in changed}
    line = SampleRow(f"{sample}.fcs", sample, specimen="S1", subject="P1", panel="tbnk", **row) if sheet else None
    return GatedSample(sample, line, counts, tuple(checks))


def counted(*tubes, alc=None, settings=SETTINGS):
    return count_specimen("S1", tubes, alc, settings)


def test_one_tube_with_beads_by_hand():
    result = counted(tube(**BEADS))
    assert result.concentrations["cd4_t"].cells_per_ul == pytest.approx(87)
    assert result.concentrations["lymphocytes"].cells_per_ul == pytest.approx(200)
    assert result.concentrations["b_cells"].cells_per_ul == 0
    assert "beads" not in result.concentrations
    assert {found.method for found in result.concentrations.values()} == {"beads"}


def test_replicates_are_pooled_and_keep_their_order():
    result = counted(tube("a", **BEADS), tube("b", EVENTS | {"cd4_t": 900}, **BEADS))
    found = result.concentrations["cd4_t"]
    assert (found.n_events, found.samples) == (1770, ("a", "b"))
    assert found.cells_per_ul == pytest.approx(88.5)
    assert found.flags == ()


@pytest.mark.parametrize("n_beads", [None, 0, LEAST_BEADS - 1])
def test_beads_that_are_missing_leave_no_concentration_and_no_other_method(n_beads):
    result = counted(tube(events=EVENTS | {"beads": n_beads}, **BEADS), alc=HAEMATOLOGY)
    found = result.concentrations["cd4_t"]
    assert (found.cells_per_ul, found.lower, found.upper) == (None, None, None)
    assert (found.method, found.n_events) == ("", 870)
    assert found.flags == (NOTHING_TO_COUNT_AGAINST,)
    assert result.concentrations[ALC].cells_per_ul == 1000


def test_the_fewest_beads_that_count():
    found = counted(tube(events=EVENTS | {"beads": LEAST_BEADS}, **BEADS)).concentrations["cd4_t"]
    assert found.cells_per_ul == pytest.approx(870 / LEAST_BEADS * 1000)
    assert found.upper / found.lower > 2


def test_a_replicate_without_beads_is_left_out_and_said():
    found = counted(tube("a", **BEADS), tube("b", EVENTS | {"beads": 0}, **BEADS)).concentrations["cd4_t"]
    assert found.samples == ("a",)
    assert found.flags == (TUBE_LEFT_OUT,)
    assert found.severity == "review"


def test_a_count_that_must_not_be_used_is_left_out_of_its_population_alone():
    bad = count("cd4_t", 100, flags=("gate_failed",), severity="invalid")
    result = counted(tube("a", **BEADS), tube("b", changed=[bad], **BEADS))
    assert result.concentrations["cd4_t"].samples == ("a",)
    assert result.concentrations["cd4_t"].cells_per_ul == pytest.approx(87)
    assert result.concentrations["cd4_t"].flags == (TUBE_LEFT_OUT,)
    assert result.concentrations["cd8_t"].samples == ("a", "b")
    assert result.concentrations["cd8_t"].flags == ()


def test_a_count_that_must_not_be_used_is_kept_and_marked_where_there_is_no_other():
    bad = count("cd4_t", 100, flags=("gate_failed",), severity="invalid")
    found = counted(tube(changed=[bad], **BEADS)).concentrations["cd4_t"]
    assert found.cells_per_ul == pytest.approx(10)
    assert (found.flags, found.severity) == (("gate_failed",), "invalid")


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_of_counts_that_all_failed_the_worst_is_told(names):
    missing = count("cd4_t", None, status="not_in_panel", flags=("not_in_panel",))
    failed = count("cd4_t", None, status="failed", flags=("failed",), severity="review")
    tubes = [tube(names[0], changed=[missing], **BEADS), tube(names[1], changed=[failed], **BEADS)]
    found = counted(*tubes).concentrations["cd4_t"]
    assert (found.cells_per_ul, found.n_events, found.status) == (None, None, "failed")
    assert (found.flags, found.severity) == (("failed",), "review")


def test_what_is_wrong_with_the_bead_gate_is_wrong_with_every_count():
    beads = count("beads", 10_000, flags=("few_fitted",), severity="review", gating_sd=500.0)
    result = counted(tube(changed=[beads], **BEADS))
    found = result.concentrations["cd4_t"]
    assert (found.flags, found.severity) == (("beads:few_fitted",), "review")
    assert {part.component for part in found.parts} >= {"bead_gating"}
    assert found.upper / found.lower > 1.05 * _width(counted(tube(**BEADS)))


def _width(result):
    found = result.concentrations["cd4_t"]
    return found.upper / found.lower


def test_a_flag_of_the_whole_tube_is_not_told_twice():
    flagged = {name: count(name, n, flags=("saturated",), severity="info") for name, n in EVENTS.items()}
    found = counted(tube(changed=flagged.values(), **BEADS)).concentrations["cd4_t"]
    assert found.flags == ("saturated",)


def test_dual_platform_by_hand():
    """870 of 2,000 lymphocytes, of which there are 1,000/µL: 435/µL."""
    result = counted(tube(), alc=HAEMATOLOGY)
    assert result.concentrations["cd4_t"].cells_per_ul == pytest.approx(435)
    assert result.concentrations["cd4_t"].method == "dual_platform"
    assert result.concentrations["lymphocytes"].cells_per_ul == pytest.approx(1000)
    assert result.concentrations[ALC].method == "hematology"
    half = math.exp(1.959964 * math.sqrt(math.log1p(0.05**2)))
    assert result.concentrations[ALC].upper == pytest.approx(1000 * half)


def test_a_haematology_count_of_zero_is_told_and_nothing_is_counted_against_it():
    result = counted(tube(), alc=Alc(0.0, 0.05, "ALC", "P1", 0.0))
    alc = result.concentrations[ALC]
    assert (alc.cells_per_ul, alc.flags, alc.severity) == (0.0, (NO_LYMPHOCYTES,), "info")
    assert result.concentrations["cd4_t"].flags == (NOTHING_TO_COUNT_AGAINST,)


def test_a_draw_that_may_be_another_is_doubted_with_all_that_rests_on_it():
    alc = Alc(1000.0, 0.05, "ALC", "P1 a", None, others=("P1 b",))
    result = counted(tube(), alc=alc)
    for name in (ALC, "cd4_t"):
        assert (result.concentrations[name].flags, result.concentrations[name].severity) == ((DRAW_IN_DOUBT,), "review")
    assert counted(tube(**BEADS), alc=alc).concentrations["cd4_t"].flags == ()


def test_a_volume_of_the_sheet_by_hand():
    """870 cells in 100 µL of what was diluted ten times: 87/µL."""
    result = counted(tube(**VOLUME), alc=HAEMATOLOGY)
    assert result.concentrations["cd4_t"].cells_per_ul == pytest.approx(87)
    assert result.concentrations["cd4_t"].method == "volumetric"
    assert result.concentrations["cd4_t"].flags == ()


def test_a_volume_that_only_the_cytometer_tells_goes_after_haematology_unless_the_dilution_is_known():
    """Stained and lysed blood is diluted: cells per microlitre of that are not cells per microlitre of blood."""
    check = CheckRow("acquired_volume_ul $VOL 100000 read as nL: FCS 3.1 says so", 100.0, None, "")
    assert counted(tube(checks=[check]), alc=HAEMATOLOGY).concentrations["cd4_t"].method == "dual_platform"
    told = counted(tube(checks=[check], dilution=10.0), alc=HAEMATOLOGY).concentrations["cd4_t"]
    assert (told.method, told.flags, told.cells_per_ul) == ("volumetric", (), pytest.approx(87))
    assumed = counted(tube(checks=[check])).concentrations["cd4_t"]
    assert (assumed.cells_per_ul, assumed.flags, assumed.severity) == (
        pytest.approx(8.7),
        (DILUTION_ASSUMED,),
        "review",
    )
    of_files = counted(tube(checks=[check], sheet=False)).concentrations["cd4_t"]
    assert (of_files.flags, of_files.severity) == ((DILUTION_ASSUMED,), "info")


def test_a_volume_in_doubt_is_flagged_and_one_of_the_sheet_goes_before_it():
    check = CheckRow("acquired_volume_ul $VOL 100 read as uL: in nL it would be impossible", 100.0, None, "review")
    found = counted(tube(checks=[check], dilution=10.0)).concentrations["cd4_t"]
    assert (found.flags, found.severity) == ((VOLUME_IN_DOUBT,), "review")
    assert counted(tube(checks=[check], **VOLUME)).concentrations["cd4_t"].flags == ()


@pytest.mark.parametrize(("method", "expected"), [("beads", 87.0), ("volumetric", 87.0), ("dual_platform", 435.0)])
def test_a_method_that_was_asked_for_is_the_only_one(method, expected):
    settings = CountingSettings(method=method)
    found = counted(tube(**BEADS | VOLUME | {"dilution": 1.0} if method == "beads" else VOLUME), alc=HAEMATOLOGY)
    assert found.concentrations["cd4_t"].method == ("beads" if method == "beads" else "volumetric")
    asked = counted(tube(**(BEADS if method == "beads" else VOLUME)), alc=HAEMATOLOGY, settings=settings)
    assert asked.concentrations["cd4_t"].method == method
    assert asked.concentrations["cd4_t"].cells_per_ul == pytest.approx(expected)
    nothing = counted(tube(), settings=settings)
    assert nothing.concentrations["cd4_t"].flags == (NOTHING_TO_COUNT_AGAINST,)


def test_tubes_of_two_methods_are_not_mixed():
    result = counted(tube("a", **BEADS), tube("b", EVENTS | {"cd4_t": 1740}, **VOLUME))
    found = result.concentrations["cd4_t"]
    assert (found.method, found.samples, found.cells_per_ul) == ("beads", ("a",), pytest.approx(87))
    assert found.flags == (TUBE_LEFT_OUT,)


def test_subsets_of_a_tube_without_beads_are_anchored_by_hand():
    """A third of 900 CD4 T cells there is naive; the tube with beads has 87 CD4 T cells per µL: 29/µL."""
    subsets = {"lymphocytes": 2000, "t_cells": 1500, "cd4_t": 900, "cd4_naive": 300}
    result = counted(tube("tbnk", **BEADS), tube("tcell", subsets))
    naive = result.concentrations["cd4_naive"]
    assert (naive.cells_per_ul, naive.method, naive.samples) == (pytest.approx(29), "anchored", ("tcell",))
    assert naive.reference.inputs["anchor"] == "cd4_t"
    known = result.concentrations["cd4_t"]
    assert (known.samples, known.flags) == (("tbnk",), ())  # that the other tube is not of beads is as it should be
    # Of 300 among 900 the binomial, and all of the anchor's own error.
    assert naive.log_sd == pytest.approx(math.hypot(known.log_sd, math.sqrt(1 / 300 - 1 / 900)), rel=1e-6)


def test_an_anchor_hands_on_its_flags():
    anchor = count("cd4_t", 870, flags=("gate_borrowed",), severity="review")
    subsets = {"lymphocytes": 2000, "t_cells": 1500, "cd4_t": 900, "cd4_naive": 300}
    naive = counted(tube("tbnk", changed=[anchor], **BEADS), tube("tcell", subsets)).concentrations["cd4_naive"]
    assert (naive.flags, naive.severity) == (("cd4_t:gate_borrowed",), "review")


def test_background_is_kept_whole_where_fewer_events_were_found():
    b_cells = count("b_cells", 1, background=6.0)
    found = counted(tube(changed=[b_cells], **BEADS)).concentrations["b_cells"]
    assert found.background == 6.0
    assert found.limits.blank == 10
    assert found.lower == 0


def test_gates_from_elsewhere_without_lymphocytes_are_counted_as_they_are():
    counts = {"CD45": CountRow("CD45", "CD45", "CD45", "root", 500, None, "ok", (), "")}
    row = SampleRow("a.fcs", "a", **VOLUME)
    result = count_specimen("a", [GatedSample("a", row, counts)], HAEMATOLOGY, SETTINGS)
    assert result.concentrations["CD45"].cells_per_ul == pytest.approx(50)
    nothing = count_specimen("a", [GatedSample("a", SampleRow("a.fcs", "a"), counts)], HAEMATOLOGY, SETTINGS)
    assert nothing.concentrations["CD45"].flags == (NOTHING_TO_COUNT_AGAINST,)


def test_only_results_have_a_concentration():
    first = tube(**BEADS)
    some = GatedSample("a", first.row, first.counts, reported=frozenset({"cd4_t", "beads"}))
    assert set(counted(some).concentrations) == {"cd4_t"}


def test_a_specimen_is_whose_and_when_as_any_of_its_tubes_says():
    first = GatedSample("a", SampleRow("a.fcs", "a", specimen="S1", collected_at=date(2026, 2, 16)), {})
    second = tube("b", collected_at=datetime(2026, 2, 16, 8, 10), **BEADS)
    result = counted(first, second)
    assert (result.subject, result.collected_at) == ("P1", datetime(2026, 2, 16, 8, 10))


def test_a_change_of_method_within_a_subject_is_flagged():
    usual = [counted(tube(**BEADS)), counted(tube(**BEADS))]
    other = counted(tube(), alc=HAEMATOLOGY)
    missing = counted(tube(events=EVENTS | {"beads": 0}, **BEADS))
    *same, odd, without = flag_method_changes([*usual, other, missing])
    assert all(found.flags == () for result in same for found in [result.concentrations["cd4_t"]])
    assert (odd.concentrations["cd4_t"].flags, odd.concentrations[ALC].flags) == ((METHOD_CHANGE,), ())
    assert without.concentrations["cd4_t"].flags == (NOTHING_TO_COUNT_AGAINST,)


def test_blood_of_nobody_in_particular_has_no_usual_method():
    controls = [
        count_specimen(name, [GatedSample(name, SampleRow(f"{name}.fcs", name, **of), tube().counts)], None, SETTINGS)
        for name, of in (("C1", BEADS), ("C2", VOLUME))
    ]
    for result in flag_method_changes(controls):
        assert result.concentrations["cd4_t"].cells_per_ul is not None
        assert result.concentrations["cd4_t"].flags == ()


def test_every_flag_is_explained_in_the_reference():
    page = Path(__file__).parents[2] / "docs" / "reference" / "acceptance.md"
    _, _, flags = page.read_text(encoding="utf-8").partition("## Flags of counting")
    for flag in (
        *(BELOW_LLOQ, REPLICATES_DIFFER, TUBE_LEFT_OUT, NOTHING_TO_COUNT_AGAINST, METHOD_CHANGE),
        *(DILUTION_ASSUMED, VOLUME_IN_DOUBT, DRAW_IN_DOUBT, NO_LYMPHOCYTES),
    ):
        assert f"| `{flag}` |" in flags


def test_order_of_tubes_changes_no_number():
    tubes = [tube("a", **BEADS), tube("b", EVENTS | {"cd4_t": 990, "beads": 8000}, **BEADS | {"bead_lot": "L2"})]
    one, two = counted(*tubes), counted(*tubes[::-1])
    for name, found in one.concentrations.items():
        assert found.cells_per_ul == pytest.approx(two.concentrations[name].cells_per_ul, rel=1e-12)
        assert found.upper == pytest.approx(two.concentrations[name].upper, rel=1e-7)
    assert REPLICATES_DIFFER in one.concentrations["cd4_t"].flags
