"""YAML with line numbers: an error in a file a person wrote says where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

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
            return model.model_validate(_plain(self.data))
        except ValidationError as error:
            items = [dict(item) for item in error.errors()]
            unknown = [item["loc"] for item in items if item["type"] == "extra_forbidden"]
            problems = {self._explain(item, model): None for item in items if not _misspelt(item, unknown)}
            raise ConfigError("\n".join(problems)) from None

    def _explain(self, item: dict[str, Any], model: type[BaseModel]) -> str:
        location = [step for step in item["loc"] if not (isinstance(step, str) and "[" in step)]
        where = "".join(f"{step}: " if i == len(location) else f"{step}." for i, step in enumerate(location, 1))
        return self.problem(location, where + explain(item, _keys(model)))


def explain(item: Mapping[str, Any], keys: Iterable[str]) -> str:
    """Say what one pydantic error means to the writer of the file, who may have meant one of ``keys``."""
    message = str(item["msg"])
    if item["type"] == "extra_forbidden":
        return "no such key." + did_you_mean(str(item["loc"][-1]), keys)
    if item["type"] == "missing":
        return "is missing."
    if item["type"] == "value_error":  # ours: says itself what was found
        message = message.removeprefix("Value error, ")
    else:
        message = f"{message}; found {_shown(item['input'])}"
    return message if message.endswith((".", "?")) else f"{message}."


def _shown(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else repr(value)


def _misspelt(item: Mapping[str, Any], unknown: Sequence[tuple[str | int, ...]]) -> bool:
    """Whether a key is missing because an unknown one beside it is meant to be it: one mistake, one line."""
    *parent, key = item["loc"] or ("",)
    beside = [str(location[-1]) for location in unknown if list(location[:-1]) == parent]
    return item["type"] == "missing" and any(did_you_mean(name, [str(key)]) for name in beside)


def _keys(model: type[BaseModel]) -> set[str]:
    """Every key that a model or a model inside it knows."""
    schema = model.model_json_schema()
    nested = [definition.get("properties", {}) for definition in schema.get("$defs", {}).values()]
    return {key for properties in (schema.get("properties", {}), *nested) for key in properties}


def _plain(node: Any) -> Any:
    """Return plain dicts and lists without the parser's marks."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
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
