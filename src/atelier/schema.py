"""The strict base of every configuration class, its range types, and reading YAML into it."""

import re
from collections.abc import Iterable
from copy import deepcopy
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from reprlib import repr as shortened
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atelier.errors import UserError, UserErrors

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Widths = Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)]
"""Channels of a network's maps, from the largest to the smallest."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Rate = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Strict(BaseModel):
    """Frozen, and without room for a key that nobody reads; values are not coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Config = TypeVar("Config", bound=Strict)

COMPLETE = "A file names every key; see its neighbours."
UNQUOTED = "Write it without quotes."


class _Loader(yaml.SafeLoader):
    """Reads 5e-05 as a number, as YAML 1.2 and DVC do, whose `exp run -S` writes it; PyYAML's own
    loader wants 5.0e-05. And refuses a key that stands twice, of which that one silently keeps the
    last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                problem = f"the key {key.value} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.?[0-9]*)(?:[eE][-+]?[0-9]+)?")
"""YAML 1.2, section 10.3.2: a finite float, of which some are integers."""
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(rf"(?=.*[.eE]){NUMBER.pattern}$"),  # without either it is no float, such as 08
    list("-+.0123456789"),
)


def parse(text: str) -> Any:
    """What YAML holds.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: it is none.
    """
    # A command may read a file for each of forty stages, and PyYAML takes 20 ms for it.
    return deepcopy(_parsed(text))


@lru_cache
def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        # So PyYAML's constructors fail where a value is not what its tag says, as in `!!bool x`.
        raise ValueError(f"a value is not what its tag says: {error}") from None


def read_yaml(path: Path) -> Any:
    """Returns what the file holds; a missing or unreadable file is the user's mistake."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], 1)
        hint = f"Did you mean {path.parent / near[0]}?" if near else "Check the name."
        raise UserError(path, "no such file", hint) from None
    except UnicodeDecodeError:
        raise UserError(path, "not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        # A syntax error has a problem, an unprintable character a reason.
        problem = getattr(error, "problem", None) or getattr(error, "reason", error)
        raise UserError(where, f"not YAML ({problem})") from None
    except (ValueError, RecursionError) as error:
        # An impossible date, or brackets without end.
        raise UserError(path, f"not YAML ({error})") from None


def load(path: Path, config: type[Config]) -> Config:
    """Reads a YAML file into `config`.

    Raises:
        UserErrors: a line for each wrong key or value, with the nearest known key.
    """
    return check(read_yaml(path), config, path)


def check(values: Any, config: type[Config], path: Path, under: str = "") -> Config:
    """What a file holds, or what it holds `under` a key, as `config`.

    Raises:
        UserErrors: a line for each wrong key or value, with the nearest known key.
    """
    where = f"{path}: {under}" if under else str(path)
    if not isinstance(values, dict):
        got = "nothing" if values is None else type(values).__name__
        raise UserError(where, f"expected keys and values (got {got})")
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise UserErrors([_explain(where, config, problem) for problem in error.errors()]) from None


def unknown(where: object, word: object, choices: Iterable[str]) -> UserError:
    """The mistake of a word that is none of the choices; suggests the nearest."""
    choices = list(choices)
    near = get_close_matches(str(word), choices, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    known = f"One of {', '.join(choices)}." if choices else "There is none."
    return UserError(where, f"unknown (got {shortened(word)})", hint + known)


def _explain(where: str, config: type[BaseModel], problem: Any) -> UserError:
    """One of pydantic's errors in our words."""
    loc, context = problem["loc"], problem.get("ctx", {})
    keys = _without_tags(config, loc)
    if keys:
        dotted = ".".join(str(key) for key in keys)
        where = f"{where}.{dotted}" if ": " in where else f"{where}: {dotted}"
    got = f"(got {shortened(problem['input'])})"
    match problem["type"]:
        case "extra_forbidden":
            near = get_close_matches(str(keys[-1]), _known_keys(config, loc[:-1]), 1)
            return UserError(where, "unknown key", f"Did you mean {near[0]}?" if near else "")
        case "missing":
            return UserError(where, "missing", COMPLETE)
        case "union_tag_not_found":
            return UserError(f"{where}.name", "missing", COMPLETE)
        case "union_tag_invalid":
            choices = re.findall(r"'([^']*)'", context["expected_tags"])
            return unknown(f"{where}.name", context["tag"], choices)
        case "literal_error":
            return unknown(where, problem["input"], re.findall(r"'([^']*)'", context["expected"]))
        case "value_error":
            return UserError(where, str(context["error"]))
        case "model_type" | "model_attributes_type" | "dict_type":
            return UserError(where, f"expected keys and values {got}")
        case "float_type" if isinstance(problem["input"], str):
            hint = UNQUOTED if NUMBER.fullmatch(problem["input"]) else ""
            return UserError(where, f"expected a number {got}", hint)
        case _:
            message = re.sub("^(Input|String) should", "must", problem["msg"])
            return UserError(where, f"{message[0].lower()}{message[1:]} {got}")


def _without_tags(config: type[BaseModel], loc: tuple[Any, ...]) -> list[Any]:
    """pydantic writes a union's chosen tag into the location: `model.dcgan.width`."""
    return [part for depth, part in enumerate(loc) if not _is_tag(config, loc[:depth], part)]


def _is_tag(config: type[BaseModel], parents: tuple[Any, ...], part: Any) -> bool:
    here = _field_types(config, parents)
    return len(here) > 1 and any(_tag(branch) == part for branch in here)


def _tag(branch: type[BaseModel]) -> str | None:
    field = branch.model_fields.get("name")
    choices = getattr(field.annotation, "__args__", ()) if field else ()
    return choices[0] if choices else None


def _field_types(config: type[BaseModel], loc: tuple[Any, ...]) -> list[type[BaseModel]]:
    """The configuration classes that may stand at a location."""
    here: list[type[BaseModel]] = [config]
    for part in loc:
        tagged = [branch for branch in here if len(here) > 1 and _tag(branch) == part]
        if tagged:
            here = tagged
            continue
        found = [b.model_fields[part].annotation for b in here if part in b.model_fields]
        if found:  # else a key of a free mapping, such as a network's name
            here = [branch for annotation in found for branch in _branches(annotation)]
    return here


def _branches(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [b for inner in getattr(annotation, "__args__", ()) for b in _branches(inner)]


def _known_keys(config: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    return [key for branch in _field_types(config, loc) for key in branch.model_fields]
