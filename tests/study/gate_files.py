"""Files of gates for the sample tubes, written by hand: Gating-ML 2.0, and workspaces as FlowJo 10 writes them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from study_tubes import DAY00

from nti7flow.events.fcs import read_fcs

_ISAC = "http://www.isac-net.org/std/Gating-ML/v2.0"
_SPACES = " ".join(
    f'xmlns:{prefix}="{_ISAC}/{name}"'
    for prefix, name in (("gating", "gating"), ("transforms", "transformations"), ("data-type", "datatypes"))
)

#: One gate of every kind: rectangles (raw and compensated by the matrix in the file), quadrants, an ellipse, a polygon,
#: a ratio, and a boolean population.
GATING_ML = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<gating:Gating-ML {_SPACES}>
  <transforms:transformation transforms:id="logicle">
    <transforms:logicle transforms:T="262144" transforms:W="0.5" transforms:M="4.5" transforms:A="0"/>
  </transforms:transformation>
  <transforms:transformation transforms:id="height">
    <transforms:fratio transforms:A="1" transforms:B="0" transforms:C="0">
      <data-type:fcs-dimension data-type:name="FSC-H"/>
      <data-type:fcs-dimension data-type:name="FSC-A"/>
    </transforms:fratio>
  </transforms:transformation>
  <gating:RectangleGate gating:id="Singlets">
    <gating:dimension gating:compensation-ref="uncompensated" gating:min="0.5" gating:max="1.2">
      <data-type:new-dimension data-type:transformation-ref="height"/>
    </gating:dimension>
  </gating:RectangleGate>
  <gating:RectangleGate gating:id="Lymphocytes" gating:parent_id="Singlets">
    <gating:dimension gating:compensation-ref="FCS" gating:transformation-ref="logicle" gating:min="0.55">
      <data-type:fcs-dimension data-type:name="PerCP-Cy5-5-A"/>
    </gating:dimension>
    <gating:dimension gating:compensation-ref="uncompensated" gating:max="60000">
      <data-type:fcs-dimension data-type:name="SSC-A"/>
    </gating:dimension>
  </gating:RectangleGate>
  <gating:RectangleGate gating:id="T_cells" gating:parent_id="Lymphocytes">
    <gating:dimension gating:compensation-ref="FCS" gating:transformation-ref="logicle" gating:min="0.45">
      <data-type:fcs-dimension data-type:name="FITC-A"/>
    </gating:dimension>
  </gating:RectangleGate>
  <gating:QuadrantGate gating:id="CD4_by_CD8" gating:parent_id="T_cells">
    <gating:divider gating:id="CD4" gating:compensation-ref="FCS" gating:transformation-ref="logicle">
      <data-type:fcs-dimension data-type:name="PE-Cy7-A"/>
      <gating:value>0.45</gating:value>
    </gating:divider>
    <gating:divider gating:id="CD8" gating:compensation-ref="FCS" gating:transformation-ref="logicle">
      <data-type:fcs-dimension data-type:name="APC-Cy7-A"/>
      <gating:value>0.5</gating:value>
    </gating:divider>
    <gating:Quadrant gating:id="CD4_T">
      <gating:position gating:divider_ref="CD4" gating:location="0.9"/>
      <gating:position gating:divider_ref="CD8" gating:location="0.1"/>
    </gating:Quadrant>
    <gating:Quadrant gating:id="CD8_T">
      <gating:position gating:divider_ref="CD4" gating:location="0.1"/>
      <gating:position gating:divider_ref="CD8" gating:location="0.9"/>
    </gating:Quadrant>
  </gating:QuadrantGate>
  <gating:EllipsoidGate gating:id="Small" gating:parent_id="Lymphocytes">
    <gating:dimension gating:compensation-ref="uncompensated">
      <data-type:fcs-dimension data-type:name="FSC-A"/>
    </gating:dimension>
    <gating:dimension gating:compensation-ref="uncompensated">
      <data-type:fcs-dimension data-type:name="SSC-A"/>
    </gating:dimension>
    <gating:mean>
      <gating:coordinate data-type:value="60000"/>
      <gating:coordinate data-type:value="15000"/>
    </gating:mean>
    <gating:covarianceMatrix>
      <gating:row><gating:entry data-type:value="2e8"/><gating:entry data-type:value="3e7"/></gating:row>
      <gating:row><gating:entry data-type:value="3e7"/><gating:entry data-type:value="4e7"/></gating:row>
    </gating:covarianceMatrix>
    <gating:distanceSquare data-type:value="4"/>
  </gating:EllipsoidGate>
  <gating:PolygonGate gating:id="B_cells" gating:parent_id="Lymphocytes">
    <gating:dimension gating:compensation-ref="FCS" gating:transformation-ref="logicle">
      <data-type:fcs-dimension data-type:name="FITC-A"/>
    </gating:dimension>
    <gating:dimension gating:compensation-ref="FCS" gating:transformation-ref="logicle">
      <data-type:fcs-dimension data-type:name="APC-A"/>
    </gating:dimension>
    <gating:vertex><gating:coordinate data-type:value="0"/><gating:coordinate data-type:value="0.45"/></gating:vertex>
    <gating:vertex><gating:coordinate data-type:value="0.4"/><gating:coordinate data-type:value="0.45"/></gating:vertex>
    <gating:vertex><gating:coordinate data-type:value="0.4"/><gating:coordinate data-type:value="1"/></gating:vertex>
    <gating:vertex><gating:coordinate data-type:value="0"/><gating:coordinate data-type:value="1"/></gating:vertex>
  </gating:PolygonGate>
  <gating:BooleanGate gating:id="Neither" gating:parent_id="Lymphocytes">
    <gating:and>
      <gating:gateReference gating:ref="T_cells" gating:use-as-complement="true"/>
      <gating:gateReference gating:ref="B_cells" gating:use-as-complement="true"/>
    </gating:and>
  </gating:BooleanGate>
</gating:Gating-ML>
"""
#: Ids of its populations, in their order.
POPULATIONS = ("Singlets", "Lymphocytes", "T_cells", "CD4_T", "CD8_T", "Small", "B_cells", "Neither")

_MATRIX = """\
  <transforms:spectrumMatrix transforms:id="{name}">
    <transforms:fluorochromes>{dyes}</transforms:fluorochromes>
    <transforms:detectors>{dyes}</transforms:detectors>
    {rows}
  </transforms:spectrumMatrix>
"""


def own_matrices(text: str = GATING_ML) -> str:
    """The same gates, but each compensated by one of two matrices in the file: T and B cells by another one."""
    parts = text.split('gating:id="T_cells"', 1)
    first, second = parts[0].replace('"FCS"', '"first"'), parts[1].replace('"FCS"', '"second"')
    tube = read_fcs(DAY00)
    size, *stored = tube.keywords["$SPILLOVER"].split(",")
    names, numbers = stored[: int(size)], [float(v) for v in stored[int(size) :]]
    rows = [numbers[i : i + len(names)] for i in range(0, len(numbers), len(names))]
    matrices = ""
    for name, more in (("first", 0.0), ("second", 0.04)):
        spectra = "".join(_spectrum([v + more * (i != j) for j, v in enumerate(row)]) for i, row in enumerate(rows))
        dyes = "".join(f'<data-type:fcs-dimension data-type:name="{detector}"/>' for detector in names)
        matrices += _MATRIX.format(name=name, dyes=dyes, rows=spectra)
    head, body = first.split("<transforms:transformation ", 1)
    return f'{head}{matrices.strip()}<transforms:transformation {body}gating:id="T_cells"{second}'


def _spectrum(values: list[float]) -> str:
    numbers = "".join(f'<transforms:coefficient transforms:value="{v!r}"/>' for v in values)
    return f"<transforms:spectrum>{numbers}</transforms:spectrum>"


def write_gating_ml(path: Path, text: str = GATING_ML) -> Path:
    """Write a file of gates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def flowkit_counts(gates: Path, tube: Path) -> dict[str, int]:
    """Count a tube by FlowKit alone, from the files themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import flowkit

        strategy = flowkit.parse_gating_xml(str(gates))
        report = strategy.gate_sample(flowkit.Sample(str(tube), sample_id="tube")).report
    return dict(zip(report["gate_name"], report["count"].astype(int), strict=True))


_SAMPLE = """\
    <Sample>
      <DataSet uri="file:/C:/lab/{uri}" sampleID="{number}"/>
      <Transformations>
        <transforms:linear transforms:minRange="0" transforms:maxRange="262144" gain="1">
          <data-type:parameter data-type:name="FSC-A"/>
        </transforms:linear>
        <transforms:linear transforms:minRange="0" transforms:maxRange="262144" gain="1">
          <data-type:parameter data-type:name="SSC-A"/>
        </transforms:linear>
        <transforms:biex transforms:length="256" transforms:maxRange="262144" transforms:neg="0" \
transforms:width="-100" transforms:pos="4.418539922">
          <data-type:parameter data-type:name="FITC-A"/>
        </transforms:biex>
      </Transformations>
      <Keywords>
        <Keyword name="$FIL" value="{name}"/>
        <Keyword name="$TOT" value="{total}"/>
      </Keywords>
      <SampleNode name="{name}" annotation="" owningGroup="" expanded="1" sortPriority="10" count="{total}" \
sampleID="{number}">
        <Subpopulations>
          <Population name="Lymphocytes" annotation="" owningGroup="" expanded="1" sortPriority="10" count="{cells}">
            <Gate gating:id="ID{number}1">
              <gating:RectangleGate eventsInside="1" userDefined="1" percentX="0" percentY="0">
                <gating:dimension gating:min="40000" gating:max="120000">
                  <data-type:fcs-dimension data-type:name="FSC-A"/>
                </gating:dimension>
                <gating:dimension gating:min="0" gating:max="40000">
                  <data-type:fcs-dimension data-type:name="SSC-A"/>
                </gating:dimension>
              </gating:RectangleGate>
            </Gate>
            <Subpopulations>
              <Population name="T cells" annotation="" owningGroup="" expanded="1" sortPriority="10" count="{t_cells}">
                <Gate gating:id="ID{number}2" gating:parent_id="ID{number}1">
                  <gating:RectangleGate eventsInside="1" userDefined="1" percentX="0" percentY="0">
                    <gating:dimension gating:min="1000" gating:max="262144">
                      <data-type:fcs-dimension data-type:name="FITC-A"/>
                    </gating:dimension>
                    <gating:dimension gating:min="0" gating:max="{top}">
                      <data-type:fcs-dimension data-type:name="SSC-A"/>
                    </gating:dimension>
                  </gating:RectangleGate>
                </Gate>
              </Population>
            </Subpopulations>
          </Population>
        </Subpopulations>
      </SampleNode>
    </Sample>
"""


def write_workspace(path: Path, samples: Mapping[str, Mapping[str, object]], *, group: tuple[str, ...] = ()) -> Path:
    """Write a workspace of raw gates: lymphocytes by scatter, and T cells among them.

    Parameters
    ----------
    samples : mapping
        By name (of a file): ``total``, ``cells`` and ``t_cells``, the counts FlowJo would store; ``top`` of SSC of the
        T cells, so that samples may differ in their gates; ``uri``, the file, where it is not the name.
    group : tuple of str
        Samples of the group "Panel 1", beside "All Samples".
    """
    numbers = {name: number for number, name in enumerate(samples, 1)}
    blocks = []
    for name, given in samples.items():
        values = {"total": -1, "cells": -1, "t_cells": -1, "top": 40000, "uri": name} | dict(given)
        blocks.append(_SAMPLE.format(name=name, number=numbers[name], **values))
    groups = "".join(
        f'<GroupNode name="{title}" count="-1"><Group name="{title}"><SampleRefs>'
        + "".join(f'<SampleRef sampleID="{numbers[name]}"/>' for name in names)
        + "</SampleRefs></Group></GroupNode>\n"
        for title, names in (("All Samples", tuple(samples)), ("Panel 1", group))
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Workspace version="20.0" flowJoVersion="10.8.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f"{_SPACES}>\n<Groups>\n{groups}</Groups>\n<SampleList>\n{''.join(blocks)}</SampleList>\n</Workspace>\n",
        encoding="utf-8",
    )
    return path


def counts_by_hand(tube: Path, *, top: float = 40000) -> dict[str, int]:
    """What the gates of `write_workspace` count, worked out from the raw values."""
    fsc, ssc, cd3 = read_fcs(tube).columns(["FSC-A", "SSC-A", "FITC-A"]).T
    cells = (fsc >= 40000) & (fsc < 120000) & (ssc >= 0) & (ssc < 40000)
    t_cells = cells & (cd3 >= 1000) & (ssc < top)
    return {"total": len(fsc), "cells": int(cells.sum()), "t_cells": int(t_cells.sum())}


def without_line(text: str, part: str) -> str:
    """Text without the lines that hold a part."""
    return re.sub(rf"(?m)^.*{re.escape(part)}.*\n", "", text)
