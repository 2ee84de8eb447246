"""Against tubes whose course is known: simulated ones, and real ones that others use as examples."""

import numpy as np
import pytest
from simulated_tubes import LINEAGES, blood

from nti7flow.events.fcs import read_fcs
from nti7flow.events.made import make_sample
from nti7flow.quality.report import check_quality
from nti7flow.simulation import Preparation, Stop, simulate_tube
from nti7flow.simulation.flow import Clog, Flow
from nti7flow.simulation.tube import TIME_STEP_S

#: Slow enough to last a quarter of a minute.
SLOW = 0.15


def simulated(seed, flow):
    """A tube of 12,000 events."""
    tube = simulate_tube(
        np.random.default_rng(seed),
        cells_per_ul=blood(LINEAGES),
        stop=Stop(events=12_000),
        preparation=Preparation(debris_per_ul=600, ghosts_per_ul=100),
        flow=flow,
    )
    events = tube.events.copy()
    events[:, -1] *= TIME_STEP_S
    return make_sample(events, tube.detectors, markers=list(tube.markers), name=f"{seed}.fcs")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("flow", [Flow(), Flow(SLOW, steps=((7.0, 1.7),)), Flow(SLOW, wander=0.15)])
def test_tubes_that_run_free_lose_nothing(seed, flow):
    sample = simulated(seed, flow)
    quality = check_quality(sample)
    assert quality.steady
    assert quality.n_excluded == 0
    assert quality.severity in ("", "info")


@pytest.mark.parametrize("seed", range(6))
def test_clogs_are_found_where_they_are(seed):
    sample = simulated(seed, Flow(SLOW))
    seconds = sample.columns(["Time"])[:, 0]
    at_s, lasts_s = 0.3 * seconds[-1], 0.35 * seconds[-1]
    sample = simulated(seed, Flow(SLOW, clog=Clog(at_s=at_s, lasts_s=lasts_s)))
    quality = check_quality(sample)
    (clog,) = (finding for finding in quality.findings if finding.check == "clog")
    seconds = sample.columns(["Time"])[:, 0]
    ends_s = at_s + lasts_s
    mask = quality.mask(sample)
    # The delay before the first particle, the onset, and the clearing at the end are not counted.
    deep = (seconds > at_s + 0.15 * lasts_s + 0.4) & (seconds < ends_s - 1.5)
    free = (seconds < at_s - 0.1 * lasts_s) | (seconds > ends_s + 0.1 * lasts_s + 0.4)
    assert deep.sum() > 50
    assert mask[deep].mean() < 0.02
    assert mask[free].mean() > 0.97
    assert clog.n_excluded == quality.n_excluded == np.count_nonzero(~mask)


@pytest.mark.parametrize("name", ["SIM-001_day00_tbnk.fcs", "SIM-001_day21_tbnk.fcs"])
def test_the_tubes_of_the_tests_are_steady(request, name):
    sample = read_fcs(request.config.rootpath / "tests" / "tubes" / name)
    assert check_quality(sample).n_excluded == 0


#: Which seconds of public example tubes are left out, by eye from their course; and shares within which that is.
REAL = {
    "tbnk_auto/1.fcs": (None, 0.0, 0.0),
    # The signals of one laser rise from nothing during the first nine seconds.
    "qc_peacoqc/inst/extdata/111.fcs": ((0.0, 8.5), 0.08, 0.13),
    # After 27 s air passes: hardly any events, and those at the ends of scale.
    "qc_flowai_bcells/converted/Bcells1.fcs": ((27.2, 47.2), 0.10, 0.20),
    # The sample runs out.
    "qc_flowcut/converted/flowcut_4.fcs": ((114.0, 144.0), 0.04, 0.10),
}


@pytest.mark.parametrize("file", REAL)
def test_real_tubes(shared_data, file):
    path = shared_data / file
    if not path.exists():
        pytest.skip(f"no {file}")
    gone, least, most = REAL[file]
    sample = read_fcs(path)
    quality = check_quality(sample)
    assert least <= quality.n_excluded / sample.n_events <= most
    mask = quality.mask(sample)
    seconds = sample.columns(["Time"])[:, 0]
    if gone is not None:
        assert not mask[(seconds >= gone[0]) & (seconds < gone[1])].any()
