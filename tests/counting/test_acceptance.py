"""Acceptance on tubes made by hand: each check below, at and above its limit, and what it says."""

import math
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from nti7flow.counting.acceptance.accept import accept, see_together
from nti7flow.counting.acceptance.findings import exceeds, said, share_at_most
from nti7flow.counting.acceptance.limits import AcceptanceLimits
from nti7flow.counting.acceptance.longer import longer_acquisition
from nti7flow.counting.acceptance.purity import corrected_percent
from nti7flow.counting.gated import CheckRow, CountRow, GatedSample
from nti7flow.counting.hematology import Alc
from nti7flow.counting.settings import CountingSettings
from nti7flow.counting.specimens import count_specimen
from nti7flow.gating.strategy import SEVERITY_ORDER
from nti7flow.trial import SampleRow

ZONE = ZoneInfo("America/New_York")
LIMITS = AcceptanceLimits()
#: Errors with which the examples are worked.
CVS = {"bead_cv": 0.02, "pipetting_cv": 0.02, "volume_cv": 0.03}
#: 10,000 lymphocytes that are as they should be, against 5,000 of 50,000 beads in 50 µL: 1 event is 0.2 cells/µL.
HEALTHY = {
    "settled": 60_000,
    "bright_everywhere": 5000,
    "beads": 5000,
    "t_seed": 7000,
    "lymphocytes": 10_000,
    "t_cells": 7000,
    "cd4_t": 4300,
    "cd8_t": 2500,
    "dn_t": 150,
    "dp_t": 50,
    "b_cells": 1000,
    "nk_cells": 1950,
    "unassigned": 50,
}
PARENTS = {"cd4_t": "t_cells", "cd8_t": "t_cells", "dn_t": "t_cells", "dp_t": "t_cells"}
WITHIN = ("t_cells", "b_cells", "nk_cells", "unassigned")
REPORTED = frozenset(HEALTHY) - {"settled", "bright_everywhere", "t_seed", "unassigned"}


def count_row(population, n_events, whole, **others):
    """A count; lymphocytes hold the lineages, T cells their subsets."""
    above = [*(["t_cells"] if population in PARENTS else []), *(["lymphocytes"] if population not in BESIDE else [])]
    path = "/".join(["", *reversed([population, *above] if population != "lymphocytes" else ["lymphocytes"])])
    percent = 100 * n_events / whole if population not in BESIDE and n_events is not None and whole else None
    plain = {"n_total": 60_000, "status": "ok", "flags": (), "severity": ""}
    return CountRow(
        population=population,
        label=population,
        path=path,
        parent=PARENTS.get(population, "lymphocytes"),
        n_events=n_events,
        percent_lymphocytes=percent,
        **plain | others,
    )


BESIDE = ("settled", "bright_everywhere", "beads", "t_seed")


def tube(counts=(), *, name="A", checks=(), of_counts=(), **row):
    """A healthy tube but for these counts, checks and cells of its line."""
    numbers = HEALTHY | dict(counts)
    line = SampleRow(
        "a.fcs",
        name,
        **{
            "specimen": "S1",
            "subject": "P1",
            "panel": "tbnk",
            "specimen_volume": 50.0,
            "specimen_volume_unit": "uL",
            "bead_lot": "L1",
            "beads_per_tube": 50_000.0,
        }
        | row,
    )
    rows = {p: count_row(p, n, numbers["lymphocytes"], **dict(of_counts).get(p, {})) for p, n in numbers.items()}
    return GatedSample(name, line, rows, tuple(checks), REPORTED)


def specimen(*tubes, alc=None, name=None, **settings):
    return count_specimen(name or tubes[0].specimen, tubes, alc, CountingSettings(**settings))


def checked(result, *, sex=None, together=None, limits=LIMITS):
    """The specimen with its flags, and its checks by name; of several the last."""
    result, rows = accept(result, limits, sex=sex, zone=ZONE, together=together)
    return result, {row.check: row for row in rows}


def flagged(result, check):
    return {name for name, found in result.concentrations.items() if check in found.flags}


def test_a_healthy_tube_passes_and_every_check_of_it_is_told():
    at = datetime(2026, 3, 2, 8, tzinfo=UTC)
    stored = [CheckRow(f"{name} of x", value, None, "") for name, value in STORED.items()]
    doublets = CheckRow("doublets_of_leukocytes share", 0.02, 0.15, "", 100)
    one = tube(checks=[*stored, doublets], collected_at=at, stained_at=at + timedelta(hours=2))
    before = specimen(one, alc=Alc(2000.0, 0.05, "ALC", "P1", 0.0))
    result, rows = checked(before, sex="male")
    assert {name: row.severity for name, row in rows.items() if row.severity} == {}
    assert set(rows) == {
        *("lymphocyte_events", "unassigned", "purity", "overlap_cd3_cd19", "overlap_cd3_nk", "cd4_cd8_vs_cd3"),
        *("recovery", "bead_events", "bead_gate", "doublets", "saturation", "qc_loss", "specimen_age"),
        *("hematology_ratio", "assay_cv", "minimum_events", "reference_range"),
    }
    assert result == before
    assert all(row.look_at for row in rows.values())


STORED = {"recovery_percent": 99.0, "overlap_cd3_cd19_percent": 0.1, "overlap_cd3_nk_percent": 1.0}
ALL = {"lymphocytes", "t_cells", "cd4_t", "cd8_t", "dn_t", "dp_t", "b_cells", "nk_cells"}


@pytest.mark.parametrize(
    ("counts", "check", "value", "limit", "severity", "marks"),
    [
        ({"lymphocytes": 25}, "lymphocyte_events", 25, 25, "", set()),
        ({"lymphocytes": 24}, "lymphocyte_events", 24, 25, "review", ALL),
        ({"unassigned": 500}, "unassigned", 5, 5, "", set()),
        ({"unassigned": 501}, "unassigned", 5.01, 5, "info", set()),
        ({"unassigned": 1000}, "unassigned", 10, 5, "info", set()),
        ({"unassigned": 1070}, "unassigned", 10.7, 10, "review", ALL),
        ({"nk_cells": 1000}, "purity", 90, 90, "", set()),
        ({"nk_cells": 999}, "purity", 89.99, 90, "info", set()),
        ({"nk_cells": 400}, "purity", 84, 85, "review", {"lymphocytes"}),
        ({"cd8_t": 2200}, "cd4_cd8_vs_cd3", 5, 5, "", set()),
        ({"cd8_t": 2199}, "cd4_cd8_vs_cd3", 5.01, 5, "info", set()),
        ({"cd8_t": 1600}, "cd4_cd8_vs_cd3", 11, 10, "review", {"cd4_t", "cd8_t", "dn_t", "dp_t"}),
        ({"beads": 1000}, "bead_events", 1000, 1000, "", set()),
        ({"beads": 999}, "bead_events", 999, 1000, "review", ALL),
        ({"beads": 19}, "bead_events", 19, 1000, "invalid", ALL),
        ({"settled": 54_000}, "qc_loss", 10, 10, "", set()),
        ({"settled": 53_999}, "qc_loss", 100 * 6001 / 60_000, 10, "info", set()),
        ({"settled": 41_999}, "qc_loss", 100 * 18_001 / 60_000, 30, "review", ALL),
    ],
)
def test_counts_of_one_tube_at_their_limits(counts, check, value, limit, severity, marks):
    result, rows = checked(specimen(tube(counts)))
    row = rows[check]
    assert (row.value, row.limit, row.severity) == (pytest.approx(value), pytest.approx(limit), severity)
    assert (row.specimen, row.sample) == ("S1", "A")
    assert flagged(result, check) == marks
    assert all(result.concentrations[name].severity == severity for name in marks)
    assert re.search(r"\d", row.look_at)


@pytest.mark.parametrize(
    ("stored", "check", "values", "limits", "marks"),
    [
        ("recovery_percent", "recovery", (95.0, 94.0), (95, 95), ALL),
        ("overlap_cd3_cd19_percent", "overlap_cd3_cd19", (2.0, 6.0), (2, 5), {"t_cells", "b_cells"}),
        ("overlap_cd3_nk_percent", "overlap_cd3_nk", (2.0, 6.0), (2, 5), {"nk_cells"}),
    ],
)
def test_what_gating_stored_is_judged_by_the_limits_of_the_study(stored, check, values, limits, marks):
    for value, limit, severity in zip(values, limits, ("", "review"), strict=True):
        result, rows = checked(specimen(tube(checks=[CheckRow(f"{stored} of x", value, None, "")])))
        assert (rows[check].value, rows[check].limit, rows[check].severity) == (value, limit, severity)
        assert flagged(result, check) == (marks if severity else set())


def test_a_share_of_few_cells_is_for_review_only_beyond_chance():
    few = {"lymphocytes": 40, "t_cells": 26, "cd4_t": 16, "cd8_t": 9, "b_cells": 5, "nk_cells": 3, "unassigned": 6}
    _, rows = checked(specimen(tube(few)))
    assert (rows["unassigned"].value, rows["unassigned"].severity) == (15, "info")
    assert rows["unassigned"].look_at.startswith("6 of 40 lymphocytes are neither T, B nor NK cells: see on CD45")


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.01, 0.99))
def test_chance_is_the_binomial_tail(n, of, share):
    n = min(n, of)
    tail = binom.sf(n - 1, of, share)
    assert exceeds(n, of, share) == (tail < 0.025) or abs(tail - 0.025) < 1e-9


@given(st.integers(1, 3000), st.data())
def test_more_of_it_is_never_judged_more_mildly(of, data):
    n = data.draw(st.integers(0, of - 1))
    fewer, more = (SEVERITY_ORDER.index(share_at_most(k, of, (5, 10))[0]) for k in (n, n + 1))
    assert fewer <= more


def test_subsets_are_judged_beside_other_draws_of_the_subject():
    """Gamma-delta T cells: 12 % in all four draws is this person; 12 % in one of four is a gate."""
    many = {"cd8_t": 1500}
    draws = [specimen(tube(many, name=f"T{i}", specimen=f"S{i}")) for i in range(4)]
    _, rows = checked(draws[0], together=see_together(draws))
    assert (rows["cd4_cd8_vs_cd3"].value, rows["cd4_cd8_vs_cd3"].severity) == (12, "info")
    assert "in other draws of the subject 12 %" in rows["cd4_cd8_vs_cd3"].look_at
    others = [specimen(tube(name=f"T{i}", specimen=f"S{i}")) for i in range(1, 4)]
    result, rows = checked(draws[0], together=see_together([draws[0], *others]))
    assert rows["cd4_cd8_vs_cd3"].severity == "review"
    assert flagged(result, "cd4_cd8_vs_cd3") == {"cd4_t", "cd8_t", "dn_t", "dp_t"}


def test_beads_that_are_missing_make_every_count_of_the_tube_invalid():
    for n_beads in (None, 0, 19):
        result, rows = checked(specimen(tube({"beads": n_beads})))
        assert (rows["bead_events"].value, rows["bead_events"].severity) == (n_beads or 0, "invalid")
        assert "though the sheet names lot L1" in rows["bead_events"].look_at
        assert "bead_gate" not in rows
        assert {found.severity for found in result.concentrations.values()} == {"invalid"}


def test_too_few_beads_are_told_with_what_to_do():
    _, rows = checked(specimen(tube({"beads": 400})))
    said_of = rows["bead_events"].look_at
    assert said_of == (
        "400 beads of lot L1; their number alone gives a CV of 5 %: acquire 2.5 times as long to have 1,000"
    )


def test_beads_are_not_asked_of_tubes_that_are_counted_otherwise():
    plain = {"bead_lot": None, "beads_per_tube": None, "acquired_volume": 60.0, "acquired_volume_unit": "uL"}
    _, rows = checked(specimen(tube({"beads": 0}, **plain)))
    assert "bead_events" not in rows
    _, rows = checked(specimen(tube(), alc=Alc(1000.0, 0.05, "ALC", "P1", 0.0), method="dual_platform"))
    assert not {"bead_events", "hematology_ratio"} & set(rows)  # lymphocytes are what they are counted against


@pytest.mark.parametrize(
    ("gating_sd", "status", "severity", "limit"),
    [(100.0, "ok", "", 2), (101.0, "ok", "info", 2), (251.0, "ok", "review", 5), (0.0, "fell_back", "review", 2)],
)
def test_the_gate_of_beads(gating_sd, status, severity, limit):
    of_beads = {"bright_everywhere": {"gating_sd": gating_sd, "status": status}}
    _, rows = checked(specimen(tube(of_counts=of_beads)))
    assert (rows["bead_gate"].value, rows["bead_gate"].limit) == (pytest.approx(gating_sd / 50), limit)
    assert rows["bead_gate"].severity == severity
    assert f"'{status}'" in rows["bead_gate"].look_at


def test_what_gating_flagged_is_told_and_not_flagged_again():
    checks = [
        CheckRow("doublets_of_leukocytes share", 0.2, 0.15, "review", 500),
        CheckRow("saturated FITC-A", 0.02, 0.1, "info"),
        CheckRow("saturated CD45 of lymphocytes, share at the top of range", 0.6, 0.1, "invalid"),
    ]
    result, rows = checked(specimen(tube(checks=checks)))
    assert (rows["doublets"].value, rows["doublets"].limit, rows["doublets"].severity) == (20, 15, "review")
    assert (rows["saturation"].value, rows["saturation"].severity) == (60, "invalid")
    assert "CD45 of lymphocytes" in rows["saturation"].look_at
    assert flagged(result, "doublets") == flagged(result, "saturation") == set()


def test_losses_name_their_reasons():
    checks = [CheckRow("clog CD3", -0.2, 0.07, "info", 5000), CheckRow("time_carry_over", 50.0, None, "review", 4000)]
    _, rows = checked(specimen(tube({"settled": 51_000}, checks=checks)))
    assert rows["qc_loss"].look_at.startswith(
        "9,000 of 60,000 events came at times that are left out (clog 5,000 and time_carry_over 4,000): see"
    )


@pytest.mark.parametrize(
    ("hours", "severity", "limit"), [(48, "", 48), (48.5, "info", 48), (72, "info", 48), (72.5, "review", 72)]
)
def test_age_of_the_blood(hours, severity, limit):
    at = datetime(2026, 3, 2, 8, tzinfo=UTC)
    times = {"collected_at": at, "acquired_at": at + timedelta(hours=hours)}
    result, rows = checked(specimen(tube(**times)))
    assert (rows["specimen_age"].value, rows["specimen_age"].limit) == (pytest.approx(hours), limit)
    assert rows["specimen_age"].severity == severity
    assert flagged(result, "specimen_age") == (ALL if severity == "review" else set())
    # Once it is stained it is fixed: what counts is until then.
    _, rows = checked(specimen(tube(**times, stained_at=at + timedelta(hours=1))))
    assert rows["specimen_age"].look_at == "stained 1 h after the draw"


def test_age_by_dates_alone_is_judged_where_it_is_sure_and_no_tube_is_stained_before_its_draw():
    drawn = date(2026, 3, 2)
    for days, severity in ((3, ""), (4, "info"), (5, "review")):
        _, rows = checked(specimen(tube(collected_at=drawn, stained_at=drawn + timedelta(days=days))))
        assert (rows["specimen_age"].value, rows["specimen_age"].severity) == (24 * days, severity)
        assert "give or take 24 h" in rows["specimen_age"].look_at
    _, rows = checked(specimen(tube(collected_at=drawn, stained_at=drawn - timedelta(days=2))))
    assert rows["specimen_age"].severity == "review"
    assert rows["specimen_age"].look_at.startswith("stained 48 h before the draw")


@pytest.mark.parametrize(
    ("alc", "cv", "severity", "limit"),
    [
        (2000 / 1.14, 0.001, "", 1.3),  # 3.5 SD away, and nobody would act on it
        (2000 * 1.2, 0.001, "review", 1.15),  # no chance, though within the limits
        (2000 * 1.25, 0.08, "", 1.3),
        (2000 * 1.35, 0.10, "info", 1.3),
        (2000 * 1.7, 0.19, "review", 1.6),
        (2000 * 1.7, 0.22, "info", 1.3),  # 2.4 SD: haematology by so few cells may be that far off
        (2000 * 1.7, 0.40, "info", 1.3),  # chance
        (2000 / 1.7, 0.19, "review", 1.6),
    ],
)
def test_flow_lymphocytes_against_haematology(alc, cv, severity, limit):
    result, rows = checked(specimen(tube(), alc=Alc(alc, cv, "ALC", "P1", 0.0)))
    row = rows["hematology_ratio"]
    assert (row.value, row.severity) == (pytest.approx(max(2000 / alc, alc / 2000)), severity)
    assert row.limit == pytest.approx(limit)
    assert row.look_at.startswith("flow cytometry counts 2,000 lymphocytes per µL, haematology ")
    assert flagged(result, "hematology_ratio") == (ALL if severity == "review" else set())
    assert result.concentrations["alc"].flags == ()


def test_no_lymphocyte_at_all_where_haematology_has_some():
    none = dict.fromkeys(("lymphocytes", *WITHIN, *PARENTS), 0)
    _, rows = checked(specimen(tube(none), alc=Alc(111.0, 0.09, "ALC", "P1", 0.0)))
    assert rows["hematology_ratio"].severity == rows["lymphocyte_events"].severity == "review"
    assert rows["hematology_ratio"].value > 100


def test_t_cells_between_tubes():
    for n_t, severity in ((7300, ""), (7301, "review"), (6699, "review")):
        pair = tube(name="A"), tube({"t_cells": n_t, "nk_cells": 8950 - n_t}, name="B")
        result, rows = checked(specimen(*pair))
        assert rows["cd3_between_tubes"].severity == severity
        assert ("cd3_between_tubes" in result.concentrations["cd4_t"].flags) == bool(severity)
        assert rows["cd3_between_tubes"].sample is None
    few = {"lymphocytes": 100, "t_cells": 64, "cd4_t": 40, "cd8_t": 20}
    _, rows = checked(specimen(tube(), tube(few, name="B")))
    assert (rows["cd3_between_tubes"].value, rows["cd3_between_tubes"].severity) == (pytest.approx(6), "info")


def test_a_tube_that_is_anchored_is_judged_by_cd4_of_t_cells():
    """Its lymphocytes hold anything without CD45, and lend no share to a concentration; its T cells are the same."""
    for n_cd4, severity in ((4250, ""), (4000, "review")):
        within = {"lymphocytes": 20_000, "t_cells": 7000, "cd4_t": n_cd4, "cd8_t": 6500 - n_cd4}
        plain = tube(within, name="B", bead_lot=None, beads_per_tube=None)
        naive = replace(plain.counts["cd4_t"], population="cd4_naive", path="/lymphocytes/t_cells/cd4_t/cd4_naive")
        counts = {**plain.counts, "cd4_naive": naive}
        phenotyping = replace(plain, counts=counts, reported=REPORTED | {"cd4_naive"})
        result, rows = checked(specimen(tube(), phenotyping))
        assert result.concentrations["cd4_naive"].method == "anchored"
        assert rows["cd3_between_tubes"].severity == "review"
        assert "cd3_between_tubes" not in result.concentrations["cd4_t"].flags
        assert rows["cd4_between_tubes"].severity == severity
        assert flagged(result, "cd4_between_tubes") == ({"cd4_naive"} if severity else set())


def test_tubes_that_differ_beyond_their_errors_are_told_tube_by_tube():
    half = {name: n // 2 for name, n in HEALTHY.items() if name not in BESIDE}
    result, rows = checked(specimen(tube(), tube(half, name="B")))
    row = rows["replicates"]
    assert (row.limit, row.severity) == (0.01, "review")
    assert re.search(r"per µL by tube: [\d,]+ \(A\), [\d,]+ \(B\); ", row.look_at)
    assert "replicates" not in result.concentrations["t_cells"].flags  # counting has flagged it: replicates_differ
    _, rows = checked(specimen(tube(), tube(name="B")))
    assert (rows["replicates"].value, rows["replicates"].severity) == (pytest.approx(1, abs=0.01), "")


def test_a_flag_of_one_tube_goes_to_the_counts_that_rest_on_it():
    tcell = {"beads_per_tube": None, "bead_lot": None, "panel": "tcell"}
    bad = tube({"settled": 30_000}, name="B", **tcell)
    result, _ = checked(specimen(tube(), bad))
    assert flagged(result, "qc_loss") == set()
    result, _ = checked(specimen(bad, tube()))
    assert flagged(result, "qc_loss") == set()
    result, _ = checked(specimen(tube(), tube({"settled": 30_000}, name="B")))
    assert flagged(result, "qc_loss") == ALL


def test_assay_cv_and_what_dominates_it():
    _, rows = accept(specimen(tube({"b_cells": 80}), **CVS), LIMITS, sex=None, zone=ZONE)
    cvs = {row.population: row for row in rows if row.check == "assay_cv"}
    expected = math.sqrt(1 / 80 + 1 / 5000 + 2 * 0.02**2)
    assert cvs["b_cells"].value == pytest.approx(100 * expected, rel=0.01)
    assert (cvs["b_cells"].severity, cvs["b_cells"].limit) == ("info", 10)
    assert "of cells" in cvs["b_cells"].look_at
    assert (cvs["t_cells"].severity, cvs["t_cells"].limit) == ("", 10)


def test_a_count_below_its_limit_of_quantification_claims_no_cv_and_is_not_for_review():
    result, rows = accept(specimen(tube({"b_cells": 5})), LIMITS, sex=None, zone=ZONE)
    (row,) = (r for r in rows if r.check == "assay_cv" and r.population == "b_cells")
    assert (row.severity, row.limit) == ("info", 25)
    assert result.concentrations["b_cells"].severity == "info"
    result, rows = accept(specimen(tube({"b_cells": 5}), lloq_cv=0.9), LIMITS, sex=None, zone=ZONE)
    (row,) = (r for r in rows if r.check == "assay_cv" and r.population == "b_cells")
    assert (row.severity, flagged(result, "assay_cv")) == ("review", {"b_cells"})


def test_what_longer_acquisition_would_buy_by_hand():
    """78 CD4 T cells and 3,846 of 50,000 beads: a 13th of the tube. All of it: 1,014 cells and 50,000 beads."""
    few = {"beads": 3846, "bright_everywhere": 3846, "cd4_t": 78}
    _, rows = accept(specimen(tube(few), **CVS), LIMITS, sex=None, zone=ZONE)
    by = {row.population: row for row in rows if row.check == "minimum_events"}
    now = 100 * math.sqrt(math.expm1(1 / 78 + 1 / 3846 + 2 * math.log1p(0.02**2)))
    then = 100 * math.sqrt(math.expm1(1 / 1014 + 1 / 50_000 + 2 * math.log1p(0.02**2)))
    assert (now, then) == (pytest.approx(11.82, abs=0.01), pytest.approx(4.25, abs=0.01))
    assert by["cd4_t"].look_at == (
        "cd4_t: 78 events, fewer than 100; CV 11.8 %; the whole tube holds 13 times as many: CV 4.25 %"
    )
    assert (by["cd4_t"].severity, by["cd4_t"].limit) == ("info", 100)
    assert by["t_cells"].look_at == "t_cells: 7,000 events"


@pytest.mark.parametrize(("n_events", "severity"), [(100, ""), (99, "info")])
def test_minimum_events_are_told_and_never_flagged(n_events, severity):
    result, rows = accept(specimen(tube({"cd4_t": n_events})), LIMITS, sex=None, zone=ZONE)
    (row,) = (r for r in rows if r.check == "minimum_events" and r.population == "cd4_t")
    assert row.severity == severity
    assert flagged(result, "minimum_events") == set()
    none = AcceptanceLimits(minimum_events={"cd4_t": 0})
    _, rows = accept(specimen(tube({"cd4_t": n_events})), none, sex=None, zone=ZONE)
    assert not [r for r in rows if r.check == "minimum_events" and r.population == "cd4_t"]


def test_longer_acquisition_of_other_tubes():
    volume = {"beads_per_tube": None, "bead_lot": None, "acquired_volume": 100.0, "acquired_volume_unit": "uL"}
    found = specimen(tube({"cd4_t": 25}, **volume), **CVS).concentrations["cd4_t"]
    words = longer_acquisition(found, cv_percent=10)
    # 1/n = 0.1² - 0.03², to within the logarithms: 110 events, 4.4 times as many.
    assert re.fullmatch(r"CV 20\.\d %; 11\d events, 4\.4\d? times as many, bring 10 %", words)
    assert longer_acquisition(found, cv_percent=2.5).endswith("bring 2.5 %, as the other errors are larger")
    whole = specimen(tube({"beads": 50_000, "cd4_t": 25})).concentrations["cd4_t"]
    assert longer_acquisition(whole, cv_percent=10) == "all of the tube was acquired; stain more blood"
    nobody = specimen(tube({"b_cells": 0})).concentrations["b_cells"]
    assert re.fullmatch(
        r"the whole tube holds 10 times as much: up to 0\.7\d+ per µL now, 0\.07\d+ then",
        longer_acquisition(nobody, cv_percent=10),
    )


def test_reference_ranges_are_information_and_a_flag_of_the_count_itself():
    counts = {"lymphocytes": 10_000, "cd4_t": 1564, "b_cells": 4011}  # 312.8 and 802.2 per µL
    result, rows = accept(
        specimen(tube(counts), alc=Alc(1146.0, 0.05, "ALC", "P1", 0.0)), LIMITS, sex="male", zone=ZONE
    )
    ranges = {row.population: row for row in rows if row.check == "reference_range"}
    assert {name: row.limit for name, row in ranges.items() if row.severity} == {
        "alc": 1147,
        "cd4_t": 313,
        "b_cells": 802,
    }
    assert ranges["cd4_t"].look_at == "cd4_t: 313 per µL, below 313 to 1,361 of healthy adults (male)"
    assert "above" in ranges["b_cells"].look_at
    assert "within" in ranges["cd8_t"].look_at
    assert flagged(result, "reference_range") == {"alc", "cd4_t", "b_cells"}
    assert result.concentrations["alc"].severity == "info"
    _, rows = checked(specimen(tube(counts)))
    assert "reference_range" not in rows  # the sex is not known


def lot(name, factor, n=6, cv=0.05):
    """Specimens of one lot: haematology scatters around flow cytometry times a factor."""
    noise = [math.exp(cv * z) for z in (-1.3, -0.6, -0.2, 0.2, 0.6, 1.3)]
    return [
        specimen(
            tube(name=f"{name}{i}", specimen=f"{name}{i}", bead_lot=name),
            alc=Alc(2000 * noise[i] / factor, cv, "ALC", f"{name}{i}", 0.0),
        )
        for i in range(n)
    ]


def test_a_lot_with_a_wrong_number_of_beads_shows_in_all_its_specimens_together():
    study = [*lot("L1", 1.0), *lot("L2", 0.8), *lot("L3", 1.0, n=3)]
    together = see_together(study)
    assert set(together.lots) == {"L1", "L2"}
    found = {}
    for one in study:
        result, rows = checked(one, together=together)
        row = rows.get("bead_lot_ratio")
        found.setdefault(one.tubes[0].row.bead_lot, set()).add(row and row.severity)
        assert flagged(result, "bead_lot_ratio") == (ALL if row and row.severity else set())
    assert found == {"L1": {""}, "L2": {"review"}, "L3": {None}}
    _, rows = checked(study[6], together=together)
    assert rows["bead_lot_ratio"].value == pytest.approx(0.8, rel=0.01)
    assert rows["bead_lot_ratio"].look_at.startswith(
        "in 6 specimens with beads of lot L2 flow cytometry finds 0.8 times the lymphocytes of haematology, in those "
    )
    assert rows["hematology_ratio"].severity == ""  # each by itself could be chance


def test_the_order_of_specimens_does_not_matter():
    study = [*lot("L1", 1.0), *lot("L2", 0.8)]
    assert see_together(study) == see_together(study[::-1])


def test_a_tube_whose_beads_do_not_fit_its_volume():
    volume = {"acquired_volume": 40.0, "acquired_volume_unit": "uL"}
    usual = [specimen(tube(name=f"T{i}", specimen=f"T{i}", **volume)) for i in range(5)]
    for beads_per_tube, severity in ((50_000.0, ""), (55_000.0, ""), (62_500.0, "review")):
        odd = specimen(tube(name="X", specimen="X", **volume | {"beads_per_tube": beads_per_tube}))
        _, rows = checked(odd, together=see_together([*usual, odd]))
        assert rows["bead_density"].value == pytest.approx(50_000 / beads_per_tube)
        assert rows["bead_density"].severity == severity


def test_percentages_are_corrected_for_purity_and_concentrations_are_not():
    impure = {"t_cells": 6300, "b_cells": 900, "nk_cells": 1800, "unassigned": 1000}
    result = specimen(tube(impure))
    assert corrected_percent(result, "t_cells") == pytest.approx(70)
    assert corrected_percent(result, "cd4_t") == pytest.approx(100 * 4300 / 9000)
    assert corrected_percent(result, "lymphocytes") is None
    assert result.concentrations["t_cells"].cells_per_ul == pytest.approx(1260)
    assert corrected_percent(specimen(tube({"nk_cells": None})), "t_cells") is None


def test_limits_of_the_study_are_those_that_judge():
    strict = AcceptanceLimits(unassigned_percent=(0.1, 0.2), bead_events=6000, recovery_percent=99.5)
    one = tube(checks=[CheckRow("recovery_percent of T cells", 99.0, None, "")])
    _, rows = checked(specimen(one), limits=strict)
    assert {name for name, row in rows.items() if row.severity == "review"} == {"unassigned", "bead_events", "recovery"}


def test_numbers_are_said_as_people_write_them():
    assert [said(x) for x in (0, 0.0526, 1.667, 99.96, 100, 999.6, 12_345.6, 0.00002)] == [
        *("0", "0.0526", "1.67", "100", "100", "1,000", "12,346", "less than 0.001")
    ]


def test_every_check_is_in_the_reference():
    page = (Path(__file__).parents[2] / "docs/reference/acceptance.md").read_text()
    checks, flags, _ = page.partition("## Flags of counting")
    assert flags
    documented = set(re.findall(r"^\| `(\w+)` \|", checks, re.MULTILINE))
    source = "".join(
        path.read_text() for path in (Path(__file__).parents[2] / "src/nti7flow/counting/acceptance").glob("*.py")
    )
    named = set(re.findall(r'Finding\(\s*"(\w+)"', source)) | {"overlap_cd3_cd19", "overlap_cd3_nk"}
    assert documented == named
