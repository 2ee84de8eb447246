"""The study of coverage draws what it says, counts what it says, and asks the interval itself."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))  # benchmarks/ is no installed package

from benchmarks.coverage.bars import bars, windows  # noqa: E402
from benchmarks.coverage.design import LOT, PIPETTING, Design  # noqa: E402
from benchmarks.coverage.limits import DELTA, MID_P, OURS, PEERS, POISSON, WALD, mid_p, rows  # noqa: E402
from benchmarks.coverage.measure import Found, Size, measure  # noqa: E402
from benchmarks.coverage.report import write_report  # noqa: E402

from nti7flow.counting.intervals import central_interval  # noqa: E402

TINY = Size(
    beads=[Design("beads", 60, 0.05)],
    others=[Design("volume", 10.0, 0.0), Design("share", 80, 0.05)],
    cells=(0, 3, 30),
    curve=(2.0, 3.0, 25.0),
    draws=20_000,
)


@pytest.fixture(scope="module")
def found():
    return list(measure(TINY))


# --- designs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", [*TINY.beads, *TINY.others], ids=lambda d: d.kind)
def test_probabilities_of_counts_are_those_of_the_draws(design):
    n = design.counts(30.0)
    p = design.p_cells(n, np.array([0.0, 3.0, 30.0]))
    assert p.sum(axis=0) == pytest.approx(1.0, abs=1e-9)
    assert p[0, 0] == pytest.approx(1.0, abs=1e-9)
    drawn, _ = design.draw(30.0, 200_000, np.random.default_rng(1))
    expected = 200_000 * p[:, 2]
    some = expected > 20
    seen = np.bincount(drawn, minlength=len(n))[some]
    assert stats.chisquare(seen, expected[some] * seen.sum() / expected[some].sum()).pvalue > 1e-3


def test_a_probability_by_quadrature():
    design = Design("beads", 5_000, 0.05)
    sd = np.hypot(PIPETTING, 0.05)
    by_hand = integrate.quad(lambda z: stats.norm.pdf(z) * stats.poisson.pmf(7, 5 * np.exp(sd * z)), -8, 8)[0]
    assert design.p_cells(np.arange(50), np.array([5.0]))[7, 0] == pytest.approx(by_hand, rel=1e-6)
    beads, cumulative = design.beads()
    p = np.diff(cumulative)
    assert cumulative[-1] == pytest.approx(1.0, abs=1e-8)
    assert (p @ beads) == pytest.approx(5_000 * np.exp(LOT**2 / 2), rel=1e-6)
    assert p @ (beads - p @ beads) ** 2 == pytest.approx(5_000 + (5_000 * LOT) ** 2, rel=2e-3)


# --- limits ---------------------------------------------------------------------------------------


def test_interpolated_limits_are_those_of_the_interval():
    n, beads = np.arange(900), np.arange(300, 700)
    row = rows(n, beads, 0.04)[OURS]
    for k in (0, 1, 17, 40, 41, 63, 899):
        lower, upper = central_interval(k, beads, 0.04, kind="beads")
        np.testing.assert_allclose(row(k)[0], lower, rtol=1e-7)
        np.testing.assert_allclose(row(k)[1], upper, rtol=1e-7)


def test_peers_by_hand():
    methods = rows(np.arange(50), np.arange(90, 110), 0.03)
    at = 10  # 100 beads

    def limits(method, n):
        return tuple(float(x[at]) for x in np.broadcast_arrays(*methods[method](n)))

    assert limits(WALD, 25) == pytest.approx((0.25 - 1.96 * 0.05, 0.25 + 1.96 * 0.05), rel=1e-4)
    assert limits(WALD, 1)[0] == 0
    half = 1.96 * np.sqrt(1 / 25 + 1 / 100 + 0.03**2)
    assert limits(DELTA, 25) == pytest.approx((0.25 * np.exp(-half), 0.25 * np.exp(half)), rel=1e-4)
    assert limits(DELTA, 0) == (0, 0)
    assert limits(POISSON, 5) == pytest.approx((0.0162, 0.1167), abs=5e-5)
    # No cell beside 100 beads: half of (1/(1+r))^100 is 0.025.
    lower, upper = mid_p(np.array([0.0]), np.array([100.0]), sd=0.0)
    assert (lower[0], upper[0]) == (0, pytest.approx(20**0.01 - 1))
    ours, theirs = limits(OURS, 20), limits(MID_P, 20)
    assert ours[0] < theirs[0] < theirs[1] < ours[1]


# --- coverage -------------------------------------------------------------------------------------


def test_coverage_is_what_asking_for_every_pair_of_counts_gives(found):
    design, rate = TINY.beads[0], 3.0 / 60
    n, (beads, cumulative) = design.counts(3.0), design.beads()
    k, b = (x.ravel() for x in np.meshgrid(n, beads, indexing="ij"))
    lower, upper = central_interval(k, b, design.sd, kind="beads")
    p = (design.p_cells(n, np.array([3.0])) * np.diff(cumulative)).ravel()
    assert found[0].exact[OURS][1] == pytest.approx(p @ ((lower <= rate) & (rate <= upper)), abs=1e-9)
    assert found[0].width[OURS][1] == pytest.approx(p @ (upper - lower) * 60, rel=1e-6)
    assert found[0].between[OURS][1] == found[0].exact[OURS][1]


def test_simulation_agrees_with_the_sum(found):
    for f in found:
        for exact, simulated in zip(f.exact[OURS], f.simulated, strict=True):
            error = np.sqrt(max(exact * (1 - exact), 0.0) / TINY.draws)
            assert abs(exact - simulated) < 4 * error + 1e-9
        assert f.exact[OURS][0] == pytest.approx(1.0, abs=1e-9)
    assert found[0].judged > 100
    assert (found[0].differing, found[0].off < 1e-6) == (0, True)


def test_nothing_depends_on_the_number_of_processes(found):
    again = list(measure(TINY, jobs=2))
    assert [f.simulated.tolist() for f in again] == [f.simulated.tolist() for f in found]
    assert write_report(again, TINY) == write_report(found, TINY)
    other = list(measure(replace(TINY, seed=8)))
    assert other[0].simulated.tolist() != found[0].simulated.tolist()
    assert other[0].exact[OURS].tolist() == found[0].exact[OURS].tolist()


# --- bars -----------------------------------------------------------------------------------------


def judged(**coverage):
    """Judge coverage given as cells=exact; simulation found the same."""
    cells, values = np.array([float(c[1:]) for c in coverage]), np.array(list(coverage.values()))
    design = Design("beads", 200, 0.0)
    f = Found(design, cells, values, {OURS: values}, {OURS: values}, cells, {OURS: values})
    return [bar.met for bar in bars([f], 100_000)]


def test_bars_are_judged_where_they_are_asked():
    assert judged(c0=1.0, c1=0.99, c20=0.965, c100=0.95) == [True, True, True]
    assert judged(c5=0.9901) == [True, False, None]
    assert judged(c20=0.9651) == [True, True, False]
    assert judged(c0=0.9499) == [False, None, None]
    assert judged(c2500=0.9499) == [False, None, True]


def test_windows():
    curve = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert windows(curve, np.array([0.995, 0.98, 0.991, 0.992, 0.99]), 0.99) == [(1, 1, 0.995), (3, 4, 0.992)]
    assert windows(curve, np.full(5, 0.9), 0.99) == []


def test_a_quick_look_from_end_to_end(tmp_path):
    page = tmp_path / "page.md"
    command = [sys.executable, "-m", "benchmarks.coverage", "--quick", "--draws", "2000", "--out", str(page)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "Measured with `--quick`" in text
    assert "coverage.png" in text
    assert all(peer in text for peer in PEERS)
    assert (tmp_path / "coverage.png").stat().st_size > 10_000
    assert "never too narrow" in done.stdout
