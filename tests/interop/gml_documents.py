"""Small Gating-ML documents as text: each part is one line, the first of them on line 3."""

from pathlib import Path

_STANDARD = "http://www.isac-net.org/std/Gating-ML/v2.0"
XMLNS = (
    f'xmlns:gating="{_STANDARD}/gating" xmlns:transforms="{_STANDARD}/transformations" '
    f'xmlns:data-type="{_STANDARD}/datatypes"'
)
RAW = "uncompensated"
FIRST_LINE = 3


def document(*parts, xmlns=XMLNS):
    """Return a document; parts may use the prefixes g, t and d for those of the standard."""
    body = "\n".join(parts)
    for short, prefix in (("g", "gating"), ("t", "transforms"), ("d", "data-type")):
        for before in ("<", "</", " "):
            body = body.replace(f"{before}{short}:", f"{before}{prefix}:")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<gating:Gating-ML {xmlns}>\n{body}\n</gating:Gating-ML>\n'


def write(folder, *parts, name="gates.xml"):
    path = Path(folder) / name
    path.write_text(document(*parts), encoding="utf-8")
    return path


def attributes(prefix, **values):
    """Return those that are not None; ``compensation_ref`` is compensation-ref."""
    names = {key: key.replace("_ref", "-ref") if key != "divider_ref" else key for key in values}
    return "".join(f' {prefix}:{names[key]}="{value}"' for key, value in values.items() if value is not None)


def axis(channel="X", low=None, high=None, *, compensation=RAW, transform=None, ratio=None, tag="dimension", inside=""):
    source = f'<d:fcs-dimension d:name="{channel}"/>'
    if ratio is not None:
        source = f'<d:new-dimension d:transformation-ref="{ratio}"/>'
    said = attributes("g", compensation_ref=compensation, transformation_ref=transform, min=low, max=high)
    return f"<g:{tag}{said}>{source}{inside}</g:{tag}>"


def gate(tag, name, inside, *, parent=None, more=""):
    return f"<g:{tag}{attributes('g', id=name, parent_id=parent)}{more}>{inside}</g:{tag}>"


def rectangle(name, *axes, parent=None, more=""):
    """A range of X from 1 upward unless axes are given."""
    return gate("RectangleGate", name, "".join(axes or [axis("X", 1)]), parent=parent, more=more)


def polygon(name, vertices, *axes, parent=None):
    corners = "".join(f"<g:vertex>{_coordinates(vertex)}</g:vertex>" for vertex in vertices)
    return gate("PolygonGate", name, "".join(axes or [axis("X"), axis("Y")]) + corners, parent=parent)


def _coordinates(point):
    return "".join(f'<g:coordinate d:value="{value}"/>' for value in point)


def ellipsoid(name, mean, covariance, square, *axes, parent=None):
    rows = "".join("<g:row>" + "".join(f'<g:entry d:value="{v}"/>' for v in row) + "</g:row>" for row in covariance)
    inside = "".join(axes or [axis("X"), axis("Y")]) + f"<g:mean>{_coordinates(mean)}</g:mean>"
    inside += f"<g:covarianceMatrix>{rows}</g:covarianceMatrix>"
    inside += "" if square is None else f'<g:distanceSquare d:value="{square}"/>'
    return gate("EllipsoidGate", name, inside, parent=parent)


def divider(name, channel, *values, compensation=RAW, transform=None):
    """A divider of a set of quadrants; give it to `quadrants`."""
    inside = "".join(f"<g:value>{value}</g:value>" for value in values)
    plain = axis(channel, compensation=compensation, transform=transform, tag="divider", inside=inside)
    return plain.replace("<g:divider", f'<g:divider g:id="{name}"', 1)


def quadrants(name, dividers, parts, *, parent=None):
    """A set of quadrants; ``parts`` are name: {divider: location}."""
    inside = "".join(dividers)
    for part, positions in parts.items():
        inside += f'<g:Quadrant g:id="{part}">'
        inside += "".join(f'<g:position g:divider_ref="{d}" g:location="{v}"/>' for d, v in positions.items())
        inside += "</g:Quadrant>"
    return gate("QuadrantGate", name, inside, parent=parent)


def boolean(name, kind, *operands, parent=None):
    """A boolean gate; an operand is a name, or a name and what use-as-complement says."""
    pairs = [operand if isinstance(operand, tuple) else (operand, None) for operand in operands]
    references = "".join(
        f'<g:gateReference g:ref="{name}"' + ("" if turned is None else f' g:use-as-complement="{turned}"') + "/>"
        for name, turned in pairs
    )
    return gate("BooleanGate", name, f"<g:{kind}>{references}</g:{kind}>", parent=parent)


def transform(name, kind, **numbers):
    inside = f"<t:{kind}{attributes('t', **numbers)}/>"
    return f'<t:transformation t:id="{name}">{inside}</t:transformation>'


def ratio(name, *channels, a=1, b=0, c=0):
    inside = "".join(f'<d:fcs-dimension d:name="{channel}"/>' for channel in channels)
    curve = f'<t:fratio t:A="{a}" t:B="{b}" t:C="{c}">{inside}</t:fratio>'
    return f'<t:transformation t:id="{name}">{curve}</t:transformation>'


def matrix(name, dyes, detectors, rows, *, more=""):
    lists = ""
    for tag, names in (("fluorochromes", dyes), ("detectors", detectors)):
        lists += f"<t:{tag}>" + "".join(f'<d:fcs-dimension d:name="{n}"/>' for n in names) + f"</t:{tag}>"
    for row in rows:
        lists += "<t:spectrum>" + "".join(f'<t:coefficient t:value="{v}"/>' for v in row) + "</t:spectrum>"
    return f'<t:spectrumMatrix t:id="{name}"{more}>{lists}</t:spectrumMatrix>'
