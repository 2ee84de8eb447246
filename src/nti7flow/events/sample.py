"""`Sample`: the acquired tube, always raw."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import FcsError
from nti7flow.events.panel import Panel


@dataclass(frozen=True, slots=True)
class Note:
    """Something odd about the file that was read all the same, and how."""

    code: str
    text: str


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
        ``FCS2.0``, ``FCS3.0`` or ``FCS3.1``.
    events : ndarray, shape (n_events, n_channels)
        Values as stored, in the file's type; read-only.
    panel : Panel
        The channels, in file order.
    keywords : Mapping of str to str
        TEXT keywords in upper case.
    notes : tuple of Note
        Oddities met while reading.
    """

    path: Path
    data_set: int
    version: str
    events: NDArray[np.generic]
    panel: Panel
    keywords: Mapping[str, str]
    notes: tuple[Note, ...] = ()
    file_stamp: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.events.ndim != 2 or self.events.shape[1] != len(self.panel.channels):
            raise ValueError(f"events of shape {self.events.shape} do not fit {len(self.panel.channels)} channels")

    @property
    def n_events(self) -> int:
        """Number of events in the tube."""
        return int(self.events.shape[0])

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the whole file, computed when first asked for."""
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
            stat = self.path.stat()
        except OSError as error:
            raise FcsError(f"{self.path}: cannot be read again for its hash: {error.strerror}.") from None
        if self.file_stamp is not None and (stat.st_size, stat.st_mtime_ns) != self.file_stamp:
            raise FcsError(f"{self.path}: the file changed after its events were read; read it again.")
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
        out = np.empty((self.n_events, len(names)), np.float64, order="F")
        for i, name in enumerate(names):
            self.column_into(self.panel.resolve(name).index, out[:, i], slice(None))
        return out

    @np.errstate(invalid="ignore", over="ignore")  # NaN and infinity are values like others
    def column_into(self, index: int, out: NDArray[np.float64], rows: slice | NDArray[np.intp]) -> None:
        """Write the scale values of one channel (by position) for some rows into ``out``."""
        channel = self.panel.channels[index]
        out[...] = self.events[rows, index]
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
        try:
            step = float(self.keywords.get("$TIMESTEP", ""))
        except ValueError:
            return None
        return step if 0 < step < float("inf") else None

    def __repr__(self) -> str:
        return f"<Sample {self.path.name}: {self.n_events:,} events, {len(self.panel.channels)} channels>"

    def _repr_html_(self) -> str:
        title = f"{html.escape(self.path.name)}: {self.n_events:,} events × {len(self.panel.channels)} channels"
        cytometer = html.escape(self.keywords.get("$CYT", "unknown cytometer"))
        notes = "".join(f"<li>{html.escape(note.text)}</li>" for note in self.notes)
        return f"<p><b>{title}</b> ({cytometer}, {self.version})</p>{self.panel._repr_html_()}<ul>{notes}</ul>"
