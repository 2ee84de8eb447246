"""One draw under two names is refused, replicates under one name are not, and what is not sure is told."""

import pytest
from sheets import trial_problems, write_sheets

from nti7flow.trial import read_trial

COLUMNS = "file,specimen,subject,panel,role,collected_at,timepoint\n"


@pytest.fixture
def samples(tmp_path):
    """Write the rows of a sample sheet."""
    return lambda rows: write_sheets(tmp_path, samples=COLUMNS + rows)


def starts(problems):
    return [problem.split("; ")[0] for problem in problems]


def test_several_tubes_of_a_specimen_are_what_a_laboratory_does(samples):
    rows = """a.fcs,D1,P1,tbnk,patient,2026-02-16T08:10,
              b.fcs,D1,P1,tbnk,patient,2026-02-16T08:10,
              c.fcs,D1,P1,tcell,patient,2026-02-16T08:10,
              d.fcs,D1,P1,tbnk,fmo:CD4,2026-02-16T08:10,
              e.fcs,D2,P2,tbnk,patient,2026-02-16T08:10,
              f.fcs,D3,P1,tbnk,patient,2026-02-16T16:10,
              g.fcs,D4,P1,tbnk,control,2026-02-16T08:10,
              h.fcs,,P1,tbnk,patient,2026-02-16T08:10,
              i.fcs,D5,,tbnk,patient,2026-02-16T08:10,
              j.fcs,D6,P1,tbnk,patient,,"""
    trial = read_trial(samples(rows))
    assert trial.remarks == ()
    assert [s.samples for s in trial.specimens if s.specimen == "D1"] == [("a", "b", "c")]


def test_two_names_for_one_draw(samples):
    # The second time is the same moment, written in another time zone.
    rows = """a.fcs,D1,P1,tbnk,patient,2026-02-16T08:10,
              b.fcs,D1,P1,tbnk,patient,2026-02-16T08:10,
              c.fcs,D1-2,P1,tbnk,patient,2026-02-16T03:10-05:00,
              d.fcs,D1-2,P1,tbnk,patient,2026-02-16T03:10-05:00,
              e.fcs,d1,P1,tbnk,patient,2026-02-16T08:10,
              f.fcs,d1,P1,tbnk,patient,2026-02-16T08:10,"""
    found = trial_problems(samples(rows))
    assert starts(found) == [
        "samples.csv:4 specimen: found 'D1-2', of the same subject 'P1', panel and time (2026-02-16T03:10:00-05:00) as "
        "specimen 'D1' in line 2",
        "samples.csv:6 specimen: found 'd1', where line 2 has 'D1'",
    ]
    assert "give replicates of one draw its one name" in found[0]


def test_what_only_names_tell_apart(samples):
    rows = """a.fcs,D1,P1,tbnk,patient,2026-02-16,
              b.fcs,D2,P1,tbnk,patient,2026-02-16T08:10,
              c.fcs,D3,P1,tcell,patient,2026-02-16T08:10,
              d.fcs,D4,P1,other,patient,2026-02-16,
              e.fcs,E1,P2,tbnk,patient,2026-02-16,pre-dose
              f.fcs,E2,P2,tbnk,patient,2026-02-16,post-dose
              g.fcs,F1,P3,tbnk,patient,2026-02-16T08:00,pre-dose
              h.fcs,F2,P3,tbnk,patient,2026-02-16T08:00,post-dose"""
    assert read_trial(samples(rows)).remarks == (
        "samples.csv:3 specimen: drawn on the day of specimen 'D1' in line 2, and nothing tells them apart but their "
        "names; give the times of both, or one name to tubes of one draw.",
        "samples.csv:4 specimen: drawn at the moment of specimen 'D2' in line 3: tubes of one draw share its name, or "
        "they are not counted together.",
    )
