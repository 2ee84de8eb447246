"""Lots of counting beads: one count for a lot, said once for all of its tubes."""

import pytest
from sheets import trial_problems, write_sheets

from nti7flow.trial import read_trial

COLUMNS = "file,panel,role,bead_lot,beads_per_tube,bead_cv,specimen_volume,specimen_volume_unit\n"


@pytest.fixture
def samples(tmp_path):
    """Write the rows of a sample sheet."""
    return lambda rows, columns=COLUMNS: write_sheets(tmp_path, samples=columns + rows)


def starts(problems):
    return [problem.split("; ")[0] for problem in problems]


def test_what_one_tube_says_of_a_lot_holds_for_all(samples):
    trial = read_trial(
        samples(
            """a.fcs,tbnk,patient,L7,,,50,uL
               b.fcs,tbnk,fmo:CD4,L7,49870,,50,uL
               c.fcs,tbnk,patient,L8,50110,0.03,50,uL
               d.fcs,tbnk,patient,L7,,0.01,50,uL
               e.fcs,tbnk,patient,,12345,,50,uL
               f.fcs,tbnk,patient,,,,50,uL"""
        )
    )
    assert trial.remarks == ()
    assert [(row.beads_per_tube, row.bead_cv) for row in trial.samples] == [
        (49870, 0.01),
        (49870, 0.01),
        (50110, 0.03),
        (49870, 0.01),
        (12345, None),
        (None, None),
    ]


def test_a_lot_has_one_count(samples):
    rows = """a.fcs,,,L7,49870,0.02,50,uL
              b.fcs,,,L8,50110,0.02,50,uL
              c.fcs,,,L7,49780,0.02,50,uL
              d.fcs,,,L7,,0.03,50,uL
              e.fcs,,,,12345,,50,uL"""
    assert starts(trial_problems(samples(rows))) == [
        "samples.csv:4 beads_per_tube: found 49780 for lot 'L7', where line 2 has 49870",
        "samples.csv:5 bead_cv: found 0.03 for lot 'L7', where line 2 has 0.02",
    ]


def test_a_lot_without_a_count_is_told_once(samples):
    rows = """a.fcs,,,BD32809,49870,,50,uL
              b.fcs,,,BD32890,,,50,uL
              c.fcs,,,BD32890,,,50,uL
              d.fcs,,,Q1,,0.02,50,uL
              e.fcs,,,Q2,"49,870",,50,uL
              f.fcs,,fmo:CD4,Q3,,,50,uL
              g.fcs,,unstained,Q3,,,,
              h.fcs,,control,Q3,,,,"""
    found = trial_problems(samples(rows))
    assert starts(found) == [
        "samples.csv:3 bead_lot: found 'BD32890', of which no row says beads_per_tube (lot of 2 tubes)",
        "samples.csv:5 bead_lot: found 'Q1', of which no row says beads_per_tube",
        "samples.csv:6 beads_per_tube: found '49,870'",
    ]
    assert found[0].endswith("fill it in for one tube of the lot, or correct the lot. Did you mean 'BD32809'?")


def test_a_volume_that_other_tubes_of_the_panel_have(samples):
    rows = """a.fcs,tbnk,patient,L7,5e4,,50,uL
              b.fcs,tbnk,patient,L7,,,,uL
              c.fcs,tbnk,patient,L7,,,-50,uL
              d.fcs,tbnk,fmo:CD4,L7,,,,
              e.fcs,tbnk,patient,,,,,
              f.fcs,other,patient,L7,,,,"""
    assert starts(trial_problems(samples(rows))) == [
        "samples.csv:3 specimen_volume: found an empty cell beside beads, where line 2 has a volume",
        "samples.csv:4 specimen_volume: found '-50'",
    ]


def test_beads_of_a_panel_without_volumes_are_told(samples):
    trial = read_trial(samples("a.fcs,5e4\nb.fcs,\nc.fcs,5e4", columns="file,beads_per_tube\n"))
    assert trial.remarks == (
        "samples.csv:2 beads_per_tube: beads without a specimen_volume give no concentration (and 1 more).",
    )
