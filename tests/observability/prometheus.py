"""A real Prometheus that looks at a running server, as the shipped configuration tells it to."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real_server import ROOT, free_port

DASHBOARDS = ROOT / "cluster" / "dashboards"
PATIENCE_S = 120
"""Only to fail instead of hanging."""


def program() -> str:
    """Its path; the test is skipped where there is none, but not where everything is to be checked."""
    path = shutil.which("prometheus")
    if path is None and not os.environ.get("CI"):
        pytest.skip("there is no Prometheus here (Debian's package `prometheus`)")
    assert path is not None, "the package prometheus is missing"
    return path


@dataclass(frozen=True, slots=True)
class Prometheus:
    url: str

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The instant vector of a query, each element with its labels and its value as text. Fails where the query is wrong."""
        address = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            pytest.fail(f"{query}: {error.read().decode()}")
        assert told["status"] == "success" and told["data"]["resultType"] == "vector", told
        result: list[dict[str, Any]] = told["data"]["result"]
        return result

    def by(self, label: str, query: str) -> dict[str, float]:
        return {one["metric"].get(label, ""): float(one["value"][1]) for one in self.ask(query)}

    def sum(self, query: str) -> float:
        """0 where there is nothing yet."""
        return sum(float(one["value"][1]) for one in self.ask(query))

    def names(self) -> set[str]:
        with urllib.request.urlopen(f"{self.url}/api/v1/label/__name__/values", timeout=PATIENCE_S) as answer:
            return set(json.load(answer)["data"])

    def until(self, query: str, expected: float) -> None:
        """Figures come with the next report of a replica and the next look of Prometheus."""
        _until(lambda: self.sum(query) == expected, lambda: f"{query} is {self.sum(query)}, not {expected}")


@contextmanager
def looking_at(metrics_port: int, folder: Path) -> Iterator[Prometheus]:
    """With the shipped configuration, but for the port and how often it looks."""
    shipped = (DASHBOARDS / "prometheus.yaml").read_text()
    assert "127.0.0.1:6385" in shipped and "scrape_interval: 5s" in shipped
    config = folder / "prometheus.yaml"
    config.write_text(shipped.replace("127.0.0.1:6385", f"127.0.0.1:{metrics_port}").replace("scrape_interval: 5s", "scrape_interval: 1s"))
    port = free_port()
    command = [program(), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    prometheus = Prometheus(f"http://127.0.0.1:{port}")
    try:
        _until(lambda: _answers(f"{prometheus.url}/-/ready"), lambda: (folder / "prometheus.log").read_text()[-2000:])
        yield prometheus
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _until(holds: Callable[[], bool], why_not: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(why_not())
        time.sleep(0.5)
