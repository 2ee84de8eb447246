"""Unsteady stretches of a tube: found where planted, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality_tubes import DETECTORS, between, even_tube, sample_of

from nti7flow.quality.limits import QualityLimits
from nti7flow.quality.report import check_quality, within


def found(quality, check):
    return [finding for finding in quality.findings if finding.check == check]


@pytest.mark.parametrize("seed", range(40))
def test_an_even_tube_loses_nothing(seed):
    quality = check_quality(sample_of(even_tube(seed)))
    assert quality.n_excluded == 0
    assert quality.severity == ""
    assert len(quality.steady) == 1


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.4, 2.0])
@pytest.mark.parametrize("channel", [3, 5])
def test_a_step_of_gain_in_one_channel_is_left_out(factor, channel):
    values = even_tube(1)
    hit = between(values, 48, 60)
    values[hit, channel] *= factor
    quality = check_quality(sample_of(values))
    (step,) = found(quality, "signal_shift")
    assert step.channel == DETECTORS[channel]
    mask = quality.mask(sample_of(values))
    assert not mask[hit].any()
    assert mask[~hit].mean() > 0.98
    assert quality.n_excluded == np.count_nonzero(~mask) == step.n_excluded


def test_half_the_tube_at_another_gain_is_left_to_a_person():
    values = even_tube(2)
    values[between(values, 30, 60), 3:6] *= 0.5
    quality = check_quality(sample_of(values))
    assert quality.n_excluded == 0
    assert len(quality.steady) == 1
    (unsteady,) = found(quality, "time_unsteady")
    assert unsteady.severity == "review"
    assert unsteady.value == pytest.approx(0.5, abs=0.02)
    assert "nothing is" in unsteady.note


def test_more_may_be_left_out_if_the_limits_say_so():
    values = even_tube(2)
    values[between(values, 36, 60), 3:6] *= 0.5
    assert check_quality(sample_of(values)).n_excluded == 0
    more = check_quality(sample_of(values), limits=QualityLimits(most_excluded=0.45))
    assert more.n_excluded == pytest.approx(8000, rel=0.05)


def test_a_clog_is_found_by_its_light_and_a_mere_change_of_rate_is_told():
    values = even_tube(3)
    rng = np.random.default_rng(0)
    clogged = between(values, 20, 26)
    lost = clogged & (rng.random(len(values)) < 0.8)
    slow = values[~lost]
    quality = check_quality(sample_of(slow))
    assert quality.n_excluded == 0
    assert quality.severity == "info"
    (rate,) = found(quality, "flow_slow")
    assert rate.value == pytest.approx(0.2, abs=0.15)
    assert rate.intervals[0][0] == pytest.approx(20, abs=0.5)
    assert rate.intervals[-1][1] == pytest.approx(26, abs=0.5)

    dim = slow.copy()
    hit = between(dim, 20, 26)
    dim[hit, :-1] *= 0.85
    quality = check_quality(sample_of(dim))
    (clog,) = found(quality, "clog")
    assert clog.n_excluded == quality.n_excluded
    mask = quality.mask(sample_of(dim))
    assert not mask[hit].any()
    assert mask[~hit].mean() > 0.97


def test_cells_of_the_tube_before_are_left_out():
    values = even_tube(4)
    rng = np.random.default_rng(0)
    bright = even_tube(5)
    bright = bright[(bright[:, 3] > 2000)][:600]
    bright[:, -1] = rng.exponential(0.6, len(bright))
    both = np.concatenate([values, bright])
    quality = check_quality(sample_of(both))
    (burst,) = found(quality, "carry_over")
    assert burst.intervals[0][0] < 0.1
    mask = quality.mask(sample_of(both))
    assert mask[len(values) :].mean() < 0.35
    assert mask[: len(values)].mean() > 0.94


def test_slow_drift_is_told_and_not_cut_to_pieces():
    values = even_tube(6)
    values[:, 5] *= np.exp(0.3 * values[:, -1] / 60)
    quality = check_quality(sample_of(values))
    assert quality.n_excluded == 0
    (drift,) = found(quality, "signal_drift")
    assert drift.severity == "review"
    assert drift.channel == "APC-A"
    # Between the middles of the first and the last tenth lie nine tenths of it.
    assert drift.value == pytest.approx(0.27, rel=0.25)


def test_time_may_be_missing_constant_unsorted_or_begin_anew():
    values = even_tube(7)
    quality = check_quality(sample_of(values[:, :-1], DETECTORS[:-1], [""] * 6))
    assert (quality.steady, quality.n_excluded) == ((), 0)
    assert quality.mask(sample_of(values)).all()
    assert [f.check for f in quality.findings if f.severity] == ["time_missing"]

    constant = values.copy()
    constant[:, -1] = 3.0
    (finding,) = found(check_quality(sample_of(constant)), "time_constant")
    assert (finding.value, finding.severity) == (1.0, "review")

    anew = values.copy()
    anew[10_000:, -1] -= anew[10_000, -1]
    (finding,) = found(check_quality(sample_of(anew)), "time_restarts")
    assert (finding.value, finding.severity) == (1.0, "review")

    lost = values.copy()
    lost[5:8, -1] = np.nan
    quality = check_quality(sample_of(lost))
    (finding,) = found(quality, "time_not_finite")
    assert (finding.n_excluded, quality.n_excluded) == (3, 3)
    assert np.flatnonzero(~quality.mask(sample_of(lost))).tolist() == [5, 6, 7]


@pytest.mark.parametrize("n", [0, 1, 2, 50, 999, 2999])
def test_too_few_events(n):
    quality = check_quality(sample_of(even_tube(8)[:n]))
    assert quality.n_excluded == 0
    assert quality.steady == ()
    (few,) = found(quality, "few_events")
    assert (few.value, few.severity) == (n, "review" if n < 1000 else "")


def disturbed():
    values = even_tube(9, n=9000)
    values[between(values, 40, 47), 3:6] *= 0.6
    values[:, -1] = np.round(values[:, -1], 2)  # a clock that ticks: many events of one moment
    return values


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_events_in_the_file_does_not_matter(seed):
    values = disturbed()
    order = np.random.default_rng(seed).permutation(len(values))
    plain, shuffled = check_quality(sample_of(values)), check_quality(sample_of(values[order]))
    assert plain.n_excluded > 500
    assert shuffled.steady == plain.steady
    assert (shuffled.mask(sample_of(values[order])) == plain.mask(sample_of(values))[order]).all()
    assert [f for f in shuffled.findings if f.check != "time_unsorted"] == list(plain.findings)
    assert found(shuffled, "time_unsorted")


@settings(max_examples=15)
@given(st.lists(st.floats(0.01, 100), min_size=6, max_size=6))
def test_gains_do_not_matter(factors):
    """Ranks and slopes are on no scale; only where 16 bits of a value are rounded may move."""
    values = disturbed()
    scaled = values * np.array([*factors, 1.0])
    expected = check_quality(sample_of(values)).n_excluded
    assert check_quality(sample_of(scaled)).n_excluded == pytest.approx(expected, rel=0.3)


def test_within_by_hand():
    seconds = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.9, 3.0, np.nan])
    assert within(seconds, ((0.0, 1.0), (2.0, 3.0))).tolist() == [
        *(False, True, True, False, False, True, True, False, False),
    ]
