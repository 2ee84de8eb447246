"""The registry: methods by name and version."""

import pytest
from pydantic import ValidationError

from nti7flow.errors import ConfigError
from nti7flow.gating.methods import Placement, find_method, known_methods
from nti7flow.gating.methods.registry import Method, Parameters, method


def test_every_method_is_there():
    found = {m.reference: m.n_dimensions for m in known_methods()}
    assert found == {
        "arm_2d@1": 2,
        "backgate_2d@1": 2,
        "beads@1": 1,
        "bright_cluster_2d@1": 2,
        "cloud_2d@1": 2,
        "density_cluster_2d@1": 2,
        "density_valley@1": 1,
        "landmark@1": 1,
        "landmark_2d@1": 2,
        "mixture@1": 1,
        "quadrants@1": 2,
        "quantile@1": 1,
        "singlets@1": 2,
        "tail@1": 1,
    }


def test_is_found_by_name_and_version():
    found = find_method("tail@1")
    assert (found.name, found.version, found.reference) == ("tail", 1, "tail@1")


@pytest.mark.parametrize("reference", ["tail", "tail@", "tail@one", "tail@1.0", "tail@-1"])
def test_a_version_must_be_said(reference):
    with pytest.raises(ConfigError, match=r"must say its version, as in 'tail@1'; known: arm_2d@1, .*tail@1"):
        find_method(reference)


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("density_vally@1", "Did you mean 'density_valley@1'?"),
        ("Density_Valley@1", "Did you mean 'density_valley@1'?"),
        ("tail@2", "Did you mean 'tail@1'?"),
        ("flowclust@1", "singlets@1, tail@1."),
    ],
)
def test_an_unknown_method_lists_what_is_known(reference, hint):
    with pytest.raises(ConfigError) as error:
        find_method(reference)
    assert str(error.value).startswith(f"unknown method '{reference}'; known: arm_2d@1, ")
    assert str(error.value).endswith(hint)


def test_a_name_and_version_are_given_once():
    with pytest.raises(ValueError, match="method tail@1 is registered twice"):
        method("tail", 1, n_dimensions=1, parameters=Parameters)(lambda histogram, parameters: Placement())
    assert find_method("tail@1").parameters is not Parameters


#: Parameters that a template must say, by method.
REQUIRED = {
    "density_cluster_2d": {"anchor": (0, 0)},
    "landmark": {"landmark": 0.5, "bounds": (0.4, None), "max_shift": 0.1},
    "landmark_2d": {"landmark": (0.5, 0.5), "vertices": ((0, 0), (1, 0), (1, 1)), "max_shift": 0.1},
    "quadrants": {"part": "++"},
    "quantile": {"q": 0.5},
}


@pytest.mark.parametrize("each", known_methods(), ids=lambda m: m.reference)
def test_parameters_are_checked_and_frozen(each: Method):
    required = REQUIRED.get(each.name, {})
    parameters = each.parameters(**required)
    with pytest.raises(ValidationError, match="frozen"):
        parameters.min_events = 1
    with pytest.raises(ValidationError, match="Extra inputs"):
        each.parameters(**required, colour="red")
    with pytest.raises(ValidationError, match="min_events"):
        each.parameters(**required | {"min_events": 0})
    assert all(field.description for field in each.parameters.model_fields.values())


def test_a_placement_without_a_reason_is_a_gate():
    assert Placement(lower=0.5).placed
    assert not Placement(reason="one mode: no valley").placed
