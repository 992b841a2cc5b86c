"""One file by HTTP, resumed where it broke off.

What has come is kept in a `.part` file beside the target. The next attempt, of this process or of a later one, asks for the rest with a
Range header (RFC 9110, section 14); a server that does not know ranges answers with the whole file, which then replaces the part.
"""

import contextlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from serve_app.errors import ArtifactMissing
from serve_app.progress import Progress

CHUNK = 1 << 20
TIMEOUT_S = 60.0
ATTEMPTS = 5
"""Attempts in a row that bring nothing, before it is given up."""
PAUSE_S = 1.0


def download(url: str, target: Path, progress: Progress, pause: Callable[[float], None] = time.sleep) -> None:
    """Puts what `url` (http, https or file) names at `target`. Raises `ArtifactMissing` when it cannot be had; the part is kept then."""
    if urllib.parse.urlsplit(url).scheme == "file":
        _copy(url, target)
        return
    part = target.with_name(target.name + ".part")
    failures = 0
    while True:
        before = _size(part)
        try:
            if _fetch_rest(url, part, progress):
                os.replace(part, target)
                return
            reason: object = "the connection was closed early"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                raise ArtifactMissing(f"{_without_secrets(url)}: the server answered {error.code} {error.reason}") from error
            reason = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            reason = error
        failures = 0 if _size(part) > before else failures + 1
        if failures == ATTEMPTS:
            raise ArtifactMissing(f"{_without_secrets(url)} cannot be reached: {reason}")
        pause(PAUSE_S * (failures + 1))


def _fetch_rest(url: str, part: Path, progress: Progress) -> bool:
    """Appends what comes to `part`; says whether that was all."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # The part is as long as the file, or longer; the hashes of what is inside decide, so begin again rather than guess.
        error.close()
        part.unlink()
        return False
    with contextlib.closing(response):
        start = have if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length is not None else None
        progress.start(start, total)
        with part.open("ab" if start else "wb") as file:
            while chunk := response.read1(CHUNK):
                file.write(chunk)
                progress.advance(len(chunk))
    return total is None or _size(part) >= total


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _copy(url: str, target: Path) -> None:
    source = urllib.request.url2pathname(urllib.parse.urlsplit(url).path)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise ArtifactMissing(f"{source} cannot be read: {error.strerror}") from error


def _without_secrets(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
