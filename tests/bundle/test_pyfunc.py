"""The bundle as MLflow loads and calls it, without Atelier."""

import base64
import io
import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atelier.bundle.bundle_model import answer, columns, open_bundle
from atelier.registry.packaging import REQUIREMENTS, bundle_inside, write_model


@pytest.fixture(scope="session")
def model_folder(image_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "written"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_model(image_bundle, folder)
    return folder


@pytest.fixture(scope="session")
def loaded(model_folder: Path) -> Any:
    from mlflow import pyfunc

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pyfunc.load_model(str(model_folder))


def test_the_model_folder_names_no_machine(model_folder: Path) -> None:
    assert [path.name for path in model_folder.parent.iterdir()] == ["written"]
    for path in model_folder.rglob("*"):
        if path.is_file():
            assert str(model_folder.parents[1]).encode() not in path.read_bytes()


def test_rows_are_what_atelier_itself_samples(loaded: Any, image_bundle: Path) -> None:
    import pandas

    rows = loaded.predict(pandas.DataFrame({"count": [3, 2], "seed": [7, 8]}))
    assert [(row["index"], row["seed"]) for row in rows] == [(0, 7), (1, 7), (2, 7), (0, 8), (1, 8)]
    opened = open_bundle(image_bundle)
    expected = [*opened.sample(3, 7), *opened.sample(2, 8)]
    for row, pixels in zip(rows, expected, strict=True):
        picture = Image.open(io.BytesIO(base64.b64decode(row["png_base64"])))
        np.testing.assert_array_equal(np.asarray(picture), pixels)
    (row,) = loaded.predict([{"count": 1, "seed": 7}], params={"format": "array"})
    np.testing.assert_array_equal(np.array(row["array"], np.uint8), expected[0])


@pytest.mark.parametrize(
    ("rows", "params", "message"),
    [
        ([{"count": 1, "colour": 3}], None, "colour: no such column"),
        ([{"count": 1}], {"quality": 3}, "'quality' is not known"),
        ([{"count": 1}], {"format": "gif"}, "format 'gif' is not known"),
        ([{"count": 10**9}], None, "whole number from 1 to 10000"),
        ([{"count": 1, "seed": -1}], None, "seed: a whole number"),
        ([{"count": 1, "truncation": float("nan")}], None, "truncation: above 0"),
        ([{"count": 1.5}], None, "Incompatible input types for column count"),
        ([{"count": True}], None, "Incompatible input types for column count"),
    ],
)
def test_mlflow_refuses_what_the_bundle_cannot_honour(
    loaded: Any, rows: Any, params: Any, message: str
) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match=message) as caught:
        loaded.predict(rows, params=params)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert caught.value.__cause__ is None


def test_no_other_exception_leaks(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException

    model = loaded.unwrap_python_model()
    monkeypatch.setattr(model.bundle, "sample", lambda *_: {}["secret path"])
    with pytest.raises(MlflowException, match=r"generation failed \(KeyError\)$"):
        loaded.predict([{"count": 1}])


def test_a_changed_loader_is_refused(model_folder: Path, tmp_path: Path) -> None:
    import shutil

    from mlflow import pyfunc
    from mlflow.exceptions import MlflowException

    changed = Path(shutil.copytree(model_folder, tmp_path / "changed"))
    with (changed / "bundle_model.py").open("a") as file:
        file.write("\n# changed\n")
    with pytest.raises(MlflowException, match="not the code that was packed"):
        pyfunc.load_model(str(changed))
    program = bundle_inside(changed) / "generator.pt2"
    program.write_bytes(program.read_bytes() + b"x")
    with pytest.raises(MlflowException, match="its hash differs"):
        pyfunc.load_model(str(changed))


def png_of(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


WIDE = np.random.default_rng(0).integers(0, 256, (21, 34, 3), np.uint8)
REQUESTS: dict[str, list[dict[str, Any]]] = {
    "numbers": [{"count": 20, "seed": 3}],
    "unconditional": [{"count": 2, "seed": 7, "edits": "Smiling=2"}, {"count": 1, "seed": 8}],
    "conditional": [
        {"count": 2, "attributes": "Eyeglasses=1,Blond_Hair=0.5"},
        {"count": 1, "attributes": "Black_Hair=1,Blond_Hair=1", "allow_unseen": True},
    ],
    "translation": [{"image_base64": png_of(WIDE), "direction": "B2A"}],
    "autoencoder": [{"image_base64": png_of(WIDE)}],
    "vae": [{"count": 2, "sampler": "mixture"}],
}
REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "numbers": ([{"count": 1, "edits": "Smiling=1"}], "edits: no such column"),
    "unconditional": ([{"count": 1, "edits": "Smiling=4"}], "edits: Smiling: from -3 to 3"),
    "conditional": (
        [{"count": 1, "attributes": "Black_Hair=1,Blond_Hair=1"}], "never seen in training"
    ),
    "translation": ([{"image_base64": "AAAA", "direction": "B2A"}], "not a PNG or JPEG"),
    "autoencoder": ([{"image_base64": png_of(WIDE), "count": 1}], "count: no such column"),
    "vae": ([{"image_base64": png_of(WIDE), "count": 1}], "takes no count"),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_mlflow_answers_for_each_task_as_the_bundle_does(
    packed: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    """A row's column that another row lacks is empty in MLflow's table: it is not given."""
    from mlflow import pyfunc
    from mlflow.exceptions import MlflowException

    write_model(packed(name), tmp_path / "model")
    model = pyfunc.load_model(str(tmp_path / "model"))
    accepted = set(model.metadata.get_input_schema().input_names())
    opened = open_bundle(packed(name))
    assert accepted == set(columns(opened.manifest))
    rows = model.predict(REQUESTS[name])
    assert rows == answer(opened, REQUESTS[name], None)
    assert set(rows[0]) <= set(model.metadata.get_output_schema().input_names())
    wrong, message = REFUSED[name]
    with pytest.raises(MlflowException, match=message):
        model.predict(wrong)


def test_a_vae_also_takes_images(packed: Callable[[str], Path], tmp_path: Path) -> None:
    from mlflow import pyfunc

    write_model(packed("vae"), tmp_path / "model")
    model = pyfunc.load_model(str(tmp_path / "model"))
    request = [{"image_base64": png_of(WIDE), "edits": "Male=-1"}]
    assert model.predict(request) == answer(open_bundle(packed("vae")), request, None)
    assert [set(row) for row in model.predict(request)] == [{"index", "png_base64"}]


BARE = """
    import sys, mlflow
    try:
        import atelier
    except ImportError:
        pass
    else:
        sys.exit("atelier is installed here")
    model = mlflow.pyfunc.load_model(sys.argv[1])
    print(len(model.predict([{"count": 3, "seed": 7}])))
"""


@pytest.mark.slow
def test_a_bare_environment_is_enough(model_folder: Path, tmp_path: Path) -> None:
    """mlflow, torch, numpy and Pillow at this environment's versions, and what they need."""
    import shutil

    if (
        uv := shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    ) is None:
        pytest.skip("uv is not installed")
    bare = tmp_path / "bare"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(bare)], check=True)
    wanted = [f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS]
    python = str(bare / "bin" / "python")
    installed = subprocess.run([uv, "pip", "install", "-q", "--python", python, *wanted])
    if installed.returncode != 0:
        pytest.skip("the package registry cannot be reached")
    done = subprocess.run(
        [python, "-W", "error:Add type hints", "-c", textwrap.dedent(BARE), str(model_folder)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "3"
