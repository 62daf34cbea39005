"""What a flow shows in Prefect: what is stale, figures, what the gate said, and pictures."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect import get_run_logger
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.events import emit_event

from atelier.operations import status
from atelier.operations.staleness import Step

CHAMPION_REPLACED = "atelier.champion.replaced"


@contextmanager
def unless_away() -> Iterator[None]:
    """What is told, or asked, on the way never ends a training: a server may be away meanwhile."""
    try:
        yield
    except httpx.TransportError as error:
        get_run_logger().warning("the server is away, so this was not told: %r", error)


@unless_away()
def show_steps(experiment: str, scale: str, steps: list[Step]) -> None:
    rows = "\n".join(
        f"| `{step.stage}` | {'**stale**' if step.stale else 'up to date'} "
        f"| {'; '.join(step.reasons)} |"
        for step in steps
    )
    create_markdown_artifact(
        f"## {experiment} at {scale} scale\n\n| stage | | why |\n|---|---|---|\n{rows}\n",
        key=f"stale-{experiment}-{scale}",
        description="What is stale, and why",
    )


@unless_away()
def show_status(found: status.Status, scale: str) -> None:
    """Artifacts of a finished run: figures, the gate's decision, links, the latest pictures."""
    key = f"{found.experiment}-{scale}"
    if rows := status.figures_beside_champion(found.experiment, scale):
        create_table_artifact(rows, key=f"figures-{key}", description="On the test split")
    verdict = "promoted to champion" if found.promoted else "kept as challenger"
    links = "".join(f"- [{what}]({url})\n" for what, url in found.links)
    create_markdown_artifact(
        f"## {found.latest or found.experiment}: {verdict}\n\n{found.reason}\n\n"
        f"Champion: {found.champion or 'none yet'}\n\n{links}",
        key=f"gate-{key}",
        description="The gate's decision",
    )
    if picture := status.latest_pictures(found.experiment, scale):
        data = base64.b64encode(picture.read_bytes()).decode()
        create_image_artifact(
            f"data:image/png;base64,{data}",
            key=f"pictures-{key}",
            description=f"{found.experiment} after {int(picture.stem):,} images",
        )


def tell_champion(found: status.Status, before: str) -> None:
    """An event where the champion is another than `before`."""
    if found.champion and found.champion != before:
        emit_event(
            CHAMPION_REPLACED,
            resource={
                "prefect.resource.id": f"atelier.champion.{found.champion.partition('/')[0]}",
                "prefect.resource.name": found.champion,
            },
            payload={"champion": found.champion, "before": before, "reason": found.reason},
        )
