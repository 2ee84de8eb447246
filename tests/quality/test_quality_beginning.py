"""Carry-over: too many events of a population at the beginning of a tube."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from nti7flow.quality.beginning import EVIDENCE, FADING, LEAST_SHARE, LONGEST, MUCH, STEP, find_burst


def tube(rng, *, n=20_000, share=0.02, seconds=60.0):
    """An even tube: times, and which events are of the population."""
    return np.sort(rng.uniform(0, seconds, n)), rng.random(n) < share


def with_carry_over(rng, n_extra, *, lasts=2.0, **tube_options):
    """A tube into which cells of the one before are washed at first, fading out."""
    times, inside = tube(rng, **tube_options)
    extra = rng.exponential(lasts / 3, n_extra)
    return np.concatenate([times, extra]), np.concatenate([inside, np.ones(n_extra, bool)])


class TestByHand:
    """Of 4,000 events, one each tenth of a second, the first 100 hold 30 of the population and the rest 39 of 3,900."""

    @pytest.fixture
    def found(self):
        inside = np.zeros(4000, bool)
        inside[:30] = True
        inside[100::100] = True
        assert inside.sum() == 30 + 39
        return find_burst(np.arange(4000) / 10, inside)

    def test_the_evidence_is_the_likelihood_ratio(self, found):
        def log_likelihood(k, n):
            return k * math.log(k / n) + (n - k) * math.log(1 - k / n)

        expected = 2 * (log_likelihood(30, 100) + log_likelihood(39, 3900) - log_likelihood(69, 4000))
        assert found.evidence == pytest.approx(expected)
        against = binom.logpmf(30, 100, 0.3) + binom.logpmf(39, 3900, 0.01)
        even = binom.logpmf(30, 100, 69 / 4000) + binom.logpmf(39, 3900, 69 / 4000)
        assert found.evidence == pytest.approx(2 * (against - even))

    def test_the_excess_is_beyond_the_later_share_and_the_end_is_twice_as_far(self, found):
        assert found.n_excess == pytest.approx(30 - 100 * 0.01)
        assert found.n_events == FADING * 100
        assert found.end_s == pytest.approx(20.0)

    def test_what_is_said_of_it(self, found):
        finding = found.finding("mononuclear", 4000)
        assert (finding.check, finding.value, finding.n_excluded) == ("time_carry_over", 29.0, 200)
        assert finding.note == "mononuclear until 20.00 s"
        assert finding.severity == "info" and MUCH * 4000 >= 200
        assert found.finding("mononuclear", 3999).severity == "review"


class TestWhereThereIsNone:
    @pytest.mark.parametrize("share", [0.003, 0.02, 0.3])
    def test_an_even_tube_is_hardly_ever_accused(self, share):
        rng = np.random.default_rng(1)
        accused = sum(find_burst(*tube(rng, share=share)) is not None for _ in range(1000))
        assert accused <= 3  # one in a thousand expected: four or more in 2 % of such experiments

    def test_nothing_to_see(self):
        times = np.arange(5000.0)
        assert find_burst(times, np.zeros(5000, bool)) is None
        assert find_burst(times, np.ones(5000, bool)) is None
        assert find_burst(times[:0], np.zeros(0, bool)) is None
        assert find_burst(times[: int(STEP / LONGEST)], np.ones(int(STEP / LONGEST), bool)) is None

    def test_too_few_at_the_beginning_are_no_carry_over(self):
        inside = np.arange(5000) % 20 == 0
        inside[:600] = False
        assert find_burst(np.arange(5000.0), inside) is None

    def test_too_many_later_are_none_either(self):
        inside = np.arange(5000) % 100 == 0
        inside[3000:3400] = True
        assert find_burst(np.arange(5000.0), inside) is None


class TestWhereThereIsSome:
    @pytest.mark.parametrize("share", [0.003, 0.02])
    @pytest.mark.parametrize("seed", range(5))
    def test_a_burst_is_found_and_left_out(self, share, seed):
        rng = np.random.default_rng(seed)
        times, inside = with_carry_over(rng, 60, share=share)
        found = find_burst(times, inside)
        assert found is not None and found.evidence >= EVIDENCE
        carried = np.arange(len(times)) >= 20_000
        assert (times[carried] < found.end_s).mean() >= 0.85
        assert found.n_excess == pytest.approx(60, abs=25)
        assert found.end_s < LONGEST * 60 * FADING + 1

    def test_what_changes_no_count_is_left(self):
        """Sixty cells among 15,000 are beyond chance in the first second, and less than a hundredth of them."""
        rng = np.random.default_rng(2)
        times, inside = tube(rng, n=200_000, share=0.1)
        early = times < 0.05
        inside[early] = True
        assert inside[early].sum() < LEAST_SHARE * inside.sum()
        assert find_burst(times, inside) is None


@given(seed=st.integers(0, 100), n_extra=st.sampled_from([0, 30, 100]), shift=st.floats(0, 1000))
def test_order_and_clock_do_not_matter(seed, n_extra, shift):
    rng = np.random.default_rng(seed)
    times, inside = with_carry_over(rng, n_extra, n=5000)
    order = rng.permutation(len(times))
    found, again = find_burst(times, inside), find_burst(times[order] + shift, inside[order])
    if found is None:
        assert again is None
        return
    assert again.end_s == pytest.approx(found.end_s + shift)
    assert (again.n_excess, again.n_events, again.evidence) == (found.n_excess, found.n_events, found.evidence)
