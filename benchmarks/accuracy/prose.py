"""What the page says in words."""

HEAD = """<!-- Written by python -m benchmarks.accuracy; what is changed by hand is lost. -->
# How right the gates are

Written by `make accuracy`, which measures all of it anew: about ten minutes of CPU, the same numbers every time.
Every tube is gated as a user gates it, and the run folder is scored. Labelled tubes and perturbed ones are gated one
by one, simulated studies as studies, so that fits can be pooled. No parameter of a method or template was chosen by
these numbers for one file; files of the same kinds that are added to the reference data are scored too.
"""

SIMULATED = """## Simulated studies

A count is wrong where its error, from the labelled single live cells on file, is beyond the largest of 10 %, √N and
3 events; silent where it is wrong and its own severity is neither `review` nor `invalid`. An absent population counts
as 0 events; a count without a number, of a failed gate or a refused tube, is wrong. Clean specimens are those that
nothing awkward was done to; tubes that clogged or had a burst of the tube before are among them, as in life. They are
flagged by one of the four counts; by one of them, lymphocytes, beads or a check of the tube (the bar); by anything.
"""

PEERS = """### Peers on simulated tubes

Mean F1 on a few clean tubes of each study. Clustering gets the events of our lymphocyte gate, classifiers the whole
tube; tubes without a lymphocyte gate are passed over for every method, as are populations without an event.
"""

PERTURBED = """## One real tube, thinned and shifted

tbnk_auto/1.fcs, CD4 and CD8 as % of T cells, each against the full tube's members among the same retained events.
Gains are turned with the matrix that fits them, and with the old matrix, which is then wrong by as much. Lymphocytes
are thinned twice, those of the full tube's own gate and those of a region drawn by hand (CD45 above 4,500, side
scatter below 35,000), with five seeds each; the rest of the tube stays.
"""

PERTURBED_PEERS = """The peers on the same tube, given the full tube's lymphocytes and its names: the larger shift of
CD4 and CD8 % of T, points (bold: beyond 1 point and 2 SE).
"""

AWKWARD = """### Awkward cases

Flagged is `review` or `invalid` on a check of the tube, on one of the four counts, lymphocytes or beads, or a refusal.
A tube may be loud by chance: whether a word of what is said is about the trouble itself stands beside it.
"""

LIMITS = """## What this does not show

- The labels of the real sets are other people's gates. Where they disagree with ours at the edge of a population, one
  of both is arbitrary; how far classifiers trained on four fifths of the same tube get says how much of the labels
  follows from the channels.
- EuroFlow's clusters are idealised: mixtures look better there than on blood as it comes. HIPC is one donor of one
  laboratory. No set has patients with few T cells, so lymphopenia is judged on simulated tubes and on one thinned real
  tube alone.
- Simulated tubes hold what their authors thought of. The truth of a count is the single live cells that are labelled
  so: dead cells, doublets and carry-over in a gate are errors here, though a panel without a viability marker cannot
  tell all of them.
- At a level of CD4 T cells only these were scaled; all other cells are as they were drawn, and the haematology of the
  draws is left out.
- The perturbed tube is compared with itself. It says whether gates hold, not whether they were right at first.
  Thinning leaves debris and granulocytes in place, as in lymphopenia, but the patient's other cells, drugs and
  activation are not there.
- Clusters are named by the label most of their events have, and get our own lymphocyte gate on simulated and thinned
  tubes: both flatter them, since a new tube comes without labels. They flag nothing. Classifiers have seen labels of
  the same tube. The display scale is the set's own, arcsinh(x/5) for CyTOF and arcsinh(x/150) after compensation
  elsewhere; channels are standardised.
- Speed is not measured here: see `make bench`.
"""
