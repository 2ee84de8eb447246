"""Precision, recall, F1 and relative count error of one population in one tube."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Score:
    """Events of one population: labelled, found, and both."""

    n_true: int
    n_found: int
    n_both: int

    @property
    def precision(self) -> float:
        """Share of the found events that are labelled so; NaN where none was found."""
        return self.n_both / self.n_found if self.n_found else math.nan

    @property
    def recall(self) -> float:
        """Share of the labelled events that were found; NaN where none is labelled."""
        return self.n_both / self.n_true if self.n_true else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of both, 2 TP / (2 TP + FP + FN); NaN where there is nothing to find and nothing was found."""
        total = self.n_true + self.n_found
        return 2 * self.n_both / total if total else math.nan

    @property
    def count_error(self) -> float:
        """(found - labelled) / labelled; NaN where none is labelled."""
        return (self.n_found - self.n_true) / self.n_true if self.n_true else math.nan


def score(truth: NDArray[Any], found: NDArray[Any]) -> Score:
    """Compare two memberships, bool arrays of shape (n_events,)."""
    truth, found = np.asarray(truth, np.bool_), np.asarray(found, np.bool_)
    if truth.shape != found.shape:
        raise ValueError(f"memberships of {truth.shape} and {found.shape} events cannot be compared")
    return Score(int(truth.sum()), int(found.sum()), int((truth & found).sum()))
