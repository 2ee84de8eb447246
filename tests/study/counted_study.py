"""A study that is gated and counted in a moment: two subjects by volume, one by haematology, and a control."""

from __future__ import annotations

from pathlib import Path

from study_tubes import DAY21, write_tube

SAMPLES = """\
file,sample,specimen,subject,role,collected_at,acquired_volume,acquired_volume_unit
a.fcs,a,S1_day0,S/1,patient,2026-03-01T08:00Z,40,uL
b.fcs,b,S1_day21,S/1,patient,2026-03-22T08:00Z,40,uL
c.fcs,c,S2_day0,S2,patient,2026-03-01T09:00Z,,
d.fcs,d,control,,control,2026-03-01T07:00Z,38.5,uL
"""
HEMATOLOGY = """\
subject,collected_at,analyte,value,unit,cv
S2,2026-03-01T09:00Z,ALC,0.31,10^9/L,0.05
S/1,2026-03-01T08:00Z,ALC,168,cells/uL,0.05
"""
STUDY = """\
schema: nti7flow/study/1
study: counted
templates: {any: TEMPLATE}
sheets: {samples: samples.csv, hematology: hematology.csv}
"""


def write_counted_study(folder: Path, template: Path) -> Path:
    """Write tubes, sheets and study.yaml; return the latter."""
    write_tube(folder / "a.fcs", rows=slice(0, 4000))
    write_tube(folder / "b.fcs", source=DAY21, rows=slice(0, 4000))
    write_tube(folder / "c.fcs", rows=slice(4000, 8000))
    write_tube(folder / "d.fcs", source=DAY21, rows=slice(4000, 8000))
    (folder / "samples.csv").write_text(SAMPLES)
    (folder / "hematology.csv").write_text(HEMATOLOGY)
    study = folder / "study.yaml"
    study.write_text(STUDY.replace("TEMPLATE", str(template)))
    return study
