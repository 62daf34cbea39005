"""The strict base of every configuration class, its range types, and reading YAML into it."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atelier.errors import UserError, UserErrors

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Strict(BaseModel):
    """Frozen, and without room for a key that nobody reads; values are not coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Config = TypeVar("Config", bound=Strict)


def read_yaml(path: Path) -> Any:
    """Returns what the file holds; a missing or unreadable file is the user's mistake."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
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
        raise UserError(where, f"not YAML ({getattr(error, 'problem', error)})") from None


def load(path: Path, config: type[Config]) -> Config:
    """Reads a YAML file into `config`.

    Raises:
        UserErrors: a line for each wrong key or value, with the nearest known key.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise UserError(path, f"expected keys and values (got {type(values).__name__})")
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise UserErrors([_explain(path, config, problem) for problem in error.errors()]) from None


def _explain(path: Path, config: type[BaseModel], problem: Any) -> UserError:
    keys = [part for part in problem["loc"] if not _is_union_tag(config, problem["loc"], part)]
    where = f"{path}: {'.'.join(str(key) for key in keys)}" if keys else str(path)
    match problem["type"]:
        case "extra_forbidden":
            near = get_close_matches(str(keys[-1]), _known_keys(config, problem["loc"][:-1]), 1)
            return UserError(where, "unknown key", f"Did you mean {near[0]}?" if near else "")
        case "missing":
            return UserError(where, "missing", "A file names every key; see its neighbours.")
        case "value_error":
            return UserError(where, str(problem["ctx"]["error"]))
        case _:
            message = problem["msg"][0].lower() + problem["msg"][1:]
            return UserError(where, f"{message} (got {problem['input']!r})")


def _is_union_tag(config: type[BaseModel], loc: tuple[Any, ...], part: Any) -> bool:
    """pydantic writes a union's chosen tag into the location: `model.dcgan.width`."""
    position = loc.index(part)
    parent = _field_types(config, loc[:position])
    return len(parent) > 1 and any(_tag(branch) == part for branch in parent)


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
        here = [branch for annotation in found for branch in _branches(annotation)]
    return here


def _branches(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [b for inner in getattr(annotation, "__args__", ()) for b in _branches(inner)]


def _known_keys(config: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    return [key for branch in _field_types(config, loc) for key in branch.model_fields]
