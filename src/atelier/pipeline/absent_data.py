"""Whether what `data/` lacks may be drawn: not where data.dvc names data that are to be pulled.

Else a clone of a repository with somebody's own pictures would draw others in their place, and DVC
would name those in data.dvc from then on.
"""

from pathlib import Path

from atelier.data.catalog import ATTRIBUTES, MARKER, PARTITION, is_imported
from atelier.data.folders import listing
from atelier.drawing import animals, faces
from atelier.drawing.scenes import TARGETS, DrawingCounts, SceneFile, scene_files, scene_seed
from atelier.errors import UserError
from atelier.schema import read_yaml

DATA, NAMED = Path("data"), Path("data.dvc")


def refuse_to_draw_over(counts: DrawingCounts) -> None:
    """Data that are named are told from drawn ones by the number of files, which data.dvc has.

    Raises:
        UserError: data.dvc names neither what is here, nor what will be when what is missing is
            drawn, nor what is drawn where nobody brought anything.
    """
    missing, named = [target for target in TARGETS if _is_missing(target)], _files_named()
    if not missing or named is None:
        return
    here = len(listing(DATA))
    drawn = {target: files_drawn(target, counts) for target in TARGETS}
    if named not in (here, here + sum(drawn[target] for target in missing), sum(drawn.values())):
        raise UserError(
            NAMED,
            f"names data that are not here, and are not drawn ones (got {here:,} of {named:,} "
            "files)",
            "Run dvc pull data.dvc, or dvc checkout data.dvc if this machine had them. To have "
            "drawn ones in their place, delete its lines md5, size and nfiles.",
        )


def files_drawn(target: str, counts: DrawingCounts) -> int:
    """How many files a drawn folder has, told without drawing it."""
    scenes = list(scene_files(target, DATA, counts))
    match target:
        case "celeba":
            files = len(scenes) + len((ATTRIBUTES, PARTITION))
        case "horse2zebra":
            files = len(scenes)
        case "twins/celeba":
            files = sum(2 for scene in scenes if _has_twin(scene))  # a picture and a mask
        case _:
            files = sum(2 if scene.split == "testA" else animals.COATS + 1 for scene in scenes)
    return files + len((MARKER,))


def _has_twin(scene: SceneFile) -> bool:
    truth = faces.attributes(faces.sample(scene_seed("celeba", scene.split, scene.index)))
    return truth["Black_Hair"] == 1 or truth["Blond_Hair"] == 1


def _is_missing(target: str) -> bool:
    """Nothing is in its folder, and nobody brought the dataset whose twins it holds."""
    folder, dataset = DATA / target, DATA / target.removeprefix("twins/")
    return not (folder / MARKER).exists() and not is_imported(folder) and not is_imported(dataset)


def _files_named() -> int | None:
    """None where data.dvc is not there, or names nothing yet."""
    if not NAMED.exists():
        return None
    words = read_yaml(NAMED)
    outs = words.get("outs") if isinstance(words, dict) else None
    files = outs[0].get("nfiles") if outs else None
    return files if isinstance(files, int) else None
