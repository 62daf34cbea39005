"""A version's tags: what people filter by first, what only our code reads in one.

MLflow shows all tags of a version, in the order in which they were set, and hides none of ours. So
the first are those by which people look for a version (`FIRST`); then its figure, what the gate
said, and the few that stand alone: both digests, by which a bundle is searched (MLflow's queries
look into no JSON), the commit, the flow's run and the training's warnings, which people read. All
else of what a version came from is one tag of JSON. What is found out later, such as a decision,
is set later by others, each in a tag of its own: two machines that change one tag would lose one.

Who reads a version sees each by its own name (`unpacked`), whether it was registered like this or
before, with a tag for each.
"""

import json
from collections.abc import Mapping

PROMOTED_TAG, REASON_TAG = "gate.promoted", "gate.reason"
UNDECIDED = {PROMOTED_TAG: "undecided", REASON_TAG: "the gate has not decided"}
"""Until the gate decides; then "true" or "false", and why. Set at once, to stand where they do."""
FIRST = ("experiment", "scale", "dataset", "task", PROMOTED_TAG)
FIGURE_TAG = "figure"
"""The test figure that the gate compares by, with its error, in words."""
DIGEST_TAG, CODE_TAG = "bundle_digest", "code_digest"
WARNINGS_TAG = "atelier.warnings"
"""What looked ill in its training."""
ALONE = (FIGURE_TAG, REASON_TAG, WARNINGS_TAG, DIGEST_TAG, CODE_TAG)
READ_BY_OTHERS = ("mlflow.", "prefect.")
"""How the tags begin that others' pages read, or that lead to them."""
PACKED_TAG = "atelier.lineage"


def packed(facts: Mapping[str, str]) -> dict[str, str]:
    """As a new version is tagged."""
    facts = {**UNDECIDED, **facts}
    seen = [key for key in (*FIRST, *ALONE) if key in facts]
    seen += [key for key in facts if key.startswith(READ_BY_OTHERS)]
    rest = {key: text for key, text in facts.items() if key not in seen}
    tags = {key: facts[key] for key in seen}
    return {**tags, PACKED_TAG: json.dumps(rest, sort_keys=True)} if rest else tags


def unpacked(tags: Mapping[str, str]) -> dict[str, str]:
    """Each fact by its name; one that was set later counts."""
    alone = {key: text for key, text in tags.items() if key != PACKED_TAG}
    return {**json.loads(tags.get(PACKED_TAG, "{}")), **alone}
