"""Whether turns are recorded as OpenTelemetry traces, and what becomes of them (docs/observability.md)."""

from pydantic import Field

from serve_app.section import Section


class TracingSettings(Section):
    endpoint: str | None = Field(None, pattern="^https?://")
    """A collector that takes OTLP over HTTP, without the path: `http://collector:4318`. None: nothing is recorded."""
    ratio: float = Field(1.0, ge=0, le=1)
    """Share of the sessions (and of the requests of the HTTP API) that are recorded, each with all its turns or not at all. Where the
    client sends a traceparent, its flag decides."""
