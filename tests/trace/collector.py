"""A collector of traces: takes OTLP over HTTP as any does, and keeps what it was sent."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

PATIENCE_S = 60.0
"""Only to fail instead of hanging."""


@dataclass(frozen=True, slots=True)
class Received:
    """A span as it came, in hexadecimal names and seconds."""

    name: str
    trace: str
    id: str
    parent: str
    start: float
    end: float
    attributes: dict[str, Any]
    resource: dict[str, Any]
    """What is said of the process that it comes from."""
    links: tuple[tuple[str, str], ...]
    """Trace and span of each."""


class Collector:
    def __init__(self) -> None:
        self.spans: list[Received] = []
        self._news = threading.Condition()

    def take(self, request: ExportTraceServiceRequest) -> None:
        new = [
            _received(span, _values(group.resource.attributes))
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
        with self._news:
            self.spans += new
            self._news.notify_all()

    def until(self, there: Callable[[list[Received]], bool]) -> list[Received]:
        """All spans so far, once `there` is true of them. Blocks."""
        with self._news:
            if not self._news.wait_for(lambda: there(self.spans), PATIENCE_S):
                raise AssertionError(f"there are only {sorted(span.name for span in self.spans)}")
            return list(self.spans)


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """The collector and its address."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found = self.path == "/v1/traces"
            if found:
                collector.take(ExportTraceServiceRequest.FromString(body))
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _received(span: Any, resource: dict[str, Any]) -> Received:
    return Received(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        attributes=_values(span.attributes),
        resource=resource,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
