"""What the page says in words."""

HEAD = """<!-- Written by python -m benchmarks.coverage; what is changed by hand is lost. -->
# How often the intervals hold the truth

Written by `make coverage`, which measures all of it anew: two minutes of CPU, the same numbers every time ({draws:,}
draws a point, seed {seed}). What is judged is `central_interval` of `nti7flow.counting.intervals`, level 95 %; how it
works is told in [How sure a count is](../explanation/uncertainty.md).

Cells and beads are Poisson around their expectations. Log-normal errors, drawn anew every time: lot 2 % (in the beads
of the tube), pipetting 2 %, gates 0 or 5 % (in the cells). The interval is told their standard deviations. The truth
is cells per bead as expected. Coverage is measured twice: by simulation, and by a sum over all counts, which has no
Monte-Carlo error and can be had anywhere between the points of the grid.
"""

CHECKED = """`central_interval` was called at Chebyshev points of both counts, and interpolated. It was asked again
about {judged:,} of the draws, half of them those closest to the edge: it judged {differing} otherwise, and its limits
differ by at most {off:.0e} of their value. Simulation and sum differ by at most {stray:.1f} standard errors over
{points} points.
"""

BETWEEN = """## Between the points of the grid

Coverage of an exact interval saws up and down with the expected cells, because a count cannot be 3½. The grid of the
bars meets the saw where it happens to. Here it is calculated in steps of 0.01 cells up to 4, 0.05 up to 20, 0.25 up
to 100.
"""

WHY = """### Why 99 % cannot hold everywhere below 4 cells

0 events give 0–3.69 and 5 events 1.62–11.67: so it is published, and so it is asked of this interval. With limits
that rise with the count, any interval that has these two holds every expected count from 1.624 to 3.689 whenever 0 to
5 events are counted. At 1.624 that is {at} of the time, and it stays above 99 % up to {until:.3f}. So no method that
keeps the published values keeps 99 % there: below 3.69 cells nothing can be left out on the side of few events.
Errors of lot, pipette and gates, and few beads, round the peaks off; they do not remove them. Where coverage is above
99 % the interval is too careful, never too narrow. Garwood's interval alone, with no other error, is above 99 % here:
"""

PEERS = """## Peers

The same draws, the same beads, other intervals. `N ± 1.96 √N` is what many reports print; `log, all components` is the
delta method on the log scale with 1/N + 1/beads and all spreads, which has no interval for 0 events (counted as not
held; of width 0); `exact Poisson alone` is Garwood's without any other error; `mid-P` is ours with half of the
probability of the count itself left out of each tail. From some five cells up the log interval with all components
covers as often as it should and is a little narrower; below, and at 0, it cannot be used. The two that leave
components out cover less and less the more cells there are. Mid-P is right on average, not at every point.
"""

OTHERS = """## Volume, share of lymphocytes, and beyond the grid

Volume: the acquired volume is read with 2 %, pipetting 2 %. Share: of so many lymphocytes, times a haematology count
with 5 %; the last three rows of a share are 52, 90 and 98 % of all lymphocytes. Calculated; simulation agrees within
{stray:.1f} standard errors. The last columns are for tubes that should not be: 20 beads, or gates that are wrong
by 20 or 40 %. Where nearly all lymphocytes are of the population, gates cannot be wrong upwards; the interval does not
know, and is too careful.
"""

LIMITS = """## What this does not show

- The interval is told the true standard deviations. A laboratory that states 2 % for a pipette of 5 % has narrower
  intervals than it should.
- Errors are drawn anew for every tube. Within a lot, or with one pipette, they are shared: then intervals of one
  subject are wrong together, though each covers as often.
- Errors of gates are log-normal with median 1. A gate that is in the wrong place is no such error.
- Beads are scattered as Poisson. Beads that settle, or are gated wrongly, are a matter for checks, not for intervals.
- Background events are 0 here.
"""
