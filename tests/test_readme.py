"""README.md and docs/ tell the truth: commands run, files exist, tables agree with the code.

Every line of README.md's shell blocks is run in a real project at tiny scale, or named in NOT_RUN.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import typer

from atelier.cli.main import app
from atelier.config import load_experiment
from atelier.models import MODELS
from tests.project import BIN, ROOT, run, start
from tests.tables import SHIPPED

CELEBA_ATTRIBUTES = 40
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "mlruns/README.md", *sorted((ROOT / "docs").rglob("*.md"))]

NOT_RUN = {
    "make repro": "the long run itself; tests/pipeline/test_pipeline.py runs it at tiny scale",
    "make test": "these tests",
    ". .venv/bin/activate": "the tests have their environment already",
    "mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db --workers 1": "runs until it is "
    "stopped; test_the_ui_answers starts it",
}
AT_TINY_SCALE = {
    "artifacts/laptop/": "artifacts/tiny/",
    "experiments/laptop/": "experiments/tiny/",
    "images=32000": "images=1280",
    # A tiny generator may fail the gate's floors, so it is fetched by its number.
    "faces-gan@champion": "faces-gan-tiny/1",
    "numbers@champion": "numbers-tiny/1",
    "faces-cgan@champion": "faces-cgan-tiny/1",
    "horse2zebra@champion": "horse2zebra-tiny/1",
    "faces-vae@champion": "faces-vae-tiny/1",
    "paintings-gan@champion": "paintings-gan-tiny/1",
    # The few faces of this scale have no such combination.
    "Eyeglasses=1,Blond_Hair=1": "Blond_Hair=1",
}
SAYS = {
    "dvc exp show": "training.images",
    "dvc metrics show": "judge.kid",
    "dvc plots show": "index.html",
    "dvc pull": "up to date",
    "atelier registry list": "numbers-tiny/1",
    "atelier registry show": "gate.reason",
    "atelier generate numbers": " ",
    "atelier dataset new": "pictures without labels",
    "atelier data import": "192 training, 48 validation, 48 test",
    "atelier data check": "in order",
}
REFUSED_AT_TINY_SCALE = {
    # Its judge sees 192 faces and earns no trust, so that no bundle gets directions; the command
    # itself runs on a bundle that has them in tests/registry/test_edit.py.
    "atelier edit": "holds no directions",
}
LEFT_BEHIND = (
    "grid.png",
    "glasses.png",
    "between.gif",
    "zebras",
    "again",
    "face-3.png",
    "paintings.png",
    "experiments/tiny/faces-hinge.yaml",
)


def blocks(language, text=README):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands():
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


def tiny(text):
    for there, here in AT_TINY_SCALE.items():
        text = text.replace(there, here)
    return text


def home(project, folder):
    """A home with somebody's own CelebA, a plain folder of pictures, and a git identity."""
    own = folder / "Downloads" / "celeba"
    shutil.copytree(project / "data/celeba", own)
    (own / "drawn.json").unlink()
    shutil.copytree(own / "img_align_celeba", folder / "Pictures" / "paintings")
    (folder / ".gitconfig").write_text("[user]\nname = t\nemail = t@localhost\n")
    return str(folder)


@pytest.mark.slow
def test_every_command_and_example_of_the_readme_works(project, tmp_path_factory):
    variables = {"HOME": home(project, tmp_path_factory.mktemp("home"))}
    run(project, "git", "add", "--all", **variables)
    run(project, "git", "commit", "--quiet", "-m", "after the first run", **variables)
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```", README, re.DOTALL | re.M):
        if language == "python":
            run(project, sys.executable, "-c", tiny(block), **variables)
            continue
        for line in filter(str.strip, block.splitlines()):
            if line in NOT_RUN:
                continue
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                variables[name] = value
                continue
            refused = [w for start_, w in REFUSED_AT_TINY_SCALE.items() if line.startswith(start_)]
            code = 2 if refused else 0
            said = run(project, "bash", "-c", tiny(line), code=code, **variables)
            expected = [words for start_, words in SAYS.items() if line.startswith(start_)]
            expected += refused
            assert all(words in said for words in expected), f"{line}\n{said}"
    for name in LEFT_BEHIND:
        assert (project / name).exists(), name


@pytest.mark.slow
@pytest.mark.server
def test_the_ui_answers(project):
    (line,) = [line for line in commands() if line.startswith("mlflow ui")]
    server = start(project, "bash", "-c", f"exec {line} --port 5987")
    try:
        end = time.monotonic() + 180
        while not answers("http://127.0.0.1:5987/health"):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < end, "the server never answered"
            time.sleep(1)
    finally:
        os.killpg(server.pid, 15)
        server.wait(60)


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def test_the_table_of_what_is_not_run_is_true():
    assert not NOT_RUN.keys() - set(commands())


def test_make_targets_exist():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = {word for page in PAGES for word in re.findall(r"\bmake ([a-z-]+)`", page.read_text())}
    lines = {line.removeprefix("make ") for line in commands() if line.startswith("make ")}
    assert named | lines <= set(targets)


def test_the_readme_is_short_and_starts_with_a_command():
    lines = README.splitlines()
    assert len(lines) <= 200
    assert lines.index("make repro") < 24


def test_the_tree_is_the_tree():
    (tree,) = blocks("text")
    named, parent = set(), ""
    for line in tree.splitlines():
        folders = re.split(r"\s{2,}", line.strip())[0].split()
        if not line.startswith(" "):
            parent = folders[0]
        named |= {(parent if line.startswith(" ") else "") + folder for folder in folders}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    top = {f"{name.split('/')[0]}/" for name in tracked if "/" in name and name[0] != "."}
    made = {"data/", "artifacts/"}
    packages = {f"{path.parent.relative_to(ROOT)}/" for path in
                (ROOT / "src/atelier").glob("*/__init__.py")}  # fmt: skip
    assert named == (top - {"src/"}) | made | packages | {"src/atelier/"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    local = [link for link in links if not link.startswith("http")]
    assert not [link for link in local if not (page.parent / link.split("#")[0]).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_figure_is_filled_in(page):
    assert not re.findall(r"FIGURE:\w+", page.read_text())


def test_commands_are_those_that_are_documented():
    text = "\n".join(page.read_text() for page in PAGES)
    existing = set(leaves(typer.main.get_command(app), "atelier"))
    assert not [command for command in existing if not re.search(rf"\b{command}\b", text)]
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *blocks("sh", text)])
    known = existing | {command.rsplit(" ", 1)[0] for command in existing}
    for first, second in re.findall(r"\batelier ([a-z]+)(?: ([a-z]+))?", code):
        assert f"atelier {first}" in known, first
        if f"atelier {first}" not in existing:
            assert f"atelier {first} {second}" in existing, (first, second)


def leaves(command, path):
    """The full names of all commands that do something."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, f"{path} {name}")
    if not hasattr(command, "commands"):
        yield path


def test_the_table_has_every_shipped_experiment_and_its_size():
    rows = dict(re.findall(r"^\| \[`([\w-]+)`\]\S+ (\|.*)$", README, re.MULTILINE))
    assert rows.keys() == set(SHIPPED)
    for name, row in rows.items():
        experiment = load_experiment("laptop", name)
        model, conditions = experiment.model, getattr(experiment.sampling, "attributes", ())
        shape = (100,) if experiment.task.makes == "numbers" else (3, 64, 64)
        nets = MODELS[model.name].build(model, shape, len(conditions) or CELEBA_ATTRIBUTES)
        for network in nets.values():
            assert f"{sum(p.numel() for p in network.parameters()):,}" in row


def test_the_tools_of_the_readme_are_installed():
    for line in commands():
        tool = line.split()[0]
        if tool in ("atelier", "dvc", "mlflow"):
            assert (BIN / tool).exists(), tool
