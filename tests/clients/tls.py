"""TLS in front of a server, as docs/clients.md tells users to put it there: Debian's stunnel with the configuration that we ship."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = Path(__file__).parent.parent.parent / "cluster" / "stunnel.conf"
START_S = 30
KEY = "-newkey rsa:2048 -nodes -days 365 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"


@dataclass(frozen=True, slots=True)
class Tls:
    url: str
    """https://localhost:PORT"""
    certificate: Path



def missing() -> list[str]:
    """The Debian packages that it takes and that are not here."""
    return [package for package, program in (("stunnel4", "stunnel"), ("openssl", "openssl")) if shutil.which(program) is None]


@contextmanager
def tls_before(url: str, folder: Path) -> Iterator[Tls]:
    """`url`: http://HOST:PORT; `folder`: for the certificate and the log."""
    port = _free_port()
    command = ["openssl", "req", "-x509", *KEY.split(), "-keyout", "sparkvox.key", "-out", "sparkvox.crt"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=START_S)
    configuration = CONFIGURATION.read_text().replace("127.0.0.1:8443", f"127.0.0.1:{port}").replace("127.0.0.1:8000", url.split("//")[1])
    (folder / "stunnel.conf").write_text(configuration)
    with (folder / "stunnel.log").open("w") as log:
        stunnel = subprocess.Popen(["stunnel", "stunnel.conf"], cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_open(port, stunnel, folder / "stunnel.log")
        yield Tls(f"https://localhost:{port}", folder / "sparkvox.crt")
    finally:
        stunnel.terminate()
        stunnel.wait(START_S)


def _wait_until_open(port: int, stunnel: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while stunnel.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"stunnel did not come up:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
