"""FlowJo workspaces for tests, as text. Written by nothing of the package, so that a fault of a reader shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

import numpy as np

ISAC = "http://www.isac-net.org/std/Gating-ML/v2.0"
HEAD = (
    f'<Workspace version="20.0" flowJoVersion="10.8.1" xmlns:gating="{ISAC}/gating" '
    f'xmlns:transforms="{ISAC}/transformations" xmlns:data-type="{ISAC}/datatypes">'
)
#: What FlowJo writes into every population and is no gate.
GRAPH = '<Graph type="Pseudocolor"><Axis dimension="x" name="FSC-A"/><GraphEnvironment showGates="1"/></Graph>'
STATISTIC = '<Statistic name="Median" owningGroup="" id="FSC-A" value="NaN"/>'


def attributes(prefix: str = "", /, **named: object) -> str:
    return "".join(f" {prefix}{key}={quoteattr(str(value))}" for key, value in named.items() if value is not None)


def linear(channel: str, low: object = 0, high: object = 262144, gain: object = 1) -> str:
    return scale("linear", channel, more=attributes(gain=gain), minRange=low, maxRange=high)


def biex(channel: str, neg: object = 0, width: object = -100, pos: object = 4.418539922, top: object = 262144) -> str:
    return scale("biex", channel, length=256, maxRange=top, neg=neg, width=width, pos=pos)


def log(channel: str, offset: object = 3, decades: object = 4.9) -> str:
    return scale("log", channel, offset=offset, decades=decades)


def logicle(channel: str, t: object = 262144, w: object = 1, m: object = 4.418539922, a: object = 0) -> str:
    return scale("logicle", channel, length=256, T=t, W=w, M=m, A=a)


def fasinh(channel: str, t: object = 262144, m: object = 4.5, a: object = 1) -> str:
    return scale("fasinh", channel, length=256, maxRange=t, T=t, A=a, M=m, W=-10)


def scale(kind: str, channel: str, *, more: str = "", **numbers: object) -> str:
    named = f"<data-type:parameter data-type:name={quoteattr(channel)}/>"
    return f"<transforms:{kind}{attributes('transforms:', **numbers)}{more}>{named}</transforms:{kind}>"


def dimension(channel: str, low: object = None, high: object = None) -> str:
    named = f"<data-type:fcs-dimension data-type:name={quoteattr(channel)}/>"
    return f"<gating:dimension{attributes('gating:', min=low, max=high)}>{named}</gating:dimension>"


def vertices(points: Sequence[Sequence[object]]) -> str:
    inside = ("".join(f"<gating:coordinate data-type:value={quoteattr(str(v))}/>" for v in point) for point in points)
    return "".join(f"<gating:vertex>{coordinates}</gating:vertex>" for coordinates in inside)


def gate(kind: str, content: str, *, inside: object = 1) -> str:
    # The further attributes are those that FlowJo writes.
    more = ' annoOffsetX="0" tint="#000000" isTinted="0" userDefined="1" percentX="0" quadId="-1" gateResolution="256"'
    return f"<gating:{kind}{attributes(eventsInside=inside)}{more}>{content}</gating:{kind}>"


def rectangle(bounds: Mapping[str, tuple[object, object]], *, inside: object = 1) -> str:
    content = "".join(dimension(channel, *pair) for channel, pair in bounds.items())
    return gate("RectangleGate", content, inside=inside)


def polygon(x: str, y: str, points: Sequence[Sequence[object]], *, inside: object = 1) -> str:
    return gate("PolygonGate", dimension(x) + dimension(y) + vertices(points), inside=inside)


def ellipse(
    x: str,
    y: str,
    centre: tuple[float, float],
    half_axes: tuple[float, float],
    degrees: float = 0,
    *,
    inside: object = 1,
) -> str:
    """An ellipse in FlowJo's display of 256 x 256, as it stores it: foci, and the ends of the axes."""
    turn = np.deg2rad(degrees)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    long, short = half_axes
    reach = np.sqrt(long**2 - short**2)
    foci = [np.array(centre) + side * reach * along for side in (1, -1)]
    ends = [
        np.array(centre) + side * length * axis for length, axis in ((long, along), (short, across)) for side in (1, -1)
    ]
    return ellipse_of(x, y, foci, ends, inside=inside)


def ellipse_of(
    x: str, y: str, foci: Sequence[Sequence[object]], edge: Sequence[Sequence[object]], *, inside: object = 1
) -> str:
    content = f"<gating:foci>{vertices(foci)}</gating:foci><gating:edge>{vertices(edge)}</gating:edge>"
    return gate("EllipsoidGate", dimension(x) + dimension(y) + content, inside=inside)


def population(name: str | None, inner: str, *below: str, count: object = -1) -> str:
    return f"{_opening('Population', name, count)}<Gate>{inner}</Gate>{_below(below)}</Population>"


def boolean(kind: str, name: str, dependents: Sequence[str], *below: str, count: object = -1, copy: str = "") -> str:
    """A node that combines populations; FlowJo writes a copy of the negated gate into a ``NotNode``."""
    named = "".join(f"<Dependent name={quoteattr(dependent)}/>" for dependent in dependents)
    inner = (f"<Gate>{copy}</Gate>" if copy else "") + _below(below) + f"<Dependents>{named}</Dependents>"
    return f"{_opening(kind, name, count)}{inner}</{kind}>"


def _opening(kind: str, name: str | None, count: object) -> str:
    named = attributes(name=name, annotation="", owningGroup="", expanded=1, sortPriority=10, count=count)
    return f"<{kind}{named}>{GRAPH}"


def _below(populations: Sequence[str]) -> str:
    # A statistic stands among the populations wherever somebody asked for one.
    return f"<Subpopulations>{STATISTIC}{''.join(populations)}</Subpopulations>" if populations else ""


def matrix(
    parameters: Sequence[str],
    values: Sequence[Sequence[object]],
    *,
    columns: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    name: str | None = "Acquisition-defined",
    prefix: str = "Comp-",
    suffix: str = "",
    spectral: object = 0,
    method: str = "OLS",
) -> str:
    listed = "".join(f"<data-type:parameter data-type:name={quoteattr(p)}/>" for p in parameters)
    spill = []
    for row, cells in zip(rows or parameters, values, strict=True):
        inside = "".join(
            f"<transforms:coefficient data-type:parameter={quoteattr(c)} transforms:value={quoteattr(str(v))}/>"
            for c, v in zip(columns or parameters, cells, strict=True)
        )
        spill.append(f"<transforms:spillover data-type:parameter={quoteattr(row)}>{inside}</transforms:spillover>")
    named = attributes(spectral=spectral, weightOptAlgorithmType=method, prefix=prefix, name=name, suffix=suffix)
    content = f"<data-type:parameters>{listed}</data-type:parameters>{''.join(spill)}"
    return f"<transforms:spilloverMatrix{named}>{content}</transforms:spilloverMatrix>"


@dataclass
class SampleText:
    """A sample of a workspace."""

    name: str
    populations: Sequence[str] = ()
    scales: Sequence[str] = ()
    matrix: str = ""
    uri: str | None = None
    keywords: Mapping[str, str] = field(default_factory=dict)
    count: object = -1

    def text(self, number: int) -> str:
        uri = f"file:/V:/data/{self.name}" if self.uri is None else self.uri
        keywords = "".join(f"<Keyword{attributes(name=key, value=value)}/>" for key, value in self.keywords.items())
        node = f"<SampleNode{attributes(name=self.name, owningGroup='', count=self.count, sampleID=number)}>"
        return (
            f"<Sample><DataSet{attributes(uri=uri, sampleID=number)}/>{self.matrix}"
            f"<Transformations>{''.join(self.scales)}</Transformations><Keywords>{keywords}</Keywords>"
            f"{node}{GRAPH}{_below(self.populations)}</SampleNode></Sample>"
        )


def group(name: str, numbers: Sequence[object], *populations: str) -> str:
    references = "".join(f"<SampleRef{attributes(sampleID=n)}/>" for n in numbers)
    inner = f"<Group{attributes(name=name)}><Criteria/><SampleRefs>{references}</SampleRefs></Group>"
    return (
        f"<GroupNode{attributes(name=name, owningGroup=name, count=-1)}>{GRAPH}{_below(populations)}{inner}</GroupNode>"
    )


def workspace(*samples: SampleText, groups: Mapping[str, Sequence[object]] | None = None, head: str = HEAD) -> bytes:
    """A workspace; each element of interest begins a line, so that messages can be checked. Samples count from 1."""
    everything = {"All Samples": range(1, len(samples) + 1), **(groups or {})}
    text = (
        f"{head}<WindowPosition x='1'/><Matrices/><Cytometers/>"
        f"<Groups>{''.join(group(name, numbers) for name, numbers in everything.items())}</Groups>"
        f"<SampleList>{''.join(sample.text(i) for i, sample in enumerate(samples, 1))}</SampleList>"
        "<TableEditor/><LayoutEditor><Layout name='x'/></LayoutEditor><Scripts/></Workspace>"
    )
    for begin in ("<Sample>", "<Population ", "<AndNode ", "<OrNode ", "<NotNode ", "<transforms:", "<Unknown"):
        text = text.replace(begin, "\n" + begin)
    return text.encode()


def line_of(document: bytes, text: str) -> int:
    """Line of the first element whose tag holds a text."""
    return 1 + next(i for i, line in enumerate(document.decode().split("\n")) if text in line)


def chain(names: Sequence[str], inner: str) -> str:
    """Populations one in the other, all with the same gate."""
    made = ""
    for name in reversed(names):
        made = population(name, inner, *([made] if made else []))
    return made
