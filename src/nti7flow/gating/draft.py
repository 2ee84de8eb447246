"""A template drafted from one tube's panel: which markers it carries says which blocks are written."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from nti7flow.errors import AmbiguousMarker, InputError, printable
from nti7flow.events.markers import squeeze
from nti7flow.events.panel import Channel, Panel
from nti7flow.events.sample import Sample
from nti7flow.gating import draft_blocks as blocks
from nti7flow.gating.scales import SCALE_EVENTS

#: Names under which labs stain what is to be left out: dyes that enter dead cells, and dump channels.
EXCLUDED = frozenset(
    "VIABILITY VIABLE VIAB LIVE DEAD LIVEDEAD LD VIVID ZOMBIE AQUA PI 7AAD DAPI SYTOX TOPRO GHOSTDYE DUMP".split()
)
_EXCLUDED_DYE = re.compile(r"ZOMBIE|LIVEDEAD|LDAQUA|SYTOX|GHOSTDYE")
#: Names of channels that hold no marker.
EMPTY = frozenset("AF EMPTY BLANK NONE UNUSED NA AUTOFLUORESCENCE BACKGROUND".split())
#: Markers of cells that are no lymphocytes: looked for among all single cells.
MYELOID = frozenset("CD14 CD15 CD33 CD11B CD11C CD64 CD66B CD123 CD203C CD235A CD34 CD117 FCER1A".split())
#: Values that never exceed this are no detector's: they have been put on a display scale already.
DISPLAYED = 50.0
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*")
#: Plain words that YAML takes for something else than text.
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
SCHEMA_PATH = "../schema/template-1.schema.json"


def draft_template(
    sample: Sample, *, name: str = "my_template", markers: Mapping[str, str] | None = None, schema: str = SCHEMA_PATH
) -> str:
    """Draft a template for tubes with the panel of this one.

    Parameters
    ----------
    sample : Sample
        The tube. Its panel decides; events only tell on which display scale its fluorescence is.
    name : str
        Name of the template; what is not allowed in one is replaced.
    markers : mapping, optional
        Markers assigned by hand, marker to detector.
    schema : str
        Where editors find the JSON schema: a path relative to the template, or a URL.

    Returns
    -------
    str
        YAML with comments, which `load_template` reads as it is.

    Raises
    ------
    AmbiguousMarker
        A lineage marker could be any of several channels; the message lists them.
    InputError
        The tube has no fluorescence channel, or none that says what it stains.

    Examples
    --------
    >>> import nti7flow as nf
    >>> print(nf.draft_template(nf.read_fcs("tube.fcs")))  # doctest: +SKIP
    """
    panel = sample.panel.with_markers(markers) if markers else sample.panel
    _check_panel(panel, str(sample.path))
    draft = _Draft(panel)
    body = "".join(draft.populations())
    notes = [*_notes(sample, panel, markers or {}), *_unused(draft)]
    head = blocks.HEAD.substitute(
        schema=printable(schema).replace("\n", " "),
        example=draft.example,
        notes="\n".join(f"# {printable(line)}" if line else "#" for line in notes),
        name=_identifier(name, "my_template"),
        title=_quoted(f"Draft for {', '.join(draft.used.values())}"),
    )
    scales = blocks.SCALES.substitute(fluorescence=_fluorescence_scale(sample, draft.used))
    return head + (blocks.ALIASES if draft.aliased else "") + scales + body


def _check_panel(panel: Panel, path: str) -> None:
    light = [channel for channel in panel.channels if channel.role == "fluorescence"]
    if not light:
        names = printable(", ".join(channel.detector for channel in panel.channels))
        raise InputError(f"{path}: no fluorescence channel to gate on; the panel has {names}.")
    if not any(channel.targets for channel in light):
        names = printable(", ".join(channel.detector for channel in light))
        raise InputError(
            f"{path}: no channel says which marker it carries; the fluorescence detectors are {names}. Say it with "
            f"--marker, as in --marker 'CD3={printable(light[0].detector)}'."
        )


@dataclass
class _Draft:
    """What is drafted so far: channels that are used, with the names they are used by, and why others are not."""

    panel: Panel
    used: dict[int, str] = field(default_factory=dict)
    why_not: dict[int, str] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    aliased: bool = False

    @property
    def example(self) -> str:
        """A population that is worth a look first."""
        return next((name for name in ("cd4_t", "t_cells", "lymphocytes") if name in self.ids), sorted(self.ids)[-1])

    def populations(self) -> Iterator[str]:
        """Blocks in the order in which they are gated."""
        singlets = yield from self._cells()
        lymphocytes = yield from self._lymphocytes(singlets)
        yield from self._t_cells(lymphocytes)
        yield from self._b_and_nk_cells(lymphocytes)
        yield from self._t_subsets()
        yield from self._others(singlets, lymphocytes)

    def _cells(self) -> Iterator[str]:
        """Beads, singlets, live cells; returns the id of what is left, empty for all events."""
        parent = ""
        if (names := self._bead_markers()) is not None:
            self.ids |= {"beads", "cells"}
            yield blocks.BEADS.substitute(dims=", ".join(names), first=names[0], last=names[-1])
            parent = "cells"
        if self._has("FSC-A") and (self._has("FSC-H") or self._has("FSC-W")):
            yield self._block("singlets", blocks.SINGLETS, parent=parent)
            self._use("FSC-A", "FSC-H", "FSC-W")
            parent = "singlets"
        if (channel := _excluded(self.panel)) is not None:
            marker = self._use(channel.marker or channel.detector)
            self.ids |= {"dead", "live"}
            label = _quoted(f"{marker}+ (left out)")
            yield blocks.DEAD.substitute(
                marker=printable(marker), quoted=_quoted(marker), label=label, parent=_parent(parent)
            )
            parent = "live"
        return parent

    def _bead_markers(self) -> list[str] | None:
        """Lineage markers of which no cell carries all; None where there are not enough, or no raw values."""
        names = [name for name in ("CD3", "CD4", "CD8", "CD19") if self._has(name)]
        raw = not any(self.panel.resolve(name).precompensated for name in names)
        distinct = len({self.panel.resolve(name).index for name in names}) == len(names)
        return names if len(names) >= 2 and "CD19" in names and raw and distinct else None

    def _lymphocytes(self, parent: str) -> Iterator[str]:
        """Lymphocytes; returns their id, or that of what is gated in their place."""
        if self._has("CD45") and self._has("SSC"):
            self._use("CD45", "SSC")
            yield self._block("lymphocytes", blocks.LYMPHOCYTES_BY_CD45, parent=parent)
            self.ids |= {"monocytes", "granulocytes"}
            yield blocks.OTHER_LEUKOCYTES.substitute(parent=_parent(parent))
        elif self._has("FSC") and self._has("SSC"):
            self._use("FSC", "SSC")
            yield self._block("lymphocytes", blocks.LYMPHOCYTES_BY_SCATTER, parent=parent)
        else:
            return parent
        return "lymphocytes"

    def _t_cells(self, lymphocytes: str) -> Iterator[str]:
        if not self._has("CD3"):
            return
        self._use("CD3")
        self.ids.add("non_t")
        yield self._block("t_cells", blocks.T_CELLS, parent=lymphocytes, plot="CD3")
        both = self._distinct("CD4", "CD8")
        reference = "non_t"
        for marker in ("CD4", "CD8"):
            if self._has(marker) and self._free(marker):
                self._use(marker)
                name = f"{marker.lower()}_positive" if both else f"{marker.lower()}_t"
                label = f"{marker}+ of T" if both else f"{marker} T"
                yield self._referred(name, label, marker, "t_cells", reference, helper=both)
                reference = name  # CD4 T cells are CD8 negative
        if both:
            self.ids |= {"cd4_t", "cd8_t", "dp_t", "dn_t"}
            yield blocks.CD4_AND_CD8

    def _b_and_nk_cells(self, lymphocytes: str) -> Iterator[str]:
        parent = "non_t" if "non_t" in self.ids else lymphocytes
        marker = next((name for name in ("CD19", "CD20") if self._has(name) and self._free(name)), None)
        if marker is not None:
            self._use(marker)
            yield self._lineage("b_cells", f"B cells ({marker}+)", marker, parent, lymphocytes)
        channel = next((c for n in ("CD16+CD56", "CD56", "CD16") if (c := self._find(n)) and c.index not in self.used), None)
        if channel is None or "non_t" not in self.ids:  # without CD3 an NK marker is one of T cells as well
            return
        if marker is not None:
            self.ids.add("non_t_non_b")
            yield blocks.NON_T_NON_B.substitute(parent=parent)
            parent = "non_t_non_b"
        self.aliased, self.used[channel.index] = True, channel.marker or channel.detector
        yield self._lineage("nk_cells", "NK cells (CD16/56+)", "NK", parent, lymphocytes)

    def _lineage(self, name: str, label: str, marker: str, parent: str, lymphocytes: str) -> str:
        """B or NK cells: T cells are the negative population to stand on."""
        if "t_cells" in self.ids:
            return self._referred(name, label, marker, parent, "t_cells", fit_on=lymphocytes)
        return self._block(name, blocks.POSITIVE, id=name, label=label, marker=marker, parent=parent, plot=marker)

    def _t_subsets(self) -> Iterator[str]:
        """Memory, regulatory and CD31+ naive T cells."""
        subsets = [("cd4", "CD4", "cd4_t"), ("cd8", "CD8", "cd8_t"), ("t", "T", "t_cells")]
        known = [subset for subset in subsets if subset[2] in self.ids]
        known = [subset for subset in known if subset[2] != "t_cells"] or known
        if known and self._distinct("CCR7", "CD45RA"):
            self._use("CCR7", "CD45RA")
            self.ids |= {"ccr7_positive", "cd45ra_positive"}
            yield blocks.MEMORY_MARKERS
            for prefix, label, parent in known:
                self.ids |= {f"{prefix}_{kind}" for kind in ("naive", "cm", "em", "temra")}
                yield blocks.MEMORY.substitute(prefix=prefix, label=label, parent=parent)
        if {"cd4_t", "cd8_t"} <= self.ids and self._distinct("CD25", "CD127"):
            self._use("CD25", "CD127")
            self.ids |= {"cd25_high", "cd127_low", "cd4_treg"}
            yield blocks.TREG.substitute(reference="cd8_t")
        if "cd4_naive" in self.ids and self._has("CD31") and self._free("CD31"):
            self._use("CD31")
            self.ids |= {"cd31_positive", "cd4_cd31_naive"}
            yield blocks.CD31_NAIVE

    def _others(self, singlets: str, lymphocytes: str) -> Iterator[str]:
        """Every other stained channel: a valley of T cells, of B cells, or of whatever there is."""
        introduced = False
        for channel in self.panel.channels:
            if channel.index in self.used or channel.role != "fluorescence" or (why := self._unusable(channel)):
                if channel.index not in self.used and channel.role == "fluorescence":
                    self.why_not[channel.index] = why
                continue
            marker, myeloid = channel.marker or channel.detector, bool(channel.targets & MYELOID)
            of = next((name for name in ("t_cells", "b_cells") if name in self.ids and not myeloid), "")
            where = {"t_cells": " of T", "b_cells": " of B"}.get(of, "")
            if not introduced:
                yield blocks.OTHERS
                introduced = True
            name = self._new_id(f"{_identifier(marker, f'channel_{channel.index + 1}')}_positive")
            self.used[channel.index] = marker
            parent = of or (singlets if myeloid else lymphocytes)
            label = _quoted(f"{marker}+{where}")
            yield self._block(name, blocks.POSITIVE, id=name, label=label, marker=marker, parent=parent, plot=marker)

    def _unusable(self, channel: Channel) -> str:
        """Say why a fluorescence channel cannot be gated on; empty where it can."""
        if not channel.marker and not channel.targets:
            return "says no marker; name it with --marker MARKER=DETECTOR"
        if squeeze(channel.marker) in EMPTY:
            return "is said to hold no marker"
        if not channel.targets:
            return f"is said not to be stained ({channel.marker})"
        if channel.measure == "W":
            return "a width: it tells the duration of the pulse, not the stain"
        found = self.panel.candidates(channel.marker or channel.detector)
        if [other.index for other in found] == [channel.index]:
            return ""
        if len(found) == 1:
            return f"{found[0].detector} is the same stain"
        return f"{channel.marker} could be any of {', '.join(other.detector for other in found) or 'no channel'}"

    def _find(self, name: str) -> Channel | None:
        """Channel of a marker or scatter name; raises `AmbiguousMarker` where a marker could be several."""
        found = self.panel.candidates(name)
        if len(found) > 1 and found[0].role == "scatter":
            return None
        return self.panel.resolve(name) if found else None

    def _has(self, name: str) -> bool:
        return self._find(name) is not None

    def _free(self, name: str) -> bool:
        """Whether a channel of that name serves no other marker yet: on one channel two lineages cannot be told."""
        return (channel := self._find(name)) is not None and channel.index not in self.used

    def _distinct(self, one: str, other: str) -> bool:
        first, second = self._find(one), self._find(other)
        return self._free(one) and self._free(other) and first is not None and second is not None and first != second

    def _use(self, *names: str) -> str:
        """Note that channels are used by these names, as far as the panel has them; returns the last name."""
        for name in names:
            if (channel := self._find(name)) is not None:
                self.used[channel.index] = name
        return names[-1]

    def _plot(self, marker: str) -> str:
        """Line with the axes of a picture: beside side scatter where that is there."""
        return f"\n    plot: [{_quoted(marker)}, SSC]" if self._has("SSC") else ""

    def _block(self, name: str, block: object, **values: str) -> str:
        """Fill in a block and remember its population."""
        assert isinstance(block, blocks.Template)
        self.ids.add(name)
        filled = values | {"parent": _parent(values["parent"])}
        if "plot" in values:
            self._use("SSC")
            filled["plot"] = self._plot(values["plot"])
        if "marker" in values:
            filled["marker"] = _quoted(values["marker"])
        return block.substitute(filled)

    def _referred(
        self, name: str, label: str, marker: str, parent: str, reference: str, *, fit_on: str = "", helper: bool = False
    ) -> str:
        """A threshold with a fallback on cells known to be negative."""
        self.ids.add(name)
        self._use("SSC")
        return blocks.POSITIVE_WITH_REFERENCE.substitute(
            id=name,
            label=label,
            marker=marker,
            parent=parent,
            reference=reference,
            helper="\n    helper: true" if helper else "",
            plot=self._plot(marker) if not helper else "\n    plot: [CD4, CD8]",
            fit_on=f"\n      fit_on: {fit_on}" if fit_on else "",
        )

    def _new_id(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self.ids or name == "root":
            name, number = f"{wanted}_{number}", number + 1
        return name


def _excluded(panel: Panel) -> Channel | None:
    """The one channel that stains what is to be left out; None where there is none, or several could be it."""
    found = [
        channel
        for channel in panel.channels
        if channel.role == "fluorescence"
        and (
            channel.targets & EXCLUDED
            or squeeze(channel.marker) in EXCLUDED
            or _EXCLUDED_DYE.search(squeeze(channel.fluorochrome))
        )
    ]
    viability = [c for c in found if "DUMP" not in c.targets] or found
    usable = [c for c in viability if panel.candidates(c.marker or c.detector) == [c]]
    return usable[0] if usable else None


def _notes(sample: Sample, panel: Panel, markers: Mapping[str, str]) -> Iterator[str]:
    """What to know before gating: how the tube is compensated, and what was said by hand."""
    from nti7flow.errors import InputError as Unreadable
    from nti7flow.events.spillover import spillover_for

    yield ""
    if markers:
        said = " ".join(f"--marker '{marker}={detector}'" for marker, detector in markers.items())
        yield f"Markers were named by hand; gate with the same: {said}"
    try:
        spillover_for(sample, "keyword")
        yield "Compensation: as the file says."
    except Unreadable:
        yield "Compensation: the file holds no usable spillover matrix; gate with --spillover MATRIX.csv, or none."


def _unused(draft: _Draft) -> Iterator[str]:
    """Channels that nothing is gated on, and why."""
    rest = [channel for channel in draft.panel.channels if channel.index not in draft.used]
    if not rest:
        return
    yield ""
    yield "Not used:"
    for channel in rest:
        why = draft.why_not.get(channel.index)
        if why is None:
            why = {"time": "time", "scatter": "another measure of scatter"}.get(channel.role, "no fluorescence")
        named = f" ({channel.marker})" if channel.marker else ""
        yield f"  {channel.detector}{named}: {why}"


def _fluorescence_scale(sample: Sample, used: Mapping[int, str]) -> str:
    """Display scale of fluorescence: a logicle, unless the values show that they are from no detector.

    Values that never exceed `DISPLAYED` have been transformed before they were stored. Values of a mass cytometer are
    not negative, and often exactly zero; arcsinh with a cofactor of 5 is what that field uses.
    """
    light = [c.detector for c in sample.panel.channels if c.index in used and c.role == "fluorescence"]
    step = max(1, -(-sample.n_events // SCALE_EVENTS))
    values = sample.columns(light)[::step]
    values = values[np.isfinite(values).all(axis=1)]
    if values.size:
        low, high = (float(v) for v in np.quantile(values, (0.001, 0.999)))
        if high < DISPLAYED:
            top, negative = max(1.1 * high, 1e-6), max(-1.1 * low, 0.0)
            return f"{{kind: linear, top: {top:.4g}, negative: {min(negative, top):.4g}}} # the file is on a display scale"
        scatter = any(channel.role == "scatter" for channel in sample.panel.channels)
        if not scatter and low >= -1.0 and np.mean(values == 0.0) > 0.05:
            return "{kind: arcsinh, top: 12000, decades: 3.68} # mass cytometry: asinh(x / 5)"
    return "{kind: logicle, decades: 4.5, top: auto, width: auto}"


def _parent(name: str) -> str:
    return f"\n    parent: {name}" if name else ""


def _identifier(text: str, otherwise: str) -> str:
    """Lower-case name of ASCII letters, digits and underscores, as ids must be."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return name if name[:1].isalpha() else f"{otherwise}_{name}".strip("_") if name else otherwise


def _quoted(text: str) -> str:
    """Text as YAML takes it for text."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text)
