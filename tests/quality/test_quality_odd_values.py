"""Whatever values a file holds, checks end, and the mask agrees with what is said to be left out."""

import numpy as np
import pytest
from quality_tubes import even_tube, sample_of

from nti7flow.quality.report import check_quality

ODD = {
    "nan": lambda v, rng: np.where(rng.random(len(v)) < 0.3, np.nan, v),
    "infinite": lambda v, rng: np.where(rng.random(len(v)) < 0.3, np.inf, v),
    "minus infinite": lambda v, rng: np.full(len(v), -np.inf),
    "zero": lambda v, rng: np.zeros(len(v)),
    "huge": lambda v, rng: np.where(rng.random(len(v)) < 0.01, 1e30, v),
    "tiny": lambda v, rng: v * 1e-30,
    "negative": lambda v, rng: -v,
    "coarse": lambda v, rng: np.floor(v / 20),
    "shuffled": lambda v, rng: rng.permutation(v),
}


@pytest.mark.parametrize("n", [1, 5, 3001, 6000])
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("channel", ["FSC-A", "CD3", "Time"])
def test_odd_values(odd, channel, n):
    values = even_tube(11, n=n)
    column = {"FSC-A": 0, "CD3": 3, "Time": 6}[channel]
    values[:, column] = ODD[odd](values[:, column], np.random.default_rng(n))
    sample = sample_of(values)
    quality = check_quality(sample)
    mask = quality.mask(sample)
    assert mask.shape == (n,)
    assert np.count_nonzero(~mask) == quality.n_excluded
    assert all(start < end for start, end in quality.steady)
    unordered = [edge for stretch in quality.steady for edge in stretch]
    assert unordered == sorted(unordered)
