"""Events at the ends of a range, doublets, dead cells."""

import numpy as np
import pytest
from quality_tubes import even_tube, sample_of

from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import Spillover
from nti7flow.quality.doublets import weighted_median
from nti7flow.quality.limits import QualityLimits
from nti7flow.quality.margins import at_end
from nti7flow.quality.report import check_quality
from nti7flow.quality.viability import share_above_valley, viability_channel


def found(quality, check, channel=""):
    return [f for f in quality.findings if f.check == check and channel in ("", f.channel)]


def test_ends_by_hand():
    values = np.array([1.0, 2.0, 2.5, 3.0, 3.5, 4.0, *[9.0] * 6])
    assert np.flatnonzero(at_end(values, 1.0)).tolist() == [6, 7, 8, 9, 10, 11]
    assert at_end(values, -1.0) is None
    assert at_end(np.array([1.0, 2.0, *[8.0] * 3, *[9.0] * 6]), 1.0) is None  # it thins out
    assert at_end(np.full(9, 4.0), 1.0) is None
    assert at_end(np.empty(0), 1.0) is None


def test_the_gain_was_too_high():
    values = even_tube()
    values[:, 3] = np.minimum(values[:, 3] * 20, 70_000.0)
    quality = check_quality(sample_of(values))
    (finding,) = found(quality, "saturated", "FITC-A")
    assert finding.value == pytest.approx((values[:, 3] == 70_000.0).mean())
    assert finding.severity == "review"
    assert found(quality, "saturated", "PE-A")[0].value == 0.0
    assert quality.n_excluded == 0


def test_beads_off_scale_in_every_channel_are_no_fault():
    values = even_tube()
    values[::5, 3:6] = 262143.0
    quality = check_quality(sample_of(values))
    (finding,) = found(quality, "saturated", "PE-A")
    assert finding.value == 0.2
    assert finding.severity == ""
    assert "20 % in several channels at once" in finding.note


def test_a_bottom_that_is_piled_up_is_told():
    values = even_tube()
    values[:, 4] = np.maximum(values[:, 4], 0.0)
    (finding,) = found(check_quality(sample_of(values)), "at_bottom")
    assert (finding.channel, finding.severity) == ("PE-A", "info")
    assert finding.value == (values[:, 4] == 0).mean()


def test_flowai_labels(shared_data):
    """The margins that flowAI removed from this tube are those found, event by event.

    Its quality vector is above 10,000 for events it removed. The file has no time channel, and of its checks only that
    of margins found something: all 5,022 events are at the upper end of scatter. Agreement must be complete, as both
    count the events that have the largest value.
    """
    folder = shared_data / "immport_galaxy" / "flowtools" / "flowai" / "test-data"
    if not folder.is_dir():
        pytest.skip("no flowAI outputs")
    judged = read_fcs(folder / "std" / "hqdata.fcs")
    removed = judged.columns(["remove_from_all"])[:, 0] > 10_000
    sample = read_fcs(folder / "input.fcs")
    scatter = [channel for channel in sample.panel.channels if channel.role == "scatter"]
    tops = [at_end(sample.columns([channel.detector])[:, 0], 1.0) for channel in scatter]
    assert (np.logical_or.reduce(tops) == removed).all()
    assert removed.sum() == 5022
    shares = [found(check_quality(sample), "saturated", c.detector)[0].value for c in scatter]
    assert sum(shares) * sample.n_events >= 5022


def test_doublets_are_counted():
    values = even_tube()
    cells = values[:, 0] > 40_000
    double = cells & (np.random.default_rng(99).random(len(values)) < 0.05)
    values[double, 0] *= 2
    quality = check_quality(sample_of(values))
    (finding,) = found(quality, "doublets")
    assert finding.channel == "FSC-A/FSC-H"
    assert finding.value == pytest.approx(double.mean(), abs=0.003)
    assert finding.severity == ""
    (finding,) = found(check_quality(sample_of(values), limits=QualityLimits(doublets=0.01)), "doublets")
    assert finding.severity == "review"


def test_doublets_where_there_is_width():
    values = even_tube()
    double = np.random.default_rng(99).random(len(values)) < 0.1
    values[:, 1] = 60_000 * np.random.default_rng(1).normal(1, 0.04, len(values)) * np.where(double, 1.7, 1.0)
    detectors = ["FSC-A", "FSC-W", "SSC-A", "FITC-A", "PE-A", "APC-A", "Time"]
    (finding,) = found(check_quality(sample_of(values, detectors)), "doublets")
    assert finding.value == pytest.approx(0.1, abs=0.01)


def test_doublets_need_two_measures():
    values = np.delete(even_tube(), 1, axis=1)
    detectors = ["FSC-A", "SSC-A", "FITC-A", "PE-A", "APC-A", "Time"]
    (finding,) = found(check_quality(sample_of(values, detectors, [""] * 6)), "doublets")
    assert finding.value is None
    assert finding.note


def test_weighted_median_by_hand():
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1, 1, 1])) == 2.0
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([9, 1, 1])) == 3.0


def test_dead_cells_are_counted_above_the_valley():
    rng = np.random.default_rng(0)
    live, dead = rng.normal(100, 80, 9000), rng.lognormal(np.log(8000), 0.4, 1000)
    assert share_above_valley(np.concatenate([live, dead])) == pytest.approx(0.1, abs=0.005)
    assert share_above_valley(live) is None
    assert share_above_valley(live[:50]) is None


@pytest.mark.parametrize(
    ("marker", "is_dye"),
    [
        *[(name, True) for name in ("Viability", "Live/Dead", "LIVE_DEAD", "Live/ Dead", "L/D", "7-AAD", "DAPI", "PI")],
        *[(name, True) for name in ("Zombie NIR", "Aqua", "L/D Aqua", "Viab", "SYTOX Blue", "FVS780")],
        *[(name, False) for name in ("CD3", "VIVID / CD14", "PI3K", "HLA-DR", "CD45RA Aqua", "PE", "")],
    ],
)
def test_names_of_viability_dyes(marker, is_dye):
    markers = ["", "", "", "CD3", marker, "CD4", ""]
    detectors = ["FSC-A", "FSC-H", "SSC-A", "B530-A", "V525-A", "R670-A", "Time"]
    channel = viability_channel(sample_of(even_tube(n=10), detectors, markers).panel)
    assert (channel is not None) == is_dye
    if channel is not None:
        assert channel.detector == "V525-A"


def test_two_dyes_are_none():
    markers = ["", "", "", "DAPI", "7-AAD", "CD4", ""]
    assert viability_channel(sample_of(even_tube(n=10), markers=markers).panel) is None


def test_detectors_named_after_a_dye_count_only_where_nothing_is_labelled():
    detectors = ["FSC-A", "FSC-H", "SSC-A", "DAPI-A", "PE-A", "APC-A", "Time"]
    assert viability_channel(sample_of(even_tube(n=10), detectors).panel) is None
    found = viability_channel(sample_of(even_tube(n=10), detectors, [""] * 7).panel)
    assert found is not None
    assert found.detector == "DAPI-A"


def test_the_dye_is_compensated_where_there_is_a_matrix():
    """Half of CD3 spills into the dye: only without it are the dead cells apart from the T cells."""
    values = even_tube()
    dead = np.random.default_rng(99).random(len(values)) < 0.1
    values[:, 4] = np.where(dead, 4000.0, 40.0) * np.random.default_rng(98).lognormal(0, 0.3, len(values))
    expected = share_above_valley(values[:, 4])
    assert expected == pytest.approx(dead.mean(), abs=0.005)
    values[:, 4] += 0.5 * values[:, 3]
    sample = sample_of(values, markers=["", "", "", "CD3", "Viability", "CD4", ""])
    matrix = Spillover(("FITC-A", "PE-A"), np.array([[1.0, 0.5], [0.0, 1.0]]), "test")
    (compensated,) = found(check_quality(sample, matrix), "dead_cells")
    assert compensated.value == pytest.approx(expected, abs=1e-9)
    (raw,) = found(check_quality(sample), "dead_cells")
    assert raw.value is None or raw.value > 2 * expected
