"""The stack: the ConnectX link between two Sparks; and ports, token and clock."""

from cluster import ports
from cluster.doctor.facts import Facts
from cluster.doctor.rules.rule import CABLE, CONNECTX, RAY, SEVERAL, Condition, Level, Rule, Unknown, nodes

LINK_MBITS = 200_000
"""H §1.3. Each of the two interfaces of a port shows the whole of it and can carry half."""
MTU = 9000
LOCKED = 64 * 2**30
"""Bytes that NCCL may want to lock; without limit is what is meant."""
OURS = ("ray", "gcs_server", "raylet", "haproxy", "python", "sparkvox", "dashboard")
"""Beginnings of the names of processes that may hold a port of ours."""
APART_S = 0.5
"""Clocks further apart than this: times in logs and traces no longer tell what came first."""

FOR_ONE = {ports.HTTP.first: ports.HTTP}
FOR_SEVERAL = {port.first: port for port in ports.PORTS if port.first == port.last}
"""Ranges are left out: in them something else is found."""


def _partner(facts: Facts) -> str | None:
    if facts.stack:
        return None
    return f"no ConnectX port is up ({', '.join(one.name for one in facts.connectx)})"


def _speed(facts: Facts) -> str | None:
    slow = [f"{one.name} at {one.speed / 1000:g} Gbit/s" for one in facts.stack if one.speed is not None and one.speed < LINK_MBITS]
    return f"{', '.join(slow)}; the port has {LINK_MBITS // 1000}" if slow else None


def _mtu(facts: Facts) -> str | None:
    small = [f"{one.name} {one.mtu}" for one in facts.stack if one.mtu < MTU]
    return f"MTU of {', '.join(small)}" if small else None


def _address(facts: Facts) -> str | None:
    return None if any(one.addresses for one in facts.stack) else f"no address on {', '.join(one.name for one in facts.stack)}"


def _rdma(facts: Facts) -> str | None:
    active = {one.interface for one in facts.network.rdma if one.active}
    without = [one.name for one in facts.stack if one.name not in active]
    return f"no active RDMA device for {', '.join(without)}" if without else None


def _twins(facts: Facts) -> str | None:
    up = {one.name for one in facts.stack}
    twins = sorted(one.name for one in facts.network.rdma if one.active and one.interface in up)
    environment = facts.ray.environment or facts.environment
    named = environment.get("NCCL_IB_HCA", "").lstrip("=^").split(",")
    missing = [name for name in twins if name not in [one.split(":")[0] for one in named]]
    return f"NCCL_IB_HCA is {','.join(named) or 'not set'}, without {', '.join(missing)}" if missing else None


def _locked(facts: Facts) -> str | None:
    locked = facts.network.locked_memory
    return None if locked is None or locked >= LOCKED else f"a process may lock {locked / 2**20:.0f} MiB of memory"


def _ports(facts: Facts) -> str | None:
    wanted = FOR_SEVERAL if nodes(facts) > 1 else FOR_ONE
    held = {port: name for port, name in facts.network.listening.items() if port in wanted}
    strange = [f"{port} ({wanted[port].name}) by {name}" for port, name in sorted(held.items()) if name and not name.startswith(OURS)]
    return f"ports in use: {', '.join(strange)}" if strange else None


def _token(facts: Facts) -> str | None:
    return None if facts.ray.token else "Ray's nodes have no token"


def _token_readable(facts: Facts) -> str | None:
    token = facts.ray.token
    return "other users may read the file with Ray's token" if token and token.readable_by_others else None


def _clock(facts: Facts) -> str | None:
    clock = facts.clock
    if clock.offset_s is not None and abs(clock.offset_s) > APART_S + clock.uncertain_s:
        return f"the clock is {clock.offset_s:+.1f} s off that of the asking node"
    if clock.synchronised is None:
        raise Unknown("whether the clock is synchronised")
    return None if clock.synchronised else "the clock is not synchronised"


RULES = (
    Rule(
        "cable",
        Level.WRONG,
        _partner,
        why="two nodes would talk over the ordinary network",
        mend="put the cable into the same port of both, then: ip -br link",
        concerns=(SEVERAL, CONNECTX),
    ),
    Rule(
        "link speed",
        Level.LOOK,
        _speed,
        why="a large model over two nodes waits for the link at every layer",
        mend="sudo ethtool INTERFACE, and another cable: QSFP56 for 200 Gbit/s",
        concerns=(CABLE,),
    ),
    Rule(
        "MTU",
        Level.LOOK,
        _mtu,
        why="with small frames the CPU, not the link, is what limits",
        mend=f"sudo ip link set INTERFACE mtu {MTU} on both nodes, and in netplan to keep it",
        concerns=(CABLE,),
    ),
    Rule(
        "addresses of the link",
        Level.LOOK,
        _address,
        why="without an address Ray and NCCL go over the ordinary network",
        mend="give both ends one in /etc/netplan, then sudo netplan apply (docs/spark.md)",
        concerns=(CABLE,),
    ),
    Rule(
        "RDMA",
        Level.LOOK,
        _rdma,
        why="NCCL falls back to TCP, which costs CPU and time at every layer",
        mend="sudo apt install rdma-core && sudo modprobe mlx5_ib, then: rdma link",
        concerns=(CABLE,),
    ),
    Rule(
        "RoCE twins",
        Level.LOOK,
        _twins,
        why="each port is two devices of half the speed: NCCL must be told both for 200 Gbit/s",
        mend="start Ray with `sparkvox node`, or export NCCL_IB_HCA with both names of `rdma link` and start it again",
        concerns=(CABLE, SEVERAL),
    ),
    Rule(
        "locked memory",
        Level.LOOK,
        _locked,
        why="RDMA locks the memory that it reads and writes; with a limit NCCL fails at its first transfer",
        mend="LimitMEMLOCK=infinity in the systemd unit, or `* - memlock unlimited` in /etc/security/limits.conf",
        concerns=(CABLE, SEVERAL),
    ),
    Rule(
        "ports",
        Level.WRONG,
        _ports,
        why="the server, or a node, cannot start",
        mend="end what holds it (sudo ss -ltnp), or take another port: sparkvox serve --port",
    ),
    Rule(
        "token",
        Level.WRONG,
        _token,
        why="whoever reaches Ray's ports may run any program on the nodes",
        mend="start the nodes with `sparkvox node`, which makes one",
        concerns=(SEVERAL, RAY),
    ),
    Rule(
        "token's file",
        Level.WRONG,
        _token_readable,
        why="whoever knows it may run any program on the nodes",
        mend="chmod 600 on it: RAY_AUTH_TOKEN_PATH where Ray was started, else ~/.ray/auth_token",
        # Ray (2.60) itself writes it readable for all, also on a machine that nobody else reaches.
        concerns=(SEVERAL, Condition("no token", lambda facts: facts.ray.token is not None)),
    ),
    Rule(
        "clock",
        Level.LOOK,
        _clock,
        why="ephemeral keys end at a time, and the logs of two nodes are read together",
        mend="sudo timedatectl set-ntp true",
        concerns=(SEVERAL,),
    ),
)
