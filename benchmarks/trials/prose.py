"""What the page says in words."""

HEAD = """<!-- Written by python -m benchmarks.trials; what is changed by hand is lost. -->
# How often the intervals of whole trials hold the truth

Written by `make trials`, which simulates, gates and counts all of it anew: a quarter of an hour on two cores, the
same numbers every time. {trials} trials (seeds {seeds}), {specimens:,} specimens of patients, {lots} bead lots. Each is
made by `nti7flow simulate --subjects {subjects} --events {events} --panel tbnk --awkward` and counted by
`nti7flow gate study.yaml`, with nothing changed; see [A simulated study](simulated_study.md) for what is drawn, and
[Coverage](coverage.md) for the interval by itself.

The truth is the concentration in the blood that was drawn. Clean is a concentration of a tube that nothing was done to
(truth/awkward.csv names the others) and that nobody is told to look at: its severity is neither `review` nor
`invalid`. Events are those that the tube could be expected to hold, not those that were found. Tubes of one lot are
wrong together, so standard errors (SE) are of a bootstrap of lots with all their tubes.
"""

POPULATIONS = """## By population

Clean concentrations. Below 20 expected events there is hardly anything but CD19 of patients after rituximab.
"""

BINS = """## By expected events

Share of clean intervals that hold the truth, %, and how many there are. In brackets: intervals below the
truth, and above it, %.
"""

ALL = """## With those for review

What if nobody looked: all tubes that nothing was done to, for review or not.
"""

SPREAD = """## Bias and spread

Clean concentrations with 20 expected events or more, natural log units × 100, which is about percent. Observed is the
standard deviation around the mean; told is what the budgets of the same concentrations say.
"""

PEERS = """## Peers

The same tubes, the same gates, other intervals; clean concentrations of the five populations together, and how wide
they are beside ours, mean of all. `N ± 1.96 √N` times the factor of the beads is what many reports print; `log, lot and
pipette` is the delta method with 1/N + 1/beads and the two CVs of the sheet, without doublets, as is usual; then the
same around our concentration, which is corrected for them. None of the three has an interval where no event is
counted.
"""

CASES = """## Awkward tubes

Flagged is a tube whose concentrations or checks are `review` or `invalid`, or whose file is refused: nobody uses it
unseen. Named is one of which the trouble itself is said, and as asked one with at least the severity that
truth/awkward.csv asks for too. A wrong lot shows where tubes of the batch before and after it share another; swapped
tubes show as far as two bloods differ.
"""

MISSED = """Not flagged, or not as asked:
"""

REVIEW = """## What else is for review

Tubes that nothing was done to on purpose. Something may be wrong with them all the same: some clog, some have cells
of the tube before, some blood is old. The flags are those that stand on concentrations for review only; a specimen
may have several.
"""

LIMITS = """## What this does not show

- The blood, the cytometer and the people are those of one simulation. It was written to be as awkward as laboratories
  are, by the people who wrote the gates; real blood has surprises that nobody wrote.
- What is told of lot and pipette (2 % in the sheet, 1.5 % by default) is together what was drawn (lot 1.5 %, beads of
  a tube 0.8 %, pipette 1.8 %). A laboratory that states 2 % for a pipette of 5 % has intervals that are too narrow.
- Trials of one seed say little: of some 150 specimens with some nine lots, coverage of one population strays by two
  or three percent by chance.
"""
