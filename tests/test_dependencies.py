"""What is imported is asked for: what only happens to come with another package is gone with that one's next version."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OURS = ("cluster", "deployments", "patches", "serve_app")
SOURCES = sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [requirement for name, extra in PROJECT["optional-dependencies"].items() if name != "test" for requirement in extra]
DECLARED = {canonicalize_name(Requirement(text).name) for text in (*PROJECT["dependencies"], *EXTRAS)}
INSTALLED = {module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()}
COMES_WITH = {"ctranslate2": "faster-whisper", "grpcio": "nvidia-riva-client", "omegaconf": "nemo-toolkit", "triton": "torch"}
"""Parts of what another package shows to its users."""
LEFT_TO_USERS = {"sounddevice"}
"""`sparkvox talk` says how it is installed."""


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def undeclared(source: str) -> set[str]:
    """Modules of other people that nobody asks for. What is not installed here is not known."""
    others = {module for module in imported(source) if module in INSTALLED} - {*OURS, *sys.stdlib_module_names, *LEFT_TO_USERS}
    return {module for module in others if not {COMES_WITH.get(name, name) for name in INSTALLED[module]} & DECLARED}


def test_every_package_that_is_imported_is_declared() -> None:
    assert {str(path): found for path in SOURCES if (found := undeclared(path.read_text()))} == {}


def test_an_import_that_nobody_declared_is_found() -> None:
    assert undeclared("import numpy\n\n\ndef plays() -> None:\n    from pluggy import HookspecMarker\n") == {"pluggy"}
