"""What a reference names is read from the database as MLflow would say it, without MLflow."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from atelier.cli.registry import list_
from atelier.errors import UserError
from atelier.registry import loading, pages, versions
from atelier.registry.lookup import look_over, look_up
from atelier.registry.store import DATABASE, Store

NAME = "faces-gan-tiny"
HEAVY = ("torch", "mlflow", "sqlalchemy", "pandas", "scipy", "sympy", "torch._dynamo")
REPORT = """
import atexit, json, sys
from atelier.cli.main import main
heavy = json.loads(sys.argv.pop(1))
atexit.register(lambda: print("imported:", *(name for name in heavy if name in sys.modules)))
main()
"""


@pytest.mark.parametrize("reference", ["@champion", "@challenger", "/1", "/2"])
def test_it_is_what_mlflow_says(published: Store, reference: str) -> None:
    client = published.client
    client.set_registered_model_alias(NAME, "on-trial", "1")
    client.set_model_version_tag(NAME, "1", "gate.reason", "set later than what is packed")
    found = look_up(DATABASE, NAME + reference)
    expected = versions.find(published, NAME + reference)
    assert found == expected
    assert found is not None
    assert found.description == expected.description


def test_a_version_with_a_run_names_it(published: Store, image_bundle: Path) -> None:
    run = published.client.create_run(published.experiment("faces-gan")).info.run_id
    source = versions.find(published, f"{NAME}/1").source
    published.client.create_model_version(NAME, source, run_id=run)
    found = look_up(DATABASE, f"{NAME}/3")
    assert found == versions.find(published, f"{NAME}/3")
    assert found is not None
    assert found.run_id == run


@pytest.mark.parametrize(
    "reference",
    ["", "@", "/", NAME, f"{NAME}@", f"{NAME}/", f"{NAME}/9", f"{NAME}@none", "other@champion",
     f"{NAME}/1 OR 1=1", f"{NAME}@champion' --"],
)  # fmt: skip
def test_what_is_not_there_is_left_to_mlflow(published: Store, reference: str) -> None:
    assert look_up(DATABASE, reference) is None
    with pytest.raises(UserError, match=r"no version named|no such"):
        loading.load(reference)


def test_a_deleted_version_is_not_there(published: Store) -> None:
    published.client.delete_registered_model_alias(NAME, "champion")
    published.client.delete_model_version(NAME, "2")
    assert look_up(DATABASE, f"{NAME}/2") is None
    assert look_up(DATABASE, f"{NAME}/1") == versions.find(published, f"{NAME}/1")


def test_two_workspaces_with_one_name_are_for_mlflow_to_tell_apart(published: Store) -> None:
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        for table, columns in (
            ("registered_models", "name, creation_time, last_updated_time, description"),
            ("model_versions", "name, version, source, creation_time, current_stage"),
        ):
            connection.execute(
                f"INSERT INTO {table} ({columns}, workspace) SELECT {columns}, 'other' FROM {table}"
            )
    assert look_up(DATABASE, f"{NAME}/1") is None


@pytest.mark.parametrize("content", [b"", b"no database at all, but a text that is long enough"])
def test_another_file_or_schema_is_left_to_mlflow(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mlflow.db"
    assert look_up(path, f"{NAME}/1") is None
    assert not path.exists()
    path.write_bytes(content)
    assert look_up(path, f"{NAME}/1") is None
    assert look_over(path) is None
    assert path.read_bytes() == content


def imported(*arguments: str) -> list[str]:
    """The heavy modules that the command `atelier …` has imported when it ends."""
    heavy = '["' + '", "'.join(HEAVY) + '"]'
    ran = subprocess.run(
        [sys.executable, "-c", REPORT, heavy, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    return ran.stdout.splitlines()[-1].removeprefix("imported:").split()


def test_all_versions_are_what_mlflow_says(published: Store) -> None:
    published.client.create_registered_model("without-versions")
    published.client.set_registered_model_alias(NAME, "a-trial", "2")
    expected = [
        one for name in versions.names(published) for one in versions.versions(published, name)
    ]
    found = look_over(DATABASE)
    assert found == expected
    assert [one.description for one in found or []] == [one.description for one in expected]
    assert len(expected) > 1


@pytest.mark.parametrize("tag", ["makes", "bytes"])
def test_a_version_that_does_not_say_all_of_it_is_listed_by_mlflow(
    published: Store, tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one that was registered before its tags did."""
    list_(as_json=True)
    expected = capsys.readouterr().out
    key, words = "atelier.lineage", published.client.get_model_version(NAME, "1").tags
    rest = json.loads(words[key])
    del rest[{"makes": pages.MAKES, "bytes": pages.SIZE}[tag]]
    published.client.set_model_version_tag(NAME, "1", key, json.dumps(rest))
    list_(as_json=True)
    assert capsys.readouterr().out == expected


def test_to_list_what_there_is_takes_neither_torch_nor_mlflow(published: Store) -> None:
    assert imported("registry", "list") == []


@pytest.mark.parametrize(
    "arguments",
    [("registry", "show", f"{NAME}@champion"), ("registry", "history", NAME)],
)
def test_to_look_at_the_registry_takes_no_torch(
    published: Store, arguments: tuple[str, ...]
) -> None:
    assert "torch" not in imported(*arguments)


def test_to_draw_pictures_takes_torch_alone(published: Store) -> None:
    made = imported("generate", f"{NAME}@champion", "--count", "2", "--out", "grid.png")
    assert made == ["torch"]


def test_to_refuse_a_request_takes_nothing(published: Store) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", REPORT, '["torch"]', "generate", f"{NAME}@champion", "--count", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stdout == "imported:\n"
