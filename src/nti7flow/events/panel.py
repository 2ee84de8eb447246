"""`Panel`: the channels of a tube, and which marker each carries."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from nti7flow.errors import AmbiguousMarker, UnknownMarker, did_you_mean, printable
from nti7flow.events import codes
from nti7flow.events.markers import parse_marker, scatter_kind, split_measure, squeeze, strip_prefix
from nti7flow.events.notes import Findings, refusal
from nti7flow.events.numbers import decimal, positive

Role = Literal["scatter", "fluorescence", "time", "other"]
#: More decades than this are no amplifier but a damaged $PnE.
MOST_DECADES = 20
#: Letters of a name that are looked at for a marker; no panel has longer ones, and a hostile file could have millions.
LONGEST_NAME = 256
_MEASURE_ORDER = ("A", "", "H", "W")


@dataclass(frozen=True, slots=True)
class Channel:
    """One column of the events.

    Attributes
    ----------
    index : int
        Column in ``Sample.events``, from 0.
    detector : str
        $PnN as written.
    marker : str
        What the antibody binds, as the lab wrote it without the dye; empty for scatter and time.
    fluorochrome : str
        The dye, where the file names one.
    role : str
        ``scatter``, ``fluorescence``, ``time`` or ``other``.
    targets : frozenset of str
        Canonical names the channel answers to.
    base, measure : str
        The detector without prefix and measure, and the measure (A, H, W or empty).
    range : float or None
        $PnR: number of levels; not a limit for floating-point data.
    gain : float or None
        $PnG.
    log_amplifier : tuple of float or None
        Decades and offset of $PnE for integer data from a logarithmic amplifier.
    precompensated : bool
        The name says the values are already compensated or unmixed.
    assigned : bool
        The marker was given by hand (`Panel.with_markers`).
    """

    index: int
    detector: str
    marker: str
    fluorochrome: str
    role: Role
    targets: frozenset[str]
    base: str
    measure: str
    range: float | None = None
    gain: float | None = None
    log_amplifier: tuple[float, float] | None = None
    precompensated: bool = False
    assigned: bool = False

    def __post_init__(self) -> None:
        if self.log_amplifier is not None and self.range is None:
            raise ValueError(f"channel {self.detector} has a logarithmic amplifier but no range")

    @property
    def title(self) -> str:
        """The name for axes and tables: the marker where there is one, else the detector."""
        return self.marker or self.detector

    @property
    def top(self) -> float:
        """Top of scale of the linearised values, scale units."""
        if self.log_amplifier is not None:
            decades, offset = self.log_amplifier
            return float(offset * 10.0**decades)
        gain = self.gain if self.gain not in (None, 0.0) and self.role != "time" else 1.0
        return (self.range or 262144.0) / (gain or 1.0)


@dataclass(frozen=True, repr=False)
class Panel:
    """The channels of a tube in file order."""

    channels: tuple[Channel, ...]

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, str], *, path: str = "", findings: Findings | None = None) -> Panel:
        """Build the panel from TEXT keywords.

        Raises `FcsError` for missing or duplicate $PnN and unreadable $PnE; what is odd and has one reading is added
        to ``findings``.
        """
        findings = findings if findings is not None else Findings(path)
        n_channels = int(keywords["$PAR"])
        channels = tuple(_channel(keywords, n, findings) for n in range(1, n_channels + 1))
        seen: dict[str, int] = {}
        for n, channel in enumerate(channels, 1):
            if channel.detector in seen:
                raise refusal(
                    codes.DUPLICATE_NAME,
                    path=findings.path,
                    found=f"channels {seen[channel.detector]} and {n} both named {channel.detector!r}",
                    expected="a name of its own for each",
                )
            seen[channel.detector] = n
        _check_time_step(keywords, channels, findings)
        return cls(channels)

    def resolve(self, name: str) -> Channel:
        """Find the one channel that carries a marker (or has this detector or scatter name).

        A marker assigned by hand comes first, then a detector name as written. A marker is matched by its targets:
        ``CD4`` finds "CD4 FITC" and "CD4+CD20" but never "CD45"; ``CD16+CD56`` finds the channel that carries both. Of
        area, height and width of one detector, area is taken.

        Raises
        ------
        UnknownMarker
            No channel carries it.
        AmbiguousMarker
            More than one could; the message lists them.
        """
        candidates = self.candidates(name)
        if not candidates:
            titles = [channel.title for channel in self.channels]
            raise UnknownMarker(
                f"no channel carries {name}; the panel has {printable(', '.join(titles))}."
                + did_you_mean(name, titles + [channel.detector for channel in self.channels])
            )
        if len(candidates) > 1:
            listing = printable(", ".join(f"{c.detector} ({c.marker or 'no marker'})" for c in candidates))
            raise AmbiguousMarker(
                f"{name} could be any of {len(candidates)} channels: {listing}. Say which with "
                f"--marker '{name}=DETECTOR' or correct the marker names in the file."
            )
        return candidates[0]

    def candidates(self, name: str) -> list[Channel]:
        """All channels that a name could mean, one per detector."""
        wanted = parse_marker(name).targets
        by_hand = [c for c in self.channels if c.assigned and wanted and wanted <= c.targets]
        if by_hand:
            return by_hand
        # A detector named after an antigen that was assigned another marker no longer answers to its name.
        named = [c for c in self.channels if not (c.assigned and _is_antigen(c.base))]
        exact = [c for c in named if c.detector == name]
        labelled = [c for c in self.channels if c.role == "fluorescence" and wanted and wanted <= c.targets]
        if exact and exact[0].targets and labelled and exact[0] not in labelled and exact[0].role == "fluorescence":
            return [*exact, *_best_measure(labelled)]  # $PnN says one thing, $PnS another
        if exact:
            return exact
        base, measure = split_measure(name)
        kind = scatter_kind(base)
        if kind:
            found = [c for c in self.channels if c.role == "scatter" and c.targets == {kind}]
            return [c for c in found if c.measure == measure] if measure else _best_measure(found)
        if squeeze(name) == "TIME":
            return [channel for channel in self.channels if channel.role == "time"]
        found = [c for c in self.channels if wanted and c.role in ("fluorescence", "other") and wanted <= c.targets]
        if not found:
            found = [c for c in named if squeeze(strip_prefix(c.detector)[0]) == squeeze(strip_prefix(name)[0])]
        return _best_measure(found)

    def detector(self, name: str) -> Channel:
        """Return the channel with this $PnN, exactly as written; raises `UnknownMarker`."""
        for channel in self.channels:
            if channel.detector == name:
                return channel
        detectors = [channel.detector for channel in self.channels]
        raise UnknownMarker(
            f"the panel has no detector {name}; it has {printable(', '.join(detectors))}."
            + did_you_mean(name, detectors)
        )

    def with_markers(self, overrides: Mapping[str, str]) -> Panel:
        """Return the panel with markers assigned by hand (marker to detector).

        The named detector gets the marker, and every other channel loses it.
        """
        chosen: dict[int, str] = {}
        for marker, detector in overrides.items():
            try:
                index = self.detector(detector).index
            except UnknownMarker as error:
                raise UnknownMarker(f"--marker {marker}={detector}: {error}") from None
            chosen[index] = f"{chosen[index]}+{marker}" if index in chosen else marker
        taken = frozenset[str]().union(*(parse_marker(marker).targets for marker in overrides))
        return Panel(
            tuple(
                replace(c, marker=chosen[c.index], targets=parse_marker(chosen[c.index]).targets, assigned=True)
                if c.index in chosen
                else replace(c, targets=c.targets - taken)
                for c in self.channels
            )
        )

    def __repr__(self) -> str:
        rows = "\n".join(
            printable(f"  {c.detector:<16} {c.marker:<12} {c.fluorochrome:<12} {c.role}") for c in self.channels
        )
        return f"<Panel of {len(self.channels)} channels>\n{rows}"

    def _repr_html_(self) -> str:
        head = "<tr><th>detector</th><th>marker</th><th>fluorochrome</th><th>role</th></tr>"
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(printable(v))}</td>" for v in (c.detector, c.marker, c.fluorochrome, c.role))
            + "</tr>"
            for c in self.channels
        )
        return f"<table>{head}{rows}</table>"


def _best_measure(found: list[Channel]) -> list[Channel]:
    """Keep one channel per detector: compensated before raw, area before height before width."""
    best: dict[str, Channel] = {}
    for channel in sorted(found, key=lambda c: (not c.precompensated, _MEASURE_ORDER.index(c.measure), c.index)):
        best.setdefault(channel.base.casefold(), channel)
    return sorted(best.values(), key=lambda c: c.index)


def _channel(keywords: Mapping[str, str], n: int, findings: Findings) -> Channel:
    written = keywords.get(f"$P{n}N", "").strip()
    if not written:
        raise refusal(codes.NO_NAME, path=findings.path, found=f"no $P{n}N", expected="a name for each channel")
    label = keywords.get(f"$P{n}S", "").strip()[:LONGEST_NAME]
    detector, precompensated = strip_prefix(written[:LONGEST_NAME])
    base, measure = split_measure(detector)
    role = _role(base, detector)
    marker, dye, targets = "", "", frozenset[str]()
    if role == "scatter":
        targets = frozenset({scatter_kind(base)} - {""}) or frozenset({squeeze(base)})
    elif role == "fluorescence":
        named, named_measure = split_measure(strip_prefix(label)[0])  # "FL1-Height" says no more than FL1-H
        if named_measure != measure or squeeze(named) == "HLA":  # HLA-A is no area
            named = strip_prefix(label)[0]
        if squeeze(named) == squeeze(base):
            named = ""
        parsed = parse_marker(named) if named else parse_marker(base)
        if named or _is_antigen(base):
            marker, dye, targets = parsed.marker, parsed.fluorochrome, parsed.targets
        if not dye and parse_marker(base).fluorochrome:
            dye = parse_marker(base).fluorochrome
    return Channel(
        index=n - 1,
        detector=written,
        marker=marker,
        fluorochrome=dye,
        role=role,
        targets=targets,
        base=base,
        measure=measure,
        range=_range(keywords, n, findings),
        gain=_gain(keywords, n, findings),
        log_amplifier=_log_amplifier(keywords, n, findings),
        precompensated=precompensated,
    )


def _role(base: str, detector: str) -> Role:
    name = squeeze(base)
    if name in ("TIME", "HDRT") or squeeze(detector) in ("TIME", "HDRT"):
        return "time"
    if scatter_kind(base) or re.match(r"^(FSC|SSC|FS|SS)\b", base, re.IGNORECASE):
        return "scatter"
    if name.startswith("HDR") or name in ("WIDTH", "EVENT", "EVENTNUMBER", "ORIGINALID", "DOUBLET", "REMOVEFROMALL"):
        return "other"
    return "fluorescence"


def _is_antigen(base: str) -> bool:
    """Whether a detector without $PnS is named after what it stains (CD3) and not after a dye or position (FL1)."""
    parsed = parse_marker(base)
    return any(re.fullmatch(r"CD\d+[A-Z]*", target) for target in parsed.targets) or squeeze(base) in _BARE_ANTIGENS


_NAMES = "CCR7 HLADR PD1 KI67 FOXP3 TCRGD TCRAB IGD IGM IGK IGL CCR4 CCR5 CCR6 CXCR3 CXCR5 IFNG IL2 TNFA"
_BARE_ANTIGENS = frozenset(_NAMES.split())


def _is_integer(keywords: Mapping[str, str], n: int) -> bool:
    """Whether the channel holds whole numbers, binary or in ASCII, as amplifiers with a logarithmic scale give."""
    kind = keywords.get(f"$P{n}DATATYPE", "").strip() or keywords["$DATATYPE"]
    return kind.strip().upper() in ("I", "A")


def _range(keywords: Mapping[str, str], n: int, findings: Findings) -> float | None:
    text = keywords.get(f"$P{n}R", "").strip()
    value = positive(text)
    if value is not None and _is_integer(keywords, n) and not value.is_integer():
        value = None  # no number of levels: a mask made of it would take bits that are part of the values
    # Floating-point data need no range; what stands there is often 0 or missing, and nothing depends on it.
    if value is None and (_is_integer(keywords, n) or not text):
        findings.add(codes.NO_RANGE, found=f"$P{n}R={text!r}", assumed="all bits are kept")
    return value


def _gain(keywords: Mapping[str, str], n: int, findings: Findings) -> float | None:
    text = keywords.get(f"$P{n}G", "").strip()
    value = positive(text)
    if value is None and text:
        findings.add(codes.BAD_GAIN, found=f"$P{n}G={text[:40]!r}", assumed="a gain of 1")
    return value


def _check_time_step(keywords: Mapping[str, str], channels: tuple[Channel, ...], findings: Findings) -> None:
    text = keywords.get("$TIMESTEP", "").strip()
    if text and positive(text) is None and any(channel.role == "time" for channel in channels):
        findings.add(codes.BAD_TIME_STEP, found=f"$TIMESTEP={text[:40]!r}", assumed="time is left as stored")


def _log_amplifier(keywords: Mapping[str, str], n: int, findings: Findings) -> tuple[float, float] | None:
    """Decades and offset of $PnE, None for a linear amplifier. "4,0" is read as "4,1", as the standard advises."""
    text = keywords.get(f"$P{n}E", "").strip()
    integer = _is_integer(keywords, n)
    if not text:
        findings.add(codes.NO_AMPLIFIER, found=f"no $P{n}E", assumed="a linear amplifier")
        return None
    parts = [decimal(part) for part in text.split(",")]
    decades, offset = (math.nan if part is None else part for part in parts) if len(parts) == 2 else (math.nan,) * 2
    sound = 0 <= decades <= MOST_DECADES and math.isfinite(offset)
    if not integer:
        if not sound or decades > 0:
            findings.add(
                codes.AMPLIFIER_ON_FLOAT, found=f"$P{n}E={text[:40]!r} on floating-point data", assumed="not applied"
            )
        return None
    if not sound or offset < 0:
        raise refusal(
            codes.BAD_AMPLIFIER,
            path=findings.path,
            found=f"$P{n}E={text[:60]!r}",
            expected="decades and offset, such as '4,1'",
        )
    if decades == 0:
        return None
    if not (positive(keywords.get(f"$P{n}R", "").strip()) or 0.5).is_integer():
        raise refusal(
            codes.BAD_AMPLIFIER,
            path=findings.path,
            found=f"a logarithmic amplifier ($P{n}E={text}) without range ($P{n}R={keywords.get(f'$P{n}R', '')!r})",
            expected="$PnR, without which its values cannot be made linear",
        )
    if offset == 0:
        findings.add(codes.AMPLIFIER_OFFSET, found=f"$P{n}E={text!r}", assumed=f"'{decades:g},1'")
    if positive(keywords.get(f"$P{n}G", "").strip()) not in (None, 1.0):
        findings.add(codes.GAIN_ON_LOG, found=f"$P{n}G and $P{n}E={text!r}", assumed="the gain is not divided out")
    return (decades, offset if offset > 0 else 1.0)
