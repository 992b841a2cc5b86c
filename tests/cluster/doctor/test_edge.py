"""What is read of a machine: from files made here, and from this one."""

import os
import platform
import struct
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cluster.doctor.edge import elf, machine, network, packages, trials
from cluster.doctor.edge.gather import chosen, gather
from cluster.doctor.facts import Facts, FactsUnreadable, Trial
from cluster.doctor.rules.every import judged
from cluster.doctor.rules.rule import Level
from cluster.machine import Machine, environment
from serve_app.settings import Settings, nvidia_gpu_visible
from tests.cluster.doctor.spark import spark


def shared_library(machine_number: int, needed: list[str]) -> bytes:
    """The smallest that wants something: a header, two program headers, a dynamic section and its strings."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    base, dynamic = 0x1000, 64 + 2 * 56
    at, entries = 1, []
    for name in needed:
        entries.append((1, at))
        at += len(name) + 1
    size = 16 * (len(entries) + 2)
    entries += [(5, base + dynamic + size), (0, 0)]
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, machine_number, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, base, base, 4096, 4096, 4096)
    section = struct.pack("<IIQQQQQQ", 2, 4, dynamic, base + dynamic, base + dynamic, size, size, 8)
    return header + load + section + b"".join(struct.pack("<QQ", *entry) for entry in entries) + strings


def test_a_library_tells_its_processor_and_what_it_wants(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(shared_library(0xB7, ["libcudart.so.12", "libc.so.6"]))
    assert elf.library(path) == elf.Library("aarch64", ("libcudart.so.12", "libc.so.6"))


def test_this_pythons_own_program_is_for_this_processor_and_wants_libc() -> None:
    found = elf.library(Path(sys.executable).resolve())
    assert found is not None and found.machine == platform.machine()
    assert "libc.so.6" in found.needed


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(10), b"\x7fELF\x01\x01" + bytes(58)])
def test_what_is_no_library_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(content)
    assert elf.library(path) is None


def installed(
    folder: Path, name: str, version: str, requires: list[str], files: dict[str, bytes], tag: str = "py3-none-any"
) -> Distribution:
    """A package as pip leaves it."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    wanted = "".join(f"Requires-Dist: {one}\n" for one in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wanted}")
    (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tag}\n")
    for path, content in files.items():
        (folder / path).write_bytes(content)
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    return Distribution.at(info)


def test_a_package_tells_the_cuda_that_its_libraries_were_linked_against(tmp_path: Path) -> None:
    here = {"x86_64": 0x3E, "aarch64": 0xB7}[platform.machine()]
    package = installed(tmp_path, "xformers", "0.0.30", [], {"_C.so": shared_library(here, ["libcudart.so.12"])})
    wheel = packages._wheel("xformers", package)
    assert (wheel.cudart, wheel.foreign) == ((12,), "")


def test_a_library_for_another_processor_is_foreign(tmp_path: Path) -> None:
    package = installed(tmp_path, "triton", "3.7.1", [], {"libtriton.so": shared_library(0x28, [])})
    assert packages._wheel("triton", package).foreign == "armv7l"


def test_a_wheel_that_says_another_processor_is_foreign_whatever_is_in_it(tmp_path: Path) -> None:
    package = installed(tmp_path, "some-wheel", "1.0", [], {}, tag="cp312-cp312-manylinux_2_17_s390x")
    assert packages._wheel("some-wheel", package).foreign == "s390x"


def test_requirements_that_are_not_met_are_told_and_those_of_extras_are_not(tmp_path: Path) -> None:
    wanted = ["torch==2.13.0", "numpy>=2", "lhotse>=1.30 ; extra == 'asr'", "torchvision==0.28.0", "absent"]
    every = {
        "vllm": installed(tmp_path, "vllm", "0.32.0", wanted, {}),
        "torch": installed(tmp_path, "torch", "2.10.0+cu130", [], {}),
        "numpy": installed(tmp_path, "numpy", "2.3.0", [], {}),
    }
    assert list(packages.unmet(every)) == [("vllm", "torch==2.13.0", "2.10.0+cu130"), ("vllm", "absent", "")]


def test_a_local_version_meets_what_is_wanted(tmp_path: Path) -> None:
    every = {
        "vllm": installed(tmp_path, "vllm", "0.32.0", ["torch==2.13.0"], {}),
        "torch": installed(tmp_path, "torch", "2.13.0+cu130", [], {}),
    }
    assert list(packages.unmet(every)) == []


def test_a_gpu_that_shares_its_memory_has_none_of_its_own() -> None:
    gpu = machine.read_gpu("NVIDIA GB10, 12.1, 580.126.09, [N/A]")
    assert gpu is not None and gpu.memory is None
    assert spark(gpus=[gpu.model_dump()]).unified


def test_a_card_has_its_own_memory() -> None:
    gpu = machine.read_gpu("NVIDIA GeForce RTX 5090, 12.0, 580.65.06, 32607")
    assert gpu is not None and gpu.memory == 32607 * 2**20
    assert not spark(gpus=[gpu.model_dump()]).unified


def test_what_is_no_line_of_nvidia_smi_is_no_gpu() -> None:
    assert machine.read_gpu("No devices were found") is None


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """/sys of a Spark with one cable: public notes, not recorded by us."""
    twins = (("enp1s0f1np1", True, "0000:01:00.1", "rocep1s0f1"), ("enP2p1s0f1np1", False, "0002:01:00.1", "roceP2p1s0f1"))
    for name, up, pci, device in twins:
        card = tmp_path / "devices" / pci
        (card / "net" / name).mkdir(parents=True)
        (tmp_path / "drivers/mlx5_core").mkdir(parents=True, exist_ok=True)
        (card / "driver").symlink_to(tmp_path / "drivers/mlx5_core")
        interface = tmp_path / "class/net" / name
        interface.mkdir(parents=True)
        (interface / "device").symlink_to(card)
        for file, value in (("operstate", "up" if up else "down"), ("speed", "200000" if up else "-1"), ("mtu", "9000")):
            (interface / file).write_text(f"{value}\n")
        port = tmp_path / "class/infiniband" / device / "ports/1"
        port.mkdir(parents=True)
        (port / "state").write_text("4: ACTIVE\n" if up else "1: DOWN\n")
        (tmp_path / "class/infiniband" / device / "device").symlink_to(card)
    return tmp_path


def test_the_links_of_a_stack_are_read_from_the_system(system: Path) -> None:
    down, up = network.interfaces(system)
    assert (up.name, up.driver, up.up, up.speed, up.mtu) == ("enp1s0f1np1", "mlx5_core", True, 200_000, 9000)
    assert (down.up, down.speed) == (False, None)


def test_rdma_devices_are_read_with_the_interface_that_they_belong_to(system: Path) -> None:
    assert {(one.name, one.interface, one.active) for one in network.rdma(system)} == {
        ("rocep1s0f1", "enp1s0f1np1", True),
        ("roceP2p1s0f1", "enP2p1s0f1np1", False),
    }


def test_no_secret_is_among_the_facts() -> None:
    environment = {"RAY_AUTH_TOKEN": "very secret", "RAY_AUTH_TOKEN_PATH": "/a/file", "RAY_REDIS_PASSWORD": "secret"}
    environment |= {"NCCL_DEBUG": "INFO", "HOME": "/"}
    assert network.without_secrets(environment) == {"RAY_AUTH_TOKEN_PATH": "/a/file", "NCCL_DEBUG": "INFO"}
    token = network.token(environment)
    assert token is not None and "secret" not in token.model_dump_json()


def test_a_token_that_others_may_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("very secret")
    path.chmod(0o644)
    token = network.token({"RAY_AUTH_TOKEN_PATH": str(path)})
    assert token is not None and token.readable_by_others
    path.chmod(0o600)
    other = network.token({"RAY_AUTH_TOKEN_PATH": str(path)})
    assert other is not None and not other.readable_by_others and other.fingerprint == token.fingerprint


# --- trials ------------------------------------------------------------------------------------------------------------------------------


def test_a_trial_that_crashes_is_one_that_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crashing.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(trials, "PROGRAMS", "crashing")
    assert trials.tried("anything")[0] == Trial(works=False, reason="ended by signal 11")


def test_a_trial_that_hangs_is_one_that_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hanging.py").write_text("import threading\nthreading.Event().wait()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(trials, "PROGRAMS", "hanging")
    monkeypatch.setattr(trials, "LONGEST_S", 1.0)
    assert trials.tried("anything")[0].reason == "no answer within 1 s"


def test_a_trial_that_raises_tells_the_first_line() -> None:
    trial, _ = trials.tried("importing", "no_such_module_anywhere")
    assert trial == Trial(works=False, reason="ModuleNotFoundError: No module named 'no_such_module_anywhere'")


@pytest.fixture
def old_ptxas() -> Iterator[str]:
    """Triton brings two: the one for older chips is of CUDA 12.8, which does not know sm_121."""
    spec = find_spec("triton")
    if spec is None or spec.origin is None:
        pytest.skip("no triton")
    path = Path(spec.origin).parent / "backends/nvidia/bin/ptxas"
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout if path.exists() else ""
    if "release 12.8" not in said:
        pytest.skip("Triton brings another ptxas than that of CUDA 12.8")
    yield str(path)


def test_the_ptxas_that_this_triton_takes_for_a_spark_knows_it() -> None:
    """Without a GPU, too: only the assembler is asked."""
    if find_spec("triton") is None:
        pytest.skip("no triton")
    taken = trials.ptxas("12.1")
    assert taken is not None and taken.takes == Trial(works=True)


def test_a_ptxas_that_is_too_old_for_a_spark_is_found_by_trying_it(old_ptxas: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_PTXAS_BLACKWELL_PATH", old_ptxas)
    taken = trials.ptxas("12.1")
    assert taken is not None
    (judgement,) = (one for one in judged(spark(ptxas=taken.model_dump())) if one.level is Level.WRONG)
    assert judgement.rule == "ptxas"
    assert "sm_121a" in judgement.what and old_ptxas in judgement.what


def test_what_a_node_sets_is_what_triton_takes_for_a_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_spec("triton")
    if spec is None or spec.origin is None:
        pytest.skip("no triton")
    toolkit = tmp_path / "cuda"
    (toolkit / "bin").mkdir(parents=True)
    (toolkit / "bin" / "ptxas").symlink_to(Path(spec.origin).parent / "backends/nvidia/bin/ptxas-blackwell")
    for name, value in environment(Machine(("NVIDIA GB10",), 20, str(toolkit))).items():
        monkeypatch.setenv(name, value)
    taken = trials.ptxas("12.1")
    assert taken is not None and taken.path == str(toolkit / "bin" / "ptxas")


# --- the whole ---------------------------------------------------------------------------------------------------------------------------


def test_what_is_to_run_is_told_with_the_options_that_rules_ask_about() -> None:
    settings = Settings.of({"profile": "spark", "stt.options": {"decoding": {"cuda_graphs": "true"}}, "tts.options.patch": "none"})
    told = chosen(settings)
    assert told.engines["stt"] == "nemo-rnnt"
    assert told.options["stt"] == {"cuda_graphs": "True"} and told.options["tts"] == {"patch": "none"}


def test_the_memory_plan_is_asked_as_the_server_does() -> None:
    """So vLLM's cache is known in bytes, and what cannot fit is told before it is tried."""
    told = chosen(Settings.of({"profile": "spark", "topology": "two_sparks"}))
    assert int(told.options["llm"]["kv_cache_bytes"]) > 0
    assert (told.nodes, told.refusal) == (2, "")
    large = chosen(Settings.of({"topology": "one_spark", "llm.options.kv_cache_bytes": 200 * 10**9}))
    assert "GB" in large.refusal


@pytest.mark.weights
@pytest.mark.skipif(nvidia_gpu_visible(), reason="this machine has a GPU")
def test_this_machine_is_healthy_for_the_profile_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests, as it is: what they need is what the doctor asks for."""
    for name in [name for name in os.environ if name.startswith("VLLM_")]:
        monkeypatch.delenv(name)
    facts = gather(Settings.of({"profile": "cpu"}))
    ill: list[Any] = [one for one in judged(facts) if one.level in (Level.WRONG, Level.LOOK) and one.rule != "ports"]
    assert ill == []
    assert facts.packages.installed["torch"].version == facts.torch.version  # type: ignore[union-attr]
    assert Facts.read(facts.model_dump_json()) == facts


def test_facts_go_through_json_unchanged() -> None:
    assert Facts.read(spark().model_dump_json()) == spark()


def test_facts_of_a_newer_version_are_read_and_nonsense_is_refused() -> None:
    text = spark().model_dump_json().replace('"product":', '"colour":"gold","product":')
    assert Facts.read(text) == spark()
    with pytest.raises(FactsUnreadable, match="sparkvox doctor --facts"):
        Facts.read('{"ready": true}')
