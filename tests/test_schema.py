"""Numbers of a configuration file are read as DVC writes them."""

import math
from pathlib import Path
from typing import Annotated

import pytest
from dvc.utils.serialize import modify_yaml
from pydantic import Field

from atelier.errors import UserError
from atelier.schema import Strict, load, parse, read_yaml


class Numbers(Strict):
    rate: Annotated[float, Field(gt=0)]
    images: int


@pytest.mark.parametrize("text", ["5e-05", "2e-4", "1E3", "+1e3", ".5e-3", "2.e5", "2.0e-4", "-.5"])
def test_floats_are_those_of_yaml_1_2(text: str) -> None:
    assert parse(f"rate: {text}") == {"rate": float(text)}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("'5e-05'", "5e-05"), ("e5", "e5"), ("1e", "1e"), ("5e-05x", "5e-05x"), ("1.2.3", "1.2.3"),
     ("12", 12)],
)  # fmt: skip
def test_all_else_is_what_it_was(text: str, wanted: object) -> None:
    found = parse(f"value: {text}")["value"]
    assert found == wanted
    assert type(found) is type(wanted)


def test_what_dvc_writes_is_read(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("rate: 0.001\nimages: 100\n")
    with modify_yaml(file) as values:  # as `dvc exp run -S rate=0.00005` does
        values["rate"] = 0.00005
    assert "e-05" in file.read_text()
    assert math.isclose(load(file, Numbers).rate, 0.00005)


@pytest.mark.parametrize(
    "text",
    ["a: !!bool x", "a: !!timestamp x", "a: !!int ''", "a: !!int x", "a: !!float x", "? [1]\n: 2",
     "? {a: 1}\n: 2", "a: !!binary é", "a: !!set x", "a: !!omap x", "a: !!python/name:os.system x",
     "a: *b", "<<: x", "[" * 10_000, "a: 2001-02-31", "a: \0"],
)  # fmt: skip
def test_what_is_no_yaml_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"not YAML") as refusal:
        read_yaml(file)
    assert "\n" not in str(refusal.value)
