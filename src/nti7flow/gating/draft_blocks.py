"""The blocks a drafted template is put together from, as they stand in the file: ``$name`` is filled in.

A block is text and not data, because half of what it is for is in its comments. Blocks follow the newest released
templates; to draft a population in another way, change its text here.
"""

from __future__ import annotations

from string import Template

HEAD = Template("""\
# yaml-language-server: $$schema=$schema
#
# Drafted from the panel of one tube: a place to begin, not a protocol. Look at every gate before you use a count:
#   nti7flow gate FILE.fcs --template THIS.yaml --out runs/draft --explain $example
# Then give it your own name, title and version; a gate that is moved later is a new version.
$notes
schema: nti7flow/template/1
name: $name
version: 0.1.0
title: $title
""")

ALIASES = """
markers:
  # The first of these that a panel carries is taken; a later one is told by a flag.
  NK: [CD16+CD56, CD56, CD16]
"""

SCALES = Template("""
# auto: the top of scale from the range of the channel, the width of the linear region from its negative values.
scales:
$scales
populations:\
""")

BEADS = Template("""
  # No cell is bright in all of these channels, nor are two of them at once. Beads are: they are looked for in what was
  # measured, before any cell. A tube without beads is gated all the same.
  - id: beads
    label: Counting beads
    optional: true
    plot: [$first, $last]
    gate: {method: beads@1, raw: true, dims: [$dims]}

  - id: cells
    label: All but beads
    optional: true
    bypass: true
    helper: true
    gate: {all_of: [not beads]}
""")

SINGLETS = Template("""
  # Two cells passing together have twice the area at the same height.
  - id: singlets
    label: Singlets$parent
    optional: true
    bypass: true
    gate: {method: singlets@1, dims: [FSC-A, FSC-H], or_dims: [[FSC-A, FSC-W]]}
""")

DEAD = Template("""
  # $named: what is stained is left out. Most cells of a tube are alive: dead is what lies beyond the edge of the main
  # population. That edge may move a little, as nothing is counted there.
  - id: dead
    label: $label$parent
    optional: true
    helper: true
    gate: {method: tail@1, dims: [$marker], params: {distance: 4}, tolerance: 0.3, on_failure: absent}

  - id: live
    label: Live cells$parent
    optional: true
    bypass: true
    gate: {all_of: [not dead]}
""")

LYMPHOCYTES_BY_CD45 = Template("""
  # The anchor says where the mode is expected: 0 is the 1st, 1 the 99th percentile of the events on each axis. A mode
  # nearer to a rival is another population. It leans a little towards the monocytes: a lymphocyte cut off here is lost,
  # a monocyte let in is sorted out by its lineage.
  - id: lymphocytes
    label: Lymphocytes$parent
    gate:
      method: density_cluster_2d@1
      dims: [CD45, SSC]
      params: {anchor: [0.95, 0.2], rivals: [[0.95, 0.6]], lean: 1.0, alone: true}
""")

LYMPHOCYTES_BY_SCATTER = Template("""
  # There is no CD45 in the panel: small cells of little granularity. The anchor says where the mode is expected: 0 is
  # the 1st, 1 the 99th percentile of the events on each axis. The rivals are debris, monocytes and granulocytes.
  # Populations are broad on linear axes: a ripple in one is no second population unless it is a significant one.
  - id: lymphocytes
    label: Lymphocytes$parent
    gate:
      method: density_cluster_2d@1
      dims: [FSC, SSC]
      params:
        anchor: [0.2, 0.05]
        rivals: [[0, 0], [0.75, 0.45], [0.6, 0.75]]
        max_distance: 0.4
        significance: 5
        lean: 1.0
        alone: true
""")

OTHER_LEUKOCYTES = Template("""
  # For orientation only: nothing is gated on these two.
  - id: monocytes
    label: Monocytes$parent
    gate:
      method: density_cluster_2d@1
      dims: [CD45, SSC]
      params:
        anchor: [0.95, 0.6]
        rivals: [[0.95, 0.2], [0.75, 0.85]]
        max_distance: 0.25
        min_events: 50
        max_foreign: 0.3
      tolerance: 0.1
      on_failure: absent

  - id: granulocytes
    label: Granulocytes$parent
    gate:
      method: density_cluster_2d@1
      dims: [CD45, SSC]
      params: {anchor: [0.75, 0.85], rivals: [[0.95, 0.6]], max_distance: 0.25, min_events: 50, max_foreign: 0.3}
      tolerance: 0.1
      on_failure: absent
""")

T_CELLS = Template("""
  - id: t_cells
    label: T cells (CD3+)$parent$plot
    gate: {method: density_valley@1, dims: [CD3]}

  - id: non_t
    label: CD3− cells$parent
    helper: true
    gate: {all_of: [not t_cells]}
""")

#: A threshold that falls back to the edge of cells known to be negative.
POSITIVE_WITH_REFERENCE = Template("""
  # Where there is no valley, the edge of $reference, which are negative, is the limit; a population with no more events
  # beyond it than they have is absent.
  - id: $id
    label: $label
    parent: $parent$helper$plot
    gate:
      method: density_valley@1
      dims: [$marker]$fit_on
      on_failure: {method: tail@1, dims: [$marker], fit_on: $reference, params: {distance: 4, min_events: 200}}
""")

CD4_AND_CD8 = """
  - id: cd4_t
    label: CD4 T (CD4+CD8−)
    parent: t_cells
    plot: [CD4, CD8]
    gate: {all_of: [cd4_positive, not cd8_positive]}

  - id: cd8_t
    label: CD8 T (CD8+CD4−)
    parent: t_cells
    plot: [CD4, CD8]
    gate: {all_of: [cd8_positive, not cd4_positive]}

  - id: dp_t
    label: DP T (CD4+CD8+)
    parent: t_cells
    plot: [CD4, CD8]
    gate: {all_of: [cd4_positive, cd8_positive]}

  - id: dn_t
    label: DN T (CD4−CD8−)
    parent: t_cells
    plot: [CD4, CD8]
    gate: {all_of: [not cd4_positive, not cd8_positive]}
"""

MEMORY_MARKERS = """
  # One threshold for all T cells: CD4 and CD8 cells together hold naive and memory cells enough to show a valley.
  - id: ccr7_positive
    label: CCR7+ of T
    parent: t_cells
    optional: true
    helper: true
    plot: [CCR7, CD45RA]
    gate: {method: density_valley@1, dims: [CCR7]}

  - id: cd45ra_positive
    label: CD45RA+ of T
    parent: t_cells
    optional: true
    helper: true
    plot: [CCR7, CD45RA]
    gate: {method: density_valley@1, dims: [CD45RA]}
"""

MEMORY = Template("""
  - id: ${prefix}_naive
    label: $label naive (CCR7+CD45RA+)
    parent: $parent
    optional: true
    plot: [CCR7, CD45RA]
    gate: {all_of: [ccr7_positive, cd45ra_positive]}

  - id: ${prefix}_cm
    label: $label central memory (CCR7+CD45RA−)
    parent: $parent
    optional: true
    plot: [CCR7, CD45RA]
    gate: {all_of: [ccr7_positive, not cd45ra_positive]}

  - id: ${prefix}_em
    label: $label effector memory (CCR7−CD45RA−)
    parent: $parent
    optional: true
    plot: [CCR7, CD45RA]
    gate: {all_of: [not ccr7_positive, not cd45ra_positive]}

  - id: ${prefix}_temra
    label: $label TEMRA (CCR7−CD45RA+)
    parent: $parent
    optional: true
    plot: [CCR7, CD45RA]
    gate: {all_of: [not ccr7_positive, cd45ra_positive]}
""")

TREG = """
  # Caution: IL-7 itself lowers CD127 and raises CD25 for days to weeks after a dose, so within four weeks of one this
  # is no measure of regulatory T cells. CD8 T cells show what is not high in CD25.
  - id: cd25_high
    label: CD25 high of CD4 T
    parent: cd4_t
    optional: true
    helper: true
    plot: [CD25, CD127]
    gate: {method: tail@1, dims: [CD25], fit_on: cd8_t, params: {distance: 4, min_events: 200}}

  - id: cd127_low
    label: CD127 low of CD4 T
    parent: cd4_t
    optional: true
    helper: true
    plot: [CD25, CD127]
    gate: {method: density_valley@1, dims: [CD127], params: {keep: below}}

  - id: cd4_treg
    label: Treg (CD25 high, CD127 low)
    parent: cd4_t
    optional: true
    plot: [CD25, CD127]
    gate: {all_of: [cd25_high, cd127_low]}
"""

CD31_NAIVE = """
  - id: cd31_positive
    label: CD31+ of CD4 T
    parent: cd4_t
    optional: true
    helper: true
    plot: [CD31, CD45RA]
    gate: {method: density_valley@1, dims: [CD31]}

  - id: cd4_cd31_naive
    label: CD31+ naive CD4 T
    parent: cd4_naive
    optional: true
    plot: [CD31, CD45RA]
    gate: {all_of: [cd31_positive]}
"""

NON_T_NON_B = Template("""
  - id: non_t_non_b
    label: CD3−CD19− cells
    parent: $parent
    helper: true
    gate: {all_of: [not b_cells]}
""")

#: A marker that the draft knows nothing more of.
POSITIVE = Template("""
  - id: $id
    label: $label$parent
    optional: true$plot
    gate: {method: density_valley@1, dims: [$marker]}
""")

OTHERS = """
  # Markers that the draft knows nothing more of: a valley where there is one. A gate that finds none has failed, it is
  # not empty; give it a control to stand on (a tail or quantile, fit_on cells known to be negative), or strike it out.
"""
