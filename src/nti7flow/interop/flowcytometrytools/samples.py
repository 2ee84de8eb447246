"""Measurements and plates of FlowCytometryTools from and to samples of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np

from nti7flow.errors import FcsError, InputError, StrategyError, did_you_mean
from nti7flow.events.fcs import read_fcs
from nti7flow.events.made import make_sample
from nti7flow.events.sample import Sample
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.gating.values import DisplayValues
from nti7flow.interop.flowcytometrytools.gates import ORIGIN, Column, Names, column_name, name_of

if TYPE_CHECKING:
    import pandas as pd

Tubes = str | Path | Sequence[Sample | str | Path] | Mapping[str, Sample | str | Path]
#: Rows and columns of the plates there are.
PLATES = ((8, 12), (16, 24), (32, 48))
#: A, B, …, Z, AA, AB, …
ROWS = [*ascii_uppercase, *("A" + letter for letter in ascii_uppercase)][: PLATES[-1][0]]


def make_measurement(peer: Any, sample: Sample, *, name: str, strategy: GatingStrategy | None, names: Names) -> Any:
    """Return a tube as an ``FCMeasurement``, with columns of display values for a strategy."""
    import pandas as pd

    channels = [c.title if names == "markers" else c.detector for c in sample.panel.channels]
    if twice := sorted({channel for channel in channels if channels.count(channel) > 1}):
        raise InputError(
            f"{sample.path}: several channels are called {', '.join(twice)}. Name them by their detectors."
        )
    scale = np.empty((sample.n_events, len(channels)), order="F")
    with np.errstate(invalid="ignore", over="ignore"):
        sample.stored.columns_into(scale, range(len(channels)))
    for channel in sample.panel.channels:
        sample.to_scale(channel, scale[:, channel.index])
    frame = pd.DataFrame(scale, columns=channels, copy=False)
    if strategy is not None:
        frame = pd.concat([frame, pd.DataFrame(_display_values(sample, strategy, names, channels))], axis=1)
    which = {"data_set": sample.data_set}
    made = peer.FCMeasurement(
        name,
        datafile=str(sample.path) if sample.path.is_file() else None,
        readmeta=False,
        readdata_kwargs=which | {"channel_naming": "$PnN"},
        readmeta_kwargs=which,
    )
    made.set_meta(_meta(sample, channels))
    made.set_data(frame)
    return made


def _display_values(
    sample: Sample, strategy: GatingStrategy, names: Names, channels: Sequence[str]
) -> dict[str, np.ndarray[Any, Any]]:
    """Columns for the dimensions of a strategy that no channel is."""
    bound = strategy.for_sample(sample)
    display, rows = DisplayValues(sample, bound.spillover, bound.matrices), np.arange(sample.n_events)
    # Called as in the strategy that was given, whose gates go by these names.
    called = [column_name(dimension, names=names) for dimension in strategy.dimensions]
    needed = dict(zip(called, bound.dimensions, strict=True))
    return {name: display.of((d,), rows)[:, 0] for name, d in needed.items() if name not in channels}


def _meta(sample: Sample, channels: Sequence[str]) -> dict[str, Any]:
    """Keywords as its parser arranges them; those of scale say that the events are scale values already."""
    import pandas as pd

    keys = {key: re.fullmatch(r"\$P([1-9]\d*)([A-Z]+)", key) for key in sample.keywords}
    letters = dict.fromkeys(match[2] for match in keys.values() if match) | dict.fromkeys("NSREGB")
    table = {f"$Pn{p}": [sample.keywords.get(f"$P{n + 1}{p}") for n in range(len(channels))] for p in letters}
    table["$PnN"] = [channel.detector for channel in sample.panel.channels]
    table["$PnR"] = [f"{channel.top:.17g}" for channel in sample.panel.channels]
    rows = pd.DataFrame(table, index=pd.RangeIndex(1, len(channels) + 1, name="Channel Number"))
    rows["$PnE"] = [["0", "0"] for _ in channels]
    rows["$PnG"] = "1"
    meta: dict[str, Any] = {key: text for key, text in sample.keywords.items() if not keys[key]}
    meta |= {"$TIMESTEP": "1"} if "$TIMESTEP" in meta else {}
    meta |= {"$PAR": len(channels), "$TOT": sample.n_events, "$NEXTDATA": 0}
    return meta | {"_channels_": rows, "_channel_names_": tuple(channels)}


class Measured:
    """One of its measurements, read by us."""

    def __init__(self, measurement: Any) -> None:
        self.measurement = measurement

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"measurement {name_of(self.measurement.ID)}"

    @cached_property
    def file(self) -> Sample | None:
        """The tube that it was made of; None where its events have come from elsewhere."""
        path, data_set = self.measurement.datafile, self.measurement.readdata_kwargs.get("data_set", 0)
        if path is None:
            return None
        try:
            return read_fcs(path, data_set=data_set)
        except FcsError:
            if self.measurement._data is None:
                raise
            return None

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Its events, after whatever it has yet to do to them; its parser reads none."""
        source = self.measurement
        if source._data is None:
            source = self.measurement.copy()
            source.queue = []
            source.set_data(self._parsed())
            source.queue = self.measurement.queue
        frame: pd.DataFrame = source.get_data()
        if not frame.columns.is_unique:
            raise InputError(f"{self.name}: several of its columns have the same name.")
        return frame

    def _parsed(self) -> pd.DataFrame:
        """Return what its parser gives: stored values, in single precision unless asked otherwise."""
        import pandas as pd

        if self.file is None:
            raise InputError(f"{self.name}: has neither events nor a file to read them from.")
        stored = self.file.events
        type_ = self.measurement.readdata_kwargs.get("dtype", "float32") or stored.dtype.newbyteorder("=")
        with np.errstate(invalid="ignore", over="ignore"):
            return pd.DataFrame(stored.astype(type_), columns=list(self.labels))

    @cached_property
    def labels(self) -> dict[Any, tuple[str, str]]:
        """Detector and marker of each channel by its name here."""
        meta = self.measurement._meta
        if meta is not None and "_channels_" in meta:
            rows, names = meta["_channels_"], list(meta["_channel_names_"])
            detectors, markers = rows.get("$PnN", names), rows.get("$PnS", [None] * len(names))
        elif self.file is not None:
            detectors = [channel.detector for channel in self.file.panel.channels]
            markers = [self.file.keywords.get(f"$P{n}S") for n in range(1, len(detectors) + 1)]
            by_marker = self.measurement.readdata_kwargs.get("channel_naming", "$PnS") == "$PnS"
            by_marker = by_marker and None not in markers and len(set(markers)) == len(markers)
            names = markers if by_marker else detectors
        else:
            return {}
        pairs = zip(detectors, markers, strict=True)
        labels = [(str(detector).strip(), str(marker or "").strip()) for detector, marker in pairs]
        return dict(zip(names, labels, strict=True))

    @property
    def columns(self) -> dict[Any, Column]:
        """The columns of its events."""
        labels = {name: self.labels.get(name, (str(name).strip(), "")) for name in self.frame.columns}
        return {name: Column(*labels[name], single=self.frame[name].dtype == np.float32) for name in labels}

    def sample(self) -> Sample:
        """Return the tube of its file where its events are all of that, else its events as a tube."""
        try:
            values = self.frame.to_numpy(np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{self.name}: holds columns that are not numbers.") from None
        if self.file is not None and self._are_all_of(self.file, values):
            return self.file
        columns = self.columns.values()
        return make_sample(
            values,
            [column.detector for column in columns],
            name=str(self.measurement.ID),
            markers=[column.marker for column in columns],
            keywords=self._keywords(),
        )

    def _are_all_of(self, file: Sample, values: np.ndarray[Any, Any]) -> bool:
        """Whether the events are all scale values of the file, and nothing else."""
        n_channels = len(file.panel.channels)
        if values.shape != (file.n_events, n_channels) or list(self.frame.columns) != list(self.labels):
            return False
        column = np.empty(file.n_events)
        for i in range(n_channels):
            file.column_into(i, column, slice(None))
            if not np.array_equal(column, values[:, i], equal_nan=True):
                return False
        return True

    def _keywords(self) -> dict[str, str]:
        if self.measurement._meta is None:
            return dict(self.file.keywords) if self.file is not None else {}
        return {key: str(text) for key, text in self.measurement._meta.items() if isinstance(text, str | int)}


def compare_memberships(gates: Mapping[str, Any], strategy: GatingStrategy, measured: Measured) -> None:
    """Refuse gates that count other events than theirs do."""
    members, problems = strategy.apply(measured.sample()), []
    for name, gate in gates.items():
        differ = np.count_nonzero(np.asarray(gate._identify(measured.frame), np.bool_) != members.mask(name))
        if differ:
            problems.append(
                f"gate {name_of(name)}: {differ:,} events of {measured.name} are inside for one and outside for the "
                "other: they are not numbers, or on the outline of a polygon. Gate without them, or move the outline."
            )
    if problems:
        raise StrategyError(ORIGIN, problems)


def make_plate(
    peer: Any,
    given: Tubes,
    *,
    name: str | None,
    wells: Mapping[str, str] | None,
    strategy: GatingStrategy | None,
    names: Names,
) -> Any:
    """Return tubes as an ``FCPlate``, each in a well."""
    tubes = _tubes(given)
    if wells is None and isinstance(given, Mapping) and all(map(_place, tubes)):
        wells = {key: key for key in tubes}
    places = _grid(tubes) if wells is None else _chosen(tubes, wells)
    shape = next(s for s in PLATES if all(ROWS.index(row) < s[0] and column <= s[1] for row, column in places.values()))
    measurements, positions = {}, {}
    for key, place in places.items():
        tube, well = tubes[key], "{}{}".format(*place)
        sample = tube if isinstance(tube, Sample) else read_fcs(tube)
        measurements[well] = make_measurement(peer, sample, name=well, strategy=strategy, names=names)
        positions[well] = place
    title = name or (Path(given).name if isinstance(given, str | Path) else "plate")
    return peer.FCPlate(title, measurements, "name", shape=shape, positions=positions)


def _tubes(given: Tubes) -> dict[str, Sample | str | Path]:
    """Return samples by name, in the order of names."""
    if isinstance(given, str | Path):
        folder = Path(given)
        if not folder.is_dir():
            raise InputError(f"{folder}: is not a folder. Read a file with read_fcs, and give the sample.")
        given = [path for path in folder.iterdir() if path.suffix.lower() == ".fcs" and path.is_file()]
        if not given:
            raise InputError(f"{folder}: holds no FCS files.")
    if isinstance(given, Mapping):
        return dict(sorted(given.items()))
    paths = [tube.path if isinstance(tube, Sample) else Path(tube) for tube in given]
    stems = [path.stem for path in paths]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise InputError(
            f"several samples are called {', '.join(map(name_of, twice))}. Give a mapping with other names."
        )
    return dict(sorted(zip(stems, given, strict=True), key=lambda item: item[0]))


def _place(well: str) -> tuple[str, int] | None:
    """Row and column of a well such as A1 or a01; None where no plate has it."""
    match = re.fullmatch(r"([A-Za-z]{1,2})0*([1-9][0-9]?)", well.strip())
    if match is None or match[1].upper() not in ROWS or int(match[2]) > PLATES[-1][1]:
        return None
    return match[1].upper(), int(match[2])


def _grid(tubes: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Row by row, on the smallest plate that has room."""
    for rows, columns in PLATES:
        if rows * columns >= len(tubes):
            return dict(zip(tubes, product(ROWS[:rows], range(1, columns + 1)), strict=False))
    raise InputError(f"{len(tubes):,} samples do not fit on a plate of {PLATES[-1][0] * PLATES[-1][1]:,} wells.")


def _chosen(tubes: Mapping[str, Any], wells: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """As somebody has chosen; lists every well that cannot be."""
    # As they are called here, or as their files are.
    chosen = {name if name in tubes else Path(name).stem: well for name, well in wells.items()}
    problems = [f"there is no sample {name_of(n)}.{did_you_mean(n, tubes)}" for n in chosen if n not in tubes]
    places: dict[str, tuple[str, int]] = {}
    for name in tubes:
        place = _place(chosen.get(name, ""))
        if place is None:
            problems.append(f"sample {name_of(name)} has well '{name_of(chosen.get(name, ''))}', which no plate has")
        elif place in places.values():
            problems.append(f"sample {name_of(name)} has well {place[0]}{place[1]}, which another has")
        else:
            places[name] = place
    if problems:
        raise InputError("\n".join(f"wells: {problem}" for problem in problems))
    return places
