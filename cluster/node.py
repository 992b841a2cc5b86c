"""`sparkvox node head|join|status|leave|ports`: one box of a cluster, in the foreground, so that systemd can run it as well as a hand.

    head     starts Ray's head, and deploys the application on the whole cluster; comes back with it
    join     makes this box part of the cluster of a head; comes back when it was lost
    status   what is alive, where the sessions are, how the application is
    leave    ends the node that runs on this box, after its sessions
    ports    every port with who needs it, or a firewall for them
"""

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path

from cluster import interfaces, node_start, ports
from cluster.machine import this_machine, versions
from cluster.node_start import Node, Shared, Size
from cluster.node_state import NodeState, Running, check_token, fresh, make_token, read_note
from cluster.processes import end, is_node
from cluster.supervision import Supervisor, Work
from cluster.topology import TOPOLOGIES
from serve_app import serving
from serve_app.admission import refuse_without_key
from serve_app.errors import SettingsError, SparkvoxError

DRAIN_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    head = actions.add_parser("head", help="start the cluster's head here, with the application")
    head.add_argument("settings", metavar="NAME=VALUE", nargs="*", help="settings, like topology=two_sparks llm.model=...")
    head.add_argument("--host", default="127.0.0.1", help="the address at which each node listens for clients (default: %(default)s)")
    head.add_argument("--port", type=int, default=ports.HTTP.first, help="default: %(default)s")
    head.add_argument("--proxy", choices=("haproxy", "ray"), help="what takes the connections (default: HAProxy where it is installed)")
    head.add_argument("--dashboard", action="store_true", help="start Ray's dashboard, for this machine only")
    head.add_argument("--no-application", action="store_true", help="only Ray")
    join = actions.add_parser("join", help="make this box part of a head's cluster")
    join.add_argument("address", help="of the head on the inner link")
    for starts in (head, join):
        _add_node_arguments(starts)
    status = actions.add_parser("status", help="what is alive, and where the sessions are")
    status.add_argument("--json", action="store_true")
    leave = actions.add_parser("leave", help="end the node of this box after its sessions")
    leave.add_argument("--now", action="store_true", help="do not wait for sessions")
    shown = actions.add_parser("ports", help="every port and who needs it")
    shown.add_argument("--firewall", metavar="INTERFACE", help="an nftables table that keeps them to this inner interface")
    for one in (head, join, status, leave):
        one.add_argument("--state", type=Path, help="the node's folder (default: STATE_DIRECTORY, or sparkvox in the user's state folder)")


def _add_node_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inner", metavar="LINK", help="interface or address of the link between the nodes (default: the one ConnectX)")
    parser.add_argument("--num-gpus", type=int, help="default: what the driver shows")
    parser.add_argument("--num-cpus", type=int, help="default: what the machine has")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="a label of the node, for placement")
    parser.add_argument("--drain", type=float, default=DRAIN_S, metavar="SECONDS", help="for its sessions, when it leaves (%(default)s)")


def run(args: argparse.Namespace) -> int:
    actions = {"head": head, "join": join, "status": status, "leave": leave, "ports": _ports}
    return actions[args.action](args)


def head(args: argparse.Namespace) -> int:
    settings = serving.settings_for(args.settings, args.host)
    if not settings.gateway.open_to_all and not serving.has_keys(settings):
        refuse_without_key("this cluster")  # HAProxy of one node asks the gateway of the other: nobody comes from loopback for sure
    node = _node(args, None)
    nodes = TOPOLOGIES[settings.topology].nodes
    labels = {"head": nodes[0].labels, "join": nodes[-1].labels}
    shared = Shared(serving.needed(settings, args.proxy or serving.best_proxy()), labels, versions())
    application = None if args.no_application else {"words": args.settings, "host": args.host, "port": args.port}
    if make_token(node.state):
        _say(f"The cluster's token is made: {node.state.token}. The other node needs a copy of it, for its owner alone.")
    _say(f"On the other box:    sparkvox node join {node.address}\nHow the cluster is:  sparkvox node status")
    return _supervised(node, Work(shared, application), args.drain)


def join(args: argparse.Namespace) -> int:
    node = _node(args, args.address)
    check_token(node.state, node.head)
    return _supervised(node, Work(), args.drain)


def status(args: argparse.Namespace) -> int:
    from cluster import node_status

    return node_status.show(_running(args), _folder(args), args.json)


def leave(args: argparse.Namespace) -> int:
    """Waits until it has ended."""
    running = _running(args)
    for number in (signal.SIGTERM, signal.SIGINT) if args.now else (signal.SIGTERM,):  # two of one kind may count as one
        os.kill(running.pid, number)
    _say("The node ends." if args.now else "The node ends after its sessions; `--now` does not wait for them.")
    _until_gone(running.pid)
    return 0


def _ports(args: argparse.Namespace) -> int:
    sys.stdout.write(ports.firewall(args.firewall) if args.firewall else f"{ports.table()}\n")
    return 0


def _node(args: argparse.Namespace, head: str | None) -> Node:
    every = interfaces.found()
    link = interfaces.inner(every, args.inner)
    size = Size(args.num_gpus, args.num_cpus, node_start.labels_of(args.label), getattr(args, "dashboard", False))
    folder = _folder(args)
    _end_the_last(folder)
    address = f"{head or link.addresses[0]}:{ports.GCS.first}"
    node = Node(address, link, every, this_machine(), fresh(folder), size, is_head=head is None)
    node_start.check(node)
    return node


def _end_the_last(folder: Path) -> None:
    """What a node that was killed has left running. Raises `SettingsError` where one runs."""
    last = read_note(folder)
    if last is None:
        return
    if is_node(last.pid):
        raise SettingsError(f"a node runs here already (process {last.pid}); `sparkvox node leave` ends it")
    left = NodeState(folder, last.mark)
    end(left.mark, left.ray)
    left.close()


def _supervised(node: Node, work: Work, drain_s: float) -> int:
    supervisor = Supervisor(node, work, dict(os.environ), drain_s, _say)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.signals.ask())
    node.state.open(Running(os.getpid(), node.head, node.address, node.is_head, node.state.mark))
    try:
        return supervisor.run()
    finally:
        node.state.close()


def _running(args: argparse.Namespace) -> Running:
    running = read_note(_folder(args))
    if running is None or not is_node(running.pid):
        state = "" if args.state is None else f" with --state {shlex.quote(str(args.state))}"
        raise SparkvoxError(f"no node runs here{state}")
    return running


def _until_gone(pid: int) -> None:
    import psutil

    try:
        psutil.Process(pid).wait()
    except psutil.NoSuchProcess:
        return


def _folder(args: argparse.Namespace) -> Path:
    return args.state.resolve() if args.state else node_start.default_folder(os.environ, Path.home())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
