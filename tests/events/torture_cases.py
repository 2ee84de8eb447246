"""All cases of the torture corpus."""

import torture_beside
import torture_contradictions
import torture_limits
import torture_orders
import torture_paths
import torture_places
import torture_sets
import torture_spillover
import torture_text
import torture_types
from torture_truth import TOPICS, Case

CASES: list[Case] = [
    case
    for module in (
        torture_types, torture_orders, torture_text, torture_contradictions, torture_places, torture_limits,
        torture_sets, torture_beside, torture_paths, torture_spillover,
    )
    for case in module.CASES
]  # fmt: skip

if len({case.name for case in CASES}) != len(CASES):
    raise ValueError("two cases have the same name")
if not {case.topic for case in CASES} == set(TOPICS):
    raise ValueError(f"topics without a case, or cases without one: { ({c.topic for c in CASES} ^ set(TOPICS)) }")
