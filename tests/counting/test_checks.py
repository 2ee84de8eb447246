"""Checks of a gated tube that need nothing but the tube."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nti7flow.counting.checks import Check, check_sample, judge_notes, sample_flags
from nti7flow.counting.fractions import Count
from nti7flow.events.fcs import read_fcs
from nti7flow.events.notes import Note
from nti7flow.events.spillover import Spillover

TUBES = Path(__file__).parents[1] / "tubes"


@pytest.fixture(scope="module")
def sample():
    return read_fcs(TUBES / "SIM-001_day00_tbnk.fcs")


def unassigned(percent):
    return Count("unassigned", "", "/lymphocytes/unassigned", "lymphocytes", 5, 9, 99, 50.0, percent, "ok", (), "")


def spillover(x):
    """A matrix of two detectors whose condition number is (1 + x) / (1 - x)."""
    return Spillover(("FITC-A", "PE-A"), np.array([[1.0, x], [x, 1.0]]), "keyword")


@pytest.mark.parametrize(
    ("x", "condition", "severity"),
    [(0.0, 1.0, ""), (0.5, 3.0, ""), (0.93, 1.93 / 0.07, ""), (0.94, 1.94 / 0.06, "review")],
)
def test_a_matrix_that_amplifies_noise_is_for_review(sample, x, condition, severity):
    (check,) = check_sample(sample, spillover(x), [], {})
    assert check == Check("spillover_condition_number", pytest.approx(condition, rel=1e-9), 30.0, severity)


def test_nothing_to_compensate_is_nothing_to_worry_about(sample):
    (check,) = check_sample(sample, Spillover.none(), [], {})
    assert (check.value, check.severity) == (1.0, "")


def noted(sample, *codes):
    return replace(sample, file_notes=tuple(Note(code, f"\x1b[2J{code.lower()}", "read") for code in codes))


def test_every_note_of_the_file_is_told_by_its_code(sample):
    notes = {note: note.severity for note in noted(sample, "FCS012", "FCS049").notes}
    _, *told = check_sample(sample, Spillover.none(), [], notes)
    assert told == [
        Check("file_note: FCS012 TEXT offset off by one: found \\x1b[2Jfcs012; read", None, None, "info"),
        Check("file_note: FCS049 truncated file: found \\x1b[2Jfcs049; read", None, None, "review"),
    ]


def test_notes_for_review_are_flags_and_others_are_not(sample):
    assert sample_flags(judge_notes(sample)) == {}
    flags = sample_flags(judge_notes(noted(sample, "FCS053", "FCS012", "FCS049", "FCS050")))
    assert list(flags.items()) == [(f"file_FCS{number}", "review") for number in ("053", "049", "050")]


@pytest.mark.parametrize(
    ("percent", "severity"),
    [(0.0, ""), (5.0, ""), (5.01, "info"), (10.0, "info"), (10.01, "review"), (100.0, "review")],
)
def test_unassigned_lymphocytes(sample, percent, severity):
    _, check = check_sample(sample, Spillover.none(), [unassigned(percent)], {})
    assert check == Check("unassigned_lymphocytes_percent", percent, 10.0, severity)
    assert check.n_excluded == 0


def test_unassigned_lymphocytes_that_are_not_known_are_not_judged(sample):
    assert len(list(check_sample(sample, Spillover.none(), [unassigned(None)], {}))) == 1


def test_in_a_tube_stained_without_a_marker_its_cells_are_unassigned_and_no_reason_to_look(sample):
    assert len(list(check_sample(sample, Spillover.none(), [unassigned(20.0)], {}))) == 2
    assert len(list(check_sample(sample, Spillover.none(), [unassigned(20.0)], {}, left_out="CD19"))) == 1
