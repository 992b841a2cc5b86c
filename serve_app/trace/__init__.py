"""A session's turns as OpenTelemetry traces: what a session does becomes spans, by looking on (serve_app/watching.py). Nothing here but
`export.environment` is used while tracing is off."""
