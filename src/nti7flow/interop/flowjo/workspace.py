"""FlowJo 10 workspaces: the samples they hold, in their groups, and the strategy of each, read when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nti7flow.errors import StrategyError, did_you_mean
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.gating.strategy import GatingStrategy, Members
from nti7flow.interop.flowjo.sample import strategy_of
from nti7flow.interop.flowjo.xml import Extract, attribute, children, count_of, extract, keyword
from nti7flow.interop.flowkit.package import Path_, name_of

#: FlowJo's group of everything.
ALL_SAMPLES = "All Samples"
#: Names that a message lists.
LISTED = 8


@dataclass(frozen=True, slots=True)
class WorkspaceSample:
    """A sample of a workspace: what a file is recognised by, and its gates.

    Attributes
    ----------
    name : str
        Its name in FlowJo.
    keys : tuple of str
        What groups call it by.
    files : tuple of str
        Name of the file it was opened from, as the address has it and decoded. The address itself is never followed.
    fil : str
        Its keyword ``$FIL``.
    n_events : int or None
        Events that FlowJo counted.
    gates : Extract
        Its gates, not yet checked.
    """

    name: str
    keys: tuple[str, ...]
    files: tuple[str, ...]
    fil: str
    n_events: int | None
    gates: Extract

    def rank(self, sample: Sample) -> int | None:
        """How well it fits a file: 0 by its name, 1 by the file it was opened from, 2 by ``$FIL``; None for not."""
        file = sample.path.name
        if file == self.name:
            return 0
        if file in self.files:
            return 1
        return 2 if self.fil and self.fil in (file, sample.keywords.get("$FIL", "").strip()) else None


@dataclass(frozen=True)
class Workspace:
    """A FlowJo workspace: a strategy for each of its samples.

    A sample is only read when its strategy is asked for, so that one that cannot be read does not cost the others.

    A population is called by its name where all populations of that name in the workspace have the same place in the
    tree, else by its path: ``Singlets/Live/CD4``.

    Attributes
    ----------
    path : str
        The file.
    entries : tuple of WorkspaceSample
        Its samples. Two may have the same name: take one by its group.
    membership : tuple of (str, frozenset of str)
        Its groups, each with the keys of its samples.

    Examples
    --------
    >>> import nti7flow as nf
    >>> workspace = nf.read_strategy("study.wsp")  # doctest: +SKIP
    >>> members = workspace.apply(nf.read_fcs("tube.fcs"))  # doctest: +SKIP
    """

    path: str
    entries: tuple[WorkspaceSample, ...]
    membership: tuple[tuple[str, frozenset[str]], ...]

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the samples, in the order of the file."""
        return tuple(entry.name for entry in self.entries)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the samples in each group."""
        return {
            group: tuple(entry.name for entry in self.entries if not keys.isdisjoint(entry.keys))
            for group, keys in self.membership
        }

    def match(self, sample: Sample, *, group: str | None = None) -> str:
        """Name of the workspace's sample that a file is.

        The name in FlowJo decides; else the name of the file that FlowJo opened; else the keyword ``$FIL``.

        Parameters
        ----------
        sample : Sample
            The tube.
        group : str, optional
            Look among the samples of this group only.

        Raises
        ------
        StrategyError
            No sample fits the file, or several do; or there is no such group.
        """
        return self._match(sample, group).name

    def strategy(self, sample_name: str, *, group: str | None = None) -> GatingStrategy:
        """Strategy of one of the workspace's samples, for any tube.

        Raises
        ------
        StrategyError
            There is no such sample, or there are several; or it holds what FlowKit would drop, guess or could not
            apply: lists all of that by name and line.
        """
        return self._strategy(self._named(sample_name, group))

    def for_sample(
        self,
        sample: Sample,
        *,
        name: str | None = None,
        group: str | None = None,
        spillover: Spillover | str = "keyword",
    ) -> GatingStrategy:
        """Strategy for a tube, bound to it: that of the workspace's sample that the file is.

        Parameters
        ----------
        sample : Sample
            The tube.
        name : str, optional
            Name of the sample; that of its file where left out.
        group : str, optional
            Look among the samples of this group only.
        spillover : Spillover or str
            Not used: FlowJo stores the matrix of each sample. Taken as `GatingStrategy.for_sample` takes it.

        Raises
        ------
        StrategyError
            See `match` and `strategy`.
        UnknownMarker, AmbiguousMarker, SpilloverError
            The tube lacks a channel that a gate or the matrix needs.
        """
        strategy = self._strategy(self._match(sample, group))
        return strategy.for_sample(sample, name=name, spillover=spillover)

    def apply(self, sample: Sample, *, group: str | None = None) -> Members:
        """Say which events of a tube belong to each population, by the gates of the workspace's sample that it is."""
        return self.for_sample(sample, group=group).apply(sample)

    def stored_counts(self, sample_name: str, *, group: str | None = None) -> Mapping[str, int]:
        """Events that FlowJo counted in each population of a sample, by id; all events of the sample by ``""``.

        Populations that FlowJo did not count are left out.

        Raises
        ------
        StrategyError
            There is no such sample, or there are several.
        """
        entry = self._named(sample_name, group)
        counts = {"": entry.n_events} | {self._id(path): count for path, count in entry.gates.counts}
        return {population: count for population, count in counts.items() if count is not None}

    @cached_property
    def _places(self) -> Mapping[str, Path_ | None]:
        """Path of each name of a population; None for a name with several."""
        places: dict[str, Path_ | None] = {}
        for entry in self.entries:
            for path, _ in entry.gates.counts:
                places[path[-1]] = path if places.get(path[-1], path) == path else None
        return places

    def _id(self, path: Path_) -> str:
        return path[-1] if self._places.get(path[-1]) == path else "/".join(path)

    def _strategy(self, entry: WorkspaceSample) -> GatingStrategy:
        where = f"{self.path}: sample {name_of(entry.name)}"
        return strategy_of(entry.gates, where=where, origin=Path(self.path).name, id_of=self._id)

    def names(self, group: str | None = None) -> tuple[str, ...]:
        """Names of the samples of a group; of all without one."""
        return tuple(entry.name for entry in self._group(group))

    def _group(self, group: str | None) -> list[WorkspaceSample]:
        keys = dict(self.membership).get(group or "")
        if group is None or (group == ALL_SAMPLES and not keys):
            return list(self.entries)
        if keys is None:
            names = [name for name, _ in self.membership]
            raise StrategyError(
                self.path, [f"has no group {name_of(group)}; it has {_listing(names)}.{did_you_mean(group, names)}"]
            )
        return [entry for entry in self.entries if not keys.isdisjoint(entry.keys)]

    def _match(self, sample: Sample, group: str | None) -> WorkspaceSample:
        ranked = [(rank, entry) for entry in self._group(group) if (rank := entry.rank(sample)) is not None]
        best = min((rank for rank, _ in ranked), default=None)
        return self._only([entry for rank, entry in ranked if rank == best], sample.path.name, group)

    def _named(self, name: str, group: str | None) -> WorkspaceSample:
        return self._only([entry for entry in self._group(group) if entry.name == name], name, group)

    def _only(self, found: list[WorkspaceSample], wanted: str, group: str | None) -> WorkspaceSample:
        if len(found) == 1:
            return found[0]
        inside = "" if group is None else f" in group {name_of(group)}"
        if not found:
            names = [name for entry in self._group(group) for name in dict.fromkeys((entry.name, *entry.files))]
            known = [entry.name for entry in self._group(group)]
            why = f"no sample{inside} is {name_of(wanted)}; it has {_listing(known)}.{did_you_mean(wanted, names)}"
            raise StrategyError(self.path, [why])
        places = "; ".join(f"line {e.gates.line}: {name_of(e.name)}, {self._groups_of(e)}" for e in found[:LISTED])
        if any(entry.name != wanted and wanted not in entry.files for entry in found):  # known by $FIL alone
            how, advice = f"could be {name_of(wanted)} by their $FIL", "Name the tube as FlowJo has it"
        else:
            how, advice = f"are {name_of(wanted)}", "Rename all but one in FlowJo"
        advice += ", or name the group to take it from (--group)"
        raise StrategyError(self.path, [f"{len(found)} samples{inside} {how} ({places}). {advice}."])

    def _groups_of(self, entry: WorkspaceSample) -> str:
        named = [name for name, keys in self.membership if name != ALL_SAMPLES and not keys.isdisjoint(entry.keys)]
        return f"group {_listing(named)}" if named else "no group"

    def __repr__(self) -> str:
        groups = f"{len(self.membership)} groups" if len(self.membership) != 1 else "1 group"
        return f"<Workspace {name_of(Path(self.path).name)}: {len(self.entries)} samples, {groups}>"


def read_workspace(path: str | Path, root: Any) -> Workspace:
    """Read a FlowJo 10 workspace.

    Parameters
    ----------
    path : str or Path
        The file, for messages and as the name of the strategies.
    root : lxml.etree._Element
        Its root, as `nti7flow.interop.xml.parse_bytes` returns it.

    Raises
    ------
    StrategyError
        It has no samples.
    """
    nodes = [node for group in children(root, "SampleList") for node in children(group, "Sample")]
    if not nodes:
        raise StrategyError(str(path), ["is a workspace without samples"])
    return Workspace(str(path), tuple(map(_read_entry, nodes)), tuple(_read_groups(root)))


def _read_entry(node: Any) -> WorkspaceSample:
    addresses = [address for child in children(node, "DataSet") if (address := attribute(child, "uri"))]
    files = dict.fromkeys(name for address in addresses for name in _file_names(address))
    sample_nodes = children(node, "SampleNode")
    name = next((name for child in sample_nodes if (name := attribute(child, "name"))), next(iter(files), ""))
    keys = dict.fromkeys(
        key for child in (*sample_nodes, *children(node, "DataSet")) if (key := attribute(child, "sampleID"))
    )
    n_events = count_of(sample_nodes[0]) if sample_nodes else None
    return WorkspaceSample(name, tuple(keys), tuple(files), keyword(node, "$FIL").strip(), n_events, extract(node))


def _file_names(address: str) -> Iterable[str]:
    """Last part of an address of a file, decoded and as it stands. Nothing is looked up there."""
    for text in (unquote(address), address):
        if name := re.split(r"[/\\]", text)[-1]:
            yield name


def _read_groups(root: Any) -> Iterable[tuple[str, frozenset[str]]]:
    groups: dict[str, set[str]] = {}
    for node in (node for group in children(root, "Groups") for node in children(group, "GroupNode")):
        keys = groups.setdefault(attribute(node, "name") or "", set())
        for references in (r for group in children(node, "Group") for r in children(group, "SampleRefs")):
            keys.update(attribute(reference, "sampleID") or "" for reference in children(references, "SampleRef"))
    return ((name, frozenset(keys)) for name, keys in groups.items())


def _listing(names: Iterable[str]) -> str:
    """Return names as a message lists them."""
    named = [name_of(name) for name in names]
    more = f" and {len(named) - LISTED} more" if len(named) > LISTED else ""
    return ", ".join(named[:LISTED]) + more if named else "none"
