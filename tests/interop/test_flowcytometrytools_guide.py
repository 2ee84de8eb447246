"""The how-to of FlowCytometryTools runs as it stands, and both packages count the same."""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import nti7flow as nf

if find_spec("FlowCytometryTools") is None:
    pytest.skip("FlowCytometryTools is not installed (extra flowcytometrytools)", allow_module_level=True)

ROOT = Path(__file__).parents[2]


def test_the_guide_runs_and_counts_the_same(monkeypatch):
    monkeypatch.chdir(ROOT)
    guide = (ROOT / "docs" / "how-to" / "flowcytometrytools.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    seen = {}
    for block in blocks[:2]:
        exec(block, seen)
    theirs = seen["measurement"].gate(seen["cells"] & seen["bright"])
    assert 1000 < theirs.counts < seen["tube"].n_events
    np.testing.assert_array_equal(theirs.data.index, seen["strategy"].apply(seen["tube"])["bright cells"])

    for block in blocks[2:]:
        exec(block, seen)
    members = seen["strategy"].apply(seen["tube"])
    placed = {name for name, rows in members.items() if rows is not None}
    assert members["cd4_t"].size > 500 and set(seen["gates"]) == placed >= {"beads", "cd8_t"}
    for name, gate in seen["gates"].items():
        np.testing.assert_array_equal(seen["measurement"].gate(gate).data.index, members[name], err_msg=name)
    assert sorted(seen["samples"]) == ["B3", "B4"]
    for well, sample in seen["samples"].items():
        inside = nf.from_flowcytometrytools(seen["cells"]).apply(sample)["cells"]
        assert seen["plate"][well].gate(seen["cells"]).counts == inside.size > 1000
