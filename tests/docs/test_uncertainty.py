"""The page on uncertainty: every number of its examples, worked by scipy, and by the package from end to end."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nti7flow.counting.concentration import Tally, concentrate
from nti7flow.counting.detection import detection_limits
from nti7flow.counting.reference import by_beads, by_lymphocytes, by_volume
from nti7flow.counting.settings import CountingSettings

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "uncertainty.md").read_text(encoding="utf-8")
Z = 1.959964


def section(title):
    """One example, its line breaks as spaces."""
    found = re.search(rf"^### {title}.*?(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[0], " ".join(found[0].split())


def counted(n, reference, **arguments):
    return concentrate({"cells": [Tally("tube", n, reference, **arguments)]}, CountingSettings())["cells"]


def shares(concentration):
    return {part.component: part.share_percent for part in concentration.parts}


def says(text, *parts):
    for part in parts:
        assert part in text, part


@pytest.fixture(scope="module")
def beads():
    of = dict(bead_lot="L1", bead_cv=0.02, pipetting_cv=0.02, dilution=1.0, doublets=None)
    return by_beads(5_000, beads_per_tube=50_000, specimen_ul=50, **of)


def test_beads_by_hand(beads):
    raw, text = section("Beads")
    low, high = stats.beta.ppf(0.025, 70, 5001), stats.beta.ppf(0.975, 71, 5000)
    says(text, f"{low:.6f} and {high:.6f}", f"{low / (1 - low):.6f} and {high / (1 - high):.6f} cells per bead")
    says(text, f"{1000 * low / (1 - low):.2f} and {1000 * high / (1 - high):.2f} cells/µL")
    sd = np.hypot(0.02, 0.02)
    says(text, f"= {sd:.5f}")
    log_sd = np.sqrt(1 / 70 + 1 / 5000 + sd**2)
    factor = np.exp(Z * log_sd)
    says(text, f"= {log_sd:.4f}, and 14 / {factor:.3f}", f"{14 / factor:.2f}–{14 * factor:.2f}")
    says(text, f"log-variance {log_sd**2:.5f}")

    found = counted(70, beads)
    assert found.cells_per_ul == pytest.approx(14.0)
    says(text, f"**{found.lower:.2f}–{found.upper:.2f} cells/µL.**")
    of = shares(found)
    says(text, f"cells {of['cells']:.1f} %, lot {of['bead_lot']:.1f} %, pipetting {of['pipetting']:.1f} %")
    says(text, f"beads {of['beads']:.1f} %")
    assert found.limits.quantification == pytest.approx(1 / (0.04 - 0.0002 - 0.0008), rel=1e-4)
    quantified = found.in_cells_per_ul(found.limits.quantification)
    says(text, f"{found.limits.quantification:.1f} events, or {quantified:.1f} cells/µL")

    z = np.arange(-3, 4)
    weight = np.exp(-0.5 * z**2) / np.exp(-0.5 * z**2).sum()
    lower, upper = found.lower / 1000 * np.exp(sd * z), found.upper / 1000 * np.exp(sd * z)
    says(text, f"at {found.lower / 1000:.6f} × exp", f"at {found.upper / 1000:.6f} × exp")
    at_least, at_most = stats.binom.sf(69, 5070, lower / (1 + lower)), stats.binom.cdf(70, 5070, upper / (1 + upper))
    for row in zip(z, weight, np.exp(sd * z), at_least, at_most, strict=True):
        cells = (f"{row[0]:d}".replace("-", "−"), *(f"{x:.4f}" for x in row[1:]))
        says(raw, "| " + " | ".join(cells) + " |")
    says(raw, f"| weighted sum |  |  | {weight @ at_least:.4f} | {weight @ at_most:.4f} |")


def test_no_cells_by_hand(beads):
    _, text = section("Beads")
    rate = 40 ** (1 / 5000) - 1
    found = counted(0, beads)
    assert (found.cells_per_ul, found.lower) == (0, 0)
    says(text, f"{rate:.8f}", f"{1000 * rate:.4f} cells/µL", f"errors {found.upper:.4f}.", f"0–{found.upper:.2f} cells")


def test_volume_by_hand():
    _, text = section("Volumetric")
    low, high = stats.chi2.ppf(0.025, 24) / 2, stats.chi2.ppf(0.975, 26) / 2
    says(text, f"{low:.4f};", f"{high:.4f}.", f"{low / 6:.3f} and {high / 6:.3f}.")
    reference = by_volume(60.0, dilution=10.0, volume_cv=0.03, source="sheet", doublets=None)
    found, doubted, drowned = (counted(12, reference, background=b) for b in (0.0, 3.0, 8.0))
    assert found.cells_per_ul == pytest.approx(2.0)
    says(text, f"**{found.lower:.3f}–{found.upper:.3f} cells/µL**", f"falls to **{doubted.lower:.3f}**")
    assert doubted.upper == pytest.approx(found.upper)
    assert drowned.lower == 0
    says(text, f"in {100 * stats.poisson.sf(11, 8):.1f} % of tubes")
    says(text, f"LoB {doubted.limits.blank:.0f}, LoD {doubted.limits.detection:.2f} events")


def test_dual_platform_by_hand():
    _, text = section("Dual platform")
    low, high = stats.beta.ppf(0.025, 520, 481), stats.beta.ppf(0.975, 521, 480)
    says(text, f"{low:.5f} and {high:.5f}", f"{168 * low:.2f} and {168 * high:.2f}")
    variance = 0.48 / 520 + 0.05**2
    factor = np.exp(Z * np.sqrt(variance))
    says(text, f"= {variance:.6f}", f"root {np.sqrt(variance):.4f}", f"factor {factor:.4f}")
    says(text, f"{87.36 / factor:.2f}–{87.36 * factor:.2f}")
    found = counted(520, by_lymphocytes(1_000, alc_per_ul=168.0, cv=0.05, shared="draw", source="ALC"))
    says(text, f"**{found.cells_per_ul:.2f} cells/µL**", f"**{found.lower:.2f}–{found.upper:.2f} cells/µL**")
    of = shares(found)
    says(text, f"haematology {of['hematology']:.0f} %, cells {of['cells']:.0f} %")


def test_limits_and_defaults_are_those_of_the_package():
    text = " ".join(PAGE.split())
    nothing, some = (detection_limits(b, 0.03, cv=0.2) for b in (0.0, 3.0))
    says(text, f"{nothing.detection:.2f} where the LoB is {nothing.blank}")
    says(text, f"the LoB is {some.blank} and the LoD {some.detection:.2f}")
    assert stats.poisson.cdf(some.blank - 1, 3) < 0.95 <= stats.poisson.cdf(some.blank, 3)
    assert stats.poisson.sf(some.blank, some.detection) == pytest.approx(0.95)
    # Above the largest CV that is asked for, nothing is quantified.
    assert detection_limits(0.0, 0.21, cv=0.2).quantification == np.inf
    settings = CountingSettings()
    for words, cv in (
        ("lot", settings.bead_cv),
        ("pipetting", settings.pipetting_cv),
        ("volume", settings.volume_cv),
        ("haematology", settings.hematology_cv),
    ):
        says(text, f"{words} {100 * cv:g} %")
    says(text, f"`lloq_cv` ({100 * settings.lloq_cv:g} %)")
