"""What a release wrote stays readable: tests/archives/README.md."""

from pathlib import Path

import nti7flow as nf
from nti7flow.study.replay import replay

RUN_1 = Path(__file__).parent / "archives" / "run-1"


def test_run_1_opens_with_its_tables_and_gates() -> None:
    run = nf.open_run(RUN_1)
    counts = run.counts.set_index("population")
    assert run.samples == ["SIM-001_day21_tbnk"]
    assert counts.loc["cd4_t", ["n_events", "n_total", "status"]].tolist() == [1468, 11000, "ok"]
    membership = run.membership("SIM-001_day21_tbnk", "cd4_t")
    assert membership is not None and membership.sum() == 1468
    assert run.strategy("SIM-001_day21_tbnk").population("t_cells").parent == "lymphocytes"
    assert [panel.parent for panel in run.panels("SIM-001_day21_tbnk")][:2] == [None, "singlets"]


def test_run_1_replays_byte_for_byte() -> None:
    report = replay(nf.open_run(RUN_1))
    assert report.identical, report.differences + report.missing
    assert report.counts_csv == (RUN_1 / "counts.csv").read_text(encoding="utf-8")
