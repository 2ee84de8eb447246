"""The JSON Schema that editors complete templates by."""

import copy
import json

import jsonschema
import pytest
from ruamel.yaml import YAML

from nti7flow.gating.json_schema import DIALECT, schema_path, schema_text, template_schema
from nti7flow.gating.methods import known_methods
from nti7flow.gating.template import released_templates
from nti7flow.gating.yaml_source import plain


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(schema_path().read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture
def tbnk():
    return plain(YAML(typ="rt").load(released_templates()["tbnk@1.0.0"].read_text(encoding="utf-8")))


def population(template, name):
    return next(p for p in template["populations"] if p["id"] == name)


def test_the_shipped_schema_is_the_generated_one():
    assert schema_path().read_text(encoding="utf-8") == schema_text(), "run python -m nti7flow.gating.json_schema"


def test_says_what_it_is():
    schema = template_schema()
    assert schema["$schema"] == DIALECT
    methods = [method.reference for method in known_methods()]
    assert schema["$defs"]["FittedSpec"]["properties"]["method"]["enum"] == methods


@pytest.mark.parametrize("reference", released_templates())
def test_accepts_every_released_template(validator, reference):
    path = released_templates()[reference]
    validator.validate(plain(YAML(typ="rt").load(path.read_text(encoding="utf-8"))))
    assert path.read_text(encoding="utf-8").startswith(
        "# yaml-language-server: $schema=../schema/template-1.schema.json\n"
    )


def _set(name, **values):
    def change(template):
        population(template, name).update(values)

    return change


def _gate(name, **values):
    def change(template):
        population(template, name)["gate"].update(values)

    return change


BROKEN = {
    "wrong schema": lambda t: t.update(schema="nti7flow/template/2"),
    "no title": lambda t: t.pop("title"),
    "unknown top key": lambda t: t.update(titel="x"),
    "version": lambda t: t.update(version="1.0"),
    "no populations": lambda t: t.update(populations=[]),
    "typo in a population": _set("t_cells", lable="T"),
    "id in capitals": _set("t_cells", id="T_CELLS"),
    "label a number": _set("t_cells", label=5),
    "three plot axes": _set("t_cells", plot=["CD3", "SSC", "CD4"]),
    "gate not a mapping": _set("t_cells", gate="CD3+"),
    "typo in a gate": _gate("t_cells", dim=["CD3"]),
    "unknown method": _gate("t_cells", method="density_vally@1"),
    "method without version": _gate("t_cells", method="density_valley"),
    "unknown parameter": _gate("t_cells", params={"keeep": "above"}),
    "parameter of another method": _gate("t_cells", params={"anchor": [0, 0]}),
    "parameter out of range": _gate("t_cells", params={"min_events": 1}),
    "scope": _gate("t_cells", scope="batches"),
    "on_failure": _gate("t_cells", on_failure="absnt"),
    "typo in a fallback": lambda t: population(t, "b_cells")["gate"]["on_failure"].update(dim=["CD19"]),
    "two vertices": _set("t_cells", gate={"polygon": {"dims": ["CD3", "SSC"], "vertices": [[0, 0], [1, 1]]}}),
    "three bounds": _set("t_cells", gate={"range": {"CD3": [1, 2, 3]}}),
    "unknown scale": lambda t: t["scales"].update(CD3={"kind": "logical"}),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_rejects_what_is_broken(validator, tbnk, mistake):
    validator.validate(tbnk)
    broken = copy.deepcopy(tbnk)
    BROKEN[mistake](broken)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(broken)
