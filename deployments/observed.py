"""What each replica does so that it can be watched: its lines go to Serve's log, its figures to Ray."""

from collections.abc import Iterable

from ray import serve
from ray.serve.exceptions import RayServeException

from deployments.metrics import RaySink
from serve_app import logs
from serve_app.logs import LogSettings
from serve_app.measures import OF_NODES, Measure, Sink


def observed(settings: LogSettings, measures: Iterable[Measure]) -> Sink:
    """The sink for `measures` and those of its node. First thing in a replica's constructor."""
    if _in_a_replica():
        logs.through_serve(settings)
    return RaySink((*measures, *OF_NODES))


def _in_a_replica() -> bool:
    """Elsewhere lines go where their reader, a test perhaps, wants them."""
    try:
        serve.get_replica_context()
    except RayServeException:
        return False
    return True
