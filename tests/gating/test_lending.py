"""Shrinkage: gates that lean on their batch and on earlier visits of their subject."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm

from nti7flow.gating.lending import FAR, LEAST_LENDERS, LEAST_SPREAD, Own, Place, Prior, make_priors, shrink
from nti7flow.gating.methods import Placement

SQUARE = np.array([(0.4, 0.3), (0.6, 0.3), (0.6, 0.5), (0.4, 0.5)])


def threshold(value, spread=0.01):
    return Own(Placement(lower=float(value)), spread)


def outline(shift, spread=0.01):
    return Own(Placement(vertices=tuple((float(x), float(y)) for x, y in SQUARE + shift)), spread)


def batch_of(values, spread=0.01, *, batch="b", start=0):
    """Thresholds of the tubes of a batch, and where these stand."""
    owns = {f"{batch}{i}": threshold(value, spread) for i, value in enumerate(values, start)}
    return owns, {name: Place(batch=batch) for name in owns}


def leaned(owns, places, lenders=("batch",)):
    """Return the bound of every tube after shrinkage."""
    return {name: shrink(owns.get(name), prior) for name, prior in make_priors(owns, places, lenders).items()}


class TestByHand:
    PRIOR = Prior(Placement(lower=0.5), 0.03, 9, "batch")

    def test_a_threshold_between_its_own_and_the_middle(self):
        """tau 0.03, own standard deviation 0.04: 9 / (9 + 16) of the way from 0.5 to 0.6."""
        found = shrink(threshold(0.6, 0.04), self.PRIOR)
        assert found.weight == pytest.approx(0.36)
        assert found.placement.lower == pytest.approx(0.536)
        assert found.distance == pytest.approx(0.1 / 0.05)
        assert found.spread == pytest.approx(math.sqrt(0.36 * 0.04**2 + 0.64**2 * 0.03**2 / 9))
        assert not found.far

    def test_without_an_own_gate_it_is_the_middle_with_the_spread_between_tubes(self):
        found = shrink(None, self.PRIOR)
        assert (found.placement, found.weight, found.far) == (self.PRIOR.placement, 0, False)
        assert found.spread == pytest.approx(0.03 * math.sqrt(10 / 9))
        assert math.isnan(found.distance)

    def test_an_own_gate_of_another_kind_is_kept_as_it_is(self):
        """An outline of another number of points cannot be moved part of the way."""
        own = outline(0)
        assert (shrink(own, self.PRIOR).placement, shrink(own, self.PRIOR).weight) == (own.placement, 1.0)

    def test_the_middle_of_a_batch(self):
        """Median 0.50, distances from it 0.10 0.02 0 0.04 0.06: their median is 0.04."""
        priors = make_priors(*batch_of([0.40, 0.48, 0.50, 0.54, 0.56], 0.02), ("batch",))
        (prior,) = {id(p): p for p in priors.values()}.values()
        assert (prior.placement, prior.n_lenders, prior.source) == (Placement(lower=0.50), 5, "batch")
        assert prior.spread == pytest.approx(math.sqrt((1.4826 * 0.04) ** 2 - 0.02**2))

    def test_an_outline_moves_as_a_whole(self):
        owns = {f"t{i}": outline(shift, 0.03) for i, shift in enumerate([-0.06, 0.0, 0.04, 0.05, 0.01])}
        found = leaned(owns, dict.fromkeys(owns, Place()))
        # Every number of an outline lies as far from its median as the outline was moved: 0.07 0.01 0.03 0.04 0.
        between = (1.4826 * 0.03) ** 2 - 0.03**2
        weight = between / (between + 0.03**2)
        assert np.array(found["t0"].placement.vertices) == pytest.approx(SQUARE + 0.01 - 0.07 * weight)
        assert found["t0"].distance == pytest.approx(0.07 / math.hypot(math.sqrt(between), 0.03))

    def test_an_earlier_visit(self):
        """Two people, 0.04 above and below the middle of 0.5 in two batches: visits of one are as alike as can be."""
        owns = {name: threshold(v, 0.0) for name, v in zip("adbecf", (0.54, 0.54, 0.46, 0.46, 0.5, 0.5), strict=True)}
        places = {name: Place(batch="1", subject=s, collected=1.0) for name, s in zip("abc", "xyz", strict=True)}
        places |= {name: Place(batch="2", subject=s, collected=2.0) for name, s in zip("def", "xyz", strict=True)}
        priors = make_priors(owns, places, ("batch", "subject"))
        # The mean product of pairs is that of squares, so the share is the most it may be; it is shown at 0.9.
        assert [priors[name].placement.lower for name in "abc"] == pytest.approx([0.5] * 3)
        assert [priors[name].placement.lower for name in "def"] == pytest.approx([0.536, 0.464, 0.5])
        assert [priors[name].source for name in "ad"] == ["batch", "batch and subject"]
        assert [priors[name].n_lenders for name in "ad"] == [3, 4]
        assert priors["d"].spread == pytest.approx(priors["a"].spread * math.sqrt(1 - 0.9**2))


class TestOracle:
    """Tubes whose true thresholds are known, measured with known errors."""

    @staticmethod
    def simulated(n=400, tau=0.03, *, errors=(0.03,), seed=1):
        rng = np.random.default_rng(seed)
        truth = rng.normal(0.5, tau, n)
        error = rng.choice(errors, n)
        measured = rng.normal(truth, error)
        owns = {f"t{i:04d}": threshold(y, s) for i, (y, s) in enumerate(zip(measured, error, strict=True))}
        return truth, error, measured, owns, dict.fromkeys(owns, Place(batch="b"))

    @pytest.mark.parametrize("errors", [(0.03,), (0.01, 0.04)])
    @pytest.mark.parametrize("tau", [0.02, 0.03, 0.1])
    def test_closer_to_the_truth_than_own_and_than_middle(self, tau, errors):
        truth, _, measured, owns, places = self.simulated(tau=tau, errors=errors)
        found = leaned(owns, places)
        shrunk = np.array([found[name].placement.lower for name in owns])
        middle = np.median(measured)
        mse = np.mean((shrunk - truth) ** 2)
        assert mse < np.mean((measured - truth) ** 2)
        assert mse < np.mean((middle - truth) ** 2)

    @pytest.mark.parametrize("tau", [0.02, 0.03, 0.1])
    def test_nearly_as_close_as_if_the_distribution_were_known(self, tau):
        truth, error, measured, owns, places = self.simulated(tau=tau)
        found = leaned(owns, places)
        best = 0.5 + tau**2 / (tau**2 + error**2) * (measured - 0.5)  # the posterior mean
        mse = np.mean(([found[name].placement.lower for name in owns] - truth) ** 2)
        assert mse <= 1.25 * np.mean((best - truth) ** 2)

    def test_it_agrees_with_maximum_likelihood(self):
        """Middle and tau of the marginal distribution N(mu, tau² + s²), by SciPy's optimizer."""
        rng = np.random.default_rng(5)
        measured = rng.normal(rng.normal(0.5, 0.03, 2000), 0.02)
        owns = {f"t{i:04d}": threshold(value, 0.02) for i, value in enumerate(measured)}
        found = leaned(owns, dict.fromkeys(owns, Place()))
        fit = minimize(
            lambda p: -norm.logpdf(measured, p[0], np.hypot(np.exp(p[1]), 0.02)).sum(), (0.4, -2), method="Nelder-Mead"
        )
        mu, tau = fit.x[0], math.exp(fit.x[1])
        theirs = mu + tau**2 / (tau**2 + 0.02**2) * (measured - mu)
        assert [found[name].placement.lower for name in owns] == pytest.approx(theirs, abs=0.003)

    def test_spreads_say_how_far_off_it_is(self):
        truth, _, _, owns, places = self.simulated(n=2000)
        found = leaned(owns, places)
        off = [(found[name].placement.lower - t) / found[name].spread for name, t in zip(owns, truth, strict=True)]
        assert np.std(off) == pytest.approx(1, abs=0.1)

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
    def test_how_much_people_differ_is_recovered(self, share):
        """The expectation of a visit given an earlier one is the share of the variance between people times it."""
        rng = np.random.default_rng(3)
        n, tau = 600, 0.04
        people = rng.normal(0, tau * math.sqrt(share), n)
        owns, places = {}, {}
        for visit in (1, 2):
            values = rng.normal(0.5 + 0.05 * visit + people, tau * math.sqrt(1 - share))
            measured = rng.normal(values, 0.01)
            for i, value in enumerate(measured):
                owns[f"{visit}-{i:03d}"] = threshold(value)
                places[f"{visit}-{i:03d}"] = Place(batch=str(visit), subject=str(i), collected=float(visit))
        alone, together = (make_priors(owns, places, lenders) for lenders in (("batch",), ("batch", "subject")))
        moved = [together[f"2-{i:03d}"].vector[0] - alone[f"2-{i:03d}"].vector[0] for i in range(n)]
        before = [owns[f"1-{i:03d}"].vector[0] - alone[f"1-{i:03d}"].vector[0] for i in range(n)]
        assert np.polyfit(before, moved, 1)[0] == pytest.approx(share, abs=0.1)
        later = [owns[f"2-{i:03d}"].vector[0] for i in range(n)]
        miss = {
            name: np.std([p[f"2-{i:03d}"].vector[0] - later[i] for i in range(n)])
            for name, p in (("alone", alone), ("together", together))
        }
        assert miss["together"] <= 1.005 * miss["alone"]
        if share == 0.7:
            assert miss["together"] < 0.8 * miss["alone"]


class TestWhoLends:
    def test_too_few_lend_nothing(self):
        values = [0.5, 0.52, 0.53]
        assert LEAST_LENDERS == 3
        assert make_priors(*batch_of(values[:2]), ("batch",)) == {}
        assert len(make_priors(*batch_of(values), ("batch",))) == 3

    def test_a_small_batch_leans_on_the_study(self):
        large, there = batch_of([0.50, 0.51, 0.52, 0.53], batch="large")
        small, here = batch_of([0.70, 0.72], batch="small")
        priors = make_priors(large | small, there | here, ("batch",))
        assert {name: prior.source for name, prior in priors.items()} == {
            **dict.fromkeys(large, "batch"),
            **dict.fromkeys(small, "study"),
        }
        assert priors["small0"].placement.lower == pytest.approx(0.525)
        # Batches differ by more than tubes of one batch: what the study says, it says less firmly.
        assert priors["small0"].spread > priors["large0"].spread

    def test_batches_do_not_mix(self):
        one, here = batch_of([0.50, 0.51, 0.52], batch="one")
        other, there = batch_of([0.70, 0.71, 0.72], batch="other")
        priors = make_priors(one | other, here | there, ("batch",))
        assert [priors[name].placement.lower for name in ("one0", "other0")] == [0.51, 0.71]

    def test_a_tube_without_its_stain_gets_and_does_not_lend(self):
        owns, places = batch_of([0.50, 0.51, 0.52, 0.53])
        control = {"control": threshold(0.1)}
        priors = make_priors(owns | control, places | {"control": Place(batch="b", lends=False)}, ("batch",))
        assert {name: priors[name] for name in owns} == _same(make_priors(owns, places, ("batch",)))
        assert priors["control"].placement == priors["b0"].placement

    def test_a_tube_whose_own_data_place_no_gate_gets_one(self):
        owns, places = batch_of([0.50, 0.51, 0.52])
        priors = make_priors(owns, places | {"empty": Place(batch="b")}, ("batch",))
        assert priors["empty"].placement == Placement(lower=0.51)

    def test_a_visit_that_is_an_outlier_says_nothing_of_one_without_a_gate(self):
        """A screening tube 0.4 beyond its batch: a later visit without a gate of its own would be gated by it alone."""
        rng = np.random.default_rng(3)
        people = {f"{person}{visit}": rng.normal(0.5, 0.02) for person in range(8) for visit in range(3)}
        shift = {f"{person}{visit}": 0.05 * (person % 2) for person in range(8) for visit in range(3)}
        owns = {name: threshold(value + shift[name], 0.005) for name, value in people.items()}
        places = {name: Place("b", name[0], float(name[1])) for name in owns}
        owns["x0"] = threshold(0.9, 0.005)
        places |= {"x0": Place("b", "x", 0.0), "x1": Place("b", "x", 1.0)}
        priors = make_priors(owns, places, ("batch", "subject"))
        of_batch = make_priors(owns, places, ("batch",))["x1"]
        assert (priors["x1"].placement, priors["x1"].source) == (of_batch.placement, "batch")
        # With a gate of its own it is told how far it is from what the visit said, and keeps it.
        own = make_priors(owns | {"x1": threshold(0.5, 0.005)}, places, ("batch", "subject"))["x1"]
        assert own.source == "batch and subject"

    def test_of_gates_of_different_kinds_those_of_most_tubes_lend(self):
        owns, places = batch_of([0.50, 0.51, 0.52])
        alone = make_priors(owns, places, ("batch",))
        mixed = make_priors(owns | {"o": outline(0)}, places | {"o": Place(batch="b")}, ("batch",))
        assert {name: prior.placement for name, prior in mixed.items() if name != "o"} == {
            name: prior.placement for name, prior in alone.items()
        }
        few = {name: own for name, own in owns.items() if name != max(owns)}
        assert make_priors(few | {"o": outline(0)}, places | {"o": Place(batch="b")}, ("batch",)) == {}

    def test_only_earlier_visits_of_the_same_person_count(self):
        now = Place(subject="x", collected=2.0)
        assert Place(subject="x", collected=1.0).is_earlier(now)
        for other in (
            Place(subject="x", collected=2.0),
            Place(subject="x", collected=3.0),
            Place(subject="x"),
            Place(subject="y", collected=1.0),
            Place(collected=1.0),
        ):
            assert not other.is_earlier(now)
        assert not Place(collected=1.0).is_earlier(Place(collected=2.0))  # two tubes of nobody
        assert not Place(subject="x", collected=1.0).is_earlier(Place(subject="x"))


def _same(priors):
    """Compare priors by value: their arrays have no equality."""
    return {name: _Equal(prior) for name, prior in priors.items()}


class _Equal:
    def __init__(self, prior):
        self.prior = prior

    def __eq__(self, other):
        return all(
            getattr(self.prior, name) == getattr(other, name) for name in ("placement", "spread", "n_lenders", "source")
        )


thresholds = st.lists(st.floats(0.2, 0.8).map(lambda v: round(v, 4)), min_size=3, max_size=12)


class TestProperties:
    @given(values=thresholds, seed=st.integers(0, 5), people=st.booleans())
    def test_the_order_of_tubes_does_not_matter(self, values, seed, people):
        owns, places = batch_of(values)
        if people:
            places = {
                name: Place(batch=f"{i % 2}", subject=f"{i // 3}", collected=float(i)) for i, name in enumerate(places)
            }
        names = list(owns)
        np.random.default_rng(seed).shuffle(names)
        shuffled = make_priors({n: owns[n] for n in names}, {n: places[n] for n in names}, ("batch", "subject"))
        assert shuffled == _same(make_priors(owns, places, ("batch", "subject")))

    @given(values=thresholds, shift=st.floats(-0.5, 0.5))
    def test_all_moved_is_all_moved(self, values, shift):
        owns, places = batch_of(values, 0.02)
        places = {
            name: replace(p, subject=f"{i % 3}", collected=float(i)) for i, (name, p) in enumerate(places.items())
        }
        moved = {name: threshold(own.placement.lower + shift, 0.02) for name, own in owns.items()}
        before, after = (leaned(o, places, ("batch", "subject")) for o in (owns, moved))
        for name in owns:
            assert after[name].placement.lower == pytest.approx(before[name].placement.lower + shift, abs=1e-9)
            assert after[name].weight == pytest.approx(before[name].weight, abs=1e-9)
            assert after[name].spread == pytest.approx(before[name].spread, abs=1e-9)

    @given(value=st.floats(-1, 2), spread=st.floats(0, 0.3), tau=st.floats(LEAST_SPREAD, 0.3), n=st.integers(3, 50))
    def test_it_lies_between_the_two_and_is_no_less_certain_than_either(self, value, spread, tau, n):
        found = shrink(threshold(value, spread), Prior(Placement(lower=0.5), tau, n, "batch"))
        low, high = sorted((value, 0.5))
        assert low - 1e-12 <= found.placement.lower <= high + 1e-12
        assert found.spread <= max(spread, tau * math.sqrt(1 + 1 / n)) + 1e-12
        if found.far:
            assert found.placement.lower == value

    @given(values=thresholds, far=st.floats(0.2, 5), n=st.sampled_from([1, 2]))
    def test_how_far_out_an_outlier_is_moves_nobody(self, values, far, n):
        """With a gate beyond all others the others' gates are where they were, wherever that one is."""
        values = [0.4 + 0.01 * value for value in values] * 2  # a batch of tubes much alike
        owns, places = batch_of([*values, *[0.9 + 0.1] * n])
        outliers = [f"b{i}" for i in range(len(values), len(values) + n)]
        further = owns | {name: threshold(1.0 + far) for name in outliers}
        before, after = leaned(owns, places), leaned(further, places)
        for name in owns:
            if name in outliers:
                assert after[name].far
                assert after[name].placement.lower == 1.0 + far
            else:
                assert after[name].placement == before[name].placement
                assert abs(after[name].placement.lower - owns[name].placement.lower) <= 0.01


def test_an_outlier_stays_where_it_is_and_the_others_where_they_were():
    rng = np.random.default_rng(2)
    owns, places = batch_of(rng.normal(0.5, 0.02, 60))
    alone = leaned(owns, places)
    found = leaned(owns | {"odd": threshold(0.9)}, places | {"odd": Place(batch="b")})
    assert found["odd"].placement.lower == 0.9
    assert found["odd"].distance > FAR and found["odd"].far
    for name in owns:
        assert not found[name].far
        assert found[name].placement.lower == pytest.approx(alone[name].placement.lower, abs=0.004)
