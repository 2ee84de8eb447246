"""How the tubes of a delivery compare: which are the same, and which have another panel than most."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nti7flow.study.delivered import DeliveredTube

Sameness = Literal["copy", "events", "acquisition"]
#: What is the same, in words.
SAMENESS: dict[Sameness, str] = {
    "copy": "the same file",
    "events": "the same events under another header",
    "acquisition": "the same acquisition",
}
#: Channels named of each kind when two panels are compared.
NAMED = 4


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Files or data sets of which all but one are too many.

    Attributes
    ----------
    kind : str
        ``copy``: the same bytes. ``events``: the same bytes of events under another header. ``acquisition``: the same
        identifier, or the same cytometer, date, times and number of events.
    tubes : tuple of str
        Their names.
    by : str
        What they share, for an acquisition.
    """

    kind: Sameness
    tubes: tuple[str, ...]
    by: str = ""

    def beside(self, names: Container[str]) -> str:
        """Say what is the same in which others; nothing to somebody who is not one of them."""
        others = [tube for tube in self.tubes if tube not in names]
        return f"{SAMENESS[self.kind]} as {_few(others)}" if len(others) < len(self.tubes) else ""

    def __str__(self) -> str:
        return f"{SAMENESS[self.kind]}{f' ({self.by})' if self.by else ''}: {' = '.join(self.tubes)}"


@dataclass(frozen=True, slots=True)
class PanelGroup:
    """Tubes with the same channels.

    Attributes
    ----------
    number : int
        1 for the commonest panel.
    channels : tuple of (str, str)
        Detector and marker of each channel, in the order of the first tube; the order does not count.
    tubes : tuple of str
        Their names.
    difference : str
        What is missing, added or labelled otherwise than in the commoner panel that is most like it; empty for panel 1.
    """

    number: int
    channels: tuple[tuple[str, str], ...]
    tubes: tuple[str, ...]
    difference: str = ""


def find_duplicates(tubes: Sequence[DeliveredTube]) -> tuple[Duplicates, ...]:
    """Find what came twice. Each file is compared once: copies are not told again as the same events."""
    found: list[Duplicates] = []
    firsts: list[DeliveredTube] = []
    for files in _grouped((tube.sha256, tube) for tube in tubes):
        names = tuple(dict.fromkeys(tube.file for tube in files))
        if files[0].sha256 and len(names) > 1:
            found.append(Duplicates("copy", names))
        firsts += [tube for tube in files if not files[0].sha256 or tube.file == names[0]]
    different: list[tuple[DeliveredTube, list[str]]] = []
    for same in _grouped((tube.events_sha256 or tube.label, tube) for tube in firsts):
        if len(same) > 1:
            found.append(Duplicates("events", tuple(tube.label for tube in same)))
        different.append((same[0], [mark for tube in same for mark in tube.acquisitions]))
    told: list[set[str]] = []
    marks = [mark for _, own in different for mark in own]
    for mark in dict.fromkeys(marks):
        alike = [tube for tube, own in different if mark in own]
        labels = [tube.label for tube in alike]
        # Data sets of one file may well be of one acquisition.
        if len({tube.file for tube in alike}) > 1 and not any(set(labels) <= before for before in told):
            told.append(set(labels))
            found.append(Duplicates("acquisition", tuple(labels), mark))
    return tuple(found)


def find_panels(tubes: Sequence[DeliveredTube]) -> tuple[PanelGroup, ...]:
    """Group the tubes that can be read by their channels, the commonest panel first."""
    groups = _grouped((frozenset(tube.channels), tube) for tube in tubes if not tube.refused)
    groups.sort(key=len, reverse=True)
    panels = [dict(group[0].channels) for group in groups]
    return tuple(
        PanelGroup(
            number=i + 1,
            channels=group[0].channels,
            tubes=tuple(tube.label for tube in group),
            difference=_compared(panels[i], panels[:i]),
        )
        for i, group in enumerate(groups)
    )


def _compared(panel: Mapping[str, str], commoner: Sequence[Mapping[str, str]]) -> str:
    """Say how a panel differs from the commoner one that is most like it; a study may well have several panels."""
    if not commoner:
        return ""
    shared = [len(panel.items() & other.items()) for other in commoner]
    nearest = shared.index(max(shared))
    usual = commoner[nearest]
    if 2 * len(panel.keys() & usual.keys()) < max(len(panel), len(usual)):
        return f"another panel: {_few([channel_in_words(detector, marker) for detector, marker in panel.items()])}"
    return f"panel {nearest + 1} but {panel_difference(usual, panel)}"


def panel_difference(usual: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Say in few words how a panel, marker by detector, differs from the usual one."""
    missing = [channel_in_words(detector, usual[detector]) for detector in usual if detector not in other]
    added = [channel_in_words(detector, other[detector]) for detector in other if detector not in usual]
    changed = [
        f"{detector} is {other[detector] or 'unlabelled'}, not {usual[detector] or 'unlabelled'}"
        for detector in usual
        if detector in other and other[detector] != usual[detector]
    ]
    parts = (("missing ", missing), ("added ", added), ("", changed))
    return "; ".join(word + _few(names) for word, names in parts if names)


def channel_in_words(detector: str, marker: str) -> str:
    """Detector with its marker, once where both are the same word."""
    return f"{detector} ({marker})" if marker not in ("", detector) else detector


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _grouped(pairs: Iterable[tuple[Hashable, DeliveredTube]]) -> list[list[DeliveredTube]]:
    """Tubes with the same key together, in the order in which each key was first met."""
    groups: dict[Hashable, list[DeliveredTube]] = {}
    for key, tube in pairs:
        groups.setdefault(key, []).append(tube)
    return list(groups.values())
