"""Where the spans of a process go.

Ray Serve traces its own hops (the proxy, the choice of a replica, the call in it) where a process finds RAY_SERVE_TRACING_* in its
environment when it starts; `environment` is what deployments and nodes are given. Serve's `TracingConfig` says the same for a whole
instance of Serve, but `serve run` has no place for one, and it comes to replicas only, not to the proxies (Ray 2.60).
"""

import os
import socket
from functools import cache
from typing import TYPE_CHECKING

from serve_app.tracing_settings import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

EXPORT_S = 1.0
"""How long ended spans wait for others, to be sent together."""


def environment(tracing: TracingSettings, service: str, ratio: float = 0.0) -> dict[str, str]:
    """Of a process; empty where nothing is recorded. `ratio`: of the traces that begin in it, rather than come to it."""
    if tracing.endpoint is None:
        return {}
    return {
        "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH": "serve_app.trace.export:processors",
        "RAY_SERVE_TRACING_SAMPLING_RATIO": str(ratio),
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{tracing.endpoint.rstrip('/')}/v1/traces",
        "OTEL_SERVICE_NAME": service,
    }


def processors() -> "list[SpanProcessor]":
    """Serve calls this before it makes the process's provider of tracers, which takes what it says of the process from the environment."""
    import ray

    context = ray.get_runtime_context()
    about = {
        "service.namespace": "sparkvox",
        "service.instance.id": context.get_actor_id() or str(os.getpid()),
        "host.name": socket.gethostname(),
        "ray.node.id": context.get_node_id(),
    }
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES")
    os.environ["OTEL_RESOURCE_ATTRIBUTES"] = ",".join([*(f"{name}={value}" for name, value in about.items()), *([given] if given else [])])
    return [processor()]


@cache
def processor() -> "SpanProcessor":
    """One for the whole process."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=EXPORT_S * 1000)
