"""A package registry's file server on the loopback, which can break a download off."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from serve_app.artifacts import RegistryFile
from serve_app.errors import ArtifactMissing


class ArchiveServer(ThreadingHTTPServer):
    """Serves `archives` by path. What it was asked for is in `ranges`, one entry a request: the Range header, or None."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.archives: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.breaks_after: list[int] = []
        """How many bytes each of the next answers sends before the connection is cut."""
        self.knows_ranges = True
        self.visitors: threading.Barrier | None = None
        """Where set, no archive is served before so many have asked for /here."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ArchiveServer

    def do_GET(self) -> None:
        if self.path == "/here" and self.server.visitors is not None:
            self.server.visitors.wait(timeout=60)
            self._answer(200, b"", {})
            return
        body = self.server.archives.get(self.path.lstrip("/"))
        if body is None:
            self._answer(404, b"", {})
            return
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if asked is None or not self.server.knows_ranges:
            self._answer(200, body, {})
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        else:
            self._answer(206, body[start:], {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body and self.server.breaks_after:
            body = body[: self.server.breaks_after.pop(0)]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at `ranges`."""


@contextmanager
def serving_archives() -> Iterator[ArchiveServer]:
    with ArchiveServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class LocalRegistry:
    """Every package is on one server, as PACKAGE-VERSION.whl. The registry's own client can never help."""

    def __init__(self, url: str) -> None:
        self.url = url

    def locate(self, package: RegistryFile) -> str:
        return f"{self.url}/{package.package}-{package.version}.whl"

    def fetch_whole(self, package: RegistryFile, folder: Path) -> Path:
        raise ArtifactMissing(f"{package.package}: no client here")


class NoRegistry(LocalRegistry):
    """A machine without a network."""

    def __init__(self) -> None:
        super().__init__("")

    def locate(self, package: RegistryFile) -> str:
        raise ArtifactMissing(f"{package.package}: no network")
