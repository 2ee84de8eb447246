"""Checks against what is known of any blood: on cells whose kind is known, and on numbers that can be seen through."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_tubes import simulated_tube

from nti7flow.counting.checks import Check
from nti7flow.counting.fractions import Count
from nti7flow.counting.plausibility import check_plausible, plausibility_flags
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover
from nti7flow.gating.strategy import Members
from nti7flow.study.plan import make_plan
from nti7flow.study.tube import Progress, gate_wave
from nti7flow.trial import SampleRow

MARKERS = ("CD3", "CD4", "CD8", "CD19", "CD56", "CD45")
NONE = Spillover.none()
#: A matrix by which nothing spills.
MATRIX = Spillover(tuple(f"{marker}-A" for marker in MARKERS), np.eye(len(MARKERS)), "test")
#: 100 cells of each population and what they carry: of CD3, CD4, CD8, CD19, CD56, CD45.
CELLS = {
    "cd4_t": (1000, 1000, 0, 0, 0, 1000),
    "cd8_t": (1000, 0, 1000, 0, 0, 1000),
    "b_cells": (0, 0, 0, 1000, 0, 1000),
    "nk_cells": (0, 0, 0, 0, 1000, 1000),
    "monocytes": (0, 200, 30, 0, 50, 1000),
}


def toy(path, cells, markers=MARKERS):
    """100 events of each population, and who they are."""
    rng = np.random.default_rng(0)
    events = np.concatenate([rng.normal(cells[name], 10, (100, len(markers))) for name in cells])
    write_events(path, events, [f"{m}-A" for m in markers], markers=markers)
    members = Members(len(events))
    places = {name: np.arange(100 * i, 100 * i + 100) for i, name in enumerate(cells)}
    places["t_cells"] = np.concatenate([places["cd4_t"], places["cd8_t"]])
    places["lymphocytes"] = np.arange(100 * (len(cells) - 1))
    for name, rows in places.items():
        members.set(name, rows)
    return read_fcs(path), members


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("plausible")


def checks_of(folder, cells, matrix=MATRIX):
    sample, members = toy(folder / "toy.fcs", cells)
    return check_plausible(sample, matrix, members, [], None)


def test_cells_that_carry_what_they_should_raise_nothing(folder):
    assert checks_of(folder, CELLS) == ()


@pytest.mark.parametrize(
    ("population", "marker", "value", "limit"),
    [("nk_cells", "CD4", 150, 0.12), ("cd4_t", "CD19", -100, -0.08), ("b_cells", "CD3", 200, 0.12)],
)
def test_a_population_that_lacks_a_marker_and_is_not_dark_is_named(folder, population, marker, value, limit):
    carried = dict(zip(MARKERS, CELLS[population], strict=True)) | {marker: value}
    (check,) = checks_of(folder, CELLS | {population: tuple(carried.values())})
    assert check.check.startswith(f"compensation_off {population} in {marker}, ")
    assert check.value == pytest.approx(value / 1000, abs=0.005)
    assert (check.limit, check.severity) == (limit, "review")
    assert plausibility_flags([check]) == {"compensation_off": "review"}


def test_a_channel_that_two_markers_share_and_one_seen_through_a_display_are_not_judged(folder):
    """CD20 in the channel of CD4 makes B cells as bright as CD4 T cells."""
    cells = CELLS | {"b_cells": (0, 900, 0, 1000, 0, 1000)}
    assert [check.severity for check in checks_of(folder, cells)] == ["review"]
    shared = tuple(f"{marker}+CD20" if marker == "CD4" else marker for marker in MARKERS)
    sample, members = toy(folder / "shared.fcs", cells, shared)
    assert check_plausible(sample, NONE, members, [], None) == ()
    sample, members = toy(folder / "display.fcs", cells)
    assert check_plausible(sample, MATRIX, members, [], None, not_light={"CD4-A"}) == ()


def test_one_channel_of_a_tube_said_to_need_no_matrix_is_told_and_several_are_for_review(folder):
    one = CELLS | {"b_cells": (200, 0, 0, 1000, 0, 1000)}
    assert [check.severity for check in checks_of(folder, one, NONE)] == ["info"]
    two = one | {"nk_cells": (0, 200, 0, 0, 1000, 1000)}
    assert [check.severity for check in checks_of(folder, two, NONE)] == ["review", "review"]


@pytest.mark.parametrize(
    ("population", "marker"), [("nk_cells", "CD8"), ("cd8_t", "CD56"), ("monocytes", "CD19"), ("nk_cells", "CD45")]
)
def test_what_cells_may_carry_is_not_held_against_them(folder, population, marker):
    carried = dict(zip(MARKERS, CELLS[population], strict=True)) | {marker: 300}
    assert checks_of(folder, CELLS | {population: tuple(carried.values())}) == ()


@given(st.floats(-0.3, 0.3), st.integers(1, 6))
def test_gains_do_not_matter(tmp_path_factory, share, gain):
    """The same blood with every detector turned up: the same words, the same shares."""
    folder = tmp_path_factory.mktemp("gain")
    cells = CELLS | {"nk_cells": (0, 1000 * share, 0, 0, 1000, 1000)}
    one, two = (
        check_plausible(*_gained(folder / f"{factor}.fcs", cells, factor), [], None) for factor in (1.0, float(gain))
    )
    assert [(c.check, c.severity) for c in one] == [(c.check, c.severity) for c in two]
    assert [c.value for c in one] == pytest.approx([c.value for c in two], rel=1e-4)
    assert bool(one) == (share > 0.12 or share < -0.08) or min(abs(share - 0.12), abs(share + 0.08)) < 0.01


def _gained(path, cells, factor):
    sample, members = toy(path, cells)
    events = sample.events * factor
    write_events(path, events, [f"{m}-A" for m in MARKERS], markers=MARKERS)
    return read_fcs(path), NONE, members


def test_monocytes_tell_cd4_from_cd8(folder):
    (check,) = checks_of(folder, CELLS | {"monocytes": (0, 30, 200, 0, 50, 1000)})
    assert check.check == "markers_exchanged CD8 of monocytes, as a share of cd8_t"
    assert check.value == pytest.approx(0.2, abs=0.005)
    assert check.severity == "review"


def test_cells_off_scale_are_told(tmp_path):
    sample, members = toy(tmp_path / "high.fcs", CELLS)
    for n_high, severity in ((30, None), (80, "review"), (300, "invalid")):  # of 400 lymphocytes
        events = sample.events.copy()
        events[:n_high, 5] = 5000.0
        write_events(tmp_path / "cut.fcs", events, [f"{m}-A" for m in MARKERS], markers=MARKERS)
        checks = check_plausible(read_fcs(tmp_path / "cut.fcs"), NONE, members, [], None)
        told = [(c.check.split(",")[0], c.value, c.severity) for c in checks]
        assert told == ([] if severity is None else [("saturated CD45 of lymphocytes", n_high / 400, severity)])


def beads(n_events, status="ok"):
    return Count("beads", "", "/beads", "root", n_events, 9, 99, None, None, status, (), "")


@pytest.mark.parametrize(
    ("count", "row", "missing"),
    [
        (beads(0, "absent"), {"bead_lot": "BD1"}, True),
        (beads(None, "failed"), {"beads_per_tube": 50_000.0}, True),
        (beads(19), {"bead_lot": "BD1"}, True),
        (beads(20), {"bead_lot": "BD1"}, False),
        (beads(0, "absent"), {}, False),
        (beads(None, "not_in_panel"), {"bead_lot": "BD1"}, False),
    ],
)
def test_beads_are_missed_where_the_sheet_names_them(folder, count, row, missing):
    sample, members = toy(folder / "toy.fcs", CELLS)
    checks = check_plausible(sample, NONE, members, [count], SampleRow("toy.fcs", "toy", **row))
    wanted = Check("beads_missing though the sheet names them", count.n_events or 0, 20, "invalid")
    assert checks == ((wanted,) if missing else ())


def counted(population, n_events, n_total=30_000, status="ok"):
    return Count(population, "", f"/{population}", "root", n_events, 9, n_total, None, None, status, (), "info")


@pytest.mark.parametrize(
    ("counts", "left_out", "flags"),
    [
        ([counted("lymphocytes", 0, status="borrowed")], None, {"lymphocytes_missing"}),
        ([counted("lymphocytes", 19)], None, {"lymphocytes_missing"}),
        ([counted("lymphocytes", 20)], None, set()),
        ([counted("lymphocytes", None, status="failed")], None, set()),  # said by its status
        ([counted("lymphocytes", 5, n_total=900)], None, set()),  # too few events is another check
        ([counted("lymphocytes", 0)], "unstained", set()),
        ([counted("lymphocytes", 0)], "CD45", set()),
    ],
)
def test_a_tube_full_of_events_without_lymphocytes_is_never_just_told(folder, counts, left_out, flags):
    sample, members = toy(folder / "toy.fcs", CELLS)
    checks = check_plausible(sample, MATRIX, members, counts, None, left_out=left_out)
    assert plausibility_flags(checks) == dict.fromkeys(flags, "review")


@pytest.mark.parametrize(("of_cd8", "flags"), [("absent", {"t_subsets_missing"}), ("ok", set())])
def test_blood_in_which_every_t_subset_is_absent_is_for_review(folder, of_cd8, flags):
    sample, members = toy(folder / "toy.fcs", CELLS)
    counts = [counted("lymphocytes", 500), counted("cd4_t", 1, status="absent"), counted("cd8_t", 2, status=of_cd8)]
    assert plausibility_flags(check_plausible(sample, MATRIX, members, counts, None)) == dict.fromkeys(flags, "review")


def test_populations_of_other_names_are_not_looked_at(folder):
    sample, _ = toy(folder / "toy.fcs", CELLS)
    assert check_plausible(sample, NONE, Members(sample.n_events), [], None) == ()


@pytest.fixture(scope="module", params=range(5))
def tube(request, tmp_path_factory):
    """A simulated tube, its stated matrix and its true populations, so that no gate is between cells and checks."""
    tube = simulated_tube(100 + request.param, n_events=12_000)
    path = tmp_path_factory.mktemp("tube") / "tube.fcs"
    write_events(path, tube.events, tube.detectors, markers=tube.markers)
    members = Members(len(tube.events))
    for name, start in {"cd4_t": "cd4_", "cd8_t": "cd8_"}.items():
        members.set(name, np.flatnonzero(np.char.startswith(tube.labels, start)))
    for name in ("b_cells", "nk_cells", "monocytes"):
        members.set(name, np.flatnonzero(tube.labels == name))
    members.set("t_cells", np.sort(np.concatenate([members["cd4_t"], members["cd8_t"]])))
    stated = Spillover(tube.cytometer.detectors, tube.cytometer.keyword, "keyword")
    return read_fcs(path), stated, members


def test_nothing_is_amiss(tube):
    sample, stated, members = tube
    assert check_plausible(sample, stated, members, [], None) == ()


def test_a_matrix_turned_around_is_found(tube):
    sample, stated, members = tube
    turned = Spillover(stated.detectors, stated.matrix.T, "keyword")
    assert "compensation_off" in plausibility_flags(check_plausible(sample, turned, members, [], None))


def test_no_compensation_is_found(tube):
    sample, _, members = tube
    assert "compensation_off" in plausibility_flags(check_plausible(sample, NONE, members, [], None))


def test_exchanged_names_are_found(tube):
    sample, stated, members = tube
    names = {"CD8": "PE-Cy7-A", "CD4": "APC-Cy7-A"}
    named = replace(sample, panel=sample.panel.with_markers(names))
    exchanged = Members(sample.n_events)
    other = {"cd4_t": "cd8_t", "cd8_t": "cd4_t"}
    for name in members:
        exchanged.set(name, members[other.get(name, name)])  # as gates on those names find them
    assert "markers_exchanged" in plausibility_flags(check_plausible(named, stated, exchanged, [], None))


def test_a_real_tube_raises_nothing(shared_data):
    path = shared_data / "tbnk_auto" / "1.fcs"
    if not path.is_file():
        pytest.skip(f"{path.name} of tbnk_auto is not there")
    plan = make_plan([path], template="tbnk@2.0.0")
    gated = gate_wave(plan, plan.tubes[0], 0, Progress(), {})
    assert [check["check"] for check in gated.quality if check["severity"]] == []
    assert gated.flags == {}
