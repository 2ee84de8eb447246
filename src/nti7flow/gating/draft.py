"""A template drafted from one tube's panel: which markers it carries says which blocks are written."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from string import Template

from nti7flow.errors import InputError, printable
from nti7flow.events.markers import squeeze
from nti7flow.events.panel import Channel, Panel
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import spillover_for
from nti7flow.gating import draft_blocks as blocks
from nti7flow.gating.draft_scales import scale_lines

_LEFT_OUT = "VIABILITY VIABLE VIAB LIVE DEAD LIVEDEAD LD VIVID ZOMBIE AQUA PI 7AAD DAPI SYTOX TOPRO GHOSTDYE DUMP"
#: Names under which labs stain what is to be left out: dyes that enter dead cells, and dump channels.
EXCLUDED = frozenset(_LEFT_OUT.split())
_EXCLUDED_DYE = re.compile(r"ZOMBIE|LIVEDEAD|LDAQUA|SYTOX|GHOSTDYE")
_NOTHING = "AF EMPTY BLANK NONE UNUSED NA AUTOFLUORESCENCE BACKGROUND"
#: Names of channels that hold no marker.
EMPTY = frozenset(_NOTHING.split())
_MYELOID = "CD14 CD15 CD33 CD11B CD11C CD64 CD66B CD123 CD203C CD235A CD34 CD117 FCER1A"
#: Markers of cells that are no lymphocytes: looked for among all single cells.
MYELOID = frozenset(_MYELOID.split())
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*")
#: Plain words that YAML, or a reader of an older version of it, takes for something else than text.
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
SCHEMA_PATH = "../schema/template-1.schema.json"


def draft_template(
    sample: Sample, *, name: str = "my_template", markers: Mapping[str, str] | None = None, schema: str = SCHEMA_PATH
) -> str:
    """Draft a template for tubes with the panel of this one.

    Parameters
    ----------
    sample : Sample
        The tube. Its panel decides; events only tell on which display scales it is.
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
    if not draft.ids:
        raise InputError("\n".join([f"{sample.path}: no channel can be gated on.", *_unused(draft)]))
    light = [c for c in panel.channels if c.index in draft.used and c.role == "fluorescence"]
    spread = ("SSC",) if "CD45" in draft.used.values() else ()
    notes = [*_notes(sample, markers or {}), *_unused(draft)]
    head = blocks.HEAD.substitute(
        schema=printable(schema),
        example=draft.example,
        notes="\n".join(f"# {printable(line)}".rstrip() for line in notes),
        name=_identifier(name, "my_template"),
        title=_quoted(f"Draft for {', '.join(draft.used[channel.index] for channel in light)}"),
    )
    scales = "\n".join(scale_lines(sample, light, draft.scatter, spread=spread))
    aliases = blocks.ALIASES if "nk_cells" in draft.ids else ""
    return head + aliases + blocks.SCALES.substitute(scales=scales) + body


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
    """What is drafted so far.

    ``used`` are the channels that something is gated on, with the names they are used by; a channel serves once.
    ``cells`` is the population of single cells, ``lymphocytes`` that of lymphocytes or what stands for them; empty is
    all events.
    """

    panel: Panel
    used: dict[int, str] = field(default_factory=dict)
    scatter: dict[str, Channel] = field(default_factory=dict)
    why_not: dict[int, str] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    cells: str = ""
    lymphocytes: str = ""

    @property
    def example(self) -> str:
        """A population that is worth a look first."""
        first = ("cd4_t", "t_cells", "lymphocytes")
        return next((name for name in first if name in self.ids), max(self.ids, default="POPULATION"))

    def populations(self) -> Iterator[str]:
        """Blocks in the order in which they are gated."""
        yield from self._single_cells()
        yield from self._lymphocytes()
        yield from self._t_cells()
        yield from self._b_and_nk_cells()
        yield from self._t_subsets()
        yield from self._others()

    def _single_cells(self) -> Iterator[str]:
        """Beads, singlets and live cells."""
        if (names := self._bead_markers()) is not None:
            self.ids |= {"beads", "cells"}
            yield blocks.BEADS.substitute(dims=", ".join(names), first=names[0], last=names[-1])
            self.cells = "cells"
        if self._find("FSC-A") and (self._find("FSC-H") or self._find("FSC-W")):
            self._use("FSC-A", "FSC-H", "FSC-W")
            yield self._block("singlets", blocks.SINGLETS, parent=self.cells)
            self.cells = "singlets"
        if (channel := _excluded(self.panel)) is not None:
            marker = channel.marker or channel.detector
            self.used[channel.index] = marker
            self.ids |= {"dead", "live"}
            label = _quoted(f"{marker}+ (left out)")
            yield blocks.DEAD.substitute(
                marker=_quoted(marker), named=printable(marker), label=label, parent=_parent(self.cells)
            )
            self.cells = "live"

    def _bead_markers(self) -> list[str] | None:
        """Lineage markers of which no cell carries all; None where there are not enough, or no raw values."""
        found = {name: channel for name in ("CD3", "CD4", "CD8", "CD19") if (channel := self._find(name))}
        distinct = len({channel.index for channel in found.values()}) == len(found) >= 2
        raw = not any(channel.precompensated for channel in found.values())
        return list(found) if "CD19" in found and distinct and raw else None

    def _lymphocytes(self) -> Iterator[str]:
        self.lymphocytes = self.cells
        if not self._find("SSC"):
            return
        if self._find("CD45"):
            self._use("CD45", "SSC")
            yield self._block("lymphocytes", blocks.LYMPHOCYTES_BY_CD45, parent=self.cells)
            self.ids |= {"monocytes", "granulocytes"}
            yield blocks.OTHER_LEUKOCYTES.substitute(parent=_parent(self.cells))
        elif self._find("FSC"):
            self._use("FSC", "SSC")
            yield self._block("lymphocytes", blocks.LYMPHOCYTES_BY_SCATTER, parent=self.cells)
        else:
            return
        self.lymphocytes = "lymphocytes"

    def _t_cells(self) -> Iterator[str]:
        if not self._free("CD3"):
            return
        self._use("CD3")
        self.ids.add("non_t")
        yield self._block("t_cells", blocks.T_CELLS, parent=self.lymphocytes, plot="CD3")
        both, reference = self._distinct("CD4", "CD8"), "non_t"
        for marker in filter(self._free, ("CD4", "CD8")):
            self._use(marker)
            name = f"{marker.lower()}_positive" if both else f"{marker.lower()}_t"
            label = f"{marker}+ of T" if both else f"{marker} T"
            plot = "\n    plot: [CD4, CD8]" if both else self._beside_scatter(marker)
            yield self._referred(name, label, marker, "t_cells", reference, plot=plot, helper=both)
            reference = name  # CD4 T cells are CD8 negative
        if both:
            self.ids |= {"cd4_t", "cd8_t", "dp_t", "dn_t"}
            yield blocks.CD4_AND_CD8

    def _b_and_nk_cells(self) -> Iterator[str]:
        parent = "non_t" if "non_t" in self.ids else self.lymphocytes
        marker = next(filter(self._free, ("CD19", "CD20")), None)
        if marker is not None:
            self._use(marker)
            yield self._lineage("b_cells", f"B cells ({marker}+)", marker, parent)
        spelling = next(filter(self._find, ("CD16+CD56", "CD56", "CD16")), "")
        if not spelling or not self._free(spelling) or "non_t" not in self.ids:
            return  # without CD3 an NK marker is one of T cells as well
        if marker is not None:
            self.ids.add("non_t_non_b")
            yield blocks.NON_T_NON_B.substitute(parent=parent)
            parent = "non_t_non_b"
        self._use(spelling)
        yield self._lineage("nk_cells", "NK cells (CD16/56+)", "NK", parent)

    def _lineage(self, name: str, label: str, marker: str, parent: str) -> str:
        """B or NK cells: T cells are the negative population to stand on."""
        if "t_cells" not in self.ids:
            return self._block(name, blocks.POSITIVE, id=name, label=label, marker=marker, parent=parent, plot=marker)
        fit_on = f"\n      fit_on: {self.lymphocytes}" if self.lymphocytes else ""
        plot = self._beside_scatter(marker)
        return self._referred(name, label, marker, parent, "t_cells", plot=plot, fit_on=fit_on)

    def _t_subsets(self) -> Iterator[str]:
        """Memory, regulatory and CD31+ naive T cells."""
        subsets = [(prefix, f"{prefix}_t") for prefix in ("cd4", "cd8") if f"{prefix}_t" in self.ids]
        if "t_cells" in self.ids and self._distinct("CCR7", "CD45RA"):
            self._use("CCR7", "CD45RA")
            self.ids |= {"ccr7_positive", "cd45ra_positive"}
            yield blocks.MEMORY_MARKERS
            for prefix, parent in subsets or [("t", "t_cells")]:
                self.ids |= {f"{prefix}_{kind}" for kind in ("naive", "cm", "em", "temra")}
                yield blocks.MEMORY.substitute(prefix=prefix, label=prefix.upper(), parent=parent)
        if len(subsets) == 2 and self._distinct("CD25", "CD127"):
            self._use("CD25", "CD127")
            self.ids |= {"cd25_high", "cd127_low", "cd4_treg"}
            yield blocks.TREG
        if "cd4_naive" in self.ids and self._free("CD31"):
            self._use("CD31")
            self.ids |= {"cd31_positive", "cd4_cd31_naive"}
            yield blocks.CD31_NAIVE

    def _others(self) -> Iterator[str]:
        """Every other stained channel: a valley of T cells, of B cells, or of whatever there is."""
        rest = [c for c in self.panel.channels if c.role == "fluorescence" and c.index not in self.used]
        self.why_not = {channel.index: why for channel in rest if (why := self._unusable(channel))}
        rest = [channel for channel in rest if channel.index not in self.why_not]
        if rest:
            yield blocks.OTHERS
        for channel in rest:
            marker, myeloid = channel.marker or channel.detector, bool(channel.targets & MYELOID)
            of = "" if myeloid else next((name for name in ("t_cells", "b_cells") if name in self.ids), "")
            parent = of or (self.cells if myeloid else self.lymphocytes)
            name = self._new_id(f"{_identifier(marker, f'channel_{channel.index + 1}')}_positive")
            label = _quoted(marker + {"t_cells": "+ of T", "b_cells": "+ of B"}.get(of, "+"))
            self.used[channel.index] = marker
            yield self._block(name, blocks.POSITIVE, id=name, label=label, marker=marker, parent=parent, plot=marker)

    def _unusable(self, channel: Channel) -> str:
        """Say why a fluorescence channel cannot be gated on; empty where it can."""
        if not channel.marker and not channel.targets:
            return "says no marker; name it with --marker MARKER=DETECTOR"
        if squeeze(channel.marker) in EMPTY:
            return "is said to hold no marker"
        if not channel.targets:
            return "is said not to be stained"
        if channel.measure == "W":
            return "a width tells how long the pulse was, not how much was stained"
        found = self.panel.candidates(channel.marker or channel.detector)
        if found == [channel]:
            return ""
        if len(found) == 1:
            return f"{found[0].detector} has the same marker"
        return f"the name could mean any of {', '.join(other.detector for other in found) or 'no channel'}"

    def _find(self, name: str) -> Channel | None:
        """Channel of a marker or scatter name; raises `AmbiguousMarker` where a marker could be several."""
        found = self.panel.candidates(name)
        if not found or (len(found) > 1 and found[0].role == "scatter"):
            return None
        return self.panel.resolve(name)

    def _free(self, name: str) -> bool:
        """Whether there is such a channel and it serves no other marker: two on one channel cannot be told apart."""
        channel = self._find(name)
        return channel is not None and channel.index not in self.used

    def _distinct(self, one: str, other: str) -> bool:
        return self._free(one) and self._free(other) and self._find(one) != self._find(other)

    def _use(self, *names: str) -> None:
        """Note that channels are used by these names, as far as the panel has them."""
        for name in names:
            if (channel := self._find(name)) is not None:
                self.used[channel.index] = name
                if channel.role == "scatter":
                    self.scatter[name] = channel

    def _beside_scatter(self, marker: str) -> str:
        """Line with the axes of a picture: a marker beside side scatter, where that is there."""
        self._use("SSC")
        return f"\n    plot: [{_quoted(marker)}, SSC]" if "SSC" in self.scatter else ""

    def _block(self, name: str, block: Template, *, parent: str, **values: str) -> str:
        """Fill in a block and remember its population."""
        self.ids.add(name)
        if "plot" in values:
            values["plot"] = self._beside_scatter(values["plot"])
        if "marker" in values:
            values["marker"] = _quoted(values["marker"])
        return block.substitute(values, parent=_parent(parent))

    def _referred(
        self,
        name: str,
        label: str,
        marker: str,
        parent: str,
        reference: str,
        *,
        plot: str,
        fit_on: str = "",
        helper: bool = False,
    ) -> str:
        """Fill in a threshold with a fallback on cells known to be negative."""
        self.ids.add(name)
        return blocks.POSITIVE_WITH_REFERENCE.substitute(
            id=name,
            label=label,
            marker=marker,
            parent=parent,
            reference=reference,
            plot=plot,
            fit_on=fit_on,
            helper="\n    helper: true" if helper else "",
        )

    def _new_id(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self.ids:
            name, number = f"{wanted}_{number}", number + 1
        return name


def _excluded(panel: Panel) -> Channel | None:
    """Find a channel that stains what is to be left out: dead cells first, else a dump; None where there is none."""
    found = [
        channel
        for channel in panel.channels
        if channel.role == "fluorescence"
        and (
            channel.targets & EXCLUDED
            or squeeze(channel.marker) in EXCLUDED
            or _EXCLUDED_DYE.search(squeeze(channel.fluorochrome))
        )
        and panel.candidates(channel.marker or channel.detector) == [channel]  # one that its name means
    ]
    return min(found, key=lambda channel: ("DUMP" in channel.targets, channel.index), default=None)


def _notes(sample: Sample, markers: Mapping[str, str]) -> Iterator[str]:
    """Say what to know before gating: how the tube is compensated, and what was named by hand."""
    yield ""
    if markers:
        said = " ".join(f"--marker '{marker}={detector}'" for marker, detector in markers.items())
        yield f"Markers were named by hand; gate with the same: {said}"
    try:
        spillover_for(sample, "keyword")
        yield "Compensation: as the file says."
    except InputError:
        yield "Compensation: the file holds no matrix that can be used; gate with --spillover MATRIX.csv, or none."


def _unused(draft: _Draft) -> Iterator[str]:
    """Channels that nothing is gated on, and why."""
    rest = [channel for channel in draft.panel.channels if channel.index not in draft.used]
    if rest:
        yield from ("", "Not used:")
    for channel in rest:
        otherwise = {"time": "time", "scatter": "another measure of scatter"}.get(channel.role, "no fluorescence")
        named = f" ({channel.marker})" if channel.marker else ""
        yield f"  {channel.detector}{named}: {draft.why_not.get(channel.index, otherwise)}"


def _parent(name: str) -> str:
    return f"\n    parent: {name}" if name else ""


def _identifier(text: str, otherwise: str) -> str:
    """Lower-case name of ASCII letters, digits and underscores, as ids must be."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return name if name[:1].isalpha() else f"{otherwise}_{name}".strip("_")


def _quoted(text: str) -> str:
    """Text as YAML takes it for text."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    if plain:
        return text
    return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in json.dumps(text, ensure_ascii=False))
