"""The JSON Schema of templates, for editors: generated from the models, kept in gating/schema/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nti7flow.gating.methods import known_methods
from nti7flow.gating.specs import FittedSpec, TemplateSpec
from nti7flow.gating.template import library_folder

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def template_schema() -> dict[str, Any]:
    """JSON Schema of ``nti7flow/template/1``, with the known methods and the parameters of each."""
    schema = TemplateSpec.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    fitted = definitions[FittedSpec.__name__]
    fitted["properties"]["method"]["enum"] = [method.reference for method in known_methods()]
    fitted["allOf"] = []
    for method in known_methods():
        parameters = method.parameters.model_json_schema()
        definitions |= parameters.pop("$defs", {})
        name = f"{method.name}_{method.version}"
        definitions[name] = parameters
        fitted["allOf"].append(
            {
                "if": {"properties": {"method": {"const": method.reference}}},
                "then": {"properties": {"params": {"$ref": f"#/$defs/{name}"}}},
            }
        )
    return {"$schema": DIALECT, **schema, "title": "nti7flow gating template, schema 1"}


def schema_text() -> str:
    """Return the schema as it stands in the file."""
    return json.dumps(template_schema(), indent=2, ensure_ascii=False) + "\n"


def schema_path() -> Path:
    """Where the schema lies beside the released templates."""
    return library_folder() / "schema" / "template-1.schema.json"


if __name__ == "__main__":
    schema_path().write_text(schema_text(), encoding="utf-8", newline="\n")
