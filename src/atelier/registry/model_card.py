"""The model card of a version, as hubs and people expect it: fields in YAML, then the sections.

Fields: huggingface.co/docs/hub/model-cards, with the specification of `model-index` in its
hub-docs. Sections: Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv 1810.03993. What
a version makes and how it is asked stands in its bundle's own card; figures and verdict are the
registry's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from atelier.bundle.bundle_model import CODE, MANIFEST
from atelier.evaluation.estimate import CLEARLY
from atelier.registry.headline import Headline, headlines, number
from atelier.registry.lineage import DATA_TAG, DIRTY_TAG, UNKNOWN
from atelier.registry.pages import BY_ALIAS, CardParts, since, verdict
from atelier.registry.sync import TRAINED_TAGS
from atelier.registry.tags import WARNINGS_TAG
from atelier.registry.versions import START_TAGS, Version
from atelier.task import TASKS, Task

LIBRARY = "mlflow"
OPEN_LICENCE, OTHER_LICENCE = "apache-2.0", "other"
LICENCE_NAME = "terms-of-its-training-data"
"""Beside `other`, which wants a name of its own."""
DRAWN, COMPUTED, IMPORTED = "drawn", "computed", "imported"
"""Where training data came from; UNKNOWN where nothing says so."""
NAMED_APART = ("dataset", "split")
"""Of the settings: they have fields of their own."""
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
OF_EXTRACTORS = """In brackets stands what turned the pictures into the features that are compared:
`judge`, a classifier that learned the dataset's labels; `imagenet`, one that learned photographs;
or `witness`, which learned nothing."""


@dataclass(frozen=True)
class Known:
    """All that a card is made of."""

    version: Version
    manifest: Mapping[str, Any]
    """Of the bundle: bundle.json."""
    card: CardParts
    figures: Mapping[str, float]
    """Of the test split, by their keys in metrics.json."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the figures rest on: `split`, `samples`, `seed`, `drawn` and others, where known."""
    data: Sequence[tuple[str, str, int | None]] = ()
    """What it was given: a split's name, its digest, and how many pictures it has."""
    method: Mapping[str, str] = field(default_factory=dict)
    """`model` and `objective` of its training, where known."""

    @property
    def task(self) -> Task:
        return TASKS[self.manifest["task"]]

    @property
    def origin(self) -> str:
        """Of the training data: DRAWN, COMPUTED, IMPORTED or UNKNOWN."""
        if self.task.makes == "numbers":
            return COMPUTED
        drawn = self.settings.get("drawn")
        return UNKNOWN if drawn is None else DRAWN if drawn else IMPORTED

    @property
    def dataset(self) -> str:
        """`celeba-drawn`. A hub takes a name alone for that of a dataset that is there."""
        return f"{self.manifest['dataset']}-{self.origin}"

    @property
    def began_elsewhere(self) -> bool:
        """Whether its training began with the networks of another, and so with what those saw."""
        return any(key.startswith(START_TAGS) for key in self.version.tags)

    @property
    def is_ours(self) -> bool:
        """Whether nothing but the project's own data is in the weights, for all that is known."""
        return self.origin in (DRAWN, COMPUTED) and not self.began_elsewhere


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


def front_matter(known: Known) -> dict[str, Any]:
    """The fields, as YAML can have them."""
    found = headlines(known.figures)
    fields: dict[str, Any] = {"license": OPEN_LICENCE if known.is_ours else OTHER_LICENCE}
    if not known.is_ours:
        fields["license_name"] = LICENCE_NAME
    fields |= {
        "library_name": LIBRARY,
        "pipeline_tag": known.task.hub_task,
        "tags": ["atelier", LIBRARY, "pytorch", known.task.name, f"{known.origin}-data"],
        "datasets": [known.dataset],
    }
    if found:
        results = {
            "task": {"type": known.task.hub_task, "name": known.task.name},
            "dataset": _dataset_field(known),
            "metrics": [_metric_field(one) for one in found],
        }
        fields["metrics"] = [one.key for one in found]
        fields["model-index"] = [{"name": known.version.name, "results": [results]}]
    return fields


def _dataset_field(known: Known) -> dict[str, Any]:
    """Of `model-index`: what the figures were measured on."""
    split = known.settings.get("split", "")
    digests = {name: digest for name, digest, _ in known.data}
    words = {
        "type": known.dataset,
        "name": f"{known.manifest['dataset']} ({known.origin})",
        "split": split,
        "revision": digests.get(split, ""),
        "args": {key: one for key, one in known.settings.items() if key not in NAMED_APART},
    }
    return {key: one for key, one in words.items() if one}


def _metric_field(one: Headline) -> dict[str, Any]:
    """Of `model-index`; `verified` would say that the hub itself has measured it."""
    return {"type": one.key, "name": _name(one), "value": one.value, "verified": False}


def _name(one: Headline) -> str:
    """`KID A2B (judge)`."""
    words = [one.name, one.part, f"({one.by})" if one.by else ""]
    return " ".join(word for word in words if word)


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
    return _name(one), number(one.value, one.error), interval, held_to


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
    again = f"""`{MANIFEST}` holds the hash of each file. `atelier registry verify {version}` holds
the registered version to it, and `atelier registry reproduce {version}` makes it again."""
    return _paragraphs(_list(facts), again)


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
