"""What a server costs while nobody talks to it, process by process, beside a Ray that runs nothing.

    python -m load_tests.idle --out load_tests/results/idle-cpu.json

Starts a bare Ray with one actor that does nothing, and then `sparkvox serve` with the settings given, and watches each for a while after it
has come up. Prints for each process the share of a core, its memory (PSS: pages that several share are shared among them too), and how
often its main thread wakes up.
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import psutil

from load_tests.about import about
from load_tests.memory import kind_of
from load_tests.say import say

START_S = 900.0
BARE = """
import os, sys, ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 1024 * 1024)

@ray.remote(num_cpus=0)
class Idle:
    def here(self):
        return os.getpid()

idle = Idle.remote()
ray.get(idle.here.remote())
print("ready", flush=True)
sys.stdin.read()
"""


class Cost(TypedDict):
    process: str
    cores: float
    pss_mib: float
    wakeups_s: float


def main() -> None:
    args = _arguments()
    described = about("load_tests.idle")
    bare = _bare(args.settle_s, args.watch_s)
    server = _server(args.settings, args.port, args.settle_s, args.watch_s)
    for name, costs in (("a bare Ray with one actor", bare), ("the server", server)):
        say(f"{name}: {_sum(costs, 'cores'):.3f} of a core, {_sum(costs, 'pss_mib'):.0f} MiB")
        for cost in costs:
            say("  {cores:.4f} of a core {pss_mib:7.0f} MiB {wakeups_s:5.0f} wake-ups a second  {process}".format(**cost))
    if args.out is not None:
        totals = {"cores": round(_sum(server, "cores"), 4), "pss_mib": round(_sum(server, "pss_mib"))}
        result = described | {"watched_s": args.watch_s, "server": totals, "processes": server, "bare_ray": bare}
        args.out.write_text(json.dumps(result, indent=2) + "\n")


def costs_of(root: psutil.Process, seconds: float) -> list[Cost]:
    """Watch a process and all that it has started; the costliest first. What ends meanwhile is left out."""
    processes = [root, *root.children(recursive=True)]
    before = {process.pid: _counters(process) for process in processes}
    time.sleep(seconds)
    costs = []
    for process in processes:
        with suppress(psutil.Error):
            cpu_s, woken = (now - then for now, then in zip(_counters(process), before[process.pid], strict=True))
            pss = process.memory_full_info().pss / 2**20
            name = kind_of(process.cmdline())
            costs.append(Cost(process=name, cores=round(cpu_s / seconds, 4), pss_mib=round(pss), wakeups_s=round(woken / seconds)))
    return sorted(costs, key=lambda cost: cost["cores"], reverse=True)


def _counters(process: psutil.Process) -> tuple[float, int]:
    """Seconds of processor time, and how often the main thread gave its core away."""
    times = process.cpu_times()
    return times.user + times.system, process.num_ctx_switches().voluntary


def _bare(settle_s: float, watch_s: float) -> list[Cost]:
    with subprocess.Popen([sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdin is not None and driver.stdout is not None
        while "ready" not in driver.stdout.readline():
            if driver.poll() is not None:
                sys.exit("a bare Ray did not start")
        time.sleep(settle_s)
        costs = costs_of(psutil.Process(driver.pid), watch_s)
        driver.stdin.close()
    return costs


def _server(settings: Sequence[str], port: int, settle_s: float, watch_s: float) -> list[Cost]:
    command = [str(Path(sys.executable).parent / "sparkvox"), "serve", *settings, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            _until_ready(server, port)
            time.sleep(settle_s)
            return costs_of(psutil.Process(server.pid), watch_s)
        finally:
            server.terminate()


def _until_ready(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10):
            return
        time.sleep(1)
    sys.exit("the server did not become ready")


def _sum(costs: Sequence[Cost], key: str) -> float:
    return sum(float(cost[key]) for cost in costs)  # type: ignore[literal-required]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", metavar="NAME=VALUE", nargs="*", help="settings of the server, like profile=cpu")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--settle-s", type=float, default=20.0, help="how long each may settle before it is watched")
    parser.add_argument("--watch-s", type=float, default=60.0)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
