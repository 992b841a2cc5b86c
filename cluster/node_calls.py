"""What a node asks of its cluster, each in a process of its own: Ray's library ends the process that it is in when it has lost its head.

    python -m cluster.node_calls NAME [JSON]     one line of JSON on standard output
"""

import importlib.metadata
import json
import os
import sys
import threading
from typing import Any

from cluster import leaving
from serve_app import serving
from serve_app.errors import SparkvoxError

NAMESPACE = b"sparkvox"
SHARED = b"shared"
DEPLOYED = b"deployed"


def publish(shared: dict[str, Any]) -> None:
    """What all nodes must be started with, where they find it. Waits for the head, which has just been started."""
    gcs = _gcs()
    gcs.internal_kv_put(SHARED, json.dumps(shared | {"cluster": gcs.cluster_id.hex()}).encode(), True, NAMESPACE)


def shared() -> dict[str, Any] | None:
    """What the head has published; None while it has not."""
    value = _gcs().internal_kv_get(SHARED, NAMESPACE)
    found: dict[str, Any] | None = None if value is None else json.loads(value)
    return found


def leave(given: dict[str, Any]) -> bool:
    """The node at `address` leaves; what runs nowhere else may take `within_s` to start elsewhere."""
    return leaving.leave(_gcs(), given["address"], given["within_s"])


def deploy(given: dict[str, Any]) -> None:
    """The application on the whole cluster, and waits until it is ready. `words`: settings; `host`, `port`: where each node listens.

    What is deployed already stays: Serve would replace all replicas, and a head that comes back would end the sessions that survived it.
    """
    settings = serving.settings_for(given["words"], given["host"])
    application = serving.built(settings)
    serving.start_ray()
    want = json.dumps([importlib.metadata.version("sparkvox"), given], sort_keys=True).encode()
    serving.start_serve(given["host"], given["port"], everywhere=True)
    if _gcs().internal_kv_get(DEPLOYED, NAMESPACE) != want or not serving.deployed():
        serving.deploy(application)
    serving.wait_until_ready(threading.Event())
    _gcs().internal_kv_put(DEPLOYED, want, True, NAMESPACE)


def undeploy() -> None:
    """Sessions are told, and everything of Serve ends."""
    from ray import serve

    serving.start_ray()
    serve.shutdown()


def _gcs() -> Any:
    import ray  # it has no public way to its key-value store, nor to draining

    return ray._raylet.GcsClient(address=os.environ["RAY_ADDRESS"])


CALLS = {"publish": publish, "shared": shared, "leave": leave, "deploy": deploy, "undeploy": undeploy}


def main() -> int:
    name, *given = sys.argv[1:]
    try:
        answer = CALLS[name](*map(json.loads, given))  # type: ignore[operator]
    except SparkvoxError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Exception as error:  # Ray's own are of many kinds; whoever asked needs the reason, and tries again
        sys.stderr.write(f"{type(error).__name__}: {_last_line(str(error))}\n")
        return 1
    if answer is not None:
        sys.stdout.write(f"{json.dumps(answer)}\n")
    return 0


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")


if __name__ == "__main__":
    sys.exit(main())
