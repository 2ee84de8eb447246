"""The two instruments of the simulated trial with their stains, and how they change from lot to lot and day to day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nti7flow.simulation.cells import Floats
from nti7flow.simulation.cytometer import Cytometer

#: Spread of a reagent lot's brightness, of what a tandem dye leaks, and of the gains from day to day (log units).
_LOT, _TANDEM, _GAIN, _SCATTER_GAIN = 0.10, 0.12, 0.02, 0.01
#: Relative error of a coefficient of the compensation matrix as a laboratory sets it, and the least error.
_SET, _SET_LEAST = 0.04, 0.0004


def lot_of(rng: np.random.Generator, cytometer: Cytometer) -> Cytometer:
    """Return a cytometer as it is set up for a new batch of reagents.

    Antibodies are brighter or dimmer, tandem dyes fall apart more or less, and the compensation matrix is set
    anew, with an error of its own.
    """
    d = len(cytometer.detectors)
    brightness = cytometer.brightness * np.exp(_LOT * rng.standard_normal(d))
    tandem = np.array(["-" in dye for dye in cytometer.fluorochromes])
    leak = np.exp(_TANDEM * rng.standard_normal((d, d)))
    spillover = np.where(tandem[:, None] & ~np.eye(d, dtype=bool), cytometer.spillover * leak, cytometer.spillover)
    error = rng.standard_normal((d, d)) * np.maximum(_SET * spillover, _SET_LEAST * (spillover > 0))
    keyword = np.where(np.eye(d, dtype=bool), 1.0, np.maximum(np.round(spillover + error, 4), 0.0))
    return replace(cytometer, brightness=brightness, spillover=spillover, keyword=keyword)


def day_of(rng: np.random.Generator, cytometer: Cytometer) -> Cytometer:
    """Return a cytometer on a day: its gains have drifted a little since the set-up."""
    gain = cytometer.gain * np.exp(_GAIN * rng.standard_normal(len(cytometer.gain)))
    fsc, ssc = np.exp(_SCATTER_GAIN * rng.standard_normal(2)).tolist()
    return replace(cytometer, gain=gain, scatter_gain=(fsc, ssc))


def _matrix(detectors: Sequence[str], cells: Mapping[tuple[str, str], float]) -> Floats:
    matrix = np.eye(len(detectors))
    for (dye, detector), value in cells.items():
        matrix[detectors.index(dye), detectors.index(detector)] = value
    matrix.flags.writeable = False
    return matrix


_CANTO = ("FITC", "PE", "PerCP-Cy5-5", "PE-Cy7", "APC", "APC-Cy7")
_CANTO_SPILL = {  # (dye, detector): true, as set
    ("FITC", "PE"): (0.0640, 0.060),
    ("FITC", "PerCP-Cy5-5"): (0.0090, 0.010),
    ("PE", "FITC"): (0.0185, 0.020),
    ("PE", "PerCP-Cy5-5"): (0.0720, 0.070),
    ("PE", "PE-Cy7"): (0.0160, 0.005),
    ("PerCP-Cy5-5", "PE-Cy7"): (0.0525, 0.040),
    ("PerCP-Cy5-5", "APC"): (0.0190, 0.004),
    ("PerCP-Cy5-5", "APC-Cy7"): (0.0140, 0.010),
    ("PE-Cy7", "FITC"): (0.0030, 0.003),
    ("PE-Cy7", "PE"): (0.0360, 0.038),
    ("PE-Cy7", "PerCP-Cy5-5"): (0.0052, 0.005),
    ("PE-Cy7", "APC-Cy7"): (0.0720, 0.020),
    ("APC", "PerCP-Cy5-5"): (0.0075, 0.008),
    ("APC", "APC-Cy7"): (0.0790, 0.050),
    ("APC-Cy7", "PE-Cy7"): (0.0250, 0.025),
    ("APC-Cy7", "APC"): (0.1450, 0.150),
}

#: Two lasers, six colours, the stains of a common TBNK kit.
TBNK_CANTO = Cytometer(
    name="FACSCantoII",
    scatter=("FSC-A", "FSC-H", "SSC-A"),
    detectors=tuple(f"{dye}-A" for dye in _CANTO),
    markers=("CD3", "CD16_56", "CD45", "CD4", "CD19", "CD8"),
    labels=("CD3", "CD16+56", "CD45", "CD4", "CD19", "CD8"),
    fluorochromes=("FITC", "PE", "PerCP-Cy5.5", "PE-Cy7", "APC", "APC-Cy7"),
    brightness=np.array([76.0, 78.0, 57.0, 76.0, 220.0, 36.0]),
    glow=np.array([110.0, 18.0, 35.0, 3.0, 10.0, 4.0]),
    sticky=np.array([45.0, 80.0, 40.0, 12.0, 35.0, 15.0]),
    bead_light=np.array([95e3, 310e3, 140e3, 120e3, 420e3, 160e3]),  # two of them off scale
    photoelectrons=np.array([0.037, 0.30, 0.25, 0.50, 0.065, 0.12]),
    electronic_noise=np.array([62.0, 28.0, 45.0, 22.0, 42.0, 26.0]),
    lasers=(0, 0, 0, 0, 1, 1),
    spillover=_matrix(_CANTO, {pair: true for pair, (true, _) in _CANTO_SPILL.items()}),
    keyword=_matrix(_CANTO, {pair: stated for pair, (_, stated) in _CANTO_SPILL.items()}),
    gain=np.ones(6),
    scatter_gain=(1.0, 1.0),
    threshold=13_000.0,
)

# Detector, laser, dye, marker, label; brightness, glow, sticky, bead light, photoelectrons, noise.
_FORTESSA = (
    ("BV421", 0, "BV421", "CCR7", "CCR7", 300, 60, 18, 150e3, 0.14, 26),
    ("BV510", 0, "Aqua", "Viability", "Viability", 150, 110, 0, 90e3, 0.08, 34),
    ("BV605", 0, "BV605", "CD127", "CD127", 180, 45, 16, 120e3, 0.10, 34),
    ("BV650", 0, "BV650", "CD27", "CD27", 150, 30, 14, 100e3, 0.10, 36),
    ("BV711", 0, "BV711", "CD28", "CD28", 150, 22, 16, 90e3, 0.12, 32),
    ("BV785", 0, "BV785", "CD3", "CD3", 80, 14, 14, 80e3, 0.10, 38),
    ("FITC", 1, "FITC", "CD31", "CD31", 100, 80, 16, 120e3, 0.08, 44),
    ("PerCP-Cy5-5", 1, "PerCP-Cy5.5", "CD4", "CD4", 90, 25, 16, 90e3, 0.07, 46),
    ("PE", 2, "PE", "CD25", "CD25", 400, 30, 20, 200e3, 0.25, 22),
    ("PE-CF594", 2, "PE-CF594", "CD95", "CD95", 200, 28, 18, 150e3, 0.18, 26),
    ("PE-Cy7", 2, "PE-Cy7", "PD1", "PD-1", 350, 12, 22, 110e3, 0.22, 24),
    ("AF647", 3, "AF647", "Ki67", "Ki-67", 250, 16, 24, 160e3, 0.12, 34),
    ("AF700", 3, "AF700", "CD45RA", "CD45RA", 50, 14, 14, 90e3, 0.10, 40),
    ("APC-H7", 3, "APC-H7", "CD8", "CD8", 60, 10, 18, 70e3, 0.10, 34),
)
_FORTESSA_SPILL = {
    "BV421": {"BV510": 0.09, "BV605": 0.008},
    "BV510": {"BV421": 0.03, "BV605": 0.22, "BV650": 0.10, "BV711": 0.06, "BV785": 0.03},
    "BV605": {"BV421": 0.03, "BV650": 0.30, "BV711": 0.12, "BV785": 0.04, "PE": 0.02, "PE-CF594": 0.08},
    "BV650": {"BV421": 0.03, "BV605": 0.06, "BV711": 0.28, "BV785": 0.10, "AF647": 0.16, "AF700": 0.06},
    "BV711": {"BV421": 0.04, "BV650": 0.03, "BV785": 0.24, "AF700": 0.09, "PerCP-Cy5-5": 0.04},
    "BV785": {"BV421": 0.03, "BV711": 0.04, "APC-H7": 0.07, "PE-Cy7": 0.02},
    "FITC": {"BV510": 0.02, "PE": 0.006, "PerCP-Cy5-5": 0.006},
    "PerCP-Cy5-5": {"BV711": 0.18, "BV785": 0.11, "AF700": 0.07, "PE-Cy7": 0.05, "AF647": 0.02},
    "PE": {"PE-CF594": 0.26, "PE-Cy7": 0.03, "PerCP-Cy5-5": 0.02, "BV605": 0.02},
    "PE-CF594": {"PE": 0.12, "PE-Cy7": 0.05, "PerCP-Cy5-5": 0.09, "BV605": 0.05, "BV650": 0.02},
    "PE-Cy7": {"PE": 0.012, "BV785": 0.03, "APC-H7": 0.03},
    "AF647": {"BV650": 0.03, "AF700": 0.22, "APC-H7": 0.09},
    "AF700": {"AF647": 0.01, "BV711": 0.02, "APC-H7": 0.17},
    "APC-H7": {"BV785": 0.06, "AF647": 0.05, "AF700": 0.02, "PE-Cy7": 0.02},
}


def _column(position: int) -> Floats:
    return np.array([row[position] for row in _FORTESSA], np.float64)


_FORTESSA_TRUE = _matrix(
    [str(row[0]) for row in _FORTESSA],
    {(dye, detector): value for dye, spills in _FORTESSA_SPILL.items() for detector, value in spills.items()},
)

#: Four lasers, fourteen colours: T cells of a density gradient, from naive to terminally differentiated.
TCELL_FORTESSA = Cytometer(
    name="LSRFortessa",
    scatter=("FSC-A", "FSC-H", "FSC-W", "SSC-A"),
    detectors=tuple(f"{row[0]}-A" for row in _FORTESSA),
    markers=tuple(str(row[3]) for row in _FORTESSA),
    labels=tuple(str(row[4]) for row in _FORTESSA),
    fluorochromes=tuple(str(row[2]) for row in _FORTESSA),
    brightness=_column(5),
    glow=_column(6),
    sticky=_column(7),
    bead_light=_column(8),
    photoelectrons=_column(9),
    electronic_noise=_column(10),
    lasers=tuple(int(row[1]) for row in _FORTESSA),
    spillover=_FORTESSA_TRUE,
    keyword=_FORTESSA_TRUE,
    gain=np.ones(len(_FORTESSA)),
    scatter_gain=(1.0, 1.0),
    threshold=16_000.0,
)
