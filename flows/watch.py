"""Watch the data: says each minute which datasets are other than when last seen."""

from prefect import flow, get_run_logger
from prefect.events import emit_event
from prefect.variables import Variable

from atelier.operations import datasets

SEEN = "atelier_datasets"
CHANGED = "atelier.data.changed"


@flow(flow_run_name="watch data")
def watch() -> list[str]:
    """Emits `atelier.data.changed` for each dataset whose hash changed; deployments wait for it."""
    now, before = datasets.digests(), Variable.get(SEEN, default={})
    found = datasets.changed(before, now)
    for name in found:
        emit_event(
            CHANGED,
            resource={"prefect.resource.id": f"atelier.dataset.{name}"},
            payload={"dataset": name, "before": before[name], "now": now[name]},
        )
    if now != before:
        Variable.set(SEEN, now, overwrite=True)
    get_run_logger().info("changed: %s", ", ".join(found) or "nothing")
    return found


if __name__ == "__main__":
    watch()
