"""New files of experiments/ and their line of params.yaml: all of it appears, or nothing does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from atelier.errors import UserError
from atelier.files import write_whole
from atelier.params import Parameters, load_parameters
from atelier.paths import PARAMETERS
from atelier.rewriting import extended
from atelier.schema import check, parse

Block = Literal["datasets", "experiments"]


def add(texts: Mapping[Path, str], block: Block, name: str, entry: Mapping[str, str]) -> None:
    """Writes the files, and last the line `name: entry` at the end of a block of params.yaml.

    Raises:
        UserError: the block can't be added to, or a file can't be written.
    """
    mapping = _with_line(block, name, entry)
    written: list[Path] = []
    try:
        for path, text in texts.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
        # Until it names them, nothing reads the files.
        write_whole(PARAMETERS, mapping)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise UserError(error.filename, f"cannot be written ({error.strerror})") from None


def _with_line(block: Block, name: str, entry: Mapping[str, str]) -> str:
    """params.yaml with one line more, once it reads back as what it should."""
    try:
        text = extended(PARAMETERS.read_text(encoding="utf-8"), (block,), name, dict(entry))
    except ValueError:
        raise _not_line_by_line(block, name, entry) from None
    before = load_parameters().model_dump()
    before[block][name] = dict(entry)
    if check(parse(text), Parameters, PARAMETERS).model_dump() != before:
        raise _not_line_by_line(block, name, entry)  # such as one that repeats another by *name
    return text


def _not_line_by_line(block: Block, name: str, entry: Mapping[str, str]) -> UserError:
    problem = "can't be added to: it is not one entry a line"
    line = "{" + ", ".join(f"{key}: {word}" for key, word in entry.items()) + "}"
    return UserError(f"{PARAMETERS}: {block}", problem, f"Add {name}: {line} by hand.")
