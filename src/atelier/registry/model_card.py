"""The model card of a version, as hubs and people expect it: fields in YAML, then the sections.

Sections: Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv 1810.03993. What a version
makes and how it is asked stands in its bundle's own card; figures and verdict are the registry's.
"""

from collections.abc import Mapping

import yaml

from atelier.bundle.bundle_model import CODE, MANIFEST
from atelier.evaluation.estimate import CLEARLY
from atelier.registry.headline import Headline, headlines, number
from atelier.registry.hub_fields import (
    COMPUTED,
    DRAWN,
    IMPORTED,
    Known,
    front_matter,
)
from atelier.registry.lineage import DATA_TAG, DIRTY_TAG, UNKNOWN
from atelier.registry.pages import BY_ALIAS, since, verdict
from atelier.registry.sync import TRAINED_TAGS
from atelier.registry.tags import WARNINGS_TAG

LIMITS = "Limits: "
"""How the paragraph of a bundle's card begins that belongs to another section here."""

OF_DATA = {
    DRAWN: "They are drawn by a program of this project: none shows anybody or anything real.",
    COMPUTED: "They are numbers, which this project computes as it needs them.",
    IMPORTED: """They were imported from elsewhere. Who made them, who is on them and what their
owners allow is not recorded.""",
    UNKNOWN: "Whether they were drawn or imported is not recorded.",
}
OF_LICENCE = {
    True: "Apache-2.0, of the code and of the weights: the training data are the project's own.",
    False: f"""`{CODE}` is under Apache-2.0. What holds for the weights depends on the terms of what
they were trained on, which are not recorded: find out before you pass them on. The pictures of
CelebA, for one, are for non-commercial research, and may not be passed on.""",
}
"""By whether nothing but the project's own data is in the weights."""
OF_INTERVALS = f"""Behind ± stands one standard error, and an interval reaches {CLEARLY:g} of them
either way: how far other test pictures and samples would move the figure. Another seed of the
training may move it further."""
OF_WAYS = """Of the way: from the best of the sets that are known to be wrong, such as training
images blurred, to as many training images, measured on the distance, the root of KID."""
OF_EXTRACTORS = """In brackets stands what turned the pictures into the features that are compared:
`judge`, a classifier that learned the dataset's labels; `imagenet`, one that learned photographs;
or `witness`, which learned nothing."""


def model_card(known: Known) -> str:
    """Markdown behind a block of YAML."""
    fields = yaml.safe_dump(front_matter(known), sort_keys=False, allow_unicode=True)
    sections = "\n\n".join(
        f"## {title}\n\n{text}" for title, text in _sections(known).items() if text
    )
    name, sheet = known.version.name, known.card.sheet
    picture = f"![a sheet of what it makes]({sheet})" if sheet.endswith(".png") else ""
    head = _paragraphs(f"# {name}, version {known.version.number}", known.card.makes, picture)
    return f"---\n{fields}---\n\n{head}\n\n{sections}\n"


def _sections(known: Known) -> dict[str, str]:
    """By their titles, in the usual order."""
    return {
        "Model details": _details(known),
        "Intended use": _use(known),
        "How to use it": _how(known),
        "Training data": _data(known),
        "Evaluation": _evaluation(known),
        "Limitations": _limitations(known),
        "Lineage": _lineage(known),
    }


def _details(known: Known) -> str:
    words, method = known.manifest, known.method
    shape = " x ".join(str(side) for side in words["output_shape"])
    pictures = known.task.makes == "pictures"
    facts = {
        "Task": known.task.name,
        "Architecture": method.get("model"),
        "Objective": method.get("objective"),
        "Experiment": f"`{words['experiment']}` at scale `{words['scale']}`",
        "Output": f"{shape} (channels, height, width)" if pictures else f"{shape} scores",
        "Latent or code": _count(words["inputs"]["latent_dim"], "number"),
        "Weights": f"their moving average after {words['selected_images']:,} training images"
        + (", chosen on the validation split" if pictures else ""),
        "Format": f"programs of torch.export (torch {words['torch']}) in an MLflow model",
        "Licence": OF_LICENCE[known.is_ours],
    }
    return _list(facts)


def _use(known: Known) -> str:
    pictures = known.task.makes == "pictures"
    kind = "pictures" if pictures else "numbers"
    meant = f"""It is meant for making {kind} like those that it was trained on: to study, teach and
compare how generators learn."""
    return _paragraphs(
        meant,
        """It is not meant for showing or judging real people, for evidence of anything, or for
input of another kind than its training data."""
        if pictures
        else "",
    )


def _how(known: Known) -> str:
    by_name = f"models:/{known.version.name}{BY_ALIAS}"
    notes = [part for part in known.card.notes.split("\n\n") if not part.startswith(LIMITS)]
    return _paragraphs(
        "In this folder, with what `requirements.txt` names; Atelier itself is not needed:",
        f"```python\n{known.card.request.replace(by_name, '.')}\n```",
        *notes,
    )


def _data(known: Known) -> str:
    counts = [f"{_count(count, 'picture')} for {split}" for split, _, count in known.data if count]
    given = f"The dataset `{known.manifest['dataset']}`"
    began = """The training began with the networks of another one, so that what those had seen is
in these weights, too."""
    return _paragraphs(
        f"{given}: {', '.join(counts)}." if counts else f"{given}.",
        OF_DATA[known.origin],
        began if known.began_elsewhere else "",
    )


def _evaluation(known: Known) -> str:
    found = headlines(known.figures)
    if not found:
        return _paragraphs("No test figures are kept.", f"The gate: {verdict(known.version)}.")
    settings = known.settings
    split = f" of the {settings['split']} split" if "split" in settings else ""
    rests = ", ".join(f"{key} {settings[key]}" for key in ("samples", "seed") if key in settings)
    rows = ["| figure | value | interval | held to |", "|---|---|---|---|"]
    rows += [f"| {' | '.join(_row(one))} |" for one in found]
    return _paragraphs(
        f"Figures{split} ({rests}), as the project measured them itself:"
        if rests
        else "Figures as the project measured them itself:",
        "\n".join(rows),
        OF_INTERVALS if any(one.error is not None for one in found) else "",
        OF_WAYS if any(one.of_the_way is not None for one in found) else "",
        OF_EXTRACTORS if any(one.by for one in found) else "",
        f"The gate: {verdict(known.version)}.",
        since(known.version),
    )


def _row(one: Headline) -> tuple[str, str, str, str]:
    interval = "not known"
    if one.error is not None:
        ends = (one.value - CLEARLY * one.error, one.value + CLEARLY * one.error)
        interval = " to ".join(number(end, one.error).partition(" ")[0] for end in ends)
    held_to = one.held_to.removeprefix("; ") or "-"
    return one.title, one.measured, interval, held_to


def _limitations(known: Known) -> str:
    parts = [part for part in known.card.notes.split("\n\n") if part.startswith(LIMITS)]
    limits = [part.removeprefix(LIMITS) for part in parts]
    drawn = """The pictures that it learned are drawings. Its figures say how well it learned these,
and nothing about photographs."""
    asked = """Attributes are labels of the dataset, yes or no each; what lies between, or is not
labelled, it does not know."""
    words = known.manifest
    return _paragraphs(
        *(text[:1].upper() + text[1:] for text in limits),
        drawn if known.origin == DRAWN else "",
        asked if words["attributes"] or words["directions"] else "",
        "One training with one seed made it.",
        known.version.tags.get(WARNINGS_TAG, ""),
    )


def _lineage(known: Known) -> str:
    version, tags = known.version, known.version.tags
    dirty = {"true": ", with changes that are kept beside its run", "false": ""}
    ran = [
        f"{key.removeprefix(TRAINED_TAGS).replace('_', ' ')} {text}"
        for key, text in sorted(tags.items())
        if key.startswith(TRAINED_TAGS)
    ]
    facts = {
        "Registered": f"{version}, {version.created} UTC",
        "Commit": f"`{version.commit}`{dirty.get(tags.get(DIRTY_TAG, ''), '')}"
        if version.commit
        else UNKNOWN,
        "Data": _digest(tags.get(DATA_TAG, "")),
        **{f"Data, {split} split": _digest(digest) for split, digest, _ in known.data},
        "Model": _digest(version.digest),
        "Code": _digest(version.code_digest),
        "Run of its training": _digest(version.training_run or ""),
        "Trained with": ", ".join(ran),
    }
    checked = f"""`{MANIFEST}` holds the hash of each file. `atelier registry verify {version}`
holds the registered version to it."""
    again = f"`atelier registry reproduce {version}` makes it again, where its commit is at hand."
    can_be_made_again = version.commit and not known.began_elsewhere
    return _paragraphs(_list(facts), checked, again if can_be_made_again else "")


def _digest(text: str) -> str:
    return f"`{text}`" if text else ""


def _count(count: int | None, what: str) -> str:
    """`1,000 pictures`; empty for none."""
    return f"{count:,} {what}{'s' if count != 1 else ''}" if count else ""


def _list(facts: Mapping[str, str | None]) -> str:
    """What is known of them."""
    return "\n".join(f"- **{name}:** {_line(text)}" for name, text in facts.items() if text)


def _line(text: str) -> str:
    return " ".join(text.split())


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
