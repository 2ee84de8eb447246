"""singlets where a cytometer records width and no height."""

import numpy as np

import nti7flow as nf
from nti7flow.simulation import simulate_tube

BLOOD = {"cd4_t": 500, "cd8_t": 300, "b_cells": 100, "nk_cells": 100, "monocytes": 300, "neutrophils": 3000}


def test_width_serves_where_there_is_no_height(tmp_path):
    tube = simulate_tube(np.random.default_rng(5), n_events=8000, composition=BLOOD | {"debris": 600})
    area, height = tube.events[:, 0], tube.events[:, 1]
    events = np.column_stack([area, 70_000 * area / height, *tube.events[:, 2:].T])
    detectors = ["FSC-A", "FSC-W", *tube.detectors[2:]]
    matrix = [str(len(tube.fluorescence)), *tube.fluorescence, *map(str, tube.keyword_spillover.ravel())]
    markers = ["", "", *tube.markers[2:]]
    nf.write_events(tmp_path / "w.fcs", events, detectors, markers=markers, keywords={"$SPILLOVER": ",".join(matrix)})

    result = nf.gate(tmp_path / "w.fcs", "tbnk")
    kept = result.membership("singlets")
    double = tube.labels == "doublets"
    assert kept is not None
    assert kept[~double].mean() > 0.99
    assert kept[double].mean() < 0.5
    assert result.strategy.population("singlets").status == "ok"
