"""Watch the data: says each minute which datasets are other than when last seen."""

from prefect import flow, get_run_logger
from prefect.events import emit_event
from prefect.variables import Variable

from atelier.operations import datasets

SEEN = "atelier_datasets"
CHANGED = "atelier.data.changed"


def resource_of(dataset: str) -> dict[str, str]:
    """What an event about a dataset is about, and what a deployment waits for."""
    return {"prefect.resource.id": f"atelier.dataset.{dataset}"}


@flow(flow_run_name="watch data")
def watch() -> list[str]:
    """Emits `atelier.data.changed` for each dataset whose hash changed; deployments wait for it."""
    now = datasets.digests()
    before: dict[str, str] = Variable.get(SEEN, default={})
    found = datasets.changed(before, now)
    for name in found:
        emit_event(
            CHANGED,
            resource=resource_of(name),
            payload={"dataset": name, "before": before[name], "now": now[name]},
        )
    if now != before:
        Variable.set(SEEN, now, overwrite=True)
    get_run_logger().info("changed: %s", ", ".join(found) or "nothing")
    return found


if __name__ == "__main__":
    watch()
