"""What labs write around a marker's name, and what must not pass for it."""

import numpy as np
import pytest

import nti7flow as nf
from nti7flow.errors import AmbiguousMarker, SpilloverError, UnknownMarker
from nti7flow.events.markers import parse_marker
from nti7flow.events.spillover import spillover_for


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("CD4-RD1", {"CD4"}),
        ("(CD16+CD56)-RD1", {"CD16", "CD56"}),
        ("CD45-FITC FL1-A", {"CD45"}),
        ("CD8-ECD FL3", {"CD8"}),
        ("hCD3", {"CD3"}),
        ("anti-CD19", {"CD19"}),
        ("CD19-J3-119", {"CD19"}),
        ("CD62-L", {"CD62L"}),
        ("CD45/RA", {"CD45RA"}),
        ("CD45:RO", {"CD45RO"}),
        ("CD16-CD56 PE", {"CD16", "CD56"}),
    ],
)
def test_names_with_dyes_positions_species_and_clones(text: str, targets: set[str]) -> None:
    assert parse_marker(text).targets == targets


@pytest.mark.parametrize("text", ["CD8 FMO", "FMO CD19", "no CD19", "IgG1 (CD56)", "CD3 isotype", "unstained"])
def test_a_control_never_passes_for_the_marker(text: str) -> None:
    assert parse_marker(text).targets == frozenset()


def panel_of(tmp_path, detectors, markers):  # type: ignore[no-untyped-def]
    nf.write_events(tmp_path / "t.fcs", np.ones((3, len(detectors))), detectors, markers=markers)
    return nf.read_fcs(tmp_path / "t.fcs")


def test_name_and_label_that_contradict_each_other_are_ambiguous(tmp_path) -> None:  # type: ignore[no-untyped-def]
    tube = panel_of(tmp_path, ["CD4", "CD8", "CD3"], ["CD8", "CD4", ""])
    with pytest.raises(AmbiguousMarker, match="CD4 could be any of 2 channels"):
        tube.panel.resolve("CD4")
    assert tube.panel.resolve("CD3").detector == "CD3"


def test_fmo_channel_is_not_found(tmp_path) -> None:  # type: ignore[no-untyped-def]
    tube = panel_of(tmp_path, ["FITC-A", "PE-A"], ["CD3", "CD19 FMO"])
    with pytest.raises(UnknownMarker, match="no channel carries CD19"):
        tube.panel.resolve("CD19")


def test_half_compensated_tube_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    matrix = {"$SPILLOVER": "2,FITC-A,PE-A,1,0.1,0,1"}
    nf.write_events(tmp_path / "t.fcs", np.ones((3, 2)), ["Comp-FITC-A", "PE-A"], keywords=matrix)
    with pytest.raises(SpilloverError, match=r"PE-A of the spillover keyword not"):
        spillover_for(nf.read_fcs(tmp_path / "t.fcs"), "keyword")


def test_second_data_set_left_unread_is_for_review(shared_data) -> None:  # type: ignore[no-untyped-def]
    from nti7flow.counting.checks import check_sample, judge_notes
    from nti7flow.events.spillover import Spillover

    tube = nf.read_fcs(shared_data / "flowkit" / "data" / "multi_dataset_fcs" / "coulter.lmd")
    checks = {check.check[:17]: check.severity for check in check_sample(tube, Spillover.none(), [], judge_notes(tube))}
    assert checks["file_note: FCS030"] == "review"
