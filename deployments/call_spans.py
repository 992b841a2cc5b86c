"""A span of each call in the replica that works on it, where the gateway's is recorded: its traceparent comes with the call. What the
engine does is within the span. Without tracing there is none."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from deployments.recognitions import W3C
from serve_app.trace.recorder import STOPPED
from serve_app.trace.turns import within


@contextmanager
def called(name: str, parent: str) -> Iterator[Callable[[], None]]:
    """What it gives is called when the engine begins: what was before is the wait for room."""
    if not parent:
        yield lambda: None
        return
    span = trace.get_tracer(__name__).start_span(name, W3C.extract({"traceparent": parent}), SpanKind.SERVER)
    came = time.monotonic()
    try:
        with within(span):
            yield lambda: span.set_attribute("sparkvox.queue_s", time.monotonic() - came)
    except asyncio.CancelledError:
        span.set_attribute(STOPPED, True)
        raise
    except Exception as error:
        span.set_status(Status(StatusCode.ERROR, str(error)))
        raise
    finally:
        span.end()
