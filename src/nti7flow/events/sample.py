"""`Sample`: the acquired tube, always raw."""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import printable
from nti7flow.events import codes
from nti7flow.events.notes import Note, refusal
from nti7flow.events.numbers import positive
from nti7flow.events.panel import Channel, Panel
from nti7flow.events.stored import StoredEvents, changed, file_stamp, open_at_once


@dataclass(frozen=True, repr=False, eq=False)
class Sample:
    """One tube as it came off the cytometer.

    Attributes
    ----------
    path : Path
        Where it was read from.
    data_set : int
        Which data set of the file, from 0.
    version : str
        ``FCS2.0``, ``FCS3.0``, ``FCS3.1`` or ``FCS3.2``.
    stored : StoredEvents
        Where the events are; use `events` and `columns`.
    panel : Panel
        The channels, in file order.
    keywords : Mapping of str to str
        TEXT keywords in upper case, with their values as written.
    file_notes : tuple of Note
        Repairs and oddities of the file; `notes` has those of its values too.
    analysis : Mapping of str to str
        Keywords of the ANALYSIS segment, which few files have.
    """

    path: Path
    data_set: int
    version: str
    stored: StoredEvents
    panel: Panel
    keywords: Mapping[str, str]
    file_notes: tuple[Note, ...] = ()
    analysis: Mapping[str, str] = field(default_factory=dict)
    file_stamp: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.stored.n_channels != len(self.panel.channels):
            raise ValueError(f"events of {self.stored.n_channels} channels do not fit {len(self.panel.channels)}")

    @property
    def n_events(self) -> int:
        """Number of events in the tube."""
        return int(self.stored.n_events)

    @property
    def events(self) -> NDArray[np.generic]:
        """Values as stored, in the file's type, shape (n_events, n_channels); read-only.

        Those of a large tube are read from the file when they are first asked for, and kept.
        """
        return self.stored.array

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """Every repair and oddity of the file and of its values, and how it was read.

        The values of a large tube are looked at when this is first asked for.
        """
        return (*self.file_notes, *self.stored.survey.notes)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the whole file, computed when first asked for."""
        digest = hashlib.sha256()
        try:
            with open_at_once(self.path) as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
                stat = os.fstat(stream.fileno())
        except OSError as error:
            raise refusal(codes.UNREADABLE, path=str(self.path), found=f"{error.strerror} for its hash") from None
        if self.file_stamp is not None and file_stamp(stat) != self.file_stamp:
            raise changed(str(self.path), "its hash would not be that of its events")
        return digest.hexdigest()

    def columns(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Scale values of some channels.

        Log amplifiers ($PnE) are linearised, gain ($PnG) is divided out and time is in seconds.

        Parameters
        ----------
        names : sequence of str
            Markers, detectors or scatter names, resolved by `Panel.resolve`.

        Returns
        -------
        ndarray of float64, shape (n_events, len(names))
            Column-contiguous.
        """
        channels = [self.panel.resolve(name) for name in names]
        out = np.empty((self.n_events, len(channels)), np.float64, order="F")
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are values like others
            self.stored.columns_into(out, [channel.index for channel in channels])
        for i, channel in enumerate(channels):
            self.to_scale(channel, out[:, i])
        return out

    def column_into(self, index: int, out: NDArray[np.float64], rows: slice | NDArray[np.intp]) -> None:
        """Write the scale values of one channel (by position) for some rows into ``out``."""
        with np.errstate(invalid="ignore", over="ignore"):
            out[...] = self.events[rows, index]
        self.to_scale(self.panel.channels[index], out)

    @np.errstate(invalid="ignore", over="ignore")
    def to_scale(self, channel: Channel, out: NDArray[np.float64]) -> None:
        """Turn stored values of a channel into scale values, in place."""
        if channel.role == "time":
            step = self.time_step_s
            if step is not None:
                out *= step
        elif channel.log_amplifier is not None:
            decades, offset = channel.log_amplifier
            assert channel.range is not None
            np.multiply(out, decades / channel.range, out=out)
            np.power(10.0, out, out=out)
            out *= offset
        elif channel.gain not in (None, 0.0, 1.0):
            out /= channel.gain

    @property
    def time_step_s(self) -> float | None:
        """Seconds per unit of the time channel ($TIMESTEP), None where the file does not say."""
        return positive(self.keywords.get("$TIMESTEP"))

    def __repr__(self) -> str:
        return f"<Sample {printable(self.path.name)}: {self.n_events:,} events, {len(self.panel.channels)} channels>"

    def _repr_html_(self) -> str:
        title = (
            f"{html.escape(printable(self.path.name))}: {self.n_events:,} events × {len(self.panel.channels)} channels"
        )
        cytometer = html.escape(printable(self.keywords.get("$CYT", "unknown cytometer")))
        notes = "".join(f"<li>{html.escape(printable(str(note)))}</li>" for note in self.notes)
        return f"<p><b>{title}</b> ({cytometer}, {self.version})</p>{self.panel._repr_html_()}<ul>{notes}</ul>"
