"""A file of gates for all tubes of a plan: opened once, matched to the tubes, handed out one tube at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.events.fcs import read_fcs
from nti7flow.events.notes import Repair
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.interop.flowkit.package import name_of
from nti7flow.study.folders import check_name, file_sha256

if TYPE_CHECKING:
    from nti7flow.interop.flowjo.workspace import Workspace
    from nti7flow.study.plan import Tube

#: Names that are listed in an error.
LISTED = 5
#: FlowJo's group of everything; a workspace need not list it.
ALL_SAMPLES = "All Samples"


@dataclass(frozen=True, slots=True)
class StrategyFile:
    """A file of gates: its name, its content, the group of samples that was asked for, and where it is.

    All but the last is in the recipe.
    """

    name: str
    sha256: str
    group: str | None
    path: str

    def recipe(self) -> dict[str, str]:
        """Plain values, ready for JSON."""
        group = {} if self.group is None else {"group": self.group}
        return {"file": self.name, "sha256": self.sha256, **group}


@dataclass(frozen=True, slots=True)
class TubeGates:
    """The gates of one tube, not yet bound to it, and the counts that are stored with them; None where there are none.

    This is what a worker is given, not the file: a workspace may hold a thousand samples.
    """

    strategy: GatingStrategy
    stored: Mapping[str, int] | None = None


def open_strategy(path: Path, *, group: str | None) -> tuple[GatingStrategy | Workspace, StrategyFile]:
    """Read a file of gates, and what the recipe says of it.

    Raises
    ------
    StrategyError
        The file cannot be used.
    ConfigError
        There is no such group, or the file has none.
    """
    from nti7flow.interop.strategies import read_strategy

    check_name(path)
    gates = read_strategy(path)
    if isinstance(gates, GatingStrategy):
        if group is not None:
            raise ConfigError(f"--group {group}: {path} is no FlowJo workspace; only these have groups. Leave it out.")
        gates = gates.for_any_tube()  # one that a run stored, or that we exported, was for the tube it was made on
    elif group is not None and group not in (*gates.groups, ALL_SAMPLES):
        raise ConfigError(
            f"--group {group}: {path} has no such group; it has {_listed(list(gates.groups))}."
            + did_you_mean(group, gates.groups)
        )
    return gates, StrategyFile(path.name, file_sha256(path), group, str(path))


def check_spillover(gates: GatingStrategy | Workspace, file: StrategyFile, spillover: str) -> None:
    """Refuse a matrix for the tubes that no gate would be compensated by."""
    if isinstance(gates, GatingStrategy) and gates.needs_spillover:
        return
    raise ConfigError(
        f"--spillover {spillover}: would not be used: no gate of {file.name} asks for the tube's own matrix. Leave it "
        "out; the file says how each gate is compensated."
    )


def match_tubes(tubes: Sequence[Tube], workspace: Workspace, file: StrategyFile, *, repair: Repair) -> tuple[Tube, ...]:
    """Find the sample of a workspace that each tube is.

    Tubes of which several are one get a ``problem``: which of them was gated cannot be known. One that is none, could
    be several or cannot be read is left without a sample; gating says why.
    """
    found = [_matched(tube, workspace, file, repair) for tube in tubes]
    rivals: dict[str, list[Tube]] = {}
    for tube in found:
        rivals.setdefault(tube.gates_of, []).append(tube)
    return tuple(_with_rivals(tube, rivals[tube.gates_of], file) if tube.gates_of else tube for tube in found)


def _matched(tube: Tube, workspace: Workspace, file: StrategyFile, repair: Repair) -> Tube:
    try:
        sample = read_fcs(tube.path, data_set=tube.data_set, repair=repair)
        return replace(tube, gates_of=workspace.match(sample, group=file.group))
    except Exception:  # whatever it is, it never costs the study, and is met again when the tube is gated
        return tube


def _with_rivals(tube: Tube, rivals: Sequence[Tube], file: StrategyFile) -> Tube:
    others = [f"{other.sample} ({other.file})" for other in rivals if other is not tube]
    if not others:
        return tube
    problem = (
        f"{tube.file}: is sample {name_of(tube.gates_of)} of {file.name}, but so is {_listed(others)}. Gate only the "
        "file that was gated in FlowJo."
    )
    return replace(tube, problem=problem)


def gates_of(tube: Tube, gates: GatingStrategy | Workspace, file: StrategyFile) -> TubeGates:
    """Return the gates that a tube gets.

    Raises
    ------
    StrategyError
        They cannot be used; says why.
    """
    if isinstance(gates, GatingStrategy):
        own = TubeGates(gates)
    else:
        name, group = tube.gates_of, file.group
        own = TubeGates(gates.strategy(name, group=group), gates.stored_counts(name, group=group))
    return own


def unmatched(gates: GatingStrategy | Workspace, file: StrategyFile, tubes: Sequence[Tube]) -> tuple[str, ...]:
    """Return the samples of a workspace, or of the group of it, that no tube is."""
    if isinstance(gates, GatingStrategy):
        return ()
    names = gates.names(file.group)
    taken = {tube.gates_of for tube in tubes}
    return tuple(name for name in names if name not in taken)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(map(name_of, names[:LISTED])) + more if names else "none"
