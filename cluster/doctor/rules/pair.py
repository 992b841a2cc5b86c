"""What must be alike on two machines that are to work together."""

from collections.abc import Callable

from cluster.doctor.facts import Facts
from cluster.doctor.rules.network import APART_S
from cluster.doctor.rules.rule import Level, PairRule, Unknown

EXACT = ("ray", "sparkvox")
SAME = ("torch", "vllm", "nemo-toolkit", "kokoro", "transformers", "triton", "flashinfer-python")


def _differs(what: str, of: Callable[[Facts], str | None]) -> Callable[[Facts, Facts], str | None]:
    def told(one: Facts, other: Facts) -> str | None:
        here, there = of(one), of(other)
        return None if here == there else f"{what}: {here or 'none'} on {one.machine.node}, {there or 'none'} on {other.machine.node}"

    return told


def _version(package: str) -> Callable[[Facts], str | None]:
    def of(facts: Facts) -> str | None:
        wheel = facts.packages.installed.get(package)
        return wheel.version if wheel else None

    return of


def _versions(packages: tuple[str, ...]) -> Callable[[Facts, Facts], str | None]:
    def told(one: Facts, other: Facts) -> str | None:
        return "; ".join(wrong for package in packages if (wrong := _differs(package, _version(package))(one, other))) or None

    return told


def _minor(facts: Facts) -> str:
    return ".".join(facts.machine.python.split(".")[:2])


def _names(one: Facts, other: Facts) -> str | None:
    return f"both call themselves {one.machine.node}" if one.machine.node == other.machine.node else None


def _token(one: Facts, other: Facts) -> str | None:
    if one.ray.token is None or other.ray.token is None:
        raise Unknown("the token of both")
    return None if one.ray.token.fingerprint == other.ray.token.fingerprint else "the two nodes have different tokens"


def _mtu(one: Facts, other: Facts) -> str | None:
    here, there = ({interface.mtu for interface in facts.stack} for facts in (one, other))
    if not here or not there:
        raise Unknown("the link of both")
    return None if here == there else f"MTU {sorted(here)} on {one.machine.node}, {sorted(there)} on {other.machine.node}"


def _network(one: Facts, other: Facts) -> str | None:
    """The first three numbers of IPv4 addresses, which are in one network on a link of two."""
    here, there = (_networks(facts) for facts in (one, other))
    if not here or not there:
        raise Unknown("an address of both on the link")
    return None if here & there else f"{', '.join(sorted(here))} on {one.machine.node}, {', '.join(sorted(there))} on {other.machine.node}"


def _networks(facts: Facts) -> set[str]:
    addresses = [address for interface in facts.stack for address in interface.addresses if "." in address]
    return {"169.254" if address.startswith("169.254.") else address.rpartition(".")[0] for address in addresses}


def _clocks(one: Facts, other: Facts) -> str | None:
    if one.clock.offset_s is None or other.clock.offset_s is None:
        raise Unknown("how far apart the clocks are (facts from a file do not tell)")
    apart = abs(one.clock.offset_s - other.clock.offset_s)
    uncertain = one.clock.uncertain_s + other.clock.uncertain_s
    return f"the clocks are {apart:.1f} s apart" if apart > APART_S + uncertain else None


PAIR_RULES = (
    PairRule("names", Level.LOOK, _names, "logs and `sparkvox node status` tell nodes by name", "sudo hostnamectl set-hostname spark-2"),
    PairRule(
        "processors",
        Level.WRONG,
        _differs("processor", lambda facts: facts.machine.architecture),
        "Ray sends Python objects from one to the other, and a model cannot be halved between different GPUs",
        "two nodes of one kind",
    ),
    PairRule(
        "Python",
        Level.WRONG,
        _differs("Python", _minor),
        "Ray refuses a node with another minor version",
        "PYTHON=python3.12 make setup, on both",
    ),
    PairRule(
        "Ray and Sparkvox",
        Level.WRONG,
        _versions(EXACT),
        "Ray refuses a node with another version, and replicas of one application run on both",
        "git pull && make setup, on both, at the same commit",
    ),
    PairRule(
        "versions",
        Level.WRONG,
        _versions(SAME),
        "halves of one model, and replicas that take each other's place, must compute the same",
        "make setup PROFILE=spark, on both, at the same commit",
    ),
    PairRule(
        "drivers",
        Level.LOOK,
        _differs("driver", lambda facts: facts.gpu.driver if facts.gpu else None),
        "NCCL and compiled kernels depend on it",
        "sudo apt update && sudo apt full-upgrade && sudo reboot, on both",
    ),
    PairRule("tokens", Level.WRONG, _token, "the second node cannot join", "copy the token of the head, as `sparkvox node head` says"),
    PairRule("MTU of both", Level.WRONG, _mtu, "large packets vanish on the way: connections open and then hang", "the same MTU on both"),
    PairRule("networks", Level.WRONG, _network, "the two ends of the link cannot reach each other", "addresses of one network, in netplan"),
    PairRule("clocks", Level.LOOK, _clocks, "logs and traces of both are read together", "sudo timedatectl set-ntp true, on both"),
)
