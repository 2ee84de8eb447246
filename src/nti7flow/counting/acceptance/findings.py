"""What an acceptance check says, and the rules by which all of them judge."""

from __future__ import annotations

from dataclasses import dataclass

from nti7flow.gating.strategy import Severity

#: Probability below which a share beyond its limit is no chance (one side of an interval of 95 %).
NO_CHANCE = 0.025
#: Standard deviations of the same meaning.
NO_CHANCE_SD = 1.96


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A row of the table ``acceptance``.

    Attributes
    ----------
    specimen : str
        The blood draw.
    sample : str or None
        The tube; None for a check of the whole specimen.
    check : str
        What was checked; docs/reference/acceptance.md lists them.
    population : str or None
        Which population it is about, where it is about one.
    value : float or None
        What was found.
    limit : float or None
        What it was compared with: the limit that it is beyond, else the nearest.
    severity : str
        Empty where it passed; info, review or invalid.
    look_at : str
        What was found in words and, where it did not pass, what to look at.
    """

    specimen: str
    sample: str | None
    check: str
    population: str | None
    value: float | None
    limit: float | None
    severity: Severity
    look_at: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A check before it is a row: what it says, and to which concentrations it gives its flag.

    ``marks`` are populations; None is all that flow cytometry counts. Nothing is flagged that is already (`marks`
    empty): what gating saw stands in the flags of the counts.
    """

    check: str
    value: float | None
    limit: float | None
    severity: Severity
    look_at: str
    sample: str | None = None
    population: str | None = None
    marks: frozenset[str] | None = frozenset()

    def row(self, specimen: str) -> Acceptance:
        """As a row of the table."""
        return Acceptance(
            specimen, self.sample, self.check, self.population, self.value, self.limit, self.severity, self.look_at
        )


def at_most(value: float, limits: tuple[float, float]) -> tuple[Severity, float]:
    """Judge a value that should be low: beyond the first limit is for information, beyond the second for review.

    Returns
    -------
    (str, float)
        Severity, and the limit that it was compared with.
    """
    optimal, outer = limits
    if value > outer:
        return "review", outer
    return ("info" if value > optimal else ""), optimal


def share_at_most(n: int, of: int, limits: tuple[float, float]) -> tuple[Severity, float]:
    """Judge a share, limits in percent; it is for review only where it is beyond the outer limit by more than chance.

    Of 20 lymphocytes three are 15 %, and as many come by chance where a tenth is expected.
    """
    severity, limit = at_most(100 * n / of, limits)
    if severity == "review" and not exceeds(n, of, limits[1] / 100):
        return "info", limits[0]
    return severity, limit


def exceeds(n: int, of: int, share: float) -> bool:
    """Whether so many of so many are more than a share explains: the exact binomial tail (Clopper and Pearson 1934).

    Examples
    --------
    Three of 20 are not surely more than a tenth, 30 of 200 are.

    >>> exceeds(3, 20, 0.1), exceeds(30, 200, 0.1)
    (False, True)
    """
    from scipy.special import betainc

    if n <= 0 or share >= 1:
        return False
    return float(betainc(n, of - n + 1, share)) < NO_CHANCE


def said(number: float) -> str:
    """Return a number as people write it: three digits, and no exponent."""
    if 0 < number < 1e-3:
        return "less than 0.001"
    return f"{number:,.0f}" if abs(number) >= 999.5 else f"{number:.3g}"


def advised(found: str, severity: Severity, advice: str) -> str:
    """Return what was found and, where it is not well, what to look at."""
    return f"{found}: {advice}" if severity else found
