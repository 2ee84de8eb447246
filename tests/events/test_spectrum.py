"""Compensation matrices that are no spillover matrices."""

import flowutils
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nti7flow.errors import SpilloverError
from nti7flow.events.spectrum import SpectrumMatrix, make_matrix, matrix_from_dict
from nti7flow.events.spillover import Spillover

NAMES = ("FL1-A", "FL2-A", "FL3-A")


def test_a_matrix_with_unit_diagonal_is_a_spillover():
    assert isinstance(make_matrix(NAMES, NAMES, np.eye(3), "m"), Spillover)
    assert isinstance(make_matrix(NAMES, NAMES, 2 * np.eye(3), "m"), SpectrumMatrix)


def test_worked_by_hand():
    """A dye that gives 2 in its own detector and 1 in the next: 4 and 2 measured are 2 of it and none of the other."""
    spectra = SpectrumMatrix(("A", "B"), ("A", "B"), np.array([[2.0, 1.0], [0.0, 1.0]]), "by hand")
    np.testing.assert_allclose(np.array([4.0, 2.0]) @ spectra.compensation, [2.0, 0.0])


@given(
    arrays(np.float64, (3, 3), elements=st.floats(0, 0.3)), arrays(np.float64, (7, 3), elements=st.floats(-1e3, 1e5))
)
def test_square_spectra_compensate_as_flowutils(spill, events):
    matrix = spill + 2 * np.eye(3)
    ours = events @ SpectrumMatrix(NAMES, NAMES, matrix, "m").compensation
    np.testing.assert_allclose(ours, flowutils.compensate.compensate(events, matrix), rtol=1e-9, atol=1e-6)


@given(
    arrays(np.float64, (2, 3), elements=st.floats(0, 0.3)), arrays(np.float64, (7, 3), elements=st.floats(-1e3, 1e5))
)
def test_more_detectors_than_dyes_are_solved_by_least_squares(spill, events):
    matrix = spill + np.eye(2, 3)
    ours = events @ SpectrumMatrix(NAMES, NAMES[:2], matrix, "m").compensation
    wanted = np.linalg.lstsq(matrix.T, events.T, rcond=None)[0].T
    np.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize(
    ("detectors", "outputs", "matrix"),
    [
        (NAMES, NAMES, np.ones((3, 3))),  # all dyes alike
        (NAMES, NAMES, np.zeros((3, 3))),
        (NAMES, NAMES, np.full((3, 3), np.nan)),
        (NAMES, NAMES, np.eye(2)),
        (NAMES[:2], NAMES, np.eye(3)[:, :2]),  # more dyes than detectors
        (("A", "A"), ("A", "B"), 2 * np.eye(2)),
        ((), (), np.empty((0, 0))),
    ],
)
def test_what_cannot_be_inverted_is_refused(detectors, outputs, matrix):
    with pytest.raises(SpilloverError):
        SpectrumMatrix(detectors, outputs, matrix, "m")


def test_round_trip_and_equality():
    spectra = SpectrumMatrix(NAMES, NAMES[:2], np.array([[1.0, 0.2, 0.1], [0.0, 3.0, 0.5]]), "m")
    assert matrix_from_dict(spectra.to_dict()) == spectra
    assert hash(matrix_from_dict(spectra.to_dict())) == hash(spectra)
    assert spectra != SpectrumMatrix(NAMES, NAMES[:2], 2 * spectra.matrix, "m")
    spillover = Spillover(NAMES, np.eye(3), "keyword")
    assert matrix_from_dict(spillover.to_dict()) == spillover
    assert spillover != spectra
