"""Checks of a gated tube that need nothing but the tube."""

from pathlib import Path

import numpy as np
import pytest

from nti7flow.counting.checks import Check, check_sample
from nti7flow.counting.fractions import Count
from nti7flow.events.fcs import read_fcs
from nti7flow.events.sample import Note, Sample
from nti7flow.events.spillover import Spillover

SAMPLE_FCS = Path(__file__).parents[2] / "sample_fcs"


@pytest.fixture(scope="module")
def sample():
    return read_fcs(SAMPLE_FCS / "SIM-001_day00_tbnk.fcs")


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
    (check,) = check_sample(sample, spillover(x), [])
    assert check == Check("spillover_condition_number", pytest.approx(condition, rel=1e-9), 30.0, severity)


def test_nothing_to_compensate_is_nothing_to_worry_about(sample):
    (check,) = check_sample(sample, Spillover.none(), [])
    assert (check.value, check.severity) == (1.0, "")


def test_every_note_of_the_file_is_told(sample):
    notes = (Note("a", "the header disagrees with the text"), Note("more_data_sets", "a second data set follows"))
    noted = Sample(sample.path, 0, sample.version, sample.events, sample.panel, sample.keywords, notes)
    _, *told = check_sample(noted, Spillover.none(), [])
    assert told == [
        Check("file_note: the header disagrees with the text", None, None, "info"),
        Check("file_note: a second data set follows", None, None, "review"),  # cells were left out
    ]


@pytest.mark.parametrize(
    ("percent", "severity"),
    [(0.0, ""), (5.0, ""), (5.01, "info"), (10.0, "info"), (10.01, "review"), (100.0, "review")],
)
def test_unassigned_lymphocytes(sample, percent, severity):
    _, check = check_sample(sample, Spillover.none(), [unassigned(percent)])
    assert check == Check("unassigned_lymphocytes_percent", percent, 10.0, severity)
    assert check.n_excluded == 0


def test_unassigned_lymphocytes_that_are_not_known_are_not_judged(sample):
    assert len(list(check_sample(sample, Spillover.none(), [unassigned(None)]))) == 1
