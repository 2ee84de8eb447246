"""YAML with line numbers: an error in a file a person wrote says where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nti7flow.errors import ConfigError, did_you_mean

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Source:
    """A parsed YAML file that remembers where everything stood."""

    path: str
    data: Any

    def line(self, location: Sequence[str | int]) -> int:
        """Line, from 1, of the deepest part of a location that the file really has."""
        node, line = self.data, 1
        for step in location:
            marks = getattr(node, "lc", None)
            try:
                if marks is not None:
                    line = (marks.key(step) if isinstance(node, dict) else marks.item(step))[0] + 1
                node = node[step]
            except (KeyError, IndexError, TypeError):
                continue  # a step that is the name of a model, not a key of the file
        return line

    def problem(self, location: Sequence[str | int], text: str) -> str:
        """One line of a listing: ``file:line: text``."""
        return f"{self.path}:{self.line(location)}: {text}"

    def validate(self, model: type[Model]) -> Model:
        """Check against a pydantic model; raises one `ConfigError` with all problems, each with its line."""
        try:
            return model.model_validate(plain(self.data))
        except ValidationError as error:
            items = error.errors()
            keys = _keys(model)
            problems = {
                self.problem(item["loc"], explain(item, keys)): None for item in items if not _follows(item, items)
            }
            raise ConfigError("\n".join(problems)) from None


def explain(item: ErrorDetails, keys: Iterable[str]) -> str:
    """Say where and what one pydantic error is, to a writer who may have meant one of ``keys``."""
    where = ".".join(str(step) for step in item["loc"] if "[" not in str(step))
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "no such key." + did_you_mean(str(item["loc"][-1]), keys)
    elif item["type"] == "missing":
        message = "is missing."
    elif item["type"] != "value_error":  # ours say themselves what they found
        message = f"{message}; found {_shown(item['input'])}"
    return (f"{where}: " if where else "") + message + ("" if message.endswith((".", "?")) else ".")


def _shown(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else repr(value)


def _follows(item: ErrorDetails, items: Sequence[ErrorDetails]) -> bool:
    """Whether an error only follows from another, as one mistake makes one line.

    A key is missing because an unknown one beside it is meant to be it; a list is too short because of what is in it.
    """
    *place, key = item["loc"] or ("",)
    if item["type"] == "too_short":
        return any(other is not item and other["loc"][: len(item["loc"])] == item["loc"] for other in items)
    beside = [other["loc"] for other in items if other["type"] == "extra_forbidden" and item["type"] == "missing"]
    return any(list(loc[:-1]) == place and did_you_mean(str(loc[-1]), [str(key)]) for loc in beside)


def _keys(model: type[BaseModel]) -> set[str]:
    """Every key that a model or a model inside it knows."""
    schema = model.model_json_schema()
    nested = [definition.get("properties", {}) for definition in schema.get("$defs", {}).values()]
    return {key for properties in (schema.get("properties", {}), *nested) for key in properties}


def plain(node: Any) -> Any:
    """Return plain dicts and lists without the parser's marks."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    return node


def read_yaml(path: Path) -> Source:
    """Parse a YAML 1.2 file that holds a mapping; raises `ConfigError` with the line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8-sig")
        data = YAML(typ="rt").load(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem or error.context}.") from None
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {str(error).splitlines()[0]}.") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: a mapping was expected, found {type(data).__name__}.")
    return Source(str(path), data)
