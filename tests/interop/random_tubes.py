"""Random small tubes with what a Gating-ML document may apply to them: matrices, transforms, ratios."""

from __future__ import annotations

from typing import Any

import numpy as np

DETECTORS = ("FSC-A", "SSC-A", "FL1-A", "FL2-A", "FL3-A", "FL4-A", "FL5-A", "Time")
MARKERS = ("", "", "CD3", "CD4", "CD8", "CD45RA", "", "")
FLUORESCENCE = DETECTORS[2:7]
TIMESTEP = 0.25
#: Detectors of each matrix of the document, what it calls their dyes, and whether its diagonal is 1.
MATRICES = {
    "Unit": (("FL1-A", "FL2-A", "FL3-A", "FL4-A"), ("FITC", "PE", "PerCP", "APC"), True),
    "Spectra": (("FL5-A", "FL3-A", "FL2-A"), ("FL5-A", "FL3-A", "FL2-A"), False),
}
#: Channels and parameters A, B, C of each ratio; the first one is infinite where FSC is 0.
RATIOS = {"Ratio0": ("FL1-A", "FSC-A", 1.0, 0.0, 0.0), "Ratio1": ("FL3-A", "FL2-A", 2.5, 10.0, -7.0)}
#: Transforms that anyone computes by the same formula; the others by iteration, up to the last bit or two.
SAME_FORMULA = (None, "Linear", "Log", "Asinh")
#: FlowKit's transforms by the elements of Gating-ML, and the order of their parameters.
_PEERS = {
    "flin": ("LinearTransform", "TA"),
    "flog": ("LogTransform", "TM"),
    "fasinh": ("AsinhTransform", "TMA"),
    "logicle": ("LogicleTransform", "TWMA"),
    "hyperlog": ("HyperlogTransform", "TWMA"),
}


class RandomTube:
    """A tube of 8 channels, many of whose values are whole numbers and stand there many times.

    Attributes
    ----------
    events : ndarray of float64, shape (n_events, 8)
        As stored; each is a float32.
    exact : bool
        The numbers of its matrices are small multiples of powers of two, so that nobody's arithmetic rounds them.
    matrices : dict
        Detectors and numbers by name, the matrix in the file as ``FCS``.
    transforms : dict
        Element of Gating-ML and parameters by name.
    """

    def __init__(self, flowkit: Any, rng: np.random.Generator, n_events: int) -> None:
        self.flowkit, self.rng = flowkit, rng
        self.exact = bool(rng.random() < 0.5)
        self.events = self._base_events(n_events)
        self.matrices = {"FCS": (FLUORESCENCE, self._matrix(5, unit=True))}
        self.matrices |= {k: (d, self._matrix(len(d), unit=unit)) for k, (d, _, unit) in MATRICES.items()}
        self.transforms = self._make_transforms()

    def _base_events(self, n: int) -> np.ndarray:
        rng = self.rng
        columns = [
            rng.integers(0, 25, n),
            rng.integers(0, 25, n),
            rng.integers(-20, 200, n),
            rng.integers(-8, 64, n) * 16,
            rng.lognormal(5, 2, n) - 30,
            rng.lognormal(6, 1.5, n) - 100,
            rng.integers(-40, 400, n) * 0.5,
            np.arange(n),
        ]
        return np.column_stack(columns).astype(np.float32).astype(np.float64)

    def _matrix(self, n: int, *, unit: bool) -> np.ndarray:
        rng = self.rng
        if not self.exact:
            matrix = np.eye(n) + rng.uniform(0, 0.2, (n, n)) * (1 - np.eye(n))
            return matrix if unit else matrix * rng.uniform(0.2, 3.0, n)
        matrix = np.eye(n) + np.triu(rng.integers(0, 3, (n, n)) / 8, 1)
        return matrix if unit else matrix * 2.0 ** rng.integers(-1, 3, n)[:, None]

    def _make_transforms(self) -> dict[str, tuple[str, dict[str, float]]]:
        rng = self.rng
        m, w = float(rng.uniform(3.5, 5.0)), float(rng.uniform(0.2, 1.0))
        return {
            "Linear": ("flin", {"T": 1000.0, "A": float(rng.choice([0.0, 24.0, 100.0]))}),
            "Log": ("flog", {"T": float(rng.choice([1000.0, 262144.0])), "M": m}),
            "Asinh": ("fasinh", {"T": 1000.0, "M": m, "A": float(rng.choice([0.0, 0.5, 1.0]))}),
            "Logicle": ("logicle", {"T": 1000.0, "W": w, "M": m, "A": float(rng.choice([0.0, 0.5]))}),
            "Hyperlog": ("hyperlog", {"T": 1000.0, "W": w, "M": m, "A": float(rng.choice([0.0, 0.5]))}),
            "Logicle.wide": ("logicle", {"T": 262144.0, "W": 0.5, "M": 4.5, "A": 0.0}),
        }

    @property
    def keywords(self) -> dict[str, str]:
        """Keywords of its file, the matrix among them."""
        detectors, matrix = self.matrices["FCS"]
        numbers = ",".join(repr(float(value)) for value in matrix.ravel())
        return {"$SPILLOVER": f"{len(detectors)},{','.join(detectors)},{numbers}", "$TIMESTEP": str(TIMESTEP)}

    def covers(self, matrix: str, channel: str) -> bool:
        """Whether a matrix, if there is one, changes a channel."""
        return matrix in self.matrices and channel in self.matrices[matrix][0]

    def values(self, channel: str, matrix: str, transform: str | None) -> np.ndarray:
        """Display values of the events on an axis, shape (n_events,), by FlowKit's transforms."""
        column = dict(zip(DETECTORS, self.events.T, strict=True))
        column["Time"] = column["Time"] * TIMESTEP
        with np.errstate(all="ignore"):
            if channel in RATIOS:
                x, y, a, b, c = RATIOS[channel]
                values = a * ((column[x] - b) / (column[y] - c))
            elif self.covers(matrix, channel):
                detectors, numbers = self.matrices[matrix]
                solved = np.linalg.solve(numbers.T, np.stack([column[name] for name in detectors]))
                values = solved[detectors.index(channel)]
            else:
                values = column[channel]
            return values.copy() if transform is None else self._peer(transform).apply(values.copy())

    def _peer(self, transform: str) -> Any:
        kind, numbers = self.transforms[transform]
        peer, order = _PEERS[kind]
        return getattr(self.flowkit.transforms, peer)(*(numbers[letter] for letter in order))

    def add(self, events: list[dict[str, float]]) -> None:
        """Append events that have these values; the rest of each is that of some other."""
        rows = self.events[self.rng.integers(0, len(self.events), len(events))]
        for row, values in zip(rows, events, strict=True):
            for channel, value in values.items():
                row[DETECTORS.index(channel)] = value
        self.events = np.vstack([self.events, rows])
