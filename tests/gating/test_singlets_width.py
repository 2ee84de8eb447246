"""singlets where a cytometer records width and no height."""

import numpy as np
from simulated_tubes import simulated_tube, stated_spillover

import nti7flow as nf


def test_width_serves_where_there_is_no_height(tmp_path):
    tube = simulated_tube(5)
    area, height = tube.events[:, 0], tube.events[:, 1]
    events = np.column_stack([area, 70_000 * area / height, *tube.events[:, 2:].T])
    detectors = ["FSC-A", "FSC-W", *tube.detectors[2:]]
    markers = ["", "", *tube.markers[2:]]
    keywords = {"$SPILLOVER": stated_spillover(tube)}
    nf.write_events(tmp_path / "w.fcs", events, detectors, markers=markers, keywords=keywords)

    result = nf.gate(tmp_path / "w.fcs", "tbnk")
    kept = result.membership("singlets")
    double = tube.labels == "doublets"
    assert kept is not None
    assert kept[~double].mean() > 0.99
    assert kept[double].mean() < 0.5
    assert result.strategy.population("singlets").status == "ok"
