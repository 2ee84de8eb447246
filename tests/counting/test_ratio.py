"""CD4 over CD8: by hand, against the binomial it is, and what cancels."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nti7flow.counting.concentration import Tally, concentrate
from nti7flow.counting.ratio import cd4_cd8_ratio
from nti7flow.counting.reference import by_beads, by_volume
from nti7flow.counting.settings import CountingSettings

SETTINGS = CountingSettings()


def found(cd4, cd8, *, gating_sd=0.0, cv=0.03, samples=("a", "a"), flags=((), ())):
    def tally(n, sample, of):
        reference = by_volume(10.0, dilution=1.0, volume_cv=cv, source="sheet", doublets=None)
        return Tally(sample, n, reference, gating_sd=gating_sd, flags=of)

    each = zip(("cd4_t", "cd8_t"), (cd4, cd8), samples, flags, strict=True)
    return concentrate({name: [tally(n, sample, of)] for name, n, sample, of in each}, SETTINGS)


def ratio(*args, **options):
    return cd4_cd8_ratio(found(*args, **options), SETTINGS)


def clopper_pearson(n, of, level=0.95):
    interval = stats.binomtest(n, of).proportion_ci(level, method="exact")
    return interval.low / (1 - interval.low), interval.high / (1 - interval.high)


@pytest.mark.parametrize(("cd4", "cd8"), [(870, 400), (3, 40), (40, 3), (1, 1), (2, 1), (100, 1)])
def test_interval_is_that_of_a_binomial_share(cd4, cd8):
    """Given both together, CD4 T cells are binomial: Clopper and Pearson's interval, as odds."""
    result = ratio(cd4, cd8)
    low, high = clopper_pearson(cd4, cd4 + cd8)
    assert result.value == cd4 / cd8
    assert result.lower == pytest.approx(low, rel=1e-6)
    assert result.upper == pytest.approx(high, rel=1e-6)


def test_volume_and_its_error_cancel():
    sure, unsure = ratio(870, 400, cv=0.0), ratio(870, 400, cv=0.3)
    assert (sure.value, sure.lower, sure.upper) == (unsure.value, unsure.lower, unsure.upper)
    assert unsure.flags == ("below_lloq",)  # the counts, not their quotient


def test_places_of_the_gates_do_not_cancel():
    wide, narrow = ratio(870, 400, gating_sd=40.0), ratio(870, 400)
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_beads_and_lot_cancel():
    """The same events against many or few beads: the same quotient, and the same interval."""

    def against(n_beads):
        of = {"beads_per_tube": 50_000, "specimen_ul": 50, "dilution": 1.0, "bead_lot": "", "bead_cv": 0.1}
        reference = by_beads(n_beads, **of, pipetting_cv=0.02, doublets=None)
        counts = {"cd4_t": [Tally("a", 60, reference)], "cd8_t": [Tally("a", 30, reference)]}
        return cd4_cd8_ratio(concentrate(counts, SETTINGS), SETTINGS)

    assert against(50) == against(20_000)


def test_no_cd8_no_quotient_and_no_cd4_is_zero():
    assert ratio(10, 0) is None
    zero = ratio(0, 50)
    assert (zero.value, zero.lower) == (0.0, 0.0)
    assert zero.upper > 0


def test_not_across_tubes_and_not_of_one_population():
    assert ratio(10, 20, samples=("a", "b")) is None
    only = found(10, 20)
    del only["cd8_t"]
    assert cd4_cd8_ratio(only, SETTINGS) is None


def test_flags_of_both():
    assert ratio(800, 900, flags=(("x",), ("x", "y"))).flags == ("x", "y")


@settings(max_examples=50)
@given(st.integers(0, 3000), st.integers(1, 3000), st.floats(0, 50), st.floats(0, 50))
def test_interval_holds_the_quotient_and_widens(cd4, cd8, gating_sd, more):
    narrow, wide = ratio(cd4, cd8, gating_sd=gating_sd), ratio(cd4, cd8, gating_sd=gating_sd + more)
    assert narrow.lower <= narrow.value <= narrow.upper
    assert wide.lower <= narrow.lower * (1 + 1e-9)
    assert wide.upper >= narrow.upper * (1 - 1e-9)
